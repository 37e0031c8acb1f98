use model::{LiteralSecret, Secret, SecretLocation};
use testkit::{PfxForm, TestCertificate};

use super::*;

const PASSWORD: &str = "canary of the file";

/// A web service that wants this certificate.
fn wanting(clients: ClientCertificates) -> (Site, TestCertificate) {
    let site = Site::with(clients);
    let own = site.ca.client(&["gateway.test"]);
    want(&site, &own);
    (site, own)
}

fn want(site: &Site, own: &TestCertificate) {
    site.server.application(CcpApplication {
        certificate: Some(own.cert.clone()),
        ..CcpApplication::new("Gate Keeper", &["PROD"])
    });
}

fn pfx(file: PathBuf, password: Option<SecretLocation>) -> Option<CcpIdentity> {
    Some(CcpIdentity::Pfx { file, password })
}

fn literal(text: &str) -> Option<SecretLocation> {
    Some(SecretLocation::Literal(LiteralSecret::new(Secret::new(text.to_owned()))))
}

#[tokio::test]
async fn the_gateways_certificate_comes_from_a_pfx_file_or_from_pem_files() {
    for clients in [ClientCertificates::Accepted, ClientCertificates::Required, ClientCertificates::Demanded]
    {
        let (mut site, own) = wanting(clients);
        let (cert, key) = own.write(site.folder.path(), "own");
        site.settings.identity = Some(CcpIdentity::Pem { cert, key });
        fetch(&site.source(), "PROD/root").await.unwrap();
    }
    let (mut site, own) = wanting(ClientCertificates::Required);
    private(&site.at("phrase"), format!("{PASSWORD}\n").as_bytes());
    for form in [PfxForm::Modern, PfxForm::Windows, PfxForm::Legacy] {
        let file = own.write_pfx(site.folder.path(), "own", PASSWORD, form);
        for password in [
            Some(SecretLocation::File(site.at("phrase"))),
            Some(SecretLocation::Env("PHRASE".to_owned())),
            literal(PASSWORD),
        ] {
            site.settings.identity = pfx(file.clone(), password);
            let source = site.try_source(&[("PHRASE", PASSWORD)]).unwrap();
            fetch(&source, "PROD/root").await.unwrap_or_else(|failure| panic!("{form:?}: {failure:?}"));
        }
    }
    let open = own.write_pfx(site.folder.path(), "open", "", PfxForm::Modern);
    site.settings.identity = pfx(open, None);
    fetch(&site.source(), "PROD/root").await.unwrap();
}

#[tokio::test]
async fn rsa_keys_and_authorities_below_others_are_shown_as_well() {
    let (mut site, _) = wanting(ClientCertificates::Demanded);
    let rsa = site.ca.rsa_client(&["gateway.test"]);
    want(&site, &rsa);
    let (cert, key) = rsa.write(site.folder.path(), "rsa");
    let traditional = site.at("traditional.key");
    let openssl =
        std::process::Command::new("openssl").args(["rsa", "-traditional", "-in"]).arg(&key).output();
    let text = openssl.unwrap().stdout;
    assert!(text.starts_with(b"-----BEGIN RSA PRIVATE KEY-----"));
    private(&traditional, &text);
    for key in [key, traditional] {
        site.settings.identity = Some(CcpIdentity::Pem { cert: cert.clone(), key });
        fetch(&site.source(), "PROD/root").await.unwrap();
    }
    site.settings.identity =
        pfx(rsa.write_pfx(site.folder.path(), "rsa", PASSWORD, PfxForm::Windows), literal(PASSWORD));
    fetch(&site.source(), "PROD/root").await.unwrap();

    // The web service knows the upper authority only, so that it needs the one between.
    let below = site.ca.below().client(&["gateway.test"]);
    want(&site, &below);
    let (cert, key) = below.write(site.folder.path(), "below");
    site.settings.identity = Some(CcpIdentity::Pem { cert, key });
    fetch(&site.source(), "PROD/root").await.unwrap();
    site.settings.identity =
        pfx(below.write_pfx(site.folder.path(), "below", PASSWORD, PfxForm::Modern), literal(PASSWORD));
    fetch(&site.source(), "PROD/root").await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_ends_soon_is_said_to() {
    struct At(i64);
    impl Clock for At {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0)
        }
        fn boot(&self) -> BootInstant {
            BootInstant::new(Duration::from_secs(50))
        }
        fn boot_id(&self) -> &str {
            "boot-1"
        }
    }
    let (mut site, own) = wanting(ClientCertificates::Accepted);
    let (cert, key) = own.write(site.folder.path(), "own");
    site.settings.identity = Some(CcpIdentity::Pem { cert, key });
    // The test authority's certificates end with the year 4095.
    let end = 67_090_118_400_000;
    for (now, said) in [
        (end + 86_400_000, Some("has expired")),
        (end - 86_400_000, Some("within two weeks")),
        (end - 30 * 86_400_000, None),
    ] {
        let source =
            CcpSource::new(site.settings.clone(), &variables(&[]), Arc::new(At(now)), versions()).unwrap();
        let examined = source.examine(Fetch { credential: &named("PROD/root"), reason: None }).await;
        let (_, remarks) = examined.unwrap_or_else(|failure| panic!("{failure:?}"));
        let warning = remarks.iter().find(|remark| remark.name == "warning");
        assert_eq!(warning.is_some(), said.is_some(), "{remarks:?}");
        assert!(said.is_none_or(|said| warning.unwrap().value.contains(said)), "{remarks:?}");
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_and_their_passwords_are_not() {
    let (mut site, own) = wanting(ClientCertificates::Required);
    let file = own.write_pfx(site.folder.path(), "own", PASSWORD, PfxForm::Modern);
    let (cert, key) = own.write(site.folder.path(), "own");
    let (_, stranger) = site.ca.client(&["x.test"]).write(site.folder.path(), "stranger");
    let exposed = site.at("exposed.pfx");
    std::fs::copy(&file, &exposed).unwrap();
    std::fs::set_permissions(&exposed, std::fs::Permissions::from_mode(0o644)).unwrap();
    private(&site.at("text"), b"nothing of the kind");
    private(
        &site.at("locked"),
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let in_pem =
        |cert: &PathBuf, key: &PathBuf| Some(CcpIdentity::Pem { cert: cert.clone(), key: key.clone() });
    for (identity, told) in [
        (pfx(file.clone(), literal("canary, but wrong")), "password"),
        (pfx(file.clone(), None), "password"),
        (pfx(file.clone(), Some(SecretLocation::Env("UNSET".to_owned()))), "`UNSET` is not set"),
        (pfx(file.clone(), Some(SecretLocation::File(site.at("none")))), "no such file"),
        (
            pfx(file.clone(), Some(SecretLocation::Stored(named("A/b")))),
            "cannot come from a credential source",
        ),
        (pfx(exposed, literal(PASSWORD)), "mode 0600"),
        (pfx(site.at("none"), literal(PASSWORD)), "no such file"),
        (pfx(site.at("text"), literal(PASSWORD)), "no PFX file"),
        (in_pem(&cert, &stranger), "not the certificate's"),
        (in_pem(&cert, &site.at("locked")), "passphrase"),
        (in_pem(&cert, &site.at("text")), "no private key"),
        (in_pem(&site.at("text"), &key), "no certificate"),
        (in_pem(&cert, &site.at("none")), "no such file"),
    ] {
        site.settings.identity = identity;
        let why = site.unbuildable(&[]);
        assert!(why.contains(told) && !why.contains("canary"), "{why}");
    }
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    site.settings.identity = in_pem(&cert, &key);
    assert!(site.unbuildable(&[]).contains("mode 0600"));
}

#[tokio::test]
async fn a_certificate_that_is_missing_or_not_liked_is_told_apart() {
    let (mut site, _) = wanting(ClientCertificates::Required);
    let page = error(&site.source(), "PROD/root").await;
    assert_eq!((page.code(), page.fault()), (ErrorCode::CredentialRefused, Fault::Us), "{page:?}");
    assert!(page.hint().unwrap().contains("client_pfx"), "{page:?}");
    let (cert, key) = site.ca.client(&["stranger.test"]).write(site.folder.path(), "stranger");
    site.settings.identity = Some(CcpIdentity::Pem { cert, key });
    assert_eq!(error(&site.source(), "PROD/root").await.vendor(), Some("APPAP306E"));
    let (cert, key) = TestCa::new().client(&["gateway.test"]).write(site.folder.path(), "foreign");
    site.settings.identity = Some(CcpIdentity::Pem { cert, key });
    let refused = error(&site.source(), "PROD/root").await;
    assert_eq!((refused.code(), refused.retry()), (ErrorCode::CredentialRefused, false), "{refused:?}");
    assert!(refused.message().contains("does not accept the gateway's certificate"), "{refused:?}");

    let (mut site, own) = wanting(ClientCertificates::Accepted);
    let none = error(&site.source(), "PROD/root").await;
    assert!(none.vendor() == Some("APPAP306E") && none.hint().unwrap().contains("client_pfx"), "{none:?}");
    let (cert, key) = own.write(site.folder.path(), "own");
    site.settings.identity = Some(CcpIdentity::Pem { cert, key });
    fetch(&site.source(), "PROD/root").await.unwrap();

    let (site, _) = wanting(ClientCertificates::Demanded);
    let refused = error(&site.source(), "PROD/root").await;
    assert_eq!(refused.code(), ErrorCode::CredentialRefused, "{refused:?}");
    assert!(refused.hint().unwrap().contains("client_pfx"), "{refused:?}");
}

#[tokio::test]
async fn only_who_is_vouched_for_and_who_it_says_is_believed() {
    let mut site = Site::new();
    let (names, other) = (["127.0.0.1"], TestCa::new());
    let source = site.source();
    fetch(&source, "PROD/root").await.unwrap();
    for (shown, fault, told) in [
        (site.ca.server(&["elsewhere.test"]), Fault::Us, "for another host"),
        (other.server(&names), Fault::Us, "nobody whom the gateway trusts"),
        (site.ca.expired_server(&names), Fault::Target, "expired"),
        (site.ca.client(&names), Fault::Target, "not acceptable"),
    ] {
        site.server.show(&shown, &site.ca);
        let failure = error(&site.source(), "PROD/root").await;
        assert_eq!(
            (failure.code(), failure.fault()),
            (ErrorCode::CredentialSourceDown, fault),
            "{failure:?}"
        );
        assert!(failure.message().contains(told) && !failure.retry(), "{failure:?}");
    }
    assert_eq!(site.server.requests().len(), 1, "nothing was asked of a stranger");
    site.server.show(&site.ca.server(&names), &site.ca);
    site.settings.trust = CcpTrust::System;
    assert!(error(&site.source(), "PROD/root").await.message().contains("nobody whom"));
    site.settings.trust = CcpTrust::Anybody;
    fetch(&site.source(), "PROD/root").await.unwrap();
    site.settings.trust = CcpTrust::Authorities(site.at("none.pem"));
    assert!(site.unbuildable(&[]).contains("none.pem"));
    std::fs::write(site.at("empty.pem"), "").unwrap();
    site.settings.trust = CcpTrust::Authorities(site.at("empty.pem"));
    assert!(site.unbuildable(&[]).contains("no certificate"));
}

#[test]
fn settings_that_cannot_work_build_nothing() {
    let mut site = Site::new();
    let good = site.settings.clone();
    for (url, told) in [
        ("http://ccp.test/AIMWebService/api/Accounts", "https"),
        ("ccp.test/AIMWebService", "no address"),
        ("https://ccp.test", "path"),
        ("https://ccp.test/", "path"),
        ("https://ccp.test/a?AppID=x", "query"),
        ("https://u:p@ccp.test/a", "user"),
        ("not an address", "no address"),
    ] {
        site.settings.url = url.to_owned();
        assert!(site.unbuildable(&[]).contains(told), "{url}: {}", site.unbuildable(&[]));
    }
    for app_id in ["", "a;b", "a&Object=b", "a\nb"] {
        site.settings = CcpSettings { app_id: app_id.to_owned(), ..good.clone() };
        assert!(site.unbuildable(&[]).contains("`app_id`"), "{app_id:?}");
    }
}

#[tokio::test]
async fn built_from_configuration_it_is_a_source_like_others() {
    let site = Site::new();
    let (state, kind) = (site.at("state"), SourceKind::Ccp(Box::new(site.settings.clone())));
    let around = Surroundings {
        clock: Arc::new(Stopped),
        entropy: Arc::new(Counting::default()),
        state: &state,
        environment: variables(&[]),
        passphrase: &|| panic!("nobody is asked"),
    };
    let of = |fetch| SourceSpec { name: "s".to_owned(), fetch, kind: kind.clone() };
    let source = build(&of(broker::FetchTime::AtIssue), &around).unwrap();
    assert_eq!(source.fetch_time(), broker::FetchTime::AtIssue);
    let found = crate::examine(source.as_ref(), &named("PROD/root")).await.unwrap();
    assert_eq!((found.kind, found.username.as_deref()), ("password", Some("svc_root")));
    assert!(found.remarks.iter().any(|remark| remark.name == "platform"), "{found:?}");
    assert_eq!(site.asked("Reason").as_deref(), Some("secret test"));
}
