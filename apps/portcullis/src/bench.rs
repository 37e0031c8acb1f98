//! `portcullis bench`: the figures the product promises, against the bare limit, in one run.
//!
//! Machines are noisy, so figures are ratios of things measured in turns, and the minimum of the rounds counts.

mod decision;
mod echo;
mod load;
mod process;
mod report;
mod ssh;
mod stage;
mod whoami;

use std::sync::Arc;
use std::time::Duration;

use gateway::{SystemClock, SystemEntropy};
use model::Clock;

pub(crate) use echo::serve as serve_echo;
pub(crate) use report::{Figure, Report};

/// How much is measured.
#[derive(Debug, Clone, Copy, clap::Args)]
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
}

/// Runs everything; a part that cannot be measured here says so in the report.
pub(crate) async fn run(options: BenchOptions) -> anyhow::Result<Report> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new(&SystemEntropy)?);
    let mut report = Report::default();
    let idle = stage::Stage::new(stage::Durability::Auto, None)?;
    let (idle_child, _) = idle.serve().await?;
    let idle_since = clock.boot();

    report.extend(whoami::measure(options, &clock).await?);
    report.extend(decision::measure()?);
    report.extend(ssh::measure(options, &clock).await?);

    let until = idle_since.after(Duration::from_secs(options.idle)).since(clock.boot());
    tokio::time::sleep(until).await;
    let mib = f64::from(u32::try_from(idle_child.memory()? / 1024).unwrap_or(u32::MAX)) / 1024.0;
    report.push(Figure::at_most(format!("idle memory {} s after start", options.idle), mib, "MiB", 20.0));
    Ok(report)
}
