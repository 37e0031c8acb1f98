//! Which era a message belongs to. Never guessed: what contradicts itself is refused.

use crate::{Era, Field, ProtocolVersion, RequestMeta, RpcError, StandardHeaders};

const META_MISSING: &str = "`_meta` must hold `io.modelcontextprotocol/protocolVersion` and `io.modelcontextprotocol/clientCapabilities`";

/// For a request over HTTP: its body and its header must tell the same.
///
/// `Ok(None)` is the legacy era without a version header.
pub fn decide_http(
    headers: &StandardHeaders<'_>,
    method: &str,
    meta: &RequestMeta<'_>,
) -> Result<Option<ProtocolVersion>, RpcError> {
    let header = headers.protocol_version.single("MCP-Protocol-Version")?;
    if let Some(version) = meta.protocol_version.as_deref() {
        return match header {
            None => Err(RpcError::HeaderMismatch("the header `MCP-Protocol-Version` is missing".to_owned())),
            Some(header) if header != version => Err(RpcError::HeaderMismatch(format!(
                "the header `MCP-Protocol-Version` says `{}`, the body says `{}`",
                RpcError::piece(header),
                RpcError::piece(version)
            ))),
            Some(_) => modern(version, meta).map(Some),
        };
    }
    let known = match header {
        None => None,
        Some(header) => Some(
            ProtocolVersion::parse(header)
                .ok_or_else(|| RpcError::UnsupportedVersion(RpcError::piece(header)))?,
        ),
    };
    let modern_header = known.is_some_and(|version| version.era() == Era::Modern);
    if modern_header || method == "server/discover" {
        return Err(RpcError::InvalidMeta(META_MISSING));
    }
    Ok(known)
}

/// For a request on a stream (stdio, the agent socket), where there are no headers.
pub fn decide_stream(method: &str, meta: &RequestMeta<'_>) -> Result<Era, RpcError> {
    match meta.protocol_version.as_deref() {
        Some(version) => modern(version, meta).map(ProtocolVersion::era),
        None if method == "server/discover" => Err(RpcError::InvalidMeta(META_MISSING)),
        None => Ok(Era::Legacy),
    }
}

fn modern(version: &str, meta: &RequestMeta<'_>) -> Result<ProtocolVersion, RpcError> {
    let Some(known) = ProtocolVersion::parse(version).filter(|version| version.era() == Era::Modern) else {
        return Err(RpcError::UnsupportedVersion(RpcError::piece(version)));
    };
    if !meta.declares_capabilities() {
        return Err(RpcError::InvalidMeta(META_MISSING));
    }
    Ok(known)
}

impl<'h> Field<'h> {
    /// The one value, if there is one; several, or one that is no text, contradict themselves.
    pub(crate) fn single(self, name: &str) -> Result<Option<&'h str>, RpcError> {
        match self {
            Self::Absent => Ok(None),
            Self::One(value) => Ok(Some(value)),
            Self::Several => {
                Err(RpcError::HeaderMismatch(format!("the header `{name}` is there more than once")))
            }
            Self::NotText => Err(RpcError::HeaderMismatch(format!("the header `{name}` is not plain text"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{decide_http, decide_stream};
    use crate::{Era, Field, ProtocolVersion, RpcError, StandardHeaders};
    use crate::{Message, RequestMeta, ScanLimits};

    fn with_meta<T>(meta: &str, run: impl FnOnce(&RequestMeta<'_>) -> T) -> T {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"_meta":{meta}}}}}"#);
        let Ok(Message::Request(request)) = Message::parse(text.as_bytes(), ScanLimits::default()) else {
            panic!()
        };
        run(&request.params().unwrap().meta().unwrap())
    }

    fn http(header: Field<'_>, method: &str, meta: &str) -> Result<Option<ProtocolVersion>, i32> {
        let headers =
            StandardHeaders { protocol_version: header, method: Field::Absent, name: Field::Absent };
        with_meta(meta, |meta| decide_http(&headers, method, meta)).map_err(|error| error.code(Era::Modern))
    }

    const MODERN: &str = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    const NO_CAPABILITIES: &str = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
    const UNKNOWN: &str = r#"{"io.modelcontextprotocol/protocolVersion":"1999-01-01","io.modelcontextprotocol/clientCapabilities":{}}"#;
    const LEGACY: &str = r#"{"io.modelcontextprotocol/protocolVersion":"2025-11-25","io.modelcontextprotocol/clientCapabilities":{}}"#;

    #[test]
    fn header_and_body_decide_together() {
        use Field::{Absent, NotText, One, Several};
        let modern = Ok(Some(ProtocolVersion::V2026_07_28));
        for (header, method, meta, expected) in [
            (One("2026-07-28"), "tools/list", MODERN, modern),
            (One("2026-07-28"), "server/discover", MODERN, modern),
            (Absent, "tools/list", MODERN, Err(-32020)),
            (One("2025-11-25"), "tools/list", MODERN, Err(-32020)),
            (One("2026-07-28 "), "tools/list", MODERN, Err(-32020)),
            (Several, "tools/list", MODERN, Err(-32020)),
            (Several, "tools/list", "{}", Err(-32020)),
            (NotText, "tools/list", MODERN, Err(-32020)),
            (One("2026-07-28"), "tools/list", "{}", Err(-32602)),
            (One("2026-07-28"), "initialize", "{}", Err(-32602)),
            (One("2026-07-28"), "tools/list", NO_CAPABILITIES, Err(-32602)),
            (Absent, "server/discover", "{}", Err(-32602)),
            (One("1999-01-01"), "tools/list", UNKNOWN, Err(-32022)),
            (One("2025-11-25"), "tools/list", LEGACY, Err(-32022)),
            (One("1999-01-01"), "tools/list", "{}", Err(-32022)),
            (Absent, "initialize", "{}", Ok(None)),
            (Absent, "tools/list", "{}", Ok(None)),
            (One("2025-06-18"), "tools/list", "{}", Ok(Some(ProtocolVersion::V2025_06_18))),
        ] {
            assert_eq!(http(header, method, meta), expected, "{header:?} {method} {meta}");
        }
    }

    #[test]
    fn on_a_stream_the_body_decides() {
        let decide = |method: &str, meta: &str| {
            with_meta(meta, |meta| decide_stream(method, meta))
                .map_err(|error: RpcError| error.code(Era::Modern))
        };
        assert_eq!(decide("tools/list", MODERN), Ok(Era::Modern));
        assert_eq!(decide("tools/list", "{}"), Ok(Era::Legacy));
        assert_eq!(decide("initialize", "{}"), Ok(Era::Legacy));
        assert_eq!(decide("server/discover", "{}"), Err(-32602));
        assert_eq!(decide("tools/list", UNKNOWN), Err(-32022));
        assert_eq!(decide("tools/list", NO_CAPABILITIES), Err(-32602));
    }
}
