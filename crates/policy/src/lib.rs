//! Rules, the facts about commands, and the decision. Pure: no runtime, no clock, no files.
//!
//! Read in this order: [`Rule`] (what is written), [`Snapshot`] (what is compiled), `authorise.rs` (how it
//! decides), [`command`] (what a shell line is), `decision.rs` (what comes out).

mod authorise;
mod cases;
mod cedar;
mod compile;
mod decision;
mod explain;
mod files;
mod index;
mod lint;
mod listed;
mod path;
mod problem;
mod rule;
mod show;
mod snapshot;
mod vocabulary;
mod within;

pub mod command;
pub mod quantity;

pub use cases::{CaseFacts, CaseOutcome, Expected, RawCase, RawCases, run_cases};
pub use decision::{
    Allowed, ApprovalProof, ApprovalRequirement, Denial, Fences, NetworkFence, Obligations, Permit, Proofs,
    Undischarged,
};
pub use files::CedarFile;
pub use lint::LintCode;
pub use problem::{LintWarning, Place, RuleProblem};
pub use rule::{RawApproval, RawLimits, RawNetworks, RawRule, RawRules, Rule};
pub use snapshot::{Moment, Snapshot};
pub use vocabulary::{ToolFacts, Vocabulary};
