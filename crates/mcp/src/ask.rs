//! What a request wants, read whole before anything happens.

use serde_json::value::RawValue;
use wire::{Cursor, Era, Method, Params, ProtocolVersion, RequestMeta, RpcError};

/// A request that was understood. It borrows nothing, so it can outlive the connection it came on.
pub(crate) enum Ask {
    /// Answered by the protocol itself.
    Protocol(ProtocolAsk),
    /// Which tools there are.
    ListTools(Option<Cursor>),
    /// Which resources there are.
    ListResources(Option<Cursor>),
    /// One resource.
    ReadResource(String),
    /// Run a tool.
    Call(CallAsk),
}

/// What needs no gateway.
pub(crate) enum ProtocolAsk {
    /// The legacy handshake ended in this version.
    Initialize(ProtocolVersion),
    /// `ping`, or a setting that is accepted without effect.
    Nothing,
    /// Versions and capabilities.
    Discover,
    /// Which prompts there are.
    ListPrompts,
    /// Which shapes of resource addresses there are.
    ListResourceTemplates,
}

/// A tool call.
pub(crate) struct CallAsk {
    pub(crate) tool: String,
    pub(crate) arguments: Option<Box<RawValue>>,
    /// What progress is to be marked with, if the client wants any.
    pub(crate) progress: Option<Box<RawValue>>,
}

impl Ask {
    /// Reads a request of this era.
    pub(crate) fn read(
        method: &str,
        params: &Params<'_>,
        meta: &RequestMeta<'_>,
        era: Era,
    ) -> Result<Self, RpcError> {
        let Some(method) = Method::parse(method, era) else {
            return Err(RpcError::MethodNotFound(RpcError::piece(method)));
        };
        Ok(match method {
            Method::Initialize => {
                let version = ProtocolVersion::negotiate(&params.initialize()?.protocol_version);
                Self::Protocol(ProtocolAsk::Initialize(version))
            }
            Method::Ping | Method::SetLevel => Self::Protocol(ProtocolAsk::Nothing),
            Method::Discover => Self::Protocol(ProtocolAsk::Discover),
            Method::ListPrompts => {
                no_cursor(params)?;
                Self::Protocol(ProtocolAsk::ListPrompts)
            }
            Method::ListResourceTemplates => {
                no_cursor(params)?;
                Self::Protocol(ProtocolAsk::ListResourceTemplates)
            }
            Method::ListTools => Self::ListTools(params.list()?.cursor),
            Method::ListResources => Self::ListResources(params.list()?.cursor),
            Method::ReadResource => Self::ReadResource(params.read_resource()?.uri.into_owned()),
            Method::CallTool => {
                let call = params.call()?;
                Self::Call(CallAsk {
                    tool: call.name.into_owned(),
                    arguments: call.arguments.map(ToOwned::to_owned),
                    progress: meta.progress_token()?.map(|token| token.to_owned_json()),
                })
            }
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
