//! `portcullis bench`: the figures the product promises, against the bare limit, in one run.
//!
//! Machines are noisy, so figures are ratios of things measured in turns, and the minimum of the rounds counts.

mod ccp;
mod decision;
mod echo;
mod load;
mod process;
mod report;
mod ssh;
mod stage;
mod upstream;
mod whoami;

use std::sync::Arc;
use std::time::Duration;

use gateway::{SystemClock, SystemEntropy};
use model::Clock;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::{Exit, Stop};
use crate::output::Output;
use report::{Figure, Report};

/// How much is measured.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BenchOptions {
    /// Rounds, each measuring both sides of every ratio.
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: usize,
    /// `whoami` calls on each of 32 connections in a round.
    #[arg(long, default_value_t = 500)]
    pub(crate) calls: usize,
    /// Seconds after the start at which idle memory is read.
    #[arg(long, default_value_t = 60)]
    pub(crate) idle: u64,
    /// Only the figures about upstreams.
    #[arg(long)]
    pub(crate) upstreams: bool,
    /// Another proxy to compare with, as NAME=COMMAND; {port}, {url}, {stdio} and {folder} in it are replaced
    #[arg(long = "peer", value_name = "NAME=COMMAND", value_parser = upstream::Peer::parse)]
    pub(crate) peers: Vec<upstream::Peer>,
    /// Be one of the programs that others are compared with.
    #[arg(long, hide = true, value_name = "ROLE")]
    role: Option<Role>,
    /// Where the server is that this role forwards to.
    #[arg(long, hide = true, value_name = "URL", default_value = "")]
    at: String,
}

/// What a child process of the benchmark is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Role {
    /// Sends back the JSON that comes.
    Echo,
    /// An MCP server over HTTP.
    Server,
    /// The same over standard input and output.
    StdioServer,
    /// A bare reverse proxy.
    Hop,
}

impl Role {
    async fn be(self, at: &str) -> anyhow::Result<()> {
        match self {
            Self::Echo => echo::serve().await,
            Self::Server => upstream::server::http().await,
            Self::StdioServer => upstream::server::stdio().await,
            Self::Hop => upstream::hop::serve(at).await,
        }
    }
}

/// Measures and prints. A missed goal is no failure of the command: the report says so.
pub(crate) fn run(options: BenchOptions, output: Output) -> Result<Exit, Stop> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Stop::failed)?;
    let failed = |error: anyhow::Error| Stop::failed(format!("{error:#}"));
    if let Some(role) = options.role {
        runtime.block_on(role.be(&options.at)).map_err(failed)?;
        return Ok(Exit::Done);
    }
    if cfg!(debug_assertions) {
        output.warning("this is a debug build: its figures say nothing about a release");
    }
    let seconds = if options.upstreams { 20 } else { options.idle.max(60) };
    output.note(&format!("measuring: this takes about {seconds} s"));
    let report = runtime.block_on(async {
        tokio::select! {
            // First, so that it listens before anything is started. With the measurement its gateways, hosts and folders
            // go, too: nobody else would end them.
            biased;
            told = told_to_end() => Err(told.map_or_else(anyhow::Error::from, |()| anyhow::anyhow!("ended by a signal"))),
            report = measure(&options) => report,
        }
    });
    // A calculation that is under way must not hold up the end.
    runtime.shutdown_background();
    let report = report.map_err(failed)?;
    if output.is_json() {
        output.json(&report.to_json())?;
    } else {
        let rows = report.figures().iter().map(|figure| figure.row().to_vec()).collect();
        output.table(&["figure", "value", "goal", ""], rows)?;
    }
    Ok(Exit::Done)
}

async fn told_to_end() -> std::io::Result<()> {
    let (mut terminate, mut interrupt, mut hangup) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?);
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        _ = hangup.recv() => Ok(()),
    }
}

/// Everything; a part that cannot be measured here says so in the report.
async fn measure(options: &BenchOptions) -> anyhow::Result<Report> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new(&SystemEntropy)?);
    let mut report = Report::default();
    if options.upstreams {
        report.extend(upstream::measure(options, &clock).await?);
        return Ok(report);
    }
    let idle = stage::Stage::new(stage::Durability::Auto, None)?;
    let (idle_child, _) = idle.serve().await?;
    let idle_since = clock.boot();

    report.extend(whoami::measure(options, &clock).await?);
    let deciding = Arc::clone(&clock);
    report.extend(tokio::task::spawn_blocking(move || decision::measure(&*deciding)).await??);
    report.extend(ssh::measure(options, &clock).await?);
    report.extend(ccp::measure(options, &clock).await?);
    report.extend(upstream::measure(options, &clock).await?);

    let until = idle_since.after(Duration::from_secs(options.idle)).since(clock.boot());
    tokio::time::sleep(until).await;
    let mib = f64::from(u32::try_from(idle_child.memory()? / 1024).unwrap_or(u32::MAX)) / 1024.0;
    report.push(Figure::at_most(format!("idle memory {} s after start", options.idle), mib, "MiB", 20.0));
    Ok(report)
}
