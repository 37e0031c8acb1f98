//! From checked configuration to sources.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use broker::{CredentialSource, FetchTime, FetchedAtIssue, VersionKey};
use model::{Clock, Entropy, ErrorCode, Failure, Fault, Secret};

use crate::keystore::{self, KeystoreSource, MasterKeyError, MasterKeyLocation};
use crate::{CcpSettings, CcpSource, CommandSource, Environment, EnvironmentSource, FolderSource};

/// One `[[credential_source]]`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSpec {
    /// Its name, for errors.
    pub name: String,
    /// When the secrets behind handles are fetched.
    pub fetch: FetchTime,
    /// What it is.
    pub kind: SourceKind,
}

/// What a source is. Paths are absolute, or relative to the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// One encrypted file.
    Keystore {
        /// The file.
        file: PathBuf,
        /// Where its master key lies.
        master_key: MasterKeyLocation,
    },
    /// Files below some folders, the first that has one wins. `$CREDENTIALS_DIRECTORY` stands for systemd's folder and is
    /// skipped where there is none.
    Folder {
        /// The folders.
        paths: Vec<PathBuf>,
    },
    /// Variables that begin with a prefix.
    Env {
        /// The prefix; not empty.
        prefix: String,
    },
    /// A program.
    Command {
        /// The program and its arguments; see [`CommandSource`] for what is filled in.
        argv: Vec<String>,
        /// Variables it gets beside `PATH` and `HOME`.
        env: BTreeMap<String, String>,
        /// How long it may take, up to 55 seconds.
        timeout: Duration,
    },
    /// CyberArk's Central Credential Provider.
    Ccp(Box<CcpSettings>),
}

/// What sources need of the world.
pub struct Surroundings<'a> {
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The state folder, where no master key may lie.
    pub state: &'a Path,
    /// The gateway's variables.
    pub environment: Environment,
    /// Asks an operator for a keystore's passphrase; [`MasterKeyError::NobodyToAsk`] where there is none.
    pub passphrase: &'a dyn Fn() -> Result<Secret<String>, MasterKeyError>,
}

/// Builds a source, and opens what it has to open: a keystore is read here for the first time, unless its file has not
/// been made yet.
///
/// Blocks, for a good part of a second if a master key is made from a passphrase. The failure's message is for whoever
/// configures the gateway; it names the source, and its file or variable.
pub fn build(spec: &SourceSpec, around: &Surroundings<'_>) -> Result<Arc<dyn CredentialSource>, Failure> {
    let unusable = |why: &dyn std::fmt::Display| {
        Failure::new(ErrorCode::CredentialSourceDown, format!("credential source `{}`: {why}", spec.name))
            .with_fault(Fault::Us)
    };
    let versions = VersionKey::draw(around.entropy.as_ref()).map_err(|error| unusable(&error))?;
    let environment = Arc::clone(&around.environment);
    let source: Arc<dyn CredentialSource> = match &spec.kind {
        SourceKind::Keystore { file, master_key } => {
            let keystore = keystore::expected(file, master_key, around)
                .map_err(|error| error.explain(unusable(&error)))?;
            let state = around.state.to_owned();
            Arc::new(KeystoreSource::new(keystore, master_key.clone(), state, environment, versions))
        }
        SourceKind::Folder { paths } => {
            let folders: Vec<PathBuf> = paths.iter().filter_map(|path| expand(path, &environment)).collect();
            if folders.is_empty() {
                return Err(unusable(&"none of its `paths` is there: `$CREDENTIALS_DIRECTORY` is not set"));
            }
            Arc::new(FolderSource::new(folders, versions))
        }
        SourceKind::Env { prefix } => {
            if prefix.is_empty() {
                return Err(unusable(&"`prefix` is empty: every variable would be a credential"));
            }
            Arc::new(EnvironmentSource::new(prefix.clone(), environment, versions))
        }
        SourceKind::Command { argv, env, timeout } => {
            if argv.first().is_none_or(|program| program.is_empty() || program.contains('{')) {
                return Err(unusable(&"`command` must begin with a program, written out"));
            }
            Arc::new(CommandSource::new(argv.clone(), env.clone(), *timeout, environment, versions))
        }
        SourceKind::Ccp(settings) => {
            let clock = Arc::clone(&around.clock);
            let source = CcpSource::new(settings.as_ref().clone(), &environment, clock, versions);
            Arc::new(source.map_err(|error| unusable(&error))?)
        }
    };
    Ok(match spec.fetch {
        FetchTime::AtUse => source,
        FetchTime::AtIssue => Arc::new(FetchedAtIssue(source)),
    })
}

fn expand(path: &Path, environment: &Environment) -> Option<PathBuf> {
    let variable = "$CREDENTIALS_DIRECTORY";
    match path.strip_prefix(variable) {
        Ok(rest) => environment("CREDENTIALS_DIRECTORY").map(|folder| Path::new(&folder).join(rest)),
        Err(_) => Some(path.to_owned()),
    }
}
