//! What a message costs before anybody knows who sent it.

use anyhow::ensure;
use wire::{Message, ScanLimits};

use crate::act::Once;

/// As clients of 2026-07-28 send it.
const CALL: &str = r#"{"jsonrpc":"2.0","id":"7f3a","method":"tools/call","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1.0"},"io.modelcontextprotocol/clientCapabilities":{"elicitation":{"form":{}}},"progressToken":12},"name":"ssh_execute","arguments":{"host":"web1","command":"journalctl --no-pager -n 50 -u nginx.service | grep -c error","timeout":30}}}"#;

/// A call is checked, read, and its tool known.
pub(crate) fn call() -> anyhow::Result<Once> {
    let twice = CALL.replacen("\"id\":\"7f3a\"", "\"id\":\"7f3a\",\"id\":1", 1);
    ensure!(Message::parse(twice.as_bytes(), ScanLimits::default()).is_err(), "a doubled key is read");
    Ok(Box::new(|| {
        let bytes = std::hint::black_box(CALL.as_bytes());
        let Ok(Message::Request(request)) = Message::parse(bytes, ScanLimits::default()) else {
            return false;
        };
        let called = request.params().and_then(|params| {
            let version = params.meta()?.protocol_version.is_some_and(|version| version == "2026-07-28");
            let call = params.call()?;
            Ok(version && call.name == "ssh_execute" && call.arguments.is_some())
        });
        request.method == "tools/call" && called.unwrap_or(false)
    }))
}
