//! `[[upstream]]`: what is started, and what becomes of its events.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::{OnceLock, Weak};

use async_trait::async_trait;
use audit::{Event, Journal, Origin};
use config::{HttpConfig, Loaded, OAuthConfig, ReachConfig, Setting, UpstreamConfig};
use gateway::Gateway;
use model::{Clock, ErrorCode, Failure, UpstreamName};
use serde_json::{Map, Value, json};
use store::{PinRecord, StateStore};
use tokio::task::JoinSet;
use upstream::{
    EnvValue, HttpSettings, Ledger, Load, Networks, OAuthSettings, Pin, PinBook, Pinning, Pins, Reach,
    UpstreamPool, UpstreamSettings,
};

use super::confine;

/// What the configuration says of them.
pub(super) fn settings(file: &Path, loaded: &Loaded) -> Vec<UpstreamSettings> {
    let guarded = confine::guarded(file, loaded);
    loaded.configuration.upstreams.iter().map(|upstream| one(upstream, &guarded)).collect()
}

fn one(upstream: &UpstreamConfig, guarded: &[PathBuf]) -> UpstreamSettings {
    UpstreamSettings {
        name: upstream.name,
        reach: match &upstream.reach {
            ReachConfig::Program { command, env, folder, sandbox } => Reach::Program {
                command: command.clone(),
                env: values(env),
                folder: folder.clone(),
                sandbox: confine::settings(sandbox, guarded),
            },
            ReachConfig::Http(http) => Reach::Http(Box::new(over_http(http))),
        },
        tools: upstream.tools.clone(),
        tier: upstream.tier.clone(),
        timeout: upstream.timeout,
        load: Load {
            concurrent: upstream.max_concurrent,
            of_one_principal: upstream.max_concurrent_per_principal,
            per_minute: upstream.calls_per_minute,
        },
        pin: match upstream.pin {
            config::Pinning::Strict => Pinning::Strict,
            config::Pinning::Warn => Pinning::Warn,
            config::Pinning::Off => Pinning::Off,
        },
        client_requests: upstream.client_requests,
        required: upstream.required,
    }
}

fn over_http(http: &HttpConfig) -> HttpSettings {
    HttpSettings {
        url: http.url.clone(),
        bearer: http.bearer.clone(),
        oauth: http.oauth.as_ref().map(oauth),
        headers: values(&http.headers),
        ca: http.ca.clone(),
        identity: http.identity.clone(),
        networks: Networks { allow: http.allow.clone(), block: http.block.clone() },
    }
}

fn oauth(oauth: &OAuthConfig) -> OAuthSettings {
    OAuthSettings {
        issuer: oauth.issuer.clone(),
        token_url: oauth.token_url.clone(),
        client_id: oauth.client_id.clone(),
        client_secret: oauth.client_secret.clone(),
        in_body: oauth.in_body,
        scopes: oauth.scopes.clone(),
        resource: oauth.resource.clone(),
        resource_metadata: oauth.resource_metadata,
    }
}

fn values(settings: &BTreeMap<String, Setting>) -> Vec<(String, EnvValue)> {
    let value = |setting: &Setting| match setting {
        Setting::Plain(text) => EnvValue::Plain(text.clone()),
        Setting::Secret(location) => EnvValue::Secret(location.clone()),
    };
    settings.iter().map(|(name, setting)| (name.clone(), value(setting))).collect()
}

/// The journal, for events of upstreams.
pub(super) struct JournalLedger(pub(super) Journal);

#[async_trait]
impl Ledger for JournalLedger {
    async fn record(
        &self,
        event: &'static str,
        upstream: UpstreamName,
        mut fields: Map<String, Value>,
    ) -> Result<(), Failure> {
        fields.insert("upstream".to_owned(), json!(upstream.as_str()));
        let event = Event { event, principal: None, origin: Origin::default(), tool: None, fields };
        self.0.event(event).await.map_err(|error| {
            tracing::error!(%error, %upstream, "an event of an upstream could not be recorded");
            Failure::new(ErrorCode::AuditUnavailable, "the record could not be written")
        })
    }
}

/// The state store, for accepted definitions.
pub(super) struct StorePins {
    pub(super) store: Arc<dyn StateStore>,
    pub(super) clock: Arc<dyn Clock>,
}

#[async_trait]
impl PinBook for StorePins {
    async fn pins(&self, upstream: UpstreamName) -> Result<Pins, Failure> {
        let store = Arc::clone(&self.store);
        let records = blocking(move || store.pins(upstream)).await?;
        let pin = |record: PinRecord| {
            let pin = Pin::of_form(record.definition.into());
            if *pin.hash() == record.hash { Some((record.tool, pin)) } else { None }
        };
        // What is not as it was written was accepted by nobody.
        Ok(records.into_iter().filter_map(pin).collect())
    }

    async fn keep(&self, upstream: UpstreamName, pins: Pins, gone: Vec<String>) -> Result<(), Failure> {
        let (store, accepted) = (Arc::clone(&self.store), self.clock.now());
        let record = |(tool, pin): (String, Pin)| PinRecord {
            tool,
            hash: *pin.hash(),
            definition: pin.form().to_string(),
            accepted,
        };
        let records: Vec<PinRecord> = pins.into_iter().map(record).collect();
        blocking(move || store.pin(upstream, &records, &gone)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, store::StoreError> + Send + 'static,
) -> Result<T, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(ErrorCode::Internal, "the accepted definitions cannot be read or written")
            .with_internal(error.to_string())
    };
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| failed(&error))?;
    done.map_err(|error| {
        tracing::error!(%error, "accepted definitions cannot be read or written");
        failed(&error)
    })
}

/// Tells clients when upstreams offer something else.
pub(super) fn follow(chores: &mut JoinSet<()>, pool: &UpstreamPool, gateway: &Arc<OnceLock<Weak<Gateway>>>) {
    let (mut changes, gateway) = (pool.changes(), Arc::clone(gateway));
    chores.spawn(async move {
        while changes.changed().await.is_ok() {
            if let Some(gateway) = gateway.get().and_then(Weak::upgrade) {
                gateway.offer_changed();
            }
        }
    });
}
