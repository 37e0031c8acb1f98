//! What stands between an outcome and an answer: caps, the secret scanner, neutralising. Pure.
//!
//! The rule that everything here serves: **an output in which a leased secret is found is withheld whole**.
//! Blanking the secret in place would tell a guesser which line was the password.

mod answer;
mod cap;
mod forms;
mod pem;
mod reply;
mod rich;
mod scanner;
mod stream;
mod suspicion;
mod visible;

use std::sync::Arc;

use model::{Answer, Failure, Outcome};

pub use reply::visible_json;
pub use scanner::Scanner;
pub use stream::{StreamScanner, Withheld};
pub use suspicion::{look_alike, suspicions};
pub use visible::{has_deceptive, is_deceptive};

/// The stage that turns raw results into [`Guarded`] ones.
#[derive(Debug, Clone, Copy, Default)]
pub struct Guard {
    #[cfg(feature = "test-util")]
    transparent: bool,
}

/// A value that has passed the guard. Only this crate makes one.
#[derive(Debug)]
pub struct Guarded<T> {
    inner: T,
    report: Report,
}

/// What the guard did, for the completion entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// A leased secret was in the output, so all of it was withheld.
    pub withheld: bool,
    /// Output was cut at a limit.
    pub truncated: bool,
    /// Control or invisible characters were made visible, or bytes that are no UTF-8 were replaced.
    pub neutralised: bool,
    /// Bytes of output that are shown, all streams together, before neutralising.
    pub bytes_out: u64,
    /// Bytes of output that the target sent and that are not shown.
    pub bytes_omitted: u64,
}

impl Guard {
    /// The guard.
    pub fn new() -> Self {
        Self::default()
    }

    /// A guard that lets everything through unchanged: the positive control of the canary tests, which must
    /// fail when this one is in place.
    #[cfg(feature = "test-util")]
    pub fn transparent() -> Self {
        Self { transparent: true }
    }

    /// Caps, scans and neutralises an outcome or a failure, has it rendered, and scans what was rendered.
    ///
    /// The scan sees the raw bytes of each stream as the connector kept them, every value, and the rendered
    /// text and fields before neutralising. One hit withholds all of it. `output_limit` is in bytes, all
    /// streams together; values have a budget of their own of the same size.
    pub fn admit(
        &self,
        scanner: &Scanner,
        output_limit: u64,
        result: Result<Outcome, Failure>,
        render: impl FnOnce(Result<Outcome, Failure>) -> Answer,
    ) -> Guarded<Answer> {
        if self.is_transparent() {
            let bytes_out = result.as_ref().map_or(0, cap::bytes_kept);
            let report = Report { bytes_out, ..Report::default() };
            return Guarded { inner: render(result), report };
        }
        if answer::result_holds(scanner, &result) {
            return answer::withheld();
        }
        let mut report = Report::default();
        let result = result
            .and_then(|outcome| reply::cap(outcome, output_limit, &mut report))
            .map(|outcome| cap::cap(outcome, output_limit, &mut report));
        let rendered = render(result);
        if answer::answer_holds(scanner, &rendered) {
            return answer::withheld();
        }
        let inner = answer::neutralise(rendered, &mut report);
        Guarded { inner, report }
    }

    /// Passes an answer of our own making (a denial, a listing), neutralised.
    pub fn admit_answer(&self, answer: Answer) -> Guarded<Answer> {
        let mut report = Report::default();
        let inner = if self.is_transparent() { answer } else { answer::neutralise(answer, &mut report) };
        report.bytes_out = u64::try_from(inner.text.len()).unwrap_or(u64::MAX);
        Guarded { inner, report }
    }

    /// Passes a text that is shown while its call still runs, if no leased secret is in it.
    pub fn admit_text(&self, scanner: &Scanner, text: &str) -> Option<Guarded<String>> {
        if self.is_transparent() {
            return Some(Guarded { inner: text.to_owned(), report: Report::default() });
        }
        if scanner.finds(text.as_bytes()) {
            return None;
        }
        let (visible, neutralised) = visible::make_visible(text);
        let report = Report { neutralised, ..Report::default() };
        Some(Guarded { inner: visible.into_owned(), report })
    }

    /// The same for what an upstream says as JSON. It stays as it came where it is `faithful`.
    pub fn admit_json(&self, scanner: &Scanner, json: &str, faithful: bool) -> Option<Guarded<Arc<str>>> {
        let mut report = Report::default();
        if self.is_transparent() {
            return Some(Guarded { inner: json.into(), report });
        }
        if reply::json_holds(scanner, json) {
            return None;
        }
        let inner = reply::neutralise_json(json.into(), faithful, &mut report);
        Some(Guarded { inner, report })
    }

    /// Passes a value that holds nothing from a target or an agent (a tool listing).
    pub fn admit_own<T>(&self, own: T) -> Guarded<T> {
        Guarded { inner: own, report: Report::default() }
    }

    #[cfg(feature = "test-util")]
    fn is_transparent(&self) -> bool {
        self.transparent
    }

    #[cfg(not(feature = "test-util"))]
    fn is_transparent(&self) -> bool {
        false
    }
}

impl<T> Guarded<T> {
    /// What the guard did.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// A look at what will be sent.
    pub fn inner(&self) -> &T {
        &self.inner
    }

    /// For the audit stage, which wraps it again as `Recorded`.
    pub fn into_inner(self) -> T {
        self.inner
    }
}
