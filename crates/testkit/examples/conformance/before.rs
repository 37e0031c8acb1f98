//! A fixture behind a fixture: what passes through a gateway.

use std::sync::Arc;
use std::time::Duration;

use gateway::{Endpoint, SystemClock, SystemEntropy};
use mcp::SessionLimits;

use super::fixture::Fixture;

/// A gateway with this program's own fixture behind it, over standard input and output, at `/mcp/fixture`.
pub(crate) async fn start() -> (Fixture, tempfile::TempDir) {
    let own = std::env::current_exe().expect("its own path").to_string_lossy().into_owned();
    let clock = Arc::new(SystemClock::new(&SystemEntropy).expect("random bytes"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = Some(vec![own, "stdio".to_owned()]);
    let fixture = Fixture::start_with_behind(folder.path(), clock, SessionLimits::default(), program).await;
    let endpoint = Endpoint::parse("fixture").expect("a literal");
    while !fixture.gateway.offers(endpoint).is_some_and(|offers| offers.prompts) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (fixture, folder)
}

/// Serves one client on standard input and output.
pub(crate) async fn serve(fixture: &Fixture) -> std::io::Result<()> {
    let gate = Arc::clone(&fixture.gateway) as Arc<dyn mcp::Gate>;
    let identity = mcp::local_identity(&gate, "suite".to_owned(), "stdio");
    let (limits, closing) = (mcp::StreamLimits::default(), tokio_util::sync::CancellationToken::new());
    let (input, output) = (tokio::io::stdin(), tokio::io::stdout());
    mcp::serve_stream(input, output, gate, identity, "stdio", limits, closing).await
}
