use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use model::{Answer, Entropy, ErrorCode, Failure, NoEntropy};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use super::{
    Act, ControlClient, ControlRequest, ControlServer, Enclosure, Identity, Reply, Tray, Verbs, socket_path,
    user_name,
};
use crate::Unauthenticated;
use crate::owner::Owner;

/// Says what it was asked; `wait` waits until it is cancelled.
#[derive(Default)]
struct Echo {
    cancelled: Mutex<bool>,
}

#[async_trait]
impl Verbs for Echo {
    async fn answer(&self, os_user: &str, request: ControlRequest, cancel: CancellationToken) -> Reply {
        if request.act == Act::Verb("wait".to_owned()) {
            cancel.cancelled().await;
            *self.cancelled.lock().unwrap() = true;
        }
        let structured = json!({
            "user": os_user,
            "act": format!("{:?}", request.act),
            "arguments": request.arguments,
            "as": request.as_principal,
            "dry_run": request.dry_run,
            "has_secret": request.secret.is_some(),
        });
        Reply::new(Answer { text: String::new(), structured, is_error: false, ..Answer::default() })
    }

    async fn attach(&self, _os_user: &str, as_principal: Option<&str>) -> Result<Identity, Failure> {
        match as_principal {
            Some("nobody") => Err(Failure::new(ErrorCode::DeniedNoRule, "no")),
            Some(_) | None => Ok(Arc::new(|| Err(Unauthenticated))),
        }
    }

    async fn converse(&self, mut stream: UnixStream, _identity: Identity, _closing: CancellationToken) {
        stream.write_all(b"attached\n").await.unwrap();
    }
}

struct Running {
    state: tempfile::TempDir,
    verbs: Arc<Echo>,
    stop: CancellationToken,
    server: tokio::task::JoinHandle<()>,
    _owner: Owner,
}

fn start() -> Running {
    let state = tempfile::tempdir().unwrap();
    std::fs::set_permissions(state.path(), Permissions::from_mode(0o700)).unwrap();
    let owner = Owner::take(state.path()).unwrap();
    let verbs = Arc::new(Echo::default());
    let stop = CancellationToken::new();
    let server = ControlServer::bind(&owner).unwrap();
    let server = tokio::spawn(server.run(Arc::clone(&verbs) as Arc<dyn Verbs>, stop.clone()));
    Running { state, verbs, stop, server, _owner: owner }
}

#[tokio::test]
async fn a_request_arrives_whole_and_several_use_one_connection() {
    let running = start();
    let mode = std::fs::metadata(socket_path(running.state.path())).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut client = ControlClient::connect(running.state.path()).await.unwrap().unwrap();
    let mut request = ControlRequest::verb("secret-set", Map::from_iter([("ref".to_owned(), json!("a/b"))]));
    request.secret = Some(Enclosure::new("hunter2\n\"é".to_owned()));
    let reply = client.ask(&request).await.unwrap();
    assert_eq!(reply.exit, 0);
    assert_eq!(reply.answer.structured["arguments"], json!({"ref": "a/b"}));
    assert_eq!(reply.answer.structured["has_secret"], json!(true));
    assert_eq!(reply.answer.structured["user"], json!(user_name(rustix::process::geteuid().as_raw())));
    let mut call = ControlRequest::new(Act::Tool("whoami".to_owned()), Map::new());
    (call.as_principal, call.dry_run) = (Some("agent".to_owned()), true);
    let reply = client.ask(&call).await.unwrap();
    assert_eq!(
        (&reply.answer.structured["as"], &reply.answer.structured["dry_run"]),
        (&json!("agent"), &json!(true))
    );
}

#[tokio::test]
async fn a_malformed_line_ends_only_itself_and_quotes_nothing() {
    let running = start();
    let mut stream = UnixStream::connect(socket_path(running.state.path())).await.unwrap();
    for line in [
        "hello",
        "[]",
        r#"{"verb": 7, "secret": "hunter2"}"#,
        r#"{"secret": "hunter2"}"#,
        r#"{"verb": "reload", "tool": "whoami"}"#,
        r#"{"verb": "reload", "colour": "red"}"#,
        r#"{"verb": "reload", "verb": "reload"}"#,
        r#"{"verb": "reload", "dry_run": true}"#,
        r#"{"list": "hosts"}"#,
        r#"{"attach": "shell"}"#,
    ] {
        let reply = exchange(&mut stream, line).await;
        assert!(reply.contains("input.invalid"), "{line} -> {reply}");
        assert!(reply.contains("\"exit\":2"), "{line} -> {reply}");
        assert!(!reply.contains("hunter2"), "{line} -> {reply}");
    }
    assert!(exchange(&mut stream, r#"{"verb": "health"}"#).await.contains("\"exit\":0"));
}

#[tokio::test]
async fn a_line_without_end_is_cut_off_and_others_go_on() {
    let running = start();
    let mut flood = UnixStream::connect(socket_path(running.state.path())).await.unwrap();
    let _ = flood.write_all(&vec![b'a'; super::server::MOST_REQUEST + 1024]).await;
    let mut answer = String::new();
    let _ = flood.read_to_string(&mut answer).await;
    let mut stream = UnixStream::connect(socket_path(running.state.path())).await.unwrap();
    assert!(exchange(&mut stream, r#"{"verb": "health"}"#).await.contains("\"exit\":0"));
}

#[tokio::test]
async fn who_goes_away_cancels_and_stopping_waits_for_the_rest() {
    let running = start();
    let mut stream = UnixStream::connect(socket_path(running.state.path())).await.unwrap();
    stream.write_all(b"{\"verb\": \"wait\"}\n").await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    drop(stream);
    running.stop.cancel();
    running.server.await.unwrap();
    assert!(*running.verbs.cancelled.lock().unwrap());
    assert!(!socket_path(running.state.path()).exists());
}

#[tokio::test]
async fn a_connection_is_attached_or_told_why_not() {
    let running = start();
    let client = ControlClient::connect(running.state.path()).await.unwrap().unwrap();
    let mut stream = client.attach(None).await.unwrap().unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "attached\n");
    let client = ControlClient::connect(running.state.path()).await.unwrap().unwrap();
    assert_eq!(client.attach(Some("nobody".to_owned())).await.unwrap().unwrap_err().exit, 3);
}

#[tokio::test]
async fn no_owner_is_no_error_and_a_left_socket_is_replaced() {
    let state = tempfile::tempdir().unwrap();
    std::fs::set_permissions(state.path(), Permissions::from_mode(0o700)).unwrap();
    assert!(ControlClient::connect(state.path()).await.unwrap().is_none());
    drop(std::os::unix::net::UnixListener::bind(socket_path(state.path())).unwrap());
    assert!(ControlClient::connect(state.path()).await.unwrap().is_none());
    let owner = Owner::take(state.path()).unwrap();
    let _server = ControlServer::bind(&owner).unwrap();
    assert!(ControlClient::connect(state.path()).await.unwrap().is_some());
}

#[test]
fn exit_codes_follow_the_answer() {
    for (code, is_error, exit) in [
        ("", false, 0),
        ("denied.no_rule", false, 0),
        ("config.invalid", true, 1),
        ("target.unreachable", true, 2),
        ("handle_expired", true, 2),
        ("denied.no_rule", true, 3),
        ("auth.failed", true, 3),
        ("approval.required", true, 4),
    ] {
        let answer = Answer {
            text: String::new(),
            structured: json!({ "code": code }),
            is_error,
            ..Answer::default()
        };
        assert_eq!(Reply::new(answer).exit, exit, "{code}");
    }
    let plain = Answer { text: String::new(), structured: Value::Null, is_error: true, ..Answer::default() };
    assert_eq!(Reply::new(plain).exit, 2);
}

#[test]
fn a_secret_waits_for_one_taker_and_no_longer_than_its_call() {
    struct Counting(std::sync::atomic::AtomicU8);
    impl Entropy for Counting {
        fn fill(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
            out.fill(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
            Ok(())
        }
    }
    let tray = Tray::new(Arc::new(Counting(std::sync::atomic::AtomicU8::new(0))));
    let place = tray.lay(Enclosure::new("hunter2".to_owned())).unwrap();
    let slip = place.slip().to_owned();
    assert!(tray.take("other").is_none());
    assert!(tray.take(&slip).unwrap().same_as(b"hunter2"));
    assert!(tray.take(&slip).is_none());
    let place = tray.lay(Enclosure::new("hunter3".to_owned())).unwrap();
    let slip = place.slip().to_owned();
    drop(place);
    assert!(tray.take(&slip).is_none());
    assert_eq!(format!("{:?}", Enclosure::new("hunter2".to_owned())), "Enclosure(..)");
}

async fn exchange(stream: &mut UnixStream, line: &str) -> String {
    stream.write_all(line.as_bytes()).await.unwrap();
    stream.write_all(b"\n").await.unwrap();
    let mut answer = Vec::new();
    while answer.last() != Some(&b'\n') {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "closed after `{line}`");
    }
    String::from_utf8(answer).unwrap()
}
