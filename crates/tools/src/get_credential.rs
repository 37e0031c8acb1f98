//! `get_credential`: a handle for the right to use a credential, never the credential.

use std::borrow::Cow;

use async_trait::async_trait;
use broker::IssueRequest;
use model::{
    Action, Answer, CredentialRef, CredentialUse, ErrorCode, Failure, Host, Limits, Outcome, SubAction,
    Target, Tier, ToolName,
};
use serde_json::{Map, Value, json};

use crate::arguments::{Listing, required, text};
use crate::{Field, Kind, Scene, Schema, Tool, ToolRun, ToolSpec};

/// The tool.
pub(crate) struct GetCredential {
    spec: ToolSpec,
}

impl GetCredential {
    pub(crate) fn new() -> Self {
        Self {
            spec: Listing {
                name: "get_credential",
                set: "credentials",
                tier: Tier::LowAccess,
                title: "Get a credential",
                description: "Returns an opaque, short-lived handle that stands for a credential, with its user name and address. Pass the handle to ssh_execute; the secret itself is never shown.",
                event: "credential_fetched",
                input: Schema::new(vec![
                    Field::required("safe", Kind::Text(256), "The safe that holds the credential."),
                    Field::required("object_name", Kind::Text(256), "The credential's name in the safe."),
                    Field::optional("target", Kind::Text(253), "The one host you will use it on."),
                    Field::optional("reason", Kind::Text(512), "Why you need it; sources record it."),
                    Field::optional("source", Kind::Text(64), "The credential source, if several could answer."),
                ]),
                output: json!({
                    "type": "object",
                    "properties": {
                        "handle": { "type": "string" },
                        "username": { "type": ["string", "null"] },
                        "address": { "type": ["string", "null"] },
                        "targets": { "type": "array", "items": { "type": "string" } },
                        "ttl_seconds": { "type": "integer" },
                        "expires": { "type": "string" },
                    },
                    "required": ["handle", "targets", "ttl_seconds", "expires"],
                }),
            }
            .spec(),
        }
    }
}

#[async_trait]
impl Tool for GetCredential {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn resolve(&self, arguments: &Map<String, Value>, scene: Scene<'_>) -> Result<Action, Failure> {
        let narrowed = text(arguments, "target").map(|target| scene.host(target)).transpose()?;
        let credential = named_credential(arguments, scene, narrowed.as_deref())?;
        // A host outside of the inventory is never among the targets unless it is named.
        let targets: Vec<&Host> = match &narrowed {
            Some(only) => vec![only],
            None => scene.inventory.hosts().collect(),
        };
        let parts: Vec<SubAction> = targets
            .into_iter()
            // A denial names the parts that failed: none of them may be what the principal does not know of.
            .filter(|host| host.admits(&credential) && (scene.sees)(&host.target()))
            .map(|host| SubAction::Credential { credential: credential.clone(), target: host.target() })
            .collect();
        if parts.is_empty() {
            return Err(not_for_you(&credential));
        }
        Ok(Action {
            tool: self.spec.name.clone(),
            set: self.spec.set.clone(),
            tier: self.spec.tier,
            target: Target::gateway(),
            parts,
            command: None,
            credential: CredentialUse::None,
            limits: Limits::default(),
            arguments: Value::Object(arguments.clone()),
            forward: None,
        })
    }

    async fn run(&self, run: ToolRun<'_>) -> Result<Outcome, Failure> {
        let action = run.lease.action();
        let mut targets = Vec::new();
        let mut wanted = None;
        for part in &action.parts {
            if let SubAction::Credential { credential, target } = part {
                wanted = Some(credential.clone());
                targets.extend(run.inventory.reached(target).map(Cow::into_owned));
            }
        }
        let credential =
            wanted.ok_or_else(|| Failure::new(ErrorCode::Internal, "the call lost its credential"))?;
        let reason = action.arguments.get("reason").and_then(Value::as_str).map(str::to_owned);
        let tools = vec![host_tool()?];
        let issued = run.desk.issue(run.lease, IssueRequest { credential, targets, tools, reason }).await?;
        let targets: Vec<&str> = issued.targets.iter().map(|target| target.as_str()).collect();
        let values = json!({
            "handle": issued.token.reveal(),
            "username": issued.username,
            "address": issued.address,
            "targets": targets,
            "ttl_seconds": issued.ttl_seconds,
            "expires": issued.expires.to_string(),
        });
        Ok(Outcome { values: values.as_object().cloned().unwrap_or_default(), ..Outcome::default() })
    }

    fn render(&self, _action: &Action, outcome: Outcome) -> Answer {
        let field = |name: &str| outcome.values.get(name).and_then(Value::as_str).unwrap_or("unknown");
        let text = format!(
            "Handle: {}\nUsername: {}\nAddress: {}",
            field("handle"),
            field("username"),
            field("address")
        );
        Answer { text, structured: Value::Object(outcome.values), is_error: false, ..Answer::default() }
    }
}

/// The tools of the SSH connector that take a handle.
fn host_tool() -> Result<ToolName, Failure> {
    ToolName::parse("ssh_execute").map_err(|wrong| Failure::new(ErrorCode::Internal, wrong.to_string()))
}

fn named_credential(
    arguments: &Map<String, Value>,
    scene: Scene<'_>,
    only: Option<&Host>,
) -> Result<CredentialRef, Failure> {
    let (safe, object) = (required(arguments, "safe")?, required(arguments, "object_name")?);
    let named = |source: &str| {
        CredentialRef::new(source, safe, object)
            .map_err(|wrong| Failure::new(ErrorCode::InputInvalid, wrong.to_string()))
    };
    if let Some(source) = text(arguments, "source") {
        let credential = named(source)?;
        return if scene.sources.iter().any(|known| known == source) {
            Ok(credential)
        } else {
            Err(not_for_you(&credential))
        };
    }
    let mut could_answer = Vec::new();
    for source in scene.sources {
        let credential = named(source)?;
        let admits = |host: &Host| host.admits(&credential) && (scene.sees)(&host.target());
        if only.filter(|host| !host.declared).is_some_and(admits) || scene.inventory.hosts().any(admits) {
            could_answer.push(credential);
        }
    }
    match could_answer.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(not_for_you(&named(scene.sources.first().map_or("none", String::as_str))?)),
        [..] => Err(Failure::new(ErrorCode::InputInvalid, "several credential sources could answer")
            .with_hint("name one as `source`")),
    }
}

/// One answer for "does not exist", "admitted nowhere" and "not for you".
fn not_for_you(credential: &CredentialRef) -> Failure {
    Failure::new(
        ErrorCode::DeniedNoRule,
        format!("no rule lets you use `{}/{}` on any target", credential.safe(), credential.object()),
    )
    .with_hint("the inventory must admit the credential on a host, and a rule must allow `get_credential` for it there")
}
