//! Carrying a command out, within the call's time and the caller's patience.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use model::{ErrorCode, Exit, Failure};
use tokio::time::Instant;
use tools::HostRun;

use crate::refusal;
use crate::remote::{Collected, Ending, Remote};
use crate::way;

/// For every failure after a command was sent.
const BEFORE_AGAIN: &str = "it may have done part of its work: look before it is sent again";

/// Why a command was not waited for.
enum Cut {
    Cancelled,
    Late,
}

/// Runs a command on an open channel to its end, the call's or the deadline's.
pub(crate) async fn carry_out(
    run: &HostRun<'_>,
    deadline: Instant,
    mut remote: Remote,
    text: &str,
    output: u64,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Collected, Failure> {
    let doing = async {
        if remote.exec(text, output).await {
            remote.wait(progress).await;
        }
    };
    let cut = tokio::select! {
        biased;
        () = run.cancel.cancelled() => Some(Cut::Cancelled),
        () = doing => None,
        () = tokio::time::sleep_until(deadline) => Some(Cut::Late),
    };
    match cut {
        None => finished(run, remote).await,
        // The command has ended, and something it left behind holds its output open.
        Some(Cut::Late) if remote.has_exited() => {
            let collected = remote.collected();
            remote.end().await;
            Ok(collected)
        }
        Some(cut) => Err(cut_short(run, remote, cut).await),
    }
}

/// What happens before a command is sent: nothing of it is left behind when it is cut short.
pub(crate) async fn bounded<T>(
    run: &HostRun<'_>,
    deadline: Instant,
    doing: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let name = &run.host.name;
    tokio::select! {
        biased;
        () = run.cancel.cancelled() => Err(Failure::new(
            ErrorCode::CallCancelled,
            format!("cancelled while connecting to `{name}`; no command was sent"),
        )),
        result = doing => result,
        () = tokio::time::sleep_until(deadline) => Err(Failure::new(
            ErrorCode::TargetTimeout,
            format!("no connection to `{name}` within {}; no command was sent", seconds(run.timeout)),
        )),
    }
}

async fn finished(run: &HostRun<'_>, remote: Remote) -> Result<Collected, Failure> {
    let connection = Arc::clone(remote.connection());
    let collected = remote.collected();
    if collected.closed {
        return Ok(collected);
    }
    remote.end().await;
    if collected.rejected || collected.exit.is_some() {
        return Ok(collected);
    }
    let name = &run.host.name;
    let lost = way::lost(name, connection.lost_hop().await);
    let text = format!("{lost} while the command ran; whether it still runs there is not known");
    let end = connection.link.seen.end().unwrap_or_default();
    Err(Failure::new(ErrorCode::TargetUnreachable, text)
        .with_internal(refusal::words(&end))
        .with_retry(false)
        .with_hint(BEFORE_AGAIN))
}

async fn cut_short(run: &HostRun<'_>, remote: Remote, cut: Cut) -> Failure {
    let (code, how) = match cut {
        Cut::Cancelled => (ErrorCode::CallCancelled, "was cancelled".to_owned()),
        Cut::Late => (ErrorCode::TargetTimeout, format!("did not end within {}", seconds(run.timeout))),
    };
    let ending = match remote.end().await {
        Ending::Told(Exit::Status(status)) => format!("the host says that it ended with status {status}"),
        Ending::Told(Exit::Signal(signal)) => format!("the host says that it was ended by signal {signal}"),
        Ending::Told(Exit::Unknown) | Ending::Untold => "whether it still runs there is not known".to_owned(),
    };
    Failure::new(code, format!("the command on `{}` {how}; {ending}", run.host.name))
        .with_retry(false)
        .with_hint(BEFORE_AGAIN)
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}
