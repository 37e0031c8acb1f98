//! Files that are not there, not text, too large, or open to others.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use config::Severity;

use crate::folder::Folder;

fn told(folder: &Folder) -> String {
    let text = folder.load().unwrap_err().to_string();
    text.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = Folder::new();
    assert_eq!(told(&folder), "portcullis.toml: there is no such file");
    std::fs::create_dir(folder.path().join("portcullis.toml")).unwrap();
    assert_eq!(told(&folder), "portcullis.toml: is not a regular file");
    std::fs::remove_dir(folder.path().join("portcullis.toml")).unwrap();
    let path = folder.write("portcullis.toml", "");
    std::fs::write(&path, b"watch = true\n# caf\xe9\n").unwrap();
    assert_eq!(told(&folder), "portcullis.toml:2:6: not UTF-8 text");
    std::fs::write(&path, vec![b'\n'; (4 << 20) + 1]).unwrap();
    assert_eq!(told(&folder), "portcullis.toml: is larger than 4MiB");
}

#[test]
fn a_load_without_the_keys_of_the_journal_fails() {
    let folder = Folder::new();
    folder.write("portcullis.toml", "");
    std::fs::remove_file(folder.path().join("audit.key")).unwrap();
    std::fs::remove_file(folder.path().join("audit-seal.key")).unwrap();
    assert_eq!(
        told(&folder),
        "portcullis.toml:1:1: audit.seal_key: there is no file `audit-seal.key`\n\
         portcullis.toml:1:1: audit.signing_key: there is no file `audit.key`"
    );
    folder.write("audit.key", "k");
    folder.write("portcullis.toml", "[audit]\nrecord_commands = \"never\"");
    assert!(folder.load().is_ok(), "without sealed commands no seal key is needed");
}

#[test]
fn a_secret_in_a_file_that_others_can_read_is_refused_and_not_quoted() {
    let folder = Folder::new();
    folder.write("portcullis.toml", "");
    let path = folder.write(
        "inventory.toml",
        "[hosts.a]\naddress = \"a\"\ncredential = { password = \"hunter2\" }\n\
         [hosts.b]\naddress = \"b\"\ncredential = { key = \"audit.key\", passphrase = \"hunter2\" }",
    );
    assert!(folder.load().is_ok());
    for mode in [0o640, 0o604, 0o644] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let told = told(&folder);
        assert!(
            told.contains("inventory.toml:3:27: hosts.a.credential.password: a secret is written here"),
            "{told}"
        );
        assert!(told.contains("inventory.toml:6:48: hosts.b.credential.passphrase: a secret"), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_key_that_others_can_read_is_told_before_a_start_refuses_it() {
    let folder = Folder::new();
    folder.write(
        "portcullis.toml",
        "[listen.tls]\ncert = \"server.pem\"\nkey = \"server.key\"\n\
         [[credential_source]]\nname = \"k\"\nkind = \"keystore\"\nfile = \"keystore\"\nmaster_key = { file = \"master.key\" }",
    );
    folder.write("inventory.toml", "[hosts.a]\naddress = \"a\"\ncredential = { key = \"host.key\" }");
    let keys = ["audit.key", "audit-seal.key", "server.key", "master.key", "host.key"];
    for name in keys.iter().chain(&["server.pem"]) {
        folder.write(name, "k");
    }
    let mode = |name: &str, mode| {
        let path = folder.path().join(name);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("server.pem", 0o644);
    assert!(folder.load().is_ok(), "{:?}", folder.load().err().map(|errors| errors.to_string()));
    for name in keys {
        for open in [0o640, 0o604] {
            mode(name, open);
            let told = told(&folder);
            assert!(told.contains(&format!("others can read `{name}` (mode {open:04o})")), "{told}");
        }
        mode(name, 0o600);
    }
}

#[test]
fn what_everybody_can_write_is_refused_by_name() {
    let folder = Folder::new();
    folder.write("portcullis.toml", "");
    let raw = "forbid (principal, action, resource);";
    folder.write("policy/more.cedar", raw);
    for name in ["portcullis.toml", "inventory.toml", "policy/ops.toml", "policy/more.cedar", "policy"] {
        let path = folder.path().join(name);
        let before = std::fs::metadata(&path).unwrap().permissions();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
        let told = told(&folder);
        assert!(told.contains(&format!("{name}: everybody can write to it (mode 0777)")), "{told}");
        std::fs::set_permissions(&path, before).unwrap();
    }
    assert!(folder.load().is_ok());
}

#[test]
fn toml_that_breaks_off_in_a_secret_does_not_quote_it() {
    let folder = Folder::new();
    folder.write("portcullis.toml", "");
    for text in [
        "password = \"hunter2",
        "password = hunter2",
        "a = { b = \"hunter2\" \"hunter2\" }",
        "\"hunter2\" hunter2",
    ] {
        folder.write("inventory.toml", text);
        let told = told(&folder);
        assert!(told.contains("inventory.toml:1:") && !told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_folder_of_inventories_is_one_inventory() {
    let folder = Folder::new();
    folder.write("portcullis.toml", "inventory = \"targets\"");
    folder.write("targets/a.toml", "[defaults.ssh]\nuser = \"ops\"\n[hosts.a]\naddress = \"a\"");
    folder.write("targets/b.toml", "[hosts.b]\naddress = \"b\"");
    folder.write("targets/.hidden.toml", "not toml");
    folder.write("targets/c.toml.bak", "not toml");
    let loaded = folder.load().unwrap();
    assert_eq!(
        loaded.inventory.hosts().map(|host| host.user.as_deref()).collect::<Vec<_>>(),
        [Some("ops"); 2]
    );
    let warnings: Vec<_> =
        loaded.warnings.iter().map(|warning| (warning.file.file_name().unwrap(), warning.severity)).collect();
    assert_eq!(warnings, [(Path::new("c.toml.bak").as_os_str(), Severity::Warning)]);

    folder.write("targets/b.toml", "[defaults.ssh]\nuser = \"root\"\n[hosts.a]\naddress = \"b\"");
    assert_eq!(
        told(&folder).lines().filter(|line| !line.contains("c.toml.bak")).collect::<Vec<_>>().join("\n"),
        "targets/b.toml:2:8: defaults.ssh.user: is already set at line 2 of `targets/a.toml`\n\
         targets/b.toml:3:8: hosts.a: the same alias is already at line 3 of `targets/a.toml`"
    );
}

#[test]
fn what_is_missing_by_default_is_only_a_warning() {
    let folder = Folder::new();
    folder.write("portcullis.toml", "[[principal]]\nid = \"nobody\"");
    std::fs::remove_file(folder.path().join("inventory.toml")).unwrap();
    std::fs::remove_dir_all(folder.path().join("policy")).unwrap();
    let warnings: Vec<_> =
        folder.load().unwrap().warnings.iter().map(|warning| warning.message.clone()).collect();
    assert_eq!(
        warnings,
        [
            "there is no `inventory.toml`, so there are no targets",
            "there is no folder `policy`, so nothing is permitted",
            "this principal can never be authenticated",
        ]
    );
}

/// Whatever is left of a file, reading it ends, and tells no secret.
#[test]
fn a_file_that_breaks_off_anywhere_is_told_and_nothing_more() {
    let folder = crate::right::full();
    for name in ["portcullis.toml", "targets/hosts.toml", "rules/ops.toml"] {
        let text = std::fs::read_to_string(folder.path().join(name)).unwrap();
        for end in (0..text.len()).step_by(7).filter(|end| text.is_char_boundary(*end)) {
            folder.write(name, &text[..end]);
            if let Err(wrong) = folder.load() {
                assert!(!wrong.to_string().contains("in-the"), "{name} up to {end}: {wrong}");
            }
        }
        folder.write(name, &text);
    }
}

#[test]
fn lines_may_end_as_on_windows() {
    let folder = Folder::new();
    folder.write("portcullis.toml", "\u{feff}watch = true\r\n[listen]\r\nhtpt = 1\r\n");
    assert_eq!(told(&folder), "portcullis.toml:3:1: listen.htpt: unknown key\n  hint: did you mean `http`?");
}
