use std::path::PathBuf;

use crate::environment::{Installed, Ran, run};

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

/// Numbers of the entries that signed heads name.
fn heads(installed: &Installed) -> Vec<u64> {
    let text = installed.read("audit-heads.jsonl");
    let read = |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64().unwrap();
    text.lines().map(read).collect()
}

/// Verifies these lines as a journal of its own: with what is known of the original, or with nothing but itself.
fn verify(installed: &Installed, lines: &[Vec<u8>], head: bool) -> Ran {
    let copy = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = lines.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect();
    std::fs::write(copy.path().join("000001.jsonl"), bytes).unwrap();
    let (key, heads) = (installed.path("audit.key.pub"), installed.path("audit-heads.jsonl"));
    let mut arguments = vec!["audit", "verify", copy.path().to_str().unwrap(), "--json"];
    if head {
        arguments.extend(["--key", key.to_str().unwrap(), "--head", heads.to_str().unwrap()]);
    }
    run(copy.path(), &arguments)
}

#[test]
fn what_was_changed_reordered_or_removed_is_found_with_heads_and_without() {
    let installed = with_entries();
    let text = std::fs::read(journal_file(&installed)).unwrap();
    let whole: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let whole = &whole[..whole.len() - 1];
    for head in [true, false] {
        assert_eq!(verify(&installed, whole, head).exit, 0);
    }
    let mut damaged: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
    for at in [0, 1, 20, whole[4].len() / 2, whole[4].len() - 40, whole[4].len() - 1] {
        let mut lines = whole.to_vec();
        lines[4][at] ^= 1;
        damaged.push((format!("byte {at} of line 5 changed"), lines));
    }
    let mut lines = whole.to_vec();
    lines.remove(4);
    damaged.push(("line 5 removed".to_owned(), lines));
    for other in [5, 7] {
        let mut lines = whole.to_vec();
        lines.swap(4, other);
        damaged.push((format!("lines 5 and {} swapped", other + 1), lines));
    }
    let mut lines = whole.to_vec();
    lines.insert(4, whole[3].clone());
    damaged.push(("line 4 twice".to_owned(), lines));
    for (what, lines) in damaged {
        for head in [true, false] {
            let ran = verify(&installed, &lines, head);
            assert_eq!(ran.exit, 5, "{what}: {ran:?}");
            let bad = &ran.json()["first_bad"];
            assert_eq!((bad["line"].as_u64(), bad["seq"].as_u64()), (Some(5), Some(5)), "{what}: {ran:?}");
            assert!(ran.err.contains("000001.jsonl: line 5 (entry 5)"), "{what}: {ran:?}");
        }
    }
}

#[test]
fn a_removed_tail_is_found_with_heads_and_said_to_be_possible_without() {
    let installed = with_entries();
    let text = std::fs::read(journal_file(&installed)).unwrap();
    let whole: Vec<Vec<u8>> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let whole = &whole[..whole.len() - 1];
    let heads = heads(&installed);
    for left in [whole.len() - 1, whole.len() - 4, 3, 1] {
        let first_missing = heads.iter().copied().find(|seq| *seq > left as u64).unwrap();
        let ran = verify(&installed, &whole[..left], true);
        assert_eq!(ran.exit, 5, "{left}: {ran:?}");
        assert_eq!(ran.json()["first_bad"]["seq"].as_u64(), Some(first_missing), "{left}: {ran:?}");
        assert!(ran.err.contains("the tail was cut off"), "{left}: {ran:?}");
        let ran = verify(&installed, &whole[..left], false);
        assert_eq!((ran.exit, ran.json()["anchored"].as_u64()), (0, None), "{left}: {ran:?}");
    }
    assert_eq!(verify(&installed, &[], true).exit, 5);
    // In place, the heads that are configured are used without being named.
    std::fs::write(journal_file(&installed), [whole[..2].join(&b'\n'), b"\n".to_vec()].concat()).unwrap();
    assert_eq!(installed.run(&["audit", "verify"]).exit, 5);
}

/// Who cuts the end off could else remove what would show it.
#[test]
fn missing_or_emptied_heads_are_no_clean_journal() {
    let installed = with_entries();
    let (file, heads) = (journal_file(&installed), installed.path("audit-heads.jsonl"));
    let text = std::fs::read_to_string(&file).unwrap();
    let cut: Vec<&str> = text.lines().take(2).collect();
    std::fs::write(&file, cut.join("\n") + "\n").unwrap();
    for emptied in [true, false] {
        if emptied {
            std::fs::write(&heads, "").unwrap();
        } else {
            std::fs::remove_file(&heads).unwrap();
        }
        let ran = installed.run(&["audit", "verify"]);
        assert_eq!(ran.exit, 5, "{ran:?}");
        assert!(ran.err.contains("holds no signed head"), "{ran:?}");
        let ran = installed.run(&["audit", "verify", "--json"]);
        assert_eq!((ran.exit, ran.json()["ok"].as_bool()), (5, Some(false)), "{ran:?}");
    }
    let named = installed.run(&["audit", "verify", "state/journal", "--head", heads.to_str().unwrap()]);
    assert_ne!(named.exit, 0, "a head that is named must be there: {named:?}");
    let copied = installed.run(&["audit", "verify", "state/journal"]);
    assert_eq!(copied.exit, 0, "without any head nothing is claimed: {copied:?}");
    assert!(copied.out.contains("not anchored"), "{copied:?}");
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
