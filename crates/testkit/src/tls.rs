//! Certificates for tests, and clients that trust them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::machine::{program, run};

/// A certificate authority that lives as long as a test.
pub struct TestCa {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    /// What those who only know the authority above need: our own certificate, after each that we issue.
    chain: String,
}

/// A certificate with its private key, both in PEM.
#[derive(Debug, Clone)]
pub struct TestCertificate {
    /// The certificate.
    pub cert: String,
    /// Its key, PKCS #8.
    pub key: String,
}

impl TestCa {
    /// A new authority.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Portcullis test authority");
        let key = KeyPair::generate().expect("a key can be made");
        let pem = params.self_signed(&key).expect("an authority signs itself").pem();
        Self { issuer: Issuer::new(params, key), pem, chain: String::new() }
    }

    /// An authority below this one. What it issues comes with its own certificate.
    pub fn below(&self) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Portcullis test authority below");
        let key = KeyPair::generate().expect("a key can be made");
        let pem = params.signed_by(&key, &self.issuer).expect("the authority signs").pem();
        Self { issuer: Issuer::new(params, key), chain: pem.clone(), pem }
    }

    /// A certificate for a client with an RSA key, as most are that CyberArk knows.
    pub fn rsa_client(&self, names: &[&str]) -> TestCertificate {
        let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).expect("a key can be made");
        self.issue_for(&key, names, ExtendedKeyUsagePurpose::ClientAuth, |_| {})
    }

    /// The authority's own certificate in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for a server with these names and addresses.
    pub fn server(&self, names: &[&str]) -> TestCertificate {
        self.issue(names, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate for a client with these alternative names.
    pub fn client(&self, names: &[&str]) -> TestCertificate {
        self.issue(names, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// A certificate for a server whose time is over.
    pub fn expired_server(&self, names: &[&str]) -> TestCertificate {
        self.expired(names, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate for a client whose time is over.
    pub fn expired_client(&self, names: &[&str]) -> TestCertificate {
        self.expired(names, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn expired(&self, names: &[&str], purpose: ExtendedKeyUsagePurpose) -> TestCertificate {
        let key = KeyPair::generate().expect("a key can be made");
        self.issue_for(&key, names, purpose, |params| {
            params.not_before = rcgen::date_time_ymd(2001, 1, 1);
            params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        })
    }

    /// A TLS client that trusts this authority alone and shows `own`, if given.
    pub fn trusting(&self, own: Option<&TestCertificate>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate(&self.pem)).expect("the authority is one");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).expect("a key in PEM");
                builder
                    .with_client_auth_cert(vec![certificate(&own.cert)], key)
                    .expect("key and certificate fit")
            }
        };
        Arc::new(config)
    }

    fn issue(&self, names: &[&str], purpose: ExtendedKeyUsagePurpose) -> TestCertificate {
        let key = KeyPair::generate().expect("a key can be made");
        self.issue_for(&key, names, purpose, |_| {})
    }

    fn issue_for(
        &self,
        key: &KeyPair,
        names: &[&str],
        purpose: ExtendedKeyUsagePurpose,
        change: impl FnOnce(&mut CertificateParams),
    ) -> TestCertificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("these are names or addresses");
        params.extended_key_usages = vec![purpose];
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let cert = params.signed_by(key, &self.issuer).expect("the authority signs").pem();
        TestCertificate { cert: format!("{cert}{}", self.chain), key: key.serialize_pem() }
    }
}

impl Default for TestCa {
    fn default() -> Self {
        Self::new()
    }
}

impl TestCertificate {
    /// Writes `NAME.pem` and `NAME.key` (mode 0600) into a folder and returns their paths.
    pub fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        use std::os::unix::fs::PermissionsExt as _;
        let (cert, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        std::fs::write(&cert, &self.cert).expect("the folder can be written");
        std::fs::write(&key, &self.key).expect("the folder can be written");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("our own file");
        (cert, key)
    }

    /// Writes `NAME.pfx` (mode 0600) with OpenSSL, as `form` has it.
    pub fn write_pfx(&self, folder: &Path, name: &str, password: &str, form: PfxForm) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let (cert, key) = self.write(folder, &format!("{name}-pfx"));
        let file = folder.join(format!("{name}.pfx"));
        let algorithms: &[&str] = match form {
            PfxForm::Modern => &["-keypbe", "AES-256-CBC", "-certpbe", "AES-256-CBC", "-macalg", "sha256"],
            PfxForm::Windows => &["-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"],
            PfxForm::Legacy => &["-legacy"],
        };
        let mut openssl = Command::new(program("openssl"));
        openssl.args(["pkcs12", "-export", "-name", name, "-passout", &format!("pass:{password}")]);
        run(openssl.arg("-in").arg(cert).arg("-inkey").arg(key).arg("-out").arg(&file).args(algorithms));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("our own file");
        file
    }

    /// Writes `nokey.pfx` (mode 0600) with the certificate alone.
    pub fn write_pfx_without_key(&self, folder: &Path, password: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let (cert, _) = self.write(folder, "nokey");
        let file = folder.join("nokey.pfx");
        let mut openssl = Command::new(program("openssl"));
        openssl.args(["pkcs12", "-export", "-nokeys", "-passout", &format!("pass:{password}")]);
        run(openssl.arg("-in").arg(cert).arg("-out").arg(&file));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("our own file");
        file
    }
}

/// How a PFX file is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PfxForm {
    /// AES and SHA-256, as current programs write it.
    Modern,
    /// Triple DES and SHA-1, as Windows writes it unless told otherwise.
    Windows,
    /// RC2 for the certificate, as old programs write it.
    Legacy,
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate in PEM")
}
