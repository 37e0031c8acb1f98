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
    /// Whether each call is to be another one: [`VARIED`] in the body counts up.
    pub(super) vary: bool,
    pub(super) connections: usize,
    pub(super) calls_each: usize,
}

/// What is another number in each call that is to be another one.
pub(super) const VARIED: &str = "0000000000000000";

/// Sends all of it and returns how long each call took, in no particular order.
pub(super) async fn drive(load: &Load, clock: &Arc<dyn Clock>) -> anyhow::Result<Vec<Duration>> {
    let mut connections = JoinSet::new();
    for at in 0..load.connections {
        connections.spawn(connection(load.clone(), at * load.calls_each, Arc::clone(clock)));
    }
    let mut latencies = Vec::with_capacity(load.connections * load.calls_each);
    while let Some(done) = connections.join_next().await {
        latencies.extend(done.context("a load connection ended in a defect")??);
    }
    Ok(latencies)
}

async fn connection(load: Load, first: usize, clock: Arc<dyn Clock>) -> anyhow::Result<Vec<Duration>> {
    let template = load.request.body().clone().collect().await?.to_bytes();
    let varied = load.vary.then(|| places_of(&template)).transpose()?;
    let stream = TcpStream::connect(load.address).await.context("connect for load")?;
    stream.set_nodelay(true)?;
    let (mut sender, driver) = handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(driver);
    let mut latencies = Vec::with_capacity(load.calls_each);
    for number in first..first + load.calls_each {
        let mut request = load.request.clone();
        if let Some(places) = &varied {
            *request.body_mut() = Full::new(numbered(&template, places, number));
        }
        let begun = clock.boot();
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
        ensure!(!has_failed(&body), "a call failed: {}", String::from_utf8_lossy(&body));
        latencies.push(clock.boot().since(begun));
    }
    driver.abort();
    Ok(latencies)
}

/// Where the body has what is to be varied.
fn places_of(body: &[u8]) -> anyhow::Result<Vec<usize>> {
    let windows = body.windows(VARIED.len()).enumerate();
    let places: Vec<usize> =
        windows.filter(|(_, window)| *window == VARIED.as_bytes()).map(|(at, _)| at).collect();
    ensure!(!places.is_empty(), "nothing in the request can be varied");
    Ok(places)
}

fn numbered(template: &Bytes, places: &[usize], number: usize) -> Bytes {
    let (mut body, digits) = (template.to_vec(), format!("{number:016}"));
    for place in places {
        if let Some(old) = body.get_mut(*place..*place + VARIED.len()) {
            old.copy_from_slice(digits.as_bytes());
        }
    }
    body.into()
}

/// Whether a tool says that it failed, or the protocol that there is no answer.
fn has_failed(body: &[u8]) -> bool {
    let says = |what: &[u8]| body.windows(what.len()).any(|window| window == what);
    says(br#""isError":true"#) || says(br#""isError": true"#) || says(br#""error":{"#)
}

/// What so many in a hundred are not longer than; zero for none.
pub(super) fn percentile(mut durations: Vec<Duration>, percent: usize) -> Duration {
    durations.sort_unstable();
    durations.get(durations.len() * percent / 100).copied().unwrap_or_default()
}

/// The middle of some durations; zero for none.
pub(super) fn median(durations: Vec<Duration>) -> Duration {
    percentile(durations, 50)
}
