//! What programs of upstreams are kept from: everything that decides, proves or opens something here.

use std::path::{Path, PathBuf};

use config::{
    CcpIdentity, Configuration, HttpConfig, KeyLocation, Loaded, ReachConfig, SandboxConfig, SandboxKind,
    Setting, SourceKind,
};
use model::{CredentialSpec, SecretLocation};
use upstream::{Confinement, Machine, Sandbox, SandboxSettings};

/// A program's confinement as it is configured.
pub(super) fn settings(sandbox: &SandboxConfig, guarded: &[PathBuf]) -> SandboxSettings {
    SandboxSettings {
        sandbox: match sandbox.kind {
            SandboxKind::Auto => Sandbox::Auto,
            SandboxKind::User => Sandbox::User,
            SandboxKind::Landlock => Sandbox::Landlock,
            SandboxKind::Off => Sandbox::Off,
        },
        user: sandbox.user.clone(),
        read: sandbox.read.clone(),
        write: sandbox.write.clone(),
        guarded: guarded.to_vec(),
    }
}

/// What each program would be confined by, started by the user who asks: its name, and how, or why it would not start.
pub(crate) fn confinements(loaded: &Loaded) -> Vec<(String, Result<Confinement, String>)> {
    let machine = Machine::look();
    let programs = loaded.configuration.upstreams.iter().filter_map(|upstream| match &upstream.reach {
        ReachConfig::Program { sandbox, .. } => {
            let confinement = Confinement::of(&settings(sandbox, &[]), upstream.name, machine);
            Some((upstream.name.to_string(), confinement))
        }
        ReachConfig::Http(_) => None,
    });
    programs.collect()
}

/// The files and folders that no program may open.
pub(super) fn guarded(file: &Path, loaded: &Loaded) -> Vec<PathBuf> {
    let of = &loaded.configuration;
    let mut guarded = vec![
        std::path::absolute(file).unwrap_or_else(|_| file.to_owned()),
        of.inventory.clone(),
        of.policy.clone(),
        of.state.clone(),
        of.audit.heads.to.clone(),
    ];
    guarded.extend([&of.audit.signing_key, &of.audit.seal_key].into_iter().filter_map(key));
    guarded.extend(of.listen.tls.as_ref().map(|tls| tls.key.clone()));
    sources(of, &mut guarded);
    for credential in loaded.inventory.hosts().filter_map(|host| host.credential.as_ref()) {
        match credential {
            CredentialSpec::Key { path, passphrase } => {
                guarded.push(path.clone());
                guarded.extend(passphrase.as_ref().and_then(location));
            }
            CredentialSpec::Password(secret) => guarded.extend(location(secret)),
            CredentialSpec::Stored(_) | CredentialSpec::Agent { .. } => {}
        }
    }
    for upstream in &of.upstreams {
        match &upstream.reach {
            ReachConfig::Program { env, .. } => guarded.extend(env.values().filter_map(setting)),
            ReachConfig::Http(http) => of_http(http, &mut guarded),
        }
    }
    guarded.sort();
    guarded.dedup();
    guarded
}

fn sources(of: &Configuration, guarded: &mut Vec<PathBuf>) {
    for source in &of.sources {
        match &source.kind {
            SourceKind::Keystore { file, master_key } => {
                guarded.push(file.clone());
                guarded.extend(key(master_key));
            }
            SourceKind::Folder { paths } => guarded.extend(paths.iter().map(|path| folder(path))),
            SourceKind::Ccp(ccp) => match &ccp.identity {
                Some(CcpIdentity::Pfx { file, password }) => {
                    guarded.push(file.clone());
                    guarded.extend(password.as_ref().and_then(location));
                }
                Some(CcpIdentity::Pem { key, .. }) => guarded.push(key.clone()),
                None => {}
            },
            SourceKind::Env { .. } | SourceKind::Command { .. } => {}
        }
    }
}

fn of_http(http: &HttpConfig, guarded: &mut Vec<PathBuf>) {
    guarded.extend(http.identity.as_ref().map(|(_, key)| key.clone()));
    guarded.extend(http.bearer.as_ref().and_then(location));
    guarded.extend(http.oauth.as_ref().and_then(|oauth| location(&oauth.client_secret)));
    guarded.extend(http.headers.values().filter_map(setting));
}

/// systemd's folder of credentials can be part of a path.
fn folder(path: &Path) -> PathBuf {
    match (path.strip_prefix("$CREDENTIALS_DIRECTORY"), credentials()) {
        (Ok(rest), Some(folder)) => folder.join(rest),
        (Ok(_) | Err(_), _) => path.to_owned(),
    }
}

fn key(key: &KeyLocation) -> Option<PathBuf> {
    match key {
        KeyLocation::File(file) => Some(file.clone()),
        KeyLocation::Systemd(name) => Some(credentials()?.join(name)),
        KeyLocation::Env(_) | KeyLocation::Prompt => None,
    }
}

fn credentials() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

fn setting(setting: &Setting) -> Option<PathBuf> {
    match setting {
        Setting::Secret(secret) => location(secret),
        Setting::Plain(_) => None,
    }
}

fn location(secret: &SecretLocation) -> Option<PathBuf> {
    match secret {
        SecretLocation::File(file) => Some(file.clone()),
        SecretLocation::Env(_) | SecretLocation::Stored(_) | SecretLocation::Literal(_) => None,
    }
}
