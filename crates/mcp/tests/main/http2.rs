//! The same front by HTTP/2.

use std::sync::atomic::Ordering;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::net::TcpStream;

use crate::gate::{structured, until};
use crate::http::{MODERN_META, Served, config, serve};

async fn connect(served: &Served) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(served.address()).await.unwrap();
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn call(authority: &str, tool: &str) -> hyper::Request<Full<Bytes>> {
    let params = format!(r#"{{"name":"{tool}",{MODERN_META}}}"#);
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
    hyper::Request::post(format!("http://{authority}/mcp"))
        .header("x-api-key", "key-a")
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", tool)
        .body(body.into())
        .unwrap()
}

#[tokio::test]
async fn calls_and_host_checks_are_the_same() {
    let served = serve(config()).await;
    let mut sender = connect(&served).await;
    let response = sender.send_request(call("localhost:1", "echo")).await.unwrap();
    assert_eq!((response.status(), response.version()), (hyper::StatusCode::OK, hyper::Version::HTTP_2));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(structured(&serde_json::from_slice::<Value>(&body).unwrap())["principal"], "a");
    assert_eq!(sender.send_request(call("evil.example", "echo")).await.unwrap().status(), 403);
    let mut two = call("localhost", "echo");
    two.headers_mut().insert("host", "evil.example".parse().unwrap());
    assert_eq!(sender.send_request(two).await.unwrap().status(), 403);
    let mut wrong = call("localhost", "echo");
    wrong.headers_mut().insert("x-api-key", "wrong".parse().unwrap());
    assert_eq!(sender.send_request(wrong).await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_reset_stream_cancels_its_call_and_no_other() {
    let served = serve(config()).await;
    let sender = connect(&served).await;
    let waiting = |mut sender: SendRequest<Full<Bytes>>| {
        tokio::spawn(async move { sender.send_request(call("localhost", "wait")).await.unwrap().status() })
    };
    let (given_up, kept) = (waiting(sender.clone()), waiting(sender.clone()));
    until("both wait", || served.gate.waiting.load(Ordering::SeqCst) == 2).await;
    given_up.abort();
    until("one is cancelled", || served.gate.cancelled.load(Ordering::SeqCst) == 1).await;
    served.gate.release.add_permits(1);
    assert_eq!(kept.await.unwrap(), 200);
    assert_eq!(served.gate.cancelled.load(Ordering::SeqCst), 1);
}
