//! CPU of one `whoami` call, all of the process, against a bare JSON echo.

use std::sync::Arc;
use std::time::Duration;

use model::Clock;
use serde_json::json;

use super::load::{Load, drive, median};
use super::process::Measured;
use super::stage::{Durability, Stage};
use super::{BenchOptions, Figure};

const CONNECTIONS: usize = 32;

/// Measures both in turns.
pub(super) async fn measure(options: &BenchOptions, clock: &Arc<dyn Clock>) -> anyhow::Result<Vec<Figure>> {
    let stage = Stage::new(Durability::Auto, None)?;
    let (gateway, address) = stage.serve().await?;
    let mut client = mcp::client::Client::connect(address, "/mcp", Some(stage.api_key())).await?;
    let request = client.prepare("whoami", &json!({}))?;
    let (echo, echo_address) = Measured::serving("echo", None, stage.folder()).await?;
    let load = Load { address, request, vary: false, connections: CONNECTIONS, calls_each: options.calls };
    let bare = Load { address: echo_address, ..load.clone() };
    let (mut ours, mut theirs, mut medians) = (Duration::MAX, Duration::MAX, (Duration::MAX, Duration::MAX));
    for _ in 0..options.rounds {
        let (cpu, took) = round(&gateway, &load, clock).await?;
        (ours, medians.0) = (ours.min(cpu), medians.0.min(took));
        let (cpu, took) = round(&echo, &bare, clock).await?;
        (theirs, medians.1) = (theirs.min(cpu), medians.1.min(took));
    }
    let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
    Ok(vec![
        Figure::plain("bare JSON echo, CPU a call, 32 connections", micros(theirs), "us"),
        Figure::plain("whoami, CPU a call, 32 connections", micros(ours), "us"),
        Figure::at_most(
            "whoami against the echo, CPU",
            ours.as_secs_f64() / theirs.as_secs_f64(),
            "times",
            2.5,
        ),
        Figure::plain("whoami, median latency, 32 connections", micros(medians.0), "us"),
        Figure::plain("bare JSON echo, median latency, 32 connections", micros(medians.1), "us"),
    ])
}

/// CPU a call, and the median latency.
async fn round(
    process: &Measured,
    load: &Load,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<(Duration, Duration)> {
    let before = process.cpu()?;
    let latencies = drive(load, clock).await?;
    let spent = process.cpu()?.saturating_sub(before);
    let calls = u32::try_from(latencies.len()).unwrap_or(u32::MAX);
    Ok((spent / calls, median(latencies)))
}
