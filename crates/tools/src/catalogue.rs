//! Every tool there is, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::get_credential::GetCredential;
use crate::release_credential::ReleaseCredential;
use crate::ssh_execute::SshExecute;
use crate::ssh_plan::SshPlan;
use crate::whoami::Whoami;
use crate::{Tool, explain::Explain};

/// The built-in tools, in the order they are listed.
pub struct Catalogue {
    tools: BTreeMap<String, Arc<dyn Tool>>,
}

impl Catalogue {
    /// All built-in tools.
    pub fn new() -> Self {
        let tools: [Arc<dyn Tool>; 6] = [
            Arc::new(Explain::new()),
            Arc::new(GetCredential::new()),
            Arc::new(ReleaseCredential::new()),
            Arc::new(SshExecute::new()),
            Arc::new(SshPlan::new()),
            Arc::new(Whoami::new()),
        ];
        Self::of(tools)
    }

    /// These tools and no others.
    pub fn of(tools: impl IntoIterator<Item = Arc<dyn Tool>>) -> Self {
        Self { tools: tools.into_iter().map(|tool| (tool.spec().name.as_str().to_owned(), tool)).collect() }
    }

    /// The tool of this exact name.
    pub fn tool(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        self.tools.get(name)
    }

    /// All tools, sorted by name.
    pub fn tools(&self) -> impl Iterator<Item = &Arc<dyn Tool>> {
        self.tools.values()
    }
}

impl Default for Catalogue {
    fn default() -> Self {
        Self::new()
    }
}
