//! What is counted of upstreams. Labels are names that the operator wrote and words of ours.

use std::sync::OnceLock;

use metrics::{Counter, counter, gauge};
use model::UpstreamName;

use crate::fault::Fault;
use crate::link::Answered;

/// Counts the calls of one upstream.
#[derive(Default)]
pub(crate) struct Calls {
    /// Looked up once, and not before the application has installed its recorder.
    done: OnceLock<Counter>,
}

impl Calls {
    /// A call was sent, and this came of it.
    pub(crate) fn sent(&self, upstream: UpstreamName, answered: &Result<Answered, Fault>) {
        let of = |outcome| counter!("portcullis_upstream_calls_total", "upstream" => upstream.to_string(), "outcome" => outcome);
        match answered {
            Ok(answered) if !answered.is_error => self.done.get_or_init(|| of("answered")).increment(1),
            Ok(_) => of("error").increment(1),
            Err(Fault::Slow(_)) => of("timeout").increment(1),
            Err(Fault::Cancelled) => of("cancelled").increment(1),
            Err(_) => of("failed").increment(1),
        }
    }
}

/// A call was not sent.
pub(crate) fn refused(upstream: UpstreamName, fault: &Fault) {
    let cause = match fault {
        Fault::Busy => "places",
        Fault::Share(_) => "share",
        Fault::OverRate { .. } => "rate",
        Fault::Paused(_) => "paused",
        Fault::Drift => "drift",
        Fault::Down(_) | Fault::Restarted => "down",
        Fault::Ended | Fault::Slow(_) | Fault::Cancelled => return,
        Fault::Protocol(_) | Fault::Refused(_) | Fault::Asks(_) | Fault::Forgotten => return,
    };
    counter!("portcullis_upstream_refused_total", "upstream" => upstream.to_string(), "cause" => cause)
        .increment(1);
}

/// Whether it can be used.
pub(crate) fn up(upstream: UpstreamName, up: bool) {
    gauge!("portcullis_upstream_up", "upstream" => upstream.to_string()).set(if up { 1.0 } else { 0.0 });
}

/// It was started, or calls are not sent any more.
pub(crate) fn happened(upstream: UpstreamName, what: &'static str) {
    counter!("portcullis_upstream_events_total", "upstream" => upstream.to_string(), "event" => what)
        .increment(1);
}
