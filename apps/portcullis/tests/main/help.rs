use crate::environment::run;

/// Every path through the tree of commands, as the help itself tells it.
fn commands(of: &[String]) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let arguments: Vec<&str> = of.iter().map(String::as_str).chain(["--help"]).collect();
    let help = run(folder.path(), &arguments);
    assert_eq!((help.exit, help.err.as_str()), (0, ""), "{of:?}");
    assert!(help.out.contains("Usage: portcullis"), "{of:?}: {}", help.out);
    let listed = help.out.split("Commands:\n").nth(1).unwrap_or_default();
    let names = listed
        .lines()
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().next());
    let mut all = vec![of.to_vec()];
    for name in names.filter(|name| *name != "help") {
        let deeper: Vec<String> = of.iter().cloned().chain([name.to_owned()]).collect();
        all.extend(commands(&deeper));
    }
    all
}

#[test]
fn every_command_has_help_and_needs_no_configuration_for_it() {
    let all: Vec<String> = commands(&[]).iter().map(|path| path.join(" ")).collect();
    for expected in [
        "init",
        "serve",
        "stdio",
        "check",
        "reload",
        "health",
        "whoami",
        "call",
        "target list",
        "target show",
        "target test",
        "tools list",
        "tools show",
        "tools cost",
        "key new",
        "key list",
        "key revoke",
        "secret set",
        "secret list",
        "secret rm",
        "secret rotate-master",
        "secret test",
        "hostkey scan",
        "hostkey list",
        "hostkey trust",
        "hostkey revoke",
        "hostkey ca add",
        "hostkey ca list",
        "policy show",
        "policy explain",
        "policy test",
        "policy lint",
        "audit tail",
        "audit query",
        "audit verify",
        "completions",
    ] {
        assert!(all.iter().any(|found| found == expected), "{expected} is missing");
    }
}

#[test]
fn wrong_usage_exits_64_and_version_0() {
    let folder = tempfile::tempdir().unwrap();
    for wrong in [
        vec![],
        vec!["frobnicate"],
        vec!["call"],
        vec!["key"],
        vec!["check", "--colour"],
        vec!["check", "-q", "-v"],
        vec!["completions", "tcsh9"],
        vec!["audit", "tail", "-n", "many"],
        vec!["audit", "query", "--since", "soon"],
        vec!["key", "new", "not a principal"],
    ] {
        let ran = run(folder.path(), &wrong);
        assert_eq!((ran.exit, ran.out.as_str()), (64, ""), "{wrong:?}: {ran:?}");
        assert!(!ran.err.is_empty());
    }
    let version = run(folder.path(), &["--version"]);
    assert_eq!((version.exit, version.out.trim()), (0, concat!("portcullis ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn without_a_configuration_commands_say_how_to_get_one() {
    let folder = tempfile::tempdir().unwrap();
    for command in [vec!["check"], vec!["serve"], vec!["health"], vec!["whoami"], vec!["key", "list"]] {
        let ran = run(folder.path(), &command);
        assert_eq!(ran.exit, 1, "{command:?}: {ran:?}");
        assert!(ran.err.contains("portcullis init"), "{command:?}: {ran:?}");
    }
    let named = run(folder.path(), &["-c", "elsewhere.toml", "check"]);
    assert_eq!(named.exit, 1);
    assert!(named.err.contains("elsewhere.toml"), "{named:?}");
}

#[test]
fn shells_get_their_completions() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run(folder.path(), &["completions", shell]);
        assert_eq!(ran.exit, 0);
        assert!(ran.out.contains("portcullis") && ran.out.contains("rotate-master"), "{shell}");
    }
}

#[test]
fn colour_is_only_used_where_it_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for (when, coloured) in [("auto", false), ("never", false), ("always", true)] {
        let ran = run(folder.path(), &["check", "--color", when]);
        assert_eq!(ran.err.contains('\u{1b}'), coloured, "{when}: {ran:?}");
        assert!(ran.err.contains("error"), "the word is there without the colour");
    }
}
