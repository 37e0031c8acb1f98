//! The gateway as its fronts see it.

use audit::Recorded;
use model::Answer;

use crate::{
    Authenticated, Endpoint, Health, NotRecorded, Presented, Resource, ResourceListing, ToolCall, ToolList,
    Unauthenticated,
};

/// One running gateway. Shared by every front as `Arc<Gateway>`.
pub struct Gateway {}

impl Gateway {
    /// Stage 1. Failures are counted and recorded aggregated; they all look alike to the client.
    pub fn authenticate(&self, presented: &Presented<'_>) -> Result<Authenticated<()>, Unauthenticated> {
        let _ = presented;
        todo!()
    }

    /// The pipeline, from resolve to record.
    pub async fn call(&self, call: Authenticated<ToolCall>) -> Result<Recorded<Answer>, NotRecorded> {
        let _ = call.inner();
        todo!()
    }

    /// The same pipeline for an operator's verb (`operator:reload`), which is a tool that agents never see.
    ///
    /// `call.tool` is the verb without its prefix; `call.endpoint` is not looked at.
    pub async fn operate(&self, call: Authenticated<ToolCall>) -> Result<Recorded<Answer>, NotRecorded> {
        let _ = call.inner();
        todo!()
    }

    /// Another principal on an operator's behalf: `stdio --as`, `call --as`. The operator needs `operator:impersonate`,
    /// which is authorised and recorded like any verb; `None` if that is denied or there is no such principal.
    pub async fn impersonate(&self, operator: &Authenticated<()>, principal: &str) -> Option<Authenticated<()>> {
        let _ = (operator, principal);
        todo!()
    }

    /// The tools this principal may know of at an endpoint.
    pub async fn list_tools(&self, at: Authenticated<Endpoint>) -> Result<Recorded<ToolList>, NotRecorded> {
        let _ = at.inner();
        todo!()
    }

    /// The resources this principal may know of.
    pub async fn list_resources(&self, who: Authenticated<()>) -> Result<Recorded<Vec<ResourceListing>>, NotRecorded> {
        let _ = who.inner();
        todo!()
    }

    /// One resource by its address; `None` is "not found", also when not visible.
    pub async fn read_resource(&self, uri: Authenticated<String>) -> Result<Recorded<Option<Resource>>, NotRecorded> {
        let _ = uri.inner();
        todo!()
    }

    /// Records that a session was used by another principal than its own; best effort, bounded.
    pub async fn session_misused(&self, who: Authenticated<()>) {
        let _ = who.inner();
        todo!()
    }

    /// Whether the gateway can do its work.
    pub fn health(&self) -> Health {
        todo!()
    }
}
