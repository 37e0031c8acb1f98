//! What a reload tells.

use config::{Part, What, diff};

use crate::folder::Folder;
use crate::right::full;

#[test]
fn equal_files_differ_in_nothing() {
    let (one, two) = (full().load().unwrap(), full());
    let two_loaded = two.load().unwrap();
    assert_ne!(one.fingerprint, two_loaded.fingerprint, "another folder is another configuration");
    assert_eq!(two_loaded.fingerprint, two.load().unwrap().fingerprint);
    assert!(diff(&two_loaded, &two.load().unwrap()).is_empty());
}

#[test]
fn what_changed_is_named_and_what_needs_a_restart_marked() {
    let folder = Folder::new();
    folder.write(
        "portcullis.toml",
        "[[principal]]\nid = \"a\"\nos_user = \"a\"\n[[principal]]\nid = \"b\"\nos_user = \"b\"\n",
    );
    folder.write("inventory.toml", "[hosts.one]\naddress = \"one\"\n[hosts.two]\naddress = \"two\"\ncredential = { password = \"hunter2\" }");
    folder.write("policy/raw.cedar", "forbid(principal, action, resource);");
    let rule = |name: &str, tool: &str| {
        format!(
            "[[rule]]\nname = \"{name}\"\nforbid = [\"{tool}\"]\nprincipals = [\"*\"]\ntargets = [\"*\"]\n"
        )
    };
    folder.write("policy/ops.toml", &[rule("kept", "*"), rule("other", "*"), rule("gone", "*")].concat());
    let old = folder.load().unwrap();
    folder.write(
        "portcullis.toml",
        "watch = true\n[listen]\nhttp = \"127.0.0.1:1\"\nallowed_hosts = [\"x\"]\n[handles]\nttl = \"1m\"\n\
         [[principal]]\nid = \"b\"\nos_user = \"bob\"\n[[principal]]\nid = \"c\"\nos_user = \"c\"\n\
         [[credential_source]]\nname = \"env\"\nkind = \"env\"\nprefix = \"SECRET_\"\n",
    );
    folder.write("inventory.toml", "[hosts.two]\naddress = \"two\"\ncredential = { password = \"hunter3\" }\n[hosts.six]\naddress = \"six\"");
    folder.write("policy/raw.cedar", "permit(principal, action, resource);");
    let reordered =
        ["\n# moved\n".to_owned(), rule("other", "tier:read"), rule("new", "*"), rule("kept", "*")];
    folder.write("policy/ops.toml", &reordered.concat());
    let new = folder.load().unwrap();
    let changes = diff(&old, &new);
    let told: Vec<_> = changes.changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "principal `a` removed",
            "principal `b` changed",
            "principal `c` added",
            "credential source `env` added",
            "host `one` removed",
            "host `two` changed",
            "host `six` added",
            "rule `gone` removed",
            "rule `other` changed",
            "rule `new` added",
            "Cedar file `raw.cedar` changed",
            "setting `listen.http` changed",
            "setting `watch` changed",
            "setting `listen.allowed_hosts` changed",
            "setting `handles` changed",
        ]
    );
    assert_eq!(changes.restart, ["listen.http"]);
    assert_eq!(changes.changes[0].part, Part::Principal);
    assert_eq!(changes.changes[0].what, What::Removed);
    assert!(!format!("{changes:?}").contains("hunter"));
}

/// A key that is accepted works: without any line of the complete files, something else is loaded.
#[test]
fn every_line_of_the_complete_files_counts() {
    let whole = full();
    let complete = whole.load().unwrap();
    for name in ["portcullis.toml", "targets/hosts.toml"] {
        let text = std::fs::read_to_string(whole.path().join(name)).unwrap();
        for (index, line) in text.lines().enumerate() {
            // `compat` can only be empty, and the native format is the only one.
            let idle = ["compat = []", "format = \"native\"", "platform = \"linux\"", "shell = \"posix\""];
            if !line.contains(" = ") || idle.contains(&line) {
                continue;
            }
            let without: Vec<_> =
                text.lines().enumerate().filter(|(at, _)| *at != index).map(|(_, l)| l).collect();
            whole.write(name, &without.join("\n"));
            if let Ok(loaded) = whole.load() {
                assert!(!diff(&complete, &loaded).is_empty(), "{name}: `{line}` changes nothing");
            }
        }
        whole.write(name, &text);
    }
}
