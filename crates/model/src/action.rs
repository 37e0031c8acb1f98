//! What a call would do, typed, before anybody has said yes to it.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{CommandLine, CredentialRef, HandleToken, Limits, SimpleCommand, Target, ToolName, ToolSet};

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
}

/// One part of an action; each must be permitted by some rule.
#[derive(Debug, Clone, PartialEq)]
pub enum SubAction {
    /// The act as a whole, for tools whose caller writes no command, path or credential.
    Whole,
    /// One simple command.
    Command(SimpleCommand),
    /// The right to use a credential on one target.
    Credential {
        /// Which credential.
        credential: CredentialRef,
        /// Where it could be used.
        target: Target,
    },
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
        f.write_str(&hex::encode(self.0))
    }
}

impl Action {
    /// The digest over tool, target, every part, the credential's name and the arguments.
    ///
    /// Written as JSON with sorted keys, so equal actions have equal digests.
    pub fn digest(&self) -> ActionDigest {
        let credential = match &self.credential {
            CredentialUse::None => json!("none"),
            CredentialUse::Inventory => json!("inventory"),
            CredentialUse::Handle(token) => json!({ "handle_id": token.id().as_str() }),
        };
        let parts: Vec<Value> = self.parts.iter().map(SubAction::describe).collect();
        let whole = json!({
            "tool": self.tool.as_str(),
            "target": self.target.name.as_str(),
            "kind": self.target.kind.as_str(),
            "address": self.target.address,
            "parts": parts,
            "joints": self.command.as_ref().map(joints),
            "credential": credential,
            "arguments": arguments_without_handles(&self.arguments),
        });
        ActionDigest(Sha256::digest(sorted(whole).to_string().as_bytes()).into())
    }
}

impl SubAction {
    fn describe(&self) -> Value {
        match self {
            Self::Whole => json!("whole"),
            Self::Command(command) => json!({ "command": command.words }),
            Self::Credential { credential, target } => {
                json!({ "credential": credential.to_string(), "target": target.name.as_str() })
            }
        }
    }
}

fn joints(line: &CommandLine) -> Vec<String> {
    let lengths =
        std::iter::once(line.first.commands.len()).chain(line.rest.iter().map(|(_, p)| p.commands.len()));
    let kinds = line.rest.iter().map(|(joint, _)| format!("{joint:?}"));
    lengths.map(|n| n.to_string()).chain(kinds).collect()
}

/// `serde_json` keeps the caller's order of keys when any crate of the build asks it to.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        Value::Object(map) => {
            let ordered: std::collections::BTreeMap<_, _> = map.into_iter().collect();
            Value::Object(ordered.into_iter().map(|(key, item)| (key, sorted(item))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// Handles are rights: their text must not be in anything that is hashed into a record or compared in one.
fn arguments_without_handles(arguments: &Value) -> Value {
    match arguments {
        Value::String(text) => match HandleToken::parse(text) {
            Some(token) => json!({ "handle_id": token.id().as_str() }),
            None => arguments.clone(),
        },
        Value::Array(items) => items.iter().map(arguments_without_handles).collect(),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(k, v)| (k.clone(), arguments_without_handles(v))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => arguments.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::sorted;

    #[test]
    fn the_order_of_arguments_is_no_part_of_a_digest() {
        let backwards: Map<String, Value> = [("b", json!([{ "z": 1, "a": 2 }])), ("a", json!(1))]
            .map(|(k, v)| (k.to_owned(), v))
            .into_iter()
            .collect();
        assert_eq!(sorted(Value::Object(backwards)).to_string(), r#"{"a":1,"b":[{"a":2,"z":1}]}"#);
    }
}
