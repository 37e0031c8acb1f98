//! From the file to a gateway that serves it, and to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use import::protector::Protector;
use mcp::{Front, Gate, HostRules, local_identity, serve_alone};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::stage::{AGENT, Stage, address};
use crate::cli::{Global, Proxy};
use crate::compose::{self, Elsewhere, Journalling, Portcullis};
use crate::failure::{Exit, Stop};
use crate::output::Output;

/// How long what is under way may take after the first signal.
const DRAIN: Duration = Duration::from_secs(30);
/// The journal's size, in bytes: nobody keeps it.
const MOST: u64 = 16 << 20;

/// Serves.
pub(super) fn run(file: &Protector, options: &Proxy, global: &Global, output: Output) -> Result<Exit, Stop> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Stop::failed)?;
    let exit = runtime.block_on(serve(file, options, global, output));
    // Neither a read of standard input nor what a second signal ends is waited for.
    runtime.shutdown_background();
    exit
}

async fn serve(file: &Protector, options: &Proxy, global: &Global, output: Output) -> Result<Exit, Stop> {
    let mut signals = Signals::new().map_err(Stop::failed)?;
    let address = address(&file.listen);
    let hosts = hosts(options, address)?;
    // The folder goes last.
    let Stage { folder: _folder, place, loaded, alone, sink } = Stage::new(file, output)?;
    let journalling = Journalling { sinks: vec![sink], most: Some(MOST) };
    let portcullis = compose::built(&place, loaded, journalling, global, output).await?;
    let (front, served) = match address {
        None => (None, on_standard_streams(&portcullis, alone, &mut signals).await),
        Some(http) => over_http(&portcullis, Elsewhere { http, hosts, alone }, &mut signals).await,
    };
    let drained = async {
        if let Some(front) = front {
            front.shutdown(DRAIN).await;
        }
        portcullis.close().await
    };
    tokio::select! {
        biased;
        () = signals.any() => {
            tracing::warn!("a second signal: ending at once");
            Ok(Exit::Failed)
        }
        closed = drained => served.and(closed).map(|()| Exit::Done),
    }
}

/// One client, once the server is there.
async fn on_standard_streams(
    portcullis: &Portcullis,
    alone: Arc<mcp::Alone>,
    signals: &mut Signals,
) -> Result<(), Stop> {
    portcullis.start_upstreams();
    tokio::select! {
        biased;
        () = signals.any() => return Ok(()),
        failed = portcullis.failed_upstream() => failed.map_or(Ok(()), |why| Err(unreachable(&why)))?,
    }
    tracing::info!("serving MCP on standard input and output");
    let gate: Arc<dyn Gate> = Arc::clone(&portcullis.gateway) as Arc<_>;
    let identity = local_identity(&gate, AGENT.to_owned(), "stdio");
    let closing = CancellationToken::new();
    let serving =
        serve_alone(tokio::io::stdin(), tokio::io::stdout(), gate, identity, alone, closing.clone());
    tokio::pin!(serving);
    tokio::select! {
        biased;
        () = signals.any() => {
            closing.cancel();
            serving.await
        }
        served = &mut serving => served,
    }
    .map_err(|error| Stop::failed(format!("standard input or output broke: {error}")))
}

/// Any number of clients, from now on: they are told that the server is not there yet.
async fn over_http(
    portcullis: &Portcullis,
    elsewhere: Elsewhere,
    signals: &mut Signals,
) -> (Option<Arc<Front>>, Result<(), Stop>) {
    if elsewhere.http.ip().is_loopback() {
        tracing::warn!("there is no `[listen.auth]`, so this machine alone is served");
    } else {
        tracing::warn!("there is no TLS before it: tokens and calls can be read on their way");
    }
    let front = match compose::front_for(portcullis, elsewhere).await {
        Ok(front) => front,
        Err(stop) => return (None, Err(stop)),
    };
    for address in front.addresses() {
        tracing::info!(%address, "serving MCP over HTTP");
    }
    portcullis.start_upstreams();
    let served = tokio::select! {
        biased;
        () = signals.any() => Ok(()),
        why = lost(portcullis) => Err(unreachable(&why)),
    };
    (Some(front), served)
}

/// Ends only if the server could not be reached at the start. Later it is waited for, and `/health` tells of it.
async fn lost(portcullis: &Portcullis) -> String {
    match portcullis.failed_upstream().await {
        Some(why) => why,
        None => std::future::pending().await,
    }
}

fn unreachable(why: &str) -> Stop {
    Stop::failed(format!("failed to connect to upstream MCP server: {why}"))
}

/// Names of this machine and those that were given; addresses where others can reach it.
fn hosts(options: &Proxy, http: Option<SocketAddr>) -> Result<HostRules, Stop> {
    let mut names = options.allow_hosts.clone();
    names.extend(rustix::system::uname().nodename().to_str().map(str::to_owned).ok());
    names.dedup();
    // A machine can be called what no `Host` can say.
    let given = HostRules::parse(&options.allow_hosts, &[])
        .map_err(|error| Stop::usage(format!("`--allow-host`: {error}")))?;
    let rules = HostRules::parse(&names, &[]).unwrap_or(given);
    let reachable = http.is_some_and(|address| !address.ip().is_loopback());
    Ok(if reachable { rules.with_any_address() } else { rules })
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
