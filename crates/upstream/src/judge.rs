//! What an upstream lists meets what was accepted: which tools are offered, what is told, what acceptance changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use broker::Standing;
use model::{ErrorCode, Failure, UpstreamName};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::keeper::{Around, Keeper};
use crate::offer::Offer;
use crate::pins::{Pinning, Pins, Verdict};
use crate::review::{Accepted, Neighbour, Review};

/// Tools that one event names; of more it says how many there are.
const NAMED: usize = 50;

/// What was listed last, and what was told of it.
#[derive(Default)]
pub(crate) struct Seen {
    listed: Vec<Box<RawValue>>,
    standing: Option<Arc<Standing>>,
    told: Vec<Value>,
}

impl Keeper {
    /// Takes over what it lists now. A drift is recorded before anybody is offered anything of the list; if it cannot be, why.
    pub(crate) async fn judge(
        self: &Arc<Self>,
        around: &Around,
        listed: Vec<Box<RawValue>>,
        standing: &Arc<Standing>,
    ) -> Result<(), String> {
        let mut seen = self.seen().lock().await;
        let pins = self.pins(around).await.map_err(|failure| failure.message().to_owned())?;
        let offer = Offer::new(self, &listed, &standing.scanner(), &pins);
        let drift = match self.settings().pin {
            Pinning::Off => Vec::new(),
            Pinning::Strict | Pinning::Warn => drift(&offer, &pins),
        };
        if drift != seen.told {
            self.tell(around, &drift).await?;
            seen.told = drift;
        }
        (seen.listed, seen.standing) = (listed, Some(Arc::clone(standing)));
        self.take(offer, &around.changed);
        Ok(())
    }

    async fn tell(&self, around: &Around, drift: &[Value]) -> Result<(), String> {
        if drift.is_empty() {
            return Ok(());
        }
        let (upstream, withheld) = (self.name(), self.settings().pin == Pinning::Strict);
        tracing::warn!(%upstream, tools = drift.len(), withheld, "definitions of its tools are not as they were accepted: look at them with `portcullis upstream diff {upstream}`");
        let named: Vec<&Value> = drift.iter().take(NAMED).collect();
        let fields = Map::from_iter([
            ("tools".to_owned(), json!(named)),
            ("count".to_owned(), json!(drift.len())),
            ("withheld".to_owned(), json!(withheld)),
        ]);
        let recorded = around.ledger.record("upstream_drift", upstream, fields).await;
        recorded.map_err(|_| "a change of its tools cannot be recorded".to_owned())
    }

    /// How its tools compare with what was accepted, for people.
    pub(crate) async fn review(&self, around: &Around, neighbours: &[Neighbour]) -> Result<Review, Failure> {
        let pins = self.pins(around).await?;
        Ok(Review::new(self, &self.offer(), &pins, neighbours))
    }

    /// Accepts definitions: those of the named tools or, without names, all that nobody accepted and that pass for no other
    /// upstream's. `digest` is that of what was looked at: nothing else is accepted.
    pub(crate) async fn accept(
        self: &Arc<Self>,
        around: &Around,
        named: &BTreeSet<String>,
        digest: &str,
        neighbours: &[Neighbour],
    ) -> Result<Accepted, Failure> {
        let seen = self.seen().lock().await;
        let pins = self.pins(around).await?;
        let offer = self.offer();
        let review = Review::new(self, &offer, &pins, neighbours).only(named)?;
        if review.digest() != digest {
            let text =
                format!("the tools of `{}` are not as they were when they were looked at", self.name());
            return Err(Failure::new(ErrorCode::UpstreamDrift, text)
                .with_hint("nothing was accepted; look at them again"));
        }
        let takes = review.takes(!named.is_empty());
        if takes.tools.is_empty() && takes.gone.is_empty() {
            return Ok(takes);
        }
        let new: Pins = offer
            .seen()
            .filter(|seen| takes.tools.contains(seen.tool))
            .map(|seen| (seen.tool.to_owned(), seen.pin.clone()))
            .collect();
        let fields = Map::from_iter([
            (
                "tools".to_owned(),
                new.iter()
                    .take(NAMED)
                    .map(|(tool, pin)| json!({ "tool": tool, "hash": hex::encode(pin.hash()) }))
                    .collect(),
            ),
            ("count".to_owned(), json!(new.len())),
            ("gone".to_owned(), json!(takes.gone)),
        ]);
        around.ledger.record("upstream_accepted", self.name(), fields).await?;
        around.pins.keep(self.name(), new, takes.gone.clone()).await?;
        if let Some(standing) = &seen.standing {
            let pins = self.pins(around).await?;
            self.take(Offer::new(self, &seen.listed, &standing.scanner(), &pins), &around.changed);
        }
        Ok(takes)
    }

    async fn pins(&self, around: &Around) -> Result<Pins, Failure> {
        let name: UpstreamName = self.name();
        around.pins.pins(name).await
    }
}

/// What differs, for the record and to tell whether it was told before.
fn drift(offer: &Offer, pins: &Pins) -> Vec<Value> {
    let differing = offer.seen().filter(|seen| *seen.verdict != Verdict::Accepted).map(|seen| {
        let accepted = match seen.verdict {
            Verdict::Changed(accepted) => json!(hex::encode(accepted.hash())),
            Verdict::New | Verdict::Accepted => Value::Null,
        };
        json!({ "tool": seen.tool, "is": seen.verdict.as_str(), "hash": hex::encode(seen.pin.hash()), "accepted": accepted })
    });
    let gone = offer.gone(pins).map(|tool| json!({ "tool": tool, "is": "gone" }));
    differing.chain(gone).collect()
}
