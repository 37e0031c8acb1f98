//! What a call would do, typed, before anybody has said yes to it.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::ids::write_hex;
use crate::{
    CommandLine, CredentialRef, End, Forward, HandleToken, LexicalPath, Limits, Redirection, Said,
    SimpleCommand, Target, ToolName, ToolSet, WriteMode,
};

/// How much a tool can do, as its author classed it. Rules name it as `tier:read`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Changes nothing.
    Read,
    /// Changes little, and only on the gateway.
    LowAccess,
    /// Can change a target.
    Dangerous,
    /// Can change a target as its administrator.
    Sudo,
}

impl Tier {
    /// The word used in rules, listings and audit entries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::LowAccess => "low-access",
            Self::Dangerous => "dangerous",
            Self::Sudo => "sudo",
        }
    }
}

/// The typed operation that a tool call stands for, with every part of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// The tool, by its one name (aliases are resolved before).
    pub tool: ToolName,
    /// The set the tool is in.
    pub set: ToolSet,
    /// The tool's tier.
    pub tier: Tier,
    /// What it acts on.
    pub target: Target,
    /// Every part that needs its own yes; never empty.
    pub parts: Vec<SubAction>,
    /// The line the parts came from, for tools that run commands.
    pub command: Option<CommandLine>,
    /// Which credential the call uses.
    pub credential: CredentialUse,
    /// Limits the caller asked for; they can only be stricter than policy's.
    pub limits: Limits,
    /// The checked arguments as the agent gave them, for the digest and the record.
    pub arguments: Value,
    /// For calls on upstreams: what is sent there. Their `arguments` are in it, and in the part.
    pub forward: Option<Forward>,
}

/// One part of an action; each must be permitted by some rule.
#[derive(Debug, Clone, PartialEq)]
pub enum SubAction {
    /// The act as a whole, for tools whose caller writes no command, path or credential.
    Whole,
    /// A call of an upstream's tool, with its arguments.
    Upstream(Arc<Map<String, Value>>),
    /// One simple command.
    Command(SimpleCommand),
    /// A file that a redirection of a command opens.
    File {
        /// What for.
        access: FileAccess,
        /// Which file, by its text alone.
        path: LexicalPath,
    },
    /// The right to use a credential on one target.
    Credential {
        /// Which credential.
        credential: CredentialRef,
        /// Where it could be used.
        target: Target,
    },
}

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileAccess {
    /// Its content goes into a command.
    Read,
    /// A command's output goes into it.
    Write,
}

impl FileAccess {
    /// The word used in conditions and digests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// Which credential a call uses on its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialUse {
    /// None: the act stays on the gateway.
    None,
    /// The one that the inventory names for the target.
    Inventory,
    /// The one that this handle stands for.
    Handle(HandleToken),
}

/// SHA-256 of an action: what a permit, an approval and an intent are bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ActionDigest(pub [u8; 32]);

impl std::fmt::Display for ActionDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write_hex(f, &self.0, &mut [0; 64])
    }
}

impl Action {
    /// The digest over tool, target, every part, the credential's name and the arguments.
    ///
    /// Written as JSON with sorted keys, so equal actions have equal digests.
    pub fn digest(&self) -> ActionDigest {
        let mut text = Vec::with_capacity(512);
        // Members in the order of their names.
        text.extend_from_slice(b"{\"address\":");
        write_plain(&mut text, &self.target.address);
        text.extend_from_slice(b",\"arguments\":");
        write_sorted(&mut text, &self.arguments);
        text.extend_from_slice(b",\"credential\":");
        match &self.credential {
            CredentialUse::None => write_plain(&mut text, "none"),
            CredentialUse::Inventory => write_plain(&mut text, "inventory"),
            CredentialUse::Handle(token) => write_handle(&mut text, token),
        }
        // The text itself: numbers that our own reading would round are told apart.
        if let Some(forward) = &self.forward {
            text.extend_from_slice(b",\"forward\":");
            write_plain(&mut text, &*forward.act);
        }
        text.extend_from_slice(b",\"joints\":");
        write_plain(&mut text, &self.command.as_ref().map(joints));
        text.extend_from_slice(b",\"kind\":");
        write_plain(&mut text, self.target.kind.as_str());
        text.extend_from_slice(b",\"parts\":");
        write_list(&mut text, self.parts.iter(), |text, part| match part {
            SubAction::Whole => write_plain(text, "whole"),
            SubAction::Upstream(_) => write_plain(text, "upstream"),
            SubAction::Command(_) | SubAction::File { .. } | SubAction::Credential { .. } => {
                write_sorted(text, &part.describe());
            }
        });
        if let Some(resumed) = self.forward.as_ref().and_then(|forward| forward.resumed.as_ref()) {
            let said = resumed.answers.iter().map(|(name, said)| match said {
                Said::Answer(json) => (name, "answer", &**json),
                Said::Refusal(json) => (name, "refusal", &**json),
            });
            text.extend_from_slice(b",\"resumed\":");
            write_plain(&mut text, &said.collect::<Vec<_>>());
        }
        text.extend_from_slice(b",\"target\":");
        write_plain(&mut text, self.target.name.as_str());
        text.extend_from_slice(b",\"tool\":");
        write_plain(&mut text, self.tool.as_str());
        text.push(b'}');
        ActionDigest(Sha256::digest(&text).into())
    }
}

impl SubAction {
    fn describe(&self) -> Value {
        match self {
            Self::Whole => json!("whole"),
            Self::Upstream(_) => json!("upstream"),
            Self::Command(command) if command.redirections.is_empty() => json!({ "command": command.words }),
            Self::Command(command) => {
                let redirections: Vec<String> = command.redirections.iter().map(redirection).collect();
                json!({ "command": command.words, "redirections": redirections })
            }
            Self::File { access, path } => json!({ (access.as_str()): path.as_str() }),
            Self::Credential { credential, target } => {
                json!({ "credential": credential.to_string(), "target": target.name.as_str() })
            }
        }
    }
}

/// The descriptor, the operator and the other end.
fn redirection(Redirection { descriptor, end }: &Redirection) -> String {
    match end {
        End::Read(path) => format!("{descriptor}<{path}"),
        End::Write(path, WriteMode::Truncate) => format!("{descriptor}>{path}"),
        End::Write(path, WriteMode::Append) => format!("{descriptor}>>{path}"),
        End::Write(path, WriteMode::Clobber) => format!("{descriptor}>|{path}"),
        End::Join(with) => format!("{descriptor}>&{with}"),
    }
}

fn joints(line: &CommandLine) -> Vec<String> {
    let lengths =
        std::iter::once(line.first.commands.len()).chain(line.rest.iter().map(|(_, p)| p.commands.len()));
    let kinds = line.rest.iter().map(|(joint, _)| format!("{joint:?}"));
    lengths.map(|n| n.to_string()).chain(kinds).collect()
}

/// JSON with sorted keys (`serde_json` keeps the caller's order when any crate of the build asks it to), and with
/// handles by their ids: they are rights, and their text must not be in anything that is hashed into a record.
fn write_sorted(text: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Object(map) => {
            let mut members: Vec<(&str, &Value)> =
                map.iter().map(|(key, item)| (key.as_str(), item)).collect();
            members.sort_unstable_by_key(|(key, _)| *key);
            text.push(b'{');
            for (at, (key, item)) in members.into_iter().enumerate() {
                if at > 0 {
                    text.push(b',');
                }
                write_plain(text, key);
                text.push(b':');
                write_sorted(text, item);
            }
            text.push(b'}');
        }
        Value::Array(items) => write_list(text, items.iter(), write_sorted),
        Value::String(string) => match HandleToken::parse(string) {
            Some(token) => write_handle(text, &token),
            None => write_plain(text, value),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => write_plain(text, value),
    }
}

fn write_list<T>(text: &mut Vec<u8>, items: impl Iterator<Item = T>, write: impl Fn(&mut Vec<u8>, T)) {
    text.push(b'[');
    for (at, item) in items.enumerate() {
        if at > 0 {
            text.push(b',');
        }
        write(text, item);
    }
    text.push(b']');
}

fn write_handle(text: &mut Vec<u8>, token: &HandleToken) {
    text.extend_from_slice(b"{\"handle_id\":");
    write_plain(text, token.id().as_str());
    text.push(b'}');
}

/// Appends one value as `serde_json` writes it.
fn write_plain(text: &mut Vec<u8>, value: &(impl serde::Serialize + ?Sized)) {
    // Texts and numbers always can be written, and memory takes them.
    let _ = serde_json::to_writer(text, value);
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::write_sorted;

    #[test]
    fn the_order_of_arguments_is_no_part_of_a_digest() {
        let backwards: Map<String, Value> = [("b", json!([{ "z": 1, "a": 2 }])), ("a", json!(1))]
            .map(|(k, v)| (k.to_owned(), v))
            .into_iter()
            .collect();
        let mut text = Vec::new();
        write_sorted(&mut text, &Value::Object(backwards));
        assert_eq!(text, br#"{"a":1,"b":[{"a":2,"z":1}]}"#);
    }
}
