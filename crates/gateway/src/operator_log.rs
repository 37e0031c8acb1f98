//! What a failure tells the operator and nobody else.

use guard::Scanner;
use model::{CallId, Failure};

/// Logs a failure's internal text, unless it holds a leased secret: a hostile host can put one into any message.
pub(crate) fn failure(id: CallId, scanner: &Scanner, failure: &Failure) {
    let Some(internal) = failure.internal() else { return };
    let code = failure.code().as_str();
    if scanner.finds(internal.as_bytes()) {
        tracing::warn!(call = %id, code, "a failure's details are withheld: they hold the credential in use");
    } else {
        let details: String = internal.chars().take(2000).flat_map(char::escape_default).collect();
        tracing::warn!(call = %id, code, %details, "a call failed");
    }
}
