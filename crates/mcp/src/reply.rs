//! The only place that turns answers into bytes.
//!
//! A [`Reply`] is either of the protocol itself, whose variants have no room for what a target said, or a value
//! that the journal has recorded. There is no third kind.

mod theirs;

use gateway::{
    Endpoint, PromptListing, Recorded, ResourceListing, TemplateListing, ToolList, UpstreamOffers,
};
use model::{Ability, Answer, ResourceContent, Turn, Void};
use serde_json::Value;
use wire::{
    Caching, CallResult, Capabilities, Complete, ContentBlock, Cursor, Discover, Dress, EmptyResult, Era,
    GetPrompt, Initialize, InputRequired, ListPrompts, ListResourceTemplates, ListResources, ListTools,
    ListedTool, ListingCapability, PlainCapability, PromptMessage, ProtocolVersion, ReadResource, RequestId,
    ResourceContents, ResourceTemplate, RpcError, ServerInfo, Verbatim,
};

use crate::Gate;

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
    Resource(Recorded<Option<ResourceContent>>, String),
    /// The page of prompts that begins here.
    Prompts(Recorded<Vec<PromptListing>>, Option<Cursor>),
    /// A prompt, filled in.
    Prompt(Recorded<Answer>),
    /// How an argument could go on.
    Completion(Recorded<Vec<String>>),
    /// What an upstream says beside tools; whether a client could keep it for later.
    Theirs(Recorded<Answer>, Keeping),
}

/// What the front says by itself.
pub(crate) enum ProtocolReply {
    /// The handshake's answer.
    Initialized(ProtocolVersion, Offers),
    /// Done, nothing to say.
    Nothing,
    /// Versions and capabilities.
    Discovered(Offers),
    /// The shapes of resource addresses, which are texts of this program.
    ResourceTemplates(Vec<TemplateListing>),
    /// It did not work out; the words are ours or the client's own.
    Failed(RpcError),
}

/// Whether the protocol has a word on keeping a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// It has: this one is not to be kept.
    Never,
    /// It has none.
    Unsaid,
}

/// What there is at an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offers {
    /// Tools, resources, prompts: ours.
    Everything,
    /// The tools of one upstream, and what it has beside them.
    Theirs(UpstreamOffers),
}

impl Offers {
    pub(crate) fn at(gate: &dyn Gate, endpoint: Endpoint) -> Self {
        gate.offers(endpoint).map_or(Self::Everything, Self::Theirs)
    }

    fn capabilities(self) -> Capabilities {
        match self {
            Self::Everything => CAPABILITIES,
            Self::Theirs(theirs) => {
                let listing = |list_changed, subscribe| ListingCapability { list_changed, subscribe };
                Capabilities {
                    resources: theirs.resources.then(|| listing(theirs.resources_change, theirs.subscribe)),
                    prompts: theirs.prompts.then(|| listing(theirs.prompts_change, false)),
                    completions: theirs.completions.then_some(PlainCapability {}),
                    logging: theirs.logging.then_some(PlainCapability {}),
                    ..CAPABILITIES
                }
            }
        }
    }

    fn instructions(self) -> Option<&'static str> {
        (self == Self::Everything).then_some(INSTRUCTIONS)
    }
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

pub(crate) const SERVER: ServerInfo<'static> =
    ServerInfo { name: "portcullis", title: "Portcullis", version: env!("CARGO_PKG_VERSION") };
const CAPABILITIES: Capabilities = Capabilities {
    tools: ListingCapability { list_changed: true, subscribe: false },
    resources: Some(ListingCapability { list_changed: true, subscribe: true }),
    prompts: Some(ListingCapability { list_changed: false, subscribe: false }),
    completions: Some(PlainCapability {}),
    logging: Some(PlainCapability {}),
};
const INSTRUCTIONS: &str = "Tools act on declared targets, under rules, and every call is recorded. A credential is never \
    shown: `get_credential` gives a handle that stands for it and works once. When something is denied, the answer names \
    the rule and a hint; `explain` tells what a call would need without making it.";
/// Items on one page of a listing.
const PAGE: usize = 100;

/// Writes a reply for the request of this id.
pub(crate) fn send(reply: Reply, id: RequestId<'_>, era: Era) -> Sent {
    let (outcome, message) = match &reply {
        Reply::Protocol(reply) => return send_protocol(reply, id, era),
        Reply::Call(answer) => {
            let Answer { text, structured, is_error, content, turn, reply } = answer.inner();
            if let Some(sent) = theirs::send_asking(answer.inner(), id, era) {
                return sent;
            }
            if let Some(sent) = send_turn(turn, text, id, era) {
                return sent;
            }
            if let Some(reply) = reply {
                return theirs::send_forwarded(reply, id, era);
            }
            let outcome = if *is_error { Outcome::ToolError } else { Outcome::Done };
            let content = ContentBlock::list(text, content);
            let result = CallResult::new(content, structured, *is_error, Dress::new(era, SERVER));
            (outcome, wire::write_result(id, &result))
        }
        Reply::Prompt(answer) => {
            let Answer { text, is_error, content, turn, .. } = answer.inner();
            if let Some(sent) = send_turn(turn, text, id, era) {
                return sent;
            }
            if *is_error {
                return failed(Some(id), &RpcError::InvalidParams(text.clone().into()), era);
            }
            let messages = content.iter().map(|content| PromptMessage::new(content.into())).collect();
            (Outcome::Done, wire::write_result(id, &GetPrompt { messages, dress: Dress::new(era, SERVER) }))
        }
        Reply::Theirs(answer, keeping) => {
            return theirs::send_theirs(answer.inner(), *keeping, id, era);
        }
        Reply::Prompts(list, cursor) => {
            match Cursor::page(cursor.as_ref(), list.inner(), PAGE, |prompt| prompt.name.as_str()) {
                None => return failed(Some(id), &no_such_cursor(), era),
                Some((page, next)) => (Outcome::Done, write_prompts(page, next, id, era)),
            }
        }
        Reply::Completion(values) => {
            (Outcome::Done, wire::write_result(id, &Complete::new(values.inner(), Dress::new(era, SERVER))))
        }
        Reply::Tools(list, cursor) => match tools_page(list.inner(), cursor.as_ref()) {
            None => return failed(Some(id), &no_such_cursor(), era),
            Some((page, next)) => (Outcome::Done, write_tools(&page, list.inner().alone, next, id, era)),
        },
        Reply::Resources(list, cursor) => {
            match Cursor::page(cursor.as_ref(), list.inner(), PAGE, |resource| resource.uri.as_str()) {
                None => return failed(Some(id), &no_such_cursor(), era),
                Some((page, next)) => (Outcome::Done, write_resources(page, next, id, era)),
            }
        }
        Reply::Resource(resource, uri) => match resource.inner() {
            None => return failed(Some(id), &RpcError::UnknownResource(RpcError::piece(uri)), era),
            Some(content) => {
                let contents = [ResourceContents::from(content)];
                let (caching, dress) = (Caching::never(era), Dress::new(era, SERVER));
                (Outcome::Done, wire::write_result(id, &ReadResource { contents: &contents, caching, dress }))
            }
        },
    };
    written(outcome, message, id, era)
}

/// For an answer that is not the call's end: questions, or why the call was void.
fn send_turn(turn: &Turn, text: &str, id: RequestId<'_>, era: Era) -> Option<Sent> {
    match (turn, era) {
        (Turn::Over, _) | (Turn::Void(Void::Ability(_)), Era::Legacy) => None,
        (Turn::Client(asked), Era::Modern) => {
            let message = wire::write_result(id, &InputRequired::new(asked, Dress::new(era, SERVER)));
            Some(written(Outcome::Done, message, id, era))
        }
        // Legacy clients are asked by requests, before this; one that could not be asked has no answer.
        (Turn::Client(_), Era::Legacy) => Some(failed(Some(id), &RpcError::Unanswered, era)),
        (Turn::Void(Void::State), _) => {
            Some(failed(Some(id), &RpcError::InvalidParams(text.to_owned().into()), era))
        }
        (Turn::Void(Void::Ability(ability)), Era::Modern) => {
            let capability = match ability {
                Ability::Form | Ability::Page => "elicitation",
                Ability::Sample => "sampling",
                Ability::Roots => "roots",
            };
            Some(failed(Some(id), &RpcError::MissingClientCapability(capability), era))
        }
    }
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
        ProtocolReply::Initialized(version, offers) => wire::write_result(
            id,
            &Initialize {
                protocol_version: version.as_str(),
                capabilities: offers.capabilities(),
                server_info: SERVER,
                instructions: offers.instructions(),
            },
        ),
        ProtocolReply::Nothing => wire::write_result(id, &EmptyResult { dress }),
        ProtocolReply::Discovered(offers) => wire::write_result(
            id,
            &Discover {
                supported_versions: ProtocolVersion::ALL_TEXTS,
                capabilities: offers.capabilities(),
                instructions: offers.instructions(),
                caching,
                dress,
            },
        ),
        ProtocolReply::ResourceTemplates(templates) => {
            let templates: Vec<ResourceTemplate<'_>> = templates.iter().map(template).collect();
            wire::write_result(id, &ListResourceTemplates { resource_templates: &templates, caching, dress })
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
type Page<'l> = Vec<(&'l dyn gateway::Tool, Value)>;

fn tools_page<'l>(list: &'l ToolList, cursor: Option<&Cursor>) -> Option<(Page<'l>, Option<Cursor>)> {
    let (page, next) = Cursor::page(cursor, &list.tools, PAGE, |tool| tool.spec().name.as_str())?;
    let schema = |tool: &dyn gateway::Tool| match tool.definition() {
        Some(_) => Value::Null,
        None => tool.spec().input.to_json(),
    };
    Some((page.iter().map(|tool| (&**tool, schema(&**tool))).collect(), next))
}

fn write_tools(
    page: &Page<'_>,
    alone: bool,
    next: Option<Cursor>,
    id: RequestId<'_>,
    era: Era,
) -> Result<Vec<u8>, serde_json::Error> {
    let tools: Vec<ListedTool<'_>> = page
        .iter()
        .map(|(tool, schema)| match tool.definition() {
            Some(theirs) if alone => ListedTool::Theirs(Verbatim(&theirs.own)),
            Some(theirs) => ListedTool::Theirs(Verbatim(&theirs.offered)),
            None => ListedTool::Ours(Box::new(ours(tool.spec(), schema))),
        })
        .collect();
    let next_cursor = next.map(|next| next.to_text());
    let (caching, dress) = (Caching::never(era), Dress::new(era, SERVER));
    wire::write_result(id, &ListTools { tools: &tools, next_cursor, caching, dress })
}

fn ours<'l>(spec: &'l gateway::ToolSpec, input_schema: &'l Value) -> wire::Tool<'l> {
    wire::Tool {
        name: spec.name.as_str(),
        title: &spec.title,
        description: &spec.description,
        input_schema,
        output_schema: Some(&spec.output),
        annotations: wire::Annotations {
            read_only_hint: spec.annotations.read_only,
            destructive_hint: spec.annotations.destructive,
            idempotent_hint: spec.annotations.idempotent,
            open_world_hint: spec.annotations.open_world,
        },
    }
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

fn write_prompts(
    page: &[PromptListing],
    next: Option<Cursor>,
    id: RequestId<'_>,
    era: Era,
) -> Result<Vec<u8>, serde_json::Error> {
    let prompts: Vec<wire::Prompt<'_>> = page
        .iter()
        .map(|prompt| wire::Prompt {
            name: &prompt.name,
            title: &prompt.title,
            description: &prompt.description,
            arguments: prompt
                .arguments
                .iter()
                .map(|argument| wire::PromptArgument {
                    name: &argument.name,
                    description: &argument.description,
                    required: argument.required,
                })
                .collect(),
        })
        .collect();
    let next_cursor = next.map(|next| next.to_text());
    let (caching, dress) = (Caching::never(era), Dress::new(era, SERVER));
    wire::write_result(id, &ListPrompts { prompts: &prompts, next_cursor, caching, dress })
}

fn template(listing: &TemplateListing) -> ResourceTemplate<'_> {
    ResourceTemplate {
        uri_template: listing.uri_template,
        name: listing.name,
        description: listing.description,
        mime_type: listing.mime_type,
    }
}
