//! The only place that turns answers into bytes.
//!
//! A [`Reply`] is either of the protocol itself, whose variants have no room for what a target said, or a value
//! that the journal has recorded. There is no third kind.

use gateway::{Recorded, Resource, ResourceListing, ToolList};
use model::Answer;
use serde_json::Value;
use wire::{
    Caching, CallResult, Capabilities, Cursor, Discover, Dress, EmptyResult, Era, Initialize, ListPrompts,
    ListResourceTemplates, ListResources, ListTools, ListingCapability, ProtocolVersion, ReadResource,
    RequestId, ResourceContents, ResourceTemplate, RpcError, ServerInfo, ToolsCapability,
};

/// What may be sent.
pub(crate) enum Reply {
    /// Of the protocol itself.
    Protocol(ProtocolReply),
    /// A tool's answer.
    Call(Recorded<Answer>),
    /// The page of tools that begins here.
    Tools(Recorded<ToolList>, Option<Cursor>),
    /// The page of resources that begins here.
    Resources(Recorded<Vec<ResourceListing>>, Option<Cursor>),
    /// The resource of this address.
    Resource(Recorded<Option<Resource>>, String),
}

/// What the front says by itself.
pub(crate) enum ProtocolReply {
    /// The handshake's answer.
    Initialized(ProtocolVersion),
    /// Done, nothing to say.
    Nothing,
    /// Versions and capabilities.
    Discovered,
    /// There are no prompts.
    NoPrompts,
    /// The shapes of resource addresses.
    ResourceTemplates,
    /// It did not work out; the words are ours or the client's own.
    Failed(RpcError),
}

/// A reply as bytes.
pub(crate) struct Sent {
    /// One JSON message on one line.
    pub(crate) message: Vec<u8>,
    /// The HTTP status that goes with it.
    pub(crate) status: u16,
    /// For the counters.
    pub(crate) outcome: Outcome,
}

/// How a request ended, for the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With a result.
    Done,
    /// With a tool's result that says it failed.
    ToolError,
    /// With a protocol error.
    ProtocolError,
}

const SERVER: ServerInfo<'static> =
    ServerInfo { name: "portcullis", title: "Portcullis", version: env!("CARGO_PKG_VERSION") };
const CAPABILITIES: Capabilities = Capabilities {
    tools: ToolsCapability {},
    resources: Some(ListingCapability {}),
    prompts: Some(ListingCapability {}),
};
const INSTRUCTIONS: &str = "Tools act on declared targets, under rules, and every call is recorded. A credential is never \
    shown: `get_credential` gives a handle that stands for it and works once. When something is denied, the answer names \
    the rule and a hint; `explain` tells what a call would need without making it.";
const TEMPLATES: [ResourceTemplate<'static>; 2] = [
    ResourceTemplate {
        uri_template: "portcullis://host/{alias}",
        name: "host",
        description: "One host of the inventory.",
        mime_type: "application/json",
    },
    ResourceTemplate {
        uri_template: "skill://{tool}/SKILL.md",
        name: "skill",
        description: "How to use one tool.",
        mime_type: "text/markdown",
    },
];
/// Items on one page of a listing.
const PAGE: usize = 100;

/// Writes a reply for the request of this id.
pub(crate) fn send(reply: Reply, id: RequestId<'_>, era: Era) -> Sent {
    let (outcome, message) = match &reply {
        Reply::Protocol(reply) => return send_protocol(reply, id, era),
        Reply::Call(answer) => {
            let Answer { text, structured, is_error, .. } = answer.inner();
            let outcome = if *is_error { Outcome::ToolError } else { Outcome::Done };
            let result = CallResult::new(text, structured, *is_error, Dress::new(era, SERVER));
            (outcome, wire::write_result(id, &result))
        }
        Reply::Tools(list, cursor) => match tools_page(list.inner(), cursor.as_ref()) {
            None => return failed(Some(id), &no_such_cursor(), era),
            Some((page, next)) => (Outcome::Done, write_tools(&page, next, id, era)),
        },
        Reply::Resources(list, cursor) => {
            match Cursor::page(cursor.as_ref(), list.inner(), PAGE, |resource| resource.uri.as_str()) {
                None => return failed(Some(id), &no_such_cursor(), era),
                Some((page, next)) => (Outcome::Done, write_resources(page, next, id, era)),
            }
        }
        Reply::Resource(resource, uri) => match resource.inner() {
            None => return failed(Some(id), &RpcError::UnknownResource(RpcError::piece(uri)), era),
            Some(Resource { uri, mime_type, text }) => {
                let contents = [ResourceContents { uri, mime_type, text }];
                let (caching, dress) = (Caching::never(era), Dress::new(era, SERVER));
                (Outcome::Done, wire::write_result(id, &ReadResource { contents: &contents, caching, dress }))
            }
        },
    };
    written(outcome, message, id, era)
}

/// Writes an error for a message whose id may not be known.
pub(crate) fn failed(id: Option<RequestId<'_>>, error: &RpcError, era: Era) -> Sent {
    let message = wire::error_message(id, error, era);
    Sent { message, status: error.http_status(era), outcome: Outcome::ProtocolError }
}

fn send_protocol(reply: &ProtocolReply, id: RequestId<'_>, era: Era) -> Sent {
    let (caching, dress) = (Caching::never(era), Dress::new(era, SERVER));
    let message = match reply {
        ProtocolReply::Failed(error) => return failed(Some(id), error, era),
        ProtocolReply::Initialized(version) => wire::write_result(
            id,
            &Initialize {
                protocol_version: version.as_str(),
                capabilities: CAPABILITIES,
                server_info: SERVER,
                instructions: Some(INSTRUCTIONS),
            },
        ),
        ProtocolReply::Nothing => wire::write_result(id, &EmptyResult { dress }),
        ProtocolReply::Discovered => wire::write_result(
            id,
            &Discover {
                supported_versions: ProtocolVersion::ALL_TEXTS,
                capabilities: CAPABILITIES,
                instructions: Some(INSTRUCTIONS),
                caching,
                dress,
            },
        ),
        ProtocolReply::NoPrompts => wire::write_result(id, &ListPrompts { prompts: [], caching, dress }),
        ProtocolReply::ResourceTemplates => {
            wire::write_result(id, &ListResourceTemplates { resource_templates: &TEMPLATES, caching, dress })
        }
    };
    written(Outcome::Done, message, id, era)
}

fn written(
    outcome: Outcome,
    message: Result<Vec<u8>, serde_json::Error>,
    id: RequestId<'_>,
    era: Era,
) -> Sent {
    match message {
        Ok(message) => Sent { message, status: 200, outcome },
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            failed(Some(id), &RpcError::Internal, era)
        }
    }
}

fn no_such_cursor() -> RpcError {
    RpcError::InvalidParams("`cursor` names no place in the list any more; begin again without it".into())
}

/// Schemas are built per listing: a listing is rare, and keeping them would hold what a reload may change.
type Page<'l> = Vec<(&'l gateway::ToolSpec, Value)>;

fn tools_page<'l>(list: &'l ToolList, cursor: Option<&Cursor>) -> Option<(Page<'l>, Option<Cursor>)> {
    let (page, next) = Cursor::page(cursor, &list.0, PAGE, |tool| tool.spec().name.as_str())?;
    Some((page.iter().map(|tool| (tool.spec(), tool.spec().input.to_json())).collect(), next))
}

fn write_tools(
    page: &Page<'_>,
    next: Option<Cursor>,
    id: RequestId<'_>,
    era: Era,
) -> Result<Vec<u8>, serde_json::Error> {
    let tools: Vec<wire::Tool<'_>> = page
        .iter()
        .map(|(spec, input_schema)| wire::Tool {
            name: spec.name.as_str(),
            title: spec.title,
            description: spec.description,
            input_schema,
            output_schema: Some(&spec.output),
            annotations: wire::Annotations {
                read_only_hint: spec.annotations.read_only,
                destructive_hint: spec.annotations.destructive,
                idempotent_hint: spec.annotations.idempotent,
                open_world_hint: spec.annotations.open_world,
            },
        })
        .collect();
    let next_cursor = next.map(|next| next.to_text());
    let (caching, dress) = (Caching::never(era), Dress::new(era, SERVER));
    wire::write_result(id, &ListTools { tools: &tools, next_cursor, caching, dress })
}

fn write_resources(
    page: &[ResourceListing],
    next: Option<Cursor>,
    id: RequestId<'_>,
    era: Era,
) -> Result<Vec<u8>, serde_json::Error> {
    let resources: Vec<wire::Resource<'_>> = page
        .iter()
        .map(|listing| wire::Resource {
            uri: &listing.uri,
            name: &listing.name,
            title: &listing.title,
            description: &listing.description,
            mime_type: listing.mime_type,
        })
        .collect();
    let next_cursor = next.map(|next| next.to_text());
    let (caching, dress) = (Caching::never(era), Dress::new(era, SERVER));
    wire::write_result(id, &ListResources { resources: &resources, next_cursor, caching, dress })
}
