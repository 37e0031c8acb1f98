//! CPU of a retrieval from CyberArk on a kept connection, against curl's own, both from one small web service with TLS on
//! loopback: once without and once with a client certificate.
//!
//! Both sides are a client alone. Ours runs on one thread, whose CPU time is read around the calls. Of curl, which is
//! a process, two transfers are compared that differ by as many requests, so that its start and its handshake fall out.
//! A figure counts only if all its requests came over one connection.

mod curl;
mod service;

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use broker::{CredentialSource, Fetch};
use gateway::thread_cpu_time;
use model::{Clock, CredentialRef};
use sources::CcpSource;
use tokio::process::Command;
use tokio::runtime::Runtime;

use super::{BenchOptions, Figure};
use service::{Clients, Service};

/// Retrievals of each side in a round.
const CALLS: u32 = 300;

/// Measures both in turns, for each way of authentication.
pub(super) async fn measure(options: &BenchOptions, clock: &Arc<dyn Clock>) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for clients in [Clients::Anybody, Clients::WithCertificate] {
        let how = match clients {
            Clients::Anybody => "kept connection",
            Clients::WithCertificate => "kept connection with a client certificate",
        };
        figures.extend(against_curl(options, clock, clients, how).await?);
    }
    Ok(figures)
}

async fn against_curl(
    options: &BenchOptions,
    clock: &Arc<dyn Clock>,
    clients: Clients,
    how: &str,
) -> anyhow::Result<[Figure; 3]> {
    let names = [
        format!("curl, the same request, {how}, CPU"),
        format!("CyberArk retrieval, {how}, CPU"),
        format!("CyberArk retrieval against curl, {how}, CPU"),
    ];
    let spent = match missing().await {
        Some(program) => Err(format!("there is no {program} on this machine")),
        None => spent(options, clock, clients).await?,
    };
    let [curl, ours, ratio] = names;
    Ok(match spent {
        Err(why) => [curl, ours, ratio].map(|name| Figure::not_measured(name, why.clone())),
        Ok((by_us, by_curl)) => {
            let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
            [
                Figure::plain(curl, micros(by_curl), "us"),
                Figure::plain(ours, micros(by_us), "us"),
                Figure::plain(ratio, by_us.as_secs_f64() / by_curl.as_secs_f64(), "times"),
            ]
        }
    })
}

async fn missing() -> Option<&'static str> {
    for program in ["curl", "openssl"] {
        let there = Command::new(program).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if there.await.is_err() {
            return Some(program);
        }
    }
    None
}

/// The least CPU a request of ours and of curl's took in a round, or why that cannot be said.
async fn spent(
    options: &BenchOptions,
    clock: &Arc<dyn Clock>,
    clients: Clients,
) -> anyhow::Result<Result<(Duration, Duration), String>> {
    let service = Service::start(clients).await?;
    let mut ours = Ours::new(service.source(clock)?)?;
    let (mut by_us, mut by_curl, mut opened) = (Duration::MAX, Duration::MAX, 0);
    for _ in 0..options.rounds {
        let before = service.accepted();
        let (taken, back) = tokio::task::spawn_blocking(move || ours.round()).await??;
        (ours, by_us) = (back, by_us.min(taken));
        opened += service.accepted() - before;
        match curl::round(&service, CALLS).await? {
            Ok(taken) => by_curl = by_curl.min(taken),
            Err(why) => return Ok(Err(why)),
        }
    }
    Ok(match opened {
        1 if by_curl.is_zero() => Err("the kernel counts CPU too coarsely here".to_owned()),
        1 => Ok((by_us, by_curl)),
        several => Err(format!("the gateway's client opened {several} connections where one was to be kept")),
    })
}

/// Our client, with a runtime of one thread for it and its connection.
struct Ours {
    source: CcpSource,
    name: CredentialRef,
    /// There until it is dropped.
    runtime: Option<Runtime>,
}

/// Not where others wait: a runtime that ends by itself waits for its threads.
impl Drop for Ours {
    fn drop(&mut self) {
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

impl Ours {
    fn new(source: CcpSource) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("a runtime for one thread")?;
        Ok(Self { source, name: CredentialRef::parse("cyberark:PROD/web1")?, runtime: Some(runtime) })
    }

    /// CPU of one retrieval. The first of a round is not counted: it may connect.
    fn round(self) -> anyhow::Result<(Duration, Self)> {
        let fetch = async || {
            let fetched = self.source.fetch(Fetch { credential: &self.name, reason: None }).await;
            ensure!(fetched.is_ok(), "a retrieval failed");
            Ok(())
        };
        let runtime = self.runtime.as_ref().context("a runtime that was dropped")?;
        let taken = runtime.block_on(async {
            fetch().await?;
            let before = thread_cpu_time();
            for _ in 0..CALLS {
                fetch().await?;
            }
            anyhow::Ok(thread_cpu_time().saturating_sub(before) / CALLS)
        })?;
        Ok((taken, self))
    }
}
