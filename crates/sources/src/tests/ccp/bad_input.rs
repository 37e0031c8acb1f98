use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::*;

#[tokio::test]
async fn hostile_answers_are_bounded_named_and_harm_nothing_else() {
    let mut site = Site::new();
    site.settings.timeout = Duration::from_secs(3);
    let source = site.source();
    let json = |status, body: &str| CcpMischief::Json { status, body: body.to_owned() };
    let typed = |content_type: &str| CcpMischief::Typed {
        content_type: content_type.to_owned(),
        body: format!("{{\"Content\":\"{SECRET}\"}}"),
    };
    let deep = format!("{{\"Content\":{}1{}}}", "[".repeat(50_000), "]".repeat(50_000));
    let huge = format!("{{\"Content\":\"canary{}\"}}", "x".repeat(500_000));
    let (target, us, network) = (Fault::Target, Fault::Us, Fault::Network);
    let cases: Vec<(CcpMischief, Fault, &str)> = vec![
        (CcpMischief::Page(200), target, "not CyberArk's"),
        (CcpMischief::Page(403), us, "turned the gateway away"),
        (CcpMischief::Page(404), us, "nothing at that path"),
        (CcpMischief::Page(502), target, "web server failed"),
        (CcpMischief::Redirect("https://192.0.2.1/canary".to_owned()), us, "points somewhere else"),
        (typed("text/plain"), target, "not CyberArk's"),
        (typed("application/jsonp"), target, "not CyberArk's"),
        (CcpMischief::Endless, target, "larger than any account"),
        (CcpMischief::Announced, target, "larger than any account"),
        (json(200, &huge), target, "larger than any account"),
        (CcpMischief::Slow, target, "did not answer in time"),
        (CcpMischief::Silent, target, "did not answer in time"),
        (CcpMischief::Cut, network, "broke off"),
        (CcpMischief::Headers(500), target, "no web service"),
        (json(200, ""), target, "no account"),
        (json(200, "[]"), target, "no account"),
        (json(200, "{}"), target, "no account"),
        (json(200, "{\"Content\":null}"), target, "no account"),
        (json(200, "{\"Content\":{\"x\":\"canary\"}}"), target, "no account"),
        (json(200, &deep), target, "no account"),
        (json(200, "{\"Content\":\"canary\",\"Content\":\"canary2\"}"), target, "no account"),
        (json(200, "{\"Content\":\"canary\\ud800\"}"), target, "no account"),
        (json(200, "{\"Content\":\"canary\"} and more"), target, "no account"),
    ];
    for (mischief, fault, told) in cases {
        let shown = format!("{mischief:?}").chars().take(80).collect::<String>();
        // Of a kept connection, or of a new one: both must end alike.
        site.server.misbehave([mischief]);
        let failure = error(&source, "PROD/root").await;
        assert!(failure.message().contains(told), "{shown}: {failure:?}");
        assert_eq!(failure.fault(), fault, "{shown}: {failure:?}");
        assert!(is_password(&fetch(&source, "PROD/root").await.unwrap(), SECRET), "{shown}");
    }
}

#[tokio::test]
async fn an_error_that_holds_a_secret_is_not_repeated() {
    let site = Site::new();
    let source = site.source();
    for body in [
        "{\"ErrorCode\":\"APPAP004E\",\"ErrorMsg\":\"it is canary\",\"Content\":\"canary\"}",
        "{\"ErrorCode\":\"canary is no code\",\"ErrorMessage\":null}",
        "{\"ErrorCode\":\"APPAP004E\",\"ErrorMsg\":{\"canary\":1}}",
        "{\"Content\":\"canary\"}",
        "canary",
    ] {
        site.server.misbehave([CcpMischief::Json { status: 404, body: body.to_owned() }]);
        error(&source, "PROD/root").await;
    }
    let long = format!("APPAP133E\u{1b}[2J{}", "m".repeat(5000));
    site.server.fail(403, "APPAP306E", &long);
    let failure = error(&source, "PROD/root").await;
    let internal = failure.internal().unwrap();
    assert!(internal.len() < 600 && !internal.contains('\u{1b}'), "{internal}");
    // Half a success: CyberArk's code counts, unless there is an account.
    site.server
        .misbehave([CcpMischief::Json { status: 200, body: "{\"ErrorCode\":\"APPAP004E\"}".to_owned() }]);
    assert_eq!(error(&source, "PROD/root").await.vendor(), Some("APPAP004E"));
}

#[tokio::test]
async fn what_is_no_web_service_is_told_from_what_is_not_there() {
    let mut site = Site::new();
    site.settings.connect_timeout = Duration::from_secs(1);
    let url = |port: u16| format!("https://127.0.0.1:{port}/AIMWebService/api/Accounts");
    let told = async |site: &Site| error(&site.source(), "PROD/root").await;

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    site.settings.url = url(closed);
    let failure = told(&site).await;
    assert!(failure.message().contains("cannot be reached") && failure.retry(), "{failure:?}");
    assert_eq!(failure.fault(), Fault::Network);
    site.settings.url = "https://nowhere.invalid/AIMWebService/api/Accounts".to_owned();
    assert!(told(&site).await.message().contains("no address"));

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    site.settings.url = url(silent.local_addr().unwrap().port());
    assert!(told(&site).await.message().contains("did not take the connection"));
    let answering = |text: &'static [u8]| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(text);
            }
        });
        port
    };
    site.settings.url = url(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    let failure = told(&site).await;
    assert!(failure.message().contains("no TLS") && failure.fault() == Fault::Us, "{failure:?}");
    site.settings.url = url(answering(b""));
    assert!(told(&site).await.message().contains("no secure connection"));
}

#[tokio::test]
async fn a_source_that_hangs_holds_up_no_other_and_can_be_given_up() {
    let site = Site::new();
    let source = site.source();
    site.server.misbehave([CcpMischief::Silent]);
    let name = named("PROD/root");
    let hanging = source.fetch(Fetch { credential: &name, reason: None });
    let given_up = tokio::time::timeout(Duration::from_millis(300), hanging).await;
    assert!(given_up.is_err(), "it hangs");
    assert!(is_password(&fetch(&source, "PROD/root").await.unwrap(), SECRET));
}

#[tokio::test]
async fn nothing_of_an_answer_reaches_the_log_at_any_level() {
    let written = Arc::new(Mutex::new(Vec::new()));
    let writer = Written(Arc::clone(&written));
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut site = Site::new();
    site.settings.password_change = PasswordChange::Use;
    site.settings.trust = CcpTrust::Anybody;
    let source = site.source();
    fetch(&source, "PROD/root").await.unwrap();
    site.server.account(Account { changing: true, ..root() });
    fetch(&source, "PROD/root").await.unwrap();
    for body in [
        "{\"Content\":\"canary",
        "{\"ErrorCode\":\"APPAP004E\",\"ErrorMsg\":\"canary\",\"Content\":\"canary\"}",
    ] {
        site.server.misbehave([CcpMischief::Json { status: 500, body: body.to_owned() }]);
        error(&source, "PROD/root").await;
    }
    let log = String::from_utf8(written.lock().unwrap().clone()).unwrap();
    assert!(log.contains("insecure") && log.contains("may be the old one"), "{log}");
    assert!(!log.contains("canary") && !log.contains(SECRET), "{log}");
}

#[derive(Clone)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
