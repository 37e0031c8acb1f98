//! `kind = "cyberark-ccp"`: what it says when it is right, and every mistake in it.

use std::collections::BTreeMap;
use std::time::Duration;

use config::{CcpAccount, CcpConfig, CcpCriteria, CcpIdentity, SourceKind};
use model::SecretLocation;

use crate::folder::Folder;
use crate::wrong::check;

const HEAD: &str = "[[credential_source]]\nname = \"c\"\nkind = \"cyberark-ccp\"\n";
const URL: &str = "url = \"https://ccp.example/AIMWebService/api/Accounts\"\n";
const WHOLE: &str = "[[credential_source]]\nname = \"c\"\nkind = \"cyberark-ccp\"\n\
    url = \"https://ccp.example/AIMWebService/api/Accounts\"\napp_id = \"Gate\"\n";

/// The source of the complete example that shows its certificate as PFX.
pub(crate) fn expected(folder: &Folder) -> CcpConfig {
    let text = str::to_owned;
    let properties = [
        ("object", "Database-PG-orders"),
        ("folder", "Root"),
        ("user_name", "reader"),
        ("address", "pg.internal"),
        ("database", "orders"),
        ("policy_id", "PostgreSQL"),
    ];
    let properties: BTreeMap<_, _> = properties.map(|(key, value)| (key, text(value))).into();
    let account =
        |object: &str, by| CcpAccount { safe: text("DB"), object: text(object), by, passphrase: None };
    CcpConfig {
        url: text("https://cyberark.example:8443/AIMWebService/api/Accounts"),
        app_id: text("MCP-Privileged-Service"),
        folder: Some(text("Root")),
        reason: Some(text("Portcullis")),
        ca: Some(folder.path().join("ca.pem")),
        identity: Some(CcpIdentity::Pfx {
            file: folder.path().join("mcp.pfx"),
            password: Some(SecretLocation::File(folder.path().join("pass"))),
        }),
        connect_timeout: Duration::from_secs(3),
        timeout: Duration::from_secs(20),
        vault_timeout: Duration::from_secs(15),
        use_changing: true,
        accounts: vec![
            account("reader", CcpCriteria::Properties(properties)),
            account(
                "pair",
                CcpCriteria::Query { query: text("Safe=DB;VirtualUsername=svc_.*"), regexp: true },
            ),
            CcpAccount {
                passphrase: Some(text("deploy-passphrase")),
                ..account("deploy", CcpCriteria::Properties(BTreeMap::new()))
            },
        ],
    }
}

#[test]
fn what_is_not_written_has_its_default() {
    let folder = Folder::new();
    folder.write("portcullis.toml", WHOLE);
    let loaded = folder.load().unwrap();
    let SourceKind::Ccp(found) = &loaded.configuration.sources[0].kind else { panic!("another kind") };
    assert_eq!((found.ca.as_ref(), found.identity.as_ref(), found.folder.as_ref()), (None, None, None));
    let times = [found.connect_timeout, found.timeout, found.vault_timeout].map(|time| time.as_secs());
    assert_eq!((times, found.use_changing, found.accounts.len()), ([5, 30, 10], false, 0));
}

#[test]
fn mistakes_in_its_keys_have_their_places() {
    let url = |url: &str| format!("{HEAD}url = \"{url}\"\napp_id = \"a\"");
    let with = |more: &str| format!("{WHOLE}{more}");
    let cases = [
        (
            HEAD.to_owned(),
            vec!["1:1 credential_source[0].app_id: is missing", "1:1 credential_source[0].url: is missing"],
        ),
        (
            url("http://ccp.example/AIMWebService"),
            vec![
                "4:7 credential_source[0].url: `http://ccp.example/AIMWebService` is not the address of a web service: it must begin with `https://` | write it whole, such as `https://ccp.example.internal/AIMWebService/api/Accounts`",
            ],
        ),
        (
            url("https://"),
            vec![
                "4:7 credential_source[0].url: `https://` is not the address of a web service: it names no host...",
            ],
        ),
        (
            url("https://u@ccp.example/a"),
            vec![
                "4:7 credential_source[0].url: `https://u@ccp.example/a` is not the address of a web service: it names no host...",
            ],
        ),
        (
            url("https://ccp.example"),
            vec![
                "4:7 credential_source[0].url: `https://ccp.example` is not the address of a web service: it has no path...",
            ],
        ),
        (
            url("https://ccp.example/a?AppID=b"),
            vec![
                "4:7 credential_source[0].url: `https://ccp.example/a?AppID=b` is not the address of a web service: its path has no query...",
            ],
        ),
        (
            format!("{HEAD}{URL}app_id = \"a;b\""),
            vec!["5:10 credential_source[0].app_id: CyberArk's web service takes no `;`"],
        ),
        (
            format!("{HEAD}{URL}app_id = \"aimwebservice\""),
            vec![
                "5:10 credential_source[0].app_id: `AIMWebService` is the application that CyberArk itself brings; everybody knows it | have an application defined for the gateway alone",
            ],
        ),
        (with("ca = \"none.pem\""), vec!["6:6 credential_source[0].ca: there is no file `none.pem`"]),
        (
            with("client_pfx = \"cert.pem\""),
            vec!["6:14 credential_source[0].client_pfx: expected a table, found text"],
        ),
        (
            with("client_pfx = { password = \"hunter2\" }"),
            vec!["6:14 credential_source[0].client_pfx.file: is missing"],
        ),
        (
            with("client_pfx = { file = \"none.pfx\", password = { file = \"none\" } }"),
            vec![
                "6:23 credential_source[0].client_pfx.file: there is no file `none.pfx`",
                "6:55 credential_source[0].client_pfx.password.file: there is no file `none`",
            ],
        ),
        (
            with("client_pfx = { file = \"cert.pem\", password = { secret = \"c:a/b\" } }"),
            vec![
                "6:46 credential_source[0].client_pfx.password: expected text, or `{ env = ... }` or `{ file = ... }`",
            ],
        ),
        (
            with("client_pfx = { file = \"state/inside.key\" }"),
            vec![
                "6:23 credential_source[0].client_pfx.file: `state/inside.key` lies inside the state folder...",
            ],
        ),
        (
            with("client_pfx = { file = \"cert.pem\" }\nclient_cert = \"cert.pem\""),
            vec![
                "7:15 credential_source[0].client_cert: `client_pfx` holds certificate and key already | write either `client_pfx`, or `client_cert` and `client_key`",
            ],
        ),
        (
            with("client_cert = \"cert.pem\""),
            vec!["6:15 credential_source[0].client_cert: needs `client_key` beside it"],
        ),
        (
            with("client_key = \"server.key\""),
            vec!["6:14 credential_source[0].client_key: needs `client_cert` beside it"],
        ),
        (
            with("timeout = \"56s\"\nconnect_timeout = \"1ms\""),
            vec![
                "6:11 credential_source[0].timeout: expected at least `1s` and at most `55s`",
                "7:19 credential_source[0].connect_timeout: expected at least `100ms` and at most `30s`",
            ],
        ),
        (
            with("timeout = \"10s\""),
            vec![
                "1:1 credential_source[0].vault_timeout: `vault_timeout` leaves nothing of `timeout`, which bounds the whole | write a shorter one, or a longer `timeout` (at most `55s`)",
            ],
        ),
        (
            with("password_change = \"wait\""),
            vec!["6:19 credential_source[0].password_change: `wait` is not known here..."],
        ),
        (
            with("reason = \"\""),
            vec!["6:10 credential_source[0].reason: expected 1 to 512 characters of one line"],
        ),
        (with("verify = false"), vec!["6:1 credential_source[0].verify: unknown key..."]),
    ];
    let cases: Vec<(&str, &[&str])> =
        cases.iter().map(|(text, expected)| (text.as_str(), expected.as_slice())).collect();
    check("portcullis.toml", &cases);
}

#[test]
fn mistakes_in_its_accounts_have_their_places() {
    let account = |more: &str| format!("{WHOLE}[[credential_source.account]]\n{more}");
    let cases = [
        (account("object = \"a\""), vec!["6:1 credential_source[0].account[0].name: is missing"]),
        (
            account("name = \"a\"\nobject = \"b\""),
            vec!["7:8 credential_source[0].account[0].name: `a` is not a name, `SAFE/OBJECT`..."],
        ),
        (
            account("name = \"a/b+c\"\nobject = \"b\""),
            vec!["7:8 credential_source[0].account[0].name: `a/b+c` is not a name, `SAFE/OBJECT`..."],
        ),
        (
            account("name = \"a/b\""),
            vec!["6:1 credential_source[0].account[0]: says nothing about how the account is found..."],
        ),
        (
            account("name = \"a/b\"\nuser_name = \"x & y\"\naddress = \" z\""),
            vec![
                "8:13 credential_source[0].account[0].user_name: CyberArk's web service takes no `&`",
                "9:11 credential_source[0].account[0].address: expected 1 to 256 characters without blanks around them",
            ],
        ),
        (
            account("name = \"a/b\"\nquery = \"Safe=a;UserName=x\"\nobject = \"b\""),
            vec![
                "9:10 credential_source[0].account[0].object: CyberArk ignores `object` beside a query | write it into `query`, or leave `query` out",
            ],
        ),
        (
            account("name = \"a/b\"\nquery = \"Safe\""),
            vec!["8:9 credential_source[0].account[0].query: `Safe` is not a query..."],
        ),
        (
            account("name = \"a/b\"\nobject = \"b\"\nquery_format = \"regexp\""),
            vec![
                "9:16 credential_source[0].account[0].query_format: says how `query` is read, and there is none",
            ],
        ),
        (
            account(
                "name = \"a/b\"\nobject = \"b\"\n[[credential_source.account]]\nname = \"a/b\"\nobject = \"c\"",
            ),
            vec!["10:8 credential_source[0].account[1].name: the same name is already at line 7"],
        ),
    ];
    let cases: Vec<(&str, &[&str])> =
        cases.iter().map(|(text, expected)| (text.as_str(), expected.as_slice())).collect();
    check("portcullis.toml", &cases);
}
