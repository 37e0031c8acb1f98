//! `operator:target-list|show|test`: the declared targets.

use std::sync::Arc;

use async_trait::async_trait;
use model::{
    CredentialSpec, CredentialUse, ErrorCode, Failure, Host, Platform, Resolve, SecretLocation, Shell,
    Target, TargetName,
};
use serde_json::{Map, Value, json};
use tools::{Field, HostRun, Kind, Scene, Tool, ToolRun};

use super::verb::{Act, Named, Verb, required, values};

struct List;
struct Show;
struct Test;

pub(super) fn verbs() -> [Arc<dyn Tool>; 3] {
    let name = || vec![Field::required("name", Kind::Text(128), "The target's alias.")];
    [
        Verb::tool(
            Named {
                name: "operator:target-list",
                title: "List targets",
                description: "Lists the declared targets.",
                fields: Vec::new(),
            },
            List,
        ),
        Verb::tool(
            Named {
                name: "operator:target-show",
                title: "Show a target",
                description: "Shows what is declared about a target, never a secret.",
                fields: name(),
            },
            Show,
        ),
        Verb::tool(
            Named {
                name: "operator:target-test",
                title: "Test a target",
                description: "Dials a target, checks its host key and logs in with its own credential. No command is run.",
                fields: name(),
            },
            Test,
        ),
    ]
}

#[async_trait]
impl Act for List {
    async fn act(
        &self,
        _arguments: &Map<String, Value>,
        run: ToolRun<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        let targets: Vec<Value> = run.inventory.hosts().map(described).collect();
        Ok(values([("targets", json!(targets))]))
    }

    fn text(&self, values: &Map<String, Value>) -> String {
        let targets = values.get("targets").and_then(Value::as_array).into_iter().flatten();
        let names: Vec<&str> =
            targets.filter_map(|target| target.get("name").and_then(Value::as_str)).collect();
        if names.is_empty() { "no targets".to_owned() } else { names.join("\n") }
    }
}

#[async_trait]
impl Act for Show {
    async fn act(
        &self,
        arguments: &Map<String, Value>,
        run: ToolRun<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        let name = required(arguments, "name")?;
        let host = TargetName::parse(name)
            .ok()
            .and_then(|name| run.inventory.host(&name))
            .ok_or_else(|| unknown(name))?;
        Ok(described(host).as_object().cloned().unwrap_or_default())
    }

    fn text(&self, values: &Map<String, Value>) -> String {
        labelled(values)
    }
}

#[async_trait]
impl Act for Test {
    fn target(
        &self,
        arguments: &Map<String, Value>,
        scene: Scene<'_>,
    ) -> Result<(Target, CredentialUse), Failure> {
        let name = required(arguments, "name")?;
        let host = TargetName::parse(name)
            .ok()
            .and_then(|name| scene.inventory.host(&name))
            .ok_or_else(|| unknown(name))?;
        Ok((host.target(), CredentialUse::Inventory))
    }

    async fn act(
        &self,
        arguments: &Map<String, Value>,
        run: ToolRun<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        let host = run.host.ok_or_else(|| unknown(text(arguments)))?;
        let login = HostRun {
            lease: run.lease,
            host,
            hops: run.hops,
            timeout: run.timeout,
            output: run.output,
            cancel: run.cancel,
            progress: run.progress,
            sub_events: run.sub_events,
        };
        let mut found = values([("name", json!(host.name.as_str())), ("login", json!("ok"))]);
        found.extend(run.shell.login(login).await?.values);
        Ok(found)
    }

    /// The way to it, host by host, then the target.
    fn text(&self, values: &Map<String, Value>) -> String {
        let mut target = values.clone();
        let hops = target.remove("hops");
        let hops = hops.as_ref().and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object);
        let mut parts: Vec<String> = hops.map(|hop| format!("Through {}", one_line(hop))).collect();
        parts.push(labelled(&target));
        parts.join("\n")
    }
}

/// A jump host that let us in.
fn one_line(hop: &Map<String, Value>) -> String {
    let told = |name: &str| hop.get(name).and_then(Value::as_str).unwrap_or_default();
    let doubts = hop.get("doubts").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let doubts: String = doubts.map(|doubt| format!("\n  {doubt}")).collect();
    format!(
        "{}: {}@{} port {}, host key {} {}, server {}{doubts}",
        told("name"),
        told("user"),
        told("address"),
        told("port"),
        told("host_key_algorithm"),
        told("host_key"),
        told("server")
    )
}

fn text(arguments: &Map<String, Value>) -> &str {
    arguments.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn unknown(name: &str) -> Failure {
    let shown: String = name.chars().take(80).collect();
    Failure::new(ErrorCode::TargetUnknown, format!("there is no target `{shown}`"))
        .with_hint("`portcullis target list` shows those there are")
}

fn described(host: &Host) -> Value {
    let credentials: Vec<String> = host.credentials.iter().map(ToString::to_string).collect();
    json!({
        "name": host.name.as_str(),
        "kind": "host",
        "address": host.address,
        "port": host.port,
        "user": host.user,
        "tags": host.tags,
        "platform": match host.platform {
            Platform::Linux => "linux",
            Platform::Windows => "windows",
            Platform::Macos => "macos",
            Platform::Bsd => "bsd",
        },
        "shell": match host.shell {
            Shell::Posix => "posix",
            Shell::PowerShell => "powershell",
            Shell::None => "none",
        },
        "credential": host.credential.as_ref().map(credential),
        "credentials": credentials,
        "jump": host.jump.iter().map(TargetName::as_str).collect::<Vec<_>>(),
        "resolve": match host.resolve {
            Resolve::Gateway => "gateway",
            Resolve::Bastion => "bastion",
        },
        "notes": host.notes,
    })
}

/// Where a credential comes from, without it.
fn credential(spec: &CredentialSpec) -> String {
    match spec {
        CredentialSpec::Stored(reference) => reference.to_string(),
        CredentialSpec::Agent { fingerprint } => format!("SSH agent, key {fingerprint}"),
        CredentialSpec::Key { path, passphrase: None } => format!("key file {}", path.display()),
        CredentialSpec::Key { path, passphrase: Some(_) } => {
            format!("key file {}, with a passphrase", path.display())
        }
        CredentialSpec::Password(SecretLocation::Env(name)) => format!("password in variable {name}"),
        CredentialSpec::Password(SecretLocation::File(path)) => {
            format!("password in file {}", path.display())
        }
        CredentialSpec::Password(SecretLocation::Stored(reference)) => format!("password {reference}"),
        CredentialSpec::Password(SecretLocation::Literal(_)) => "password in the inventory".to_owned(),
    }
}

fn labelled(values: &Map<String, Value>) -> String {
    let shown = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) if items.is_empty() => None,
        Value::Array(items) => Some(items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => Some(value.to_string()),
    };
    let lines: Vec<String> = values
        .iter()
        .filter_map(|(name, value)| Some(format!("{}: {}", heading(name), shown(value)?)))
        .collect();
    lines.join("\n")
}

fn heading(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).map(|letter| if letter == '_' { ' ' } else { letter }).collect()
}
