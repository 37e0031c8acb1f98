use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::environment::{Installed, run};

fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn what_it_writes_passes_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(folder.path(), &["init", "gate/keeper"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let check = run(folder.path(), &["-c", "gate/keeper/portcullis.toml", "check"]);
    assert_eq!(check.exit, 0, "{check:?}");
    assert!(!check.err.contains("error"), "{check:?}");
    for (path, _) in contents(folder.path()) {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} can be read by others", path.display());
    }
}

#[test]
fn no_keys_are_written_where_others_could_swap_them() {
    let folder = tempfile::tempdir().unwrap();
    let mode = |mode| {
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for open in [0o777, 0o1777] {
        mode(open);
        let refused = run(folder.path(), &["init"]);
        assert_eq!(refused.exit, 2, "{refused:?}");
        assert!(
            refused.err.contains("everybody can write") && refused.err.contains("init DIR"),
            "{refused:?}"
        );
        assert_eq!(contents(folder.path()).len(), 0);
    }
    assert_eq!(run(folder.path(), &["init", "own"]).exit, 0, "a new folder is its owner's alone");
    mode(0o755);
    std::os::unix::fs::chown(folder.path(), Some(65_534), None).unwrap();
    let refused = run(folder.path(), &["init"]);
    assert_eq!(refused.exit, 2, "{refused:?}");
    assert!(refused.err.contains("belongs to"), "{refused:?}");
}

#[test]
fn it_never_overwrites_and_names_what_is_there() {
    let installed = Installed::new();
    let before = contents(&installed.path("."));
    let again = installed.run(&["init"]);
    assert_eq!(again.exit, 2, "{again:?}");
    assert!(again.err.contains("portcullis.toml"), "{again:?}");
    assert_eq!(contents(&installed.path(".")), before);
}

#[test]
fn one_file_in_the_way_means_that_nothing_is_written() {
    for name in ["keystore.key", "audit.key.pub", "keystore", "inventory.toml", "policy/ops.toml"] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("policy")).unwrap();
        std::fs::write(folder.path().join(name), "mine").unwrap();
        let ran = run(folder.path(), &["init"]);
        assert_eq!(ran.exit, 2, "{name}: {ran:?}");
        assert!(ran.err.contains(name), "{name}: {ran:?}");
        assert_eq!(contents(folder.path()).len(), 1, "{name}");
        assert_eq!(std::fs::read(folder.path().join(name)).unwrap(), b"mine");
    }
}

#[test]
fn where_it_cannot_write_it_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // A file where the folder of rules should be made: found only half way through.
    std::fs::write(folder.path().join("schema"), "").unwrap();
    let ran = run(folder.path(), &["init"]);
    assert_eq!(ran.exit, 2, "{ran:?}");
    assert_eq!(contents(folder.path()).len(), 1, "{ran:?}");
}

#[test]
fn the_key_is_shown_once_and_only_its_hash_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(folder.path(), &["init", "--json"]);
    let told = ran.json();
    let key = told["key"].as_str().unwrap();
    assert_eq!(key.len(), 55);
    assert!(told["client"].as_str().unwrap().starts_with("claude mcp add "));
    assert!(told["client"].as_str().unwrap().contains(key));
    for (path, bytes) in contents(folder.path()) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(key), "{} holds the key", path.display());
    }
    let configuration = std::fs::read_to_string(folder.path().join("portcullis.toml")).unwrap();
    assert!(configuration.contains(&format!("{}:", &key[..11])), "{configuration}");
    assert!(
        configuration.contains(&format!("os_user = \"{}\"", told["operator"].as_str().unwrap())),
        "{configuration}"
    );
}
