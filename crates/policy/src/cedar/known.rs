//! Entities that were built before: who, what and where are the same from call to call, and Cedar checks their
//! hierarchy each time it is handed a set. What was decided is never kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cedar_policy::Entities;
use model::{Principal, PrincipalId, Target, TargetName, ToolName};

use super::facts::Unsayable;
use crate::ToolFacts;

/// So many are kept; then it begins anew.
const MOST: usize = 4096;

/// Entities by who, what and where. A hit counts only if all three are equal to the last detail.
#[derive(Default)]
pub(super) struct Known {
    built: Mutex<HashMap<(PrincipalId, ToolName, TargetName), Arc<Built>>>,
}

struct Built {
    principal: Principal,
    tool: ToolFacts,
    target: Target,
    entities: Arc<Entities>,
}

impl Known {
    pub(super) fn entities(
        &self,
        principal: &Principal,
        tool: &ToolFacts,
        target: &Target,
        build: impl FnOnce() -> Result<Entities, Unsayable>,
    ) -> Result<Arc<Entities>, Unsayable> {
        let key = (principal.id.clone(), tool.name.clone(), target.name.clone());
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = built.get(&key)
            && known.principal == *principal
            && known.tool == *tool
            && known.target == *target
        {
            return Ok(Arc::clone(&known.entities));
        }
        let entities = Arc::new(build()?);
        if built.len() >= MOST {
            built.clear();
        }
        let known = Built {
            principal: principal.clone(),
            tool: tool.clone(),
            target: target.clone(),
            entities: Arc::clone(&entities),
        };
        built.insert(key, Arc::new(known));
        Ok(entities)
    }
}
