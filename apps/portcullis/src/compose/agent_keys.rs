//! Whether the SSH agent holds the keys that the inventory pins, looked at once at the start and by `check`.
//!
//! What is missing is a warning and never an error: agents are filled later, and whoever runs `check` often has another
//! agent than the gateway. Every login looks again, and fails.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{Diagnostic, Loaded, Severity};
use model::CredentialSpec;

/// The agent's socket, as the environment has it.
pub(super) fn socket() -> Option<PathBuf> {
    std::env::var_os("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty()).map(Into::into)
}

/// A warning for each pinned key that is not there.
pub(crate) async fn doubts(loaded: &Loaded) -> Vec<Diagnostic> {
    let mut pinned: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for host in loaded.inventory.hosts() {
        if let Some(CredentialSpec::Agent { fingerprint }) = &host.credential {
            pinned.entry(fingerprint).or_default().push(host.name.as_str());
        }
    }
    let socket = socket();
    let mut doubts = Vec::new();
    for (fingerprint, hosts) in pinned {
        if let Some((why, hint)) = doubt(socket.as_deref(), fingerprint).await {
            let of = hosts.first().copied().unwrap_or_default();
            let more = if hosts.len() > 1 { format!(" and {} more", hosts.len() - 1) } else { String::new() };
            doubts.push(Diagnostic {
                file: loaded.configuration.inventory.clone(),
                line: 0,
                column: 0,
                key: format!("hosts.{of}.credential"),
                code: None,
                message: format!("{why}: no login to `{of}`{more} with `{fingerprint}` until it does"),
                hint: Some(hint.to_owned()),
                severity: Severity::Warning,
            });
        }
    }
    doubts
}

async fn doubt(socket: Option<&Path>, fingerprint: &str) -> Option<(String, &'static str)> {
    let Some(socket) = socket else {
        return Some((
            "SSH_AUTH_SOCK is not set, so no SSH agent serves the gateway".to_owned(),
            "start the gateway with SSH_AUTH_SOCK; `check` sees the agent of whoever runs it",
        ));
    };
    let doubt = connector_ssh::examine_agent(socket, fingerprint).await.err()?;
    Some((
        doubt.to_string(),
        "`ssh-add` the key, as the gateway's user; `check` sees the agent of whoever runs it",
    ))
}
