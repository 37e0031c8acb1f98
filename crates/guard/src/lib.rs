//! What stands between an outcome and an answer: caps, the secret scanner, neutralising. Pure.

use model::{Answer, Failure, Outcome, Secret};

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
    /// Control or invisible characters were made visible.
    pub neutralised: bool,
    /// Bytes of output that are shown, all streams together.
    pub bytes_out: u64,
}

/// Finds leased secrets in their named forms.
pub struct Scanner {}

impl Scanner {
    /// Finds nothing: for calls without a credential.
    pub fn empty() -> Self {
        todo!()
    }

    /// Finds these secrets in all forms.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret<String>>) -> Self {
        let _: Vec<_> = secrets.into_iter().collect();
        todo!()
    }

    /// Whether any form of any secret is in `bytes`.
    pub fn finds(&self, bytes: &[u8]) -> bool {
        let _ = bytes;
        todo!()
    }
}

impl Guard {
    /// The guard.
    pub fn new() -> Self {
        Self::default()
    }

    /// Caps, scans and neutralises an outcome or a failure, has it rendered, and scans what was rendered.
    pub fn admit(
        &self,
        scanner: &Scanner,
        output_limit: u64,
        result: Result<Outcome, Failure>,
        render: impl FnOnce(Result<&Outcome, &Failure>) -> Answer,
    ) -> Guarded<Answer> {
        let _ = (scanner, output_limit, &result, render);
        todo!()
    }

    /// Passes an answer of our own making (a denial, a listing), neutralised.
    pub fn admit_answer(&self, answer: Answer) -> Guarded<Answer> {
        todo!("{answer:?}")
    }

    /// Passes a value that holds nothing from a target or an agent (a tool listing).
    pub fn admit_own<T>(&self, own: T) -> Guarded<T> {
        Guarded { inner: own, report: Report::default() }
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
