//! `portcullis demo`: the tour. A gateway, a sandboxed host and an agent in one process; every step is checked against
//! what the host really did and what the journal really says.

mod audience;
mod scene;
mod steps;
mod upstream;

use std::net::{Ipv4Addr, SocketAddr};

use crate::cli::Global;
use crate::failure::{Exit, Stop};
use crate::output::Output;
use audience::Audience;
use scene::Scene;

/// What the tour takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// End after the steps: exit code 0 only if every one of them did what it should
    #[arg(long)]
    once: bool,
    /// Where the tour's gateway listens
    #[arg(long, value_name = "ADDR", default_value_t = SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))]
    listen: SocketAddr,
    /// Be the third-party server of the tour, on standard input and output
    #[arg(long, hide = true, exclusive = true)]
    as_upstream: bool,
}

/// Shows it.
pub(crate) fn run(global: &Global, demo: &Demo, output: Output) -> Result<Exit, Stop> {
    if demo.as_upstream {
        let served = ::upstream::serve_tour(std::io::stdin().lock(), std::io::stdout().lock());
        return served.map(|()| Exit::Done).map_err(Stop::failed);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Stop::failed)?;
    runtime.block_on(show(global, demo, output))
}

async fn show(global: &Global, demo: &Demo, output: Output) -> Result<Exit, Stop> {
    let mut audience = Audience::new(output);
    let mut scene = Scene::build(global, demo.listen, output).await?;
    audience.welcome(&scene)?;
    let played = steps::play(&mut scene, &mut audience).await;
    if let Err(stop) = played {
        audience.broke(&stop)?;
    }
    audience.summary()?;
    if !demo.once && audience.all_held() {
        audience.stay(&scene)?;
        tokio::signal::ctrl_c().await.map_err(Stop::failed)?;
    }
    scene.close().await?;
    Ok(if audience.all_held() { Exit::Done } else { Exit::Failed })
}
