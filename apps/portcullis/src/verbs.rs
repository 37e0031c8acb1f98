//! Operators' verbs: tools named `operator:VERB` that only the control socket can call.
//!
//! They are permitted, recorded and guarded like every tool. They may name concrete parts (the keystore, known hosts
//! files, the journal's files), which is why they live here and not in the catalogue.

mod audit;
mod health;
mod hostkey;
mod impersonate;
mod reload;
mod secret;
mod target;
mod upstream;
mod verb;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, Weak};

use ::audit::SealKey;
use ::upstream::UpstreamPool;
use arc_swap::ArcSwap;
use broker::CredentialSource;
use config::Loaded;
use gateway::Gateway;
use gateway::control::Tray;
use model::{Clock, Entropy, Failure, Tier};
use policy::ToolFacts;
use tools::Tool;

use crate::keys::Passphrases;

pub(crate) use reload::{By, Reload, Reloaded};

/// What verbs look at and act on.
#[derive(Clone)]
pub(crate) struct VerbParts {
    /// The gateway itself, set as soon as it is built; verbs run only after that.
    pub(crate) gateway: Arc<OnceLock<Weak<Gateway>>>,
    /// Where the secrets of calls wait.
    pub(crate) tray: Arc<Tray>,
    /// What is in force; swapped by whoever reloads.
    pub(crate) in_force: Arc<ArcSwap<InForce>>,
    /// Takes changed files over.
    pub(crate) reload: Arc<dyn Reload>,
    /// Third-party servers.
    pub(crate) upstreams: Arc<UpstreamPool>,
    /// Opens sealed command lines for operators who may read the journal.
    pub(crate) seal_key: Arc<SealKey>,
    /// Passphrases of keystores, where there is somebody to ask.
    pub(crate) passphrases: Arc<Passphrases>,
    /// The clocks.
    pub(crate) clock: Arc<dyn Clock>,
    /// Randomness.
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// Files and sources as they were last taken over.
pub(crate) struct InForce {
    /// What the files say.
    pub(crate) loaded: Loaded,
    /// The sources that were built from them, by name.
    pub(crate) sources: BTreeMap<String, Arc<dyn CredentialSource>>,
}

/// Every verb with its tier: what rules can name, known without a gateway.
const VERBS: [(&str, Tier); 22] = [
    ("operator:audit-query", Tier::Read),
    ("operator:audit-tail", Tier::Read),
    ("operator:health", Tier::Read),
    ("operator:hostkey-ca", Tier::Dangerous),
    ("operator:hostkey-list", Tier::Read),
    ("operator:hostkey-revoke", Tier::Dangerous),
    ("operator:hostkey-trust", Tier::Dangerous),
    ("operator:impersonate", Tier::LowAccess),
    ("operator:reload", Tier::LowAccess),
    ("operator:secret-list", Tier::Read),
    ("operator:secret-rm", Tier::Dangerous),
    ("operator:secret-rotate-master", Tier::Dangerous),
    ("operator:secret-set", Tier::Dangerous),
    ("operator:secret-test", Tier::LowAccess),
    ("operator:target-list", Tier::Read),
    ("operator:target-show", Tier::Read),
    ("operator:target-test", Tier::LowAccess),
    ("operator:upstream-accept", Tier::Dangerous),
    ("operator:upstream-diff", Tier::Read),
    ("operator:upstream-list", Tier::Read),
    ("operator:upstream-restart", Tier::LowAccess),
    ("operator:upstream-tools", Tier::Read),
];

/// What policy needs to know of every verb.
pub(crate) fn facts() -> Vec<ToolFacts> {
    VERBS
        .iter()
        .map(|(name, tier)| ToolFacts { name: verb::name(name), set: verb::set(), tier: *tier })
        .collect()
}

/// All verbs.
pub(crate) fn verbs(parts: &VerbParts) -> Vec<Arc<dyn Tool>> {
    let mut all = vec![
        impersonate::verb(),
        health::verb(Arc::clone(&parts.gateway)),
        reload::verb(Arc::clone(&parts.reload)),
    ];
    all.extend(target::verbs());
    all.extend(secret::verbs(parts));
    all.extend(hostkey::verbs(parts));
    all.extend(audit::verbs(parts));
    all.extend(upstream::verbs(parts));
    all
}

/// A failure that is nobody's fault but the gateway's.
fn ours(error: impl std::fmt::Display) -> Failure {
    Failure::new(model::ErrorCode::Internal, error.to_string())
}
