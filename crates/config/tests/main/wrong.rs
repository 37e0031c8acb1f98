//! Every mistake is named with its place, all of them in one run, and no secret is ever quoted.

use config::{Diagnostic, Severity};

use crate::folder::{Folder, KEY_HASH};

/// `LINE:COLUMN KEY: message | hint`
fn shown(folder: &Folder, finding: &Diagnostic) -> String {
    let file = finding.file.strip_prefix(folder.path()).unwrap_or(&finding.file).display().to_string();
    let file = if file == "portcullis.toml" { String::new() } else { format!("{file} ") };
    let hint = finding.hint.as_ref().map(|hint| format!(" | {hint}")).unwrap_or_default();
    let message = finding.message.replace(&format!("{}/", folder.path().display()), "");
    format!("{file}{}:{} {}: {message}{hint}", finding.line, finding.column, finding.key)
}

fn errors(folder: &Folder) -> Vec<String> {
    let findings = folder.load().err().map(|all| all.into_iter().collect::<Vec<_>>()).unwrap_or_default();
    findings.iter().filter(|f| f.severity == Severity::Error).map(|f| shown(folder, f)).collect()
}

/// Each case: the text of a file, and every error it must give; `...` ends what is written of one.
pub(crate) fn check(file: &str, cases: &[(&str, &[&str])]) {
    let mut failures = Vec::new();
    for (text, expected) in cases {
        let folder = Folder::new();
        for name in ["cert.pem", "server.key", "state/inside.key"] {
            folder.write(name, "x");
        }
        folder.write(
            "portcullis.toml",
            "[[credential_source]]\nname = \"vaulted\"\nkind = \"env\"\nprefix = \"SECRET_\"\n",
        );
        folder.write(file, &text.replace("HASH", KEY_HASH));
        let found = errors(&folder);
        assert!(found.iter().all(|error| !error.contains("hunter")), "a secret is quoted: {found:?}");
        let fits = |(found, expected): (&String, &&str)| match expected.strip_suffix("...") {
            Some(start) => found.starts_with(start),
            None => found == expected,
        };
        if found.len() != expected.len() || !found.iter().zip(*expected).all(fits) {
            failures.push(format!("{text}\n  expected {expected:#?}\n  found {found:#?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn structure() {
    check(
        "portcullis.toml",
        &[
            ("watch = maybe", &["1:9 : not TOML: string values must be quoted, expected literal string"]),
            ("watch = true\nwatch = false", &["2:1 : the key `watch` is written twice"]),
            ("[listen]\nhttp = \"127.0.0.1:1\"\n[listen]\n", &["3:2 : the key `listen` is written twice"]),
            ("a = 1\n\n  b = ", &["3:7 : not TOML: string values must be quoted, expected literal string"]),
            ("lisen = 1", &["1:1 lisen: unknown key | did you mean `listen`?"]),
            ("[listen]\nhtpt = \"127.0.0.1:1\"", &["2:1 listen.htpt: unknown key | did you mean `http`?"]),
            ("[listen]\n\"ht\\ntp\" = 1", &["2:1 listen.\"ht�tp\": unknown key | did you mean `http`?"]),
            (
                "colour = 1",
                &[
                    "1:1 colour: unknown key | known here: inventory, policy, state, watch, compat, insecure, listen, principal, credential_source, upstream, handles, ssh, network, limits, audit, log",
                ],
            ),
            (
                "inventory = 7\nwatch = \"yes\"",
                &[
                    "1:13 inventory: expected a path, found a whole number",
                    "2:9 watch: expected `true` or `false`, found text",
                ],
            ),
            ("é = 1", &["1:1 : not TOML: invalid unquoted key, expected letters, numbers, `-`, `_`"]),
            ("listen = \"127.0.0.1:1\"", &["1:10 listen: expected a table, found text"]),
            (
                "principal = {}",
                &[
                    "1:13 principal: expected a list of tables, found a table | write its header as `[[principal]]`",
                ],
            ),
            (
                "insecure = \"tls\"",
                &[
                    "1:12 insecure: expected a list, each item one of `hostkey`, `tls`, found text | write a list in brackets, even of one item",
                ],
            ),
            ("insecure = [\"tsl\"]", &["1:13 insecure[0]: `tsl` is not known here | did you mean `tls`?"]),
            ("inventory = \"\"", &["1:13 inventory: expected a path, found empty text"]),
            (
                "inventory = \"~/hosts.toml\"",
                &[
                    "1:13 inventory: `~/hosts.toml` begins with `~`, which is not expanded | write the home folder out",
                ],
            ),
            ("inventory = \"other.toml\"", &["1:13 inventory: there is no file `other.toml`"]),
            ("policy = \"other\"", &["1:10 policy: there is no folder `other`"]),
            (
                "policy = \"audit.key\"",
                &["1:10 policy: `audit.key` is not a folder | name the folder of the rule files"],
            ),
        ],
    );
}

#[test]
fn what_comes_later_is_refused_by_name() {
    check(
        "portcullis.toml",
        &[
            ("[oauth]\nissuer = \"x\"", &["1:2 oauth: comes with a later version of Portcullis"]),
            ("[winrm]", &["1:2 winrm: comes with a later version of Portcullis"]),
            ("[fleet]", &["1:2 fleet: comes with a later version of Portcullis"]),
            ("[node]", &["1:2 node: comes with a later version of Portcullis"]),
            ("[cluster]\nnats = []", &["1:2 cluster: comes with a later version of Portcullis"]),
            ("[[hook]]\non = []", &["1:3 hook: comes with a later version of Portcullis"]),
            (
                "skills = \"skills\"\nrunbooks = \"runbooks\"",
                &[
                    "1:1 skills: comes with a later version of Portcullis",
                    "2:1 runbooks: comes with a later version of Portcullis",
                ],
            ),
            ("state = \"memory\"", &["1:9 state: `memory` comes with a later version of Portcullis"]),
            (
                "[telemetry]\notlp = \"http://collector:4318\"",
                &["1:2 telemetry: comes with a later version of Portcullis"],
            ),
            (
                "compat = [\"ssh-orchestrator\", \"x\"]",
                &[
                    "1:11 compat[0]: `ssh-orchestrator` comes with a later version of Portcullis",
                    "1:31 compat[1]: `x` is not known here",
                ],
            ),
            (
                "[[credential_source]]\nname = \"c\"\nkind = \"vault\"",
                &["3:8 credential_source[0].kind: `vault` comes with a later version of Portcullis"],
            ),
            (
                "[[credential_source]]\nname = \"c\"\nkind = \"ssh-ca\"",
                &["3:8 credential_source[0].kind: `ssh-ca` comes with a later version of Portcullis"],
            ),
            (
                "[[audit.sink]]\nto = \"stderr\"\nformat = \"ecs\"",
                &["3:10 audit.sink[0].format: `ecs` comes with a later version of Portcullis"],
            ),
            (
                "[[audit.sink]]\nto = { syslog = \"udp://log\" }",
                &["2:8 audit.sink[0].to.syslog: comes with a later version of Portcullis"],
            ),
        ],
    );
}

#[test]
fn what_comes_later_in_inventories() {
    check(
        "inventory.toml",
        &[
            (
                "[hosts.a]\naddress = \"a\"\npaths = {}\ncontainer_cli = \"podman\"",
                &[
                    "inventory.toml 3:1 hosts.a.paths: comes with a later version of Portcullis",
                    "inventory.toml 4:1 hosts.a.container_cli: comes with a later version of Portcullis",
                ],
            ),
            (
                "[databases.orders]\nengine = \"postgres\"",
                &["inventory.toml 1:2 databases: comes with a later version of Portcullis"],
            ),
            (
                "[hosts.a]\naddress = \"a\"\ncredential = \"ssh-ca:role\"",
                &[
                    "inventory.toml 3:14 hosts.a.credential: `ssh-ca:...` comes with a later version of Portcullis",
                ],
            ),
        ],
    );
}

#[test]
fn wrong_ways_to_hosts() {
    let hosts = |a: &str, b: &str| {
        let host = |name: &str, lines: &str| {
            format!(
                "[hosts.{name}]\naddress = \"192.0.2.1\"\ncredential = {{ key = \"inventory.toml\" }}\n{lines}\n"
            )
        };
        host("a", a) + &host("b", b)
    };
    let cases: &[(String, &[&str])] = &[
        (hosts("jump = [\"b\"]", "resolve = \"bastion\""), &[]),
        (hosts("jump = [\"c\"]", ""), &["inventory.toml 4:9 hosts.a.jump[0]: there is no host `c`..."]),
        (
            hosts("jump = [\"b\", \"a/b\"]", ""),
            &["inventory.toml 4:14 hosts.a.jump[1]: `a/b` is not a target name..."],
        ),
        (hosts("jump = [\"a\"]", ""), &["inventory.toml 4:8 hosts.a.jump: the way passes `a` twice"]),
        (
            hosts("jump = [\"b\"]", "jump = [\"a\"]"),
            &[
                "inventory.toml 4:8 hosts.a.jump: the way passes `a` twice",
                "inventory.toml 8:8 hosts.b.jump: the way passes `b` twice",
            ],
        ),
        (
            "[hosts.a]\naddress = \"a\"\njump = [\"b\"]\n[hosts.b]\naddress = \"b\"".to_owned(),
            &["inventory.toml 3:9 hosts.a.jump[0]: the jump host `b` has no `credential`..."],
        ),
        (
            hosts("resolve = \"bastion\"", ""),
            &["inventory.toml 4:11 hosts.a.resolve: there is no jump host that could resolve the address..."],
        ),
        (
            hosts("resolve = \"dns\"", ""),
            &["inventory.toml 4:11 hosts.a.resolve: `dns` is not known here..."],
        ),
    ];
    let cases: Vec<(&str, &[&str])> = cases.iter().map(|(text, said)| (text.as_str(), *said)).collect();
    check("inventory.toml", &cases);
}

#[test]
fn what_comes_later_in_rules() {
    check(
        "policy/ops.toml",
        &[(
            "[[rule]]\nname = \"r\"\nallow = [\"*\"]\nprincipals = [\"*\"]\ntargets = [\"*\"]\nstatements = []\ncmdlets = []\npaths = []",
            &[
                "policy/ops.toml 6:1 rule[0].statements: comes with a later version of Portcullis",
                "policy/ops.toml 7:1 rule[0].cmdlets: comes with a later version of Portcullis",
                "policy/ops.toml 8:1 rule[0].paths: comes with a later version of Portcullis",
            ],
        )],
    );
}

#[test]
fn listen() {
    check(
        "portcullis.toml",
        &[
            (
                "[listen]\nhttp = \"localhost:8443\"",
                &[
                    "2:8 listen.http: `localhost:8443` is not an address and port | write a literal address, such as `127.0.0.1:8443` or `[::1]:8443`",
                ],
            ),
            (
                "[listen]\nhttp = \"127.0.0.1\"",
                &[
                    "2:8 listen.http: `127.0.0.1` is not an address and port | write a literal address, such as `127.0.0.1:8443` or `[::1]:8443`",
                ],
            ),
            (
                "[listen]\nhttp = \"127.0.0.1:99999\"",
                &[
                    "2:8 listen.http: `127.0.0.1:99999` is not an address and port | write a literal address, such as `127.0.0.1:8443` or `[::1]:8443`",
                ],
            ),
            (
                "[listen]\nbehind_proxy = true",
                &[
                    "2:16 listen.behind_proxy: `behind_proxy` needs the networks of the proxies | write `trusted_proxies = [\"10.0.0.5/32\"]`",
                ],
            ),
            (
                "[listen]\nbehind_proxy = true\ntrusted_proxies = [\"10.0.0.1\", \"10.0.0.1/8\", \"any\"]",
                &[
                    "3:20 listen.trusted_proxies[0]: `10.0.0.1` is not a network | for this address alone write `10.0.0.1/32`",
                    "3:32 listen.trusted_proxies[1]: `10.0.0.1/8` has bits set behind its prefix | the network is `10.0.0.0/8`",
                    "3:46 listen.trusted_proxies[2]: `any` is not a network | write an address and a prefix length, such as `10.0.0.0/8`",
                ],
            ),
            (
                "[listen]\nbehind_proxy = true\ntrusted_proxies = [\"0.0.0.0/0\"]",
                &[
                    "3:20 listen.trusted_proxies[0]: trusts everybody to name the client's address | name the proxies' own networks",
                ],
            ),
            (
                "[listen]\nallowed_hosts = [\"https://a\", \"*.a\"]\nallowed_origins = [\"a\"]",
                &[
                    "2:18 listen.allowed_hosts[0]: `https://a` is not a host as a `Host` header names it | write a name or address, with `:port` only if clients send one; no scheme, path or `*`",
                    "2:31 listen.allowed_hosts[1]: `*.a` is not a host as a `Host` header names it | write a name or address, with `:port` only if clients send one; no scheme, path or `*`",
                    "3:20 listen.allowed_origins[0]: `a` is not an origin | write scheme, host and maybe a port, such as `https://chat.example.internal`; no path",
                ],
            ),
            (
                "[listen]\nmetrics = \"on\"",
                &[
                    "2:11 listen.metrics: `on` is not an address and port | write a literal address and port, such as `127.0.0.1:9464`, or `off`",
                ],
            ),
            (
                "[listen]\nhttp = \"127.0.0.1:1\"\nmetrics = \"127.0.0.1:1\"",
                &[
                    "3:11 listen.metrics: is the address of `listen.http`; metrics need a listener of their own",
                ],
            ),
            ("[listen.socket]\ngroup = \"agents\"", &["1:1 listen.socket.path: is missing"]),
            (
                "[listen]\nsocket = { path = \"state/mcp.sock\", mode = \"rw\" }",
                &[
                    "2:19 listen.socket.path: `state/mcp.sock` lies inside the state folder | keep it outside `state`, where a copy of the state cannot carry it along",
                    "2:44 listen.socket.mode: `rw` is not a file mode | write octal digits, such as `0660`",
                ],
            ),
            (
                "[listen]\nsocket = { path = \"/run/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" }",
                &["2:19 listen.socket.path: is longer than 107 bytes, which a socket's path cannot be"],
            ),
            (
                "[listen.tls]\ncert = \"no.pem\"",
                &["1:1 listen.tls.key: is missing", "2:8 listen.tls.cert: there is no file `no.pem`"],
            ),
            (
                "[listen.tls]\ncert = \"policy\"\nkey = \"server.key\"",
                &["2:8 listen.tls.cert: `policy` is a folder, not a file"],
            ),
        ],
    );
}

#[test]
fn a_listener_that_others_reach_needs_tls_and_a_principal() {
    check(
        "portcullis.toml",
        &[
            (
                "[listen]\nhttp = \"0.0.0.0:8443\"",
                &[
                    "2:8 listen.http: `0.0.0.0:8443` is not a loopback address, and no principal can authenticate over HTTP | declare a `[[principal]]` with `api_key` (`portcullis key new` prints one) or `certificate`",
                    "2:8 listen.http: `0.0.0.0:8443` is not a loopback address, so keys would cross the network in clear | set `[listen.tls]`, or `behind_proxy` with `trusted_proxies`",
                ],
            ),
            (
                "[listen]\nhttp = \"0.0.0.0:8443\"\n[listen.tls]\ncert = \"cert.pem\"\nkey = \"server.key\"\n[[principal]]\nid = \"a\"\nos_user = \"a\"",
                &[
                    "2:8 listen.http: `0.0.0.0:8443` is not a loopback address, and no principal can authenticate over HTTP | declare a `[[principal]]` with `api_key` (`portcullis key new` prints one) or `certificate`",
                ],
            ),
        ],
    );
}

#[test]
fn principals() {
    check(
        "portcullis.toml",
        &[
            ("[[principal]]\nos_user = \"a\"", &["1:1 principal[0].id: is missing"]),
            (
                "[[principal]]\nid = \"a b\"\nos_user = \"a\"",
                &["2:6 principal[0].id: `a b` is not a principal: 1 to 64 of `a-z A-Z 0-9 _ - . @`"],
            ),
            (
                "[[principal]]\nid = \"a\"\nos_user = \"a\"\n[[principal]]\nid = \"a\"\nos_user = \"a\"",
                &[
                    "5:6 principal[1].id: the same id is already at line 2",
                    "6:11 principal[1].os_user: the same user of this machine is already at line 3",
                ],
            ),
            (
                "[[principal]]\nid = \"a\"\napi_key = { hash = \"HASH\", algorithm = \"blake3\" }\n[[principal]]\nid = \"b\"\napi_key = [{ hash = \"HASH\", algorithm = \"blake3\" }]",
                &["6:21 principal[1].api_key[0].hash: the same API key is already at line 3"],
            ),
            (
                "[[principal]]\nid = \"a\"\napi_key = { hash = \"pk_7f3a09bc_hunter2\", algorithm = \"blake3\" }",
                &[
                    "3:20 principal[0].api_key.hash: expected the hash of an API key: `pk_`, 8 hex digits, `:` and 64 hex digits | `portcullis key new` prints the line; the key itself is never written here",
                ],
            ),
            (
                "[[principal]]\nid = \"a\"\napi_key = \"hunter2\"",
                &["3:11 principal[0].api_key: expected a table, or a list of tables, found text"],
            ),
            (
                "[[principal]]\nid = \"a\"\napi_key = { hash = \"HASH\", algorithm = \"md5\" }",
                &["3:112 principal[0].api_key.algorithm: `md5` is not known here | known here: blake3"],
            ),
            (
                "[[principal]]\nid = \"a\"\ngroups = [\"a b\", 3]\nos_user = \"a\"",
                &[
                    "3:11 principal[0].groups[0]: `a b` is not a group: 1 to 64 of `a-z A-Z 0-9 _ - . @`",
                    "3:18 principal[0].groups[1]: expected text, found a whole number",
                ],
            ),
            (
                "[[principal]]\nid = \"a\"\ncertificate = { san = \"*.example\" }",
                &[
                    "3:15 principal[0].certificate: no client certificate is ever checked | set `client_ca` in `[listen.tls]`",
                    "3:23 principal[0].certificate.san: `*.example` is not a subject alternative name | write one name exactly as the certificate holds it; `*` is not a pattern",
                ],
            ),
            (
                "[[principal]]\nid = \"a\"\nos_user = \"a\"\nfrom = []",
                &[
                    "4:8 principal[0].from: an empty list lets it come from nowhere | name the networks, or leave the key out",
                ],
            ),
            (
                "[[principal]]\nid = \"a\"\nos_user = \"a\"\nfrom = [\"10.0.0.0/40\"]",
                &[
                    "4:9 principal[0].from[0]: `10.0.0.0/40` is not a network | write an address and a prefix length, such as `10.0.0.0/8`",
                ],
            ),
            (
                "[[principal]]\nid = \"a\"\nos_user = \"a:b\"",
                &["3:11 principal[0].os_user: `a:b` is not a user name"],
            ),
        ],
    );
}

#[test]
fn sources() {
    let keystore = |rest: &str| {
        format!("[[credential_source]]\nname = \"k\"\nkind = \"keystore\"\nfile = \"keystore\"\n{rest}")
    };
    check(
        "portcullis.toml",
        &[
            ("[[credential_source]]\nname = \"k\"", &["1:1 credential_source[0].kind: is missing"]),
            (
                "[[credential_source]]\nname = \"k\"\nkind = \"keystor\"",
                &["3:8 credential_source[0].kind: `keystor` is not known here | did you mean `keystore`?"],
            ),
            (
                "[[credential_source]]\nname = \"k\"\nkind = 1",
                &[
                    "3:8 credential_source[0].kind: expected one of `keystore`, `folder`, `env`, `command`, `cyberark-ccp`",
                ],
            ),
            (
                "[[credential_source]]\nname = \"K\"\nkind = \"env\"\nprefix = \"P_\"",
                &[
                    "2:8 credential_source[0].name: `K` is not a source name: expected 1 to 64 of `a-z 0-9 -`",
                    "4:10 credential_source[0].prefix: expected at least 3 characters | a longer prefix keeps other variables out",
                ],
            ),
            (
                "[[credential_source]]\nname = \"k\"\nkind = \"env\"\nprefix = \"PRE-\"\nfetch = \"later\"",
                &[
                    "4:10 credential_source[0].prefix: `PRE-` cannot begin a variable's name",
                    "5:9 credential_source[0].fetch: `later` is not known here | known here: at_use, at_issue",
                ],
            ),
            (
                "[[credential_source]]\nname = \"k\"\nkind = \"env\"\npaths = [\"/run\"]",
                &[
                    "1:1 credential_source[0].prefix: is missing",
                    "4:1 credential_source[0].paths: unknown key | known here: kind, name, fetch, prefix",
                ],
            ),
            (
                "[[credential_source]]\nname = \"k\"\nkind = \"folder\"\npaths = []",
                &["4:9 credential_source[0].paths: must not be empty"],
            ),
            (
                "[[credential_source]]\nname = \"k\"\nkind = \"folder\"\npaths = [\"$HOME/s\", \"$CREDENTIALS_DIRECTORY/../x\", \"state/s\"]",
                &[
                    "4:10 credential_source[0].paths[0]: only `$CREDENTIALS_DIRECTORY` can stand for a folder",
                    "4:21 credential_source[0].paths[1]: `..` cannot stand below `$CREDENTIALS_DIRECTORY`",
                    "4:52 credential_source[0].paths[2]: `state/s` lies inside the state folder | keep it outside `state`, where a copy of the state cannot carry it along",
                ],
            ),
            (
                "[[credential_source]]\nname = \"k\"\nkind = \"command\"\ncommand = [\"{safe}\", \"a\\u0000b\"]\ntimeout = \"2m\"",
                &[
                    "4:12 credential_source[0].command[0]: expected a program, written out",
                    "4:22 credential_source[0].command[1]: an argument cannot hold a NUL",
                    "5:11 credential_source[0].timeout: expected at least `100ms` and at most `55s`",
                ],
            ),
            (
                "[[credential_source]]\nname = \"k\"\nkind = \"command\"\ncommand = \"pass show\"",
                &[
                    "4:11 credential_source[0].command: expected a list of texts, found text | write a list in brackets, even of one item",
                ],
            ),
            (
                "[[credential_source]]\nname = \"k\"\nkind = \"env\"\nprefix = \"PRE_\"\n[[credential_source]]\nname = \"k\"\nkind = \"env\"\nprefix = \"PRE_\"",
                &["6:8 credential_source[1].name: the same name is already at line 2"],
            ),
            (&keystore(""), &["1:1 credential_source[0].master_key: is missing"]),
            (
                &keystore("master_key = \"hunter2\""),
                &[
                    "5:14 credential_source[0].master_key: expected `\"prompt\"`, or `{ file = ... }` or `{ env = ... }` or `{ systemd = ... }`",
                ],
            ),
            (
                &keystore("master_key = { file = \"state/inside.key\" }"),
                &[
                    "5:23 credential_source[0].master_key.file: `state/inside.key` lies inside the state folder | keep it outside `state`, where a copy of the state cannot carry it along",
                ],
            ),
            (
                &keystore("master_key = { file = \"policy/../state/./inside.key\" }"),
                &[
                    "5:23 credential_source[0].master_key.file: `policy/../state/inside.key` lies inside the state folder | keep it outside `state`, where a copy of the state cannot carry it along",
                ],
            ),
            (
                &keystore("master_key = { file = \"none.key\" }"),
                &["5:23 credential_source[0].master_key.file: there is no file `none.key`"],
            ),
            (
                &keystore("master_key = { env = \"A B\" }"),
                &["5:22 credential_source[0].master_key.env: expected the name of an environment variable"],
            ),
            (
                &keystore("master_key = { env = \"A\", systemd = \"b\" }"),
                &["5:14 credential_source[0].master_key: `env` and `systemd` exclude each other"],
            ),
            (
                &keystore("master_key = { systemd = \"../b\" }"),
                &["5:26 credential_source[0].master_key.systemd: expected the name of a systemd credential"],
            ),
            (
                &keystore("master_key = { vault = \"b\" }"),
                &[
                    "5:14 credential_source[0].master_key: expected `\"prompt\"`, or `{ file = ... }` or `{ env = ... }` or `{ systemd = ... }`",
                ],
            ),
        ],
    );
}

#[test]
fn amounts_and_networks() {
    check(
        "portcullis.toml",
        &[
            ("[handles]\nttl = \"11m\"", &["2:7 handles.ttl: expected at least `1s` and at most `10m`"]),
            ("[handles]\nttl = \"500ms\"", &["2:7 handles.ttl: expected at least `1s` and at most `10m`"]),
            (
                "[handles]\nttl = 300",
                &["2:7 handles.ttl: expected a duration such as `\"30s\"`, found a whole number"],
            ),
            (
                "[handles]\nttl = \"5 minutes\"\nsingle_use = 1",
                &[
                    "2:7 handles.ttl: `5 minutes` is not a duration | write a whole number and its unit: `500ms`, `30s`, `5m`, `1h` or `1d`",
                    "3:14 handles.single_use: expected `true` or `false`, found a whole number",
                ],
            ),
            (
                "[limits]\ntimeout = \"0s\"\noutput = \"1MB\"\ncalls_per_minute = 0",
                &[
                    "2:11 limits.timeout: expected at least `100ms` and at most `1d`",
                    "3:10 limits.output: `1MB` is not a size | write a whole number and its unit: `512B`, `128KiB`, `1MiB` or `2GiB`",
                    "4:20 limits.calls_per_minute: expected a whole number from 1 to 1000000",
                ],
            ),
            (
                "[limits]\ncalls_per_minute = 1.5",
                &[
                    "2:20 limits.calls_per_minute: expected a whole number from 1 to 1000000, found a number with a fraction",
                ],
            ),
            (
                "[limits]\ncalls_per_minute = 99999999999999999999",
                &["2:20 limits.calls_per_minute: expected a whole number from 1 to 1000000"],
            ),
            (
                "[limits]\noutput = \"65MiB\"",
                &["2:10 limits.output: expected at least `256B` and at most `64MiB`"],
            ),
            (
                "[network]\nallow = []",
                &[
                    "2:9 network.allow: an empty list allows nothing | name the networks, or leave the key out to allow all",
                ],
            ),
            (
                "[network]\nallow = [\"10.0.0.0/8\", \"intranet\"]\nblock = [\"::ffff:10.0.0.0/104\"]",
                &[
                    "2:24 network.allow[1]: `intranet` is not a network | write an address and a prefix length, such as `10.0.0.0/8`",
                    "3:10 network.block[0]: `::ffff:10.0.0.0/104` would never match: such addresses are seen as IPv4 | write the IPv4 network",
                ],
            ),
            (
                "[ssh]\nknown_hosts = []",
                &["2:15 ssh.known_hosts: no file is named, so no host key can be known"],
            ),
            (
                "[ssh]\nknown_hosts = \"known_hosts\"",
                &[
                    "2:15 ssh.known_hosts: expected a list of paths, found text | write a list in brackets, even of one item",
                ],
            ),
        ],
    );
}

#[test]
fn audit_and_log() {
    check(
        "portcullis.toml",
        &[
            (
                "[audit]\ndurability = \"never\"",
                &["2:14 audit.durability: `never` is not known here | known here: auto, disk, process"],
            ),
            (
                "[audit]\nrecord_commands = \"yes\"",
                &["2:19 audit.record_commands: `yes` is not known here | known here: sealed, clear, never"],
            ),
            (
                "[audit]\nsigning_key = { file = \"state/inside.key\" }",
                &[
                    "2:24 audit.signing_key.file: `state/inside.key` lies inside the state folder | keep it outside `state`, where a copy of the state cannot carry it along",
                ],
            ),
            (
                "[audit]\nsigning_key = { file = \"no.key\" }\nseal_key = \"hunter2\"",
                &[
                    "2:24 audit.signing_key.file: there is no file `no.key`",
                    "3:12 audit.seal_key: expected `{ file = ... }` or `{ env = ... }` or `{ systemd = ... }`, found text",
                ],
            ),
            (
                "[audit]\nsigning_key = \"prompt\"",
                &[
                    "2:15 audit.signing_key: expected `{ file = ... }` or `{ env = ... }` or `{ systemd = ... }`, found text",
                ],
            ),
            (
                "[audit]\nheads = { every = \"0s\", to = { url = \"x\" } }",
                &[
                    "2:19 audit.heads.every: expected at least `1s` and at most `1d`",
                    "2:30 audit.heads.to: expected `{ file = ... }`",
                ],
            ),
            ("[[audit.sink]]\nformat = \"native\"", &["1:1 audit.sink[0].to: is missing"]),
            (
                "[[audit.sink]]\nto = \"stduot\"",
                &["2:6 audit.sink[0].to: `stduot` is not known here | did you mean `stdout`?"],
            ),
            (
                "[log]\nlevel = \"loud\"\nformat = \"xml\"",
                &[
                    "2:9 log.level: `loud` is not known here | known here: error, warn, info, debug, trace",
                    "3:10 log.format: `xml` is not known here | known here: auto, text, json",
                ],
            ),
        ],
    );
}

#[test]
fn inventory() {
    let credential = |value: &str| format!("[hosts.a]\naddress = \"a\"\ncredential = {value}");
    check(
        "inventory.toml",
        &[
            ("[hosts.a]", &["inventory.toml 1:1 hosts.a.address: is missing"]),
            ("hosts = 1", &["inventory.toml 1:9 hosts: expected a table of tables, found a whole number"]),
            ("[hosts]\na = \"10.0.0.1\"", &["inventory.toml 2:1 hosts.a: expected a table under this name"]),
            (
                "[hosts.gateway]\naddress = \"a\"",
                &[
                    "inventory.toml 1:8 hosts.gateway: `gateway` is the gateway itself | give the host another alias",
                ],
            ),
            (
                "[hosts.\"a b\"]\naddress = \"a\"",
                &[
                    "inventory.toml 1:8 hosts.\"a b\": `a b` is not a target name: 1 to 128 of `a-z A-Z 0-9 _ - . @`",
                ],
            ),
            (
                "[hosts.\"10.0.0.1\"]\naddress = \"10.0.0.2\"",
                &[
                    "inventory.toml 1:8 hosts.\"10.0.0.1\": the alias is an address, and not this host's | give the host a name, or its own address as alias",
                ],
            ),
            (
                "[hosts.a]\naddress = \"10.0.0.300\"",
                &[
                    "inventory.toml 2:11 hosts.a.address: `10.0.0.300` is neither an address nor a host name | host names have labels of `a-z A-Z 0-9 - _`, joined by dots",
                ],
            ),
            (
                "[hosts.a]\naddress = \"root@a\"",
                &[
                    "inventory.toml 2:11 hosts.a.address: `root@a` is neither an address nor a host name | write the account as `user`",
                ],
            ),
            (
                "[hosts.a]\naddress = \"a:22\"",
                &[
                    "inventory.toml 2:11 hosts.a.address: `a:22` is neither an address nor a host name | write the port as `port`, IPv6 without brackets and without a zone",
                ],
            ),
            (
                "[hosts.a]\naddress = \"ssh://a\"",
                &[
                    "inventory.toml 2:11 hosts.a.address: `ssh://a` is neither an address nor a host name | write the host alone, without a scheme",
                ],
            ),
            (
                "[hosts.a]\naddress = \"0.0.0.0\"",
                &["inventory.toml 2:11 hosts.a.address: `0.0.0.0` is not the address of one host"],
            ),
            (
                "[hosts.a]\naddress = \"a\"\nport = 0",
                &["inventory.toml 3:8 hosts.a.port: expected a whole number from 1 to 65535"],
            ),
            (
                "[hosts.a]\naddress = \"a\"\nport = \"22\"",
                &["inventory.toml 3:8 hosts.a.port: expected a whole number from 1 to 65535, found text"],
            ),
            (
                "[hosts.a]\naddress = \"a\"\nplatform = \"solaris\"\nshell = \"bash\"",
                &[
                    "inventory.toml 3:12 hosts.a.platform: `solaris` is not known here | known here: linux, windows, macos, bsd",
                    "inventory.toml 4:9 hosts.a.shell: `bash` is not known here | known here: posix, powershell, none",
                ],
            ),
            (
                "[hosts.a]\naddress = \"a\"\ntags = [\"a b\", \"x&y\"]\nuser = \"-oProxyCommand\"",
                &[
                    "inventory.toml 3:9 hosts.a.tags[0]: `a b` is not a tag: expected 1 to 128 of `a-z A-Z 0-9 _ - . @ : / =`",
                    "inventory.toml 3:16 hosts.a.tags[1]: `x&y` is not a tag: expected 1 to 128 of `a-z A-Z 0-9 _ - . @ : / =`",
                    "inventory.toml 4:8 hosts.a.user: `-oProxyCommand` is not a user name",
                ],
            ),
            (
                "[hosts.a]\naddress = \"a\"\nnotes = \"\\u001b[2J\"",
                &[
                    "inventory.toml 3:9 hosts.a.notes: expected at most 1000 characters, none of them a control character",
                ],
            ),
            (
                "[hosts.a]\nadress = \"a\"",
                &[
                    "inventory.toml 1:1 hosts.a.address: is missing",
                    "inventory.toml 2:1 hosts.a.adress: unknown key | did you mean `address`?",
                ],
            ),
            (
                "[defaults]\nuser = \"a\"\n[defaults.ssh]\nuser = \"\"",
                &[
                    "inventory.toml 2:1 defaults.user: unknown key | known here: ssh",
                    "inventory.toml 4:8 defaults.ssh.user: `` is not a user name",
                ],
            ),
            (
                &credential("\"vaulted\""),
                &[
                    "inventory.toml 3:14 hosts.a.credential: expected a credential's name, `SOURCE:SAFE/OBJECT` | parts of 1 to 256 characters without control characters, `*`, `;`, `:` and `\\`; a password is written as `{ password = ... }`",
                ],
            ),
            (
                &credential("\"vualted:a/b\""),
                &[
                    "inventory.toml 3:14 hosts.a.credential: no credential source is called `vualted` | did you mean `vaulted`?",
                ],
            ),
            (
                &credential("\"vaulted:a/*\""),
                &[
                    "inventory.toml 3:14 hosts.a.credential: expected a credential's name, `SOURCE:SAFE/OBJECT` | parts of 1 to 256 characters without control characters, `*`, `;`, `:` and `\\`; a password is written as `{ password = ... }`",
                ],
            ),
            (
                &credential("{ agent = \"MD5:aa\" }"),
                &[
                    "inventory.toml 3:24 hosts.a.credential.agent: expected a key fingerprint | write `SHA256:...` as `ssh-add -l` prints it",
                ],
            ),
            (
                &credential("{ key = \"no-such-key\" }"),
                &["inventory.toml 3:22 hosts.a.credential.key: there is no file `no-such-key`"],
            ),
            (
                &credential("{ key = \"audit.key\", password = \"hunter2\" }"),
                &["inventory.toml 3:14 hosts.a.credential: `key` and `password` exclude each other"],
            ),
            (
                &credential("{ password = { env = \"hunter 2\" } }"),
                &[
                    "inventory.toml 3:35 hosts.a.credential.password.env: expected the name of an environment variable",
                ],
            ),
            (
                &credential("{ password = { secret = \"other:a/b\" } }"),
                &[
                    "inventory.toml 3:38 hosts.a.credential.password.secret: no credential source is called `other` | declare it as a `[[credential_source]]` in portcullis.toml",
                ],
            ),
            (
                &credential("{ password = { file = \"no-such-file\", secret = \"a\" } }"),
                &[
                    "inventory.toml 3:27 hosts.a.credential.password: `file` and `secret` exclude each other",
                    "inventory.toml 3:36 hosts.a.credential.password.file: there is no file `no-such-file`",
                ],
            ),
            (
                &credential("{ password = \"\" }"),
                &["inventory.toml 3:27 hosts.a.credential.password: the secret is empty"],
            ),
            (
                &credential("{ passphrase = \"hunter2\" }"),
                &[
                    "inventory.toml 3:14 hosts.a.credential: expected text, or `{ agent = ... }` or `{ key = ... }` or `{ password = ... }`",
                ],
            ),
            (
                &credential("{ password = 12345678 }"),
                &[
                    "inventory.toml 3:27 hosts.a.credential.password: expected text, or `{ env = ... }` or `{ file = ... }` or `{ secret = ... }`, found a whole number",
                ],
            ),
            (
                "[hosts.a]\naddress = \"a\"\ncredentials = [\"vaulted:*/*\", \"*\", \"other:a/b\"]",
                &[
                    "inventory.toml 3:31 hosts.a.credentials[1]: `*` does not name a credential: expected `SOURCE:SAFE/OBJECT`, parts of 1 to 256 characters without control characters, `*`, `;` or `:`",
                    "inventory.toml 3:36 hosts.a.credentials[2]: no credential source is called `other` | declare it as a `[[credential_source]]` in portcullis.toml",
                ],
            ),
        ],
    );
}

#[test]
fn rules() {
    check(
        "policy/ops.toml",
        &[
            (
                "[[rule]]",
                &[
                    "policy/ops.toml 1:1 rule[0].name: is missing",
                    "policy/ops.toml 1:1 rule[0].principals: is missing",
                    "policy/ops.toml 1:1 rule[0].targets: is missing",
                ],
            ),
            (
                "[rule]\nname = \"r\"",
                &[
                    "policy/ops.toml 1:1 rule: expected a list of tables, found a table | write its header as `[[rule]]`",
                ],
            ),
            ("[[rules]]\nname = \"r\"", &["policy/ops.toml 1:3 rules: unknown key | did you mean `rule`?"]),
            (
                "[[rule]]\nname = \"r\"\nallow = []\nprincipals = [\"everybody!\"]\ntargets = [\"tag:a &\"]\ncommands = [\"uptime\", \"a `b`\"]",
                &[
                    "policy/ops.toml 3:9 rule[0].allow: ...",
                    "policy/ops.toml 4:15 rule[0].principals[0]: ...",
                    "policy/ops.toml 5:12 rule[0].targets[0]: ...",
                    "policy/ops.toml 6:23 rule[0].commands[1]: ...",
                ],
            ),
            (
                "[[rule]]\nname = \"r\"\nprincipals = [\"*\"]\ntargets = [\"*\"]",
                &["policy/ops.toml 1:1 rule[0]: ..."],
            ),
            (
                "[[rule]]\nname = \"r\"\nallow = [\"*\"]\nforbid = [\"*\"]\nprincipals = [\"*\"]\ntargets = [\"*\"]",
                &["policy/ops.toml 4:11 rule[0].forbid: ..."],
            ),
            (
                "[[rule]]\nname = \"r\"\nallow = [\"*\"]\nprincipals = [\"*\"]\ntargets = [\"address:10.0.0.1/8\", \"name:* .a\"]",
                &[
                    "policy/ops.toml 5:12 rule[0].targets[0]: ...",
                    "policy/ops.toml 5:34 rule[0].targets[1]: ...",
                ],
            ),
            (
                "[[rule]]\nname = \"r\"\nallow = [\"*\"]\nprincipals = [\"*\"]\ntargets = [\"*\"]\ncredentials = [\"other:a/b\", \"x\"]",
                &[
                    "policy/ops.toml 6:16 rule[0].credentials[0]: no credential source is called `other` | declare it as a `[[credential_source]]` in portcullis.toml",
                    "policy/ops.toml 6:29 rule[0].credentials[1]: ...",
                ],
            ),
            (
                "[[rule]]\nname = \"r\"\nallow = [\"*\"]\nprincipals = [\"*\"]\ntargets = [\"*\"]\nlimits = { timeout = \"2d\", calls = 1 }",
                &[
                    "policy/ops.toml 6:22 rule[0].limits.timeout: expected at least `100ms` and at most `1d`",
                    "policy/ops.toml 6:28 rule[0].limits.calls: unknown key | known here: timeout, output, calls_per_minute",
                ],
            ),
            (
                "[[rule]]\nname = \"r\"\nallow = [\"*\"]\nprincipals = [\"*\"]\ntargets = [\"*\"]\napproval = { by = [\"oncall\"], count = 11 }",
                &["policy/ops.toml 6:39 rule[0].approval.count: expected a whole number from 1 to 10"],
            ),
            (
                "[[rule]]\nname = \"r\"\nallow = [\"*\"]\nprincipals = [\"*\"]\ntargets = [\"*\"]\napproval = { by = [\"oncall\"] }\nwhen = \"context.time.hour >=\"",
                &[
                    "policy/ops.toml 6:20 rule[0].approval.by[0]: ...",
                    "policy/ops.toml 7:8 rule[0].when: ...",
                ],
            ),
            (
                "[[rule]]\nname = \"r\"\nforbid = [\"*\"]\nprincipals = [\"*\"]\ntargets = [\"*\"]\n[[rule]]\nname = \"r\"\nforbid = [\"*\"]\nprincipals = [\"*\"]\ntargets = [\"*\"]",
                &["policy/ops.toml 7:8 rule[1].name: the same name is already at line 2"],
            ),
            (
                "[[rule]]\nname = \"r\"\nforbid = [\"tier:root\", \"set:\", \"rm -rf\"]\nprincipals = [\"*\"]\ntargets = [\"*\"]",
                &[
                    "policy/ops.toml 3:11 rule[0].forbid[0]: ...",
                    "policy/ops.toml 3:24 rule[0].forbid[1]: ...",
                    "policy/ops.toml 3:32 rule[0].forbid[2]: ...",
                ],
            ),
        ],
    );
}
