use super::{Auth, Listen, Mistake, Protector, Upstream};

const STDIO: &str = "[upstream]\nurl = \"stdio\"\ncommand = [\"server\", \"-x\"]\n";
const HTTPS: &str = "[upstream]\nurl = \"https://mcp.example.com/mcp\"\n";
const LOCAL: &str = "[listen]\ntransport = \"stdio\"\n";
const ALLOW: &str = "[policy]\nallow = [\"echo\"]\n";

fn parse(text: &str) -> Result<Protector, Vec<Mistake>> {
    Protector::parse(text, |token| format!("kept {}", token.len()))
}

fn mistakes(text: &str) -> Vec<String> {
    parse(text).unwrap_err().iter().map(ToString::to_string).collect()
}

fn http(more: &str) -> String {
    format!("{STDIO}[listen]\ntransport = \"http\"\nport = 3000\n{more}{ALLOW}")
}

#[test]
fn a_file_says_what_its_program_made_of_it() {
    let file = parse(&format!("{STDIO}{LOCAL}{ALLOW}")).unwrap();
    assert_eq!(file.upstream, Upstream::Program { command: vec!["server".to_owned(), "-x".to_owned()] });
    assert_eq!(file.listen, Listen::Stdio);
    assert!(file.allow.contains("echo") && file.allow.len() == 1 && file.unknown.is_empty());

    let nobody = parse(&http("")).unwrap();
    assert_eq!(nobody.listen, Listen::Http { port: 3000, auth: Auth::Nobody });
    let bearer = parse(&http("[listen.auth]\ntype = \"bearer\"\ntoken = \"t0ken\"\n")).unwrap();
    assert_eq!(bearer.listen, Listen::Http { port: 3000, auth: Auth::Bearer("kept 5".to_owned()) });
    // Host bits may be set, as they might there.
    let addresses = "[listen.auth]\ntype = \"ip_allowlist\"\nallow = [\"10.0.0.5/8\", \"::1/128\"]\n";
    let Listen::Http { auth: Auth::Addresses(networks), .. } = parse(&http(addresses)).unwrap().listen else {
        panic!("addresses")
    };
    assert!(networks[0].contains(&"10.200.0.1".parse::<std::net::IpAddr>().unwrap()));

    let auth = "[upstream.auth]\ntype = \"bearer\"\ntoken = \"up-secret\"\n";
    let remote = parse(&format!("{HTTPS}{auth}{LOCAL}{ALLOW}")).unwrap();
    assert!(matches!(&remote.upstream, Upstream::Https { url, token: Some(_) } if url.ends_with("/mcp")));
    assert!(!format!("{remote:?}").contains("up-secret"));
}

#[test]
fn the_allowlist_is_taken_byte_for_byte() {
    let all = "[policy]\nallow = [\"*\", \"\", \"echo \", \"Echo\", \"*\"]\n";
    let allow = parse(&format!("{STDIO}{LOCAL}{all}")).unwrap().allow;
    assert_eq!(allow.iter().map(String::as_str).collect::<Vec<_>>(), ["", "*", "Echo", "echo "]);
    assert!(parse(&format!("{STDIO}{LOCAL}[policy]\nallow = []\n")).unwrap().allow.is_empty());
}

#[test]
fn every_mistake_has_the_words_of_the_old_program() {
    let at = |field: &str, reason: &str| format!("invalid config field '{field}': {reason}");
    let listen_auth = |more: &str| http(&format!("[listen.auth]\n{more}\n"));
    let upstream = |url: &str| format!("[upstream]\nurl = \"{url}\"\n{LOCAL}{ALLOW}");
    for (text, field, reason) in [
        (
            upstream("http://127.0.0.1:1/"),
            "upstream.url",
            "expected 'stdio' or an 'https://' URL, got 'http://127.0.0.1:1/'",
        ),
        (
            upstream("https://"),
            "upstream.url",
            "'https://' is not a valid HTTPS URL (must have a non-empty host and no userinfo)",
        ),
        (
            upstream("https://:443/x"),
            "upstream.url",
            "'https://:443/x' is not a valid HTTPS URL (must have a non-empty host and no userinfo)",
        ),
        (
            upstream("https://me:hunter2@h/x"),
            "upstream.url",
            "'https://***@h/x' is not a valid HTTPS URL (must have a non-empty host and no userinfo)",
        ),
        (upstream("stdio"), "upstream.command", "required when upstream.url is 'stdio'"),
        (
            format!("{HTTPS}[upstream.auth]\ntype = \"basic\"\n{LOCAL}{ALLOW}"),
            "upstream.auth.type",
            "unknown value 'basic'; expected 'bearer'",
        ),
        (
            format!("{HTTPS}[upstream.auth]\ntype = \"bearer\"\n{LOCAL}{ALLOW}"),
            "upstream.auth.token",
            "required when upstream.auth.type is 'bearer'",
        ),
        (
            format!("{HTTPS}[upstream.auth]\ntype = \"bearer\"\ntoken = \" \"\n{LOCAL}{ALLOW}"),
            "upstream.auth.token",
            "must not be empty or whitespace",
        ),
        (
            format!("{STDIO}[listen]\ntransport = \"sse\"\n{ALLOW}"),
            "listen.transport",
            "unknown value 'sse'; expected 'stdio' or 'http'",
        ),
        (
            format!("{STDIO}[listen]\ntransport = \"http\"\n{ALLOW}"),
            "listen.port",
            "required when transport is 'http'",
        ),
        (
            http("").replace("3000", "0"),
            "listen.port",
            "0 is not a valid port number (must be 1\u{2013}65535)",
        ),
        (
            http("").replace("3000", "70000"),
            "listen.port",
            "70000 is not a valid port number (must be 1\u{2013}65535)",
        ),
        (
            format!("{STDIO}{LOCAL}port = 0\n{ALLOW}"),
            "listen.port",
            "0 is not a valid port number (must be 1\u{2013}65535)",
        ),
        (
            listen_auth("type = \"mtls\""),
            "listen.auth.type",
            "unknown value 'mtls'; expected 'bearer' or 'ip_allowlist'",
        ),
        (listen_auth("type = \"bearer\""), "listen.auth.token", "required when listen.auth.type is 'bearer'"),
        (
            listen_auth("type = \"bearer\"\ntoken = \"\""),
            "listen.auth.token",
            "must not be empty or whitespace",
        ),
        (
            listen_auth("type = \"ip_allowlist\"\nallow = [\"::/0\"]\ntoken = \"x\""),
            "listen.auth.token",
            "'token' is not valid for type = 'ip_allowlist'; use 'allow' instead",
        ),
        (
            listen_auth("type = \"ip_allowlist\"\nallow = []"),
            "listen.auth.allow",
            "required and must be non-empty when listen.auth.type is 'ip_allowlist'",
        ),
        (
            listen_auth("type = \"ip_allowlist\"\nallow = [\"::/0\", \"10.0.0.1\"]"),
            "listen.auth.allow[1]",
            "'10.0.0.1' is not a valid CIDR range: invalid IP address syntax",
        ),
    ] {
        assert_eq!(mistakes(&text), [at(field, reason)], "{text}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = "[upstream]\nurl = \"x\"\n[listen]\ntransport = \"http\"\n[listen.auth]\ntype = \"y\"\n[policy]\nallow = []\n";
    let told = mistakes(text);
    assert_eq!(told.len(), 3, "{told:?}");
    for field in ["upstream.url", "listen.port", "listen.auth.type"] {
        assert!(told.iter().any(|line| line.contains(&format!("'{field}'"))), "{field}: {told:?}");
    }
}

#[test]
fn what_is_no_toml_or_has_other_types_is_told_with_its_place_and_without_its_text() {
    for (text, place, why) in [
        ("upstream = ", "line 1", ""),
        (&format!("{STDIO}{LOCAL}[policy]\nalow = []\n"), "line 6, column 1", "missing field `allow`"),
        (&format!("{STDIO}{LOCAL}"), "line 1, column 1", "missing field `policy`"),
        (
            &format!("{STDIO}{LOCAL}[policy]\nallow = \"hunter2\"\n"),
            "line 7, column 9",
            "expected an array of strings",
        ),
        (&http("").replace("3000", "-1"), "line 6, column 8", "expected an integer"),
        (&http("").replace("3000", "\"hunter2\""), "line 6, column 8", "expected an integer"),
        (&http("[listen.auth]\ntype = \"bearer\"\ntoken = hunter2\n"), "line 9", ""),
        (&http("[listen.auth]\ntype = \"bearer\"\ntoken = \"hunter2\n"), "line 9", ""),
        (
            &http("[listen.auth]\ntype = \"bearer\"\ntoken = [\"hunter2\"]\n"),
            "line 9, column 9",
            "expected a string",
        ),
        ("", "line 1, column 1", "missing field `upstream`"),
    ] {
        let told = mistakes(text);
        assert!(told[0].contains(place) && told.iter().any(|line| line.contains(why)), "{text}: {told:?}");
        assert!(!format!("{told:?}").contains("hunter2"), "{told:?}");
    }
}

#[test]
fn what_means_nothing_is_known_by_name() {
    let text = format!(
        "extra = 1\n{STDIO}[upstream.tls]\nca = \"x\"\n[listen]\ntransport = \"stdio\"\nport = 1\n{ALLOW}"
    );
    let file = parse(&text).unwrap();
    assert_eq!(file.unknown, ["extra", "upstream.tls"]);
    assert_eq!(file.idle, ["listen.port"]);
}
