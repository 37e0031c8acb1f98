//! Rules, the facts about commands, and the decision. Pure: no runtime, no clock, no files.

mod decision;
mod snapshot;

pub mod command;

pub use decision::{
    Allowed, ApprovalProof, ApprovalRequirement, Denial, Fences, NetworkFence, Obligations, Permit, Proofs,
    Undischarged,
};
pub use snapshot::{Moment, Snapshot, ToolFacts};
