//! Policy sets that were put together before: the same few policies matter from call to call. What they decided is never
//! kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cedar_policy::{Policy, PolicyId, PolicySet};

use super::facts::Unsayable;

/// So many are kept; then it begins anew.
const MOST: usize = 1024;

/// Sets by the policies in them, all of one snapshot, where an id stands for one policy.
#[derive(Default)]
pub(crate) struct Sets {
    made: Mutex<HashMap<Vec<PolicyId>, Arc<PolicySet>>>,
}

impl Sets {
    /// The set of these policies, each once.
    pub(crate) fn of<'a>(
        &self,
        policies: impl Iterator<Item = &'a Policy> + Clone,
    ) -> Result<Arc<PolicySet>, Unsayable> {
        let key: Vec<PolicyId> = policies.clone().map(|policy| policy.id().clone()).collect();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = made.get(&key) {
            return Ok(Arc::clone(set));
        }
        let set = Arc::new(PolicySet::from_policies(policies.cloned()).map_err(|e| e.to_string())?);
        if made.len() >= MOST {
            made.clear();
        }
        made.insert(key, Arc::clone(&set));
        Ok(set)
    }
}
