//! `[[upstream]]`: what is taken, and what is refused by name.

use std::time::Duration;

use config::Setting;
use model::{CredentialRef, SecretLocation, Tier, UpstreamName};

use crate::folder::Folder;
use crate::wrong::check;

const LEAST: &str =
    "[[upstream]]\nname = \"github\"\ncommand = [\"server\"]\ntools = []\npin = \"off\"\nsandbox = \"off\"\n";

#[test]
fn an_upstream_says_what_is_started_and_what_may_be_used_of_it() {
    let folder = Folder::new();
    folder.write(
        "portcullis.toml",
        r#"
[[credential_source]]
name = "vaulted"
kind = "env"
prefix = "SECRET_"

[[upstream]]
name = "github"
command = ["bin/server", "stdio", "--flag"]
env = { PATH = "/usr/bin", GITHUB_TOKEN = { secret = "vaulted:a/b" } }
tools = ["get_issue", "list_issues"]
tier = { get_issue = "read" }
timeout = "20s"
max_concurrent = 8
required = true
pin = "off"
sandbox = "off"
client_requests = []

[[upstream]]
name = "all-of-it"
command = ["server"]
tools = "*"
pin = "off"
sandbox = "off"
"#,
    );
    let [github, all] = folder.load().unwrap().configuration.upstreams.try_into().unwrap();
    assert_eq!(github.name, UpstreamName::parse("github").unwrap());
    assert_eq!(github.command[0], folder.path().join("bin/server").to_string_lossy());
    assert_eq!(github.command[1..], ["stdio", "--flag"]);
    let secret = SecretLocation::Stored(CredentialRef::parse("vaulted:a/b").unwrap());
    let env = [
        ("GITHUB_TOKEN".into(), Setting::Secret(secret)),
        ("PATH".into(), Setting::Plain("/usr/bin".into())),
    ];
    assert_eq!(github.env, env.into());
    assert_eq!(github.tools, Some(["get_issue".to_owned(), "list_issues".to_owned()].into()));
    assert_eq!(github.tier, [("get_issue".to_owned(), Tier::Read)].into());
    assert_eq!(
        (github.timeout, github.max_concurrent, github.required),
        (Some(Duration::from_secs(20)), 8, true)
    );
    assert_eq!((all.tools, all.timeout, all.max_concurrent, all.required), (None, None, 64, false));
}

#[test]
fn what_is_wrong_or_comes_later_is_refused_by_name() {
    let with = |line: &str| format!("{LEAST}{line}");
    let later = "comes with a later version of Portcullis";
    let name = |name: &str| LEAST.replace("github", name);
    let cases: Vec<(String, Vec<String>)> = vec![
        (LEAST.to_owned(), vec![]),
        (
            "[[upstream]]\n".to_owned(),
            ["command", "name", "pin", "sandbox", "tools"]
                .map(|key| format!("1:1 upstream[0].{key}: is missing"))
                .into(),
        ),
        (name("ssh"), vec!["2:8 upstream[0].name: `ssh` is the name of a set or an endpoint...".into()]),
        (name("Git_Hub"), vec!["2:8 upstream[0].name: `Git_Hub` is not a name of an upstream...".into()]),
        (format!("{LEAST}{LEAST}"), vec!["8:8 upstream[1].name: the same name is already at line 2".into()]),
        (LEAST.replace("[\"server\"]", "[]"), vec!["3:11 upstream[0].command: must not be empty".into()]),
        (
            LEAST.replace("tools = []", "tools = [\"*\"]"),
            vec!["4:10 upstream[0].tools[0]: `*` is no tool...".into()],
        ),
        (
            LEAST.replace("tools = []", "tools = [\"a\", \"a\"]"),
            vec!["4:15 upstream[0].tools[1]: the same tool is named twice".into()],
        ),
        (
            LEAST.replace("tools = []", "tools = [\"a b\"]"),
            vec!["4:10 upstream[0].tools[0]: `a b` is not a tool that rules could name...".into()],
        ),
        (
            with("tier = { x = \"read\" }"),
            vec!["7:10 upstream[0].tier.x: `tools` does not list `x`...".into()],
        ),
        (with("env = { API_KEY = \"\" }"), vec!["7:19 upstream[0].env.API_KEY: the secret is empty".into()]),
        (
            with("env = { \"A B\" = \"x\" }"),
            vec!["7:9 upstream[0].env.\"A B\": expected the name of an environment variable".into()],
        ),
        (
            LEAST.replace("pin = \"off\"", "pin = \"strict\""),
            vec![format!("5:7 upstream[0].pin: `strict` {later}")],
        ),
        (
            LEAST.replace("sandbox = \"off\"", "sandbox = \"auto\""),
            vec![format!("6:11 upstream[0].sandbox: `auto` {later}")],
        ),
        (
            with("client_requests = [\"sampling\"]"),
            vec![format!("7:20 upstream[0].client_requests[0]: `sampling` {later}")],
        ),
        (with("url = \"https://x\""), vec![format!("7:1 upstream[0].url: {later}")]),
        (with("auth = { bearer = \"hunter2\" }"), vec![format!("7:1 upstream[0].auth: {later}")]),
        (with("networks = { allow = [] }"), vec![format!("7:1 upstream[0].networks: {later}")]),
        (with("colour = 1"), vec!["7:1 upstream[0].colour: unknown key...".into()]),
    ];
    for (text, expected) in &cases {
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check("portcullis.toml", &[(text.as_str(), expected.as_slice())]);
    }
}

#[test]
fn a_host_and_an_upstream_never_share_a_name() {
    let folder = Folder::new();
    folder.write("portcullis.toml", LEAST);
    folder.write("inventory.toml", "[hosts.github]\naddress = \"10.0.0.1\"\n");
    let findings: Vec<_> = folder.load().unwrap_err().into_iter().collect();
    assert!(
        findings.iter().any(|finding| finding.message == "a host of the inventory is called `github`"),
        "{findings:?}"
    );
}
