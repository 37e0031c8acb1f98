//! What the file means to us: a configuration of our own, in a folder that goes with the process.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use audit::{ProtectorLines, SinkConfig, SinkFormat, SinkTarget};
use config::templates::StarterFile;
use config::{ApiKeyHash, Configuration, HttpConfig, Loaded, ReachConfig, Setting};
use import::protector::{Auth, Listen, Protector, Upstream};
use ipnet::IpNet;
use mcp::{Admission, Alone};
use model::{Limits, LiteralSecret, SecretLocation, UpstreamName};

use crate::commands::init;
use crate::failure::Stop;
use crate::output::Output;
use crate::place::{Place, load};

/// Everything that is built from.
pub(super) struct Stage {
    /// Keys, journal and store; gone when this is dropped.
    pub(super) folder: tempfile::TempDir,
    pub(super) place: Place,
    pub(super) loaded: Loaded,
    pub(super) alone: Arc<Alone>,
    pub(super) sink: SinkConfig,
}

/// The principal that every client is, and the local user that stands for it on standard input and output.
pub(super) const AGENT: &str = "agent";

/// The one upstream's name, which nobody sees.
const NAME: &str = "protected";

/// Long enough for everything that the old program waited for without end.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// A message of an upstream is no longer than this anyway.
const LARGEST: u64 = 16 << 20;
const CALLS: usize = 1024;

const RULES: &str = r#"
[[rule]]
name = "what policy.allow lists"
allow = ["upstream:protected"]
principals = ["agent"]
targets = ["*"]

[[rule]]
name = "tools and nothing else"
forbid = ["resource:protected/**", "prompt:protected/**"]
principals = ["*"]
targets = ["*"]
"#;

impl Stage {
    /// Makes it.
    pub(super) fn new(file: &Protector, output: Output) -> Result<Self, Stop> {
        let folder = folder()?;
        let text = |path, text| StarterFile { path, text };
        let files = [
            text("policy/rules.toml", RULES.to_owned()),
            text("inventory.toml", String::new()),
            text("portcullis.toml", ours(&file.upstream)),
        ];
        init::prepare(folder.path(), &files)?;
        let place = Place::find(Some(&folder.path().join("portcullis.toml")))?;
        let mut loaded = load(&place, output)?;
        complete(&mut loaded.configuration, file)?;
        let name = UpstreamName::parse(NAME).map_err(Stop::failed)?;
        let alone = Arc::new(Alone::new(name, file.allow.clone(), admission(&file.listen)));
        Ok(Self { folder, place, loaded, alone, sink: sink(file) })
    }
}

/// Where its clients are, if they are not one on standard input and output. Who lets in everybody listens for this machine alone.
pub(super) fn address(listen: &Listen) -> Option<SocketAddr> {
    match listen {
        Listen::Stdio => None,
        Listen::Http { port, auth: Auth::Nobody } => Some((Ipv4Addr::LOCALHOST, *port).into()),
        Listen::Http { port, auth: Auth::Bearer(_) | Auth::Addresses(_) } => {
            Some((Ipv4Addr::UNSPECIFIED, *port).into())
        }
    }
}

/// Services are often kept from writing to `/tmp`; what is in memory is good enough for what nobody keeps.
fn folder() -> Result<tempfile::TempDir, Stop> {
    let given = std::env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from);
    let places = given.into_iter().chain([std::env::temp_dir(), PathBuf::from("/dev/shm")]);
    let make = |place: PathBuf| tempfile::Builder::new().prefix("portcullis-").tempdir_in(place);
    let mut why = None;
    for place in places {
        match make(place) {
            Ok(folder) => return Ok(folder),
            Err(error) => why = Some(error),
        }
    }
    let why = why.map(|error| error.to_string()).unwrap_or_default();
    Err(Stop::failed(format!("there is no folder for what it has to write while it runs: {why}")))
}

/// What no secret is in. The rest is completed in memory, and never on disk.
fn ours(upstream: &Upstream) -> String {
    let reach = match upstream {
        Upstream::Program { .. } => "command = [\"/completed/in/memory\"]\nsandbox = \"off\"",
        Upstream::Https { .. } => "url = \"https://completed.in.memory.invalid/\"",
    };
    format!(
        r#"[listen]
http = "127.0.0.1:0"
metrics = "off"

[[principal]]
id = "{AGENT}"
os_user = "{AGENT}"

[[upstream]]
name = "{NAME}"
{reach}
tools = []
pin = "off"
required = true
max_concurrent = {CALLS}

[audit]
durability = "process"
record_commands = "never"
"#
    )
}

fn complete(configuration: &mut Configuration, file: &Protector) -> Result<(), Stop> {
    let incomplete = || Stop::failed("its configuration could not be carried over");
    configuration.limits =
        Limits { timeout: Some(LONGEST), output: Some(LARGEST), calls_per_minute: Some(u32::MAX) };
    let agent = configuration.principals.first_mut().ok_or_else(incomplete)?;
    match &file.listen {
        Listen::Stdio => {}
        Listen::Http { auth: Auth::Nobody, .. } => agent.keyless = true,
        Listen::Http { auth: Auth::Bearer(hash), .. } => {
            agent.api_keys = vec![ApiKeyHash::of_token(hash.clone())];
        }
        Listen::Http { auth: Auth::Addresses(networks), .. } => {
            agent.keyless = true;
            agent.from.clone_from(networks);
        }
    }
    let upstream = configuration.upstreams.first_mut().ok_or_else(incomplete)?;
    // Byte for byte, also what rules could not write.
    upstream.tools = Some(file.allow.clone());
    upstream.timeout = Some(LONGEST);
    match (&mut upstream.reach, &file.upstream) {
        (ReachConfig::Program { command, env, folder, .. }, Upstream::Program { command: written }) => {
            let here = std::env::current_dir().map_err(Stop::failed)?;
            command.clone_from(written);
            if let Some(program) = command.first_mut() {
                *program = found_from(&here, program);
            }
            (*env, *folder) = (environment(), here);
            Ok(())
        }
        (ReachConfig::Http(http), Upstream::Https { url, token }) => {
            complete_server(http, url, token.as_ref());
            Ok(())
        }
        _ => Err(incomplete()),
    }
}

fn found_from(here: &Path, program: &str) -> String {
    if program.contains('/') { here.join(program).to_string_lossy().into_owned() } else { program.to_owned() }
}

/// Who wrote the address meant where it leads: a private network, as a rule. What no server is at stays out.
fn complete_server(http: &mut HttpConfig, url: &str, token: Option<&LiteralSecret>) {
    let all = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let never = ["169.254.0.0/16", "fe80::/10", "100.100.100.200/32", "fd00:ec2::254/128"];
    url.clone_into(&mut http.url);
    http.bearer = token.cloned().map(SecretLocation::Literal);
    http.allow = Some(all.iter().filter_map(|address| IpNet::new(*address, 0).ok()).collect());
    http.block = never.iter().filter_map(|network| network.parse().ok()).collect();
}

/// Secrets that are shorter than this are found everywhere, so they are no use to look for.
const SHORTEST: usize = 8;

/// The program gets the environment that this one has, as it did. What is a secret by its name is looked for in its answers.
fn environment() -> BTreeMap<String, Setting> {
    const SECRETS: [&str; 5] = ["TOKEN", "KEY", "SECRET", "PASS", "CREDENTIAL"];
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let ours = |name: &str| name.starts_with("PORTCULLIS_");
    let setting = |(name, value): (String, String)| {
        let upper = name.to_ascii_uppercase();
        let secret = value.trim().len() >= SHORTEST && SECRETS.iter().any(|part| upper.contains(part));
        let setting =
            if secret { Setting::Secret(SecretLocation::Env(name.clone())) } else { Setting::Plain(value) };
        (name, setting)
    };
    std::env::vars_os().filter_map(text).filter(|(name, _)| !ours(name)).map(setting).collect()
}

fn admission(listen: &Listen) -> Admission {
    match listen {
        Listen::Stdio | Listen::Http { auth: Auth::Nobody, .. } => Admission::Anybody,
        Listen::Http { auth: Auth::Bearer(_), .. } => Admission::Key,
        Listen::Http { auth: Auth::Addresses(_), .. } => Admission::Address,
    }
}

/// The record of the old program, on the stream that it was on.
fn sink(file: &Protector) -> SinkConfig {
    let (to, method) = match &file.listen {
        Listen::Stdio => (SinkTarget::Stderr, "none"),
        Listen::Http { auth, .. } => {
            let method = match auth {
                Auth::Nobody => "none",
                Auth::Bearer(_) => "bearer",
                Auth::Addresses(_) => "ip_allowlist",
            };
            (SinkTarget::Stdout, method)
        }
    };
    SinkConfig {
        to,
        format: SinkFormat::Protector(ProtectorLines { upstream: shown(&file.upstream), method }),
    }
}

/// The last part of the program's path, or the host.
fn shown(upstream: &Upstream) -> String {
    match upstream {
        Upstream::Program { command } => {
            let program = command.first().map(Path::new).and_then(Path::file_name);
            program.unwrap_or_default().to_string_lossy().into_owned()
        }
        Upstream::Https { url, .. } => {
            let host = url.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
            host.unwrap_or_default()
        }
    }
}
