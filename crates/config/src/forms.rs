//! The forms of single texts: durations, sizes, networks, addresses, names.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use model::{MalformedCredential, MalformedName};
use toml::de::DeValue;

/// What is wrong with a text, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Wrong {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl From<&str> for Wrong {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

impl From<String> for Wrong {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

impl From<MalformedName> for Wrong {
    fn from(error: MalformedName) -> Self {
        Self::new(printable(&error.to_string()))
    }
}

impl From<MalformedCredential> for Wrong {
    fn from(error: MalformedCredential) -> Self {
        Self::new(printable(&error.to_string()))
    }
}

/// A text that can be shown: no control characters, and not endless.
pub(crate) fn printable(text: &str) -> String {
    let shown: String = text
        .chars()
        .take(300)
        .map(|c| if c.is_control() || ('\u{200b}'..='\u{202e}').contains(&c) { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(300).is_some() { format!("{shown}...") } else { shown }
}

pub(crate) fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// `500ms`, `30s`, `5m`, `1h`, `1d`.
pub(crate) fn duration(text: &str) -> Result<Duration, Wrong> {
    let (number, unit) =
        amount(text).ok_or_else(|| not_a("duration", text, "`500ms`, `30s`, `5m`, `1h` or `1d`"))?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(not_a("duration", text, "`500ms`, `30s`, `5m`, `1h` or `1d`")),
    };
    number
        .checked_mul(millis)
        .map(Duration::from_millis)
        .ok_or_else(|| Wrong::new(format!("`{}` is too long", printable(text))))
}

/// `512B`, `128KiB`, `1MiB`, `2GiB`.
pub(crate) fn size(text: &str) -> Result<u64, Wrong> {
    let (number, unit) =
        amount(text).ok_or_else(|| not_a("size", text, "`512B`, `128KiB`, `1MiB` or `2GiB`"))?;
    let bytes: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(not_a("size", text, "`512B`, `128KiB`, `1MiB` or `2GiB`")),
    };
    number.checked_mul(bytes).ok_or_else(|| Wrong::new(format!("`{}` is too large", printable(text))))
}

fn amount(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit))
}

fn not_a(kind: &str, text: &str, forms: &str) -> Wrong {
    Wrong::new(format!("`{}` is not a {kind}", printable(text)))
        .hint(format!("write a whole number and its unit: {forms}"))
}

pub(crate) fn write_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
    match units.iter().find(|(unit, _)| millis >= *unit && millis.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", millis / unit),
        None => format!("{millis}ms"),
    }
}

pub(crate) fn write_size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes}B"),
    }
}

pub(crate) fn path(text: &str) -> Result<PathBuf, Wrong> {
    if text.is_empty() {
        return Err(Wrong::new("expected a path, found empty text"));
    }
    if text.chars().any(char::is_control) {
        return Err(Wrong::new("a path cannot hold control characters"));
    }
    if text == "~" || text.starts_with("~/") {
        return Err(Wrong::new(format!("`{}` begins with `~`, which is not expanded", printable(text)))
            .hint("write the home folder out"));
    }
    Ok(PathBuf::from(text))
}

/// A network that is written as one: `10.0.0.0/8`, with no bits set behind its prefix.
pub(crate) fn network(text: &str) -> Result<IpNet, Wrong> {
    let shown = printable(text);
    let Ok(network) = text.parse::<IpNet>() else {
        let wrong = Wrong::new(format!("`{shown}` is not a network"));
        return Err(match text.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => wrong.hint(format!("for this address alone write `{shown}/32`")),
            Ok(IpAddr::V6(_)) => wrong.hint(format!("for this address alone write `{shown}/128`")),
            Err(_) => wrong.hint("write an address and a prefix length, such as `10.0.0.0/8`"),
        });
    };
    if network.trunc() != network {
        return Err(Wrong::new(format!("`{shown}` has bits set behind its prefix"))
            .hint(format!("the network is `{}`", network.trunc())));
    }
    match network {
        IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => {
            Err(Wrong::new(format!("`{shown}` would never match: such addresses are seen as IPv4"))
                .hint("write the IPv4 network"))
        }
        IpNet::V4(_) | IpNet::V6(_) => Ok(network),
    }
}

pub(crate) fn socket_address(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_| {
        Wrong::new(format!("`{}` is not an address and port", printable(text)))
            .hint("write a literal address, such as `127.0.0.1:8443` or `[::1]:8443`")
    })
}

/// A literal address or a host name, without port, brackets or zone.
pub(crate) fn host_address(text: &str) -> Result<String, Wrong> {
    let shown = printable(text);
    if let Ok(address) = text.parse::<IpAddr>() {
        if address.is_unspecified() || address.is_multicast() {
            return Err(Wrong::new(format!("`{shown}` is not the address of one host")));
        }
        return Ok(text.to_owned());
    }
    let wrong = Wrong::new(format!("`{shown}` is neither an address nor a host name"));
    if text.contains("://") {
        return Err(wrong.hint("write the host alone, without a scheme"));
    }
    if text.contains('@') {
        return Err(wrong.hint("write the account as `user`"));
    }
    if text.contains(['[', ']', ':', '%']) {
        return Err(wrong.hint("write the port as `port`, IPv6 without brackets and without a zone"));
    }
    if !is_host_name(text) {
        return Err(wrong.hint("host names have labels of `a-z A-Z 0-9 - _`, joined by dots"));
    }
    Ok(text.to_owned())
}

/// Whether it is a host's name, with a dot at its end or without.
fn is_host_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    name.len() <= 253 && model::is_host_name(name)
}

/// What a `Host` header may say: a name or literal address, with a port or without.
pub(crate) fn allowed_host(text: &str) -> Result<String, Wrong> {
    let wrong = || {
        Wrong::new(format!("`{}` is not a host as a `Host` header names it", printable(text)))
            .hint("write a name or address, with `:port` only if clients send one; no scheme, path or `*`")
    };
    let host = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => {
            port.parse::<u16>().map_err(|_| wrong())?;
            host
        }
        _ => text,
    };
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let fits = match bare {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.parse::<std::net::Ipv4Addr>().is_ok() || is_host_name(host),
    };
    if fits { Ok(text.to_ascii_lowercase()) } else { Err(wrong()) }
}

/// `https://console.example` as an `Origin` header says it.
pub(crate) fn origin(text: &str) -> Result<String, Wrong> {
    let wrong = || {
        Wrong::new(format!("`{}` is not an origin", printable(text)))
            .hint("write scheme, host and maybe a port, such as `https://chat.example.internal`; no path")
    };
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or_else(wrong)?;
    allowed_host(host).map_err(|_| wrong())?;
    Ok(text.to_ascii_lowercase())
}

pub(crate) fn environment_name(text: &str) -> Result<String, Wrong> {
    let mut bytes = text.bytes();
    let fits = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text.len() <= 256;
    // Not quoted: somebody may have written the secret itself here.
    if fits { Ok(text.to_owned()) } else { Err("expected the name of an environment variable".into()) }
}

pub(crate) fn source_name(text: &str) -> Result<String, Wrong> {
    let fits = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!("`{}` is not a source name: expected 1 to 64 of `a-z 0-9 -`", printable(text)).into())
    }
}

pub(crate) fn tag(text: &str) -> Result<String, Wrong> {
    let fits = (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.@:/=".contains(&b));
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!("`{}` is not a tag: expected 1 to 128 of `a-z A-Z 0-9 _ - . @ : / =`", printable(text))
            .into())
    }
}

/// An account's name on a host or on this machine.
pub(crate) fn account(text: &str) -> Result<String, Wrong> {
    let fits = (1..=128).contains(&text.len())
        && !text.starts_with('-')
        && text.chars().all(|c| !c.is_control() && !c.is_whitespace() && !matches!(c, ':' | '/'));
    if fits { Ok(text.to_owned()) } else { Err(format!("`{}` is not a user name", printable(text)).into()) }
}

/// Permission bits of a socket, such as `0660`.
pub(crate) fn socket_mode(text: &str) -> Result<u32, Wrong> {
    let digits = (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    match u32::from_str_radix(text, 8) {
        Ok(mode) if digits && mode <= 0o777 => Ok(mode),
        Ok(_) | Err(_) => Err(Wrong::new(format!("`{}` is not a file mode", printable(text)))
            .hint("write octal digits, such as `0660`")),
    }
}

/// `SHA256:` and 43 characters of base64, as `ssh-add -l` prints it.
pub(crate) fn fingerprint(text: &str) -> Result<String, Wrong> {
    let fits = text.strip_prefix("SHA256:").is_some_and(|rest| {
        rest.len() == 43 && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/')
    });
    if fits {
        Ok(text.to_owned())
    } else {
        Err(Wrong::new("expected a key fingerprint").hint("write `SHA256:...` as `ssh-add -l` prints it"))
    }
}

/// A name in a certificate's subject alternative names: DNS name, address, URI or mail address.
pub(crate) fn alternative_name(text: &str) -> Result<String, Wrong> {
    let fits =
        (1..=253).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) && !text.contains('*');
    if fits {
        Ok(text.to_owned())
    } else {
        Err(Wrong::new(format!("`{}` is not a subject alternative name", printable(text)))
            .hint("write one name exactly as the certificate holds it; `*` is not a pattern"))
    }
}

#[cfg(test)]
#[path = "forms_tests.rs"]
mod tests;
