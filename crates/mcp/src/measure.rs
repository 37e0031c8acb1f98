//! What is counted. Labels have few values, none of them chosen by a client.

use std::sync::OnceLock;

use metrics::{Counter, counter, gauge};

use crate::reply::Outcome;

/// Looks a counter up once: what every request counts must not cost a look into the registry each time. The application
/// installs its recorder before it starts a front.
macro_rules! kept {
    ($name:literal $(, $key:literal => $value:expr)*) => {{
        static KEPT: OnceLock<Counter> = OnceLock::new();
        KEPT.get_or_init(|| counter!($name $(, $key => $value)*))
    }};
}

/// A request was answered.
pub(crate) fn request(transport: &'static str, outcome: Outcome) {
    let outcome = match outcome {
        Outcome::Done if transport == "http" => {
            return kept!("portcullis_mcp_requests_total", "transport" => "http", "outcome" => "done")
                .increment(1);
        }
        Outcome::Done => "done",
        Outcome::ToolError => "tool_error",
        Outcome::ProtocolError => "protocol_error",
    };
    counter!("portcullis_mcp_requests_total", "transport" => transport, "outcome" => outcome).increment(1);
}

/// Somebody could not authenticate.
pub(crate) fn unauthenticated(transport: &'static str) {
    counter!("portcullis_auth_failures_total", "transport" => transport).increment(1);
}

/// A request was turned away before it was a message.
pub(crate) fn refused(status: &'static str) {
    counter!("portcullis_http_refused_total", "status" => status).increment(1);
}

/// Bytes of a request's body.
pub(crate) fn bytes_in(bytes: usize) {
    kept!("portcullis_http_body_bytes_total", "direction" => "in").increment(bytes as u64);
}

/// Bytes of an answer's body.
pub(crate) fn bytes_out(bytes: usize) {
    kept!("portcullis_http_body_bytes_total", "direction" => "out").increment(bytes as u64);
}

/// A connection was turned away.
pub(crate) fn connection_refused(cause: &'static str) {
    counter!("portcullis_connections_refused_total", "cause" => cause).increment(1);
}

/// One open connection; counted down when dropped.
pub(crate) struct Connected(&'static str);

impl Connected {
    pub(crate) fn new(listener: &'static str) -> Self {
        gauge!("portcullis_connections", "listener" => listener).increment(1.0);
        Self(listener)
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        gauge!("portcullis_connections", "listener" => self.0).decrement(1.0);
    }
}

/// How many legacy sessions there are.
#[expect(clippy::cast_precision_loss, reason = "there are a few thousand at most")]
pub(crate) fn sessions(count: usize) {
    gauge!("portcullis_sessions").set(count as f64);
}

/// A legacy session ended.
pub(crate) fn session_ended(cause: &'static str) {
    counter!("portcullis_sessions_ended_total", "cause" => cause).increment(1);
}
