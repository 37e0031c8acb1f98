//! MCP messages as a client of either era writes them, and what comes back.

use std::fmt;

use serde_json::{Map, Value, json};

/// Which protocol a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// 2026-07-28: no session, every request carries what it needs.
    Modern,
    /// `initialize` first, with this version.
    Legacy(&'static str),
}

impl Era {
    /// Every version the gateway serves.
    pub const ALL: [Self; 4] =
        [Self::Modern, Self::Legacy("2025-11-25"), Self::Legacy("2025-06-18"), Self::Legacy("2025-03-26")];

    /// The version as it stands in messages.
    pub fn version(self) -> &'static str {
        match self {
            Self::Modern => "2026-07-28",
            Self::Legacy(version) => version,
        }
    }
}

/// Why a request has no result.
#[derive(Debug, Clone, PartialEq)]
pub enum McpFailure {
    /// An HTTP status that is no success, with a body that is no JSON-RPC error.
    Http {
        /// The status.
        status: u16,
        /// The body as text.
        body: String,
    },
    /// A JSON-RPC error.
    Rpc {
        /// Its code.
        code: i64,
        /// Its message.
        message: String,
        /// Its data, or null.
        data: Value,
        /// The HTTP status it came with; 0 over stdio.
        status: u16,
    },
    /// The connection or process ended, or said something that is no answer.
    Broken(String),
}

impl fmt::Display for McpFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { status, body } => write!(f, "HTTP status {status}: {body}"),
            Self::Rpc { code, message, data, status } => {
                write!(f, "error {code} (HTTP {status}): {message}: {data}")
            }
            Self::Broken(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for McpFailure {}

impl McpFailure {
    /// The HTTP status, whatever stood in the body.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Http { status, .. } | Self::Rpc { status, .. } => Some(*status),
            Self::Broken(_) => None,
        }
    }
}

/// What a tool answered.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolAnswer(
    /// The whole `result` object.
    pub Value,
);

impl ToolAnswer {
    /// Whether the tool says that it failed.
    pub fn is_error(&self) -> bool {
        self.0["isError"] == true
    }

    /// The text parts, one after the other.
    pub fn text(&self) -> String {
        let parts = self.0["content"].as_array().map_or(&[][..], Vec::as_slice);
        parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n")
    }

    /// The `structuredContent`, or null.
    pub fn structured(&self) -> &Value {
        &self.0["structuredContent"]
    }
}

/// What a client says about itself.
pub(crate) fn client_info() -> Value {
    json!({ "name": "portcullis-testkit", "version": "1" })
}

/// `initialize` parameters of a legacy client.
pub(crate) fn initialize(version: &str) -> Value {
    json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": client_info() })
}

/// A request; a modern one says in `_meta` what a legacy one said in `initialize`.
pub(crate) fn request(era: Era, id: u64, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": with_meta(era, params) })
}

/// A notification.
pub(crate) fn notification(era: Era, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": with_meta(era, params) })
}

/// The result in a JSON-RPC response.
pub(crate) fn result(response: &Value, status: u16) -> Result<Value, McpFailure> {
    if let Some(error) = response.get("error") {
        return Err(McpFailure::Rpc {
            code: error["code"].as_i64().unwrap_or_default(),
            message: error["message"].as_str().unwrap_or_default().to_owned(),
            data: error["data"].clone(),
            status,
        });
    }
    response
        .get("result")
        .cloned()
        .ok_or_else(|| McpFailure::Broken(format!("neither result nor error: {response}")))
}

fn with_meta(era: Era, params: &Value) -> Value {
    let mut params = params.as_object().cloned().unwrap_or_default();
    if era == Era::Modern {
        let meta = params.entry("_meta").or_insert_with(|| Value::Object(Map::new()));
        if let Some(meta) = meta.as_object_mut() {
            meta.insert("io.modelcontextprotocol/protocolVersion".into(), era.version().into());
            // What the caller says that it can do stands.
            meta.entry("io.modelcontextprotocol/clientCapabilities").or_insert_with(|| json!({}));
            meta.insert("io.modelcontextprotocol/clientInfo".into(), client_info());
        }
    }
    Value::Object(params)
}
