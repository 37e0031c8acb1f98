//! What was put in Cedar's terms before: who, what and where are the same from call to call, and Cedar checks their
//! hierarchy each time it is handed a set. What was decided is never kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cedar_policy::{Entities, EntityUid};
use model::{Principal, PrincipalId, Target, TargetName, ToolName};

use super::facts::Unsayable;
use crate::ToolFacts;

/// So many are kept; then it begins anew.
const MOST: usize = 4096;

/// Scenes by who, what and where. A hit counts only if all three are equal to the last detail.
#[derive(Default)]
pub(super) struct Known {
    built: Mutex<HashMap<(PrincipalId, ToolName, TargetName), Arc<Built>>>,
}

struct Built {
    principal: Principal,
    tool: ToolFacts,
    target: Target,
    scene: Arc<Scene>,
}

/// Who, what and where in Cedar's terms, and what each of them is in.
pub(crate) struct Scene {
    pub(crate) principal: EntityUid,
    pub(crate) action: EntityUid,
    pub(crate) resource: EntityUid,
    pub(crate) entities: Entities,
}

impl Known {
    pub(super) fn scene(
        &self,
        principal: &Principal,
        tool: &ToolFacts,
        target: &Target,
        build: impl FnOnce() -> Result<Scene, Unsayable>,
    ) -> Result<Arc<Scene>, Unsayable> {
        let key = (principal.id.clone(), tool.name.clone(), target.name.clone());
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = built.get(&key)
            && known.principal == *principal
            && known.tool == *tool
            && known.target == *target
        {
            return Ok(Arc::clone(&known.scene));
        }
        let scene = Arc::new(build()?);
        if built.len() >= MOST {
            built.clear();
        }
        let known = Built {
            principal: principal.clone(),
            tool: tool.clone(),
            target: target.clone(),
            scene: Arc::clone(&scene),
        };
        built.insert(key, Arc::new(known));
        Ok(scene)
    }
}
