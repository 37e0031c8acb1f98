//! What is wrong with the files that a source's certificates and key are in.

use std::fmt::Display;
use std::path::Path;

use model::Timestamp;
use rustls::crypto::aws_lc_rs;

use super::settings::{CcpIdentity, CcpSettings, CcpTrust};
use super::{identity, tls};
use crate::Environment;

/// What is wrong with a file, and the key of the configuration that has to do with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}`: {why}")]
pub struct CertificateFault {
    /// The key within the source: `ca`, `client_pfx`, `client_pfx.password`, `client_cert` or `client_key`.
    pub key: &'static str,
    /// What is wrong, with the file's name. Never with its password.
    pub why: String,
    /// Whether it lies in the environment of whoever looks, which may be another than the gateway's.
    pub elsewhere: bool,
}

/// What was found in a source's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateFinding {
    /// No source can be built with them.
    Fault(CertificateFault),
    /// One can, and it will not be believed, or soon not any more.
    Ending {
        /// The key of the configuration that names the file.
        key: &'static str,
        /// What ends, or has ended.
        what: &'static str,
    },
}

impl CertificateFault {
    pub(super) fn in_file(key: &'static str, file: &Path, why: &dyn Display) -> Self {
        Self { key, why: format!("`{}`: {why}", file.display()), elsewhere: false }
    }
}

impl From<CertificateFault> for String {
    fn from(fault: CertificateFault) -> Self {
        fault.to_string()
    }
}

/// Reads the files of a source as it would itself, and says everything that is the matter with them.
pub fn examine_certificates(
    settings: &CcpSettings,
    environment: &Environment,
    now: Timestamp,
) -> Vec<CertificateFinding> {
    let mut findings = Vec::new();
    if let CcpTrust::Authorities(path) = &settings.trust {
        let read = tls::authorities(path).and_then(|found| tls::roots_of(&found, path).map(|_| found));
        match read {
            Ok(found) if found.iter().any(|one| identity::left(one, now).is_some_and(|left| left <= 0)) => {
                findings
                    .push(CertificateFinding::Ending { key: "ca", what: "an authority in it has expired" });
            }
            Ok(_) => {}
            Err(fault) => findings.push(CertificateFinding::Fault(fault)),
        }
    }
    if let Some(own) = &settings.identity {
        let key = match own {
            CcpIdentity::Pfx { .. } => "client_pfx",
            CcpIdentity::Pem { .. } => "client_cert",
        };
        match identity::read(own, environment, &aws_lc_rs::default_provider()) {
            Ok(read) => {
                let ending = identity::ending(&read, now);
                findings.extend(ending.map(|what| CertificateFinding::Ending { key, what }));
            }
            Err(fault) => findings.push(CertificateFinding::Fault(fault)),
        }
    }
    findings
}
