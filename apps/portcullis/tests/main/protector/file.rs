//! `validate-config`, what is wrong with a file, and how the program is called.

use std::os::unix::fs::symlink;

use super::{LOCAL, Place, allow, http, stdio_upstream, text};
use crate::environment::run;

#[test]
fn a_file_is_checked_and_nothing_is_connected_to() {
    let marker = "[upstream]\nurl = \"stdio\"\ncommand = [\"touch\", \"started\"]\n";
    let place = Place::new(&format!("{marker}{LOCAL}{}", allow(&[])));
    for ran in [
        place.run("validate-config").into(),
        run(place.folder.path(), &["validate-config", "-c", "config.toml"]),
        run(place.folder.path(), &["--config", "config.toml", "validate-config"]),
    ] {
        assert_eq!((ran.exit, ran.out.as_str()), (0, ""), "{ran:?}");
        assert!(ran.err.lines().any(|line| line == "Config is valid."), "{ran:?}");
    }
    assert!(!place.path("started").exists());
}

#[test]
fn every_mistake_is_an_error_line_and_exit_1_for_both_commands() {
    let file = "[upstream]\nurl = \"http://h/\"\n[upstream.auth]\ntype = \"bearer\"\ntoken = \"\"\n\
                [listen]\ntransport = \"http\"\nport = 0\n[listen.auth]\ntype = \"ip_allowlist\"\n\
                allow = [\"10.0.0.1\"]\n[policy]\nallow = []\n";
    let place = Place::new(file);
    for task in ["validate-config", "proxy"] {
        let ran = place.run(task);
        assert_eq!((ran.status.code(), text(&ran.stdout).as_str()), (Some(1), ""), "{task}");
        let told = text(&ran.stderr);
        for line in [
            "Error: invalid config field 'upstream.url': expected 'stdio' or an 'https://' URL, got 'http://h/'",
            "Error: invalid config field 'upstream.auth.token': must not be empty or whitespace",
            "Error: invalid config field 'listen.port': 0 is not a valid port number (must be 1\u{2013}65535)",
            "Error: invalid config field 'listen.auth.allow[0]': '10.0.0.1' is not a valid CIDR range: invalid IP address syntax",
        ] {
            assert!(told.lines().any(|said| said == line), "{task}: {line}: {told}");
        }
        assert!(!told.contains("is valid"), "{told}");
    }
}

#[test]
fn a_file_that_cannot_be_read_or_parsed_is_named_and_never_quoted() {
    let (_, listen) = http("[listen.auth]\ntype = \"bearer\"\ntoken = \"hunter2\n");
    let place = Place::new(&format!("{}{listen}{}", stdio_upstream(), allow(&[])));
    let broken = place.run("proxy");
    let told = text(&broken.stderr);
    assert_eq!((broken.status.code(), text(&broken.stdout).as_str()), (Some(1), ""));
    assert!(told.contains("Error: failed to parse config file 'config.toml': line "), "{told}");
    assert!(!told.contains("hunter2"), "{told}");

    place.write(&format!("{}{LOCAL}[policy]\nalow = []\n", stdio_upstream()));
    let told = text(&place.run("validate-config").stderr);
    assert!(told.contains("missing field `allow`"), "{told}");

    std::fs::rename(place.path("config.toml"), place.path("real.toml")).unwrap();
    symlink("real.toml", place.path("config.toml")).unwrap();
    let linked = place.run("validate-config");
    assert_eq!(linked.status.code(), Some(1));
    let line = "Error: failed to read config file 'config.toml': config path must not be a symlink";
    assert!(text(&linked.stderr).lines().any(|said| said == line));

    std::fs::remove_file(place.path("config.toml")).unwrap();
    let missing = place.run("proxy");
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("Error: failed to read config file 'config.toml': No such file"));
}

#[test]
fn what_means_nothing_is_told_and_changes_nothing() {
    let token = "[upstream.auth]\ntype = \"bearer\"\ntoken = \"up-secret\"\n";
    let place = Place::new(&format!("typo = 1\n{}{token}{LOCAL}{}", stdio_upstream(), allow(&[])));
    let ran = place.run("validate-config");
    let told = text(&ran.stderr);
    assert_eq!(ran.status.code(), Some(0));
    assert!(told.contains("typo") && told.contains("upstream.auth") && !told.contains("up-secret"), "{told}");
    let quiet = place.command("validate-config").env("RUST_LOG", "mcp_protector=error").output().unwrap();
    assert_eq!(text(&quiet.stderr), "Config is valid.\n");
}

#[test]
fn it_is_called_as_before_and_wrong_usage_has_an_exit_code_of_its_own() {
    let place = Place::new("");
    let called = |arguments: &[&str]| {
        std::process::Command::new(place.path("mcp-protector")).args(arguments).output().unwrap()
    };
    let version = called(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert!(text(&version.stdout).starts_with("mcp-protector "));
    let help = called(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(text(&help.stdout).contains("proxy") && text(&help.stdout).contains("validate-config"));
    for wrong in [&[][..], &["proxy"], &["serve"], &["proxy", "--config"]] {
        assert_eq!(called(wrong).status.code(), Some(64), "{wrong:?}");
    }
    assert_eq!(run(place.folder.path(), &["proxy"]).exit, 64);
    place.write(&format!("{}{LOCAL}{}", stdio_upstream(), allow(&[])));
    let host = place.command("proxy").args(["--allow-host", "https://no-host"]).output().unwrap();
    assert_eq!(host.status.code(), Some(64), "{}", text(&host.stderr));
}
