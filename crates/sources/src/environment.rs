//! Credentials in the gateway's environment variables.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;

use async_trait::async_trait;
use broker::{Credential, CredentialSource, Fetch, SECRET_MAX, VersionKey};
use model::{CredentialRef, Failure};
use zeroize::Zeroizing;

use crate::assemble::assemble;
use crate::names::{invalid, not_found, plain_text, refused};

/// How variables are looked up.
pub type Environment = Arc<dyn Fn(&str) -> Option<OsString> + Send + Sync>;

/// The variables of this process.
pub fn process_environment() -> Environment {
    Arc::new(|name| std::env::var_os(name))
}

/// What a variable's name ends in when it holds something about another one.
const COMPANIONS: [&str; 3] = ["_USERNAME", "_ADDRESS", "_PASSPHRASE"];

/// Variables of one prefix: `SAFE/OBJECT` is `PREFIX` + `SAFE_OBJECT`, and what belongs to it ends in `_USERNAME`,
/// `_ADDRESS` or `_PASSPHRASE`. A variable without an underscore, `PREFIX` + `OBJECT`, is `-/OBJECT`.
///
/// A safe has the characters `A-Z 0-9`, an object `A-Z 0-9 _`, so that no two names mean one variable: a rule
/// for one name must not open another.
pub struct EnvironmentSource {
    prefix: String,
    environment: Environment,
    versions: VersionKey,
}

impl EnvironmentSource {
    /// A source of the variables that begin with `prefix`, which must not be empty.
    pub fn new(prefix: String, environment: Environment, versions: VersionKey) -> Self {
        Self { prefix, environment, versions }
    }

    fn read(&self, variable: &str) -> Option<Zeroizing<Vec<u8>>> {
        (self.environment)(variable).map(|value| Zeroizing::new(value.into_vec()))
    }

    fn credential(&self, name: &CredentialRef) -> Result<Credential, Failure> {
        let variable = format!("{}{}", self.prefix, variable(name)?);
        let secret = self.read(&variable).ok_or_else(|| not_found(name))?;
        if secret.len() > SECRET_MAX {
            return Err(refused(name, "it is larger than 64 KiB"));
        }
        let text = |what: &str, suffix: &str| match self.read(&format!("{variable}{suffix}")) {
            Some(value) => plain_text(name, what, &value),
            None => Ok(None),
        };
        let username = text("user name", "_USERNAME")?;
        let address = text("address", "_ADDRESS")?;
        let passphrase = self.read(&format!("{variable}_PASSPHRASE"));
        assemble(name, &self.versions, username, address, secret, passphrase)
    }
}

#[async_trait]
impl CredentialSource for EnvironmentSource {
    async fn fetch(&self, fetch: Fetch<'_>) -> Result<Credential, Failure> {
        self.credential(fetch.credential)
    }
}

fn variable(name: &CredentialRef) -> Result<String, Failure> {
    let (safe, object) = (name.safe(), name.object());
    let exact = |text: &str, underscore: bool| {
        text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || (underscore && c == '_'))
    };
    let flat = safe == "-";
    if (!flat && !exact(safe, false)) || !exact(object, !flat) {
        let upper = |text: &str| -> String {
            text.chars()
                .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
                .collect()
        };
        let why = "a safe has the characters `A-Z 0-9`, an object `A-Z 0-9 _` (below the safe `-`: no `_`)";
        let hint =
            format!("the variable's name after the prefix is SAFE_OBJECT, such as `{}`", upper(object));
        return Err(invalid(name, why).with_hint(hint));
    }
    if COMPANIONS.iter().any(|suffix| object.ends_with(suffix) || suffix.strip_prefix('_') == Some(object)) {
        return Err(invalid(name, "`_USERNAME`, `_ADDRESS` and `_PASSPHRASE` belong to another credential"));
    }
    Ok(if flat { object.to_owned() } else { format!("{safe}_{object}") })
}
