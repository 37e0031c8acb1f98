//! The words every other crate speaks: ids, principals, targets, actions, outcomes, secrets, faults.
//!
//! Small, pure and slow to change. No runtime, no file system, and no clock: time and randomness are
//! the traits [`Clock`] and [`Entropy`], which the application implements once.

mod action;
mod answer;
mod command;
mod content;
mod credential;
mod failure;
mod handle;
mod ids;
mod inventory;
mod limits;
mod notice;
mod outcome;
mod path;
mod principal;
mod question;
mod secret;
mod target;
mod time;
mod upstream;

pub use action::{Action, ActionDigest, CredentialUse, FileAccess, SubAction, Tier};
pub use answer::Answer;
pub use command::{CommandLine, End, Joint, Pipeline, Redirection, SimpleCommand, WriteMode};
pub use content::{Content, Media, ResourceBody, ResourceContent};
pub use credential::{CredentialPattern, CredentialRef, CredentialSpec, MalformedCredential, SecretLocation};
pub use failure::{ErrorCode, Failure, Fault};
pub use handle::{HandleId, HandleToken};
pub use ids::{
    CallId, GroupName, MalformedName, PrincipalId, RuleName, SnapshotHash, TargetName, ToolName, ToolSet,
};
pub use inventory::{Host, Inventory, MOST_JUMPS, Platform, Resolve, Shell, WrongWay};
pub use limits::Limits;
pub use notice::LogLevel;
pub use outcome::{Exit, Outcome, Stream};
pub use path::{LexicalPath, NotLexical};
pub use principal::Principal;
pub use question::{
    Abilities, Ability, Asked, ClientInput, NeedsInput, Parked, Question, Said, TheirQuestion, Turn, Void,
};
pub use secret::{LiteralSecret, Secret};
pub use target::{Target, TargetKind, is_host_name};
pub use time::{BootInstant, Clock, Entropy, NoEntropy, Timestamp};
pub use upstream::{Forward, Reply, ReplyKind, Resumed, Theirs, Thing, UpstreamName};
