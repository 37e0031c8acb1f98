//! Keys that lie outside the state: from where the configuration says to what opens or signs.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use audit::{SealKey, SigningKey};
use config::KeyLocation;
use model::Secret;
use sources::{MasterKeyError, MasterKeyLocation};
use zeroize::Zeroizing;

/// The same place in the words of the credential sources.
pub(crate) fn master_key(location: &KeyLocation) -> MasterKeyLocation {
    match location {
        KeyLocation::File(path) => MasterKeyLocation::File(path.clone()),
        KeyLocation::Env(name) => MasterKeyLocation::Env(name.clone()),
        KeyLocation::Systemd(name) => MasterKeyLocation::Systemd(name.clone()),
        KeyLocation::Prompt => MasterKeyLocation::Prompt,
    }
}

/// The key that signs the journal's heads.
pub(crate) fn signing_key(location: &KeyLocation) -> Result<SigningKey, String> {
    read(location, SigningKey::load, SigningKey::parse)
}

/// The key that seals command lines in the journal.
pub(crate) fn seal_key(location: &KeyLocation) -> Result<SealKey, String> {
    read(location, SealKey::load, SealKey::parse)
}

/// The passphrases of keystores: each is asked for once, so that neither a reload nor a verb asks again.
#[derive(Default)]
pub(crate) struct Passphrases(Mutex<BTreeMap<String, Secret<String>>>);

impl Passphrases {
    /// The passphrase of this keystore, asked for if there is a terminal to ask on.
    pub(crate) fn of(&self, keystore: &str) -> Result<Secret<String>, MasterKeyError> {
        if let Some(passphrase) = self.lock().get(keystore) {
            return Ok(passphrase.duplicate());
        }
        Ok(self.keep(keystore, ask(&format!("Passphrase of the keystore `{keystore}`: "))?))
    }

    /// A passphrase for a keystore that is to be made, asked for twice.
    pub(crate) fn for_new(&self, keystore: &str) -> Result<Secret<String>, MasterKeyError> {
        let passphrase = ask(&format!("Passphrase for the new keystore `{keystore}`: "))?;
        if *passphrase != *ask("Once more: ")? {
            return Err(MasterKeyError::Mistyped);
        }
        Ok(self.keep(keystore, passphrase))
    }

    fn keep(&self, keystore: &str, mut typed: Zeroizing<String>) -> Secret<String> {
        let passphrase = Secret::new(std::mem::take(&mut *typed));
        self.lock().insert(keystore.to_owned(), passphrase.duplicate());
        passphrase
    }

    /// Forgets one that did not open its keystore.
    pub(crate) fn forget(&self, keystore: &str) {
        self.lock().remove(keystore);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Secret<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asked on the terminal itself: standard input may carry a secret or MCP.
fn ask(question: &str) -> Result<Zeroizing<String>, MasterKeyError> {
    if !std::io::stderr().is_terminal() {
        return Err(MasterKeyError::NobodyToAsk);
    }
    rpassword::prompt_password(question).map(Zeroizing::new).map_err(|_| MasterKeyError::NobodyToAsk)
}

fn read<K>(
    location: &KeyLocation,
    load: impl Fn(&Path) -> Result<K, audit::KeyError>,
    parse: impl Fn(&str) -> Result<K, audit::KeyError>,
) -> Result<K, String> {
    match location {
        KeyLocation::File(path) => load(path).map_err(|error| error.to_string()),
        KeyLocation::Systemd(name) => {
            let folder = std::env::var_os("CREDENTIALS_DIRECTORY")
                .ok_or_else(|| format!("systemd credential `{name}`: `$CREDENTIALS_DIRECTORY` is not set"))?;
            load(&PathBuf::from(folder).join(name)).map_err(|error| error.to_string())
        }
        KeyLocation::Env(name) => {
            let text = std::env::var(name)
                .map(Zeroizing::new)
                .map_err(|_| format!("variable `{name}` is not set, or no text"))?;
            parse(&text).map_err(|error| format!("variable `{name}`: {error}"))
        }
        KeyLocation::Prompt => {
            Err("a key of the journal cannot be asked for: the gateway must be able to start alone"
                .to_owned())
        }
    }
}
