//! The values a decision produces. Only this crate can make an [`Allowed`] or a [`Permit`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use model::{Action, ErrorCode, GroupName, Limits, Principal, RuleName, SnapshotHash};

/// Policy's yes, with obligations still open.
///
/// Made by [`crate::Snapshot::authorise`] only; [`Allowed::discharge`] is the only way on.
#[derive(Debug)]
pub struct Allowed {
    // Passed on from stage to stage: on the heap they stay where they are.
    grounds: Box<Grounds>,
    obligations: Obligations,
}

/// The yes with every obligation met: what stage 5 writes down and the connector's fences come from.
#[derive(Debug)]
pub struct Permit {
    grounds: Box<Grounds>,
}

#[derive(Debug)]
struct Grounds {
    principal: Principal,
    action: Arc<Action>,
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
    /// `[network]` of the configuration.
    pub network: NetworkFence,
    /// `networks` of the rules that permitted the call; each must admit an address by itself.
    pub rules: Vec<NetworkFence>,
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
        let action = Arc::new(action);
        Self {
            grounds: Box::new(Grounds { principal, action, rules, limits, fences, snapshot }),
            obligations,
        }
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

    /// What the connector would have to check.
    pub fn fences(&self) -> &Fences {
        &self.grounds.fences
    }

    /// The snapshot that decided.
    pub fn snapshot(&self) -> SnapshotHash {
        self.grounds.snapshot
    }

    /// Turns the yes into a permit if every obligation is met.
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

    /// The same, for who keeps it beyond the permit.
    pub fn shared_action(&self) -> Arc<Action> {
        Arc::clone(&self.grounds.action)
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
        let action = Arc::new(action);
        Self { grounds: Box::new(Grounds { principal, action, rules: Vec::new(), limits, fences, snapshot }) }
    }
}

impl Fences {
    /// Whether the connector may dial this address: every fence must admit it.
    pub fn admits_address(&self, address: IpAddr) -> bool {
        self.network.admits(address) && self.rules.iter().all(|fence| fence.admits(address))
    }

    /// Whether no fence says anything, so that even an address that is never known here may be dialled.
    pub fn admit_all(&self) -> bool {
        std::iter::once(&self.network).chain(&self.rules).all(|fence| *fence == NetworkFence::default())
    }
}

impl NetworkFence {
    /// Whether this address may be dialled.
    ///
    /// An IPv4-mapped IPv6 address counts as the IPv4 address it is, and the unspecified address as the loopback one,
    /// because that is what the kernel dials for it. An address that a translator or tunnel takes to an IPv4 address
    /// is blocked with that address too; what is allowed is only what is written.
    pub fn admits(&self, address: IpAddr) -> bool {
        let address = match address.to_canonical() {
            address if !address.is_unspecified() => address,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        let within =
            |networks: &[IpNet], address: IpAddr| networks.iter().any(|network| network.contains(&address));
        let carried = match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => carried(address).map(IpAddr::V4),
        };
        let blocked = |address: IpAddr| within(&self.block, address);
        !blocked(address)
            && !carried.is_some_and(blocked)
            && (self.allow.is_empty() || within(&self.allow, address))
    }
}

/// The IPv4 address that packets to this one may end at: NAT64 (RFC 6052, its local prefix RFC 8215), 6to4
/// (RFC 3056), and the old IPv4-compatible form.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 1, _, _, _, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(v4(high, low)),
        _ => None,
    }
}
