//! `[listen]`: the front over HTTP, and what of it follows a reload.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::Path;
use std::sync::{Arc, Weak};

use config::{Configuration, Loaded, PrincipalConfig, TlsFiles};
use gateway::{Proof, SystemClock, SystemEntropy};
use mcp::{Alone, Front, FrontConfig, HostRules, HttpLimits, Parts, SessionLimits, TlsError, TlsMaterial};
use metrics_exporter_prometheus::PrometheusBuilder;

use super::Portcullis;
use super::reloader::Apply;
use crate::failure::Stop;

/// Binds the listeners of the configuration and serves.
pub(crate) async fn front(portcullis: &Portcullis) -> Result<Arc<Front>, Stop> {
    let in_force = portcullis.in_force.load_full();
    start(portcullis, configuration(&in_force.loaded).map_err(Stop::configuration)?).await
}

/// What is otherwise where another program is stood in for.
pub(crate) struct Elsewhere {
    /// The one address.
    pub(crate) http: SocketAddr,
    /// What `Host` may say beside loopback names.
    pub(crate) hosts: HostRules,
    /// The one upstream.
    pub(crate) alone: Arc<Alone>,
}

/// The same with another address, other hosts, and one upstream alone.
pub(crate) async fn front_for(portcullis: &Portcullis, other: Elsewhere) -> Result<Arc<Front>, Stop> {
    let in_force = portcullis.in_force.load_full();
    let config = configuration(&in_force.loaded).map_err(Stop::configuration)?;
    // All clients are one principal.
    let sessions = SessionLimits { per_principal: config.sessions.total, ..config.sessions };
    let (http, alone) = (vec![other.http], Some(other.alone));
    start(
        portcullis,
        FrontConfig { http, alone, hosts: other.hosts, has_principals: true, sessions, ..config },
    )
    .await
}

async fn start(portcullis: &Portcullis, config: FrontConfig) -> Result<Arc<Front>, Stop> {
    let metrics = PrometheusBuilder::new().install_recorder().map_err(Stop::failed)?;
    let parts = Parts {
        gate: Arc::clone(&portcullis.gateway) as Arc<_>,
        clock: Arc::new(SystemClock::new(&SystemEntropy).map_err(Stop::failed)?),
        entropy: Arc::new(SystemEntropy),
        metrics: Arc::new(move || {
            metrics.run_upkeep();
            metrics.render()
        }),
    };
    let front = Arc::new(Front::start(config, parts).await.map_err(Stop::failed)?);
    let follower = Arc::downgrade(&front);
    portcullis.reload.follow(move |loaded| follow(&follower, loaded));
    Ok(front)
}

/// Reads the certificates again, for connections made from now on; on an error the old ones stay.
pub(crate) fn renew_certificates(front: &Front, configuration: &Configuration) -> Result<(), String> {
    if let Some(files) = &configuration.listen.tls {
        front.reload_tls(tls(files).map_err(|fault| fault.to_string())?);
    }
    Ok(())
}

fn configuration(loaded: &Loaded) -> Result<FrontConfig, String> {
    let listen = &loaded.configuration.listen;
    Ok(FrontConfig {
        http: vec![listen.http],
        metrics: listen.metrics,
        tls: listen.tls.as_ref().map(tls).transpose().map_err(|fault| fault.to_string())?,
        trusted_proxies: listen.behind_proxy.then(|| listen.trusted_proxies.clone()),
        hosts: hosts(loaded)?,
        has_principals: loaded
            .configuration
            .principals
            .iter()
            .any(|principal| !principal.api_keys.is_empty() || principal.certificate_san.is_some()),
        lanes: lanes(),
        alone: None,
        limits: HttpLimits::default(),
        sessions: SessionLimits::default(),
    })
}

/// As many as can run at once.
fn lanes() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Everything that can fail comes first; what is returned only swaps.
fn follow(front: &Weak<Front>, loaded: &Loaded) -> Result<Apply, String> {
    let (front, new) = (front.clone(), configuration(loaded)?);
    let principals = loaded.configuration.principals.clone();
    Ok(Box::new(move || {
        let Some(front) = front.upgrade() else { return };
        if let Some(tls) = new.tls {
            front.reload_tls(tls);
        }
        front.reload_hosts(new.hosts);
        front.reload_proxies(new.trusted_proxies);
        front.retain_sessions(|id, proof| {
            principals.iter().any(|principal| principal.id == *id && still_proves(principal, proof))
        });
    }))
}

/// Whether what a session was begun with is still a proof of this principal.
fn still_proves(principal: &PrincipalConfig, proof: &Proof) -> bool {
    let has_key = |key: &str| principal.api_keys.iter().any(|hash| hash.as_str() == key);
    let has_name = |name: &str| principal.certificate_san.as_deref() == Some(name);
    proof.api_key.as_deref().is_none_or(has_key) && proof.certificate.as_deref().is_none_or(has_name)
}

fn hosts(loaded: &Loaded) -> Result<HostRules, String> {
    let listen = &loaded.configuration.listen;
    let hosts: Vec<String> = listen.allowed_hosts.iter().cloned().collect();
    let origins: Vec<String> = listen.allowed_origins.iter().cloned().collect();
    HostRules::parse(&hosts, &origins).map_err(|error| error.to_string())
}

/// What is wrong with the files of `[listen.tls]`, and the key that names the one at fault.
pub(super) struct TlsFault {
    pub(super) key: &'static str,
    pub(super) why: String,
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`listen.tls.{}`: {}", self.key, self.why)
    }
}

pub(super) fn tls(files: &TlsFiles) -> Result<TlsMaterial, TlsFault> {
    let read = |key, path: &Path| {
        let why = |error| format!("`{}` cannot be read: {error}", path.display());
        std::fs::read(path).map_err(|error| TlsFault { key, why: why(error) })
    };
    let cert = read("cert", &files.cert)?;
    let key = read("key", &files.key)?;
    let client_ca = files.client_ca.as_deref().map(|path| read("client_ca", path)).transpose()?;
    TlsMaterial::from_pem(&cert, &key, client_ca.as_deref()).map_err(|error| {
        let key = match &error {
            TlsError::Certificate(_) => "cert",
            // Of two that do not fit, the key is the one that says nothing about itself.
            TlsError::Key(_) | TlsError::Unusable(_) => "key",
            TlsError::ClientAuthority(_) => "client_ca",
        };
        TlsFault { key, why: error.to_string() }
    })
}
