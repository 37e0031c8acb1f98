//! What a request wants, read whole before anything happens.

use std::borrow::Cow;
use std::sync::Arc;

use gateway::{Completing, CompletionOf, Endpoint, Errand, Input, ListOf};
use model::{Abilities, Forward, LogLevel, UpstreamName};
use serde_json::value::RawValue;
use wire::{Cursor, Era, ListenParams, Method, Params, ProtocolVersion, RequestMeta, RpcError};

use crate::reply::Keeping;

/// A request that was understood. It borrows nothing, so it can outlive the connection it came on.
pub(crate) enum Ask {
    /// Answered by the protocol itself.
    Protocol(ProtocolAsk),
    /// Which tools there are.
    ListTools(Option<Cursor>),
    /// Which resources there are.
    ListResources(Option<Cursor>),
    /// Which prompts there are.
    ListPrompts(Option<Cursor>),
    /// One resource.
    ReadResource(String),
    /// Run a tool.
    Call(CallAsk),
    /// Fill a prompt in.
    Prompt(CallAsk),
    /// How an argument could go on.
    Complete(Completing),
    /// Something of an upstream that is no tool.
    Errand(CallAsk, Keeping),
    /// A page of a list of an upstream.
    ListTheirs(ListOf, Forward),
    /// Tell of changes until one side ends it.
    Listen(ListenParams),
}

/// What needs no gateway.
pub(crate) enum ProtocolAsk {
    /// The legacy handshake ended in this version, with a client that can be asked this.
    Initialize(ProtocolVersion, Abilities),
    /// `ping`.
    Nothing,
    /// From which level on the client wants to be told.
    SetLevel(LogLevel),
    /// Tell of changes of a resource.
    Subscribe(String),
    /// Do so no more.
    Unsubscribe(String),
    /// Versions and capabilities.
    Discover,
    /// Which shapes of resource addresses there are.
    ListResourceTemplates,
}

/// A tool call, or a prompt with its arguments.
pub(crate) struct CallAsk {
    pub(crate) name: String,
    pub(crate) arguments: Option<Box<RawValue>>,
    /// What progress is to be marked with, if the client wants any.
    pub(crate) progress: Option<Box<RawValue>>,
    /// What the client answered to questions.
    pub(crate) input: Input,
    /// What is sent on, if this may be the tool of an upstream.
    pub(crate) forward: Option<Forward>,
    /// What is wanted of an upstream, if that is no tool.
    pub(crate) errand: Option<Errand>,
}

impl Ask {
    /// Reads a request of this era.
    pub(crate) fn read(
        request: &wire::Request<'_>,
        params: &Params<'_>,
        meta: &RequestMeta<'_>,
        era: Era,
        endpoint: Endpoint,
    ) -> Result<Self, RpcError> {
        let not_found = || RpcError::MethodNotFound(RpcError::piece(&request.method));
        let method = Method::parse(&request.method, era).ok_or_else(not_found)?;
        if matches!(endpoint, Endpoint::Upstream(_))
            && let Some(theirs) = Self::theirs(method, request, params, meta, era)?
        {
            return Ok(theirs);
        }
        Ok(match method {
            Method::Initialize => {
                let initialize = params.initialize()?;
                let version = ProtocolVersion::negotiate(&initialize.protocol_version);
                Self::Protocol(ProtocolAsk::Initialize(version, initialize.abilities))
            }
            Method::Ping => Self::Protocol(ProtocolAsk::Nothing),
            Method::SetLevel => Self::Protocol(ProtocolAsk::SetLevel(params.level()?)),
            Method::Subscribe => {
                Self::Protocol(ProtocolAsk::Subscribe(params.read_resource()?.uri.into_owned()))
            }
            Method::Unsubscribe => {
                Self::Protocol(ProtocolAsk::Unsubscribe(params.read_resource()?.uri.into_owned()))
            }
            Method::Discover => Self::Protocol(ProtocolAsk::Discover),
            Method::ListResourceTemplates => {
                no_cursor(params)?;
                Self::Protocol(ProtocolAsk::ListResourceTemplates)
            }
            Method::ListTools => Self::ListTools(params.list()?.cursor),
            Method::ListResources => Self::ListResources(params.list()?.cursor),
            Method::ListPrompts => Self::ListPrompts(params.list()?.cursor),
            Method::ReadResource => Self::ReadResource(params.read_resource()?.uri.into_owned()),
            Method::CallTool => Self::Call(CallAsk::read(params, meta, era)?.sent_on(request, endpoint)),
            Method::GetPrompt => Self::Prompt(CallAsk::read(params, meta, era)?),
            Method::Complete => {
                let wire::CompleteParams { of, argument, written } = params.complete()?;
                let of = match of {
                    wire::CompletionOf::Prompt(name) => CompletionOf::Prompt(name),
                    wire::CompletionOf::Template(uri) => CompletionOf::Template(uri),
                };
                Self::Complete(Completing { of, argument, written })
            }
            Method::Listen => Self::Listen(params.listen()?),
        })
    }
}

impl Ask {
    /// What an upstream has beside tools, where nothing else is.
    fn theirs(
        method: Method,
        request: &wire::Request<'_>,
        params: &Params<'_>,
        meta: &RequestMeta<'_>,
        era: Era,
    ) -> Result<Option<Self>, RpcError> {
        let list = |of| Ok(Some(Self::ListTheirs(of, sent_on(request, true)?)));
        let errand = |errand, name: String, arguments: Option<&RawValue>, keeping| {
            let ask = CallAsk {
                name,
                arguments: arguments.map(ToOwned::to_owned),
                progress: meta.progress_token()?.map(|token| token.to_owned_json()),
                input: input(params, era)?,
                forward: Some(sent_on(request, true)?),
                errand: Some(errand),
            };
            Ok(Some(Self::Errand(ask, keeping)))
        };
        match method {
            Method::ListResources => list(ListOf::Resources),
            Method::ListResourceTemplates => list(ListOf::Templates),
            Method::ListPrompts => list(ListOf::Prompts),
            Method::ReadResource => {
                errand(Errand::Read, params.read_resource()?.uri.into_owned(), None, Keeping::Never)
            }
            Method::GetPrompt => {
                let prompt = params.prompt()?;
                errand(Errand::Prompt, prompt.name.into_owned(), prompt.arguments, Keeping::Unsaid)
            }
            Method::Complete => match params.complete()?.of {
                wire::CompletionOf::Prompt(name) => {
                    errand(Errand::CompletePrompt, name, None, Keeping::Unsaid)
                }
                wire::CompletionOf::Template(uri) => {
                    errand(Errand::CompleteResource, uri, None, Keeping::Unsaid)
                }
            },
            Method::Initialize
            | Method::Ping
            | Method::SetLevel
            | Method::Discover
            | Method::ListTools
            | Method::CallTool
            | Method::Listen
            | Method::Subscribe
            | Method::Unsubscribe => Ok(None),
        }
    }
}

/// The parameters as the client wrote them; none are none.
fn sent_on(request: &wire::Request<'_>, faithful: bool) -> Result<Forward, RpcError> {
    let text = request.raw_params().map_or("{}", RawValue::get);
    let act =
        wire::without_meta(text).map_err(|_| RpcError::InvalidParams("`params` must be an object".into()))?;
    let params: Arc<str> = text.into();
    let act = if let Cow::Owned(act) = act { act.into() } else { Arc::clone(&params) };
    Ok(Forward::new(params, act, faithful))
}

/// What came along with a request. A legacy client answers questions as requests of their own, so what a modern one sends
/// along is not read.
fn input(params: &Params<'_>, era: Era) -> Result<Input, RpcError> {
    match era {
        Era::Legacy => Ok(Input::default()),
        Era::Modern => {
            let wire::InputParams { answers, state } = params.input()?;
            Ok(Input { answers, state })
        }
    }
}

impl CallAsk {
    /// With what goes on to an upstream: always where there is nothing else, and for names that have a prefix.
    fn sent_on(self, request: &wire::Request<'_>, endpoint: Endpoint) -> Self {
        let faithful = matches!(endpoint, Endpoint::Upstream(_));
        let prefixed = faithful || self.name.contains(UpstreamName::SEPARATOR);
        let forward = if prefixed { sent_on(request, faithful).ok() } else { None };
        Self { forward, ..self }
    }

    fn read(params: &Params<'_>, meta: &RequestMeta<'_>, era: Era) -> Result<Self, RpcError> {
        let call = params.call()?;
        Ok(Self {
            name: call.name.into_owned(),
            arguments: call.arguments.map(ToOwned::to_owned),
            progress: meta.progress_token()?.map(|token| token.to_owned_json()),
            input: input(params, era)?,
            forward: None,
            errand: None,
        })
    }
}

/// Lists of one page have no second one.
fn no_cursor(params: &Params<'_>) -> Result<(), RpcError> {
    match params.list()?.cursor {
        None => Ok(()),
        Some(_) => Err(RpcError::InvalidParams("`cursor` is not one of ours".into())),
    }
}
