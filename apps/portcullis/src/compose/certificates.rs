//! Whether the files of certificates and keys can be used: looked at by `check`, with the place that names each.

use config::{CertificateKey, CertificateOwner, Diagnostic, Insecure, Loaded, ReachConfig, Severity};
use model::Timestamp;
use sources::{CertificateFinding, examine_certificates};

use super::{ccp, front};

/// What a start would refuse, and what it would warn of.
pub(crate) fn doubts(loaded: &Loaded, now: Timestamp) -> Vec<Diagnostic> {
    let anybody = loaded.configuration.insecure.contains(&Insecure::Tls);
    let mut doubts = Vec::new();
    for source in &loaded.configuration.sources {
        let config::SourceKind::Ccp(written) = &source.kind else { continue };
        let settings = ccp::settings(written, anybody);
        for finding in examine_certificates(&settings, &sources::process_environment(), now) {
            let (key, message, severity) = told(finding);
            let hint = (severity == Severity::Warning).then(|| hint(key).to_owned());
            let written = named(loaded, &CertificateOwner::Source(source.name.clone()), key);
            doubts.extend(written.map(|written| written.finding(message, hint, severity)));
        }
    }
    let fault = loaded.configuration.listen.tls.as_ref().and_then(|files| front::tls(files).err());
    if let Some(front::TlsFault { key, why }) = fault {
        let written = named(loaded, &CertificateOwner::Listen, key);
        doubts.extend(written.map(|written| written.finding(why, None, Severity::Error)));
    }
    for upstream in &loaded.configuration.upstreams {
        let ReachConfig::Http(http) = &upstream.reach else { continue };
        let identity = http.identity.as_ref().map(|(cert, key)| (cert.as_path(), key.as_path()));
        let Some(fault) = upstream::certificate_fault(http.ca.as_deref(), identity) else { continue };
        let written = named(loaded, &CertificateOwner::Upstream(upstream.name.to_string()), fault.key);
        doubts.extend(written.map(|written| written.finding(fault.why, None, Severity::Error)));
    }
    doubts
}

fn told(finding: CertificateFinding) -> (&'static str, String, Severity) {
    match finding {
        CertificateFinding::Fault(fault) => {
            let severity = if fault.elsewhere { Severity::Warning } else { Severity::Error };
            (fault.key, fault.why, severity)
        }
        CertificateFinding::Ending { key, what } => (key, what.to_owned(), Severity::Warning),
    }
}

fn hint(key: &str) -> &'static str {
    match key {
        "client_pfx.password" => "`check` sees the variables of whoever runs it, not the gateway's",
        "ca" => "put the authority's new certificate into the file, then `portcullis reload`",
        _ => "put a renewed certificate into the file, then `portcullis reload`",
    }
}

fn named<'a>(loaded: &'a Loaded, owner: &CertificateOwner, key: &str) -> Option<&'a CertificateKey> {
    loaded.certificates.iter().find(|written| written.owner == *owner && written.key == key)
}
