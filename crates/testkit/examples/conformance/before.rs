//! A fixture behind a fixture: what passes through a gateway.

use std::sync::Arc;
use std::time::Duration;

use gateway::{Endpoint, SystemClock, SystemEntropy};
use mcp::SessionLimits;

use super::fixture::{Behind, Fixture};

/// A gateway with something behind it, at `/mcp/fixture`. It is ready when this returns.
pub(crate) async fn start(behind: Behind) -> (Fixture, tempfile::TempDir) {
    let clock = Arc::new(SystemClock::new(&SystemEntropy).expect("random bytes"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let fixture = Fixture::start_with_behind(folder.path(), clock, SessionLimits::default(), behind).await;
    let endpoint = Endpoint::parse("fixture").expect("a literal");
    while !fixture.gateway.offers(endpoint).is_some_and(|offers| offers.prompts) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (fixture, folder)
}
