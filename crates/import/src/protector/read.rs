//! From the text to what it says: first its form, then what the values may be.

use std::collections::BTreeSet;
use std::ops::Range;

use ipnet::IpNet;
use model::{LiteralSecret, Secret};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, shown};
use super::{Auth, Listen, Protector, Upstream};

/// Every key that means something, with its table.
const KNOWN: [&str; 14] = [
    "upstream",
    "upstream.url",
    "upstream.command",
    "upstream.auth",
    "upstream.auth.type",
    "upstream.auth.token",
    "listen",
    "listen.transport",
    "listen.port",
    "listen.auth",
    "listen.auth.type",
    "listen.auth.token",
    "listen.auth.allow",
    "policy",
];
const ALLOW: &str = "policy.allow";

pub(super) fn read(text: &str, kept: &dyn Fn(&str) -> String) -> Result<Protector, Vec<Mistake>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // The error's own text quotes the line; its message does not, but for the name of a key.
        let form = |error: &toml::de::Error| {
            Mistake::form(text, error.span().map_or(0, |span| span.start), error.message())
        };
        return Err(errors.iter().map(form).collect());
    }
    let (written, forms) = Written::read(text, document.get_ref());
    if !forms.is_empty() {
        return Err(forms);
    }
    let mut wrong = Vec::new();
    let upstream = upstream(&written, &mut wrong);
    let listen = listen(&written, &mut wrong, kept);
    let mut unknown = Vec::new();
    collect_unknown(document.get_ref(), "", &mut unknown);
    match (upstream, listen) {
        (Some(upstream), Some(listen)) if wrong.is_empty() => {
            let allow = written.allow.iter().map(|tool| (*tool).to_owned()).collect::<BTreeSet<_>>();
            Ok(Protector { idle: idle(&written, &upstream, &listen), upstream, listen, allow, unknown })
        }
        _ => Err(wrong),
    }
}

/// The values as they are written, in their types.
#[derive(Default)]
struct Written<'a> {
    url: &'a str,
    command: Option<Vec<&'a str>>,
    upstream_auth: Option<WrittenAuth<'a>>,
    transport: &'a str,
    port: Option<u32>,
    listen_auth: Option<WrittenAuth<'a>>,
    allow: Vec<&'a str>,
}

#[derive(Default)]
struct WrittenAuth<'a> {
    kind: &'a str,
    token: Option<&'a str>,
    allow: Option<Vec<&'a str>>,
}

impl<'a> Written<'a> {
    fn read(text: &'a str, root: &'a DeTable<'a>) -> (Self, Vec<Mistake>) {
        let mut forms = Forms { text, found: Vec::new() };
        let whole = 0..0;
        let mut written = Self::default();
        if let Some((upstream, at)) = forms.needed_table(root, "upstream", &whole) {
            written.url = forms.needed(upstream, "upstream.url", &at, Forms::text).unwrap_or_default();
            written.command = forms.value(upstream, "upstream.command", Forms::texts);
            written.upstream_auth = forms.auth(upstream, "upstream.auth");
        }
        if let Some((listen, at)) = forms.needed_table(root, "listen", &whole) {
            written.transport =
                forms.needed(listen, "listen.transport", &at, Forms::text).unwrap_or_default();
            written.port = forms.value(listen, "listen.port", Forms::number);
            written.listen_auth = forms.auth(listen, "listen.auth");
        }
        if let Some((policy, at)) = forms.needed_table(root, "policy", &whole) {
            written.allow = forms.needed(policy, ALLOW, &at, Forms::texts).unwrap_or_default();
        }
        (written, forms.found)
    }
}

/// Looks at types, and keeps what is wrong.
struct Forms<'a> {
    text: &'a str,
    found: Vec<Mistake>,
}

impl<'a> Forms<'a> {
    fn wrong(&mut self, at: &Range<usize>, why: String) {
        self.found.push(Mistake::form(self.text, at.start, why));
    }

    fn needed_table(
        &mut self,
        parent: &'a DeTable<'a>,
        path: &str,
        around: &Range<usize>,
    ) -> Option<(&'a DeTable<'a>, Range<usize>)> {
        self.needed(parent, path, around, |forms, value, path| {
            let table = value.get_ref().as_table();
            if table.is_none() {
                forms.wrong(&value.span(), format!("`{path}`: expected a table"));
            }
            table.map(|table| (table, value.span()))
        })
    }

    fn needed<T>(
        &mut self,
        table: &'a DeTable<'a>,
        path: &str,
        around: &Range<usize>,
        read: impl FnOnce(&mut Self, &'a Spanned<DeValue<'a>>, &str) -> Option<T>,
    ) -> Option<T> {
        let key = path.rsplit('.').next().unwrap_or(path);
        match table.get(key) {
            Some(value) => read(self, value, path),
            None => {
                self.wrong(around, format!("missing field `{key}` (`{path}`)"));
                None
            }
        }
    }

    fn value<T>(
        &mut self,
        table: &'a DeTable<'a>,
        path: &str,
        read: impl FnOnce(&mut Self, &'a Spanned<DeValue<'a>>, &str) -> Option<T>,
    ) -> Option<T> {
        let value = table.get(path.rsplit('.').next().unwrap_or(path))?;
        read(self, value, path)
    }

    fn text(&mut self, value: &'a Spanned<DeValue<'a>>, path: &str) -> Option<&'a str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.wrong(&value.span(), format!("`{path}`: expected a string"));
        }
        text
    }

    fn texts(&mut self, value: &'a Spanned<DeValue<'a>>, path: &str) -> Option<Vec<&'a str>> {
        let Some(items) = value.get_ref().as_array() else {
            self.wrong(&value.span(), format!("`{path}`: expected an array of strings"));
            return None;
        };
        let texts: Vec<_> = items.iter().map(|item| self.text(item, path)).collect();
        texts.into_iter().collect()
    }

    fn number(&mut self, value: &'a Spanned<DeValue<'a>>, path: &str) -> Option<u32> {
        let number = value
            .get_ref()
            .as_integer()
            .and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
        if number.is_none() {
            self.wrong(&value.span(), format!("`{path}`: expected an integer from 0 to {}", u32::MAX));
        }
        number
    }

    fn auth(&mut self, table: &'a DeTable<'a>, path: &str) -> Option<WrittenAuth<'a>> {
        let value = table.get(path.rsplit('.').next().unwrap_or(path))?;
        let Some(auth) = value.get_ref().as_table() else {
            self.wrong(&value.span(), format!("`{path}`: expected a table"));
            return None;
        };
        let kind = self.needed(auth, &format!("{path}.type"), &value.span(), Self::text);
        let token = self.value(auth, &format!("{path}.token"), Self::text);
        let networks = path == "listen.auth";
        let allow = if networks { self.value(auth, &format!("{path}.allow"), Self::texts) } else { None };
        Some(WrittenAuth { kind: kind?, token, allow })
    }
}

fn upstream(written: &Written<'_>, wrong: &mut Vec<Mistake>) -> Option<Upstream> {
    let token = written.upstream_auth.as_ref().and_then(|auth| upstream_token(auth, wrong));
    let url = written.url;
    if url == "stdio" {
        let command: Vec<String> = written.command.iter().flatten().map(|word| (*word).to_owned()).collect();
        if command.is_empty() {
            wrong.push(Mistake::field("upstream.command", "required when upstream.url is 'stdio'"));
            return None;
        }
        return Some(Upstream::Program { command });
    }
    let reason = match url.strip_prefix("https://") {
        None => format!("expected 'stdio' or an 'https://' URL, got '{}'", shown(url)),
        Some(rest) if !names_a_host(rest) => {
            format!("'{}' is not a valid HTTPS URL (must have a non-empty host and no userinfo)", shown(url))
        }
        Some(_) => return Some(Upstream::Https { url: url.to_owned(), token }),
    };
    wrong.push(Mistake::field("upstream.url", reason));
    None
}

fn upstream_token(auth: &WrittenAuth<'_>, wrong: &mut Vec<Mistake>) -> Option<LiteralSecret> {
    if auth.kind != "bearer" {
        let reason = format!("unknown value '{}'; expected 'bearer'", shown(auth.kind));
        wrong.push(Mistake::field("upstream.auth.type", reason));
        return None;
    }
    let token = token(auth, "upstream.auth", wrong)?;
    Some(LiteralSecret::new(Secret::new(token.to_owned())))
}

/// Host and port behind the scheme, nothing looser.
fn names_a_host(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.strip_prefix('[') {
        Some(literal) => match literal.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => (address, port),
            Some(_) | None => return false,
        },
        None => authority.find(':').map_or((authority, ""), |at| authority.split_at(at)),
    };
    let fits = |c: char| c.is_alphanumeric() || "-._:".contains(c);
    let port = port.strip_prefix(':').unwrap_or(port);
    let whole = rest.chars().all(|c| !c.is_whitespace() && !c.is_control());
    let numeric = port.is_empty() || port.parse::<u16>().is_ok();
    !host.is_empty() && host.chars().all(fits) && whole && numeric
}

fn listen(written: &Written<'_>, wrong: &mut Vec<Mistake>, kept: &dyn Fn(&str) -> String) -> Option<Listen> {
    let auth = match &written.listen_auth {
        None => Some(Auth::Nobody),
        Some(auth) => listen_auth(auth, wrong, kept),
    };
    let port = written.port.and_then(|port| {
        let valid = u16::try_from(port).ok().filter(|port| *port != 0);
        if valid.is_none() {
            let reason = format!("{port} is not a valid port number (must be 1\u{2013}65535)");
            wrong.push(Mistake::field("listen.port", reason));
        }
        valid
    });
    match written.transport {
        "stdio" => Some(Listen::Stdio),
        "http" => {
            if written.port.is_none() {
                wrong.push(Mistake::field("listen.port", "required when transport is 'http'"));
            }
            Some(Listen::Http { port: port?, auth: auth? })
        }
        other => {
            let reason = format!("unknown value '{}'; expected 'stdio' or 'http'", shown(other));
            wrong.push(Mistake::field("listen.transport", reason));
            None
        }
    }
}

fn listen_auth(
    auth: &WrittenAuth<'_>,
    wrong: &mut Vec<Mistake>,
    kept: &dyn Fn(&str) -> String,
) -> Option<Auth> {
    match auth.kind {
        "bearer" => token(auth, "listen.auth", wrong).map(|token| Auth::Bearer(kept(token))),
        "ip_allowlist" => {
            if auth.token.is_some() {
                let reason = "'token' is not valid for type = 'ip_allowlist'; use 'allow' instead";
                wrong.push(Mistake::field("listen.auth.token", reason));
            }
            networks(auth.allow.as_deref().unwrap_or_default(), wrong).map(Auth::Addresses)
        }
        other => {
            let reason = format!("unknown value '{}'; expected 'bearer' or 'ip_allowlist'", shown(other));
            wrong.push(Mistake::field("listen.auth.type", reason));
            None
        }
    }
}

fn token<'a>(auth: &WrittenAuth<'a>, path: &str, wrong: &mut Vec<Mistake>) -> Option<&'a str> {
    let reason = match auth.token {
        None => format!("required when {path}.type is 'bearer'"),
        Some(token) if token.trim().is_empty() => "must not be empty or whitespace".to_owned(),
        // No header could carry it, so nobody could ever present it.
        Some(token) if token.chars().any(char::is_control) => "must not hold control characters".to_owned(),
        Some(token) => return Some(token),
    };
    wrong.push(Mistake::field(format!("{path}.token"), reason));
    None
}

fn networks(written: &[&str], wrong: &mut Vec<Mistake>) -> Option<Vec<IpNet>> {
    const FIELD: &str = "listen.auth.allow";
    if written.is_empty() {
        let reason = "required and must be non-empty when listen.auth.type is 'ip_allowlist'";
        wrong.push(Mistake::field(FIELD, reason));
        return None;
    }
    let read = |(at, text): (usize, &&str)| {
        text.parse::<IpNet>().map_err(|error| {
            let reason = format!("'{}' is not a valid CIDR range: {error}", shown(text));
            wrong.push(Mistake::field(format!("{FIELD}[{at}]"), reason));
        })
    };
    let networks: Vec<_> = written.iter().enumerate().map(read).collect();
    networks.into_iter().collect::<Result<_, _>>().ok()
}

/// What is written and does nothing, here as there.
fn idle(written: &Written<'_>, upstream: &Upstream, listen: &Listen) -> Vec<&'static str> {
    let mut idle = Vec::new();
    match upstream {
        Upstream::Program { .. } if written.upstream_auth.is_some() => idle.push("upstream.auth"),
        Upstream::Https { .. } if written.command.is_some() => idle.push("upstream.command"),
        Upstream::Program { .. } | Upstream::Https { .. } => {}
    }
    if *listen == Listen::Stdio {
        idle.extend(written.listen_auth.is_some().then_some("listen.auth"));
        idle.extend(written.port.is_some().then_some("listen.port"));
    }
    let allows =
        written.listen_auth.as_ref().is_some_and(|auth| auth.kind == "bearer" && auth.allow.is_some());
    idle.extend(allows.then_some("listen.auth.allow"));
    idle
}

fn collect_unknown(table: &DeTable<'_>, above: &str, unknown: &mut Vec<String>) {
    for (key, value) in table.iter() {
        let path =
            if above.is_empty() { key.get_ref().to_string() } else { format!("{above}.{}", key.get_ref()) };
        if path == ALLOW {
            continue;
        }
        match value.get_ref().as_table() {
            _ if !KNOWN.contains(&path.as_str()) => unknown.push(shown(&path)),
            Some(inner) => collect_unknown(inner, &path, unknown),
            None => {}
        }
    }
}
