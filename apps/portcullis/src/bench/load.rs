//! Load on a server over loopback: the same request on every connection, one after the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use model::Clock;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// What is sent, how often, over how many connections.
#[derive(Clone)]
pub(super) struct Load {
    pub(super) address: SocketAddr,
    pub(super) request: Request<Full<Bytes>>,
    pub(super) connections: usize,
    pub(super) calls_each: usize,
}

/// Sends all of it and returns how long each call took, in no particular order.
pub(super) async fn drive(load: &Load, clock: &Arc<dyn Clock>) -> anyhow::Result<Vec<Duration>> {
    let mut connections = JoinSet::new();
    for _ in 0..load.connections {
        connections.spawn(connection(load.clone(), Arc::clone(clock)));
    }
    let mut latencies = Vec::with_capacity(load.connections * load.calls_each);
    while let Some(done) = connections.join_next().await {
        latencies.extend(done.context("a load connection ended in a defect")??);
    }
    Ok(latencies)
}

async fn connection(load: Load, clock: Arc<dyn Clock>) -> anyhow::Result<Vec<Duration>> {
    let stream = TcpStream::connect(load.address).await.context("connect for load")?;
    stream.set_nodelay(true)?;
    let (mut sender, driver) = handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(driver);
    let mut latencies = Vec::with_capacity(load.calls_each);
    for _ in 0..load.calls_each {
        let begun = clock.boot();
        sender.ready().await?;
        let response = sender.send_request(load.request.clone()).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
        ensure!(
            !body.windows(16).any(|w| w == b"\"isError\":true}\n" || w == b"\"isError\": true,"),
            "a call failed"
        );
        latencies.push(clock.boot().since(begun));
    }
    driver.abort();
    Ok(latencies)
}

/// The middle of some durations; zero for none.
pub(super) fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations.get(durations.len() / 2).copied().unwrap_or_default()
}
