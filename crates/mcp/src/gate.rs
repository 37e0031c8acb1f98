//! What the front needs of the gateway.

use std::sync::Arc;

use async_trait::async_trait;
use gateway::{
    Authenticated, Completing, Endpoint, Gateway, GaveUp, Health, NotRecorded, Presented, PromptCall,
    PromptListing, Recorded, ResourceListing, TemplateListing, TheirList, ToolCall, ToolList,
    Unauthenticated, Unlisted, UpstreamOffers, View, Watching,
};
use model::{Answer, ResourceContent};
use tokio::sync::watch;

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
    /// The prompts there are.
    async fn list_prompts(
        self: Arc<Self>,
        who: Authenticated<()>,
    ) -> Result<Recorded<Vec<PromptListing>>, Unlisted>;
    /// One prompt, filled in.
    async fn get_prompt(
        self: Arc<Self>,
        asked: Authenticated<PromptCall>,
    ) -> Result<Recorded<Answer>, NotRecorded>;
    /// How an argument could go on.
    async fn complete(
        self: Arc<Self>,
        asked: Authenticated<Completing>,
    ) -> Result<Recorded<Vec<String>>, Unlisted>;
    /// The shapes of resource addresses.
    fn templates(&self) -> Vec<TemplateListing>;
    /// A page of a list of an upstream.
    async fn list_theirs(
        self: Arc<Self>,
        asked: Authenticated<TheirList>,
    ) -> Result<Recorded<Answer>, Unlisted>;
    /// What an upstream has beside tools; `None` where there is none.
    fn offers(&self, endpoint: Endpoint) -> Option<UpstreamOffers>;
    /// Whether there is anything at an endpoint.
    fn serves(&self, endpoint: Endpoint) -> bool;
    /// What a principal sees now.
    fn view(&self, at: &Authenticated<Endpoint>, watched: &[String]) -> View;
    /// Watches a resource of an upstream for as long as the value is kept; nothing for what is ours.
    fn watch(&self, at: &Authenticated<Endpoint>, uri: &str) -> Option<Watching>;
    /// Told whenever something else is in force.
    fn changes(&self) -> watch::Receiver<u64>;
    /// The same client as it is known now.
    fn renew(&self, who: &Authenticated<()>) -> Result<Authenticated<()>, Unauthenticated>;
    /// Records that a client was asked and did not answer; what waits for that is given up.
    async fn unanswered(self: Arc<Self>, who: Authenticated<GaveUp>);
    /// One resource; `None` is "not found", also when not visible.
    async fn read_resource(
        self: Arc<Self>,
        uri: Authenticated<String>,
    ) -> Result<Recorded<Option<ResourceContent>>, NotRecorded>;
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

    async fn list_prompts(
        self: Arc<Self>,
        who: Authenticated<()>,
    ) -> Result<Recorded<Vec<PromptListing>>, Unlisted> {
        Gateway::list_prompts(&self, who).await
    }

    async fn get_prompt(
        self: Arc<Self>,
        asked: Authenticated<PromptCall>,
    ) -> Result<Recorded<Answer>, NotRecorded> {
        Gateway::get_prompt(&self, asked).await
    }

    async fn complete(
        self: Arc<Self>,
        asked: Authenticated<Completing>,
    ) -> Result<Recorded<Vec<String>>, Unlisted> {
        Gateway::complete(&self, asked).await
    }

    fn templates(&self) -> Vec<TemplateListing> {
        Gateway::templates(self)
    }

    async fn list_theirs(
        self: Arc<Self>,
        asked: Authenticated<TheirList>,
    ) -> Result<Recorded<Answer>, Unlisted> {
        Gateway::list_theirs(&self, asked).await
    }

    fn offers(&self, endpoint: Endpoint) -> Option<UpstreamOffers> {
        Gateway::offers(self, endpoint)
    }

    fn serves(&self, endpoint: Endpoint) -> bool {
        Gateway::serves(self, endpoint)
    }

    fn view(&self, at: &Authenticated<Endpoint>, watched: &[String]) -> View {
        Gateway::view(self, at, watched)
    }

    fn watch(&self, at: &Authenticated<Endpoint>, uri: &str) -> Option<Watching> {
        Gateway::watch(self, at, uri)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        Gateway::changes(self)
    }

    fn renew(&self, who: &Authenticated<()>) -> Result<Authenticated<()>, Unauthenticated> {
        Gateway::renew(self, who)
    }

    async fn unanswered(self: Arc<Self>, who: Authenticated<GaveUp>) {
        Gateway::unanswered(&self, who).await;
    }

    async fn read_resource(
        self: Arc<Self>,
        uri: Authenticated<String>,
    ) -> Result<Recorded<Option<ResourceContent>>, NotRecorded> {
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
