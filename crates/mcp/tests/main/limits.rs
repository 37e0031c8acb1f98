//! Clients that take too much, or too long.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mcp::{FrontConfig, HttpLimits};
use tokio::time::Instant;

use crate::gate::until;
use crate::http::{Request, Served, config, serve};

async fn limited(limits: HttpLimits) -> Served {
    serve(FrontConfig { limits, ..config() }).await
}

#[tokio::test]
async fn a_body_may_be_so_large() {
    let served = limited(HttpLimits { body: 1000, ..HttpLimits::default() }).await;
    let large = Request::post(&"x".repeat(1001));
    assert_eq!(served.send(&large).await.status, 413);
    let announced = Request::post("").with("Content-Length", "1000000000");
    assert_eq!(served.send(&announced).await.status, 413);
    let chunked = Request::post("").without("Content-Length").with("Transfer-Encoding", "chunked");
    let mut bytes =
        String::from_utf8(chunked.bytes()).unwrap().replace("Content-Length: 0\r\n", "").into_bytes();
    bytes.extend(format!("5dc\r\n{}\r\n0\r\n\r\n", "x".repeat(1500)).bytes());
    let mut connection = served.connect().await;
    connection.write(&bytes).await;
    assert_eq!(connection.response().await.status, 413);
    assert_eq!(served.send(&Request::call("echo")).await.status, 200);
}

#[tokio::test]
async fn a_head_may_be_so_large_and_take_so_long() {
    let limits =
        HttpLimits { head: 8192, header_timeout: Duration::from_millis(400), ..HttpLimits::default() };
    let served = limited(limits).await;
    let large = served.send(&Request::call("echo").with("X-Filler", &"x".repeat(20_000))).await;
    assert_eq!(large.status, 431);

    let mut slow = served.connect().await;
    let started = Instant::now();
    slow.write(b"POST /mcp HTTP/1.1\r\nHost: local").await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        slow.write(b"x").await;
    }
    assert!(slow.closes_within(Duration::from_secs(5)).await);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());

    let mut idle = served.connect().await;
    assert_eq!(idle.ask(&Request::call("echo")).await.status, 200);
    assert!(idle.closes_within(Duration::from_secs(5)).await, "an idle connection ends, too");
}

#[tokio::test]
async fn silence_ends_a_connection() {
    let limits = HttpLimits { idle_timeout: Duration::from_millis(200), ..HttpLimits::default() };
    let served = limited(limits).await;
    let mut silent = served.connect().await;
    assert!(silent.closes_within(Duration::from_secs(5)).await);
    let mut half = served.connect().await;
    half.write(b"PRI * HTTP/2.0").await;
    assert!(half.closes_within(Duration::from_secs(5)).await, "half a preface is silence");

    let mut busy = served.connect().await;
    busy.write(&Request::call("wait").bytes()).await;
    until("the call waits", || served.gate.waiting.load(Ordering::SeqCst) == 1).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    served.gate.release.add_permits(1);
    assert_eq!(busy.response().await.status, 200, "a call under way is no silence");
}

#[tokio::test]
async fn a_body_may_take_so_long() {
    let served =
        limited(HttpLimits { body_timeout: Duration::from_millis(200), ..HttpLimits::default() }).await;
    let mut slow = served.connect().await;
    slow.write(&Request::post("{").with("Content-Length", "100").bytes()).await;
    assert_eq!(slow.response().await.status, 408);
    assert!(slow.closes_within(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn connections_are_bounded_and_say_so() {
    for limits in [
        HttpLimits { connections: 2, ..HttpLimits::default() },
        HttpLimits { connections_per_address: 2, ..HttpLimits::default() },
    ] {
        let served = limited(limits).await;
        let (mut first, mut second) = (served.connect().await, served.connect().await);
        assert_eq!(first.ask(&Request::call("echo")).await.status, 200);
        assert_eq!(second.ask(&Request::call("echo")).await.status, 200);
        let refused = served.send(&Request::call("echo")).await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")));
        drop(first);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(served.send(&Request::call("echo")).await.status, 200);
        assert_eq!(second.ask(&Request::call("echo")).await.status, 200);
    }
}

#[tokio::test]
async fn one_bad_client_never_touches_another() {
    let served = serve(config()).await;
    let mut good = served.connect().await;
    for garbage in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc".as_slice(),
        b"\0\0\0\0",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nX-API-Key: key-a\r\nContent-Type: application/json\r\n\r\nZZ\r\n",
    ] {
        let mut bad = served.connect().await;
        bad.write(garbage).await;
        drop(bad);
        assert_eq!(good.ask(&Request::call("echo")).await.status, 200);
    }
    let smuggled = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let mut bad = served.connect().await;
    bad.write(smuggled).await;
    assert_ne!(bad.response().await.status, 200);
}
