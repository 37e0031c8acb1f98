//! The files that `init` writes.

use config::{ApiKeyHash, templates};

use crate::folder::{Folder, KEY_HASH};

#[test]
fn the_starter_files_are_accepted_as_they_are() {
    let folder = Folder::new();
    folder.write(templates::MASTER_KEY, "k");
    let key = ApiKeyHash::parse(KEY_HASH).unwrap();
    let mut schemas = Vec::new();
    for file in templates::starter_files(&key, "al\"ice") {
        let path = folder.write(file.path, &file.text);
        if let Some(schema) = file.text.lines().next().unwrap().strip_prefix("#:schema ") {
            schemas.push(path.parent().unwrap().join(schema));
        }
    }
    assert_eq!(schemas.len(), 3);
    assert!(schemas.iter().all(|schema| schema.is_file()), "{schemas:?}");
    let loaded = folder.load().unwrap_or_else(|wrong| panic!("{wrong}"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(loaded.configuration.principals[0].api_keys, [key]);
    assert_eq!(loaded.configuration.principals[1].os_user.as_deref(), Some("al\"ice"));
}

/// What is commented out must not be wrong either: it is what people begin with.
#[test]
fn the_commented_examples_are_accepted_too() {
    let folder = Folder::new();
    let cyberark = ["internal-ca.pem", "portcullis.pfx", "portcullis.pfx.pass"];
    for name in [templates::MASTER_KEY, "server.pem", "server.key"].iter().chain(&cyberark) {
        folder.write(name, "k");
    }
    for file in templates::starter_files(&ApiKeyHash::parse(KEY_HASH).unwrap(), "alice") {
        if file.path.ends_with(".json") {
            continue;
        }
        let uncommented: Vec<_> = file
            .text
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.starts_with('[') || rest.contains(" = ") => rest,
                _ => line,
            })
            .collect();
        folder.write(file.path, &uncommented.join("\n"));
    }
    let loaded = folder.load().unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(loaded.inventory.hosts().count(), 1);
    assert!(loaded.configuration.listen.socket.is_some() && loaded.configuration.listen.tls.is_some());
}
