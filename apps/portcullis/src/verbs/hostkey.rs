//! `operator:hostkey-list|trust|revoke|ca`: the known hosts files. What a host showed is compared by a person, on the command
//! line; here it is only written down.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use connector_ssh::{Entry, KnownHosts, KnownHostsError};
use model::{ErrorCode, Failure, Fault};
use serde_json::{Map, Value, json};
use tools::{Field, Kind, Tool, ToolRun};

use super::VerbParts;
use super::verb::{Act, Named, Verb, blocking, required, text, values, wrong};

struct List(VerbParts);
struct Trust(VerbParts);
struct Revoke(VerbParts);
struct Authority(VerbParts);

pub(super) fn verbs(parts: &VerbParts) -> [Arc<dyn Tool>; 4] {
    let named = |name, title, description, fields| Named { name, title, description, fields };
    let line = vec![Field::required("line", Kind::Text(16 * 1024), "A line as known hosts files have them.")];
    let hosts = |text| Field::required("hosts", Kind::Text(1024), text);
    let only = vec![Field::optional("only", Kind::Text(16), "`cert-authority`: nothing but authorities.")];
    let revoked = vec![
        Field::required("fingerprint", Kind::Text(64), "`SHA256:...` of a known key or authority."),
        Field::optional(
            "hosts",
            Kind::Text(1024),
            "For which hosts, as patterns; for every host if missing.",
        ),
    ];
    let authority = vec![
        hosts("For which hosts it may vouch, as patterns."),
        Field::required("key", Kind::Text(16 * 1024), "Its public key, as OpenSSH writes it."),
    ];
    [
        Verb::tool(
            named(
                "operator:hostkey-list",
                "List host keys",
                "Lists the known host keys with their files and lines.",
                only,
            ),
            List(parts.clone()),
        ),
        Verb::tool(
            named(
                "operator:hostkey-trust",
                "Trust a host key",
                "Adds a host key to the first known hosts file.",
                line,
            ),
            Trust(parts.clone()),
        ),
        Verb::tool(
            named(
                "operator:hostkey-revoke",
                "Revoke a host key",
                "Refuses a known key from now on.",
                revoked,
            ),
            Revoke(parts.clone()),
        ),
        Verb::tool(
            named(
                "operator:hostkey-ca",
                "Trust an authority",
                "Takes the host certificates that a key has signed, by a line in the first known hosts file.",
                authority,
            ),
            Authority(parts.clone()),
        ),
    ]
}

#[async_trait]
impl Act for List {
    async fn act(
        &self,
        arguments: &Map<String, Value>,
        _run: ToolRun<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        let files = files(&self.0);
        let authorities = match text(arguments, "only") {
            None => false,
            Some("cert-authority") => true,
            Some(_) => return Err(wrong("`only` is `cert-authority` or not there")),
        };
        blocking(move || {
            let known = KnownHosts::load(&files).map_err(|error| failed(&error))?;
            let listed = known.list().iter().filter(|entry| !authorities || entry.is_authority());
            let keys: Vec<Value> = listed.map(described).collect();
            let missing: Vec<String> =
                known.missing().iter().map(|file| file.display().to_string()).collect();
            Ok(values([
                ("keys", json!(keys)),
                ("missing_files", json!(missing)),
                ("skipped_lines", json!(known.skipped())),
            ]))
        })
        .await
    }

    fn text(&self, values: &Map<String, Value>) -> String {
        let keys = values.get("keys").and_then(Value::as_array).into_iter().flatten();
        let field =
            |key: &Value, name: &str| key.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let lines: Vec<String> = keys
            .map(|key| {
                let marker = match key.get("marker").and_then(Value::as_str) {
                    Some(marker) => format!("@{marker} "),
                    None => String::new(),
                };
                let (host, algorithm) = (field(key, "host"), field(key, "algorithm"));
                format!("{marker}{host} {algorithm} {}", field(key, "fingerprint"))
            })
            .collect();
        if lines.is_empty() { "no known host keys".to_owned() } else { lines.join("\n") }
    }
}

#[async_trait]
impl Act for Trust {
    async fn act(
        &self,
        arguments: &Map<String, Value>,
        _run: ToolRun<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        let line = required(arguments, "line")?.to_owned();
        if line.trim_start().starts_with(['@', '#']) {
            return Err(wrong("a trusted key has no marker: the line begins with the host"));
        }
        let file = first(&self.0)?;
        blocking(move || {
            KnownHosts::append(&file, &line).map_err(|error| failed(&error))?;
            let host = line.split_whitespace().next().unwrap_or_default();
            Ok(values([("host", json!(host)), ("file", json!(file.display().to_string()))]))
        })
        .await
    }

    fn text(&self, values: &Map<String, Value>) -> String {
        let field = |name: &str| values.get(name).and_then(Value::as_str).unwrap_or_default();
        format!("the key of {} is known from now on ({})", field("host"), field("file"))
    }
}

#[async_trait]
impl Act for Revoke {
    async fn act(
        &self,
        arguments: &Map<String, Value>,
        _run: ToolRun<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        let fingerprint = required(arguments, "fingerprint")?.to_owned();
        let hosts = text(arguments, "hosts").unwrap_or("*").to_owned();
        let (files, file) = (files(&self.0), first(&self.0)?);
        blocking(move || {
            let known = KnownHosts::load(&files).map_err(|error| failed(&error))?;
            let usable = |entry: &&Entry| !entry.revokes() && entry.fingerprint() == fingerprint;
            let entry = known.list().iter().find(usable).ok_or_else(|| {
                wrong(format!("no known key has the fingerprint `{fingerprint}`"))
                    .with_hint("`portcullis hostkey list` shows those there are")
            })?;
            KnownHosts::revoke(&file, entry, &hosts).map_err(|error| failed(&error))?;
            Ok(values([
                ("fingerprint", json!(fingerprint)),
                ("hosts", json!(hosts)),
                ("file", json!(file.display().to_string())),
            ]))
        })
        .await
    }

    fn text(&self, values: &Map<String, Value>) -> String {
        let field = |name: &str| values.get(name).and_then(Value::as_str).unwrap_or_default();
        let hosts = match field("hosts") {
            "*" => "every host".to_owned(),
            hosts => format!("`{hosts}`"),
        };
        format!("{} is refused from now on for {hosts} ({})", field("fingerprint"), field("file"))
    }
}

#[async_trait]
impl Act for Authority {
    async fn act(
        &self,
        arguments: &Map<String, Value>,
        _run: ToolRun<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        let hosts = required(arguments, "hosts")?.to_owned();
        let authority = KnownHosts::authority_line(&hosts, required(arguments, "key")?).map_err(wrong)?;
        let file = first(&self.0)?;
        blocking(move || {
            KnownHosts::append(&file, &authority.line).map_err(|error| failed(&error))?;
            Ok(values([
                ("hosts", json!(hosts)),
                ("algorithm", json!(authority.algorithm)),
                ("fingerprint", json!(authority.fingerprint)),
                ("file", json!(file.display().to_string())),
            ]))
        })
        .await
    }

    fn text(&self, values: &Map<String, Value>) -> String {
        let field = |name: &str| values.get(name).and_then(Value::as_str).unwrap_or_default();
        let (hosts, key, file) = (field("hosts"), field("fingerprint"), field("file"));
        format!("certificates that {key} has signed count for `{hosts}` from now on ({file})")
    }
}

fn files(parts: &VerbParts) -> Vec<PathBuf> {
    parts.in_force.load().loaded.configuration.known_hosts.clone()
}

/// The one we write to; the others may be the system's.
fn first(parts: &VerbParts) -> Result<PathBuf, Failure> {
    files(parts).into_iter().next().ok_or_else(|| wrong("no known hosts file is configured"))
}

fn failed(error: &KnownHostsError) -> Failure {
    Failure::new(ErrorCode::TargetHostkeyUnknown, error.to_string()).with_fault(Fault::Us)
}

fn described(entry: &Entry) -> Value {
    let marker = match (entry.revokes(), entry.is_authority()) {
        (true, _) => Some("revoked"),
        (_, true) => Some("cert-authority"),
        (false, false) => None,
    };
    json!({
        "host": entry.hosts(),
        "algorithm": entry.algorithm(),
        "fingerprint": entry.fingerprint(),
        "marker": marker,
        "place": entry.place(),
    })
}
