//! What a host's SSH server tells about itself, for the operator who tests a target.
//!
//! It decides nothing. A version is a claim, and distributions close holes without changing it; but a host that strangers can
//! get into is no place for a credential, and somebody has to look.

use crate::refusal;

/// An OpenSSH release: 9.8p1 is `(9, 8, 1)`.
type Release = (u32, u32, u32);

/// A hole in OpenSSH's server that a stranger can use.
struct Hole {
    name: &'static str,
    since: Release,
    fixed: Release,
    what: &'static str,
}

/// Those that a version tells of. What else a host is built from, such as its C library and PAM, shows in none.
const HOLES: &[Hole] = &[
    Hole {
        name: "CVE-2024-6387",
        since: (8, 5, 1),
        fixed: (9, 8, 1),
        what: "with glibc a stranger may run code as root",
    },
    Hole {
        name: "CVE-2025-26466",
        since: (9, 5, 1),
        fixed: (9, 9, 2),
        what: "a stranger may use up memory and time",
    },
];

/// A server, as it was met.
pub(crate) struct Posture {
    software: String,
    strict: bool,
}

impl Posture {
    /// From the line that it greeted with, and whether it agreed on strict key exchange.
    pub(crate) fn of(greeting: &[u8], strict: bool) -> Self {
        let greeting = String::from_utf8_lossy(greeting);
        let software = greeting.strip_prefix("SSH-2.0-").unwrap_or(&greeting);
        Self { software: refusal::words(software), strict }
    }

    /// Name and version, in the server's own words.
    pub(crate) fn software(&self) -> &str {
        &self.software
    }

    /// What speaks against it, each in a sentence.
    pub(crate) fn doubts(&self) -> Vec<String> {
        let release = portable(&self.software);
        let known =
            HOLES.iter().filter(|hole| release.is_some_and(|own| (hole.since..hole.fixed).contains(&own)));
        let by_version = known.map(|hole| {
            format!("{} by its version, unless the distribution has fixed it: {}", hole.name, hole.what)
        });
        let loose = (!self.strict).then(|| {
            "CVE-2023-48795: no strict key exchange, so it is spoken to with AES-GCM only".to_owned()
        });
        by_version.chain(loose).collect()
    }
}

/// The release of a portable OpenSSH, as all systems but OpenBSD and Windows have it.
fn portable(software: &str) -> Option<Release> {
    let version = software.strip_prefix("OpenSSH_")?.split(' ').next()?;
    let (major, rest) = version.split_once('.')?;
    let (minor, patch) = rest.split_once('p')?;
    let digits = patch.find(|c: char| !c.is_ascii_digit()).map_or(Some(patch), |end| patch.get(..end))?;
    Some((major.parse().ok()?, minor.parse().ok()?, digits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::Posture;

    fn doubts(greeting: &str) -> Vec<String> {
        let all = Posture::of(greeting.as_bytes(), true).doubts();
        all.iter().map(|doubt| doubt.split(' ').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn versions_with_known_holes_are_told_and_no_others() {
        for (greeting, expected) in [
            ("SSH-2.0-OpenSSH_8.4p1 Debian-5+deb11u3", &[][..]),
            ("SSH-2.0-OpenSSH_8.5p1", &["CVE-2024-6387"]),
            ("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3", &["CVE-2024-6387"]),
            ("SSH-2.0-OpenSSH_9.7p1", &["CVE-2024-6387", "CVE-2025-26466"]),
            ("SSH-2.0-OpenSSH_9.8p1", &["CVE-2025-26466"]),
            ("SSH-2.0-OpenSSH_9.9p1-hpn18", &["CVE-2025-26466"]),
            ("SSH-2.0-OpenSSH_9.9p2", &[]),
            ("SSH-2.0-OpenSSH_10.0p2", &[]),
            ("SSH-2.0-OpenSSH_9.7", &[]),
            ("SSH-2.0-OpenSSH_for_Windows_9.5", &[]),
            ("SSH-2.0-dropbear_2022.83", &[]),
            ("SSH-2.0-OpenSSH_9.99999999999p1", &[]),
            ("SSH-2.0-OpenSSH_p1", &[]),
            ("SSH-2.0-", &[]),
            ("", &[]),
        ] {
            assert_eq!(doubts(greeting), expected, "{greeting}");
        }
    }

    #[test]
    fn a_server_without_strict_key_exchange_is_told() {
        let posture = Posture::of(b"SSH-2.0-dropbear_2022.82", false);
        assert_eq!(posture.software(), "dropbear_2022.82");
        assert!(posture.doubts().iter().any(|doubt| doubt.starts_with("CVE-2023-48795")));
        assert!(!Posture::of(b"SSH-2.0-x\x1b[31m\xff", true).software().contains('\u{1b}'));
    }
}
