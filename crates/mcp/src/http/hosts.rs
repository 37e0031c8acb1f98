//! `Host` and `Origin`: what keeps a page in a browser from speaking to the gateway under a name of its own.

use std::net::IpAddr;

use http::header::{HOST, HeaderMap, HeaderName, ORIGIN};
use http::uri::Authority;

/// Hosts and origins that are let in beside the loopback ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostRules {
    hosts: Vec<(Host, Option<u16>)>,
    origins: Vec<Origin>,
    /// The literal addresses that the front listens on: no name, so nothing that could be pointed elsewhere.
    addresses: Vec<IpAddr>,
    /// Any literal address is let in: where it is not known by which ones this machine is reached.
    any_address: bool,
}

/// An entry that names no host or origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {expected}")]
pub struct MalformedHostRule {
    text: String,
    expected: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    /// In lower case, without a trailing dot.
    Name(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    secure: bool,
    host: Host,
    port: u16,
}

impl HostRules {
    /// Reads hosts (`name`, `name:port`, `address`, `[address]:port`; without a port any port is meant) and origins
    /// (`https://name` with a port where it is not the scheme's own).
    pub fn parse(hosts: &[String], origins: &[String]) -> Result<Self, MalformedHostRule> {
        let malformed = |text: &String, expected| MalformedHostRule { text: text.clone(), expected };
        let hosts = hosts
            .iter()
            .map(|text| {
                let bare =
                    text.parse().ok().map(|address: IpAddr| (Host::Address(address.to_canonical()), None));
                bare.or_else(|| authority(text)).ok_or_else(|| malformed(text, "host name or address"))
            })
            .collect::<Result<_, _>>()?;
        let origins = origins
            .iter()
            .map(|text| Origin::parse(text).ok_or_else(|| malformed(text, "origin like `https://name`")))
            .collect::<Result<_, _>>()?;
        Ok(Self { hosts, origins, addresses: Vec::new(), any_address: false })
    }

    /// Lets in every literal address. No page gets one for a name of its own, so it keeps those out all the same.
    #[must_use]
    pub fn with_any_address(self) -> Self {
        Self { any_address: true, ..self }
    }

    pub(super) fn with_addresses(mut self, addresses: impl Iterator<Item = IpAddr>) -> Self {
        self.addresses =
            addresses.map(|address| address.to_canonical()).filter(|a| !a.is_unspecified()).collect();
        self
    }

    /// Whether the request is for a host that is served here. `target` is the authority in the request's own target,
    /// which HTTP/2 has instead of the header; where both are there, they must agree.
    pub(super) fn host_is_ours(&self, headers: &HeaderMap, target: Option<&Authority>) -> bool {
        let header = match single(headers, &HOST) {
            Single::None => None,
            Single::One(text) => Some(authority(text)),
            Single::Wrong => return false,
        };
        let target = target.map(|target| authority(target.as_str()));
        match (header, target) {
            (Some(Some(one)), None) | (None, Some(Some(one))) => self.admits(&one),
            (Some(Some(one)), Some(Some(other))) => one == other && self.admits(&one),
            _ => false,
        }
    }

    /// Whether a request with this `Origin`, or none, is let in.
    pub(super) fn origin_is_let_in(&self, headers: &HeaderMap) -> bool {
        match single(headers, &ORIGIN) {
            Single::None => true,
            Single::One(text) => Origin::parse(text)
                .is_some_and(|origin| origin.host.is_loopback() || self.origins.contains(&origin)),
            Single::Wrong => false,
        }
    }

    fn admits(&self, (host, port): &(Host, Option<u16>)) -> bool {
        host.is_loopback()
            || matches!(host, Host::Address(address) if self.any_address || self.addresses.contains(address))
            || self.hosts.iter().any(|(allowed, at)| allowed == host && (at.is_none() || at == port))
    }
}

impl Host {
    fn is_loopback(&self) -> bool {
        match self {
            Self::Address(address) => address.is_loopback(),
            Self::Name(name) => name == "localhost",
        }
    }
}

impl Origin {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let secure = match scheme {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let (host, port) = authority(rest)?;
        Some(Self { secure, host, port: port.unwrap_or(if secure { 443 } else { 80 }) })
    }
}

enum Single<'h> {
    None,
    One(&'h str),
    Wrong,
}

/// Two values contradict each other even when they are the same: somebody on the way may have read the other one.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Single<'h> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Single::None,
        (Some(value), None) => value.to_str().map_or(Single::Wrong, Single::One),
        (Some(_), Some(_)) => Single::Wrong,
    }
}

/// Reads `host` or `host:port`, and nothing looser.
fn authority(text: &str) -> Option<(Host, Option<u16>)> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        let address: std::net::Ipv6Addr = address.parse().ok()?;
        let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
        (Host::Address(IpAddr::V6(address).to_canonical()), port)
    } else {
        let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
        (name_or_v4(host)?, port)
    };
    let port = match port {
        None => None,
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().ok()?)
        }
        Some(_) => return None,
    };
    Some((host, port))
}

fn name_or_v4(text: &str) -> Option<Host> {
    if let Ok(address) = text.parse::<std::net::Ipv4Addr>() {
        return Some(Host::Address(IpAddr::V4(address)));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    // A last label of digits (or `0x...`) is how some resolvers write an address.
    let last_is_number =
        name.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_digit()));
    (name.len() <= 253 && name.split('.').all(label) && !last_is_number)
        .then(|| Host::Name(name.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use http::header::{HOST, HeaderMap, HeaderValue, ORIGIN};

    use super::HostRules;

    fn rules() -> HostRules {
        let hosts =
            ["mcp.example.internal", "gate.example:8443", "10.0.0.5", "[fd00::1]:443"].map(String::from);
        let origins = ["https://console.example", "http://tool.example:3000"].map(String::from);
        let listening = ["192.0.2.7".parse().unwrap(), "0.0.0.0".parse().unwrap()];
        HostRules::parse(&hosts, &origins).unwrap().with_addresses(listening.into_iter())
    }

    fn host(values: &[&str]) -> bool {
        host_and_target(values, None)
    }

    fn host_and_target(values: &[&str], target: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HOST, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        rules().host_is_ours(&headers, target.map(|target| target.parse().unwrap()).as_ref())
    }

    fn origin(values: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ORIGIN, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        rules().origin_is_let_in(&headers)
    }

    #[test]
    fn hosts_that_are_ours() {
        for ours in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "localhost:1",
            "127.0.0.1",
            "127.0.0.1:8443",
            "127.9.9.9",
            "[::1]",
            "[::1]:80",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
            "mcp.example.internal",
            "Mcp.Example.Internal.",
            "mcp.example.internal:9",
            "gate.example:8443",
            "10.0.0.5",
            "10.0.0.5:80",
            "[fd00::1]:443",
            "192.0.2.7:8443",
        ] {
            assert!(host(&[ours]), "{ours}");
        }
    }

    #[test]
    fn hosts_that_are_not() {
        for stranger in [
            "",
            "evil.example",
            "localhost.evil.example",
            "evil.example:8443",
            "mcp.example.internal.evil.example",
            "xmcp.example.internal",
            "gate.example",
            "gate.example:8444",
            "[fd00::1]",
            "[fd00::1]:444",
            "10.0.0.6",
            "0.0.0.0",
            "[::]",
            "localhost..",
            ".localhost",
            "localhost:",
            "localhost:x",
            "localhost:+80",
            "localhost:99999",
            "localhost:80:80",
            "user@localhost",
            "localhost/",
            "localhost localhost",
            "localhost,evil.example",
            "127.1",
            "0x7f.0.0.1",
            "2130706433",
            "0177.0.0.1",
            "127.0.0.1.",
            "::1",
            "[::1",
            "[::1]x",
            "[fe80::1%25lo]",
            "local\u{e9}host",
            "*",
            "null",
        ] {
            assert!(!host(&[stranger]), "{stranger}");
        }
    }

    #[test]
    fn one_host_and_no_other() {
        assert!(!host(&[]));
        assert!(!host(&["localhost", "localhost"]));
        assert!(!host(&["localhost", "evil.example"]));
        assert!(host_and_target(&[], Some("localhost:8443")));
        assert!(host_and_target(&["localhost:8443"], Some("localhost:8443")));
        assert!(!host_and_target(&["localhost"], Some("evil.example")));
        assert!(!host_and_target(&["evil.example"], Some("localhost")));
        assert!(!host_and_target(&["localhost:1"], Some("localhost:2")));
    }

    #[test]
    fn origins() {
        for (text, expected) in [
            ("http://localhost:6274", true),
            ("http://127.0.0.1", true),
            ("https://[::1]:3", true),
            ("https://console.example", true),
            ("https://console.example:443", true),
            ("https://CONSOLE.example", true),
            ("http://tool.example:3000", true),
            ("http://console.example", false),
            ("https://console.example:444", false),
            ("https://console.example.evil.example", false),
            ("http://tool.example", false),
            ("https://evil.example", false),
            ("null", false),
            ("", false),
            ("https://", false),
            ("file://localhost", false),
            ("chrome-extension://localhost", false),
            ("https://console.example/path", false),
            ("https://user@console.example", false),
            ("localhost", false),
            ("https://mcp.example.internal", false),
        ] {
            assert_eq!(origin(&[text]), expected, "{text}");
        }
        assert!(origin(&[]));
        assert!(!origin(&["http://localhost", "http://localhost"]));
        assert!(!origin(&["https://console.example", "https://evil.example"]));
    }

    #[test]
    fn entries_that_name_nothing_are_refused() {
        for wrong in ["*", "", "*.example", "https://x", "a b", "x:y"] {
            assert!(HostRules::parse(&[wrong.to_owned()], &[]).is_err(), "{wrong}");
        }
        for wrong in ["*", "", "null", "console.example", "https://a/b"] {
            assert!(HostRules::parse(&[], &[wrong.to_owned()]).is_err(), "{wrong}");
        }
        assert!(HostRules::parse(&["fd00::1".to_owned()], &[]).is_ok());
    }
}
