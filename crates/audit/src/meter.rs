//! Failed authentications, written down without letting strangers fill the disk or stall the gate.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::{Event, Journal, Origin};

/// Sources told apart within one second; the failures of all others are counted together.
const SOURCES: usize = 64;
/// Entries that may be written in a burst.
const BURST: u32 = 300;
/// Entries per second that may be written for ever: at most 40 MB a day.
const SUSTAINED: u32 = 1;

/// Counts failed authentications by source and second and gives them out as few entries as its budget allows.
/// It never waits: counting is a short lock, and the task that writes is not the task that answers.
#[derive(Debug)]
pub struct AuthFailureMeter {
    counts: Mutex<Counts>,
}

/// Address, transport, and what was wrong.
type Source = (Option<IpAddr>, &'static str, &'static str);

#[derive(Debug, Default)]
struct Counts {
    by_source: BTreeMap<Source, u64>,
    /// Failures of sources beyond [`SOURCES`], and of seconds beyond the budget.
    others: u64,
    budget: u32,
}

impl Default for AuthFailureMeter {
    fn default() -> Self {
        Self::new()
    }
}

impl AuthFailureMeter {
    /// Nothing counted.
    pub fn new() -> Self {
        Self { counts: Mutex::new(Counts { budget: BURST, ..Counts::default() }) }
    }

    /// Counts one failure, and why it is one. IPv6 addresses count by their /64, which is what one stranger has.
    pub fn count(&self, source: Option<IpAddr>, transport: &'static str, why: &'static str) {
        let source = (source.map(network), transport, why);
        let mut counts = self.lock();
        if counts.by_source.len() < SOURCES || counts.by_source.contains_key(&source) {
            let count = counts.by_source.entry(source).or_default();
            *count = count.saturating_add(1);
        } else {
            counts.others = counts.others.saturating_add(1);
        }
    }

    /// Takes what was counted since the last call, as entries; to be called once a second.
    pub fn drain(&self) -> Vec<Event> {
        let mut counts = self.lock();
        counts.budget = counts.budget.saturating_add(SUSTAINED).min(BURST);
        let mut events = Vec::new();
        for ((source, transport, why), count) in std::mem::take(&mut counts.by_source) {
            if counts.budget > SUSTAINED {
                counts.budget -= 1;
                events.push(event(source, transport, count, Some(why)));
            } else {
                counts.others = counts.others.saturating_add(count);
            }
        }
        if counts.others > 0 && counts.budget > 0 {
            counts.budget -= 1;
            events.push(event(
                None,
                "",
                std::mem::take(&mut counts.others),
                Some("sources beyond the budget"),
            ));
        }
        events
    }

    /// Writes what is counted, each second, until it is dropped. Runs beside the calls of principals and asks
    /// for one entry at a time.
    pub async fn run(&self, journal: &Journal) {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            second.tick().await;
            self.flush(journal).await;
        }
    }

    /// Writes what is counted now; for the end. What could not be written is counted on.
    pub async fn flush(&self, journal: &Journal) {
        let mut unwritten = Unwritten { meter: self, events: self.drain().into() };
        while let Some(event) = unwritten.events.front() {
            if let Err(error) = journal.event(event.clone()).await {
                tracing::warn!(%error, "failed authentications could not be recorded");
                return;
            }
            unwritten.events.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Entries on their way; those that do not get there, also because the task ends, are counted again.
struct Unwritten<'a> {
    meter: &'a AuthFailureMeter,
    events: VecDeque<Event>,
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        let left =
            self.events.iter().filter_map(|event| event.fields.get("count").and_then(Value::as_u64)).sum();
        let mut counts = self.meter.lock();
        counts.others = counts.others.saturating_add(left);
    }
}

fn event(source: Option<IpAddr>, transport: &'static str, count: u64, why: Option<&str>) -> Event {
    let mut fields = Map::from_iter([
        ("count".to_owned(), json!(count)),
        ("decision".to_owned(), json!("denied")),
        ("error_code".to_owned(), json!(model::ErrorCode::AuthFailed.as_str())),
    ]);
    fields.extend(why.map(|why| ("reason".to_owned(), Value::from(why))));
    let origin = Origin { client_ip: source, transport, ..Origin::default() };
    Event { event: "auth_failure", principal: None, origin, tool: None, fields }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}
