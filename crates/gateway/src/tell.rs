//! What a call tells its client while it runs.

use std::sync::Arc;

use broker::Lease;
use guard::{Guard, Scanner};
use model::LogLevel;
use tools::{Notices, PassedOn};

use crate::{Notice, ToolCall};

/// Tells what the guard lets through; what holds a leased secret is not told.
pub(crate) struct Teller<'a> {
    pub(crate) guard: Guard,
    pub(crate) lease: &'a Lease,
    pub(crate) scanner: &'a Arc<Scanner>,
    pub(crate) call: &'a ToolCall,
}

impl Teller<'_> {
    fn tell(&self, notice: impl FnOnce() -> Option<Notice>) {
        if let Some(told) = &self.call.notices
            && let Some(notice) = notice()
        {
            told(notice);
        }
    }

    /// Tells how many bytes of output have come.
    pub(crate) fn bytes(&self, so_far: u64) {
        if let Some(tell) = &self.call.progress {
            tell(so_far);
        }
    }

    fn clean(&self, text: &str) -> Option<String> {
        self.guard.admit_text(&self.lease.scanner_now(self.scanner), text).map(guard::Guarded::into_inner)
    }
}

impl Notices for Teller<'_> {
    fn progress(&self, done: f64, total: Option<f64>, message: Option<&str>) {
        self.tell(|| {
            let message = match message {
                None => None,
                Some(message) => Some(self.clean(message)?),
            };
            Some(Notice::Progress { done, total, message })
        });
    }

    fn log(&self, level: LogLevel, text: &str) {
        self.tell(|| Some(Notice::Log { level, tool: self.call.tool.clone(), text: self.clean(text)? }));
    }

    fn pass_on(&self, told: PassedOn<'_>, faithful: bool) {
        let clean = |json: &str| {
            let scanner = self.lease.scanner_now(self.scanner);
            self.guard.admit_json(&scanner, json, faithful).map(guard::Guarded::into_inner)
        };
        self.tell(|| match told {
            PassedOn::Progress(params) => Some(Notice::TheirProgress(clean(params)?)),
            PassedOn::Log(level, params) => Some(Notice::TheirLog { level, params: clean(params)? }),
        });
    }
}
