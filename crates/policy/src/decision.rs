//! The values a decision produces. Only this crate can make an [`Allowed`] or a [`Permit`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;
use model::{Action, ErrorCode, GroupName, Limits, Principal, RuleName, SnapshotHash};

/// Policy's yes, with obligations still open.
///
/// Made by [`crate::Snapshot::authorise`] only; [`Allowed::discharge`] is the only way on.
#[derive(Debug)]
pub struct Allowed {
    grounds: Grounds,
    obligations: Obligations,
}

/// The yes with every obligation met: what stage 5 writes down and the connector's fences come from.
#[derive(Debug)]
pub struct Permit {
    grounds: Grounds,
}

#[derive(Debug)]
struct Grounds {
    principal: Principal,
    action: Action,
    rules: Vec<RuleName>,
    limits: Limits,
    fences: Fences,
    snapshot: SnapshotHash,
}

/// What a decision rests on and is bounded by.
pub(crate) struct Basis {
    pub(crate) rules: Vec<RuleName>,
    pub(crate) limits: Limits,
    pub(crate) fences: Fences,
    pub(crate) snapshot: SnapshotHash,
}

/// What must be met before a call may act; the union over all permitting rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Obligations {
    /// Humans who must say yes, one entry per rule that asks for it.
    pub approvals: Vec<ApprovalRequirement>,
}

/// One rule's demand for approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRequirement {
    /// The rule that demands it.
    pub rule: RuleName,
    /// Who may approve.
    pub by: Vec<GroupName>,
    /// How many of them.
    pub count: u32,
    /// How long the approval may take and then last.
    pub within: Duration,
    /// Whether the requester must give a reason.
    pub reason: bool,
}

/// What shows that obligations are met.
#[derive(Debug, Default)]
pub struct Proofs {
    /// One per approval that was given.
    pub approvals: Vec<ApprovalProof>,
}

/// That an approval was given. There is no way to make one until approvers can be configured.
#[derive(Debug)]
pub struct ApprovalProof(());

/// Why an [`Allowed`] did not become a [`Permit`]; the allowed call comes back for listing what is open.
#[derive(Debug)]
pub struct Undischarged {
    /// What to tell the agent.
    pub denial: Denial,
    /// What was still open.
    pub open: Obligations,
}

/// What the connector must check at the moment of use, because only then it can be known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fences {
    /// Networks, checked on the dialled address.
    pub network: NetworkFence,
}

/// Which addresses may be dialled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkFence {
    /// If not empty, only these.
    pub allow: Vec<IpNet>,
    /// Never these; wins over `allow`.
    pub block: Vec<IpNet>,
}

/// Policy's no, with what a reader needs to do better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// A `denied.*` or `approval.*` code.
    pub code: ErrorCode,
    /// The rule that decided or came nearest, if naming it tells nothing new.
    pub rule: Option<RuleName>,
    /// Why, as a lowercase fragment.
    pub reason: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Lines or arguments that would really pass, from rules that already apply to this principal and target.
    pub allowed_instead: Vec<String>,
}

impl Allowed {
    pub(crate) fn new(principal: Principal, action: Action, basis: Basis, obligations: Obligations) -> Self {
        let Basis { rules, limits, fences, snapshot } = basis;
        Self { grounds: Grounds { principal, action, rules, limits, fences, snapshot }, obligations }
    }

    /// Who asked.
    pub fn principal(&self) -> &Principal {
        &self.grounds.principal
    }

    /// What is still open.
    pub fn obligations(&self) -> &Obligations {
        &self.obligations
    }

    /// The action as authorised (credential parts narrowed to the permitted targets).
    pub fn action(&self) -> &Action {
        &self.grounds.action
    }

    /// The rules that permitted it.
    pub fn rules(&self) -> &[RuleName] {
        &self.grounds.rules
    }

    /// The smallest limits of those rules and of the caller.
    pub fn limits(&self) -> Limits {
        self.grounds.limits
    }

    /// The snapshot that decided.
    pub fn snapshot(&self) -> SnapshotHash {
        self.grounds.snapshot
    }

    /// Turns the yes into a permit if every obligation is met.
    #[expect(
        clippy::result_large_err,
        reason = "made once a call, and never on the way of a call that is permitted"
    )]
    pub fn discharge(self, proofs: Proofs) -> Result<Permit, Undischarged> {
        let unmet: Vec<_> = self.obligations.approvals.iter().skip(proofs.approvals.len()).cloned().collect();
        let Some(first) = unmet.first() else {
            return Ok(Permit { grounds: self.grounds });
        };
        let denial = Denial {
            code: ErrorCode::ApprovalRequired,
            rule: Some(first.rule.clone()),
            reason: format!("rule `{}` asks for the approval of a human", first.rule),
            hint: Some("no approver is configured on this gateway: ask its operator".to_owned()),
            allowed_instead: Vec::new(),
        };
        Err(Undischarged { denial, open: Obligations { approvals: unmet } })
    }
}

impl Permit {
    /// Who may do it.
    pub fn principal(&self) -> &Principal {
        &self.grounds.principal
    }

    /// What may be done: exactly this.
    pub fn action(&self) -> &Action {
        &self.grounds.action
    }

    /// The rules that permitted it.
    pub fn rules(&self) -> &[RuleName] {
        &self.grounds.rules
    }

    /// What bounds it.
    pub fn limits(&self) -> Limits {
        self.grounds.limits
    }

    /// What the connector must check.
    pub fn fences(&self) -> &Fences {
        &self.grounds.fences
    }

    /// The snapshot that decided.
    pub fn snapshot(&self) -> SnapshotHash {
        self.grounds.snapshot
    }
}

#[cfg(feature = "test-util")]
impl Permit {
    /// A permit that no rule gave, for the tests of what comes after the decision.
    pub fn for_test(principal: Principal, action: Action, limits: Limits, fences: Fences) -> Self {
        let snapshot = SnapshotHash::new([0; 32]);
        Self { grounds: Grounds { principal, action, rules: Vec::new(), limits, fences, snapshot } }
    }
}

impl NetworkFence {
    /// Whether this address may be dialled. An IPv4-mapped IPv6 address counts as the IPv4 address it is, and the
    /// unspecified address as the loopback one, because that is what the kernel dials for it.
    pub fn admits(&self, address: IpAddr) -> bool {
        let address = match address.to_canonical() {
            address if !address.is_unspecified() => address,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let within = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&address));
        !within(&self.block) && (self.allow.is_empty() || within(&self.allow))
    }
}
