//! The control socket: how operators' verbs reach the one owner of the state.
//!
//! One JSON object a line in each direction. A request names a verb, a tool or a list:
//! `{"verb": "reload", "arguments": {...}}`, `{"tool": "ssh_execute", "arguments": {...}, "as": "agent", "dry_run": true}`,
//! `{"list": "tools", "as": "agent"}`; the answer is `{"answer": {"text", "structured", "is_error"}, "exit": 0}`.
//! `{"attach": "mcp", "as": "agent"}` makes the connection one that speaks MCP: `stdio` of the gateway's own user.
//! What it asks for takes the same pipeline as any agent's call: the socket gives nobody a right, it only tells which local
//! user is asking.

mod client;
mod request;
mod server;
mod tray;
mod users;
mod verbs;

#[cfg(test)]
mod tests;

pub use client::{ControlClient, ControlError};
pub use request::{Act, ControlRequest, Enclosure, Reply};
pub use server::ControlServer;
pub use tray::{SLIP, Tray};
pub use users::user_name;
pub use verbs::{Attach, Identity, Operators, Verbs};

use std::path::{Path, PathBuf};

/// Where the control socket of a state folder is.
pub fn socket_path(state: &Path) -> PathBuf {
    state.join("control.sock")
}
