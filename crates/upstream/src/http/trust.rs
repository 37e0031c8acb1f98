//! TLS as files have it. What is renewed in them counts from the next connection on; what is broken in them changes nothing.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_rustls::TlsConnector;

use super::identity;

/// The files with certificates and keys of one upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Files {
    /// Whom it must have its certificate from.
    pub(super) ca: Option<PathBuf>,
    /// The gateway's own certificate with its chain, and its key.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

/// What the files held when they were last read.
pub(super) struct Trust {
    files: Files,
    held: Mutex<Held>,
}

#[derive(Clone)]
struct Held {
    stamps: Vec<Stamp>,
    connector: TlsConnector,
}

/// What differs when a file is written: when, how long it is, which it is.
type Stamp = Option<(i64, i64, u64, u64)>;

impl Trust {
    /// Reads the files; says what is wrong with them.
    pub(super) async fn new(files: Files) -> Result<Arc<Self>, String> {
        let gone = || "its certificates could not be read".to_owned();
        let read = tokio::task::spawn_blocking(move || {
            let stamps = files.stamps();
            let held = Mutex::new(Held { stamps, connector: files.connector()? });
            Ok::<_, String>(Arc::new(Self { files, held }))
        });
        read.await.map_err(|_| gone())?
    }

    /// For a connection that is made now.
    pub(super) async fn connector(self: &Arc<Self>) -> TlsConnector {
        let this = Arc::clone(self);
        let renewed = tokio::task::spawn_blocking(move || this.renewed()).await;
        renewed.unwrap_or_else(|_| self.held().connector)
    }

    fn renewed(&self) -> TlsConnector {
        let (stamps, held) = (self.files.stamps(), self.held());
        if stamps == held.stamps {
            return held.connector;
        }
        let connector = match self.files.connector() {
            Ok(connector) => connector,
            Err(why) => {
                tracing::warn!(
                    "certificates were changed and cannot be used; those from before go on: {why}"
                );
                held.connector
            }
        };
        let now = Held { stamps, connector: connector.clone() };
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = now;
        connector
    }

    fn held(&self) -> Held {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Files {
    fn connector(&self) -> Result<TlsConnector, String> {
        let config = identity::tls(self).map_err(|fault| fault.to_string())?;
        Ok(TlsConnector::from(Arc::new(config)))
    }

    fn stamps(&self) -> Vec<Stamp> {
        let stamp = |path: &Path| {
            let found = std::fs::metadata(path).ok()?;
            Some((found.mtime(), found.mtime_nsec(), found.size(), found.ino()))
        };
        let identity = self.identity.iter().flat_map(|(cert, key)| [cert, key]);
        self.ca.iter().chain(identity).map(|path| stamp(path)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use testkit::TestCa;

    use super::{Files, Trust};

    #[tokio::test]
    async fn renewed_certificates_count_from_the_next_connection_and_broken_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        let write = |text: &str| std::fs::write(&ca, text).unwrap();
        write(TestCa::new().pem());
        let trust = Trust::new(Files { ca: Some(ca.clone()), identity: None }).await.unwrap();
        let config = |connector: tokio_rustls::TlsConnector| Arc::as_ptr(connector.config()).addr();
        let first = config(trust.connector().await);
        assert_eq!(config(trust.connector().await), first, "read once");
        write("what is no certificate");
        assert_eq!(config(trust.connector().await), first);
        write(TestCa::new().pem());
        let second = config(trust.connector().await);
        assert_ne!(second, first);
        std::fs::remove_file(&ca).unwrap();
        assert_eq!(config(trust.connector().await), second);
    }
}
