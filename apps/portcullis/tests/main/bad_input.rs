//! Files that are broken or missing: each is named, and nothing is lost.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::json;

use crate::bytes::contains;
use crate::environment::{Installed, Ran};
use crate::site::{Site, verify};

const SECRET: &str = "correct-horse-9f2c1e77";

/// A configuration that has been used: a secret in the keystore, entries in the journal.
fn used() -> Installed {
    let installed = Installed::new();
    let set = installed.run_with_input(&["secret", "set", "prod/web1", "--username", "root"], SECRET);
    assert_eq!(set.exit, 0, "{set:?}");
    assert_eq!(installed.run(&["whoami"]).exit, 0);
    installed
}

fn told(ran: &Ran, exit: i32, words: &[&str], what: &str) {
    assert_eq!(ran.exit, exit, "{what}: {ran:?}");
    for word in words {
        assert!(ran.err.contains(word), "{what}: `{word}` is not said: {ran:?}");
    }
    assert!(
        !ran.err.contains("panicked") && !ran.err.contains(SECRET) && !ran.out.contains(SECRET),
        "{what}: {ran:?}"
    );
}

/// What happens to a file.
type Damage = fn(Vec<u8>) -> Vec<u8>;
const DAMAGES: [(&str, Damage); 4] = [
    ("emptied", |_| Vec::new()),
    ("cut short", |bytes| bytes[..bytes.len() / 2].to_vec()),
    ("one bit changed", |mut bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    }),
    ("replaced", |_| b"something else altogether\n".repeat(40)),
];

#[test]
fn a_damaged_keystore_is_named_and_left_alone() {
    for (name, damage) in DAMAGES {
        let installed = used();
        let whole = fs::read(installed.path("keystore")).unwrap();
        let damaged = damage(whole.clone());
        fs::write(installed.path("keystore"), &damaged).unwrap();
        for verb in [vec!["secret", "list"], vec!["secret", "test", "prod/web1"], vec!["serve"]] {
            told(&installed.run(&verb), 5, &["keystore", "hint: restore it"], &format!("{name}, {verb:?}"));
        }
        let set = installed.run_with_input(&["secret", "set", "prod/web2"], "another");
        told(&set, 5, &["keystore"], name);
        assert_eq!(fs::read(installed.path("keystore")).unwrap(), damaged, "{name}");
        fs::write(installed.path("keystore"), whole).unwrap();
        assert_eq!(installed.run(&["secret", "test", "prod/web1"]).exit, 0, "{name}");
        verify(&installed);
    }
}

#[test]
fn a_wrong_or_missing_master_key_is_named() {
    let installed = used();
    let other = Installed::new();
    let key = installed.read("keystore.key");
    for wrong in [other.read("keystore.key"), "nonsense".to_owned(), String::new()] {
        installed.write("keystore.key", &wrong);
        told(&installed.run(&["secret", "test", "prod/web1"]), 1, &["keystore"], &wrong);
    }
    fs::remove_file(installed.path("keystore.key")).unwrap();
    told(&installed.run(&["secret", "test", "prod/web1"]), 1, &["keystore.key"], "missing");
    installed.write("keystore.key", &key);
    fs::set_permissions(installed.path("keystore.key"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(installed.run(&["secret", "test", "prod/web1"]).exit, 0);
}

#[test]
fn a_damaged_store_is_named_and_left_alone() {
    // A bit in an unused page is nobody's, and an empty file is a new store: handles are short-lived.
    let noticed = DAMAGES.into_iter().filter(|(name, _)| !["emptied", "one bit changed"].contains(name));
    for (name, damage) in noticed {
        let installed = used();
        let path = installed.path("state/store.sqlite");
        let whole = fs::read(&path).unwrap();
        let damaged = damage(whole);
        fs::write(&path, &damaged).unwrap();
        for verb in [vec!["whoami"], vec!["serve"]] {
            told(&installed.run(&verb), 5, &["store.sqlite", "hint: move"], &format!("{name}, {verb:?}"));
        }
        assert_eq!(fs::read(&path).unwrap(), damaged, "{name}");
        verify(&installed);
    }
}

#[test]
fn a_damaged_journal_is_not_continued() {
    let installed = used();
    let file = installed.path("state/journal/000001.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    let changed = text.replacen("operator", "operatot", 1);
    fs::write(&file, &changed).unwrap();
    for verb in [vec!["whoami"], vec!["serve"]] {
        let words = ["journal is damaged", "000001.jsonl` line", "hint: run `portcullis audit verify`"];
        told(&installed.run(&verb), 5, &words, &format!("{verb:?}"));
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), changed);
    assert_eq!(installed.run(&["audit", "verify"]).exit, 5);
    fs::write(&file, text).unwrap();
    assert_eq!(installed.run(&["whoami"]).exit, 0);
    verify(&installed);
}

#[test]
fn without_its_signing_or_seal_key_the_gateway_does_not_start() {
    for name in ["audit.key", "audit-seal.key"] {
        for damage in [None, Some(""), Some("portcullis-audit-signing-key-v1 AAAA"), Some("nonsense")] {
            let installed = used();
            let (key, path) = (installed.read(name), installed.path(name));
            match damage {
                None => fs::remove_file(&path).unwrap(),
                Some(text) => installed.write(name, text),
            }
            let before = fs::read(installed.path("state/journal/000001.jsonl")).unwrap();
            for verb in [vec!["serve"], vec!["whoami"]] {
                let ran = installed.run(&verb);
                assert!([1, 2].contains(&ran.exit), "{name} {damage:?}: {ran:?}");
                told(&ran, ran.exit, &[name], &format!("{damage:?}"));
            }
            assert_eq!(fs::read(installed.path("state/journal/000001.jsonl")).unwrap(), before);
            installed.write(name, &key);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert_eq!(installed.run(&["whoami"]).exit, 0);
            verify(&installed);
        }
    }
}

#[tokio::test]
async fn known_hosts_that_cannot_be_read_trust_nobody() {
    let site = Site::new();
    let run = || {
        site.installed.run(&["call", "ssh_execute", "host=web1", "command=id -un", "--as", "agent", "--json"])
    };
    let known = site.installed.read("known_hosts");
    assert_eq!(run().exit, 0);
    let path = site.installed.path("known_hosts");
    // A folder in its place, and a link that leads nowhere.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let ran = run();
    assert_eq!(ran.exit, 2, "{ran:?}");
    assert!(format!("{ran:?}").contains("known_hosts"), "{ran:?}");
    fs::remove_dir(&path).unwrap();
    symlink("nowhere", &path).unwrap();
    assert_eq!(run().json()["code"], "target.hostkey_unknown");
    fs::remove_file(&path).unwrap();
    // Lines that are none do not hide those that are.
    for (more, code) in [("nonsense\n\u{0}\n[127.0.0.1]:1 ssh-ed25519 AAAA\n", 0), ("", 0)] {
        site.installed.write("known_hosts", &format!("{more}{known}{more}"));
        let ran = run();
        assert_eq!(ran.exit, code, "{ran:?}");
    }
    site.verify();
}

#[tokio::test]
async fn wrong_arguments_are_told_with_what_was_expected() {
    let site = Site::new();
    let gateway = site.serve();
    let client = site.http(&gateway, testkit::Era::Modern).await;
    let of = |more: serde_json::Value| {
        let mut arguments = json!({ "host": "web1", "command": "id -un" });
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        arguments
    };
    for (arguments, code, word) in [
        (json!({}), "input.invalid", "host"),
        (json!({ "host": "web1" }), "input.invalid", "command"),
        (of(json!({ "timeout": "soon" })), "input.invalid", "timeout"),
        (of(json!({ "timeout": 0 })), "input.invalid", "timeout"),
        (of(json!({ "timeout": 1e99 })), "input.invalid", "timeout"),
        (of(json!({ "colour": "red" })), "input.invalid", "colour"),
        (of(json!({ "command": ["id"] })), "input.invalid", "command"),
        (of(json!({ "command": "x".repeat(40_000) })), "input.invalid", "command"),
        (of(json!({ "host": "web2" })), "target.unknown", "web2"),
        (of(json!({ "host": "127.0.0.2" })), "target.unknown", "127.0.0.2"),
        (of(json!({ "secret_handle": "nonsense" })), "handle_unknown", "secret://"),
        (of(json!({ "secret_handle": format!("secret://{}", "A".repeat(43)) })), "handle_unknown", "handle"),
        (of(json!({ "command": "id\u{0}" })), "denied.command", "id"),
        (of(json!({ "command": "echo $(id)" })), "denied.command", "$("),
    ] {
        let answer = client.call("ssh_execute", arguments.clone()).await.unwrap();
        assert!(answer.is_error(), "{arguments}: {answer:?}");
        assert_eq!(answer.structured()["code"], code, "{arguments}: {answer:?}");
        let text = answer.text();
        assert!(contains(text.as_bytes(), word.as_bytes()), "{arguments}: {text}");
    }
    assert_eq!(site.sshd.logins(), 0, "nothing was asked of the host");
    assert!(gateway.terminate().success());
    site.verify();
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let installed = Installed::new();
    for verb in ["serve", "check", "whoami", "health", "reload"] {
        told(&installed.run(&["--config", "nowhere.toml", verb]), 1, &["nowhere.toml"], verb);
    }
    for (name, replaced) in [("inventory.toml", "inventory"), ("policy", "policy")] {
        let installed = Installed::new();
        let path = installed.path(name);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap()
        } else {
            fs::remove_file(&path).unwrap()
        }
        for verb in ["serve", "check"] {
            told(&installed.run(&[verb]), 1, &[replaced], name);
        }
    }
}
