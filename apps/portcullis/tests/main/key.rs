use crate::environment::{Installed, run};

#[test]
fn a_new_key_has_its_form_and_needs_no_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let told = run(folder.path(), &["key", "new", "claude-ops", "--json"]).json();
    let (key, hash) = (told["key"].as_str().unwrap(), told["hash"].as_str().unwrap());
    assert_eq!(told["algorithm"], "blake3");
    assert!(key.starts_with("pk_") && key.len() == 3 + 8 + 1 + 43, "{key}");
    assert!(key[3..11].bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)), "{key}");
    assert_eq!(hash, format!("{}:{}", &key[..11], blake3::hash(key.as_bytes()).to_hex()));
    let other = run(folder.path(), &["key", "new", "claude-ops", "--json"]).json();
    assert_ne!(told["key"], other["key"]);
    // For people: the key alone on standard output, everything else beside it.
    let shown = run(folder.path(), &["key", "new", "claude-ops"]);
    assert_eq!(shown.out.lines().count(), 1);
    assert!(shown.err.contains("api_key = {") && !shown.err.contains(shown.out.trim()), "{shown:?}");
}

#[test]
fn the_line_it_prints_is_accepted_and_can_be_found_again() {
    let installed = Installed::new();
    let told = installed.run(&["key", "new", "second", "--json"]).json();
    installed.append(
        "portcullis.toml",
        &format!("[[principal]]\nid = \"second\"\n{}", told["toml"].as_str().unwrap()),
    );
    assert_eq!(installed.run(&["check"]).exit, 0);
    let prefix = &told["key"].as_str().unwrap()[..11];
    let listed = installed.run(&["key", "list", "--json"]).json();
    let keys = listed["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    assert_eq!((&keys[1]["principal"], keys[1]["prefix"].as_str()), (&"second".into(), Some(prefix)));

    // By prefix, by principal, and by the key itself, which is not repeated.
    for name in [prefix, "second", told["key"].as_str().unwrap()] {
        let ran = installed.run(&["key", "revoke", name]);
        assert_eq!(ran.exit, 0, "{ran:?}");
        let line =
            installed.read("portcullis.toml").lines().position(|line| line.contains(prefix)).unwrap() + 1;
        assert!(ran.out.contains(&format!("portcullis.toml:{line}:")), "{ran:?}");
        assert!(!ran.out.contains(told["key"].as_str().unwrap()), "{ran:?}");
    }
    let unknown = installed.run(&["key", "revoke", "nobody"]);
    assert_eq!(unknown.exit, 2);
}
