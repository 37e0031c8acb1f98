//! The lines of the control socket.

use std::fmt;

use model::{Answer, ErrorCode, Failure, Secret};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

/// What an operator asks of the owner of the state.
#[derive(Debug)]
pub struct ControlRequest {
    /// What to do.
    pub act: Act,
    /// The arguments, checked against the verb's or tool's schema later.
    pub arguments: Map<String, Value>,
    /// As which principal, if not as the operator's own; needs `operator:impersonate`.
    pub as_principal: Option<String>,
    /// Stop after the decision (tools only).
    pub dry_run: bool,
    /// A secret value for the verb; never among the arguments, which are recorded.
    pub secret: Option<Enclosure>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// An operator's verb, without its prefix `operator:`.
    Verb(String),
    /// A tool, as an agent would call it.
    Tool(String),
    /// The tools a principal may know of.
    ListTools,
    /// To speak MCP on this connection from here on.
    Attach,
}

/// A secret value on its way between the command line and a verb; wiped when dropped, and it never prints itself.
pub struct Enclosure(String);

/// What the operator is told, and the exit code that says it to a script.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The answer in both forms.
    pub answer: Answer,
    /// 0 done, 1 configuration wrong, 2 failed, 3 denied, 4 approval needed.
    pub exit: u8,
}

impl ControlRequest {
    /// A request for a verb.
    pub fn verb(verb: &str, arguments: Map<String, Value>) -> Self {
        Self::new(Act::Verb(verb.to_owned()), arguments)
    }

    /// A request for anything.
    pub fn new(act: Act, arguments: Map<String, Value>) -> Self {
        Self { act, arguments, as_principal: None, dry_run: false, secret: None }
    }

    /// Reads a line; the text is wiped, because it can hold a secret. A failure says what is wrong without quoting it.
    pub(super) fn read(line: Zeroizing<Vec<u8>>) -> Result<Self, Failure> {
        let raw: RawRequest = serde_json::from_slice(&line).map_err(|error| {
            // The error of `serde_json` may quote a value; its place and class do not.
            wrong(format!(
                "the request is not what is expected ({:?} error in column {})",
                error.classify(),
                error.column()
            ))
        })?;
        let secret = raw.secret.map(Enclosure);
        let act = match (raw.verb, raw.tool, raw.list.as_deref(), raw.attach.as_deref()) {
            (Some(verb), None, None, None) => Act::Verb(verb),
            (None, Some(tool), None, None) => Act::Tool(tool),
            (None, None, Some("tools"), None) => Act::ListTools,
            (None, None, None, Some("mcp")) => Act::Attach,
            _ => {
                return Err(wrong(
                    "a request has exactly one of `verb`, `tool`, `list` and `attach`".to_owned(),
                ));
            }
        };
        if raw.dry_run && !matches!(act, Act::Tool(_)) {
            return Err(wrong("only a tool has a dry run".to_owned()));
        }
        Ok(Self {
            act,
            arguments: raw.arguments,
            as_principal: raw.as_principal,
            dry_run: raw.dry_run,
            secret,
        })
    }

    /// The line, with its line feed.
    pub(super) fn write(&self) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
        let (verb, tool, list, attach) = match &self.act {
            Act::Verb(verb) => (Some(verb.as_str()), None, None, None),
            Act::Tool(tool) => (None, Some(tool.as_str()), None, None),
            Act::ListTools => (None, None, Some("tools"), None),
            Act::Attach => (None, None, None, Some("mcp")),
        };
        let secret = self.secret.as_ref().map(|secret| secret.0.as_str());
        // Enough that growing does not leave copies of the secret behind.
        let mut line = Zeroizing::new(Vec::with_capacity(1024 + 6 * secret.map_or(0, str::len)));
        let as_principal = self.as_principal.as_deref();
        let raw = RawRequestRef {
            verb,
            tool,
            list,
            attach,
            arguments: &self.arguments,
            as_principal,
            dry_run: self.dry_run,
            secret,
        };
        serde_json::to_writer(&mut *line, &raw)?;
        line.push(b'\n');
        Ok(line)
    }
}

impl Enclosure {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// As secret material, which only the places that use it can open.
    pub fn into_secret(mut self) -> Secret<String> {
        Secret::new(std::mem::take(&mut self.0))
    }
}

impl fmt::Debug for Enclosure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Enclosure(..)")
    }
}

impl Drop for Enclosure {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Reply {
    /// The reply that carries this answer.
    pub fn new(answer: Answer) -> Self {
        let code = answer.structured.get("code").and_then(Value::as_str).unwrap_or_default();
        let exit = match code {
            _ if !answer.is_error => 0,
            "config.invalid" => 1,
            _ if code.starts_with("denied.") || code == ErrorCode::AuthFailed.as_str() => 3,
            _ if code.starts_with("approval.") => 4,
            _ => 2,
        };
        Self { answer, exit }
    }

    /// The reply to what did not get as far as an answer.
    pub fn failed(failure: &Failure) -> Self {
        Self::new(tools::failed(failure))
    }

    pub(super) fn read(line: &[u8]) -> Result<Self, serde_json::Error> {
        let raw: RawReply = serde_json::from_slice(line)?;
        let RawAnswer { text, structured, is_error } = raw.answer;
        Ok(Self { answer: Answer { text, structured, is_error, ..Answer::default() }, exit: raw.exit })
    }

    pub(super) fn write(&self) -> Result<Vec<u8>, serde_json::Error> {
        let Answer { text, structured, is_error, .. } = self.answer.clone();
        let raw = RawReply { answer: RawAnswer { text, structured, is_error }, exit: self.exit };
        let mut line = serde_json::to_vec(&raw)?;
        line.push(b'\n');
        Ok(line)
    }
}

fn wrong(message: String) -> Failure {
    Failure::new(ErrorCode::InputInvalid, message)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRequest {
    verb: Option<String>,
    tool: Option<String>,
    list: Option<String>,
    attach: Option<String>,
    #[serde(default)]
    arguments: Map<String, Value>,
    #[serde(rename = "as")]
    as_principal: Option<String>,
    #[serde(default)]
    dry_run: bool,
    secret: Option<String>,
}

#[derive(Serialize)]
struct RawRequestRef<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    verb: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attach: Option<&'a str>,
    arguments: &'a Map<String, Value>,
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    as_principal: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

#[derive(Serialize, Deserialize)]
struct RawReply {
    answer: RawAnswer,
    exit: u8,
}

#[derive(Serialize, Deserialize)]
struct RawAnswer {
    text: String,
    structured: Value,
    is_error: bool,
}
