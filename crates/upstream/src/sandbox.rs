//! What keeps a program from what is the gateway's: which ways there are on this machine, and which one it gets.

use std::fmt;
use std::path::PathBuf;

use landlock::{ABI, AccessFs, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _};
use model::UpstreamName;
use rustix::process::geteuid;
use rustix::thread::{CapabilitySet, capabilities};
use sha2::{Digest as _, Sha256};

/// The users that programs are given for whom no user is named. No account has these numbers by itself: what systems deal
/// out ends below, what containers are given begins above.
const NUMBERED: std::ops::Range<u32> = 65_536..100_000;

/// How a program is to be confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sandbox {
    /// As well as this machine can: another user, and Landlock; at least one of them.
    Auto,
    /// Another user.
    User,
    /// Landlock, under the gateway's own user.
    Landlock,
    /// Not at all.
    Off,
}

/// What the configuration says of a program's confinement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxSettings {
    /// How.
    pub sandbox: Sandbox,
    /// The account that it runs under as another user; else a number of its own.
    pub user: Option<String>,
    /// What it may read and execute beside the system's programs and its own.
    pub read: Vec<PathBuf>,
    /// What it may change, too.
    pub write: Vec<PathBuf>,
    /// What it must not be able to read or to write, whatever else is said: it is not started otherwise.
    pub guarded: Vec<PathBuf>,
}

/// What can be done here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Whether the gateway may start programs as other users, and end them.
    pub switches: bool,
    /// How new the kernel's Landlock is, by its ABI; 0 if there is none.
    pub landlock: u8,
}

impl Machine {
    /// Looks at the process and the kernel it runs on.
    pub fn look() -> Self {
        // What it takes to become another user, to give it a folder, to take that away again, and to end its processes.
        let needed = CapabilitySet::SETUID
            | CapabilitySet::SETGID
            | CapabilitySet::CHOWN
            | CapabilitySet::DAC_OVERRIDE
            | CapabilitySet::KILL;
        let switches = capabilities(None).is_ok_and(|own| own.effective.contains(needed));
        let abis = [
            (7, ABI::V7),
            (6, ABI::V6),
            (5, ABI::V5),
            (4, ABI::V4),
            (3, ABI::V3),
            (2, ABI::V2),
            (1, ABI::V1),
        ];
        let landlock = abis.into_iter().find(|(_, abi)| has(*abi)).map_or(0, |(number, _)| number);
        Self { switches, landlock }
    }
}

fn has(abi: ABI) -> bool {
    use landlock::{Access as _, AccessNet, Scope};

    let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let files = ruleset.handle_access(AccessFs::from_all(abi));
    let network = files.and_then(|ruleset| match AccessNet::from_all(abi) {
        none if none.is_empty() => Ok(ruleset),
        some => ruleset.handle_access(some),
    });
    let scoped = network.and_then(|ruleset| match Scope::from_all(abi) {
        none if none.is_empty() => Ok(ruleset),
        some => ruleset.scope(some),
    });
    scoped.and_then(Ruleset::create).is_ok()
}

/// What a program gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement {
    /// Under which other user it runs.
    pub user: Option<OtherUser>,
    /// The ABI of the Landlock that confines it.
    pub landlock: Option<u8>,
}

/// Who a program runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OtherUser {
    /// An account by its name.
    Account(String),
    /// A number of the upstream's own, which is no account.
    Number(u32),
}

impl Confinement {
    /// What `settings` come to on this machine.
    ///
    /// # Errors
    /// Why the program must not be started.
    pub fn of(settings: &SandboxSettings, upstream: UpstreamName, machine: Machine) -> Result<Self, String> {
        let user = machine.switches.then(|| match &settings.user {
            Some(account) => OtherUser::Account(account.clone()),
            None => OtherUser::Number(number(upstream)),
        });
        let landlock = (machine.landlock > 0).then_some(machine.landlock);
        let no_user = "the gateway may not start programs as another user: it would have to be root, or have the \
                       capabilities SETUID, SETGID, CHOWN, DAC_OVERRIDE and KILL";
        let no_landlock =
            "the kernel has no Landlock (it came with Linux 5.13, and can be switched off at boot)";
        match settings.sandbox {
            Sandbox::Off => Ok(Self { user: None, landlock: None }),
            Sandbox::User => match user {
                Some(user) => Ok(Self { user: Some(user), landlock: None }),
                None => Err(format!("`sandbox = \"user\"` cannot be had: {no_user}")),
            },
            Sandbox::Landlock => match landlock {
                Some(abi) => Ok(Self { user: None, landlock: Some(abi) }),
                None => Err(format!("`sandbox = \"landlock\"` cannot be had: {no_landlock}")),
            },
            // Somebody who names an account means that account.
            Sandbox::Auto if settings.user.is_some() && user.is_none() => {
                Err(format!("it cannot run as the `user` that is named: {no_user}"))
            }
            Sandbox::Auto if user.is_none() && landlock.is_none() => {
                Err(format!("nothing here can confine it: {no_user}; {no_landlock}"))
            }
            Sandbox::Auto => Ok(Self { user, landlock }),
        }
    }

    /// Whether anything keeps it from what is the gateway's.
    pub fn is_any(&self) -> bool {
        self.user.is_some() || self.landlock.is_some()
    }
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.user.as_ref().map(|user| match user {
            OtherUser::Account(account) => format!("user {account}"),
            OtherUser::Number(number) => format!("user {number}"),
        });
        let landlock = self.landlock.map(|abi| format!("Landlock {abi}"));
        let both: Vec<String> = user.into_iter().chain(landlock).collect();
        if both.is_empty() { f.write_str("none") } else { f.write_str(&both.join(", ")) }
    }
}

/// The same for an upstream at every start, so that what it wrote is still its own.
fn number(upstream: UpstreamName) -> u32 {
    let digest: [u8; 32] = Sha256::digest(upstream.as_str()).into();
    let [a, b, c, d, ..] = digest;
    let own = NUMBERED.start + u32::from_be_bytes([a, b, c, d]) % (NUMBERED.end - NUMBERED.start);
    // A gateway that is such a user itself has to look for another.
    if own == geteuid().as_raw() { NUMBERED.start } else { own }
}

#[cfg(test)]
mod tests {
    use model::UpstreamName;

    use super::{Confinement, Machine, NUMBERED, OtherUser, Sandbox, SandboxSettings, number};

    fn of(sandbox: Sandbox, user: Option<&str>, switches: bool, landlock: u8) -> Result<String, String> {
        let user = user.map(str::to_owned);
        let settings = SandboxSettings { sandbox, user, read: vec![], write: vec![], guarded: vec![] };
        let name = UpstreamName::parse("files").unwrap();
        Confinement::of(&settings, name, Machine { switches, landlock })
            .map(|confinement| confinement.to_string())
    }

    #[test]
    fn what_cannot_be_confined_is_refused_and_never_runs_less_confined_than_was_said() {
        let own = number(UpstreamName::parse("files").unwrap());
        assert!(NUMBERED.contains(&own));
        let numbered = format!("user {own}");
        assert_eq!(of(Sandbox::Auto, None, true, 7), Ok(format!("{numbered}, Landlock 7")));
        assert_eq!(of(Sandbox::Auto, None, true, 0), Ok(numbered.clone()));
        assert_eq!(of(Sandbox::Auto, None, false, 1), Ok("Landlock 1".to_owned()));
        assert_eq!(of(Sandbox::Auto, Some("mcp"), true, 3), Ok("user mcp, Landlock 3".to_owned()));
        assert_eq!(of(Sandbox::User, None, true, 7), Ok(numbered));
        assert_eq!(of(Sandbox::Landlock, None, true, 7), Ok("Landlock 7".to_owned()));
        assert_eq!(of(Sandbox::Off, None, false, 0), Ok("none".to_owned()));
        for (sandbox, user, switches, landlock, says) in [
            (Sandbox::Auto, None, false, 0, "nothing here can confine it"),
            (Sandbox::Auto, Some("mcp"), false, 7, "it cannot run as the `user` that is named"),
            (Sandbox::User, None, false, 7, "`sandbox = \"user\"` cannot be had"),
            (Sandbox::Landlock, None, true, 0, "`sandbox = \"landlock\"` cannot be had"),
        ] {
            let refused = of(sandbox, user, switches, landlock).unwrap_err();
            assert!(refused.contains(says), "{refused}");
        }
    }

    #[test]
    fn upstreams_have_users_of_their_own() {
        let user = |name: &str| OtherUser::Number(number(UpstreamName::parse(name).unwrap()));
        assert_eq!(user("files"), user("files"));
        assert_ne!(user("files"), user("tickets"));
    }
}
