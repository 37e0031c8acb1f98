//! An upstream that runs and fails: it is left alone, asked by us, and used again when it answers.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, json};
use wire::{Era, ProtocolVersion};

use crate::fault::Fault;
use crate::keeper::{Around, Keeper};
use crate::link::Link;
use crate::measure;

/// How long it has for an answer to our question.
const PATIENCE: Duration = Duration::from_secs(10);
/// Questions without an answer before it is started anew.
const QUESTIONS: u32 = 3;

impl Keeper {
    /// Calls are not sent any more, for this reason: asks it itself after this pause, until it answers. A failure is why it is
    /// of no more use.
    pub(crate) async fn recover(
        &self,
        around: &Around,
        link: &Arc<Link>,
        version: ProtocolVersion,
        (why, mut pause): (String, Duration),
    ) -> Result<(), String> {
        let upstream = self.name();
        tracing::warn!(%upstream, seconds = pause.as_secs(), "it is sent no calls until it answers the gateway: {why}");
        self.told(around, "upstream_paused", Map::from_iter([("reason".to_owned(), json!(why))])).await;
        for _ in 0..QUESTIONS {
            tokio::time::sleep(pause).await;
            if self.breaker().why().is_none() {
                // A call that was under way has come to an end.
                return self.resumed(around).await;
            }
            match ask(link, version).await {
                Ok(()) => {
                    self.breaker().answered();
                    return self.resumed(around).await;
                }
                Err(fault) => {
                    tracing::info!(%upstream, "it does not answer the gateway: {}", fault.of_call_alone())
                }
            }
            pause *= 2;
        }
        Err(format!("it answers nothing: {why}"))
    }

    async fn resumed(&self, around: &Around) -> Result<(), String> {
        tracing::info!(upstream = %self.name(), "it answers, and is sent calls again");
        self.told(around, "upstream_resumed", Map::new()).await;
        Ok(())
    }

    /// Where it cannot be written down nothing is sent anyway.
    async fn told(&self, around: &Around, event: &'static str, fields: Map<String, serde_json::Value>) {
        measure::up(self.name(), self.down().is_none());
        measure::happened(self.name(), event);
        let _ = around.ledger.record(event, self.name(), fields).await;
    }
}

/// Asks whether it is there. An error is an answer.
async fn ask(link: &Arc<Link>, version: ProtocolVersion) -> Result<(), Fault> {
    let (method, params) = match version.era() {
        Era::Legacy => ("ping", "{}".to_owned()),
        Era::Modern => ("server/discover", wire::discover_params(version)),
    };
    link.request(method, params, PATIENCE).await.map(drop)
}
