//! What Landlock does not see, for programs that run as the gateway's own user: system calls that reach what is that user's
//! without opening a file.
//!
//! Unix sockets (the control socket, a session's bus, a container engine: whoever speaks to those is that user), changes of
//! modes, owners and attributes by a path, lengths by a path, other processes' limits, keyrings, and io_uring, which
//! would do all of it beside this filter.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// Refused whatever their arguments are.
const REFUSED: [i64; 15] = [
    libc::SYS_io_uring_setup,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_truncate,
    libc::SYS_fchmodat,
    libc::SYS_fchmodat2,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    SETXATTRAT,
    REMOVEXATTRAT,
    FILE_SETATTR,
];

/// Those that only older machines have.
#[cfg(target_arch = "x86_64")]
const REFUSED_TOO: [i64; 3] = [libc::SYS_chmod, libc::SYS_chown, libc::SYS_lchown];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_TOO: [i64; 0] = [];

// Newer than the C library's list; the same number everywhere.
const SETXATTRAT: i64 = 463;
const REMOVEXATTRAT: i64 = 466;
const FILE_SETATTR: i64 = 469;

/// The other numbering of the same calls, which some kernels still take.
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;

/// Has the kernel refuse them, in this process and all that come of it.
pub(super) fn restrict() -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("its system calls cannot be filtered: {error}");
    let program = filter().map_err(|error| failed(&error))?;
    seccompiler::apply_filter(&program).map_err(|error| failed(&error))
}

fn filter() -> Result<BpfProgram, seccompiler::Error> {
    let refused = REFUSED.into_iter().chain(REFUSED_TOO).map(|call| (call, Vec::new()));
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = refused.collect();
    rules.insert(libc::SYS_socket, vec![SeccompRule::new(vec![is(0, libc::AF_UNIX)?])?]);
    // A pair is connected and stays so, except one for datagrams.
    let datagrams = vec![is(0, libc::AF_UNIX)?, masked(1, 0xf, libc::SOCK_DGRAM)?];
    rules.insert(libc::SYS_socketpair, vec![SeccompRule::new(datagrams)?]);
    let others = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, 0)?;
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![others])?]);
    #[cfg(target_arch = "x86_64")]
    rules.extend(rules.clone().into_iter().map(|(call, rules)| (call | X32, rules)).collect::<Vec<_>>());
    let refusal = SeccompAction::Errno(u32::try_from(libc::EPERM).unwrap_or(1));
    let arch = std::env::consts::ARCH.try_into()?;
    Ok(SeccompFilter::new(rules, SeccompAction::Allow, refusal, arch)?.try_into()?)
}

fn is(argument: u8, value: i32) -> Result<SeccompCondition, seccompiler::Error> {
    masked(argument, u64::from(u32::MAX), value)
}

fn masked(argument: u8, mask: u64, value: i32) -> Result<SeccompCondition, seccompiler::Error> {
    let value = u64::try_from(value).unwrap_or_default();
    Ok(SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value)?)
}
