//! What it costs to call a tool of a third-party server through the gateway: policy with a hundred rules, guard and audit
//! on, another argument in each call. Beside it, in turns: the server itself, a bare reverse hop, and other proxies.
//!
//! CPU is that of the process between client and server alone.

mod contender;
pub(super) mod hop;
mod peer;
pub(super) mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use mcp::client::Client;
use mcp::mirror::TOOL;
use model::Clock;

use super::load::{Load, drive, percentile};
use super::process::Measured;
use super::stage::{Durability, Stage};
use super::{BenchOptions, Figure};
use contender::{Contender, Spent};
pub(super) use peer::Peer;

/// The most connections, at which CPU is counted.
const MANY: usize = 32;
/// Connections in turn, and how many times as many calls each of them makes.
const CONNECTIONS: [(usize, usize); 3] = [(1, 4), (8, 2), (MANY, 1)];
/// Of what others are measured by, a proxy that is slow does so much less.
const SLOWER: usize = 10;

/// Measures everything in turns.
pub(super) async fn measure(options: &BenchOptions, clock: &Arc<dyn Clock>) -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let (server, address) = Measured::serving("server", None, folder.path()).await?;
    let url = format!("http://{address}/mcp");
    let (hop, hop_address) = Measured::serving("hop", Some(&url), folder.path()).await?;
    let stage = Stage::with_upstreams(Durability::Auto, None, upstreams(&url)?)?;
    let (gateway, gate) = stage.serve().await?;
    let (gateway, key) = (Arc::new(gateway), Some(stage.api_key()));
    for path in ["/mcp/read", "/mcp/dangerous", "/mcp/stdio"] {
        ready(gate, path, key).await?;
    }
    let mut contenders = vec![
        Contender::modern("direct", Arc::new(server), address, "/mcp", None).await?,
        Contender::modern("bare hop", Arc::new(hop), hop_address, "/mcp", None).await?,
        Contender::modern("gateway", Arc::clone(&gateway), gate, "/mcp/read", key).await?,
        Contender::modern("gateway, stdio", Arc::clone(&gateway), gate, "/mcp/stdio", key).await?,
        Contender::modern("gateway, tier dangerous", Arc::clone(&gateway), gate, "/mcp/dangerous", key)
            .await?,
        Contender::legacy("gateway, legacy client", Arc::clone(&gateway), gate, "/mcp/read", key).await?,
        Contender::legacy("gateway, stdio, legacy client", gateway, gate, "/mcp/stdio", key).await?,
    ];
    for peer in &options.peers {
        contenders.push(peer.start(&url, folder.path()).await?);
    }
    for _ in 0..options.rounds {
        for contender in &mut contenders {
            round(contender, options, clock).await?;
        }
    }
    Ok(figures(&contenders))
}

/// Waits until the gateway has learnt what its upstream offers.
async fn ready(gate: SocketAddr, path: &str, key: Option<&str>) -> anyhow::Result<()> {
    let mut client = Client::connect(gate, path, key).await?;
    for _ in 0..400 {
        let (tools, _) = client.list_tools().await?;
        if tools.iter().any(|tool| tool == TOOL) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("`{path}` does not offer its tool")
}

async fn round(
    contender: &mut Contender,
    options: &BenchOptions,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<()> {
    for (connections, times) in CONNECTIONS {
        let calls_each = options.calls * times;
        let calls_each = if contender.peer { (calls_each / SLOWER).max(SLOWER) } else { calls_each };
        let (address, request) = (contender.address, contender.request.clone());
        let load = Load { address, request, vary: true, connections, calls_each };
        let before = contender.process.cpu()?;
        let latencies = drive(&load, clock).await.with_context(|| contender.name.clone())?;
        let cpu = contender.process.cpu()?.saturating_sub(before);
        let calls = u32::try_from(latencies.len()).unwrap_or(u32::MAX);
        let (median, p99) = (percentile(latencies.clone(), 50), percentile(latencies, 99));
        contender.has_spent(connections, Spent { cpu: cpu / calls, median, p99 });
    }
    Ok(())
}

/// One server three times: in tier `read`, in tier `dangerous`, and as a program.
fn upstreams(url: &str) -> anyhow::Result<String> {
    let program = std::env::current_exe().context("find our own binary")?;
    let program = program.to_str().context("our own binary has an odd name")?;
    let tool = TOOL;
    let common = format!("tools = [\"{tool}\"]\npin = \"off\"\n");
    Ok(format!(
        "[[upstream]]\nname = \"read\"\nurl = \"{url}\"\ntier = {{ {tool} = \"read\" }}\n{common}\n\
         [[upstream]]\nname = \"dangerous\"\nurl = \"{url}\"\n{common}\n\
         [[upstream]]\nname = \"stdio\"\ncommand = [{program:?}, \"bench\", \"--role\", \"stdio-server\"]\nsandbox = \"off\"\n\
         tier = {{ {tool} = \"read\" }}\n{common}\n"
    ))
}

fn figures(contenders: &[Contender]) -> Vec<Figure> {
    let mut figures = Vec::new();
    for contender in contenders {
        let name = &contender.name;
        let row = |what: String, value: Duration| {
            Figure::plain(format!("upstream, {name}: {what}"), micros(value), "us")
        };
        for (connections, _) in CONNECTIONS {
            figures.push(row(format!("median at {connections}"), contender.at(connections).median));
        }
        figures.push(row(format!("p99 at {MANY}"), contender.at(MANY).p99));
        figures.push(row(format!("CPU a call at {MANY}"), contender.at(MANY).cpu));
    }
    let named = |name: &str| contenders.iter().find(|contender| contender.name == name);
    if let (Some(ours), Some(hop)) = (named("gateway"), named("bare hop")) {
        let (many, bare) = (ours.at(MANY), hop.at(MANY));
        let above = micros(ours.at(1).median) - micros(hop.at(1).median);
        figures.extend([
            Figure::at_most(
                "upstream, gateway against the hop, CPU",
                ratio(many.cpu, bare.cpu),
                "times",
                1.5,
            ),
            Figure::at_most(
                "upstream, gateway against the hop, p99",
                ratio(many.p99, bare.p99),
                "times",
                2.0,
            ),
            Figure::at_most("upstream, gateway above the hop, median at 1", above, "us", 60.0),
        ]);
    }
    for peer in contenders.iter().filter(|contender| contender.peer) {
        let Some(ours) =
            named(if peer.stdio { "gateway, stdio, legacy client" } else { "gateway, legacy client" })
        else {
            continue;
        };
        let against = |what, ratio| {
            Figure::at_most(format!("upstream, gateway against {}, {what}", peer.name), ratio, "times", 1.0)
        };
        figures.push(against("CPU", ratio(ours.at(MANY).cpu, peer.at(MANY).cpu)));
        figures.push(against("median at 1", ratio(ours.at(1).median, peer.at(1).median)));
    }
    figures
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}
