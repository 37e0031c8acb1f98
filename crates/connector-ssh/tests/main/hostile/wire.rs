//! An SSH server's side of a connection, byte by byte: the only way to say what no server would say.

use super::host_key::HostKey;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const VERSION: &str = "SSH-2.0-scripted";
pub(crate) const KEXINIT: u8 = 20;
const NEWKEYS: u8 = 21;

/// The server's side. It speaks curve25519-sha256 and aes256-gcm, and nothing else.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    /// The hash of the first key exchange.
    session: Option<Vec<u8>>,
    ours: Option<Sealed>,
    theirs: Option<Sealed>,
}

struct Sealed {
    key: LessSafeKey,
    iv: [u8; 12],
}

/// What was agreed on, before it is used.
pub(crate) struct Agreed {
    secret: Vec<u8>,
    hash: Vec<u8>,
}

/// Their first two messages.
pub(crate) struct Greeting {
    pub(crate) version: Vec<u8>,
    pub(crate) kexinit: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, session: None, ours: None, theirs: None }
    }

    /// One message in a packet of its own.
    pub(crate) async fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        let block = if self.ours.is_some() { 16 } else { 8 };
        let counted = if self.ours.is_some() { 1 } else { 5 } + payload.len();
        let padding = match block - counted % block {
            short @ 0..4 => short + block,
            enough => enough,
        };
        let mut packet = vec![u8::try_from(padding).unwrap()];
        packet.extend_from_slice(payload);
        packet.resize(packet.len() + padding, 0);
        self.send_packet(packet).await
    }

    /// What stands behind a packet's length, whatever it is.
    pub(crate) async fn send_packet(&mut self, mut packet: Vec<u8>) -> io::Result<()> {
        let length = u32::try_from(packet.len()).unwrap().to_be_bytes();
        if let Some(sealed) = &mut self.ours {
            let nonce = sealed.next();
            sealed.key.seal_in_place_append_tag(nonce, Aad::from(length), &mut packet).unwrap();
        }
        self.stream.write_all(&[&length[..], &packet].concat()).await
    }

    pub(crate) async fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).await?;
        let tag = if self.theirs.is_some() { 16 } else { 0 };
        let mut packet = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap() + tag];
        self.stream.read_exact(&mut packet).await?;
        if let Some(sealed) = &mut self.theirs {
            let nonce = sealed.next();
            sealed.key.open_in_place(nonce, Aad::from(length), &mut packet).unwrap();
            packet.truncate(packet.len() - tag);
        }
        let padding = usize::from(packet[0]);
        Ok(packet[1..packet.len() - padding].to_vec())
    }

    pub(crate) async fn greet(&mut self) -> io::Result<Vec<u8>> {
        self.stream.write_all(format!("{VERSION}\r\n").as_bytes()).await?;
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            line.push(self.stream.read_u8().await?);
        }
        Ok(line.trim_ascii_end().to_vec())
    }

    /// Answers the client's share: the reply to send, and what follows from it.
    pub(crate) async fn agree(
        &mut self,
        host_key: &HostKey,
        greeting: &Greeting,
        ours: &[u8],
    ) -> io::Result<(Vec<u8>, Agreed)> {
        let init = self.receive().await?;
        let theirs = init[5..].to_vec();
        let private = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).unwrap();
        let share = private.compute_public_key().unwrap().as_ref().to_vec();
        let peer = UnparsedPublicKey::new(&X25519, &theirs);
        let secret = agree_ephemeral(private, peer, io::ErrorKind::InvalidData, |secret| Ok(mpint(secret)))?;
        let key = host_key.public();
        let parts =
            [greeting.version.as_slice(), VERSION.as_bytes(), &greeting.kexinit, ours, &key, &theirs, &share];
        let mut hashed: Vec<u8> = parts.iter().flat_map(|part| string(part)).collect();
        hashed.extend_from_slice(&secret);
        let hash = digest(&SHA256, &hashed).as_ref().to_vec();
        let reply = [vec![31], string(&key), string(&share), string(&host_key.sign(&hash))].concat();
        Ok((reply, Agreed { secret, hash }))
    }

    /// New keys on both sides.
    pub(crate) async fn switch(&mut self, agreed: &Agreed) -> io::Result<()> {
        self.send(&[NEWKEYS]).await?;
        while self.receive().await?.first() != Some(&NEWKEYS) {}
        let session = self.session.get_or_insert_with(|| agreed.hash.clone());
        let sealed = |iv: u8, key: u8| {
            let key = UnboundKey::new(&AES_256_GCM, &agreed.derive(session, key)).unwrap();
            Sealed { key: LessSafeKey::new(key), iv: agreed.derive(session, iv)[..12].try_into().unwrap() }
        };
        (self.theirs, self.ours) = (Some(sealed(b'A', b'C')), Some(sealed(b'B', b'D')));
        Ok(())
    }
}

impl Agreed {
    fn derive(&self, session: &[u8], letter: u8) -> Vec<u8> {
        let all = [self.secret.as_slice(), &self.hash, &[letter], session].concat();
        digest(&SHA256, &all).as_ref().to_vec()
    }
}

impl Sealed {
    fn next(&mut self) -> Nonce {
        let nonce = Nonce::assume_unique_for_key(self.iv);
        let count = u64::from_be_bytes(self.iv[4..].try_into().unwrap()).wrapping_add(1);
        self.iv[4..].copy_from_slice(&count.to_be_bytes());
        nonce
    }
}

/// What is offered: our algorithms, and this compression.
pub(crate) fn kexinit(compression: &str) -> Vec<u8> {
    kexinit_with("ssh-ed25519", compression)
}

/// The same with a host key of this algorithm.
pub(crate) fn kexinit_with(host_key: &str, compression: &str) -> Vec<u8> {
    let lists = [
        "curve25519-sha256,kex-strict-s-v00@openssh.com",
        host_key,
        "aes256-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-256-etm@openssh.com",
        compression,
        compression,
        "",
        "",
    ];
    let lists = lists.iter().flat_map(|list| string(list.as_bytes())).collect();
    [vec![KEXINIT], vec![7; 16], lists, vec![0; 5]].concat()
}

pub(crate) fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

pub(crate) fn mpint(bytes: &[u8]) -> Vec<u8> {
    let significant = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
    let sign = if significant.first().is_some_and(|byte| *byte > 0x7f) { &[0][..] } else { &[] };
    string(&[sign, significant].concat())
}
