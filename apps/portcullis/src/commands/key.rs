//! `key new|list|revoke`: API keys, whose hashes the configuration holds.

use std::path::Path;

use config::{Configuration, PrincipalConfig};
use gateway::{SystemEntropy, api_key};
use model::PrincipalId;
use serde_json::{Value, json};

use crate::cli::{Global, Key};
use crate::failure::{Exit, Stop};
use crate::output::Output;
use crate::place::{Place, load};

/// Does it.
pub(crate) fn run(global: &Global, key: Key, output: Output) -> Result<Exit, Stop> {
    match key {
        Key::New { principal } => new(global, &principal, output),
        Key::List => list(&loaded(global, output)?.1, output),
        Key::Revoke { key } => {
            let (place, configuration) = loaded(global, output)?;
            revoke(place.file(), &configuration, &key, output)
        }
    }
}

fn loaded(global: &Global, output: Output) -> Result<(Place, Configuration), Stop> {
    let place = Place::find(global.config.as_deref())?;
    let configuration = load(&place, output)?.configuration;
    Ok((place, configuration))
}

fn new(global: &Global, principal: &str, output: Output) -> Result<Exit, Stop> {
    let principal = PrincipalId::parse(principal).map_err(Stop::usage)?;
    let (key, hash) = api_key::generate(&SystemEntropy).map_err(Stop::failed)?;
    let line = toml_line(&hash);
    let value = json!({ "principal": principal.as_str(), "key": key.reveal(), "hash": hash, "algorithm": api_key::ALGORITHM, "toml": line });
    output.answer(&value, key.reveal())?;
    // The key alone is on standard output, so that it can be piped to where it belongs.
    output.note("\nThis is the only time the key is shown. Its hash goes into the configuration:\n");
    output.note(&format!("[[principal]]\nid = \"{principal}\"\n{line}\n"));
    match already_known(global, &principal) {
        Some(true) => output.note(&format!(
            "`{principal}` is there already: add the line to its table, as a list if it has another key."
        )),
        Some(false) => output.note("Then write a rule that names the principal."),
        None => {}
    }
    output.note("`portcullis reload` takes it over.");
    Ok(Exit::Done)
}

/// The line for a `[[principal]]` table.
pub(crate) fn toml_line(hash: &str) -> String {
    format!("api_key = {{ hash = \"{hash}\", algorithm = \"{}\" }}", api_key::ALGORITHM)
}

fn already_known(global: &Global, principal: &PrincipalId) -> Option<bool> {
    let place = Place::find(global.config.as_deref()).ok()?;
    let loaded = config::load(place.file()).ok()?;
    Some(loaded.configuration.principals.iter().any(|known| known.id == *principal))
}

fn list(configuration: &Configuration, output: Output) -> Result<Exit, Stop> {
    let keys = || {
        let of = |principal: &PrincipalConfig| {
            let id = principal.id.clone();
            principal
                .api_keys
                .iter()
                .map(move |hash| (id.clone(), hash.prefix().to_owned()))
                .collect::<Vec<_>>()
        };
        configuration.principals.iter().flat_map(of)
    };
    if output.is_json() {
        let keys: Vec<Value> =
            keys().map(|(id, prefix)| json!({ "principal": id.as_str(), "prefix": prefix })).collect();
        output.json(&json!({ "keys": keys }))?;
    } else if keys().next().is_none() {
        output.note("no principal has an API key; `portcullis key new PRINCIPAL` makes one");
    } else {
        output.table(
            &["principal", "key"],
            keys().map(|(id, prefix)| vec![id.to_string(), format!("{prefix}_...")]).collect(),
        )?;
    }
    Ok(Exit::Done)
}

/// Keys live in a file that people write, so people end them; this says exactly where.
fn revoke(file: &Path, configuration: &Configuration, key: &str, output: Output) -> Result<Exit, Stop> {
    let prefix = api_key::prefix(key).unwrap_or(key);
    let hashes: Vec<(&PrincipalId, &str)> = configuration
        .principals
        .iter()
        .flat_map(|principal| principal.api_keys.iter().map(move |hash| (principal, hash)))
        .filter(|(principal, hash)| hash.prefix() == prefix || principal.id.as_str() == key)
        .map(|(principal, hash)| (&principal.id, hash.as_str()))
        .collect();
    if hashes.is_empty() {
        let shown: String = prefix.chars().take(80).collect();
        return Err(Stop::failed(format!("no key and no principal with a key is called `{shown}`"))
            .with_hint("`portcullis key list` shows them"));
    }
    let text = std::fs::read_to_string(file).map_err(Stop::failed)?;
    let found: Vec<(usize, &PrincipalId, &str)> = hashes
        .iter()
        .flat_map(|&(id, hash)| {
            text.lines()
                .enumerate()
                .filter(move |(_, line)| line.contains(hash))
                .map(move |(at, line)| (at + 1, id, line.trim()))
        })
        .collect();
    if output.is_json() {
        let lines: Vec<Value> = found
            .iter()
            .map(|(line, id, text)| json!({ "file": file.display().to_string(), "line": line, "principal": id.as_str(), "text": text }))
            .collect();
        output.json(&json!({ "remove": lines, "then": "portcullis reload" }))?;
        return Ok(Exit::Done);
    }
    for (line, id, text) in found {
        output.text(&format!("{}:{line}: `{id}`: remove\n  {text}", file.display()))?;
    }
    output.note(
        "\nThen `portcullis reload`: from there on the key is refused, and sessions that it opened end.",
    );
    Ok(Exit::Done)
}
