//! What a call says while it runs, as messages.

use std::sync::Arc;

use gateway::Notice;
use model::LogLevel;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use wire::{Progress, ProgressToken};

/// Where a call's notices go: what the client wants of them, and what fits. `None` if it wants none.
pub(crate) fn told(
    out: &mpsc::Sender<Vec<u8>>,
    token: Option<&RawValue>,
    level: Option<LogLevel>,
) -> Option<Arc<dyn Fn(Notice) + Send + Sync>> {
    if token.is_none() && level.is_none() {
        return None;
    }
    let (out, token) = (out.clone(), token.map(ToOwned::to_owned));
    Some(Arc::new(move |notice| {
        if let Some(message) = message(&notice, token.as_deref(), level) {
            // A full channel means a slow reader. The call does not wait for it.
            let _ = out.try_send(message);
        }
    }))
}

fn message(notice: &Notice, token: Option<&RawValue>, level: Option<LogLevel>) -> Option<Vec<u8>> {
    match notice {
        Notice::Progress { done, total, message } => {
            let progress = Progress {
                progress_token: ProgressToken::from_owned(token?),
                progress: *done,
                total: *total,
                message: message.as_deref(),
            };
            wire::write_notification("notifications/progress", &progress).ok()
        }
        Notice::TheirProgress(params) => {
            let marked = wire::with_progress_token(params, ProgressToken::from_owned(token?))?;
            Some(wire::write_told("notifications/progress", &marked))
        }
        Notice::TheirLog { level: own, params } => {
            level.filter(|least| own >= least).map(|_| wire::write_told("notifications/message", params))
        }
        Notice::Log { level: own, tool, text } => {
            level.filter(|least| own >= least).and_then(|_| wire::write_log(*own, tool, text).ok())
        }
    }
}

/// How many bytes of output have come.
#[expect(clippy::cast_precision_loss, reason = "progress is a hint, and exact up to eight petabytes")]
pub(crate) fn bytes_so_far(token: &RawValue, bytes: u64) -> Result<Vec<u8>, serde_json::Error> {
    let message = format!("{bytes} bytes of output so far");
    let progress = Progress {
        progress_token: ProgressToken::from_owned(token),
        progress: bytes as f64,
        total: None,
        message: Some(&message),
    };
    wire::write_notification("notifications/progress", &progress)
}

#[cfg(test)]
mod tests {
    use gateway::Notice;
    use model::LogLevel;
    use tokio::sync::mpsc;

    use super::told;

    fn log(level: LogLevel) -> Notice {
        Notice::Log { level, tool: "a".into(), text: "b".into() }
    }

    #[test]
    fn what_the_client_does_not_want_is_not_said() {
        let (out, mut said) = mpsc::channel(8);
        assert!(told(&out, None, None).is_none());
        let tell = told(&out, None, Some(LogLevel::Warning)).unwrap();
        for level in LogLevel::ALL {
            tell(log(level));
        }
        tell(Notice::Progress { done: 1.0, total: None, message: None });
        let mut levels = Vec::new();
        while let Ok(message) = said.try_recv() {
            let message: serde_json::Value = serde_json::from_slice(&message).unwrap();
            levels.push(message["params"]["level"].as_str().unwrap().to_owned());
        }
        assert_eq!(levels, ["warning", "error", "critical", "alert", "emergency"]);
    }

    #[test]
    fn a_slow_reader_loses_notices_and_holds_nobody_up() {
        let (out, mut said) = mpsc::channel(2);
        let tell = told(&out, None, Some(LogLevel::Debug)).unwrap();
        (0..1000).for_each(|_| tell(log(LogLevel::Error)));
        assert!(said.try_recv().is_ok() && said.try_recv().is_ok() && said.try_recv().is_err());
    }
}
