//! The same requests by curl: many in one process, on one connection.

use std::fmt::Write as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::process::Command;

use super::service::Service;
use crate::bench::process::cpu_to_the_end;

/// CPU of one request, or why it cannot be told.
pub(super) async fn round(service: &Service, calls: u32) -> anyhow::Result<Result<Duration, String>> {
    let mut spent = Vec::new();
    // What one more than `calls` take beyond one.
    for requests in [1, calls + 1] {
        let before = service.accepted();
        spent.push(transfers(service, requests).await?);
        let opened = service.accepted() - before;
        if opened != 1 {
            return Ok(Err(format!("curl opened {opened} connections where one was to be kept")));
        }
    }
    Ok(Ok(match spent.as_slice() {
        [one, all] => all.saturating_sub(*one) / calls,
        _ => Duration::ZERO,
    }))
}

/// CPU of a curl that makes so many requests.
async fn transfers(service: &Service, requests: u32) -> anyhow::Result<Duration> {
    let query = "AppID=bench&Safe=PROD&Object=web1&ConnectionTimeout=10&FailRequestOnPasswordChange=true";
    let mut listed = String::new();
    for _ in 0..requests {
        // Writing to a string cannot fail.
        let _ = writeln!(listed, "url = \"{}?{query}\"\noutput = \"/dev/null\"", service.url());
    }
    let file = service.file("requests");
    std::fs::write(&file, listed)?;
    let mut curl = Command::new("curl");
    // First, so that no file of the user's is read.
    curl.args(["--disable", "--silent", "--show-error", "--fail", "--http1.1", "--noproxy", "*"]);
    curl.arg("--cacert").arg(service.file("server.pem"));
    if let Some((cert, key)) = service.identity() {
        curl.arg("--cert").arg(cert).arg("--key").arg(key);
    }
    curl.arg("--config").arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = curl.kill_on_drop(true).spawn().context("start curl")?;
    let (cpu, output) = cpu_to_the_end(child).await?;
    ensure!(output.status.success(), "curl: {}", String::from_utf8_lossy(&output.stderr));
    Ok(cpu)
}
