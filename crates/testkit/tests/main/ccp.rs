//! The CCP of the testkit, asked by clients that have nothing to do with ours: curl, and `pyaim` of PyPI.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use testkit::{
    CcpAccount, CcpApplication, CcpMischief, CcpServer, ClientCertificates, PfxForm, TestCa, tools,
};

const SECRET: &str = "pw-of-root";

struct Site {
    ca: TestCa,
    folder: tempfile::TempDir,
    server: CcpServer,
}

impl Site {
    fn new(clients: ClientCertificates) -> Self {
        let (ca, folder) = (TestCa::new(), tempfile::tempdir().unwrap());
        let server = CcpServer::start(&ca, clients);
        std::fs::write(folder.path().join("ca.pem"), ca.pem()).unwrap();
        server.application(CcpApplication::new("app", &["PROD"]));
        server.account(CcpAccount::new("PROD", "root", "svc_root", SECRET).with("Address", "10.0.0.11"));
        Self { ca, folder, server }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Status and body of one request of curl's with this query.
    fn curl(&self, query: &str, more: &[&str]) -> (u16, String) {
        let url = format!("{}?{query}", self.server.url());
        let out = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--noproxy",
                "*",
                "--max-time",
                "20",
                "--write-out",
                "\n%{http_code}",
            ])
            .arg("--cacert")
            .arg(self.at("ca.pem"))
            .args(more)
            .arg(url)
            .output()
            .unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), format!("{body}{}", String::from_utf8_lossy(&out.stderr)))
    }

    /// What CyberArk would answer: status, and code or content.
    fn says(&self, query: &str) -> (u16, String) {
        let (status, body) = self.curl(query, &[]);
        let body: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("no JSON: {body}"));
        let text = body["ErrorCode"].as_str().or(body["Content"].as_str()).unwrap().to_owned();
        (status, text)
    }
}

#[test]
fn curl_gets_the_whole_table() {
    let site = Site::new(ClientCertificates::Ignored);
    let server = &site.server;
    let other = |user: &str| CcpAccount::new("PROD", user, user, "x").with("Database", "orders");
    server.account(other("a"));
    server.account(other("b"));
    server.account(CcpAccount { changing: true, ..CcpAccount::new("PROD", "turning", "t", "old") });
    server.account(CcpAccount::new("HIDDEN", "root", "x", "x"));
    for (query, status, text) in [
        ("AppID=app&Safe=PROD&Object=root", 200, SECRET),
        ("appid=app&safe=PROD&object=root&reason=because", 200, SECRET),
        ("AppID=app&UserName=svc_root&Address=10.0.0.11", 200, SECRET),
        ("AppID=app&Query=Safe%3DPROD%3BUserName%3Dsvc_root", 200, SECRET),
        ("AppID=app&Query=UserName%3Dsvc_.*&QueryFormat=Regexp", 200, SECRET),
        ("AppID=app&Query=Object%3Droot&Object=ignored", 200, SECRET),
        ("AppID=app&Object=turning", 200, "old"),
        ("AppID=app&Object=turning&FailRequestOnPasswordChange=true", 500, "APPAP282E"),
        ("Safe=PROD&Object=root", 400, "AIMWS031E"),
        ("AppID=app", 400, "APPAP081E"),
        ("AppID=app&Object=a%2Bb", 400, "APPAP081E"),
        ("AppID=app&Object=root&Colour=red", 400, "APPAP081E"),
        ("AppID=app&UserName=a%25b", 400, "CASVL010E"),
        ("AppID=app&Query=nonsense", 400, "AIMWS030E"),
        ("AppID=app&Query=Object%3Da&QueryFormat=Fuzzy", 400, "AIMWS030E"),
        ("AppID=app&Database=orders", 400, "APPAP229E"),
        ("AppID=app&Query=Database%3Dorders", 400, "APPAP228E"),
        ("AppID=app&Query=Database%3Dor.*&QueryFormat=Regexp", 400, "APPAP227E"),
        ("AppID=App&Object=root", 403, "APPAP008E"),
        ("AppID=app&Object=Root", 404, "APPAP004E"),
        ("AppID=app&Safe=HIDDEN&Object=root", 404, "APPAP004E"),
    ] {
        assert_eq!(site.says(query), (status, text.to_owned()), "{query}");
    }
    server.vault_is_down(true);
    assert_eq!(site.says("AppID=app&Object=root"), (400, "APPAP007E".to_owned()));
    server.vault_is_down(false);
    server.application(CcpApplication {
        machines: vec!["192.0.2.1".parse().unwrap()],
        ..CcpApplication::new("app", &["PROD"])
    });
    assert_eq!(site.says("AppID=app&Object=root"), (403, "APPAP306E".to_owned()));
    let asked = server.requests();
    assert_eq!(asked[1].parameter("Reason"), Some("because"));
    assert!(asked.iter().all(|request| request.certificate.is_none()));
}

#[test]
fn a_pair_of_accounts_answers_with_the_active_one() {
    let site = Site::new(ClientCertificates::Ignored);
    let of = |user: &str, inactive| {
        let account = CcpAccount::new("PROD", user, user, user).with("VirtualUsername", "svc");
        CcpAccount { inactive, ..account }
    };
    site.server.account(of("svc_1", true));
    site.server.account(of("svc_2", false));
    assert_eq!(site.says("AppID=app&Query=VirtualUsername%3Dsvc"), (200, "svc_2".to_owned()));
}

#[test]
fn curl_shows_its_certificate_as_pem_and_as_pfx() {
    let site = Site::new(ClientCertificates::Required);
    let (own, stranger) = (site.ca.client(&["gateway.test"]), site.ca.client(&["stranger.test"]));
    site.server.application(CcpApplication {
        certificate: Some(own.cert.clone()),
        ..CcpApplication::new("app", &["PROD"])
    });
    let (status, page) = site.curl("AppID=app&Object=root", &[]);
    assert!(status == 403 && page.contains("<html>"), "{page}");
    let shows = |form: &str, more: &[&str]| {
        let (status, body) = site.curl("AppID=app&Object=root", more);
        assert_eq!(status, 200, "{form}: {body}");
        assert!(body.contains(SECRET), "{form}: {body}");
    };
    let (cert, key) = own.write(site.folder.path(), "own");
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    shows("PEM", &["--cert", &text(&cert), "--key", &text(&key)]);
    for form in [PfxForm::Modern, PfxForm::Windows] {
        let pfx = own.write_pfx(site.folder.path(), "own", "the password", form);
        shows(
            &format!("{form:?}"),
            &["--cert-type", "P12", "--cert", &format!("{}:the password", text(&pfx))],
        );
    }
    let (cert, key) = stranger.write(site.folder.path(), "stranger");
    let (status, body) = site.curl("AppID=app&Object=root", &["--cert", &text(&cert), "--key", &text(&key)]);
    assert!(status == 403 && body.contains("APPAP306E"), "{body}");
    let other = TestCa::new().client(&["gateway.test"]).write(site.folder.path(), "other");
    let (status, said) =
        site.curl("AppID=app&Object=root", &["--cert", &text(&other.0), "--key", &text(&other.1)]);
    assert!(status == 0 && said.contains("alert"), "{said}");
    let shown: Vec<_> = site.server.requests().into_iter().map(|request| request.certificate).collect();
    assert!(shown[0].is_none() && shown[1..].iter().all(Option::is_some));
}

#[test]
fn connections_are_kept_and_mischief_is_what_it_says() {
    let site = Site::new(ClientCertificates::Ignored);
    let url = format!("{}?AppID=app&Object=root", site.server.url());
    let twice = site.curl("AppID=app&Object=root", &[&url]);
    assert_eq!((twice.0, site.server.connections()), (200, 1), "{twice:?}");
    site.server.misbehave([
        CcpMischief::Page(500),
        CcpMischief::Redirect("https://192.0.2.1/".to_owned()),
        CcpMischief::Cut,
        CcpMischief::Hangup,
        CcpMischief::Announced,
        CcpMischief::Endless,
        CcpMischief::Slow,
        CcpMischief::Silent,
    ]);
    let ask = |more: &[&str]| site.curl("AppID=app&Object=root", more);
    assert!(ask(&[]).1.contains("Server Error"));
    assert_eq!(ask(&[]).0, 302);
    assert!(ask(&[]).1.contains("curl: (18)"), "cut");
    assert!(ask(&[]).1.contains("curl: (52)"), "hangup");
    let limit = ["--max-filesize", "1000000", "--output", "/dev/null"];
    assert!(ask(&limit).1.contains("curl: (63)"), "announced");
    for what in ["endless", "slow", "silent"] {
        let (_, said) = ask(&["--max-time", "2", "--output", "/dev/null"]);
        assert!(said.contains("curl: (28)"), "{what}: {said}");
    }
    assert_eq!(ask(&[]).0, 200, "afterwards all is well");
}

#[test]
fn a_client_of_pypi_retrieves_accounts_with_its_certificate() {
    let site = Site::new(ClientCertificates::Required);
    let own = site.ca.client(&["gateway.test"]);
    site.server.application(CcpApplication {
        certificate: Some(own.cert.clone()),
        ..CcpApplication::new("app", &["PROD"])
    });
    let (cert, key) = own.write(site.folder.path(), "own");
    let ask = |arguments: Value| {
        let out = Command::new(tools().join("python/bin/python"))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/ccp_client.py"))
            .args([format!("127.0.0.1:{}", site.server.port()), arguments.to_string()])
            .args([site.at("ca.pem"), cert.clone(), key.clone()])
            .output()
            .unwrap();
        serde_json::from_slice::<Value>(&out.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out.stderr)))
    };
    let found = ask(json!({ "appid": "app", "safe": "PROD", "object": "root", "reason": "a test" }));
    assert_eq!((&found["UserName"], &found["Content"]), (&json!("svc_root"), &json!(SECRET)), "{found}");
    assert_eq!(site.server.requests()[0].parameter("Reason"), Some("a test"));
    let failed = |arguments: Value, with: &str| {
        let answer = ask(arguments);
        assert!(answer["error"].as_str().is_some_and(|error| error.contains(with)), "{answer}");
    };
    failed(json!({ "appid": "app", "safe": "PROD", "object": "nobody" }), "404");
    failed(json!({ "appid": "nobody", "safe": "PROD", "object": "root" }), "403");
    site.server.account(CcpAccount::new("PROD", "root2", "svc_root", "x"));
    failed(json!({ "appid": "app", "safe": "PROD", "username": "svc_root" }), "APPAP229E");
    site.server.account(CcpAccount::new("PROD", "active", "svc_2", "y").with("VirtualUsername", "svc"));
    let pair = ask(json!({ "appid": "app", "safe": "PROD", "username": "svc", "dual_accounts": true }));
    assert_eq!(pair["UserName"], "svc_2", "{pair}");
}
