//! `[[upstream]]`: what is taken, and what is refused by name.

use std::time::Duration;

use config::{ReachConfig, SandboxConfig, SandboxKind, Setting};
use model::{Abilities, CredentialRef, SecretLocation, Tier, UpstreamName};

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
folder = "work"
tools = ["get_issue", "list_issues"]
tier = { get_issue = "read" }
timeout = "20s"
max_concurrent = 7
calls_per_minute = 600
required = true
pin = "off"
user = "mcp"
read = ["lib", "/srv/shared"]
write = ["/var/lib/github"]
client_requests = ["elicitation", "roots"]

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
    let ReachConfig::Program { command, env: written, folder: runs_in, sandbox } = &github.reach else {
        panic!("{:?}", github.reach)
    };
    let paths = |paths: &[&str]| paths.iter().map(|path| folder.path().join(path)).collect::<Vec<_>>();
    let (read, write) = (paths(&["lib", "/srv/shared"]), paths(&["/var/lib/github"]));
    assert_eq!(*sandbox, SandboxConfig { kind: SandboxKind::Auto, user: Some("mcp".into()), read, write });
    assert_eq!(command[0], folder.path().join("bin/server").to_string_lossy());
    assert_eq!(command[1..], ["stdio", "--flag"]);
    let secret = SecretLocation::Stored(CredentialRef::parse("vaulted:a/b").unwrap());
    let env = [
        ("GITHUB_TOKEN".into(), Setting::Secret(secret)),
        ("PATH".into(), Setting::Plain("/usr/bin".into())),
    ];
    assert_eq!(*written, env.into());
    assert_eq!(*runs_in, folder.path().join("work"));
    assert_eq!(github.tools, Some(["get_issue".to_owned(), "list_issues".to_owned()].into()));
    assert_eq!(github.tier, [("get_issue".to_owned(), Tier::Read)].into());
    assert_eq!(
        (github.timeout, github.max_concurrent, github.required),
        (Some(Duration::from_secs(20)), 7, true)
    );
    assert_eq!((github.max_concurrent_per_principal, github.calls_per_minute), (4, Some(600)));
    assert_eq!((all.max_concurrent_per_principal, all.calls_per_minute), (32, None));
    let may = Abilities { form: true, page: true, sample: false, roots: true };
    assert_eq!((github.client_requests, all.client_requests), (may, Abilities::default()));
    assert_eq!((all.tools, all.timeout, all.max_concurrent, all.required), (None, None, 64, false));
}

#[test]
fn what_is_wrong_or_comes_later_is_refused_by_name() {
    let with = |line: &str| format!("{LEAST}{line}");
    let sandboxed = |kind: &str, line: &str| {
        format!("{}{line}", LEAST.replace("sandbox = \"off\"", &format!("sandbox = \"{kind}\"")))
    };
    let name = |name: &str| LEAST.replace("github", name);
    let cases: Vec<(String, Vec<String>)> = vec![
        (LEAST.to_owned(), vec![]),
        (
            "[[upstream]]\n".to_owned(),
            ["command: is missing...", "name: is missing", "tools: is missing"]
                .map(|key| format!("1:1 upstream[0].{key}"))
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
            LEAST.replace("pin = \"off\"", "pin = \"report\""),
            vec!["5:7 upstream[0].pin: `report` is not known here...".to_owned()],
        ),
        (LEAST.replace("sandbox = \"off\"", ""), vec![]),
        (
            LEAST.replace("sandbox = \"off\"", "sandbox = \"jail\""),
            vec!["6:11 upstream[0].sandbox: `jail` is not known here...".into()],
        ),
        (with("user = \"mcp\""), vec!["7:8 upstream[0].user: means nothing with this `sandbox`...".into()]),
        (
            sandboxed("landlock", "user = \"mcp\""),
            vec!["7:8 upstream[0].user: means nothing with this `sandbox`...".into()],
        ),
        (
            sandboxed("user", "user = \"root\""),
            vec!["7:8 upstream[0].user: `root` may do everything...".into()],
        ),
        (
            sandboxed("auto", "user = \"a b\""),
            vec!["7:8 upstream[0].user: is not the name of an account".into()],
        ),
        (
            sandboxed("user", "read = [\"/srv\"]"),
            vec!["7:8 upstream[0].read: means nothing with this `sandbox`...".into()],
        ),
        (
            with("write = [\"/srv\"]"),
            vec!["7:9 upstream[0].write: means nothing with this `sandbox`...".into()],
        ),
        (sandboxed("landlock", "read = [\"/srv\"]\nwrite = [\"/var/lib/x\"]"), vec![]),
        (
            sandboxed("auto", "read = [\"/\"]"),
            vec!["7:9 upstream[0].read[0]: no program may touch `...".into()],
        ),
        (
            sandboxed("auto", "write = [\"state/x\", \"policy\", \".\", \"portcullis.toml\"]"),
            [10, 21, 31, 36]
                .iter()
                .enumerate()
                .map(|(at, column)| format!("7:{column} upstream[0].write[{at}]: no program may touch `..."))
                .collect(),
        ),
        (
            with("client_requests = [\"tools\"]"),
            vec!["7:20 upstream[0].client_requests[0]: `tools` is not known here...".into()],
        ),
        (with("url = \"https://x\""), vec!["7:7 upstream[0].url: there is a `command` already...".into()]),
        (
            with("networks = { allow = [] }"),
            vec!["7:12 upstream[0].networks: is for an upstream with `url`".into()],
        ),
        (
            with("max_concurrent = 4\nmax_concurrent_per_principal = 5"),
            vec![
                "8:32 upstream[0].max_concurrent_per_principal: is more than `max_concurrent`, which is 4"
                    .into(),
            ],
        ),
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

#[test]
fn an_upstream_over_http_says_where_it_is_who_asks_and_whom_to_believe() {
    let folder = Folder::new();
    folder.write("ca.pem", "-");
    folder.write("own.pem", "-");
    folder.write("own.key", "-");
    folder.write(
        "portcullis.toml",
        r#"
[[upstream]]
name = "github"
url = "https://mcp.example.com:8443/mcp?x=1"
auth = { bearer = { env = "GITHUB" } }
headers = { X-Team = "blue", X-Api-Key = { env = "OTHER" } }
ca = "ca.pem"
client_cert = "own.pem"
client_key = "own.key"
networks = { allow = ["10.0.0.0/8"], block = ["10.9.0.0/16"] }
tools = []
pin = "off"

[[upstream]]
name = "here"
url = "http://[::1]:8000"
tools = []
pin = "off"
"#,
    );
    let [github, here] = folder.load().unwrap().configuration.upstreams.try_into().unwrap();
    let (ReachConfig::Http(github), ReachConfig::Http(here)) = (github.reach, here.reach) else { panic!() };
    assert_eq!(github.url, "https://mcp.example.com:8443/mcp?x=1");
    assert_eq!(github.bearer, Some(SecretLocation::Env("GITHUB".into())));
    let headers = [
        ("x-api-key".to_owned(), Setting::Secret(SecretLocation::Env("OTHER".into()))),
        ("x-team".to_owned(), Setting::Plain("blue".into())),
    ];
    assert_eq!(github.headers, headers.into());
    assert_eq!(github.ca, Some(folder.path().join("ca.pem")));
    assert_eq!(github.identity, Some((folder.path().join("own.pem"), folder.path().join("own.key"))));
    assert_eq!(github.allow, Some(vec!["10.0.0.0/8".parse().unwrap()]));
    assert_eq!(github.block, ["10.9.0.0/16".parse().unwrap()]);
    assert_eq!((here.bearer, here.allow, here.block), (None, None, vec![]));
}

#[test]
fn what_cannot_be_said_of_a_server_over_http_is_refused() {
    let least = "[[upstream]]\nname = \"a\"\ntools = []\npin = \"off\"\n";
    let url = |url: &str| format!("{least}url = \"{url}\"\n");
    let with = |line: &str| format!("{}{line}", url("https://x/mcp"));
    let oauth = |keys: &str| {
        let least = "[upstream.auth.oauth]\nclient_id = \"a\"\nclient_secret = { env = \"A\" }\n";
        with(&format!("{least}{keys}")).replace("mcp\"\n[", "mcp\"\n\n[")
    };
    let mut cases: Vec<(String, Vec<String>)> = Vec::new();
    for wrong in [
        "x",
        "ftp://x",
        "https://",
        "https://u:p@x/",
        "https://x/#f",
        "https://x/a b",
        "http://10.0.0.1/",
        "http://x/",
        "http://localhost.evil/",
        "http://127.0.0.1.evil/",
    ] {
        cases.push((url(wrong), vec!["5:7 upstream[0].url: is not the address of a server: ...".into()]));
    }
    for right in [
        "https://x",
        "https://10.0.0.1/mcp",
        "http://localhost:1/mcp",
        "http://127.0.0.1/",
        "http://[::1]:8/",
    ] {
        cases.push((url(right), vec![]));
    }
    cases.extend([
        (
            with("sandbox = \"off\""),
            vec!["6:11 upstream[0].sandbox: is for an upstream with `command`".into()],
        ),
        (with("read = []"), vec!["6:8 upstream[0].read: is for an upstream with `command`".into()]),
        (with("env = {}"), vec!["6:7 upstream[0].env: is for an upstream with `command`".into()]),
        (
            with("auth = { oauth = {} }"),
            ["client_id", "client_secret", "token_url"]
                .map(|key| {
                    let hint = if key == "token_url" { "..." } else { "" };
                    format!("6:18 upstream[0].auth.oauth.{key}: is missing{hint}")
                })
                .into(),
        ),
        (
            oauth("token_url = \"http://as.example/token\""),
            vec!["10:13 upstream[0].auth.oauth.token_url: is not the address of a server: ...".into()],
        ),
        (
            oauth("token_url = \"https://x/t\"\nresource_metadata = true"),
            vec!["11:21 upstream[0].auth.oauth.resource_metadata: needs `issuer` beside it...".into()],
        ),
        (
            oauth("issuer = \"https://x\"\nresource = \"https://y\"\nresource_metadata = true"),
            vec!["12:21 upstream[0].auth.oauth.resource_metadata: `resource` says it already...".into()],
        ),
        (
            oauth("issuer = \"https://x\"\nscopes = [\"a b\", \"c\"]"),
            vec!["11:11 upstream[0].auth.oauth.scopes[0]: is no scope...".into()],
        ),
        (oauth("issuer = \"https://x/tenant\"\nclient_auth = \"post\""), vec![]),
        (
            with("client_cert = \"Cargo.toml\""),
            vec!["6:15 upstream[0].client_cert: needs `client_key` beside it".into()],
        ),
        (
            with("headers = { Host = \"x\" }"),
            vec!["6:13 upstream[0].headers.Host: is the gateway's own to write".into()],
        ),
        (
            with("headers = { Mcp-Name = \"x\" }"),
            vec!["6:13 upstream[0].headers.Mcp-Name: is the gateway's own to write".into()],
        ),
        (
            with("headers = { \"a b\" = \"x\" }"),
            vec!["6:13 upstream[0].headers.\"a b\": expected the name of a header".into()],
        ),
        (
            with("headers = { X-a = \"x\", x-A = \"y\" }"),
            vec!["6:24 upstream[0].headers.x-A: the same header is written twice".into()],
        ),
        (
            with("headers = { Authorization = { env = \"A\" } }\nauth = { bearer = { env = \"A\" } }"),
            vec!["6:13 upstream[0].headers.Authorization: `auth` says it already...".into()],
        ),
        (with("networks = { allow = [\"x\"] }"), vec!["6:23 upstream[0].networks.allow[0]: ...".into()]),
    ]);
    for (text, expected) in &cases {
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check("portcullis.toml", &[(text.as_str(), expected.as_slice())]);
    }
}
