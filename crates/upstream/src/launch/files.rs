//! What a program may touch, by Landlock: what every program needs, what it was given, and nothing else.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetStatus, Scope,
};

use super::plan::{Files, Plan};

/// The newest that is made use of; of older kernels what they have.
const NEWEST: ABI = ABI::V7;

/// Programs and libraries, where systems keep them.
const PROGRAMS: [&str; 9] =
    ["/bin", "/gnu/store", "/lib", "/lib32", "/lib64", "/nix/store", "/run/current-system", "/sbin", "/usr"];

/// What programs read to find users, names, certificates, the time and themselves. Never `/etc` as a whole: configurations
/// are kept there. What belongs to other processes in `/proc` Landlock keeps by itself.
const ORDINARY: [&str; 38] = [
    "/dev/full",
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
    "/etc/alternatives",
    "/etc/bash.bashrc",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/crypto-policies",
    "/etc/debian_version",
    "/etc/fonts",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/inputrc",
    "/etc/java",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/locale.alias",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki",
    "/etc/protocols",
    "/etc/python3",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl",
    "/etc/timezone",
    "/proc",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
];

/// Of those, what is written to as well.
const WRITABLE: [&str; 3] = ["/dev/full", "/dev/null", "/dev/zero"];

/// Restricts this process and all that come of it.
pub(super) fn restrict(program: &Path, home: Option<&Path>, files: &Files) -> Result<(), String> {
    let failed = |error: landlock::RulesetError| format!("Landlock cannot be set up: {error}");
    // Without the first version there is nothing; everything newer is taken where the kernel has it.
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))
        .map_err(failed)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(NEWEST)))
        .and_then(Ruleset::create)
        .map_err(failed)?;
    let mut rules = Rules(Some(ruleset));
    let (read, all) = (AccessFs::from_read(NEWEST), AccessFs::from_all(NEWEST));
    for path in PROGRAMS {
        rules.allow(Path::new(path), read, false)?;
    }
    for path in ORDINARY {
        rules.allow(Path::new(path), read & !AccessFs::Execute, false)?;
    }
    for path in WRITABLE {
        rules.allow(Path::new(path), AccessFs::ReadFile | AccessFs::WriteFile, false)?;
    }
    rules.allow(program, AccessFs::Execute | AccessFs::ReadFile, true)?;
    for path in &files.read {
        rules.allow(path, read, true)?;
    }
    let devices = AccessFs::MakeChar | AccessFs::MakeBlock;
    for path in files.write.iter().map(AsRef::as_ref).chain(home) {
        rules.allow(path, all & !devices, true)?;
    }
    let status = rules.0.ok_or("Landlock cannot be set up")?.restrict_self().map_err(failed)?;
    match status.no_new_privs && status.ruleset != RulesetStatus::NotEnforced {
        true => Ok(()),
        false => Err("Landlock is not in force".to_owned()),
    }
}

struct Rules(Option<RulesetCreated>);

impl Rules {
    /// Allows `access` at and below a path. What is not there cannot be touched; whether it may be missing says `must`.
    fn allow(&mut self, path: &Path, access: BitFlags<AccessFs>, must: bool) -> Result<(), String> {
        let shown = path.display();
        let is_folder = match std::fs::metadata(path) {
            Ok(found) => found.is_dir(),
            Err(error) if must => {
                return Err(format!("`{shown}`, which it may use, cannot be looked at: {error}"));
            }
            Err(_) => return Ok(()),
        };
        let access = if is_folder { access } else { access & AccessFs::from_file(NEWEST) };
        let at = match PathFd::new(path) {
            Ok(at) => at,
            Err(error) if must => {
                return Err(format!("`{shown}`, which it may use, cannot be opened: {error}"));
            }
            Err(_) => return Ok(()),
        };
        let rules = self.0.take().ok_or("Landlock cannot be set up")?;
        let added = rules.add_rule(PathBeneath::new(at, access));
        self.0 = Some(added.map_err(|error| format!("`{shown}` cannot be allowed: {error}"))?);
        Ok(())
    }
}

/// Tries what must not succeed: whatever was said of users, modes and rules, this is what came of it.
pub(super) fn prove(plan: &Plan) -> Result<(), String> {
    if let Some(home) = &plan.home {
        let mine = home.join(".portcullis");
        let made = OpenOptions::new().write(true).create_new(true).open(&mine);
        made.and_then(|_| std::fs::remove_file(&mine)).map_err(|error| {
            format!(
                "its own folder `{}` cannot be used ({error}): let TMPDIR of the gateway name a folder that everybody may enter",
                home.display()
            )
        })?;
    }
    for path in &plan.guarded {
        let opens = |open: &mut OpenOptions| open.custom_flags(libc::O_NONBLOCK).open(path).is_ok();
        if opens(OpenOptions::new().read(true)) {
            return Err(format!("it could read `{}`: nobody but the gateway may", path.display()));
        }
        let by_mode = plan.files.is_none() && rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok();
        if by_mode || opens(OpenOptions::new().write(true)) {
            return Err(format!("it could write `{}`: nobody but the gateway may", path.display()));
        }
    }
    Ok(())
}
