use super::*;

async fn examined(source: &CcpSource, name: &str) -> (Credential, Vec<Remark>) {
    let found = source.examine(Fetch { credential: &named(name), reason: None }).await;
    found.unwrap_or_else(|failure| panic!("{failure:?}"))
}

fn value<'a>(remarks: &'a [Remark], name: &str) -> Option<&'a str> {
    remarks.iter().find(|remark| remark.name == name).map(|remark| remark.value.as_str())
}

#[tokio::test]
async fn a_password_comes_with_what_cyberark_knows_of_its_account() {
    let site = Site::new();
    let (credential, remarks) = examined(&site.source(), "PROD/root").await;
    assert!(is_password(&credential, SECRET));
    assert_eq!(credential.username.as_deref(), Some("svc_root"));
    assert_eq!(credential.address.as_deref(), Some("10.0.0.11"));
    assert!(credential.version.is_some());
    let expected = [("safe", "PROD"), ("folder", "Root"), ("object", "root"), ("platform", "UnixSSH")];
    let shown: Vec<_> = remarks.iter().map(|remark| (remark.name, remark.value.as_str())).collect();
    assert_eq!(shown, expected);
    let asked = &site.server.requests()[0];
    let parameters: Vec<_> = asked.parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(
        parameters,
        [
            ("AppID", "Gate Keeper"),
            ("Safe", "PROD"),
            ("Object", "root"),
            ("ConnectionTimeout", "10"),
            ("FailRequestOnPasswordChange", "true"),
        ]
    );
}

#[tokio::test]
async fn an_operator_can_say_how_an_account_is_found_with_every_parameter() {
    let mut site = Site::new();
    let text = |text: &str| Some(text.to_owned());
    let by = CcpQuery::Properties {
        object: text("root"),
        folder: text("Linux"),
        user_name: text("svc_root"),
        address: text("db.internal"),
        database: text("orders"),
        policy_id: text("UnixSSH"),
    };
    site.settings.accounts = vec![
        declared("all of it", by),
        declared("pair", CcpQuery::Free { query: "Safe=PROD;VirtualUsername=svc".to_owned(), regexp: false }),
        declared(
            "pattern",
            CcpQuery::Free { query: "UserName=svc_.*;Folder=Linux".to_owned(), regexp: true },
        ),
    ];
    let full = Account { folder: "Linux".to_owned(), ..root() };
    let full = full.with("Address", "db.internal").with("Database", "orders").with("PolicyID", "UnixSSH");
    site.server.account(full);
    let virtual_user = |name: &str, inactive| {
        let account = Account::new("PROD", name, name, "canary of the pair").with("VirtualUsername", "svc");
        Account { inactive, ..account }
    };
    site.server.account(virtual_user("one", true));
    site.server.account(virtual_user("two", false));
    let source = site.source();
    assert!(is_password(&fetch(&source, "PROD/all of it").await.unwrap(), SECRET));
    for (name, value) in [
        ("Safe", "PROD"),
        ("Folder", "Linux"),
        ("Object", "root"),
        ("UserName", "svc_root"),
        ("Address", "db.internal"),
        ("Database", "orders"),
        ("PolicyID", "UnixSSH"),
    ] {
        assert_eq!(site.asked(name).as_deref(), Some(value), "{name}");
    }
    let pair = fetch(&source, "PROD/pair").await.unwrap();
    assert_eq!(pair.username.as_deref(), Some("two"), "the answer's user name wins");
    assert_eq!(site.asked("QueryFormat").as_deref(), Some("Exact"));
    assert!(is_password(&fetch(&source, "PROD/pattern").await.unwrap(), SECRET));
    assert_eq!(site.asked("QueryFormat").as_deref(), Some("Regexp"));
    assert_eq!(site.asked("Object"), None, "nothing is said that CyberArk would ignore");
}

#[tokio::test]
async fn the_reason_is_the_agents_else_the_operators_and_fits() {
    let mut site = Site::new();
    let ask = async |source: &CcpSource, reason| {
        source.fetch(Fetch { credential: &named("PROD/root"), reason }).await.map(|_| ()).unwrap();
        site.asked("Reason")
    };
    let source = site.source();
    assert_eq!(ask(&source, None).await, None);
    let said = ask(&source, Some("ticket 4711: \u{e9}tat & 100% of a+b; done\u{1}")).await;
    assert_eq!(said.as_deref(), Some("ticket 4711: \u{e9}tat   100  of a b  done"));
    let long = "\u{20ac}".repeat(1000);
    let kept = ask(&source, Some(&long)).await.unwrap();
    assert!(kept.len() > 500 && long.starts_with(&kept), "{}", kept.len());
    site.settings.reason = Some("by Portcullis".to_owned());
    let source = site.source();
    let said = source.fetch(Fetch { credential: &named("PROD/root"), reason: None }).await;
    assert!(said.is_ok());
    assert_eq!(site.asked("Reason").as_deref(), Some("by Portcullis"));
    source.fetch(Fetch { credential: &named("PROD/root"), reason: Some("mine") }).await.map(|_| ()).unwrap();
    assert_eq!(site.asked("Reason").as_deref(), Some("mine"));
}

#[tokio::test]
async fn content_that_is_a_key_becomes_one_and_brings_its_passphrase() {
    let mut site = Site::new();
    site.settings.accounts =
        vec![CcpAccount { passphrase: Some("phrase".to_owned()), ..declared("locked", CcpQuery::default()) }];
    let CcpQuery::Properties { object, .. } = &mut site.settings.accounts[0].query else { panic!() };
    *object = Some("key".to_owned());
    site.server.account(Account::new("PROD", "key", "svc_key", KEY));
    site.server.account(Account::new("PROD", "phrase", "", "canary phrase"));
    let source = site.source();
    let plain = fetch(&source, "PROD/key").await.unwrap();
    assert!(
        matches!(&plain.material, Material::PrivateKey { pem, passphrase: None, .. } if pem.same_as(KEY.as_bytes()))
    );
    const CERTIFICATE: &str = "ssh-ed25519-cert-v01@openssh.com AAAA ops";
    site.server.account(Account::new("PROD", "certified", "x", &format!("{KEY}{CERTIFICATE}\n")));
    let certified = fetch(&source, "PROD/certified").await.unwrap();
    assert!(
        matches!(&certified.material, Material::PrivateKey { certificate: Some(found), .. } if found == CERTIFICATE),
        "a certificate that follows the key goes with it"
    );
    let locked = fetch(&source, "PROD/locked").await.unwrap();
    let Material::PrivateKey { passphrase: Some(phrase), .. } = &locked.material else {
        panic!("no passphrase")
    };
    assert!(phrase.same_as(b"canary phrase"));
    assert!(plain.version.is_some() && locked.version.is_some());
    for foreign in
        ["PuTTY-User-Key-File-3: ssh-ed25519\ncanary", "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\ncanary"]
    {
        site.server.account(Account::new("PROD", "foreign", "x", foreign));
        refused(&source, "PROD/foreign", ErrorCode::CredentialRefused, "form").await;
    }
    site.server.account(Account::new("PROD", "empty", "x", ""));
    refused(&source, "PROD/empty", ErrorCode::CredentialRefused, "empty").await;
}

#[tokio::test]
async fn any_password_arrives_as_it_is() {
    let site = Site::new();
    let source = site.source();
    for secret in
        ["\"\\/\u{8}\u{c}\n\r\t", "p%2B+&;=?#", "\u{e9}\u{20ac}\u{1f600}\u{7f}", &"\u{1}".repeat(60_000)]
    {
        site.server.account(Account { content: secret.to_owned(), ..root() });
        assert!(is_password(&fetch(&source, "PROD/root").await.unwrap(), secret));
    }
    site.server.account(Account { content: "c".repeat(65_537), ..root() });
    assert_eq!(failure(&source, "PROD/root").await.code(), ErrorCode::CredentialRefused);
}

#[tokio::test]
async fn one_account_has_one_name() {
    let site = Site::new();
    let source = site.source();
    for name in ["PROD/ root", "PROD/root ", "PROD/a+b", "PROD/a&Object=root", "PROD/a%20b"] {
        assert_eq!(failure(&source, name).await.code(), ErrorCode::InputInvalid, "{name}");
    }
    let long = format!("PROD/{}", "\u{20ac}".repeat(85));
    assert_eq!(failure(&source, &long).await.code(), ErrorCode::CredentialNotFound);
    assert_eq!(site.server.requests().len(), 1, "a name that CyberArk would not read is not asked for");
    site.server.ignores_case(true);
    let other = error(&source, "PROD/ROOT").await;
    assert_eq!(other.code(), ErrorCode::CredentialNotFound, "{other:?}");
    assert!(other.hint().unwrap().contains("exactly"), "{other:?}");
    let unnamed = format!("{{\"Content\":\"{SECRET}\"}}");
    site.server.misbehave([CcpMischief::Json { status: 200, body: unnamed }]);
    let (credential, remarks) = examined(&source, "PROD/ROOT").await;
    assert!(is_password(&credential, SECRET));
    assert!(value(&remarks, "object").unwrap().contains("did not say"), "{remarks:?}");
}

#[tokio::test]
async fn every_error_of_the_vendor_has_our_code_and_its_own_beside_it() {
    let site = Site::new();
    let source = site.source();
    let refused = (ErrorCode::CredentialRefused, Fault::Us, false);
    let down = (ErrorCode::CredentialSourceDown, Fault::Target, true);
    for (status, code, message, expected, hint) in [
        (400, "AIMWS030E", "Invalid query format", refused, "query_format"),
        (400, "AIMWS031E", "Parameter [AppID] is required", refused, "app_id"),
        (400, "APPAP227E", "Too many", refused, "narrower"),
        (400, "APPAP228E", "Too many", refused, "narrower"),
        (400, "APPAP229E", "Too many", refused, "narrower"),
        (400, "APPAP007E", "Connection to the Vault has failed", down, "APPAP004E"),
        (400, "APPAP081E", "Request message content is invalid", refused, "credential_source"),
        (400, "CASVL010E", "Invalid characters in User Name", refused, "user_name"),
        (403, "APPAP306E", "APPAP133E machine [10.1.1.1] is unauthorized", refused, "allowed machines"),
        (403, "APPAP306E", "APPAP330E Details of certificate", refused, "clientcertnegotiation"),
        (403, "APPAP008E", "ITATS982E User app is not defined", refused, "app_id"),
        (403, "APPAP006E", "as a manual has it", refused, "APPAP306E"),
        (
            404,
            "APPAP004E",
            "not found",
            (ErrorCode::CredentialNotFound, Fault::Caller, false),
            "List and Retrieve",
        ),
        (400, "ZZZZZ123E", "newer than this program", refused, "log"),
        (503, "ZZZZZ124E", "newer than this program", down, "log"),
    ] {
        let before = site.server.requests().len();
        site.server.fail(status, code, message);
        let failure = error(&source, "PROD/root").await;
        assert_eq!((failure.code(), failure.fault(), failure.retry()), expected, "{code}: {failure:?}");
        assert_eq!(failure.vendor(), Some(code));
        assert!(failure.hint().unwrap().contains(hint), "{code}: {failure:?}");
        let internal = failure.internal().unwrap();
        assert!(internal.contains(message) && internal.contains("asked from 127.0.0.1"), "{internal}");
        assert!(!failure.message().contains(message), "CyberArk's words are for the operator");
        assert_eq!(site.server.requests().len(), before + 1, "{code} is not asked again");
    }
    assert!(fetch(&source, "PROD/root").await.is_ok());
}

#[tokio::test]
async fn what_the_server_itself_says_is_understood() {
    let site = Site::new();
    let source = site.source();
    site.server.vault_is_down(true);
    assert_eq!(error(&source, "PROD/root").await.vendor(), Some("APPAP007E"));
    site.server.vault_is_down(false);
    assert_eq!(error(&source, "PROD/nobody").await.vendor(), Some("APPAP004E"));
    assert_eq!(error(&source, "HIDDEN/root").await.vendor(), Some("APPAP004E"));
    let elsewhere: IpAddr = "192.0.2.9".parse().unwrap();
    site.server.application(CcpApplication {
        machines: vec![elsewhere],
        ..CcpApplication::new("Gate Keeper", &["PROD"])
    });
    let failure = error(&source, "PROD/root").await;
    assert_eq!((failure.vendor(), failure.code()), (Some("APPAP306E"), ErrorCode::CredentialRefused));
    assert!(failure.internal().unwrap().contains("APPAP133E"), "{failure:?}");
}

#[tokio::test]
async fn a_message_is_read_under_its_other_name_as_well() {
    let site = Site::new();
    let source = site.source();
    for (body, read) in [
        ("\"ErrorMessage\":\"APPAP330E Details of certificate\"", "APPAP330E Details of certificate"),
        (
            "\"ErrorMsg\":null,\"ErrorMessage\":\"APPAP330E Details of certificate\"",
            "APPAP330E Details of certificate",
        ),
        (
            "\"ErrorMessage\":\"APPAP004E\",\"ErrorMsg\":\"APPAP330E the usual one\"",
            "APPAP330E the usual one",
        ),
    ] {
        let body = format!("{{\"ErrorCode\":\"APPAP306E\",{body}}}");
        site.server.misbehave([CcpMischief::Json { status: 403, body: body.clone() }]);
        let failure = error(&source, "PROD/root").await;
        assert_eq!(failure.vendor(), Some("APPAP306E"), "{body}");
        assert!(failure.hint().unwrap().contains("clientcertnegotiation"), "{body}: {failure:?}");
        assert!(failure.internal().unwrap().contains(read), "{body}: {failure:?}");
    }
}

#[tokio::test]
async fn while_a_password_changes_cyberark_is_asked_again_and_then_it_is_refused() {
    let mut site = Site::new();
    let source = site.source();
    let changing = |text: &str| CcpMischief::Json {
        status: 200,
        body: format!("{{\"Content\":\"canary-old\",\"PasswordChangeInProcess\":{text}}}"),
    };
    // By its own code, as a truth value, as text; then it is over.
    site.server.fail(500, "APPAP282E", "Password is currently being changed");
    site.server.misbehave([changing("true")]);
    assert!(is_password(&fetch(&source, "PROD/root").await.unwrap(), SECRET));
    assert_eq!(site.server.requests().len(), 3);
    site.server.account(Account { changing: true, ..root() });
    let failure = error(&source, "PROD/root").await;
    assert_eq!(failure.vendor(), Some("APPAP282E"));
    assert_eq!((failure.code(), failure.retry()), (ErrorCode::CredentialSourceDown, true));
    assert_eq!(site.server.requests().len(), 6, "asked three times");

    site.settings.password_change = PasswordChange::Use;
    let source = site.source();
    for text in ["true", "\"True\"", "\"perhaps\""] {
        site.server.misbehave([changing(text)]);
        let (credential, remarks) = examined(&source, "PROD/root").await;
        assert!(is_password(&credential, "canary-old"), "{text}");
        assert!(value(&remarks, "password change").unwrap().contains("old one"), "{remarks:?}");
    }
    assert_eq!(site.asked("FailRequestOnPasswordChange").as_deref(), Some("false"));
    for text in ["false", "\"False\"", "\"\"", "null"] {
        site.server.misbehave([changing(text)]);
        assert_eq!(value(&examined(&source, "PROD/root").await.1, "password change"), None, "{text}");
    }
}

#[tokio::test]
async fn what_has_no_time_left_is_not_asked_again() {
    let mut site = Site::new();
    site.settings.timeout = Duration::from_secs(2);
    site.server.account(Account { changing: true, ..root() });
    assert_eq!(error(&site.source(), "PROD/root").await.vendor(), Some("APPAP282E"));
    assert_eq!(site.server.requests().len(), 1);
}

#[tokio::test]
async fn connections_are_used_again_and_one_that_was_closed_is_replaced() {
    let site = Site::new();
    let source = site.source();
    for _ in 0..20 {
        fetch(&source, "PROD/root").await.unwrap();
    }
    site.server.fail(404, "APPAP004E", "an error is no reason to close");
    error(&source, "PROD/root").await;
    fetch(&source, "PROD/root").await.unwrap();
    assert_eq!((site.server.connections(), site.server.requests().len()), (1, 22));
    // The server ends the kept connection instead of answering: asked again on a new one, once.
    site.server.misbehave([CcpMischief::Hangup]);
    fetch(&source, "PROD/root").await.unwrap();
    assert_eq!((site.server.connections(), site.server.requests().len()), (2, 24));
    site.server.misbehave([CcpMischief::Hangup, CcpMischief::Hangup]);
    assert_eq!(error(&source, "PROD/root").await.code(), ErrorCode::CredentialSourceDown);
    assert_eq!(site.server.requests().len(), 26, "a new connection that is closed is not replaced");
    let many = futures_many(&source).await;
    assert!(
        many.iter().all(Result::is_ok) && site.server.connections() <= 3 + 16,
        "{}",
        site.server.connections()
    );
}

/// Forty retrievals at once.
async fn futures_many(source: &CcpSource) -> Vec<Result<Credential, Failure>> {
    let name = named("PROD/root");
    let mut all: Vec<_> =
        (0..40).map(|_| Box::pin(source.fetch(Fetch { credential: &name, reason: None }))).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|context| {
        all.retain_mut(|one| match one.as_mut().poll(context) {
            std::task::Poll::Ready(result) => {
                done.push(result);
                false
            }
            std::task::Poll::Pending => true,
        });
        if all.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}
