//! Protocol errors: a closed set, so that none can carry what a target said.

use std::borrow::Cow;

use serde::Serialize;

use crate::{Era, Malformed, ProtocolVersion, RequestId};

/// The numbers of JSON-RPC and MCP.
pub mod code {
    /// Not JSON.
    pub const PARSE: i32 = -32700;
    /// JSON, but no message.
    pub const INVALID_REQUEST: i32 = -32600;
    /// No such method.
    pub const METHOD_NOT_FOUND: i32 = -32601;
    /// Wrong parameters; since 2026-07-28 also "no such resource".
    pub const INVALID_PARAMS: i32 = -32602;
    /// A defect, or a record that could not be written.
    pub const INTERNAL: i32 = -32603;
    /// No such resource, up to 2025-11-25.
    pub const RESOURCE_NOT_FOUND: i32 = -32002;
    /// A header is missing or says something else than the body.
    pub const HEADER_MISMATCH: i32 = -32020;
    /// The client did not declare a capability that the request needs.
    pub const MISSING_CLIENT_CAPABILITY: i32 = -32021;
    /// The request names a version that is not spoken.
    pub const UNSUPPORTED_VERSION: i32 = -32022;
}

/// The HTTP status that goes with an error of an upstream.
pub fn status_of(code: i64, era: Era) -> u16 {
    let is = |known: i32| code == i64::from(known);
    match era {
        Era::Legacy => 200,
        Era::Modern if is(code::METHOD_NOT_FOUND) => 404,
        Era::Modern
            if is(code::HEADER_MISMATCH)
                || is(code::MISSING_CLIENT_CAPABILITY)
                || is(code::UNSUPPORTED_VERSION) =>
        {
            400
        }
        Era::Modern => 200,
    }
}

/// Why a message is answered with an error instead of a result. Texts hold nothing but our own words and
/// short pieces of the message itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RpcError {
    /// The bytes were no message.
    Malformed(Malformed),
    /// JSON, but no request that JSON-RPC knows.
    InvalidRequest(&'static str),
    /// No such method in this era.
    MethodNotFound(String),
    /// A tool that is not in the allowlist of the one upstream there is: number and words of `mcp-protector`.
    NotAllowed(String),
    /// A parameter is missing or wrong.
    InvalidParams(Cow<'static, str>),
    /// The request lacks the fields every modern request must carry: an invalid parameter, and HTTP 400.
    InvalidMeta(&'static str),
    /// No tool of this name is visible to this principal.
    UnknownTool(String),
    /// No resource of this address is visible to this principal.
    UnknownResource(String),
    /// A header is missing, doubled, unreadable, or says something else than the body.
    HeaderMismatch(String),
    /// The client did not declare this capability.
    MissingClientCapability(&'static str),
    /// The request names a version that is not spoken without a handshake.
    UnsupportedVersion(String),
    /// The gateway could not answer; the operator's log says why.
    Internal,
    /// This client has as many requests under way as it may have.
    Busy,
    /// This principal is over its rate, and what it asks for has no result that could say so.
    OverRate,
    /// The client was asked, and did not answer.
    Unanswered,
    /// The gateway is ending.
    ShuttingDown,
    /// The gateway ended while it had the request.
    Lost,
}

/// Machine-readable detail of an error.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorData<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    supported: Option<&'a [&'a str]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requested: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    required_capabilities: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<&'a str>,
}

impl RpcError {
    /// The number for this era.
    pub fn code(&self, era: Era) -> i32 {
        match self {
            Self::Malformed(malformed) => match malformed {
                Malformed::NotUtf8 | Malformed::ByteOrderMark | Malformed::Syntax { .. } => code::PARSE,
                Malformed::LoneSurrogate { .. }
                | Malformed::Number { .. }
                | Malformed::Depth { .. }
                | Malformed::DuplicateKey { .. }
                | Malformed::CaseVariant { .. }
                | Malformed::Batch => code::INVALID_REQUEST,
            },
            Self::InvalidRequest(_) | Self::Unanswered => code::INVALID_REQUEST,
            Self::MethodNotFound(_) | Self::NotAllowed(_) => code::METHOD_NOT_FOUND,
            Self::InvalidParams(_) | Self::InvalidMeta(_) | Self::UnknownTool(_) => code::INVALID_PARAMS,
            Self::UnknownResource(_) => match era {
                Era::Legacy => code::RESOURCE_NOT_FOUND,
                Era::Modern => code::INVALID_PARAMS,
            },
            Self::HeaderMismatch(_) => code::HEADER_MISMATCH,
            Self::MissingClientCapability(_) => code::MISSING_CLIENT_CAPABILITY,
            Self::UnsupportedVersion(_) => code::UNSUPPORTED_VERSION,
            Self::Internal | Self::Busy | Self::OverRate | Self::ShuttingDown | Self::Lost => code::INTERNAL,
        }
    }

    /// The HTTP status that goes with it: only what makes the whole request void is no 200.
    pub fn http_status(&self, era: Era) -> u16 {
        match self {
            Self::Malformed(_)
            | Self::InvalidRequest(_)
            | Self::InvalidMeta(_)
            | Self::HeaderMismatch(_)
            | Self::MissingClientCapability(_)
            | Self::UnsupportedVersion(_) => 400,
            Self::MethodNotFound(_) => match era {
                Era::Legacy => 200,
                Era::Modern => 404,
            },
            Self::Busy => 429,
            Self::ShuttingDown | Self::Lost => 503,
            // The method is there: that it is not would be another thing to tell a client.
            Self::NotAllowed(_)
            | Self::InvalidParams(_)
            | Self::UnknownTool(_)
            | Self::UnknownResource(_)
            | Self::Internal
            | Self::Unanswered
            | Self::OverRate => 200,
        }
    }

    /// A bounded piece of the client's own text, for the variants that name it.
    pub fn piece(text: &str) -> String {
        text.chars().take(128).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
    }

    fn message(&self) -> Cow<'_, str> {
        match self {
            Self::Malformed(malformed) => malformed.to_string().into(),
            Self::InvalidRequest(what) | Self::InvalidMeta(what) => (*what).into(),
            Self::InvalidParams(what) => what.as_ref().into(),
            Self::MethodNotFound(method) => format!("no such method: `{method}`").into(),
            Self::NotAllowed(name) => format!("tool '{name}' is not in the allowed list").into(),
            Self::UnknownTool(name) => format!("no such tool: `{name}`").into(),
            Self::UnknownResource(uri) => format!("no such resource: `{uri}`").into(),
            Self::HeaderMismatch(what) => what.as_str().into(),
            Self::MissingClientCapability(name) => {
                format!("the client must declare the capability `{name}`").into()
            }
            Self::UnsupportedVersion(version) => {
                format!("protocol version `{version}` is not supported").into()
            }
            Self::Internal => "the request could not be answered".into(),
            Self::Busy => "too many requests are under way on this connection".into(),
            Self::OverRate => {
                "denied.rate: too many requests in a minute; wait some seconds and ask again".into()
            }
            Self::Unanswered => {
                "input.unanswered: the call had to ask its client, which did not answer in time".into()
            }
            Self::ShuttingDown => "the gateway is shutting down".into(),
            Self::Lost => "the gateway ended while it had this request; whether it was carried out is not known, so look before it is sent again".into(),
        }
    }

    fn data(&self) -> Option<ErrorData<'_>> {
        let none = ErrorData { supported: None, requested: None, required_capabilities: None, uri: None };
        match self {
            Self::UnsupportedVersion(version) => Some(ErrorData {
                supported: Some(ProtocolVersion::ALL_TEXTS),
                requested: Some(version),
                ..none
            }),
            Self::MissingClientCapability(name) => {
                let empty = serde_json::Value::Object(serde_json::Map::new());
                let capabilities = [((*name).to_owned(), empty)].into_iter().collect();
                Some(ErrorData { required_capabilities: Some(capabilities), ..none })
            }
            Self::UnknownResource(uri) => Some(ErrorData { uri: Some(uri), ..none }),
            Self::Malformed(_)
            | Self::InvalidRequest(_)
            | Self::MethodNotFound(_)
            | Self::NotAllowed(_)
            | Self::InvalidParams(_)
            | Self::InvalidMeta(_)
            | Self::UnknownTool(_)
            | Self::HeaderMismatch(_)
            | Self::Internal
            | Self::Busy
            | Self::OverRate
            | Self::Unanswered
            | Self::ShuttingDown
            | Self::Lost => None,
        }
    }
}

/// Writes the error message for a request; without an id when none could be read.
pub fn error_message(id: Option<RequestId<'_>>, error: &RpcError, era: Era) -> Vec<u8> {
    #[derive(Serialize)]
    struct Body<'a> {
        code: i32,
        message: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<ErrorData<'a>>,
    }
    #[derive(Serialize)]
    struct Message<'a> {
        jsonrpc: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<RequestId<'a>>,
        error: Body<'a>,
    }
    let error = Body { code: error.code(era), message: error.message(), data: error.data() };
    // Strings, numbers and maps with string keys cannot fail to be written to memory.
    serde_json::to_vec(&Message { jsonrpc: "2.0", id, error }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{RpcError, error_message};
    use crate::{Era, Malformed, Message, ScanLimits};

    fn written(error: &RpcError, era: Era) -> String {
        String::from_utf8(error_message(None, error, era)).unwrap()
    }

    #[test]
    fn errors_are_written_with_their_data() {
        assert_eq!(
            written(&RpcError::UnsupportedVersion("1999-01-01".into()), Era::Modern),
            r#"{"jsonrpc":"2.0","error":{"code":-32022,"message":"protocol version `1999-01-01` is not supported","data":{"supported":["2026-07-28","2025-11-25","2025-06-18","2025-03-26"],"requested":"1999-01-01"}}}"#
        );
        assert_eq!(
            written(&RpcError::MissingClientCapability("elicitation"), Era::Modern),
            r#"{"jsonrpc":"2.0","error":{"code":-32021,"message":"the client must declare the capability `elicitation`","data":{"requiredCapabilities":{"elicitation":{}}}}}"#
        );
        assert_eq!(
            written(&RpcError::Malformed(Malformed::Batch), Era::Legacy),
            r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"batches are not accepted"}}"#
        );
    }

    #[test]
    fn the_id_goes_out_as_it_came_in() {
        for id in ["1", "-9007199254740993", "\"\\u00e9 x\"", "18446744073709551615"] {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"x"}}"#);
            let Ok(Message::Request(request)) = Message::parse(text.as_bytes(), ScanLimits::default()) else {
                panic!("{id}")
            };
            let out = error_message(Some(request.id), &RpcError::Internal, Era::Legacy);
            assert!(
                String::from_utf8(out)
                    .unwrap()
                    .starts_with(&format!(r#"{{"jsonrpc":"2.0","id":{id},"error""#))
            );
        }
    }

    #[test]
    fn statuses_and_codes_depend_on_the_era_where_the_versions_differ() {
        let unknown = RpcError::MethodNotFound("x".into());
        assert_eq!((unknown.http_status(Era::Legacy), unknown.http_status(Era::Modern)), (200, 404));
        let resource = RpcError::UnknownResource("x".into());
        assert_eq!((resource.code(Era::Legacy), resource.code(Era::Modern)), (-32002, -32602));
        assert_eq!(RpcError::HeaderMismatch(String::new()).http_status(Era::Modern), 400);
    }

    #[test]
    fn pieces_of_the_client_are_bounded_and_harmless() {
        let piece = RpcError::piece(&format!("a\n\u{1b}[{}", "x".repeat(1000)));
        assert_eq!(piece.chars().count(), 128);
        assert!(!piece.contains(char::is_control));
    }
}
