//! From an ask to a reply: the protocol's own at once, everything else through the gateway.

use std::sync::Arc;
use std::time::Duration;

use gateway::{Authenticated, Endpoint, NotRecorded, ToolCall, Unlisted};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use wire::{ProgressToken, RpcError};

use crate::Gate;
use crate::ask::{Ask, CallAsk, ProtocolAsk};
use crate::reply::{ProtocolReply, Reply};

/// How often a running call tells how far it is, at most.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Who asks, where, and how to stop it.
pub(crate) struct Asker {
    pub(crate) who: Authenticated<()>,
    pub(crate) endpoint: Endpoint,
    pub(crate) cancel: CancellationToken,
}

/// Answers what was asked. Calls with a progress token tell their progress to `notices`, if there is somewhere to
/// tell it; what does not fit there is left out, never waited for.
pub(crate) async fn answer(
    gate: &Arc<dyn Gate>,
    asker: Asker,
    ask: Ask,
    notices: Option<&mpsc::Sender<Vec<u8>>>,
) -> Reply {
    let gate = Arc::clone(gate);
    let recorded = match ask {
        Ask::Protocol(ask) => return Reply::Protocol(protocol(&ask)),
        Ask::Call(CallAsk { tool, arguments, progress: Some(token) }) if notices.is_some() => {
            let (told, heard) = watch::channel(0);
            let progress: Arc<dyn Fn(u64) + Send + Sync> = Arc::new(move |bytes| {
                told.send_replace(bytes);
            });
            let call = call(asker, tool, arguments, Some(progress));
            attended(gate.call(call), heard, &token, notices).await.map(Reply::Call)
        }
        Ask::Call(CallAsk { tool, arguments, .. }) => {
            gate.call(call(asker, tool, arguments, None)).await.map(Reply::Call)
        }
        Ask::ListTools(cursor) => {
            let list = gate.list_tools(asker.who.with(asker.endpoint)).await;
            return list.map_or_else(unlisted, |list| Reply::Tools(list, cursor));
        }
        Ask::ListResources(cursor) => {
            let list = gate.list_resources(asker.who).await;
            return list.map_or_else(unlisted, |list| Reply::Resources(list, cursor));
        }
        Ask::ReadResource(uri) => gate
            .read_resource(asker.who.with(uri.clone()))
            .await
            .map(|resource| Reply::Resource(resource, uri)),
    };
    recorded.unwrap_or_else(|NotRecorded| Reply::Protocol(ProtocolReply::Failed(RpcError::Internal)))
}

fn unlisted(why: Unlisted) -> Reply {
    Reply::Protocol(ProtocolReply::Failed(match why {
        Unlisted::NotRecorded(NotRecorded) => RpcError::Internal,
        Unlisted::OverRate => RpcError::OverRate,
    }))
}

fn protocol(ask: &ProtocolAsk) -> ProtocolReply {
    match ask {
        ProtocolAsk::Initialize(version) => ProtocolReply::Initialized(*version),
        ProtocolAsk::Nothing => ProtocolReply::Nothing,
        ProtocolAsk::Discover => ProtocolReply::Discovered,
        ProtocolAsk::ListPrompts => ProtocolReply::NoPrompts,
        ProtocolAsk::ListResourceTemplates => ProtocolReply::ResourceTemplates,
    }
}

fn call(
    asker: Asker,
    tool: String,
    arguments: Option<Box<RawValue>>,
    progress: Option<Arc<dyn Fn(u64) + Send + Sync>>,
) -> Authenticated<ToolCall> {
    let Asker { who, endpoint, cancel } = asker;
    who.with(ToolCall { endpoint, tool, arguments, cancel, progress })
}

/// Waits for a call, and tells how many bytes have come whenever that has grown.
async fn attended<T>(
    call: impl Future<Output = T>,
    heard: watch::Receiver<u64>,
    token: &RawValue,
    notices: Option<&mpsc::Sender<Vec<u8>>>,
) -> T {
    let mut call = std::pin::pin!(call);
    let mut ticks = tokio::time::interval(PROGRESS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut told = 0;
    loop {
        tokio::select! {
            biased;
            result = &mut call => return result,
            _ = ticks.tick() => {}
        }
        let bytes = *heard.borrow();
        if bytes > told
            && let Some(notices) = notices
            && let Ok(notice) = progress_notice(token, bytes)
        {
            told = bytes;
            // A full channel means a slow reader; the next notice tells more anyway.
            let _ = notices.try_send(notice);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "progress is a hint, and exact up to eight petabytes")]
fn progress_notice(token: &RawValue, bytes: u64) -> Result<Vec<u8>, serde_json::Error> {
    let message = format!("{bytes} bytes of output so far");
    let progress = wire::Progress {
        progress_token: ProgressToken::from_owned(token),
        progress: bytes as f64,
        total: None,
        message: Some(&message),
    };
    wire::write_notification("notifications/progress", &progress)
}
