//! Inventory files as `model::Inventory`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::{
    CredentialPattern, CredentialSpec, Host, Inventory, Platform, Resolve, Shell, Target, TargetName,
    WrongWay,
};

use crate::configuration::{Sources, secret_location};
use crate::files::must_be_private;
use crate::forms::{self, Wrong};
use crate::nearest::nearest;
use crate::node::{Node, Place, Table};

/// Reads the checked structures of all files together.
pub(crate) fn read(files: &[Table<'_>], sources: &Sources) -> Inventory {
    let default_user = default_user(files);
    let mut taken: BTreeMap<TargetName, Place<'_>> = BTreeMap::new();
    let mut hosts = Vec::new();
    for (name, place, table) in files.iter().filter_map(|file| file.node("hosts")).flat_map(|node| node.map())
    {
        let alias = alias(name, &place, &table);
        if let Some(first) = alias.as_ref().and_then(|alias| taken.get(alias)) {
            place.error(format!("the same alias is already at {}", first.seen_from(&place)));
        }
        let host = host(&table, alias.clone(), default_user.as_deref(), sources);
        if let Some(alias) = alias {
            taken.entry(alias).or_insert(place);
        }
        hosts.extend(host);
    }
    let inventory = Inventory::new(hosts).with_default_user(default_user);
    for (name, _, table) in files.iter().filter_map(|file| file.node("hosts")).flat_map(|node| node.map()) {
        check_way(&inventory, name, &table);
    }
    inventory
}

/// What is wrong with the way to a host, at the key that says it.
fn check_way(inventory: &Inventory, name: &str, table: &Table<'_>) {
    let Some(host) = TargetName::parse(name).ok().and_then(|name| inventory.host(&name)) else { return };
    for node in &table.list("jump") {
        let Some(name) = node.text().and_then(|text| TargetName::parse(text).ok()) else { continue };
        match inventory.host(&name) {
            None => {
                let known = inventory.hosts().map(|host| host.name.as_str());
                let wrong = Wrong::new(format!("there is no host `{name}`"));
                node.place.error(match nearest(name.as_str(), known) {
                    Some(close) => wrong.hint(format!("did you mean `{close}`?")),
                    None => wrong.hint("jump hosts are hosts of the inventory, by their alias"),
                });
            }
            Some(hop) if hop.credential.is_none() => node.place.error(
                Wrong::new(format!("the jump host `{}` has no `credential`", hop.name))
                    .hint("handles open targets only: a jump host is logged in to with its own credential"),
            ),
            Some(_) => {}
        }
    }
    match inventory.way(host) {
        Err(wrong @ (WrongWay::Loop(_) | WrongWay::TooLong)) => {
            table.place_of("jump").error(wrong.to_string());
        }
        // An unknown alias is told where it is written.
        Err(WrongWay::Unknown { .. }) | Ok(_) => {}
    }
    let passed = || inventory.hosts().any(|other| other.jump.contains(&host.name));
    if host.resolve == Resolve::Bastion && host.jump.is_empty() && !passed() {
        table.place_of("resolve").error(
            Wrong::new("there is no jump host that could resolve the address")
                .hint("name one in `jump`, or leave `resolve` out"),
        );
    }
}

fn default_user(files: &[Table<'_>]) -> Option<String> {
    let mut first: Option<(String, Place<'_>)> = None;
    let users = files
        .iter()
        .filter_map(|file| file.table("defaults")?.table("ssh")?.node("user"))
        .filter_map(|node| Some((node.read(forms::account)?, node.place)));
    for (user, place) in users {
        match &first {
            Some((_, earlier)) => place.error(format!("is already set at {}", earlier.seen_from(&place))),
            None => first = Some((user, place)),
        }
    }
    first.map(|(user, _)| user)
}

fn alias(name: &str, place: &Place<'_>, table: &Table<'_>) -> Option<TargetName> {
    if name == Target::GATEWAY {
        place.error(Wrong::new("`gateway` is the gateway itself").hint("give the host another alias"));
        return None;
    }
    let alias = TargetName::parse(name).map_err(|wrong| place.error(wrong)).ok()?;
    if name.contains(':') {
        place.error(format!("`{name}` is not a target name: 1 to 128 of `a-z A-Z 0-9 _ - . @`"));
        return None;
    }
    let address = table.node("address").and_then(|node| node.text());
    if name.parse::<IpAddr>().is_ok() && address.is_some_and(|address| address != name) {
        place.error(
            Wrong::new("the alias is an address, and not this host's")
                .hint("give the host a name, or its own address as alias"),
        );
    }
    Some(alias)
}

fn host(
    table: &Table<'_>,
    name: Option<TargetName>,
    default_user: Option<&str>,
    sources: &Sources,
) -> Option<Host> {
    let user = table.node("user").and_then(|node| node.read(forms::account));
    let tags: BTreeSet<_> = table.list("tags").iter().filter_map(|node| node.read(forms::tag)).collect();
    let platform = platform(table);
    let credential = table.node("credential").and_then(|node| credential(&node, sources));
    let credentials = table.list("credentials").iter().filter_map(|node| pattern(node, sources)).collect();
    let jump = table.list("jump").iter().filter_map(|node| node.read(TargetName::parse)).collect();
    let notes = table.node("notes").and_then(|node| node.read(note));
    let address = table.node("address").and_then(|node| node.read(forms::host_address));
    Some(Host {
        name: name?,
        address: address?,
        port: table
            .node("port")
            .and_then(|node| node.integer())
            .and_then(|port| u16::try_from(port).ok())
            .unwrap_or(22),
        user: user.or_else(|| default_user.map(str::to_owned)),
        tags,
        platform,
        shell: shell(table, platform),
        credential,
        credentials,
        jump,
        resolve: match table.node("resolve").and_then(|node| node.text()) {
            Some("bastion") => Resolve::Bastion,
            Some(_) | None => Resolve::Gateway,
        },
        notes,
        declared: true,
    })
}

fn platform(table: &Table<'_>) -> Platform {
    match table.node("platform").and_then(|node| node.text()) {
        Some("windows") => Platform::Windows,
        Some("macos") => Platform::Macos,
        Some("bsd") => Platform::Bsd,
        Some(_) | None => Platform::Linux,
    }
}

fn shell(table: &Table<'_>, platform: Platform) -> Shell {
    match (table.node("shell").and_then(|node| node.text()), platform) {
        (Some("powershell"), _) | (None, Platform::Windows) => Shell::PowerShell,
        (Some("none"), _) => Shell::None,
        (Some(_), _) | (None, Platform::Linux | Platform::Macos | Platform::Bsd) => Shell::Posix,
    }
}

fn credential(node: &Node<'_>, sources: &Sources) -> Option<CredentialSpec> {
    if node.text().is_some() {
        return sources.reference(node).map(CredentialSpec::Stored);
    }
    let table = node.table()?;
    if let Some(agent) = table.alternative("agent") {
        return Some(CredentialSpec::Agent { fingerprint: agent.read(forms::fingerprint)? });
    }
    if let Some(password) = table.alternative("password") {
        return secret_location(&password, sources).map(CredentialSpec::Password);
    }
    let passphrase = table.node("passphrase").and_then(|node| secret_location(&node, sources));
    let key = table.alternative("key")?;
    let path = key.path()?;
    must_be_private(&key.place, &path);
    Some(CredentialSpec::Key { path, passphrase })
}

fn pattern(node: &Node<'_>, sources: &Sources) -> Option<CredentialPattern> {
    let pattern = node.read(CredentialPattern::parse)?;
    if let CredentialPattern::Parts { source, .. } = &pattern {
        sources.must_know(source, &node.place);
    }
    Some(pattern)
}

fn note(text: &str) -> Result<String, Wrong> {
    let fits = text.chars().count() <= 1000 && text.chars().all(|c| !c.is_control() || c == '\n');
    if fits {
        Ok(text.to_owned())
    } else {
        Err("expected at most 1000 characters, none of them a control character".into())
    }
}
