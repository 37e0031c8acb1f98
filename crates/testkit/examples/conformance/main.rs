//! The server that the conformance suite is run against: the product's own front, gateway, policy, journal and guard,
//! with the tools, resources and prompts that the suite wants.
//!
//! `cargo run -p testkit --example conformance` prints the address and serves until it is ended. The suite cannot send
//! keys, so a door in front of the listener adds one. With the word `stdio` it serves one client on standard input and
//! output, as what stands behind a gateway does; with `before` it is such a gateway, and itself stands behind it, with
//! `before http` over HTTP.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a program for tests: a panic is the report, and its address is what it prints"
)]

mod before;
mod door;
mod fixture;
mod offer;
mod script;
mod tool;

use std::sync::Arc;

fn main() -> std::process::ExitCode {
    // What it starts, it starts as the gateway does: through itself.
    if let Some(exit) = upstream::launched() {
        return exit;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(run());
    std::process::ExitCode::SUCCESS
}

async fn run() {
    let word = std::env::args().nth(1);
    if word.as_deref() == Some("before") {
        let behind = fixture::Fixture::start().await;
        let own = std::env::current_exe().expect("its own path").to_string_lossy().into_owned();
        let (fixture, _folder) = before::start(match std::env::args().nth(2).as_deref() {
            Some("http") => fixture::Behind::Http(format!("http://{}/mcp", behind.door)),
            _ => fixture::Behind::Program(vec![own, "stdio".to_owned()]),
        })
        .await;
        println!("http://{}/mcp/fixture", fixture.door);
        return std::future::pending().await;
    }
    let fixture = fixture::Fixture::start().await;
    if word.as_deref() == Some("stdio") {
        return serve(&fixture).await.expect("a stream that ends");
    }
    println!("http://{}/mcp", fixture.door);
    println!("behind that door: http://{}/mcp, with the keys {}", fixture.front, fixture.keys.join(" and "));
    println!("journal: {}, healthy: {}", fixture.folder.display(), fixture.gateway.health().ok);
    std::future::pending::<()>().await;
}

/// Serves one client on standard input and output.
async fn serve(fixture: &fixture::Fixture) -> std::io::Result<()> {
    let gate = Arc::clone(&fixture.gateway) as Arc<dyn mcp::Gate>;
    let identity = mcp::local_identity(&gate, "suite".to_owned(), "stdio");
    let (limits, closing) = (mcp::StreamLimits::default(), tokio_util::sync::CancellationToken::new());
    let (input, output) = (tokio::io::stdin(), tokio::io::stdout());
    mcp::serve_stream(input, output, gate, identity, "stdio", limits, closing).await
}
