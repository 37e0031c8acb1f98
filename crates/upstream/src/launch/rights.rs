//! What the launcher gives up: descriptors, its user, capabilities.

use std::io::{self, Read, Write as _};

use rustix::fs::Mode;
use rustix::process::{Gid, Resource, Rlimit, Uid, getgid, getuid, setrlimit, umask};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities, capabilities_secure_bits,
    capability_is_in_bounding_set, clear_ambient_capability_set, remove_capability_from_bounding_set,
    set_capabilities, set_capabilities_secure_bits, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

use super::plan::Account;
use super::step;

/// How many processes and threads a user has that is one program's alone.
const PROCESSES: u64 = 2048;

/// Standard input, of which nothing is read before it is wanted.
pub(super) struct Unbuffered;

impl Read for Unbuffered {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(io::stdin(), into)?)
    }
}

/// Says something on standard error, if there is somebody to hear it.
pub(super) fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// The kernel knows users, capabilities and Landlock by thread: there must be one.
pub(super) fn must_be_alone() -> Result<(), String> {
    let threads = std::fs::read_dir("/proc/self/task").map(Iterator::count);
    match threads {
        Ok(1) => Ok(()),
        Ok(_) => Err("its launcher has more than one thread".to_owned()),
        Err(error) => Err(format!("its threads cannot be counted in /proc: {error}")),
    }
}

/// Closes everything but the three standard streams.
pub(super) fn close_descriptors() -> Result<(), String> {
    for number in descriptors()? {
        // The one that the list itself was read from is closed already.
        let _ = nix::unistd::close(number);
    }
    // Now that is the first one again, and there is no other.
    match descriptors()?.into_iter().find(|number| *number != 3) {
        None => Ok(()),
        Some(number) => Err(format!("its open file {number} cannot be closed")),
    }
}

/// All that are open beside the standard streams.
fn descriptors() -> Result<Vec<i32>, String> {
    let failed = |error: io::Error| format!("its open files cannot be listed in /proc: {error}");
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let number = name.to_str().and_then(|name| name.parse::<i32>().ok());
        numbers.push(number.ok_or("its open files cannot be listed in /proc")?);
    }
    numbers.retain(|number| *number > 2);
    Ok(numbers)
}

/// Limits that everything after this inherits.
pub(super) fn bound(account: Option<Account>) -> Result<(), String> {
    umask(Mode::from_raw_mode(0o077));
    let limit = |value| Rlimit { current: Some(value), maximum: Some(value) };
    step("its core dumps cannot be switched off", setrlimit(Resource::Core, limit(0)))?;
    // Counted by user: only one that nobody shares can be bounded so.
    if account.is_some_and(|account| account.own) {
        step("its processes cannot be bounded", setrlimit(Resource::Nproc, limit(PROCESSES)))?;
    }
    Ok(())
}

/// Who is root by number must not have capabilities again when the program begins. Without the right to give them up there
/// are none to come back, but for root, which is then refused by [`drop_capabilities`].
pub(super) fn drop_bounding_set(confined: bool) -> Result<(), String> {
    let own = step("its capabilities cannot be seen", capabilities(None))?;
    if !confined || !own.effective.contains(CapabilitySet::SETPCAP) {
        return Ok(());
    }
    let bits = CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
    step("root cannot be made an ordinary user", set_capabilities_secure_bits(bits))?;
    for number in 0..64 {
        let one = CapabilitySet::from_bits_retain(1 << number);
        // The kernel knows none from the first that it does not know.
        let Ok(held) = capability_is_in_bounding_set(one) else { break };
        if held {
            step("its capabilities cannot be bounded", remove_capability_from_bounding_set(one))?;
        }
    }
    Ok(())
}

/// Becomes another user for good.
pub(super) fn change_user(account: Account) -> Result<(), String> {
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    let what = format!("it cannot become the user {} of the group {}", account.uid, account.gid);
    step(&what, set_thread_groups(&[]))?;
    step(&what, set_thread_res_gid(gid, gid, gid))?;
    step(&what, set_thread_res_uid(uid, uid, uid))?;
    match (getuid() == uid, getgid() == gid, uid.is_root()) {
        (true, true, false) => Ok(()),
        _ => Err(what),
    }
}

/// Gives all of them up, and looks whether they are gone.
pub(super) fn drop_capabilities() -> Result<(), String> {
    let none = CapabilitySet::empty();
    let what = "its capabilities cannot be dropped";
    step(what, clear_ambient_capability_set())?;
    let nothing = CapabilitySets { effective: none, permitted: none, inheritable: none };
    step(what, set_capabilities(None, nothing))?;
    let left = step(what, capabilities(None))?;
    let bits = step(what, capabilities_secure_bits())?;
    // Who is root would have all of them again as soon as it becomes the program.
    let returns = getuid().is_root() && !bits.contains(CapabilitiesSecureBits::NO_ROOT_LOCKED);
    match left == nothing && !returns {
        true => Ok(()),
        false => Err(what.to_owned()),
    }
}
