use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use tokio::task::JoinHandle;

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
        "{\"ErrorCode\":\"APPAP004E\",\"ErrorMessage\":\"it is canary\",\"Content\":\"canary\"}",
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
async fn a_source_that_hangs_holds_up_no_other_fetch_of_it_or_of_another_source() {
    let (mut site, other) = (Site::new(), Site::new());
    // As long as there is: what waited for one that hangs would find it finished.
    site.settings.timeout = Duration::from_secs(55);
    let (source, another) = (Arc::new(site.source()), other.source());
    // The first that hangs has the kept connection, the others one each.
    assert!(is_password(&fetch(&*source, "PROD/root").await.unwrap(), SECRET));
    let mut hanging = Vec::new();
    for mischief in [CcpMischief::Silent, CcpMischief::Slow] {
        site.server.misbehave([mischief]);
        hanging.push(hang(&site, &source).await);
        assert!(is_password(&fetch(&*source, "PROD/root").await.unwrap(), SECRET));
        assert!(is_password(&fetch(&another, "PROD/root").await.unwrap(), SECRET));
        assert!(hanging.iter().all(|one| !one.is_finished()), "the good ones waited for those that hang");
    }
    // As many as one source asks at a time: all its own, and none of the other's.
    site.server.misbehave(vec![CcpMischief::Silent; 14]);
    for _ in 0..14 {
        hanging.push(hang(&site, &source).await);
    }
    assert!(is_password(&fetch(&another, "PROD/root").await.unwrap(), SECRET));
    assert!(hanging.iter().all(|one| !one.is_finished()), "the other source waited for those that hang");
    // Given up, they leave nothing behind that the next would wait for.
    hanging.iter().for_each(JoinHandle::abort);
    assert!(is_password(&fetch(&*source, "PROD/root").await.unwrap(), SECRET));
}

/// A retrieval that the server has taken and does not end.
async fn hang(site: &Site, source: &Arc<CcpSource>) -> JoinHandle<()> {
    let (before, source) = (site.server.requests().len(), Arc::clone(source));
    let hanging = tokio::spawn(async move {
        let _ = fetch(&*source, "PROD/root").await;
    });
    while site.server.requests().len() == before {
        assert!(!hanging.is_finished(), "it ended before it was asked");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    hanging
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
