//! What can go wrong with an upstream, and what an agent is told of it.

use model::{ErrorCode, Failure, UpstreamName};

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does not run at the moment.
    Down(String),
    /// It ended while it had the request.
    Ended,
    /// It was started anew since the call was leased.
    Restarted,
    /// It fails again and again, and is sent nothing for a while.
    Paused(String),
    /// It has as many calls as it may have.
    Busy,
    /// It has as many calls of this principal as of one it may have.
    Share(usize),
    /// It has had as many calls in this minute as it may have.
    OverRate {
        /// How many that is.
        per_minute: u32,
        /// When the next may be sent, in seconds.
        seconds: u64,
    },
    /// It did not answer in time.
    Slow(u64),
    /// The caller gave up.
    Cancelled,
    /// It answered what is no answer.
    Protocol(&'static str),
    /// It answered with an HTTP status that carries no message.
    Refused(String),
    /// The tool's definition is not one that was accepted.
    Drift,
    /// It asks its client what it may not, for this reason.
    Asks(String),
    /// What the client comes back to waits no more.
    Forgotten,
}

impl Fault {
    /// The failure of a call.
    pub(crate) fn of_call(self, upstream: UpstreamName) -> Failure {
        let unknown = "whether it was carried out is not known: look before you send it again";
        match self {
            Self::Down(why) => Failure::new(
                ErrorCode::UpstreamDown,
                format!("the upstream `{upstream}` does not run: {why}"),
            )
            .with_hint("nothing was sent; it is started again by itself"),
            Self::Restarted => {
                let text = format!("the upstream `{upstream}` was started anew while the call was prepared");
                Failure::new(ErrorCode::UpstreamDown, text).with_hint("nothing was sent; call again")
            }
            Self::Ended => {
                let text = format!("the upstream `{upstream}` ended while it had the call");
                Failure::new(ErrorCode::UpstreamDown, text).with_retry(false).with_hint(unknown)
            }
            Self::Paused(why) => {
                let text = format!("the upstream `{upstream}` is sent no calls at the moment: {why}");
                Failure::new(ErrorCode::UpstreamDown, text).with_hint(
                    "nothing was sent; the gateway asks it by itself, and sends calls again when it answers",
                )
            }
            Self::Share(most) => busy(
                format!(
                    "you have {most} calls under way at the upstream `{upstream}`, as many as one principal may have"
                ),
                "call again when one of them has ended",
            ),
            Self::OverRate { per_minute, seconds } => busy(
                format!(
                    "the upstream `{upstream}` has had {per_minute} calls within a minute, as many as it may have"
                ),
                &format!("call again in {seconds} s"),
            ),
            Self::Busy => busy(
                format!("the upstream `{upstream}` has as many calls under way as it may have"),
                "call again later",
            ),
            Self::Slow(seconds) => {
                let text = format!("the upstream `{upstream}` did not answer within {seconds} s");
                Failure::new(ErrorCode::TargetTimeout, text).with_retry(false).with_hint(unknown)
            }
            Self::Cancelled => {
                Failure::new(ErrorCode::CallCancelled, "the call was cancelled").with_hint(unknown)
            }
            Self::Protocol(what) => answered(upstream, what).with_hint(unknown),
            Self::Refused(why) => answered(upstream, &why).with_hint(unknown),
            Self::Drift => {
                let text = format!(
                    "the tool's definition by the upstream `{upstream}` is not one that an operator accepted"
                );
                Failure::new(ErrorCode::UpstreamDrift, text).with_hint(format!(
                    "nothing was sent; an operator looks at it with `portcullis upstream diff {upstream}`"
                ))
            }
            Self::Asks(why) => {
                let text = format!("the upstream `{upstream}` asks its client what it may not: {why}");
                Failure::new(ErrorCode::TargetProtocol, text).with_hint(unknown)
            }
            Self::Forgotten => {
                let text = format!(
                    "the call at the upstream `{upstream}` that asked does not wait for an answer any more"
                );
                Failure::new(ErrorCode::InputState, text).with_hint(
                    "it is given up there, whether something of it was carried out is not known; make the call again without `requestState` and `inputResponses`",
                )
            }
        }
    }

    /// Why an upstream could not be started, for its operator.
    pub(crate) fn of_start(&self) -> String {
        match self {
            Self::Down(why) => why.clone(),
            Self::Ended => "it ended before it was ready".to_owned(),
            Self::Slow(seconds) => format!("it did not answer within {seconds} s"),
            Self::Protocol(what) => format!("it answered {what}"),
            Self::Refused(why) => format!("it answered {why}"),
            Self::Paused(_)
            | Self::Restarted
            | Self::Busy
            | Self::Share(_)
            | Self::OverRate { .. }
            | Self::Cancelled
            | Self::Drift
            | Self::Asks(_)
            | Self::Forgotten => "it is not ready".to_owned(),
        }
    }

    /// Why one call failed, for its operator.
    pub(crate) fn of_call_alone(&self) -> String {
        if *self == Self::Ended { "it broke off".to_owned() } else { self.of_start() }
    }
}

fn busy(text: String, then: &str) -> Failure {
    Failure::new(ErrorCode::UpstreamBusy, text).with_hint(format!("nothing was sent; {then}"))
}

fn answered(upstream: UpstreamName, what: &str) -> Failure {
    Failure::new(ErrorCode::TargetProtocol, format!("the upstream `{upstream}` answered {what}"))
}
