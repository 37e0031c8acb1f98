use std::path::PathBuf;

use crate::environment::{Installed, run};

fn with_entries() -> Installed {
    let installed = Installed::new();
    for _ in 0..3 {
        assert_eq!(installed.run(&["whoami"]).exit, 0);
    }
    installed
}

fn journal_file(installed: &Installed) -> PathBuf {
    let mut files: Vec<PathBuf> = std::fs::read_dir(installed.path("state/journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| std::fs::metadata(path).unwrap().len() > 0)
        .filter(|path| std::fs::read_to_string(path).is_ok_and(|text| text.starts_with("{\"seq\"")))
        .collect();
    files.sort();
    files.remove(0)
}

#[test]
fn an_untouched_journal_is_verified_and_anchored() {
    let installed = with_entries();
    let ran = installed.run(&["audit", "verify", "--json"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let report = ran.json();
    assert_eq!(report["ok"], true);
    assert!(report["entries"].as_u64().unwrap() >= 6);
    assert!(report["anchored"].as_u64().is_some(), "{report}");
}

#[test]
fn what_was_changed_reordered_or_cut_off_is_found() {
    type Damage = fn(Vec<&str>) -> Vec<String>;
    let damages: [(&str, Damage); 3] = [
        ("changed", |lines| {
            let mut lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
            lines[2] = lines[2].replacen("operator", "operatot", 1);
            lines
        }),
        ("reordered", |lines| {
            let mut lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
            lines.swap(2, 3);
            lines
        }),
        ("cut off", |lines| lines[..lines.len() - 2].iter().map(|line| (*line).to_owned()).collect()),
    ];
    for (name, damage) in damages {
        let installed = with_entries();
        let file = journal_file(&installed);
        let text = std::fs::read_to_string(&file).unwrap();
        let damaged = damage(text.lines().collect()).join("\n") + "\n";
        assert_ne!(damaged, text, "{name}");
        std::fs::write(&file, damaged).unwrap();
        let ran = installed.run(&["audit", "verify", "--json"]);
        assert_eq!(ran.exit, 5, "{name}: {ran:?}");
        assert!(ran.json()["first_bad"]["seq"].as_u64().is_some(), "{name}: {ran:?}");
    }
}

#[test]
fn a_copy_is_verified_without_any_configuration() {
    let installed = with_entries();
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    for entry in std::fs::read_dir(installed.path("state/journal")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
    }
    let (key, head) = (installed.path("audit.key.pub"), installed.path("audit-heads.jsonl"));
    let arguments =
        ["audit", "verify", "copy", "--key", key.to_str().unwrap(), "--head", head.to_str().unwrap()];
    let ran = run(elsewhere.path(), &arguments);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert!(ran.out.contains("anchored up to"), "{ran:?}");
    let line = std::fs::read_to_string(&key).unwrap();
    let ran = run(
        elsewhere.path(),
        &["audit", "verify", "copy", "--key", line.trim(), "--head", head.to_str().unwrap()],
    );
    assert_eq!(ran.exit, 0, "{ran:?}");
    let bare = run(elsewhere.path(), &["audit", "verify", "copy"]);
    assert_eq!(bare.exit, 0);
    assert!(bare.out.contains("not anchored"), "{bare:?}");
    assert_eq!(run(elsewhere.path(), &["audit", "verify", "copy", "--key", "nonsense"]).exit, 64);
    assert_ne!(run(elsewhere.path(), &["audit", "verify", "nowhere"]).exit, 0);
}

#[test]
fn entries_are_read_back_by_what_they_say() {
    let installed = with_entries();
    let tail = installed.run(&["audit", "tail", "-n", "2"]);
    assert_eq!((tail.exit, tail.out.lines().count()), (0, 2), "{tail:?}");
    let query = installed.run(&["audit", "query", "--tool", "whoami", "--since", "1h", "--json"]);
    assert_eq!(query.exit, 0, "{query:?}");
    assert!(query.out.lines().count() >= 3, "{query:?}");
    for line in query.out.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(entry["tool"], "whoami");
    }
    let none = installed.run(&["audit", "query", "--until", "1d"]);
    assert_eq!((none.exit, none.out.as_str()), (0, ""), "{none:?}");
}
