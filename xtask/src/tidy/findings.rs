//! What the checks found.

/// Broken rules and things to look at, in the order in which they were found.
#[derive(Default)]
pub(crate) struct Findings {
    broken: Vec<String>,
    noted: Vec<String>,
}

impl Findings {
    /// A rule is broken; the run fails.
    pub(crate) fn broken(&mut self, place: &str, what: impl AsRef<str>) {
        self.broken.push(format!("{place}: {}", what.as_ref()));
    }

    /// Worth a look, but no failure.
    pub(crate) fn noted(&mut self, place: &str, what: impl AsRef<str>) {
        self.noted.push(format!("{place}: {}", what.as_ref()));
    }

    /// Prints everything; returns how much is broken and how much noted.
    pub(crate) fn print(&self) -> (usize, usize) {
        for line in &self.noted {
            println!("look at  {line}");
        }
        for line in &self.broken {
            println!("BROKEN   {line}");
        }
        (self.broken.len(), self.noted.len())
    }

    #[cfg(test)]
    pub(crate) fn take_broken(&mut self) -> Vec<String> {
        std::mem::take(&mut self.broken)
    }
}
