//! What results look like, in both eras.

use serde::Serialize;

use crate::{ContentBlock, Era, RequestId, ResourceContents};

/// Who we are.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ServerInfo<'a> {
    /// The program's name.
    pub name: &'a str,
    /// The name for people.
    pub title: &'a str,
    /// The program's version.
    pub version: &'a str,
}

/// What an era wants on every result beside its content.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Dress<'a> {
    #[serde(rename = "resultType", skip_serializing_if = "Option::is_none")]
    result_type: Option<&'static str>,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<ResultMeta<'a>>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct ResultMeta<'a> {
    #[serde(rename = "io.modelcontextprotocol/serverInfo")]
    server: ServerInfo<'a>,
}

impl<'a> Dress<'a> {
    /// Nothing in the legacy era; a result type and who answers in the modern one.
    pub fn new(era: Era, server: ServerInfo<'a>) -> Self {
        match era {
            Era::Legacy => Self { result_type: None, meta: None },
            Era::Modern => Self { result_type: Some(Self::COMPLETE), meta: Some(ResultMeta { server }) },
        }
    }

    pub(crate) const COMPLETE: &'static str = "complete";

    /// For an answer that asks, which only the modern era has.
    pub(crate) fn asking(self) -> Self {
        Self { result_type: Some("input_required"), ..self }
    }
}

/// Who may keep a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheScope {
    /// Anybody.
    Public,
    /// Only the one who asked.
    Private,
}

/// How long a result may be kept, and by whom; only modern results say it.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Caching {
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_scope: Option<CacheScope>,
}

impl Caching {
    /// Not to be kept: what is listed depends on the principal and on the rules of the moment.
    pub fn never(era: Era) -> Self {
        match era {
            Era::Legacy => Self { ttl_ms: None, cache_scope: None },
            Era::Modern => Self { ttl_ms: Some(0), cache_scope: Some(CacheScope::Private) },
        }
    }
}

macro_rules! results {
    ($($(#[$doc:meta])* $name:ident <$($life:lifetime),* $(, $param:ident)?> { $($(#[$field_doc:meta])* $field:ident : $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Serialize)]
            #[serde(rename_all = "camelCase")]
            pub struct $name<$($life,)* $($param: Serialize)?> {
                $($(#[$field_doc])* pub $field: $type,)*
                /// How long it may be kept.
                #[serde(flatten)]
                pub caching: Caching,
                /// What the era wants beside it.
                #[serde(flatten)]
                pub dress: Dress<'a>,
            }
        )*
    };
}

results! {
    /// The answer to `server/discover`.
    Discover<'a> {
        /// Every version that is spoken.
        supported_versions: &'a [&'a str],
        /// What is offered.
        capabilities: Capabilities,
        /// A word to the agent.
        #[serde(skip_serializing_if = "Option::is_none")]
        instructions: Option<&'a str>,
    }

    /// The answer to `tools/list`.
    ListTools<'a, T> {
        /// One page of tools.
        tools: &'a [T],
        /// Where the next page begins.
        #[serde(skip_serializing_if = "Option::is_none")]
        next_cursor: Option<String>,
    }

    /// The answer to `resources/list`.
    ListResources<'a> {
        /// One page of resources.
        resources: &'a [Resource<'a>],
        /// Where the next page begins.
        #[serde(skip_serializing_if = "Option::is_none")]
        next_cursor: Option<String>,
    }

    /// The answer to `resources/templates/list`.
    ListResourceTemplates<'a> {
        /// The templates.
        resource_templates: &'a [ResourceTemplate<'a>],
    }

    /// The answer to `prompts/list`.
    ListPrompts<'a> {
        /// One page of prompts.
        prompts: &'a [Prompt<'a>],
        /// Where the next page begins.
        #[serde(skip_serializing_if = "Option::is_none")]
        next_cursor: Option<String>,
    }

    /// The answer to `resources/read`.
    ReadResource<'a> {
        /// The contents.
        contents: &'a [ResourceContents<'a>],
    }
}

/// What is offered. A capability that is absent is not offered.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Capabilities {
    /// Tools can be listed and called.
    pub tools: ListingCapability,
    /// Resources can be listed and read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ListingCapability>,
    /// Prompts can be listed and filled in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompts: Option<ListingCapability>,
    /// Arguments can be completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completions: Option<PlainCapability>,
    /// Calls can tell how they go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logging: Option<PlainCapability>,
}

/// Something can be listed.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListingCapability {
    /// Who listens is told when the list changes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub list_changed: bool,
    /// Single items can be watched.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub subscribe: bool,
}

/// Something is offered, and there is no more to say of it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct PlainCapability {}

/// The answer to `initialize`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Initialize<'a> {
    /// The version of the session.
    pub protocol_version: &'a str,
    /// What is offered.
    pub capabilities: Capabilities,
    /// Who we are.
    pub server_info: ServerInfo<'a>,
    /// A word to the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<&'a str>,
}

/// An answer that says only that it is done.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct EmptyResult<'a> {
    /// What the era wants.
    pub dress: Dress<'a>,
}

/// The answer to `tools/call`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallResult<'a> {
    /// The form a person reads.
    pub content: Vec<ContentBlock<'a>>,
    /// The form a program reads; an object.
    pub structured_content: &'a serde_json::Value,
    /// Whether the call failed.
    pub is_error: bool,
    #[serde(rename = "resultType", skip_serializing_if = "Option::is_none")]
    result_type: Option<&'static str>,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<ResultMeta<'a>>,
}

impl<'a> CallResult<'a> {
    /// A tool's answer, dressed for its era.
    pub fn new(
        content: Vec<ContentBlock<'a>>,
        structured: &'a serde_json::Value,
        is_error: bool,
        dress: Dress<'a>,
    ) -> Self {
        Self {
            content,
            structured_content: structured,
            is_error,
            result_type: dress.result_type,
            meta: dress.meta,
        }
    }
}

/// A tool as it is listed.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tool<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its name for people.
    pub title: &'a str,
    /// What it does.
    pub description: &'a str,
    /// What it takes.
    pub input_schema: &'a serde_json::Value,
    /// What it gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<&'a serde_json::Value>,
    /// Hints.
    pub annotations: Annotations,
}

/// Hints about a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "these are the protocol's four hints")]
pub struct Annotations {
    /// It changes nothing.
    pub read_only_hint: bool,
    /// It may destroy something.
    pub destructive_hint: bool,
    /// Doing it twice does no more than doing it once.
    pub idempotent_hint: bool,
    /// It reaches what lies outside the gateway.
    pub open_world_hint: bool,
}

/// A resource as it is listed.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Resource<'a> {
    /// Its address.
    pub uri: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its name for people.
    pub title: &'a str,
    /// What it holds.
    pub description: &'a str,
    /// Its media type.
    pub mime_type: &'a str,
}

/// A prompt as it is listed.
#[derive(Debug, Clone, Serialize)]
pub struct Prompt<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its name for people.
    pub title: &'a str,
    /// What it is for.
    pub description: &'a str,
    /// What is filled in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<PromptArgument<'a>>,
}

/// What is filled into a prompt.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct PromptArgument<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it means.
    pub description: &'a str,
    /// Whether it must be given.
    pub required: bool,
}

/// The answer to `prompts/get`.
#[derive(Debug, Clone, Serialize)]
pub struct GetPrompt<'a> {
    /// The messages.
    pub messages: Vec<PromptMessage<'a>>,
    /// What the era wants beside it.
    #[serde(flatten)]
    pub dress: Dress<'a>,
}

/// One message of a prompt: what the person would say.
#[derive(Debug, Clone, Serialize)]
pub struct PromptMessage<'a> {
    role: &'static str,
    content: ContentBlock<'a>,
}

impl<'a> PromptMessage<'a> {
    /// The person says this.
    pub fn new(content: ContentBlock<'a>) -> Self {
        Self { role: "user", content }
    }
}

/// The answer to `completion/complete`.
#[derive(Debug, Clone, Serialize)]
pub struct Complete<'a> {
    completion: Completion<'a>,
    #[serde(flatten)]
    dress: Dress<'a>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Completion<'a> {
    values: &'a [String],
    total: usize,
    has_more: bool,
}

impl<'a> Complete<'a> {
    /// These, or the first hundred of them.
    pub fn new(values: &'a [String], dress: Dress<'a>) -> Self {
        let shown = values.get(..100).unwrap_or(values);
        let completion =
            Completion { values: shown, total: values.len(), has_more: shown.len() < values.len() };
        Self { completion, dress }
    }
}

/// A shape of resource addresses.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceTemplate<'a> {
    /// The shape, as RFC 6570 writes it.
    pub uri_template: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What such resources hold.
    pub description: &'a str,
    /// Their media type.
    pub mime_type: &'a str,
}

/// Writes the message that answers a request.
pub fn write_result(id: RequestId<'_>, result: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(Serialize)]
    struct Message<'a, T: Serialize> {
        jsonrpc: &'static str,
        id: RequestId<'a>,
        result: &'a T,
    }
    let mut out = Vec::with_capacity(1024);
    serde_json::to_writer(&mut out, &Message { jsonrpc: "2.0", id, result })?;
    Ok(out)
}

#[cfg(test)]
mod tests;
