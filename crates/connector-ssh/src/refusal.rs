//! Failures of connections, told in words: whose fault, what to do.

use model::{ErrorCode, Failure, Fault, Host, TargetName};

use crate::gatekeeper::{Broken, Refused};
use crate::known_hosts::{KnownHostsError, Standing};

/// Most characters of a host's own words that are repeated.
const MOST_WORDS: usize = 160;

/// A host's own words, fit for a message: printable ASCII, bounded.
pub(crate) fn words(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(MOST_WORDS).collect()
}

/// Why no usable connection came about.
pub(crate) fn broken(host: &Host, why: Broken, missing: &[std::path::PathBuf]) -> Failure {
    match why {
        Broken::HostKey(refused) => host_key(host, &refused, missing),
        Broken::Weak(why) => {
            Failure::new(ErrorCode::TargetProtocol, format!("`{}` is refused: {why}", host.name))
        }
        Broken::Protocol(error) => protocol(host, &error),
    }
}

/// Why no host key can be checked.
pub(crate) fn unreadable(error: &KnownHostsError) -> Failure {
    Failure::new(
        ErrorCode::TargetHostkeyUnknown,
        "the gateway cannot read its known hosts, so no host is trusted",
    )
    .with_internal(error.to_string())
    .with_hint("its operator finds the file and the reason in the gateway's log")
}

fn host_key(host: &Host, refused: &Refused, missing: &[std::path::PathBuf]) -> Failure {
    let Refused { standing, algorithm, fingerprint, .. } = refused;
    let name = &host.name;
    match standing {
        Standing::Uncertified { by, why } => Failure::new(
            ErrorCode::TargetHostkeyUnknown,
            format!(
                "the host certificate of `{name}` does not prove who it is: {why} ({algorithm} {fingerprint})"
            ),
        )
        .with_internal(by.place())
        .with_hint("the host's operator renews it, with the name that the inventory has as `address`"),
        Standing::Unknown { .. } | Standing::Trusted => unknown_key(host, refused, missing),
        Standing::Changed { known } => {
            let of_this_kind = known.iter().any(|entry| entry.algorithm() == *algorithm);
            let kinds: Vec<String> =
                known.iter().map(|e| format!("{} {}", e.algorithm(), e.fingerprint())).take(4).collect();
            let what = if of_this_kind {
                "is not the known one"
            } else {
                "is of another algorithm than the known ones"
            };
            Failure::new(
                ErrorCode::TargetHostkeyChanged,
                format!(
                    "the host key of `{name}` {what}: it shows {algorithm} {fingerprint}, known is {}",
                    kinds.join(", ")
                ),
            )
            .with_internal(known.iter().map(|entry| entry.place()).collect::<Vec<_>>().join(", "))
            .with_hint(
                "somebody may be in the middle: ask the host's operator before anything is trusted anew",
            )
        }
        Standing::Revoked { by } => Failure::new(
            ErrorCode::TargetHostkeyChanged,
            format!("the host key of `{name}` is revoked ({algorithm} {fingerprint})"),
        )
        .with_internal(by.place())
        .with_hint("whoever answers holds a key that must not be trusted: ask the gateway's operator"),
    }
}

fn unknown_key(host: &Host, refused: &Refused, missing: &[std::path::PathBuf]) -> Failure {
    let Refused { standing, algorithm, fingerprint, line, authority } = refused;
    let (name, at) = (&host.name, at(host));
    // What lies behind a jump host is not to be scanned from here.
    let known = match host.jump.last() {
        None => format!("`portcullis hostkey scan {at}`"),
        Some(bastion) => format!(
            "add `{at} {line}` to known hosts (or `{}` in its place, for this host behind `{bastion}` alone)",
            scoped(host, bastion)
        ),
    };
    if matches!(standing, Standing::Unknown { authority: true }) {
        let shown = match authority {
            Some(other) => format!("its certificate is signed by another one, {other}"),
            None => "the host shows no certificate".to_owned(),
        };
        return Failure::new(
            ErrorCode::TargetHostkeyUnknown,
            format!("the host key of `{name}` is not known: a certificate authority is, but {shown} ({algorithm} {fingerprint})"),
        )
        .with_hint(format!("have the host's key signed, or compare its fingerprint, then {known}"));
    }
    let files: Vec<String> = missing.iter().map(|file| format!("`{}`", file.display())).collect();
    let absent = if files.is_empty() { String::new() } else { format!(" (not there: {})", files.join(", ")) };
    Failure::new(
        ErrorCode::TargetHostkeyUnknown,
        format!("the host key of `{name}` is not known ({algorithm} {fingerprint})"),
    )
    .with_hint(format!("compare the fingerprint on the host, then {known}{absent}"))
}

fn protocol(host: &Host, error: &russh::Error) -> Failure {
    let name = &host.name;
    // The closed list of causes worth telling apart; everything else is a broken protocol.
    if let russh::Error::NoCommonAlgo { kind, theirs, .. } = error {
        return Failure::new(
            ErrorCode::TargetProtocol,
            format!(
                "`{name}` has no safe algorithm ({kind:?}) in common with the gateway, it offers: {}",
                words(&theirs.join(","))
            ),
        )
        .with_hint("the host's SSH server must offer a current algorithm");
    }
    let lost = matches!(
        error,
        russh::Error::IO(_)
            | russh::Error::Disconnect
            | russh::Error::HUP
            | russh::Error::ConnectionTimeout
            | russh::Error::SendError
            | russh::Error::RecvError
    );
    if lost {
        return Failure::new(
            ErrorCode::TargetUnreachable,
            format!("`{name}` ended the connection during the handshake"),
        )
        .with_internal(words(&error.to_string()));
    }
    Failure::new(
        ErrorCode::TargetProtocol,
        format!("`{name}` does not follow the SSH protocol: {}", words(&error.to_string())),
    )
    .with_fault(Fault::Target)
}

/// The host as known hosts name it behind a jump host.
fn scoped(host: &Host, bastion: &TargetName) -> String {
    let Host { address, port, .. } = host;
    if *port == 22 { format!("{address}%{bastion}") } else { format!("[{address}%{bastion}]:{port}") }
}

/// The host as the `hostkey` verbs take it.
fn at(host: &Host) -> String {
    if host.port == 22 { host.address.clone() } else { format!("[{}]:{}", host.address, host.port) }
}
