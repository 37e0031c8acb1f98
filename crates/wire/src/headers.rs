//! The headers that repeat parts of the body since 2026-07-28, and the codec of their values.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::{Params, RpcError};

/// Names of MCP's headers, in lower case.
pub mod name {
    /// The version a request is written in.
    pub const PROTOCOL_VERSION: &str = "mcp-protocol-version";
    /// The request's method.
    pub const METHOD: &str = "mcp-method";
    /// The tool, prompt or resource.
    pub const NAME: &str = "mcp-name";
    /// The legacy session.
    pub const SESSION_ID: &str = "mcp-session-id";
}

/// What a message's head holds under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<'h> {
    /// Nothing.
    Absent,
    /// One value of visible ASCII.
    One(&'h str),
    /// More than one value.
    Several,
    /// A value that is not visible ASCII.
    NotText,
}

/// The headers that every modern request carries.
#[derive(Debug, Clone, Copy)]
pub struct StandardHeaders<'h> {
    /// `MCP-Protocol-Version`
    pub protocol_version: Field<'h>,
    /// `Mcp-Method`
    pub method: Field<'h>,
    /// `Mcp-Name`
    pub name: Field<'h>,
}

/// For a modern message: its headers must repeat what its body says.
pub fn check_standard_headers(
    headers: &StandardHeaders<'_>,
    method: &str,
    params: &Params<'_>,
) -> Result<(), RpcError> {
    match headers.method.single("Mcp-Method")? {
        None => return Err(RpcError::HeaderMismatch("the header `Mcp-Method` is missing".to_owned())),
        Some(header) if header != method => {
            return Err(RpcError::HeaderMismatch(format!(
                "the header `Mcp-Method` says `{}`, the body says `{}`",
                RpcError::piece(header),
                RpcError::piece(method)
            )));
        }
        Some(_) => {}
    }
    let Some(expected) = params.header_name(method)? else { return Ok(()) };
    let Some(header) = headers.name.single("Mcp-Name")? else {
        return Err(RpcError::HeaderMismatch("the header `Mcp-Name` is missing".to_owned()));
    };
    match decode_header_value(header) {
        None => {
            Err(RpcError::HeaderMismatch("the header `Mcp-Name` is no valid base64 of a text".to_owned()))
        }
        Some(value) if value != expected => Err(RpcError::HeaderMismatch(format!(
            "the header `Mcp-Name` says `{}`, the body says `{}`",
            RpcError::piece(&value),
            RpcError::piece(&expected)
        ))),
        Some(_) => Ok(()),
    }
}

const PREFIX: &str = "=?base64?";
const SUFFIX: &str = "?=";

/// The text that a header value stands for; `None` if it says base64 and is none.
pub fn decode_header_value(value: &str) -> Option<Cow<'_, str>> {
    let Some(inner) = value.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX)) else {
        return Some(Cow::Borrowed(value));
    };
    let bytes = BASE64_STANDARD.decode(inner).ok()?;
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// The header value that stands for a text.
pub fn encode_header_value(text: &str) -> Cow<'_, str> {
    let edges = text.starts_with([' ', '\t']) || text.ends_with([' ', '\t']);
    let hidden = text.bytes().any(|b| !(0x20..=0x7e).contains(&b));
    let sentinel = text.starts_with(PREFIX) && text.ends_with(SUFFIX);
    if edges || hidden || sentinel {
        Cow::Owned(format!("{PREFIX}{}{SUFFIX}", BASE64_STANDARD.encode(text)))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Field, StandardHeaders, check_standard_headers, decode_header_value, encode_header_value};
    use crate::{Era, Message, ScanLimits};

    fn check(method: Field<'_>, name: Field<'_>, body: &str) -> Result<(), i32> {
        let Ok(Message::Request(request)) = Message::parse(body.as_bytes(), ScanLimits::default()) else {
            panic!()
        };
        let headers = StandardHeaders { protocol_version: Field::Absent, method, name };
        check_standard_headers(&headers, &request.method, &request.params().unwrap())
            .map_err(|error| error.code(Era::Modern))
    }

    #[test]
    fn headers_repeat_the_body() {
        use Field::{Absent, NotText, One, Several};
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"caf\u00e9"}}"#;
        let read = r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a:b","name":"c"}}"#;
        let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
        for (method, name, body, expected) in [
            (One("tools/call"), One("=?base64?Y2Fmw6k=?="), call, Ok(())),
            (One("resources/read"), One("a:b"), read, Ok(())),
            (One("resources/read"), One("c"), read, Err(-32020)),
            (One("tools/list"), Absent, list, Ok(())),
            (One("tools/list"), One("ignored"), list, Ok(())),
            (One("tools/call"), One("caf"), call, Err(-32020)),
            (One("tools/call"), One("=?base64?Y2Fm?="), call, Err(-32020)),
            (One("tools/call"), One("=?base64?%%?="), call, Err(-32020)),
            (One("tools/call"), Absent, call, Err(-32020)),
            (One("tools/call"), Several, call, Err(-32020)),
            (One("tools/call"), NotText, call, Err(-32020)),
            (One("tools/list"), One("x"), call, Err(-32020)),
            (One("Tools/Call"), One("x"), call, Err(-32020)),
            (Absent, Absent, list, Err(-32020)),
            (Several, Absent, list, Err(-32020)),
        ] {
            assert_eq!(check(method, name, body), expected, "{method:?} {name:?} {body}");
        }
    }

    #[test]
    fn values_that_need_it_travel_as_base64() {
        for (text, value) in [
            ("plain text", "plain text"),
            ("", ""),
            (" edge", "=?base64?IGVkZ2U=?="),
            ("é", "=?base64?w6k=?="),
            ("=?base64?eA==?=", "=?base64?PT9iYXNlNjQ/ZUE9PT89?="),
        ] {
            assert_eq!(encode_header_value(text), value);
            assert_eq!(decode_header_value(value).as_deref(), Some(text));
        }
        assert_eq!(decode_header_value("=?base64?/w==?="), None);
    }

    proptest! {
        #[test]
        fn every_text_survives_as_visible_ascii(text in any::<String>()) {
            let value = encode_header_value(&text).into_owned();
            prop_assert!(value.bytes().all(|b| (0x20..=0x7e).contains(&b)));
            let decoded = decode_header_value(&value);
            prop_assert_eq!(decoded.as_deref(), Some(text.as_str()));
        }
    }
}
