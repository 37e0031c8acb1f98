//! What there is beside tools: resources, prompts, and how their arguments could go on.

use std::sync::Arc;

use audit::Recorded;
use model::{Abilities, Answer, Content, Principal, ResourceContent};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tools::CompletionOf;

use crate::complete::completions;
use crate::gateway::Gateway;
use crate::live::Live;
use crate::prompts::GetPrompt;
use crate::resolve::{Shelf, Wanted, resolve};
use crate::resources::{ReadResource, TEMPLATES, listings};
use crate::{
    Authenticated, Completing, Endpoint, NotRecorded, PromptCall, PromptListing, ResourceListing,
    TemplateListing, ToolCall, Unlisted,
};

impl Gateway {
    /// The resources this principal may know of. Listing costs a call of its budget.
    pub async fn list_resources(
        &self,
        who: Authenticated<()>,
    ) -> Result<Recorded<Vec<ResourceListing>>, Unlisted> {
        let resources = self.listed_resources(&self.live(), who.principal());
        self.listed(&who, "resources_list", resources).await
    }

    /// The shapes of resource addresses.
    pub fn templates(&self) -> Vec<TemplateListing> {
        TEMPLATES.into_iter().chain(self.offer.iter().flat_map(|offer| offer.templates())).collect()
    }

    /// The prompts there are. Listing costs a call of the principal's budget.
    pub async fn list_prompts(
        &self,
        who: Authenticated<()>,
    ) -> Result<Recorded<Vec<PromptListing>>, Unlisted> {
        let prompts = self.offer.iter().flat_map(|offer| offer.prompts()).collect();
        self.listed(&who, "prompts_list", prompts).await
    }

    /// One prompt, filled in: the contents of the answer are its messages.
    pub async fn get_prompt(
        self: &Arc<Self>,
        asked: Authenticated<PromptCall>,
    ) -> Result<Recorded<Answer>, NotRecorded> {
        let PromptCall { name, arguments, abilities, input } = asked.inner().clone();
        let mut wanted = Map::from_iter([("name".to_owned(), json!(name))]);
        if let Some(arguments) = arguments {
            // Read as the scan let it through: an object, no key twice.
            let arguments = serde_json::from_str(arguments.get()).map_err(|_| NotRecorded)?;
            wanted.insert("arguments".to_owned(), arguments);
        }
        let arguments = RawValue::from_string(Value::Object(wanted).to_string()).ok();
        let call = ToolCall { abilities, input, ..ToolCall::new(Endpoint::All, GetPrompt::NAME, arguments) };
        self.start(asked.with(call), Shelf::Prompts).await
    }

    /// How an argument could go on, with what this principal sees. It costs a call of its budget.
    pub async fn complete(
        &self,
        asked: Authenticated<Completing>,
    ) -> Result<Recorded<Vec<String>>, Unlisted> {
        let values = completions(self, &self.live(), asked.principal(), asked.inner());
        self.listed(&asked.with(()), "completion", values).await
    }

    /// One resource by its address; `None` is "not found", also when not visible.
    pub async fn read_resource(
        self: &Arc<Self>,
        uri: Authenticated<String>,
    ) -> Result<Recorded<Option<ResourceContent>>, NotRecorded> {
        let arguments = RawValue::from_string(json!({ "uri": uri.inner() }).to_string()).ok();
        let call = ToolCall::new(Endpoint::All, ReadResource::NAME, arguments);
        Ok(self.start(uri.with(call), Shelf::Resources).await?.map(resource))
    }

    /// What a resource holds, for a look at whether it has changed. Nothing of it leaves the gateway.
    pub(crate) fn glance(&self, live: &Live, principal: &Principal, uri: &str) -> Option<String> {
        let arguments = Map::from_iter([("uri".to_owned(), json!(uri))]);
        let wanted = Wanted {
            shelf: Shelf::Resources,
            endpoint: Endpoint::All,
            name: ReadResource::NAME,
            arguments: &arguments,
            acting: false,
            input: None,
            abilities: Abilities::default(),
            forward: None,
        };
        resolve(self, live, principal, wanted).ok().map(|resolved| resolved.action.arguments.to_string())
    }

    pub(crate) fn offered(&self, of: &CompletionOf, argument: &str, written: &str) -> Vec<String> {
        self.offer.as_ref().map(|offer| offer.complete(of, argument, written)).unwrap_or_default()
    }

    pub(crate) fn listed_resources(&self, live: &Live, principal: &Principal) -> Vec<ResourceListing> {
        // What an upstream's tool is for, only the upstream says.
        let tools = self.visible_tools(live, principal, Endpoint::All);
        let hosts = live.inventory.hosts().filter(|host| live.snapshot.sees(principal, &host.target()));
        let ours = tools.iter().filter(|tool| tool.definition().is_none()).map(|tool| tool.spec());
        let offered = self.offer.iter().flat_map(|offer| offer.resources());
        let listed = listings(hosts, ours);
        listed.into_iter().chain(offered).collect()
    }
}

fn resource(answer: Answer) -> Option<ResourceContent> {
    answer.content.into_iter().find_map(|content| match content {
        Content::Resource(resource) => Some(resource),
        Content::Text(_) | Content::Image(_) | Content::Audio(_) => None,
    })
}
