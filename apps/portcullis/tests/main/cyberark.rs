//! The binary with a CyberArk that shows nothing to agents: handles on its accounts, its errors told to each reader, its
//! certificates replaced while the gateway runs.

use serde_json::{Value, json};
use testkit::{
    CcpAccount, CcpApplication, CcpMischief, CcpServer, ClientCertificates, Era, PfxForm, Sshd, TestCa,
    TestCertificate, ToolAnswer,
};

use crate::bytes::{files_with, forms, seen};
use crate::canary::{CANARY, nowhere};
use crate::environment::{Ran, portcullis};
use crate::site::{Client, RULES, Site};

/// The password of the file with the gateway's certificate.
const PFX_PASSWORD: &str = "pfx-pass-71x";

/// A site whose host is logged into with what CyberArk has, and a CyberArk that wants the gateway's certificate.
pub(crate) struct Vaulted {
    pub(crate) site: Site,
    ca: TestCa,
    pub(crate) ccp: CcpServer,
}

impl Vaulted {
    pub(crate) fn new() -> Self {
        Self::of(Sshd::options().password_only().password(CANARY).start(), CANARY)
    }

    /// With a host whose account logs in with `content`.
    fn of(sshd: Sshd, content: &str) -> Self {
        let site = Site::of(sshd);
        // What the keystore has is of no use here.
        site.keep("prod/web1", "an0ther-passw0rd");
        let ca = TestCa::new();
        let ccp = CcpServer::start(&ca, ClientCertificates::Required);
        let account = CcpAccount::new("PROD", "web1", site.sshd.user(), content).with("Address", "127.0.0.1");
        ccp.account(account.with("PolicyID", "UnixSSH"));
        let installed = &site.installed;
        installed.write("ccp-ca.pem", ca.pem());
        installed.write("pfx.pass", &format!("{PFX_PASSWORD}\n"));
        installed.append(
            "portcullis.toml",
            &format!(
                "[[credential_source]]\nname = \"cyberark\"\nkind = \"cyberark-ccp\"\nurl = \"{}\"\napp_id = \"Gate\"\n\
                 ca = \"ccp-ca.pem\"\nclient_pfx = {{ file = \"gate.pfx\", password = {{ file = \"pfx.pass\" }} }}\n\
                 reason = \"by Portcullis\"",
                ccp.url()
            ),
        );
        installed.edit("portcullis.toml", "metrics = \"off\"", "metrics = \"127.0.0.1:0\"");
        installed.edit(
            "inventory.toml",
            "credential = \"keystore:prod/web1\"",
            "credential = \"cyberark:PROD/web1\"",
        );
        installed.edit("inventory.toml", "\"keystore:prod/*\"]", "\"cyberark:PROD/*\"]");
        installed.write("policy/ops.toml", &RULES.replace("keystore:prod/*", "cyberark:PROD/*"));
        let vaulted = Self { site, ca, ccp };
        vaulted.show(&vaulted.certificate());
        vaulted
    }

    /// A new certificate that CyberArk knows as the gateway's, and no other.
    fn certificate(&self) -> TestCertificate {
        let own = self.ca.client(&["gate.test"]);
        self.ccp.application(CcpApplication {
            certificate: Some(own.cert.clone()),
            ..CcpApplication::new("Gate", &["PROD"])
        });
        own
    }

    /// The gateway is to show this one.
    fn show(&self, own: &TestCertificate) {
        let folder = self.site.installed.path("certificates");
        std::fs::create_dir_all(&folder).unwrap();
        let file = own.write_pfx(&folder, "gate", PFX_PASSWORD, PfxForm::Windows);
        std::fs::rename(file, self.site.installed.path("gate.pfx")).unwrap();
    }

    /// A file with a certificate and nothing that fits it.
    fn show_without_key(&self) {
        let file =
            self.certificate().write_pfx_without_key(&self.site.installed.path("certificates"), PFX_PASSWORD);
        std::fs::rename(file, self.site.installed.path("gate.pfx")).unwrap();
    }

    fn reasons(&self) -> Vec<Option<String>> {
        let requests = self.ccp.requests();
        requests.iter().map(|request| request.parameter("Reason").map(str::to_owned)).collect()
    }
}

pub(crate) async fn take(client: &mut Client, object: &str) -> ToolAnswer {
    let arguments =
        json!({ "safe": "PROD", "object_name": object, "source": "cyberark", "reason": "ticket 4711" });
    client.call("get_credential", arguments).await
}

fn run(command: &str, handle: Option<&Value>) -> Value {
    let mut arguments = json!({ "host": "web1", "command": command });
    if let Some(handle) = handle {
        arguments["secret_handle"] = handle.clone();
    }
    arguments
}

#[tokio::test]
async fn an_agent_works_with_an_account_of_cyberark_and_never_sees_its_password() {
    let vaulted = Vaulted::new();
    let site = &vaulted.site;
    let gateway = site.serve_with(&["-vv"]);
    let mut client = Client::Http(site.http(&gateway, Era::Modern).await);
    let taken = take(&mut client, "web1").await;
    assert!(!taken.is_error(), "{taken:?}");
    let told = taken.structured();
    assert_eq!(
        (told["username"].as_str(), told["address"].as_str()),
        (Some(site.sshd.user()), Some("127.0.0.1"))
    );
    let answer = client.call("ssh_execute", run("id -un", Some(&told["handle"]))).await;
    assert_eq!(answer.structured()["stdout"], format!("{}\n", site.sshd.user()), "{answer:?}");
    assert_eq!(site.sshd.logins(), 1);
    let ticket = Some("ticket 4711".to_owned());
    assert_eq!(vaulted.reasons(), [ticket.clone(), ticket], "told at the issue and at the use");
    // The host's own credential, without a handle.
    let own = client.call("ssh_execute", run("id -un", None)).await;
    assert_eq!(own.structured()["stdout"], format!("{}\n", site.sshd.user()), "{own:?}");
    assert_eq!(vaulted.reasons().last().unwrap().as_deref(), Some("by Portcullis"));
    assert_eq!(vaulted.ccp.connections(), 1, "one connection for everything");
    assert!(vaulted.ccp.requests().iter().all(|request| request.certificate.is_some()));

    // An operator sees all but the secret.
    let tested = site.installed.run(&["secret", "test", "cyberark:PROD/web1"]);
    assert_eq!(tested.exit, 0, "{tested:?}");
    for shown in ["password", site.sshd.user(), "127.0.0.1", "platform: UnixSSH", "object: web1"] {
        assert!(tested.out.contains(shown), "{shown}: {tested:?}");
    }
    assert_eq!(seen(CANARY, format!("{tested:?}").as_bytes()), Vec::<String>::new());

    // A host that shows the password, in any form, is not heard.
    for (number, (form, bytes)) in forms(CANARY).iter().enumerate() {
        std::fs::write(site.sshd.home().join(format!("leak-{number}")), bytes).unwrap();
        let taken = take(&mut client, "web1").await;
        let handle = &taken.structured()["handle"];
        let leak = client.call("ssh_execute", run(&format!("cat leak-{number}"), Some(handle))).await;
        assert_eq!(leak.structured()["code"], "secret_in_output", "{form}: {leak:?}");
        assert_eq!(site.installed.run(&["reload"]).exit, 0);
    }
    let log = gateway.log();
    assert_eq!(seen(PFX_PASSWORD, log.as_bytes()), Vec::<String>::new());
    let journal = site.journal();
    let fetched =
        journal.iter().find(|entry| entry["phase"] == "complete" && entry["event"] == "credential_fetched");
    let fetched = fetched.expect("the handle's issue is in the journal");
    assert_eq!(
        (&fetched["source"], &fetched["safe"], &fetched["object"]),
        (&"cyberark".into(), &"PROD".into(), &"web1".into())
    );
    let Vaulted { site, .. } = vaulted;
    nowhere(CANARY, site, gateway, client).await;
}

#[tokio::test]
async fn an_account_with_a_private_key_logs_in_with_it() {
    let sshd = Sshd::options().key_only().start();
    let key = sshd.client_key().pem();
    let vaulted = Vaulted::of(sshd, &key);
    let site = &vaulted.site;
    let gateway = site.serve();
    let mut client = Client::Http(site.http(&gateway, Era::Legacy("2025-11-25")).await);
    let taken = take(&mut client, "web1").await;
    let answer = client.call("ssh_execute", run("id -un", Some(&taken.structured()["handle"]))).await;
    assert_eq!(answer.structured()["exit_code"], 0, "{answer:?}");
    assert!(site.installed.run(&["secret", "test", "cyberark:PROD/web1"]).out.contains("private key"));
    let middle = key.lines().nth(2).unwrap().to_owned();
    let Vaulted { site, .. } = vaulted;
    nowhere(&middle, site, gateway, client).await;
}

#[tokio::test]
async fn what_is_fetched_at_the_issue_is_not_fetched_again() {
    let vaulted = Vaulted::new();
    let site = &vaulted.site;
    site.installed.edit(
        "portcullis.toml",
        "kind = \"cyberark-ccp\"",
        "kind = \"cyberark-ccp\"\nfetch = \"at_issue\"",
    );
    let gateway = site.serve();
    let mut client = Client::Http(site.http(&gateway, Era::Modern).await);
    let taken = take(&mut client, "web1").await;
    vaulted.ccp.vault_is_down(true);
    let answer = client.call("ssh_execute", run("id -un", Some(&taken.structured()["handle"]))).await;
    assert_eq!(answer.structured()["exit_code"], 0, "{answer:?}");
    assert_eq!(vaulted.ccp.requests().len(), 1);
    let Vaulted { site, .. } = vaulted;
    nowhere(CANARY, site, gateway, client).await;
}

#[test]
fn what_the_configuration_says_is_what_cyberark_is_asked() {
    let vaulted = Vaulted::new();
    let own = "app_id = \"Gate\"";
    let more = format!("{own}\nvault_timeout = \"7s\"\nfolder = \"Linux\"");
    vaulted.site.installed.edit("portcullis.toml", own, &more);
    vaulted
        .ccp
        .account(CcpAccount { folder: "Linux".to_owned(), ..CcpAccount::new("PROD", "web1", "u", CANARY) });
    let tested = vaulted.site.installed.run(&["secret", "test", "cyberark:PROD/web1"]);
    assert_eq!(tested.exit, 0, "{tested:?}");
    let asked = vaulted.ccp.requests().pop().unwrap();
    let said = ["AppID", "Safe", "Folder", "Object", "ConnectionTimeout"].map(|name| asked.parameter(name));
    assert_eq!(said, [Some("Gate"), Some("PROD"), Some("Linux"), Some("web1"), Some("7")]);
}

/// Secrets do not travel through whatever a shell's environment names.
#[test]
fn proxies_of_the_environment_are_not_asked() {
    let vaulted = Vaulted::new();
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let mut command = portcullis(&vaulted.site.installed.path("."));
    for name in ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, &address);
    }
    let ran = Ran::from(command.args(["secret", "test", "cyberark:PROD/web1"]).output().unwrap());
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert_eq!(vaulted.ccp.requests().len(), 1);
    let nobody = proxy.accept().map(|_| ()).unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock, "the proxy was asked");
}

#[tokio::test]
async fn errors_of_cyberark_are_told_to_each_reader_in_their_words() {
    let vaulted = Vaulted::new();
    let (site, ccp) = (&vaulted.site, &vaulted.ccp);
    let gateway = site.serve();
    let mut client = Client::Http(site.http(&gateway, Era::Modern).await);
    let missing = take(&mut client, "nobody").await;
    assert_eq!(missing.structured()["code"], "credential.not_found", "{missing:?}");
    assert_eq!(missing.structured()["vendor_code"], "APPAP004E");
    assert!(missing.structured()["hint"].as_str().unwrap().contains("List and Retrieve"), "{missing:?}");

    // Without a handle the agent has not named the account, and does not learn it.
    ccp.fail(403, "APPAP306E", "APPAP133E machine [10.1.1.1] is unauthorized for web1-secret-name");
    let own = client.call("ssh_execute", run("id -un", None)).await;
    assert_eq!(own.structured()["code"], "credential.refused", "{own:?}");
    assert_eq!(own.structured()["vendor_code"], "APPAP306E");
    let said = format!("{own:?}");
    assert!(!said.contains("secret-name") && !said.contains("PROD") && !said.contains("10.1.1.1"), "{said}");

    // The operator reads it all.
    let tested = site.installed.run(&["secret", "test", "cyberark:PROD/nobody"]);
    assert_eq!(tested.exit, 2, "{tested:?}");
    let all = format!("{}{}", tested.out, tested.err);
    for shown in ["APPAP004E", "was not found", "asked from 127.0.0.1", "upper and lower case"] {
        assert!(all.contains(shown), "{shown}: {tested:?}");
    }
    assert!(gateway.log().contains("APPAP133E"), "{}", gateway.log());

    // A handle that could not be used because of CyberArk is not spent.
    let taken = take(&mut client, "web1").await;
    let handle = &taken.structured()["handle"];
    for mischief in [
        CcpMischief::Page(503),
        CcpMischief::Redirect("https://192.0.2.1/".to_owned()),
        CcpMischief::Endless,
        CcpMischief::Json { status: 500, body: format!("{{\"Content\":{}", json!(CANARY)) },
        CcpMischief::Json {
            status: 404,
            body: json!({ "ErrorCode": "APPAP004E", "ErrorMsg": CANARY, "Content": CANARY }).to_string(),
        },
    ] {
        ccp.misbehave([mischief]);
        let answer = client.call("ssh_execute", run("id -un", Some(handle))).await;
        assert!(
            answer.is_error() && answer.structured()["code"].as_str().unwrap().starts_with("credential."),
            "{answer:?}"
        );
    }
    let answer = client.call("ssh_execute", run("id -un", Some(handle))).await;
    assert_eq!(answer.structured()["exit_code"], 0, "{answer:?}");

    let errors: Vec<Value> =
        site.journal().into_iter().filter(|entry| entry["event"] == "cyberark_error").collect();
    let vendor: Vec<_> = errors.iter().map(|entry| entry["vendor_code"].as_str()).collect();
    let expected =
        [Some("APPAP004E"), Some("APPAP306E"), Some("APPAP004E"), None, None, None, None, Some("APPAP004E")];
    assert_eq!(vendor, expected, "{errors:#?}");
    let Vaulted { site, .. } = vaulted;
    nowhere(CANARY, site, gateway, client).await;
}

#[tokio::test]
async fn a_reload_shows_a_new_certificate_and_a_broken_one_changes_nothing() {
    let vaulted = Vaulted::new();
    let site = &vaulted.site;
    let gateway = site.serve();
    let mut client = Client::Http(site.http(&gateway, Era::Modern).await);
    assert!(!take(&mut client, "web1").await.is_error());
    let renewed = vaulted.certificate();
    let refused = take(&mut client, "web1").await;
    assert_eq!(refused.structured()["vendor_code"], "APPAP306E", "{refused:?}");

    site.installed.edit("pfx.pass", PFX_PASSWORD, "wrong");
    let broken = site.installed.run(&["reload"]);
    assert_eq!(broken.exit, 1, "{broken:?}");
    assert!(broken.err.contains("cyberark") && broken.err.contains("gate.pfx"), "{broken:?}");
    assert_eq!(
        take(&mut client, "web1").await.structured()["vendor_code"],
        "APPAP306E",
        "the old one is shown"
    );

    site.installed.edit("pfx.pass", "wrong", PFX_PASSWORD);
    vaulted.show(&renewed);
    let reloaded = site.installed.run(&["reload"]);
    assert_eq!(reloaded.exit, 0, "{reloaded:?}");
    let listed = format!("certificate file `{}` changed", site.installed.path("gate.pfx").display());
    assert!(reloaded.out.contains(&listed), "{reloaded:?}");
    assert!(!take(&mut client, "web1").await.is_error(), "the new one is shown");

    let again = site.installed.run(&["reload"]);
    assert!(again.out.contains("Nothing has changed"), "{again:?}");
    let record = site.installed.run(&["audit", "query", "--event", "config_reloaded", "--json"]);
    assert_eq!(record.out.matches("certificate file `").count(), 1, "{record:?}");

    let shown: Vec<_> = vaulted.ccp.requests().into_iter().map(|request| request.certificate).collect();
    assert_ne!(shown.first(), shown.last());
    assert!(gateway.terminate().success());
    assert_eq!(files_with(CANARY, &site.installed.path(".")), []);
}

#[test]
fn without_a_ca_the_systems_authorities_are_believed() {
    let vaulted = Vaulted::new();
    let installed = &vaulted.site.installed;
    installed.edit("portcullis.toml", "ca = \"ccp-ca.pem\"\n", "");
    let test = |authorities: &str| {
        let mut command = portcullis(&installed.path("."));
        command
            .args(["secret", "test", "cyberark:PROD/web1"])
            .env("SSL_CERT_FILE", installed.path(authorities));
        Ran::from(command.output().unwrap())
    };
    let believed = test("ccp-ca.pem");
    assert_eq!(believed.exit, 0, "{believed:?}");
    installed.write("other-ca.pem", TestCa::new().pem());
    let stranger = test("other-ca.pem");
    assert_eq!(stranger.exit, 2, "{stranger:?}");
    assert!(stranger.err.contains("vouches") || stranger.out.contains("vouches"), "{stranger:?}");
}

#[test]
fn a_gateway_whose_certificate_others_can_read_does_not_start() {
    use std::os::unix::fs::PermissionsExt as _;
    let vaulted = Vaulted::new();
    let file = vaulted.site.installed.path("gate.pfx");
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
    for verb in ["check", "serve"] {
        let ran = vaulted.site.installed.run(&[verb]);
        assert_eq!(ran.exit, 1, "{ran:?}");
        assert!(ran.err.contains("gate.pfx") && ran.err.contains("chmod 600"), "{ran:?}");
    }
}

/// What is put where, and the finding that must name it: the key, words, and whether it stops.
type Spoilt = (fn(&Vaulted), &'static str, &'static str, bool);

#[test]
fn check_reads_the_files_of_a_source_as_a_start_would() {
    let spoils: [Spoilt; 7] = [
        (
            |v| v.site.installed.edit("pfx.pass", PFX_PASSWORD, "canary-wrong"),
            "client_pfx.password",
            "the password does not open it",
            true,
        ),
        (
            |v| v.site.installed.edit("portcullis.toml", ", password = { file = \"pfx.pass\" }", ""),
            "client_pfx.file",
            "it has a password",
            true,
        ),
        (|v| v.site.installed.write("gate.pfx", "nothing"), "client_pfx.file", "no PFX file", true),
        (
            |v| {
                v.site.installed.edit(
                    "portcullis.toml",
                    "{ file = \"pfx.pass\" }",
                    "{ env = \"PFX_OF_NOBODY\" }",
                );
            },
            "client_pfx.password",
            "variable `PFX_OF_NOBODY` is not set",
            false,
        ),
        (|v| v.show_without_key(), "client_pfx.file", "it holds no private key", true),
        (|v| v.show(&v.ca.expired_client(&["gate.test"])), "client_pfx.file", "has expired", false),
        (|v| v.site.installed.write("ccp-ca.pem", "nothing"), "ca", "no certificate in PEM form", true),
    ];
    for (spoil, key, words, stops) in spoils {
        let vaulted = Vaulted::new();
        let installed = &vaulted.site.installed;
        assert_eq!(installed.run(&["check"]).exit, 0, "before it is spoilt");
        spoil(&vaulted);
        let ran = installed.run(&["check", "--json"]);
        assert_eq!(ran.exit, i32::from(stops), "{key}: {ran:?}");
        let report = ran.json();
        let line = installed
            .read("portcullis.toml")
            .lines()
            .position(|line| line.starts_with(&format!("{} =", key.split('.').next().unwrap())));
        let found = report["findings"].as_array().unwrap().iter().find(|finding| {
            let named = finding["key"].as_str().unwrap().ends_with(key);
            named && finding["message"].as_str().unwrap().contains(words)
        });
        let found = found.unwrap_or_else(|| panic!("{key}: {words}: {report:#}"));
        assert_eq!(found["severity"], if stops { "error" } else { "warning" }, "{found}");
        assert_eq!(found["line"].as_u64(), line.map(|line| line as u64 + 1), "{found}");
        assert!(found["file"].as_str().unwrap().ends_with("portcullis.toml"));
        assert!(!report.to_string().contains("canary"), "{report}");
        let started = installed.run(&["secret", "test", "cyberark:PROD/web1"]);
        assert!(!stops || started.exit == 1, "what stops a start is what `check` finds: {started:?}");
    }
}

#[tokio::test]
async fn certificates_that_are_not_verified_need_two_agreements_and_warn() {
    let vaulted = Vaulted::new();
    let site = &vaulted.site;
    site.installed.edit("portcullis.toml", "ca = \"ccp-ca.pem\"\n", "");
    site.installed.edit("portcullis.toml", "state = \"state\"", "insecure = [\"tls\"]\nstate = \"state\"");
    assert_eq!(site.installed.run(&["serve"]).exit, 1, "agreed to in one place only");
    let gateway = site.serve_with(&["--insecure"]);
    let mut client = Client::Http(site.http(&gateway, Era::Modern).await);
    assert!(!take(&mut client, "web1").await.is_error());
    assert!(gateway.log().contains("without being verified"), "{}", gateway.log());
    assert!(gateway.terminate().success());
}
