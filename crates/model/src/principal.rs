//! Who a decision is about.

use std::collections::BTreeSet;

use crate::{GroupName, PrincipalId};

/// The authenticated actor, with the groups that the configuration gives it.
///
/// Being a principal is not a right: what one may do is a matter of rules, for agents and operators alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The name rules and audit entries use.
    pub id: PrincipalId,
    /// Groups; rules name them as `group:NAME`.
    pub groups: BTreeSet<GroupName>,
}
