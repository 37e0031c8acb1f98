//! `ssh_execute`: the canonical way to run one command on a host.

use std::time::Duration;

use async_trait::async_trait;
use model::{Action, Answer, CredentialUse, ErrorCode, Exit, Failure, Limits, Outcome, Shell, Tier};
use serde_json::{Map, Value, json};

use crate::arguments::{Listing, handle, required, text};
use crate::{Field, HostRun, Kind, Scene, Schema, Tool, ToolRun, ToolSpec};

/// The tool.
pub(crate) struct SshExecute {
    spec: ToolSpec,
}

impl SshExecute {
    pub(crate) fn new() -> Self {
        Self {
            spec: Listing {
                name: "ssh_execute",
                set: "exec",
                tier: Tier::Dangerous,
                title: "Run a command on a host",
                description: "Runs one command line on a host over SSH and returns its output and exit status. Simple commands joined by |, &&, || and ;, with redirections to absolute paths, are understood; anything else is refused.",
                event: "ssh_executed",
                input: Schema::new(vec![
                    Field::required("host", Kind::Text(253), "Alias or exact address of a host."),
                    Field::required("command", Kind::Text(32_768), "The command line."),
                    Field::optional(
                        "secret_handle",
                        Kind::Text(256),
                        "A handle from get_credential; without one the host's own credential is used.",
                    ),
                    Field::optional("timeout", Kind::Integer(1, 3600), "Seconds the command may take."),
                ]),
                output: output_schema(),
            }
            .spec(),
        }
    }
}

#[async_trait]
impl Tool for SshExecute {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn resolve(&self, arguments: &Map<String, Value>, scene: Scene<'_>) -> Result<Action, Failure> {
        let host = scene.host(required(arguments, "host")?)?;
        let credential = match text(arguments, "secret_handle") {
            Some(token) => CredentialUse::Handle(handle(token)?),
            None => CredentialUse::Inventory,
        };
        if host.shell != Shell::Posix {
            return Err(Failure::new(
                ErrorCode::TargetShell,
                format!("commands for the shell of `{}` are not understood", host.name),
            )
            .with_hint("only hosts with `shell = \"posix\"` take commands"));
        }
        let line = policy::command::parse(required(arguments, "command")?).map_err(|refused| {
            let hint = refused.hint.unwrap_or_else(|| {
                "use simple commands joined by `|`, `&&`, `||` or `;`, with literal words".to_owned()
            });
            Failure::new(ErrorCode::DeniedCommand, format!("{} in `{}`", refused.reason, refused.part))
                .with_hint(&hint)
        })?;
        let timeout = arguments.get("timeout").and_then(Value::as_u64).map(Duration::from_secs);
        Ok(Action {
            tool: self.spec.name.clone(),
            set: self.spec.set.clone(),
            tier: self.spec.tier,
            target: host.target(),
            parts: line.parts().collect(),
            command: Some(line),
            credential,
            limits: Limits { timeout, ..Limits::default() },
            arguments: Value::Object(arguments.clone()),
            forward: None,
        })
    }

    async fn run(&self, run: ToolRun<'_>) -> Result<Outcome, Failure> {
        let host = run.host.ok_or_else(|| Failure::new(ErrorCode::Internal, "the call lost its host"))?;
        let ToolRun { lease, hops, timeout, output, cancel, progress, sub_events, .. } = run;
        run.shell.exec(HostRun { lease, host, hops, timeout, output, cancel, progress, sub_events }).await
    }

    fn render(&self, action: &Action, outcome: Outcome) -> Answer {
        let command = action.arguments.get("command").and_then(Value::as_str).unwrap_or_default();
        let (status, signal) = match &outcome.exit {
            Some(Exit::Status(status)) => (Some(*status), None),
            Some(Exit::Signal(signal)) => (None, Some(signal.as_str())),
            Some(Exit::Unknown) | None => (None, None),
        };
        let ended = match (status, signal) {
            (Some(status), _) => status.to_string(),
            (None, Some(signal)) => format!("none (ended by signal {signal})"),
            (None, None) => "none (the host did not tell)".to_owned(),
        };
        let (stdout, stderr) = (stream(&outcome, "stdout"), stream(&outcome, "stderr"));
        let mut text = format!(
            "Host: {}\nCommand: {command}\nExit code: {ended}\n\n--- stdout ---\n{stdout}",
            action.target.name
        );
        if !stderr.is_empty() {
            if !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&format!("\n--- stderr ---\n{stderr}"));
        }
        let structured = json!({
            "host": action.target.name.as_str(),
            "command": command,
            "exit_code": status,
            "signal": signal,
            "stdout": stdout,
            "stderr": stderr,
            "truncated": outcome.streams.iter().any(|s| s.total > u64::try_from(s.bytes.len()).unwrap_or(u64::MAX)),
        });
        Answer { text, structured, is_error: false, ..Answer::default() }
    }
}

fn stream(outcome: &Outcome, name: &str) -> String {
    let bytes =
        outcome.streams.iter().find(|stream| stream.name == name).map(|stream| stream.bytes.as_slice());
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

fn output_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "host": { "type": "string" },
            "command": { "type": "string" },
            "exit_code": { "type": ["integer", "null"] },
            "signal": { "type": ["string", "null"] },
            "stdout": { "type": "string" },
            "stderr": { "type": "string" },
            "truncated": { "type": "boolean" },
        },
        "required": ["host", "command", "exit_code", "stdout", "stderr", "truncated"],
    })
}
