//! From what the files say to what each part is built with. Nothing is decided here.

use std::collections::BTreeMap;
use std::sync::Arc;

use audit::{
    Durability, HeadsConfig, JournalConfig, RecordCommands, SealKey, SinkConfig, SinkFormat, SinkTarget,
};
use broker::{CredentialSource, FetchTime, HandlePolicy};
use config::{Diagnostic, Diagnostics, Insecure, Loaded, SourceConfig};
use connector_ssh::SshSettings;
use gateway::owner::OwnError;
use gateway::{Directory, Entry, Live};
use model::{Clock, Entropy, Failure, Principal};
use policy::{Snapshot, ToolFacts};
use sources::{SourceKind, SourceSpec};
use tools::{Catalogue, Tool, ToolSpec};

use super::{Journalling, ccp};
use crate::failure::Stop;
use crate::keys::Passphrases;
use crate::{keys, verbs};

/// A journal file is followed by the next at this size.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// What sources need of the world.
#[derive(Clone)]
pub(crate) struct Surroundings {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) passphrases: Arc<Passphrases>,
}

/// Each check that the configuration leaves out needs `--insecure` on the command line as well.
pub(super) fn refuse_insecure(loaded: &Loaded, agreed: bool) -> Result<(), Stop> {
    if loaded.configuration.insecure.is_empty() || agreed {
        return Ok(());
    }
    Err(Stop::configuration(
        "the configuration leaves checks out (`insecure`), and `--insecure` is not given",
    )
    .with_hint("take the key out, or agree to it with `--insecure`"))
}

/// Why the state folder is not ours, for people.
pub(super) fn not_ours(error: OwnError) -> Stop {
    Stop::failed(error).with_hint("one process owns a state folder; others ask it over its control socket")
}

/// A journal that was changed is not continued.
pub(super) fn journal_not_opened(error: audit::OpenError) -> Stop {
    match error.hint() {
        Some(hint) => Stop::damaged(&error).with_hint(hint),
        None => Stop::failed(&error),
    }
}

/// Handles live for minutes, so nothing is lost with the store.
pub(super) fn store_not_opened(error: store::OpenError) -> Stop {
    match error {
        store::OpenError::Damaged(_) => Stop::damaged(&error)
            .with_hint("move it aside with its `-wal` and `-shm` files: handles that were open end with it"),
        store::OpenError::Unusable(_) => Stop::failed(&error),
    }
}

fn source_not_opened(failure: Failure) -> Stop {
    let stop = match failure.vendor() {
        Some(sources::KEYSTORE_DAMAGED) => Stop::damaged(failure.message()),
        Some(_) | None => Stop::configuration(failure.message()),
    };
    match failure.hint() {
        Some(hint) => stop.with_hint(hint),
        None => stop,
    }
}

/// `[audit]`.
pub(super) fn journal(loaded: &Loaded, more: Journalling) -> Result<JournalConfig, Stop> {
    let (state, audit) = (&loaded.configuration.state, &loaded.configuration.audit);
    let record_commands = match audit.record_commands {
        config::RecordCommands::Sealed => RecordCommands::Sealed(seal_key(loaded)?),
        config::RecordCommands::Clear => RecordCommands::Clear,
        config::RecordCommands::Never => RecordCommands::Never,
    };
    let signing_key = keys::signing_key(&audit.signing_key).map_err(|error| {
        Stop::configuration(error).with_hint("`portcullis init` makes the journal's keys")
    })?;
    let sinks = audit.sinks.iter().map(|sink| SinkConfig {
        to: match &sink.to {
            config::SinkTo::Stdout => SinkTarget::Stdout,
            config::SinkTo::Stderr => SinkTarget::Stderr,
            config::SinkTo::File(path) => SinkTarget::File(path.clone()),
        },
        format: SinkFormat::Native,
    });
    Ok(JournalConfig {
        durability: match audit.durability {
            config::Durability::Auto => Durability::Auto,
            config::Durability::Disk => Durability::Disk,
            config::Durability::Process => Durability::Process,
        },
        heads: HeadsConfig { every: audit.heads.every, path: audit.heads.to.clone() },
        // Half of it is the file before the one that is written.
        max_file_bytes: more.most.map_or(MAX_FILE_BYTES, |most| most / 2),
        keep_files: more.most.map(|_| 1),
        sinks: sinks.chain(more.sinks).collect(),
        ..JournalConfig::new(state.join("journal"), signing_key, record_commands, audit.heads.to.clone())
    })
}

/// What command lines are sealed with.
pub(super) fn seal_key(loaded: &Loaded) -> Result<SealKey, Stop> {
    keys::seal_key(&loaded.configuration.audit.seal_key)
        .map_err(|error| Stop::configuration(error).with_hint("`portcullis init` makes the journal's keys"))
}

/// `[handles]`.
pub(super) fn handles(loaded: &Loaded) -> HandlePolicy {
    let handles = loaded.configuration.handles;
    HandlePolicy { ttl: handles.ttl, single_use: handles.single_use }
}

/// `[ssh]`.
pub(super) fn ssh(loaded: &Loaded) -> SshSettings {
    SshSettings {
        known_hosts: loaded.configuration.known_hosts.clone(),
        insecure_hostkey: loaded.configuration.insecure.contains(&Insecure::Hostkey),
        ..SshSettings::default()
    }
}

/// Every `[[credential_source]]`, opened.
pub(super) fn sources(
    loaded: &Loaded,
    around: &Surroundings,
) -> Result<BTreeMap<String, Arc<dyn CredentialSource>>, Stop> {
    let anybody = loaded.configuration.insecure.contains(&Insecure::Tls);
    let built = loaded.configuration.sources.iter().map(|source| {
        let surroundings = sources::Surroundings {
            clock: Arc::clone(&around.clock),
            entropy: Arc::clone(&around.entropy),
            state: &loaded.configuration.state,
            environment: sources::process_environment(),
            passphrase: &|| around.passphrases.of(&source.name),
        };
        sources::build(&source_spec(source, anybody), &surroundings)
            .map(|opened| (source.name.clone(), opened))
            .inspect_err(|_| around.passphrases.forget(&source.name))
            .map_err(source_not_opened)
    });
    built.collect()
}

fn source_spec(source: &SourceConfig, believes_anybody: bool) -> SourceSpec {
    let kind = match &source.kind {
        config::SourceKind::Keystore { file, master_key } => {
            SourceKind::Keystore { file: file.clone(), master_key: keys::master_key(master_key) }
        }
        config::SourceKind::Folder { paths } => SourceKind::Folder { paths: paths.clone() },
        config::SourceKind::Env { prefix } => SourceKind::Env { prefix: prefix.clone() },
        config::SourceKind::Command { argv, timeout } => {
            SourceKind::Command { argv: argv.clone(), env: BTreeMap::new(), timeout: *timeout }
        }
        config::SourceKind::Ccp(ccp) => SourceKind::Ccp(Box::new(ccp::settings(ccp, believes_anybody))),
    };
    let fetch = match source.fetch {
        config::Fetch::AtUse => FetchTime::AtUse,
        config::Fetch::AtIssue => FetchTime::AtIssue,
    };
    SourceSpec { name: source.name.clone(), fetch, kind }
}

/// Compiles the rules against every tool and verb there is.
pub(crate) fn compile(loaded: &Loaded) -> Result<(Snapshot, Vec<Diagnostic>), Diagnostics> {
    let verbs = verbs::facts();
    let names = verbs
        .iter()
        .filter_map(|verb| verb.name.as_str().strip_prefix("operator:"))
        .map(str::to_owned)
        .collect();
    loaded.compile(tool_facts().chain(verbs).collect(), names)
}

/// What policy needs to know of every tool.
pub(crate) fn tool_facts() -> impl Iterator<Item = ToolFacts> {
    let facts = |tool: &Arc<dyn Tool>| {
        let ToolSpec { name, set, tier, .. } = tool.spec();
        ToolFacts { name: name.clone(), set: set.clone(), tier: *tier }
    };
    Catalogue::new().tools().map(facts).collect::<Vec<_>>().into_iter()
}

/// Everything that is swapped whole.
pub(super) fn live(loaded: &Loaded, snapshot: Snapshot) -> Live {
    let configuration = &loaded.configuration;
    Live {
        directory: directory(loaded),
        inventory: loaded.inventory.clone(),
        snapshot: Arc::new(snapshot),
        sources: configuration.sources.iter().map(|source| source.name.clone()).collect(),
        limits: configuration.limits,
        network: configuration.network.clone(),
    }
}

fn directory(loaded: &Loaded) -> Directory {
    let entries = loaded.configuration.principals.iter().map(|principal| Entry {
        principal: Arc::new(Principal { id: principal.id.clone(), groups: principal.groups.clone() }),
        api_keys: principal.api_keys.iter().map(|hash| hash.as_str().to_owned()).collect(),
        certificate: principal.certificate_san.clone(),
        from: principal.from.clone(),
        os_user: principal.os_user.clone(),
        keyless: principal.keyless,
    });
    Directory::new(entries.collect())
}
