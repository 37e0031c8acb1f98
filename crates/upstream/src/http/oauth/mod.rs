//! OAuth client credentials: a token of the authorization server that the operator named, fetched at the start, renewed before it
//! ends and once when it is refused.
//!
//! What an upstream says when it refuses does not count: where tokens come from, and so who is shown the secret, is the operator's
//! to say.

mod authority;
mod token;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use broker::{Broker, Standing};
use http::HeaderValue;
use model::{Secret, UpstreamName};
use tokio::time::Instant;

use super::ask::ask;
use super::remote::secret;
use crate::settings::{HttpSettings, OAuthSettings};
use authority::Authority;

/// How long before its end a token is renewed, at most; a short one is renewed after three quarters of its time.
const MARGIN: Duration = Duration::from_secs(60);
/// How long after a failure nobody is asked again.
const REST: Duration = Duration::from_secs(1);

/// The right to ask for tokens, and the one that there is.
pub(super) struct Grant {
    upstream: UpstreamName,
    settings: HttpSettings,
    oauth: OAuthSettings,
    broker: Arc<Broker>,
    authority: Authority,
    /// Other secrets of the upstream: what it says must hold none of them either.
    others: Vec<Secret<String>>,
    standing: Arc<Standing>,
    held: Mutex<Option<Held>>,
    /// Held by whoever asks for one: one does it for all. When and why it failed last.
    asking: tokio::sync::Mutex<Option<(Instant, String)>>,
}

struct Held {
    token: Secret<String>,
    shown: Shown,
    renew: Option<Instant>,
    end: Option<Instant>,
}

/// A token as it is shown.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) header: HeaderValue,
    /// Which it is.
    pub(super) serial: u64,
}

impl Grant {
    /// With a first token; says why there is none.
    pub(super) async fn new(
        upstream: UpstreamName,
        settings: &HttpSettings,
        oauth: &OAuthSettings,
        broker: &Arc<Broker>,
        others: Vec<Secret<String>>,
    ) -> Result<Self, String> {
        let grant = Self {
            upstream,
            settings: settings.clone(),
            oauth: oauth.clone(),
            broker: Arc::clone(broker),
            authority: authority::find(settings, oauth).await?,
            standing: Arc::new(Standing::new(&others)),
            others,
            held: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        };
        grant.show(None).await?;
        Ok(grant)
    }

    /// What finds every token that was shown of late, and the other secrets.
    pub(super) fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// The token to be shown now: another than the one with the serial number `refused`.
    pub(super) async fn show(&self, refused: Option<u64>) -> Result<Shown, String> {
        if let Some(shown) = self.fresh(refused) {
            return Ok(shown);
        }
        let mut asking = self.asking.lock().await;
        if let Some(shown) = self.fresh(refused) {
            return Ok(shown);
        }
        let failed = asking.as_ref().filter(|(when, _)| when.elapsed() < REST).map(|(_, why)| why.clone());
        let why = match failed {
            Some(why) => why,
            None => match self.fetch().await {
                Ok(shown) => {
                    *asking = None;
                    return Ok(shown);
                }
                Err(why) => {
                    tracing::warn!(upstream = %self.upstream, "there is no new token: {why}");
                    *asking = Some((Instant::now(), why.clone()));
                    why
                }
            },
        };
        refused.is_none().then(|| self.still_good()).flatten().ok_or(why)
    }

    fn fresh(&self, refused: Option<u64>) -> Option<Shown> {
        let held = self.held();
        let held = held.as_ref()?;
        let due = held.renew.is_some_and(|renew| renew <= Instant::now());
        (!due && refused != Some(held.shown.serial)).then(|| held.shown.clone())
    }

    fn still_good(&self) -> Option<Shown> {
        let held = self.held();
        let held = held.as_ref()?;
        held.end.is_none_or(|end| Instant::now() < end).then(|| held.shown.clone())
    }

    /// Asks for a token. Before anybody sees it, answers are looked through for it.
    async fn fetch(&self) -> Result<Shown, String> {
        let Authority { endpoint, written, resource } = &self.authority;
        let secret = secret(self.upstream, &self.oauth.client_secret, &self.broker).await?;
        let request = token::request(&self.oauth, endpoint, resource, &secret)?;
        let (status, body) = ask(request, &self.settings, *written).await?;
        let given = token::read(status, &body)?;
        let now = Instant::now();
        let mut header = HeaderValue::try_from(format!("Bearer {}", given.token.expose()))
            .map_err(|_| "the token fits no header".to_owned())?;
        header.set_sensitive(true);
        let mut held = self.held();
        let before = held.take();
        let serial = before.as_ref().map_or(1, |before| before.shown.serial + 1);
        let tokens = [&secret, &given.token].into_iter().chain(before.as_ref().map(|before| &before.token));
        self.standing.renew(self.others.iter().chain(tokens));
        let shown = Shown { header, serial };
        let renew = given.life.map(|life| now + (life - MARGIN.min(life / 4)));
        let end = given.life.map(|life| now + life);
        *held = Some(Held { token: given.token, shown: shown.clone(), renew, end });
        Ok(shown)
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
