//! SSH keys, made by ssh-keygen.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::machine::{program, run};

/// The kinds of SSH key that tests use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// Ed25519, the default.
    Ed25519,
    /// RSA with 2048 bits.
    Rsa,
    /// ECDSA on the curve P-256.
    Ecdsa,
}

/// A private key file with its public half beside it.
#[derive(Debug, Clone)]
pub struct KeyPair {
    path: PathBuf,
}

impl KeyPair {
    /// Makes a key in the new file `path`, protected by `passphrase` if it is not empty.
    pub fn make(path: &Path, kind: KeyKind, passphrase: &str) -> Self {
        let (name, bits) = match kind {
            KeyKind::Ed25519 => ("ed25519", "256"),
            KeyKind::Rsa => ("rsa", "2048"),
            KeyKind::Ecdsa => ("ecdsa", "256"),
        };
        run(Command::new(program("ssh-keygen"))
            .args(["-q", "-t", name, "-b", bits, "-N", passphrase, "-C", "portcullis-test", "-f"])
            .arg(path));
        Self { path: path.to_owned() }
    }

    /// The private key's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The private key as text.
    pub fn pem(&self) -> String {
        std::fs::read_to_string(&self.path).expect("the private key can be read")
    }

    /// The public key as `authorized_keys` wants it: kind, base64, comment.
    pub fn public_line(&self) -> String {
        std::fs::read_to_string(self.beside(".pub")).expect("the public key can be read").trim().to_owned()
    }

    /// Kind and base64 alone, as known_hosts files want it.
    pub fn public_key(&self) -> String {
        self.public_line().split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    /// Signs another key as its authority does, with more arguments of `ssh-keygen -s` (`-h` for a host, `-n` for names,
    /// `-V` for the time). The certificate lies beside that key; this is its file.
    pub fn certify(&self, subject: &Self, arguments: &[&str]) -> PathBuf {
        run(Command::new(program("ssh-keygen"))
            .args(["-q", "-I", "portcullis-test", "-s"])
            .arg(&self.path)
            .args(arguments)
            .arg(subject.beside(".pub")));
        subject.beside("-cert.pub")
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(suffix);
        name.into()
    }

    /// `SHA256:...`
    pub fn fingerprint(&self) -> String {
        let line =
            run(Command::new(program("ssh-keygen")).args(["-l", "-E", "sha256", "-f"]).arg(&self.path));
        line.split(' ').nth(1).expect("ssh-keygen -l prints size, fingerprint, comment, kind").to_owned()
    }
}
