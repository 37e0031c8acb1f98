//! `operator:secret-set|list|rm|rotate-master|test`: the embedded keystore, and a look at any source.

use std::sync::Arc;

use async_trait::async_trait;
use config::SourceKind;
use gateway::control::SLIP;
use model::{CredentialRef, ErrorCode, Failure, Fault};
use serde_json::{Map, Value, json};
use sources::{Entry, Keystore, KeystoreError, Listed, MasterKeyLocation, Strength, Surroundings};
use tools::{Field, Kind, Tool, ToolRun};

use super::VerbParts;
use super::verb::{Act, Named, Verb, blocking, required, text, values, wrong};

struct Set(VerbParts);
struct List(VerbParts);
struct Remove(VerbParts);
struct Rotate(VerbParts);
struct Test(VerbParts);

pub(super) fn verbs(parts: &VerbParts) -> [Arc<dyn Tool>; 5] {
    let named = |name, title, description, fields| Named { name, title, description, fields };
    let source =
        || Field::optional("source", Kind::Text(64), "The keystore's name, if there is more than one.");
    let set = fields_of_set();
    [
        Verb::tool(
            named(
                "operator:secret-set",
                "Keep a secret",
                "Keeps a secret in the keystore, in the place of one of the same name.",
                set,
            ),
            Set(parts.clone()),
        ),
        Verb::tool(
            named(
                "operator:secret-list",
                "List secrets",
                "Lists what the keystore holds, never the secrets.",
                vec![source()],
            ),
            List(parts.clone()),
        ),
        Verb::tool(
            named(
                "operator:secret-rm",
                "Remove a secret",
                "Removes a secret from the keystore.",
                vec![reference_field()],
            ),
            Remove(parts.clone()),
        ),
        Verb::tool(
            named(
                "operator:secret-rotate-master",
                "Rotate the master key",
                "Encrypts the keystore under a new master key, which replaces the old one in its file.",
                vec![source()],
            ),
            Rotate(parts.clone()),
        ),
        Verb::tool(
            named(
                "operator:secret-test",
                "Test a secret",
                "Fetches a secret through any source and tells all but the secret.",
                vec![reference_field()],
            ),
            Test(parts.clone()),
        ),
    ]
}

fn reference_field() -> Field {
    Field::required("ref", Kind::Text(800), "`SAFE/OBJECT` or `SOURCE:SAFE/OBJECT`.")
}

fn fields_of_set() -> Vec<Field> {
    vec![
        reference_field(),
        Field::optional("username", Kind::Text(256), "The account it belongs to."),
        Field::optional("address", Kind::Text(253), "The only address it may be used at."),
        Field::optional(
            "passphrase",
            Kind::Text(16),
            "`first-line`: the secret's first line is the passphrase of the private key behind it.",
        ),
        Field::required(SLIP, Kind::Text(64), "Where the secret waits; set by the gateway."),
    ]
}

#[async_trait]
impl Act for Set {
    async fn act(
        &self,
        arguments: &Map<String, Value>,
        _run: ToolRun<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        let slip = required(arguments, SLIP)?;
        let secret = self.0.tray.take(slip).ok_or_else(|| wrong("no secret came with the request"))?;
        let name = reference(&self.0, required(arguments, "ref")?)?;
        let (username, address) = (text(arguments, "username"), text(arguments, "address"));
        let (secret, passphrase) = match text(arguments, "passphrase") {
            None => (secret, None),
            Some("first-line") => {
                let (first, rest) = secret
                    .split_line()
                    .ok_or_else(|| wrong("the secret has no first line with a passphrase"))?;
                (rest, Some(first))
            }
            Some(_) => return Err(wrong("`passphrase` is `first-line` or not there")),
        };
        let (user, only_at) = (username.map(str::to_owned), address.map(str::to_owned));
        let entry = Entry { username: user, address: only_at, secret, passphrase };
        let (parts, kept) = (self.0.clone(), name.clone());
        blocking(move || {
            let (keystore, _) = open_or(&parts, name.source(), true)?;
            keystore.set(&name, entry).map_err(|error| failed(&error))
        })
        .await?;
        Ok(values([
            ("ref", json!(kept.to_string())),
            ("username", json!(username)),
            ("address", json!(address)),
        ]))
    }

    fn text(&self, values: &Map<String, Value>) -> String {
        format!("kept {}", field(values, "ref"))
    }
}

#[async_trait]
impl Act for List {
    async fn act(
        &self,
        arguments: &Map<String, Value>,
        _run: ToolRun<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        let (parts, source) = (self.0.clone(), keystore_name(&self.0, text(arguments, "source"))?);
        let named = source.clone();
        let listed = blocking(move || open(&parts, &named)?.0.list().map_err(|error| failed(&error))).await?;
        let secrets: Vec<Value> = listed.iter().map(|listed| described(&source, listed)).collect();
        Ok(values([("source", json!(source)), ("secrets", json!(secrets))]))
    }

    fn text(&self, values: &Map<String, Value>) -> String {
        let secrets = values.get("secrets").and_then(Value::as_array).into_iter().flatten();
        let names: Vec<&str> =
            secrets.filter_map(|secret| secret.get("ref").and_then(Value::as_str)).collect();
        if names.is_empty() { "no secrets".to_owned() } else { names.join("\n") }
    }
}

#[async_trait]
impl Act for Remove {
    async fn act(
        &self,
        arguments: &Map<String, Value>,
        _run: ToolRun<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        let name = reference(&self.0, required(arguments, "ref")?)?;
        let (parts, removed) = (self.0.clone(), name.clone());
        blocking(move || open(&parts, name.source())?.0.remove(&name).map_err(|error| failed(&error)))
            .await?;
        Ok(values([("ref", json!(removed.to_string()))]))
    }

    fn text(&self, values: &Map<String, Value>) -> String {
        format!("removed {}", field(values, "ref"))
    }
}

#[async_trait]
impl Act for Rotate {
    async fn act(
        &self,
        arguments: &Map<String, Value>,
        _run: ToolRun<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        let (parts, source) = (self.0.clone(), keystore_name(&self.0, text(arguments, "source"))?);
        let named = source.clone();
        let file = blocking(move || {
            let (keystore, location) = open(&parts, &named)?;
            let MasterKeyLocation::File(path) = location else {
                return Err(wrong(format!(
                    "the master key of `{named}` does not lie in a file, so it cannot be replaced from here"
                ))
                .with_hint("point `master_key` to a file, or rotate the key where it lies"));
            };
            sources::rotate_master_file(&keystore, &path, parts.entropy.as_ref())
                .map_err(|error| failed(&error))?;
            Ok(path)
        })
        .await?;
        Ok(values([("source", json!(source)), ("master_key", json!(file.display().to_string()))]))
    }

    fn text(&self, values: &Map<String, Value>) -> String {
        format!(
            "encrypted `{}` under a new master key in {}",
            field(values, "source"),
            field(values, "master_key")
        )
    }
}

#[async_trait]
impl Act for Test {
    async fn act(
        &self,
        arguments: &Map<String, Value>,
        _run: ToolRun<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        let name = reference(&self.0, required(arguments, "ref")?)?;
        let source = self
            .0
            .in_force
            .load()
            .sources
            .get(name.source())
            .cloned()
            .ok_or_else(|| no_source(name.source()))?;
        let found = sources::examine(source.as_ref(), &name).await.map_err(told_whole)?;
        let remarks: Map<String, Value> =
            found.remarks.into_iter().map(|remark| (remark.name.to_owned(), json!(remark.value))).collect();
        Ok(values([
            ("ref", json!(name.to_string())),
            ("kind", json!(found.kind)),
            ("username", json!(found.username)),
            ("address", json!(found.address)),
            ("weak", json!(weakness(found.strength))),
            ("details", json!(remarks)),
        ]))
    }

    fn text(&self, values: &Map<String, Value>) -> String {
        let mut text = format!("{}: {}", field(values, "ref"), field(values, "kind"));
        let details = values.get("details").and_then(Value::as_object).into_iter().flatten();
        for (name, value) in details {
            text.push_str(&format!("\n  {name}: {}", value.as_str().unwrap_or_default()));
        }
        for (label, name) in [("Username", "username"), ("Address", "address"), ("Weak", "weak")] {
            if let Some(value) = values.get(name).and_then(Value::as_str) {
                text.push_str(&format!("\n{label}: {value}"));
            }
        }
        text
    }
}

/// A reference as an operator writes it: the source may be left out where only one keystore can be meant.
fn reference(parts: &VerbParts, written: &str) -> Result<CredentialRef, Failure> {
    let whole = match written.split_once('/').is_some_and(|(safe, _)| safe.contains(':')) {
        true => written.to_owned(),
        false => format!("{}:{written}", keystore_name(parts, None)?),
    };
    CredentialRef::parse(&whole).map_err(|error| wrong(error.to_string()))
}

fn keystore_name(parts: &VerbParts, named: Option<&str>) -> Result<String, Failure> {
    let in_force = parts.in_force.load();
    let is_keystore = |kind: &SourceKind| matches!(kind, SourceKind::Keystore { .. });
    let keystores: Vec<&str> = in_force
        .loaded
        .configuration
        .sources
        .iter()
        .filter(|source| is_keystore(&source.kind))
        .map(|source| source.name.as_str())
        .collect();
    match (named, keystores.as_slice()) {
        (Some(named), known) if known.contains(&named) => Ok(named.to_owned()),
        (Some(named), _) => Err(no_source(named)),
        (None, [only]) => Ok((*only).to_owned()),
        (None, []) => Err(wrong("no keystore is configured")
            .with_hint("add a `[[credential_source]]` with `kind = \"keystore\"`")),
        (None, several) => Err(wrong("there is more than one keystore")
            .with_hint(format!("name one of: {}", several.join(", ")))),
    }
}

fn open(parts: &VerbParts, source: &str) -> Result<(Keystore, MasterKeyLocation), Failure> {
    open_or(parts, source, false)
}

/// Opens a keystore; one that is not there is made, if that is what is wanted.
fn open_or(parts: &VerbParts, source: &str, make: bool) -> Result<(Keystore, MasterKeyLocation), Failure> {
    let in_force = parts.in_force.load();
    let configuration = &in_force.loaded.configuration;
    let declared = configuration
        .sources
        .iter()
        .find(|declared| declared.name == source)
        .ok_or_else(|| no_source(source))?;
    let SourceKind::Keystore { file, master_key } = &declared.kind else {
        return Err(wrong(format!("`{source}` is not a keystore, so it cannot be changed from here")));
    };
    let make = make && !file.exists();
    let location = crate::keys::master_key(master_key);
    let around = Surroundings {
        clock: Arc::clone(&parts.clock),
        entropy: Arc::clone(&parts.entropy),
        state: &configuration.state,
        environment: sources::process_environment(),
        passphrase: &|| if make { parts.passphrases.for_new(source) } else { parts.passphrases.of(source) },
    };
    let opened = if make {
        sources::create_located(file, &location, &around)
    } else {
        let unlock = location.unlock(&around).map_err(KeystoreError::from);
        let (clock, entropy) = (Arc::clone(&parts.clock), Arc::clone(&parts.entropy));
        unlock.and_then(|unlock| Keystore::open(file, unlock, clock, entropy))
    };
    opened.map(|keystore| (keystore, location)).map_err(|error| failed(&error))
}

fn failed(error: &KeystoreError) -> Failure {
    if matches!(error, KeystoreError::NoEntry(_)) {
        return Failure::new(ErrorCode::CredentialNotFound, error.to_string())
            .with_hint("`portcullis secret list` shows what there is");
    }
    error.explain(Failure::new(ErrorCode::CredentialSourceDown, error.to_string()).with_fault(Fault::Us))
}

/// An operator who tests a source reads what otherwise only the log has.
fn told_whole(failure: Failure) -> Failure {
    let Some(internal) = failure.internal() else { return failure };
    let message: String = format!("{} ({internal})", failure.message())
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let mut told =
        Failure::new(failure.code(), message).with_fault(failure.fault()).with_retry(failure.retry());
    if let Some(hint) = failure.hint() {
        told = told.with_hint(hint);
    }
    if let Some(vendor) = failure.vendor() {
        told = told.with_vendor(vendor);
    }
    match failure.event() {
        Some(event) => told.with_event(event),
        None => told,
    }
}

fn no_source(name: &str) -> Failure {
    let shown: String = name.chars().take(80).collect();
    wrong(format!("there is no credential source `{shown}`, or it is of another kind"))
}

fn described(source: &str, listed: &Listed) -> Value {
    json!({
        "ref": format!("{source}:{}/{}", listed.safe, listed.object),
        "username": listed.username,
        "address": listed.address,
        "updated": listed.updated.to_string(),
        "weak": weakness(listed.strength),
    })
}

fn weakness(strength: Strength) -> Option<&'static str> {
    match strength {
        Strength::Ok => None,
        Strength::Weak(why) => Some(why),
    }
}

fn field<'a>(values: &'a Map<String, Value>, name: &str) -> &'a str {
    values.get(name).and_then(Value::as_str).unwrap_or_default()
}
