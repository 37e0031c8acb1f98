//! The journal: intent before the act, completion before the answer, a chain an outsider can verify.
//!
//! One writes at a time, a thread or a request that has its turn; no request is answered without its record. The format is in
//! `docs/audit-format.md`. Nothing here reads a clock or draws randomness by itself.

mod body;
mod chain;
mod entry;
mod file;
mod heads;
mod journal;
mod keys;
mod log;
mod meter;
mod open_calls;
mod pending;
mod query;
mod queue;
mod reader;
mod recover;
mod seal;
mod settings;
mod sink;
mod sums;
mod text;
mod turns;
mod verify;
mod word;
mod writer;

#[cfg(any(test, feature = "test-util"))]
pub mod test_util;
#[cfg(test)]
mod tests;

pub use entry::{CompletionFacts, Event, Origin};
pub use journal::{BeginError, Journal, JournalError, OpenError};
pub use keys::{KeyError, PublicKey, SealKey, SigningKey};
pub use meter::AuthFailureMeter;
pub use pending::{Intended, Pending, Recorded};
pub use query::{Entry, Filter, ReadError, query, tail};
pub use seal::{RecordCommands, UnsealError, unseal};
pub use settings::{Durability, HeadsConfig, JournalConfig};
pub use sink::{ProtectorLines, SinkConfig, SinkFormat, SinkTarget};
pub use verify::{BadRecord, Damage, VerifyReport, verify};
