//! `hostkey scan|list|trust|revoke|ca`: which host keys are known. Nothing is trusted silently.

use std::io::{IsTerminal, Read};
use std::path::Path;

use config::Loaded;
use connector_ssh::{KnownAs, KnownHosts, ScannedKey, scan};
use model::TargetName;
use serde_json::{Map, Value, json};

use crate::cli::{Global, HostAddress, Hostkey, HostkeyCa};
use crate::failure::{Exit, Stop};
use crate::operators;
use crate::output::Output;
use crate::place::{Place, load};

/// Does it.
pub(crate) fn run(global: &Global, hostkey: Hostkey, output: Output) -> Result<Exit, Stop> {
    match hostkey {
        Hostkey::Scan(host) => show_scan(global, &host, output),
        Hostkey::List => list(global, false, output),
        Hostkey::Trust { host, fingerprint } => trust(global, &host, fingerprint.as_deref(), output),
        Hostkey::Revoke { host, port, fingerprint, hosts } => {
            let host = host.map(|host| HostAddress { host, port });
            revoke(global, host.as_ref(), fingerprint.as_deref(), &hosts, output)
        }
        Hostkey::Ca(HostkeyCa::Add { hosts, key, fingerprint }) => {
            add_authority(global, &hosts, &key, fingerprint.as_deref(), output)
        }
        Hostkey::Ca(HostkeyCa::List) => list(global, true, output),
    }
}

/// A host as an operator names it, as known hosts files name it.
struct Named {
    address: String,
    port: u16,
    /// The jump host that it lies behind.
    behind: Option<TargetName>,
}

impl Named {
    /// An alias means the address and port of the inventory, so that the key is kept under the name it is looked up by.
    fn find(loaded: &Loaded, host: &HostAddress) -> Self {
        match loaded.inventory.find_host(&host.host) {
            Some(known) => Self {
                address: known.address.clone(),
                port: host.port.unwrap_or(known.port),
                behind: known.jump.last().cloned(),
            },
            None => Self { address: host.host.clone(), port: host.port.unwrap_or(22), behind: None },
        }
    }

    /// Every name that a line may have for it.
    fn names(&self) -> Vec<String> {
        let behind = self.behind.as_ref().map(TargetName::as_str);
        KnownAs::new(&self.address, self.port, behind).every_name()
    }

    /// The first field of a known hosts line.
    fn name(&self) -> String {
        let address = self.address.to_ascii_lowercase();
        if self.port == 22 { address } else { format!("[{address}]:{}", self.port) }
    }
}

fn loaded(global: &Global, output: Output) -> Result<Loaded, Stop> {
    load(&Place::find(global.config.as_deref())?, output)
}

fn scanned(named: &Named) -> Result<Vec<ScannedKey>, Stop> {
    // From here the same address may be another machine.
    if let Some(bastion) = &named.behind {
        let text =
            format!("{} lies behind the jump host `{bastion}` and is not looked at from here", named.name());
        return Err(Stop::failed(text).with_hint(
            "`portcullis target test` tells which key is met on the way, and the line that makes it known once the fingerprint was compared on the host",
        ));
    }
    operators::runtime()?.block_on(scan(&named.address, named.port)).map_err(Stop::failed)
}

fn show_scan(global: &Global, host: &HostAddress, output: Output) -> Result<Exit, Stop> {
    let loaded = loaded(global, output)?;
    let named = Named::find(&loaded, host);
    let known = KnownHosts::load(&loaded.configuration.known_hosts).map_err(Stop::configuration)?;
    let keys = scanned(&named)?;
    if output.is_json() {
        let keys: Vec<Value> = keys
            .iter()
            .map(|key| json!({ "algorithm": key.algorithm, "fingerprint": key.fingerprint, "line": key.line, "standing": standing(&known, &named, key) }))
            .collect();
        output.json(&json!({ "host": named.name(), "keys": keys }))?;
        return Ok(Exit::Done);
    }
    output.note(&format!("{} shows:", named.name()));
    let row = |key: &ScannedKey| {
        vec![key.algorithm.clone(), key.fingerprint.clone(), standing(&known, &named, key).to_owned()]
    };
    output.table(&["algorithm", "fingerprint", "standing"], keys.iter().map(row).collect())?;
    Ok(Exit::Done)
}

/// What the files say of a key that was shown.
fn standing(known: &KnownHosts, named: &Named, key: &ScannedKey) -> &'static str {
    let same_key = |entry: &&connector_ssh::Entry| entry.fingerprint() == key.fingerprint;
    let of_host: Vec<_> = known.list().iter().filter(|entry| entry.covers(&named.name())).collect();
    if known.list().iter().filter(same_key).any(connector_ssh::Entry::revokes) {
        "revoked"
    } else if of_host.iter().copied().filter(same_key).any(|entry| !entry.is_authority()) {
        "known"
    } else if of_host.is_empty() {
        "unknown"
    } else {
        "another key is known"
    }
}

fn list(global: &Global, authorities: bool, output: Output) -> Result<Exit, Stop> {
    let arguments =
        if authorities { Map::from_iter([("only".to_owned(), json!("cert-authority"))]) } else { Map::new() };
    let reply = operators::verb(global, "hostkey-list", arguments, output)?;
    match reply.answer.structured.get("keys").and_then(Value::as_array) {
        Some(keys) if !output.is_json() && !reply.answer.is_error && !keys.is_empty() => {
            let row = |key: &Value| {
                ["host", "algorithm", "fingerprint", "marker", "place"]
                    .map(|name| key.get(name).and_then(Value::as_str).unwrap_or_default().to_owned())
                    .to_vec()
            };
            output.table(
                &["host", "algorithm", "fingerprint", "marker", "where"],
                keys.iter().map(row).collect(),
            )?;
            Ok(Exit::Done)
        }
        Some(_) | None => operators::show(&reply, output),
    }
}

fn trust(
    global: &Global,
    host: &HostAddress,
    fingerprint: Option<&str>,
    output: Output,
) -> Result<Exit, Stop> {
    let loaded = loaded(global, output)?;
    let named = Named::find(&loaded, host);
    let known = KnownHosts::load(&loaded.configuration.known_hosts).map_err(Stop::configuration)?;
    let (new, old): (Vec<_>, Vec<_>) =
        scanned(&named)?.into_iter().partition(|key| standing(&known, &named, key) != "known");
    let chosen: Vec<&ScannedKey> = match fingerprint {
        Some(wanted) => new.iter().filter(|key| key.fingerprint == wanted).collect(),
        None => new.iter().collect(),
    };
    if let Some(key) = chosen.iter().find(|key| standing(&known, &named, key) == "revoked") {
        return Err(Stop::failed(format!("{} shows the revoked key {}", named.name(), key.fingerprint))
            .with_hint("this is not the host you think it is, or it still uses a key that was given up"));
    }
    if chosen.is_empty() {
        return nothing_new(&named, &new, &old, fingerprint, output);
    }
    if fingerprint.is_none() && !confirmed(&known, &named, &chosen, output)? {
        return Err(Stop::failed("nothing was trusted"));
    }
    for key in chosen {
        let arguments = Map::from_iter([("line".to_owned(), json!(key.line))]);
        let reply = operators::verb(global, "hostkey-trust", arguments, output)?;
        if reply.answer.is_error {
            return Err(operators::refused(&reply));
        }
        output.answer(&reply.answer.structured, &format!("{} {}", reply.answer.text, key.fingerprint))?;
    }
    Ok(Exit::Done)
}

fn nothing_new(
    named: &Named,
    new: &[ScannedKey],
    old: &[ScannedKey],
    fingerprint: Option<&str>,
    output: Output,
) -> Result<Exit, Stop> {
    match fingerprint {
        Some(wanted) if !old.iter().any(|key| key.fingerprint == wanted) => {
            let shown: Vec<&str> = new.iter().chain(old).map(|key| key.fingerprint.as_str()).collect();
            Err(Stop::failed(format!("{} does not show a key with the fingerprint {wanted}", named.name()))
                .with_hint(format!("it shows {}", shown.join(", "))))
        }
        Some(_) | None => {
            output.done(&format!("the keys of {} are known already", named.name()));
            Ok(Exit::Done)
        }
    }
}

/// Shows the fingerprints and takes nothing but a written `yes`.
fn confirmed(known: &KnownHosts, named: &Named, keys: &[&ScannedKey], output: Output) -> Result<bool, Stop> {
    output.warning(&format!(
        "{} shows these keys, and nothing says yet that it is the right host:",
        named.name()
    ));
    for key in keys {
        output.warning(&format!("  {} {} ({})", key.algorithm, key.fingerprint, standing(known, named, key)));
    }
    if !std::io::stdin().is_terminal() {
        return Err(Stop::usage("there is nobody to ask").with_hint(
            "compare the fingerprint with the host's own (`ssh-keygen -lf` there), then name it: `--fingerprint SHA256:...`",
        ));
    }
    super::says_yes("Compare them with the host's own. Trust them? Write `yes`: ")
}

fn add_authority(
    global: &Global,
    hosts: &str,
    file: &Path,
    fingerprint: Option<&str>,
    output: Output,
) -> Result<Exit, Stop> {
    let named = |reason: &dyn std::fmt::Display| Stop::failed(format!("`{}`: {reason}", file.display()));
    let key = read_public_key(file).map_err(|error| named(&error))?;
    let authority = KnownHosts::authority_line(hosts, &key).map_err(|reason| named(&reason))?;
    let described = format!("{} {}", authority.algorithm, authority.fingerprint);
    match fingerprint {
        Some(wanted) if wanted != authority.fingerprint => {
            return Err(Stop::failed(format!("`{}` does not hold the key {wanted}", file.display()))
                .with_hint(format!("it holds {described}")));
        }
        Some(_) => {}
        None => {
            output.warning(&format!("whoever has this key can be any host that `{hosts}` fits: {described}"));
            if !std::io::stdin().is_terminal() {
                return Err(Stop::usage("there is nobody to ask").with_hint(
                    "compare the fingerprint with the authority's own, then name it: `--fingerprint SHA256:...`",
                ));
            }
            if !super::says_yes("Is it the authority's? Write `yes`: ")? {
                return Err(Stop::failed("nothing was trusted"));
            }
        }
    }
    let arguments = Map::from_iter([("hosts".to_owned(), json!(hosts)), ("key".to_owned(), json!(key))]);
    operators::show(&operators::verb(global, "hostkey-ca", arguments, output)?, output)
}

/// No public key has more than 16 KiB.
fn read_public_key(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(file)?.take(16 * 1024).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

/// A host says which of its keys; a fingerprint alone may be any known key's, an authority's too.
fn revoke(
    global: &Global,
    host: Option<&HostAddress>,
    fingerprint: Option<&str>,
    hosts: &str,
    output: Output,
) -> Result<Exit, Stop> {
    let loaded = loaded(global, output)?;
    let named = host.map(|host| Named::find(&loaded, host));
    let known = KnownHosts::load(&loaded.configuration.known_hosts).map_err(Stop::configuration)?;
    let is_meant = |entry: &&connector_ssh::Entry| match &named {
        Some(named) => !entry.is_authority() && named.names().iter().any(|name| entry.covers(name)),
        None => true,
    };
    let mut fingerprints: Vec<String> = known
        .list()
        .iter()
        .filter(|entry| !entry.revokes())
        .filter(is_meant)
        .map(connector_ssh::Entry::fingerprint)
        .filter(|found| fingerprint.is_none_or(|wanted| found == wanted))
        .collect();
    fingerprints.sort();
    fingerprints.dedup();
    if fingerprints.is_empty() {
        let of = named.map_or_else(String::new, |named| format!(" of {}", named.name()));
        return Err(Stop::failed(format!("no such key{of} is known"))
            .with_hint("`portcullis hostkey list` shows the known keys"));
    }
    for fingerprint in fingerprints {
        let arguments = Map::from_iter([
            ("fingerprint".to_owned(), json!(fingerprint)),
            ("hosts".to_owned(), json!(hosts)),
        ]);
        let reply = operators::verb(global, "hostkey-revoke", arguments, output)?;
        operators::show(&reply, output)?;
    }
    Ok(Exit::Done)
}
