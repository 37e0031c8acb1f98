//! Whose tool a tool is, worked out once for each: asked at every call, and of every tool in a listing.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use model::{GroupName, Principal, PrincipalId, ToolName};

use crate::ToolFacts;
use crate::rule::PrincipalSelector;

/// So many are kept; then it begins anew: upstreams can offer ever new names.
const MOST: usize = 4096;

/// For each tool the principals that rules name for it.
#[derive(Default)]
pub(crate) struct Listed {
    tools: Mutex<HashMap<ToolName, Arc<Listing>>>,
}

/// Who may know of one tool, as far as rules say. Cedar files are asked beside it.
pub(crate) struct Listing {
    tool: ToolFacts,
    /// Some rule permits it to them, somewhere.
    pub(crate) permitted: Whose,
    /// Some rule without conditions forbids it to them, everywhere.
    pub(crate) forbidden: Whose,
}

/// Principals by what rules call them.
#[derive(Default)]
pub(crate) struct Whose {
    anybody: bool,
    names: HashSet<PrincipalId>,
    groups: HashSet<GroupName>,
}

impl Listed {
    /// What is known of a tool that exists; a hit counts only if the tool is the same to the last detail.
    pub(crate) fn of(&self, tool: &ToolFacts, work_out: impl FnOnce() -> (Whose, Whose)) -> Arc<Listing> {
        let mut tools = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = tools.get(&tool.name).filter(|known| known.tool == *tool) {
            return Arc::clone(known);
        }
        if tools.len() >= MOST {
            tools.clear();
        }
        let (permitted, forbidden) = work_out();
        let listing = Arc::new(Listing { tool: tool.clone(), permitted, forbidden });
        tools.insert(tool.name.clone(), Arc::clone(&listing));
        listing
    }
}

impl Whose {
    pub(crate) fn new<'a>(selectors: impl Iterator<Item = &'a PrincipalSelector>) -> Self {
        let mut whose = Self::default();
        for selector in selectors {
            match selector {
                PrincipalSelector::Any => whose.anybody = true,
                PrincipalSelector::One(id) => drop(whose.names.insert(id.clone())),
                PrincipalSelector::Group(group) => drop(whose.groups.insert(group.clone())),
            }
        }
        whose
    }

    pub(crate) fn has(&self, principal: &Principal) -> bool {
        let in_group = || principal.groups.iter().any(|group| self.groups.contains(group));
        self.anybody || self.names.contains(&principal.id) || in_group()
    }
}
