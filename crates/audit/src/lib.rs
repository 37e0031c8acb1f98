//! The journal: intent before the act, completion before the answer, a chain an outsider can verify.

mod entry;
mod journal;
mod meter;

pub use entry::{CompletionFacts, Event, Origin};
pub use meter::AuthFailureMeter;
pub use journal::{BeginError, Durability, Intended, Journal, JournalError, Pending, Recorded};
