//! `secret set|list|rm|rotate-master|test`

use std::io::{IsTerminal, Read};
use std::path::Path;

use gateway::control::{ControlRequest, Enclosure};
use serde_json::{Map, Value, json};
use zeroize::{Zeroize, Zeroizing};

use crate::cli::{Global, Secret};
use crate::failure::{Exit, Stop};
use crate::operators;
use crate::output::Output;

/// No secret that a login can be made with is larger.
const LARGEST: u64 = 64 * 1024;

/// Does it.
pub(crate) fn run(global: &Global, secret: Secret, output: Output) -> Result<Exit, Stop> {
    let mut arguments = Map::new();
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            arguments.insert(name.to_owned(), json!(value));
        }
    };
    let verb = match secret {
        Secret::Set { reference, username, address, passphrase_file } => {
            return set(global, reference, username, address, passphrase_file.as_deref(), output);
        }
        Secret::List { source } => {
            put("source", source);
            return list(global, arguments, output);
        }
        Secret::Rm { reference } => {
            put("ref", Some(reference));
            "secret-rm"
        }
        Secret::RotateMaster { source } => {
            put("source", source);
            "secret-rotate-master"
        }
        Secret::Test { reference } => {
            put("ref", Some(reference));
            "secret-test"
        }
    };
    operators::show(&operators::verb(global, verb, arguments, output)?, output)
}

fn set(
    global: &Global,
    reference: String,
    username: Option<String>,
    address: Option<String>,
    passphrase_file: Option<&Path>,
    output: Output,
) -> Result<Exit, Stop> {
    let mut arguments = Map::from_iter([("ref".to_owned(), json!(reference))]);
    let asking = std::io::stdin().is_terminal();
    for (name, given, question) in [
        ("username", username, "User name (empty for none): "),
        ("address", address, "Only at this address (empty for any): "),
    ] {
        let value = match given {
            None if asking => Some(ask_line(question)?),
            given => given,
        };
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            arguments.insert(name.to_owned(), json!(value));
        }
    }
    let mut secret = if asking { ask_secret(&reference)? } else { read_secret()? };
    if let Some(file) = passphrase_file {
        secret = behind(&passphrase(file)?, &secret);
        arguments.insert("passphrase".to_owned(), json!("first-line"));
    }
    let mut request = ControlRequest::verb("secret-set", arguments);
    request.secret = Some(Enclosure::new(std::mem::take(&mut *secret)));
    operators::run(global, request, output)
}

fn ask_line(question: &str) -> Result<String, Stop> {
    anstream::eprint!("{question}");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(Stop::failed)?;
    Ok(line.trim().to_owned())
}

/// The passphrase of a private key, from a file that nobody else can read.
fn passphrase(file: &Path) -> Result<Zeroizing<String>, Stop> {
    let named = |reason: &dyn std::fmt::Display| Stop::failed(format!("`{}`: {reason}", file.display()));
    let bytes = broker::read_key_file(file).map_err(|error| named(&error))?;
    let bytes = broker::without_newline(bytes);
    let text = std::str::from_utf8(&bytes).map_err(|_| named(&"it is not UTF-8 text"))?;
    if text.contains(['\n', '\r']) {
        return Err(named(&"a passphrase has one line"));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

/// Only one secret goes with a request: the passphrase is its first line.
fn behind(passphrase: &str, secret: &str) -> Zeroizing<String> {
    let mut both = Zeroizing::new(String::with_capacity(passphrase.len() + secret.len() + 1));
    both.push_str(passphrase);
    both.push('\n');
    both.push_str(secret);
    both
}

fn ask_secret(reference: &str) -> Result<Zeroizing<String>, Stop> {
    let mut first = Zeroizing::new(
        rpassword::prompt_password(format!("Secret for {reference}: ")).map_err(Stop::failed)?,
    );
    let again = Zeroizing::new(rpassword::prompt_password("Once more: ").map_err(Stop::failed)?);
    if *first != *again {
        return Err(Stop::usage("the two are not the same"));
    }
    not_empty(std::mem::take(&mut *first))
}

/// All of standard input; one trailing newline is dropped, as wherever a secret is read.
fn read_secret() -> Result<Zeroizing<String>, Stop> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    std::io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes).map_err(Stop::failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Stop::usage(format!("the secret is larger than {LARGEST} bytes")));
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    let text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(|error| {
        error.into_bytes().zeroize();
        Stop::usage("the secret is not UTF-8 text")
    })?;
    not_empty(text)
}

fn not_empty(text: String) -> Result<Zeroizing<String>, Stop> {
    if text.is_empty() {
        return Err(Stop::usage("the secret is empty")
            .with_hint("give it on standard input: `portcullis secret set REF < FILE`"));
    }
    Ok(Zeroizing::new(text))
}

fn list(global: &Global, arguments: Map<String, Value>, output: Output) -> Result<Exit, Stop> {
    let reply = operators::verb(global, "secret-list", arguments, output)?;
    match reply.answer.structured.get("secrets").and_then(Value::as_array) {
        Some(secrets) if !output.is_json() && !reply.answer.is_error && !secrets.is_empty() => {
            let row = |secret: &Value| {
                ["ref", "username", "address", "updated", "weak"]
                    .map(|name| secret.get(name).and_then(Value::as_str).unwrap_or_default().to_owned())
                    .to_vec()
            };
            output.table(
                &["secret", "username", "address", "updated", "weak"],
                secrets.iter().map(row).collect(),
            )?;
            Ok(Exit::Done)
        }
        Some(_) | None => operators::show(&reply, output),
    }
}
