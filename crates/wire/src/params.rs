//! What requests carry.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use model::Abilities;

use crate::{Cursor, ProgressToken, RequestId, RpcError};

mod talk;

pub use talk::{CompleteParams, CompletionOf, InputParams, ListenParams, WATCHED_MAX};

/// The parameters of any request, read as far as every method needs them.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Params<'a> {
    #[serde(borrow, rename = "_meta")]
    meta: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    uri: Option<&'a RawValue>,
    #[serde(borrow)]
    cursor: Option<&'a RawValue>,
    #[serde(borrow, rename = "protocolVersion")]
    protocol_version: Option<&'a RawValue>,
    #[serde(borrow, rename = "clientInfo")]
    client_info: Option<&'a RawValue>,
    #[serde(borrow)]
    capabilities: Option<&'a RawValue>,
    #[serde(borrow, rename = "requestId")]
    request_id: Option<&'a RawValue>,
    // `null` is no object of answers, and not the same as none.
    #[serde(borrow, rename = "inputResponses", default, deserialize_with = "present")]
    input_responses: Option<&'a RawValue>,
    #[serde(borrow, rename = "requestState", default, deserialize_with = "present")]
    request_state: Option<&'a RawValue>,
    #[serde(borrow)]
    level: Option<&'a RawValue>,
    #[serde(borrow, rename = "ref")]
    reference: Option<&'a RawValue>,
    #[serde(borrow)]
    argument: Option<&'a RawValue>,
    #[serde(borrow)]
    notifications: Option<&'a RawValue>,
}

/// What `_meta` of a request says.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct RequestMeta<'a> {
    /// The version the request is written in; only modern requests say it.
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    pub protocol_version: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientCapabilities")]
    client_capabilities: Option<&'a RawValue>,
    #[serde(borrow, rename = "io.modelcontextprotocol/clientInfo")]
    client_info: Option<&'a RawValue>,
    #[serde(borrow, rename = "io.modelcontextprotocol/logLevel")]
    log_level: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "progressToken")]
    progress_token: Option<&'a RawValue>,
}

/// The parameters of `tools/call`.
#[derive(Debug, Clone)]
pub struct CallParams<'a> {
    /// The tool.
    pub name: Cow<'a, str>,
    /// Its arguments, an object as the client wrote it; `None` when there are none.
    pub arguments: Option<&'a RawValue>,
}

/// The parameters of a listing.
#[derive(Debug, Clone)]
pub struct ListParams {
    /// Where to go on.
    pub cursor: Option<Cursor>,
}

/// The parameters of `resources/read`.
#[derive(Debug, Clone)]
pub struct ReadParams<'a> {
    /// The resource.
    pub uri: Cow<'a, str>,
}

/// The parameters of `initialize`.
#[derive(Debug, Clone)]
pub struct InitializeParams<'a> {
    /// The version the client would like.
    pub protocol_version: Cow<'a, str>,
    /// What the client calls itself. Untrusted.
    pub client: Option<ClientName>,
    /// What it can be asked.
    pub abilities: Abilities,
}

/// The parameters of `notifications/cancelled`.
#[derive(Debug, Clone, Copy)]
pub struct Cancelled<'a> {
    /// The request to give up.
    pub request_id: RequestId<'a>,
}

/// What a client calls itself: for people and records, never for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientName(pub String);

impl<'a> Params<'a> {
    pub(crate) fn read(params: Option<&'a RawValue>) -> Result<Self, RpcError> {
        match params {
            None => Ok(Self::default()),
            Some(raw) => object(raw, "`params` must be an object"),
        }
    }

    /// What every request may say about itself.
    pub fn meta(&self) -> Result<RequestMeta<'a>, RpcError> {
        match self.meta {
            None => Ok(RequestMeta::default()),
            Some(raw) => object(raw, "`_meta` must be an object whose protocol fields have their types"),
        }
    }

    /// For `tools/call`.
    pub fn call(&self) -> Result<CallParams<'a>, RpcError> {
        let name = text(self.name, "`name` must be a string")?;
        if self.arguments.is_some_and(|arguments| !arguments.get().starts_with('{')) {
            return Err(RpcError::InvalidParams("`arguments` must be an object".into()));
        }
        Ok(CallParams { name, arguments: self.arguments })
    }

    /// For `prompts/get`: a name and arguments, like a call.
    pub fn prompt(&self) -> Result<CallParams<'a>, RpcError> {
        self.call()
    }

    /// For listings.
    pub fn list(&self) -> Result<ListParams, RpcError> {
        let Some(raw) = self.cursor else { return Ok(ListParams { cursor: None }) };
        let cursor = text(Some(raw), "`cursor` must be a string")?;
        let cursor =
            Cursor::parse(&cursor).ok_or(RpcError::InvalidParams("`cursor` is not one of ours".into()))?;
        Ok(ListParams { cursor: Some(cursor) })
    }

    /// For `resources/read`, `resources/subscribe` and `resources/unsubscribe`.
    pub fn read_resource(&self) -> Result<ReadParams<'a>, RpcError> {
        Ok(ReadParams { uri: text(self.uri, "`uri` must be a string")? })
    }

    /// For `initialize`.
    pub fn initialize(&self) -> Result<InitializeParams<'a>, RpcError> {
        let protocol_version = text(self.protocol_version, "`protocolVersion` must be a string")?;
        let abilities = self.capabilities.map(talk::abilities).unwrap_or_default();
        Ok(InitializeParams {
            protocol_version,
            client: self.client_info.and_then(ClientName::read),
            abilities,
        })
    }

    /// For `notifications/cancelled`.
    pub fn cancelled(&self) -> Result<Cancelled<'a>, RpcError> {
        let raw = self.request_id.ok_or(RpcError::InvalidParams("`requestId` is missing".into()))?;
        RequestId::read(raw)
            .map(|request_id| Cancelled { request_id })
            .map_err(|why| RpcError::InvalidParams(why.into()))
    }

    /// The text that the header `Mcp-Name` must repeat: `name` or `uri`, whichever the method has.
    pub fn header_name(&self, method: &str) -> Result<Option<Cow<'a, str>>, RpcError> {
        match method {
            "tools/call" | "prompts/get" => text(self.name, "`name` must be a string").map(Some),
            "resources/read" => text(self.uri, "`uri` must be a string").map(Some),
            _ => Ok(None),
        }
    }
}

impl<'a> RequestMeta<'a> {
    /// Where progress is to be told, if the client wants it.
    pub fn progress_token(&self) -> Result<Option<ProgressToken<'a>>, RpcError> {
        self.progress_token.map(ProgressToken::read).transpose()
    }

    /// Whether the client said what it can do; every modern request must.
    pub fn declares_capabilities(&self) -> bool {
        self.client_capabilities.is_some_and(|raw| raw.get().starts_with('{'))
    }

    /// What the client calls itself. Untrusted.
    pub fn client(&self) -> Option<ClientName> {
        self.client_info.and_then(ClientName::read)
    }
}

impl ClientName {
    fn read(raw: &RawValue) -> Option<Self> {
        #[derive(Deserialize)]
        struct Implementation<'a> {
            #[serde(borrow)]
            name: Cow<'a, str>,
            #[serde(borrow)]
            version: Option<Cow<'a, str>>,
        }
        let client: Implementation<'_> = object(raw, "").ok()?;
        let version = client.version.as_deref().unwrap_or("?");
        Some(Self(RpcError::piece(&format!("{}/{version}", client.name))))
    }
}

/// Tells a member that is null from one that is not there.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&'a RawValue>::deserialize(deserializer).map(Some)
}

/// Reads an object; a struct would otherwise be read from an array too.
fn object<'a, T: Deserialize<'a>>(raw: &'a RawValue, expected: &'static str) -> Result<T, RpcError> {
    let wrong = || RpcError::InvalidParams(expected.into());
    if !raw.get().starts_with('{') {
        return Err(wrong());
    }
    serde_json::from_str(raw.get()).map_err(|_| wrong())
}

fn text<'a>(raw: Option<&'a RawValue>, expected: &'static str) -> Result<Cow<'a, str>, RpcError> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    raw.and_then(|raw| serde_json::from_str::<Text<'a>>(raw.get()).ok())
        .map(|text| text.0)
        .ok_or(RpcError::InvalidParams(expected.into()))
}

#[cfg(test)]
mod tests;
