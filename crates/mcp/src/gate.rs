//! What the front needs of the gateway.

use std::sync::Arc;

use async_trait::async_trait;
use gateway::{
    Authenticated, Endpoint, Gateway, Health, NotRecorded, Presented, Recorded, Resource, ResourceListing,
    ToolCall, ToolList, Unauthenticated, Unlisted,
};
use model::Answer;

/// The gateway as the front sees it. A call goes on to its record when the front stops waiting for it.
#[async_trait]
pub trait Gate: Send + Sync + 'static {
    /// Who is asking; there is one failure for all causes.
    fn authenticate(&self, presented: &Presented<'_>) -> Result<Authenticated<()>, Unauthenticated>;
    /// Runs a tool.
    async fn call(self: Arc<Self>, call: Authenticated<ToolCall>) -> Result<Recorded<Answer>, NotRecorded>;
    /// The tools this principal may know of.
    async fn list_tools(self: Arc<Self>, at: Authenticated<Endpoint>)
    -> Result<Recorded<ToolList>, Unlisted>;
    /// The resources this principal may know of.
    async fn list_resources(
        self: Arc<Self>,
        who: Authenticated<()>,
    ) -> Result<Recorded<Vec<ResourceListing>>, Unlisted>;
    /// One resource; `None` is "not found", also when not visible.
    async fn read_resource(
        self: Arc<Self>,
        uri: Authenticated<String>,
    ) -> Result<Recorded<Option<Resource>>, NotRecorded>;
    /// Records that a session was used by another principal than its own.
    async fn session_misused(self: Arc<Self>, who: Authenticated<()>);
    /// Records that an agent began a session or a stream.
    async fn agent_connected(self: Arc<Self>, who: Authenticated<()>);
    /// Whether the gateway can do its work.
    fn health(&self) -> Health;
}

#[async_trait]
impl Gate for Gateway {
    fn authenticate(&self, presented: &Presented<'_>) -> Result<Authenticated<()>, Unauthenticated> {
        Gateway::authenticate(self, presented)
    }

    async fn call(self: Arc<Self>, call: Authenticated<ToolCall>) -> Result<Recorded<Answer>, NotRecorded> {
        Gateway::call(&self, call).await
    }

    async fn list_tools(
        self: Arc<Self>,
        at: Authenticated<Endpoint>,
    ) -> Result<Recorded<ToolList>, Unlisted> {
        Gateway::list_tools(&self, at).await
    }

    async fn list_resources(
        self: Arc<Self>,
        who: Authenticated<()>,
    ) -> Result<Recorded<Vec<ResourceListing>>, Unlisted> {
        Gateway::list_resources(&self, who).await
    }

    async fn read_resource(
        self: Arc<Self>,
        uri: Authenticated<String>,
    ) -> Result<Recorded<Option<Resource>>, NotRecorded> {
        Gateway::read_resource(&self, uri).await
    }

    async fn session_misused(self: Arc<Self>, who: Authenticated<()>) {
        Gateway::session_misused(&self, who).await;
    }

    async fn agent_connected(self: Arc<Self>, who: Authenticated<()>) {
        Gateway::agent_connected(&self, who).await;
    }

    fn health(&self) -> Health {
        Gateway::health(self)
    }
}
