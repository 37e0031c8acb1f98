//! Somebody in the middle who changes, adds and takes away messages of the handshake (the Terrapin attack and its kin).

use model::ErrorCode;
use testkit::Sshd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::hostile::host::{Behaviour, HostileHost};
use crate::rig::{Call, Rig};

/// What is done to the host's side of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meddling {
    /// Nothing: the test's own check.
    None,
    /// An ignored message before the host's first one is counted.
    IgnoreBeforeKex,
    /// An ignored message between key exchange and NEWKEYS: what Terrapin puts in, to take another one out.
    IgnoreBeforeNewkeys,
    /// The whole of Terrapin: put one in before NEWKEYS, take out the first encrypted one.
    CutFirstEncrypted,
    /// The offer of strict key exchange is taken out.
    NoStrictOffer,
}

const IGNORE: &[u8] = &[0, 0, 0, 12, 6, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const KEXINIT: u8 = 20;
const NEWKEYS: u8 = 21;

async fn between(port: u16, meddling: Meddling) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let ((mut near_in, near_out), (far_in, mut far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut near_in, &mut far_out).await });
            tokio::spawn(meddle(far_in, near_out, meddling));
        }
    });
    own
}

/// An end of the line ends this.
async fn meddle(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, meddling: Meddling) -> std::io::Result<()> {
    loop {
        let byte = from.read_u8().await?;
        to.write_u8(byte).await?;
        if byte == b'\n' {
            break;
        }
    }
    loop {
        let mut packet = take(&mut from, 0).await?;
        let kind = packet[5];
        let ignore = match (meddling, kind) {
            (Meddling::IgnoreBeforeKex, KEXINIT) => true,
            (Meddling::IgnoreBeforeNewkeys | Meddling::CutFirstEncrypted, NEWKEYS) => true,
            (_, _) => false,
        };
        if ignore {
            to.write_all(IGNORE).await?;
        }
        if (meddling, kind) == (Meddling::NoStrictOffer, KEXINIT) {
            replace(&mut packet, b"kex-strict-s-v00@openssh.com", b"kex-nostri-s-v00@openssh.com");
        }
        to.write_all(&packet).await?;
        if kind == NEWKEYS {
            break;
        }
    }
    if meddling == Meddling::CutFirstEncrypted {
        // With AES-GCM the length is readable, and a tag of 16 bytes follows.
        take(&mut from, 16).await?;
    }
    tokio::io::copy(&mut from, &mut to).await.map(drop)
}

async fn take(from: &mut OwnedReadHalf, tag: usize) -> std::io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    let mut packet = length.to_be_bytes().to_vec();
    packet.resize(4 + length as usize + tag, 0);
    from.read_exact(&mut packet[4..]).await?;
    Ok(packet)
}

fn replace(packet: &mut [u8], old: &[u8], new: &[u8]) {
    let at = packet.windows(old.len()).position(|window| window == old);
    let at = at.unwrap_or_else(|| panic!("the host offers no strict key exchange: OpenSSH 9.6, or patched"));
    packet[at..at + new.len()].copy_from_slice(new);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_strict_key_exchange_was_agreed_on_nothing_can_be_added_or_taken_away() {
    for cipher in ["chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com", "aes256-ctr"] {
        let sshd = Sshd::options().line(&format!("Ciphers {cipher}")).start();
        for meddling in [
            Meddling::None,
            Meddling::IgnoreBeforeKex,
            Meddling::IgnoreBeforeNewkeys,
            Meddling::NoStrictOffer,
        ] {
            let port = between(sshd.port(), meddling).await;
            let known = format!("[127.0.0.1]:{port} {}", sshd.host_key().public_key());
            let rig = Rig::new("127.0.0.1", port, sshd.user(), &known);
            let mut call = Call::new("true", sshd.password());
            let before = sshd.logins();
            match rig.exec(&mut call).await {
                Ok(_) => assert_eq!(meddling, Meddling::None, "{cipher}"),
                Err(failure) => {
                    assert_ne!(meddling, Meddling::None, "{cipher}: {failure:?}");
                    assert_eq!(
                        failure.code(),
                        ErrorCode::TargetProtocol,
                        "{cipher} {meddling:?}: {failure:?}"
                    );
                    assert!(!call.started && sshd.logins() == before, "{cipher} {meddling:?}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_strict_key_exchange_a_cut_message_breaks_the_connection() {
    let host = HostileHost::start(Behaviour::NoStrictKexGcm).await;
    let key = host.known_hosts_line().split_once(' ').unwrap().1.to_owned();
    for (meddling, fine) in [(Meddling::None, true), (Meddling::CutFirstEncrypted, false)] {
        let port = between(host.port, meddling).await;
        let rig = Rig::new("127.0.0.1", port, "user", &format!("[127.0.0.1]:{port} {key}"));
        let login_timeout = std::time::Duration::from_secs(2);
        rig.connector.configure(connector_ssh::SshSettings { login_timeout, ..rig.settings.clone() });
        let mut call = Call::new("true", "pw");
        let result = rig.exec(&mut call).await;
        assert_eq!(result.is_ok(), fine, "{meddling:?}: {result:?}");
        assert_eq!(call.started, fine, "{meddling:?}: the password was not sent");
    }
}
