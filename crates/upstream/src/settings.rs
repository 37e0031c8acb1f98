//! What the configuration says of an upstream.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use model::{Abilities, SecretLocation, Tier, UpstreamName};

use crate::pins::Pinning;
use crate::sandbox::{Confinement, Machine, SandboxSettings};

/// An upstream as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Its name.
    pub name: UpstreamName,
    /// How it is reached.
    pub reach: Reach,
    /// The tools that may be used; `None` is all.
    pub tools: Option<BTreeSet<String>>,
    /// Tiers of tools that are not `dangerous`.
    pub tier: BTreeMap<String, Tier>,
    /// How long a call may take.
    pub timeout: Option<Duration>,
    /// How many calls it is sent.
    pub load: Load,
    /// What becomes of tools whose definitions nobody accepted.
    pub pin: Pinning,
    /// What it may ask clients.
    pub client_requests: Abilities,
    /// Whether the gateway is unhealthy without it.
    pub required: bool,
}

/// How many calls an upstream is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Calls that may be under way.
    pub concurrent: usize,
    /// Of these, calls of one principal.
    pub of_one_principal: usize,
    /// Calls in a minute, of all principals together.
    pub per_minute: Option<u32>,
}

/// How an upstream is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// By its standard input and output.
    Program {
        /// Program and arguments; no shell.
        command: Vec<String>,
        /// The program's whole environment.
        env: Vec<(String, EnvValue)>,
        /// Where it runs.
        folder: PathBuf,
        /// What keeps it from what is the gateway's.
        sandbox: SandboxSettings,
    },
    /// Over HTTP.
    Http(Box<HttpSettings>),
}

/// A server that is reached over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// Its endpoint: `https`, or `http` to loopback.
    pub url: String,
    /// What is sent as `Authorization: Bearer`.
    pub bearer: Option<SecretLocation>,
    /// Who gives tokens for it, in the place of `bearer`.
    pub oauth: Option<OAuthSettings>,
    /// Headers of every request.
    pub headers: Vec<(String, EnvValue)>,
    /// Whom it must have its certificate from, PEM; else anybody whom the system trusts.
    pub ca: Option<PathBuf>,
    /// The gateway's own certificate with its chain, and its key, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Where it may lie.
    pub networks: Networks,
}

/// OAuth client credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthSettings {
    /// Who gives tokens, as it calls itself. Asked where it does so, unless that is written.
    pub issuer: Option<String>,
    /// Where tokens are given.
    pub token_url: Option<String>,
    /// Who we are for it.
    pub client_id: String,
    /// What proves it.
    pub client_secret: SecretLocation,
    /// Whether the secret is sent in the body of the request, and not in its head.
    pub in_body: bool,
    /// What the token is to be good for.
    pub scopes: Vec<String>,
    /// What the token is to be good at; `url` unless it is written.
    pub resource: Option<String>,
    /// Whether the upstream is asked what it is called as a resource, and must name the issuer.
    pub resource_metadata: bool,
}

/// Which addresses may be dialled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    /// These and no others; else every public address.
    pub allow: Option<Vec<IpNet>>,
    /// None of these, whatever else is said.
    pub block: Vec<IpNet>,
}

/// The value of an environment variable or a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// What everybody may read.
    Plain(String),
    /// A secret, by where it is written down; fetched at each start.
    Secret(SecretLocation),
}

impl UpstreamSettings {
    pub(crate) fn lists(&self, tool: &str) -> bool {
        self.tools.as_ref().is_none_or(|listed| listed.contains(tool))
    }

    /// What its program is confined by, or that it cannot be; `None` if it is no program.
    pub(crate) fn confinement(&self) -> Option<String> {
        let Reach::Program { sandbox, .. } = &self.reach else { return None };
        let confinement = Confinement::of(sandbox, self.name, Machine::look());
        Some(confinement.map_or_else(|_| "refused".to_owned(), |confinement| confinement.to_string()))
    }

    pub(crate) fn tier_of(&self, tool: &str) -> Tier {
        self.tier.get(tool).copied().unwrap_or(Tier::Dangerous)
    }
}
