//! How much memory somebody who means harm can make the gateway take: its peak, as the kernel has it, while what it asks
//! answers without measure.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use base64::Engine as _;
use serde_json::json;
use testkit::{CcpMischief, Era, Portcullis, Sshd};

use crate::cyberark::{Vaulted, take};
use crate::site::{Client, Site};

/// What a peak may grow by, in KiB. Whoever reads what is sent here would need gigabytes.
const MOST: u64 = 32 * 1024;

/// What the peak has grown by since it was `before`.
fn grown(gateway: &Portcullis, before: u64) -> u64 {
    let (peak, now) = (gateway.most_memory(), gateway.memory());
    assert!(peak >= now && now > 1024, "the kernel counts: {peak} KiB at most, {now} KiB now");
    peak.saturating_sub(before)
}

#[tokio::test]
async fn answers_of_cyberark_without_measure_do_not_fill_the_gateways_memory() {
    let vaulted = Vaulted::new();
    let gateway = vaulted.site.serve();
    let mut client = Client::Http(vaulted.site.http(&gateway, Era::Modern).await);
    assert!(!take(&mut client, "web1").await.is_error());
    let before = gateway.most_memory();
    let zeros = gzip_of_zeros(256);
    assert!(zeros.len() < 400 * 1024, "it is small on the wire");
    let long =
        |status| CcpMischief::Json { status, body: format!("{{\"Content\":\"{}\"}}", "x".repeat(64 << 20)) };
    let deep = format!("{{\"Content\":{}1{}}}", "[".repeat(200_000), "]".repeat(200_000));
    for (mischief, told) in [
        (CcpMischief::Endless, "larger than any account"),
        (CcpMischief::Announced, "larger than any account"),
        (long(200), "larger than any account"),
        (long(500), "larger than any account"),
        (CcpMischief::Compressed(zeros), "no account"),
        (CcpMischief::Json { status: 200, body: deep }, "no account"),
        (CcpMischief::Headers(20_000), "no web service"),
    ] {
        // On the kept connection, then on a new one.
        for _ in 0..2 {
            vaulted.ccp.misbehave([mischief.clone()]);
            let refused = take(&mut client, "web1").await;
            let text = format!("{refused:?}");
            assert!(refused.is_error() && text.contains(told), "{told}: {}", &text[..text.len().min(600)]);
        }
        let grown = grown(&gateway, before);
        assert!(grown < MOST, "{told}: {grown} KiB more than the {before} KiB of before");
    }
    assert!(!take(&mut client, "web1").await.is_error(), "the next answer is as good as ever");
}

/// So many MiB of zeros.
fn gzip_of_zeros(mebibytes: usize) -> Vec<u8> {
    let mut gzip =
        Command::new("gzip").args(["-9", "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = gzip.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        let zeros = vec![0; 1 << 20];
        (0..mebibytes).for_each(|_| input.write_all(&zeros).unwrap());
    });
    let output = gzip.wait_with_output().unwrap();
    writer.join().unwrap();
    output.stdout
}

/// Requests of the agent protocol.
const LIST: u8 = 11;
const SIGN: u8 = 13;
const EXTENSION: u8 = 27;

#[tokio::test]
async fn an_agent_that_announces_four_gigabytes_and_sends_them_does_not_fill_the_gateways_memory() {
    let site = Site::of_key(Sshd::options().key_only().start());
    let host = format!(
        "[hosts.web1]\naddress = \"127.0.0.1\"\nport = {}\nuser = \"{}\"\ntags = [\"web\"]\ncredential = {{ agent = \"{}\" }}",
        site.sshd.port(),
        site.sshd.user(),
        site.sshd.client_key().fingerprint()
    );
    site.installed.write("inventory.toml", &host);
    let agent = Agent::start(&site.installed.path("."), &site.sshd.client_key().public_line());
    let gateway = site.serve_with_env(&[], &[("SSH_AUTH_SOCK", agent.socket.as_os_str())]);
    let mut client = Client::Http(site.http(&gateway, Era::Modern).await);
    let run = || json!({ "host": "web1", "command": "id -un" });
    // Before it floods anybody it only refuses to sign, so that everything that a login needs is there.
    let failed = client.call("ssh_execute", run()).await;
    assert_eq!(failed.structured()["code"], "target.auth", "{failed:?}");
    assert!(agent.asked.load(Ordering::Relaxed) == SIGN, "the gateway takes its list");
    let before = gateway.most_memory();
    for request in [EXTENSION, LIST, SIGN] {
        agent.floods.store(request, Ordering::Relaxed);
        for _ in 0..3 {
            let failed = client.call("ssh_execute", run()).await;
            assert_eq!(failed.structured()["code"], "target.auth", "{failed:?}");
            assert_eq!(agent.asked.load(Ordering::Relaxed), request, "it came as far as it was to");
        }
        let grown = grown(&gateway, before);
        assert!(grown < MOST, "to request {request}: {grown} KiB more than the {before} KiB of before");
    }
    assert!(!client.call("whoami", json!({})).await.is_error());
}

/// An agent that holds one key, signs nothing, and answers one kind of request with four gigabytes.
struct Agent {
    socket: PathBuf,
    floods: Arc<AtomicU8>,
    /// The last request that came, of the kinds it knows.
    asked: Arc<AtomicU8>,
}

impl Agent {
    fn start(folder: &Path, public_line: &str) -> Self {
        let socket = folder.join("hostile-agent.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let key = base64::prelude::BASE64_STANDARD.decode(public_line.split(' ').nth(1).unwrap()).unwrap();
        let agent = Self { socket, floods: Arc::default(), asked: Arc::default() };
        let (floods, asked) = (Arc::clone(&agent.floods), Arc::clone(&agent.asked));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (key, floods, asked) = (key.clone(), Arc::clone(&floods), Arc::clone(&asked));
                std::thread::spawn(move || serve(stream.unwrap(), &key, &floods, &asked));
            }
        });
        agent
    }
}

/// Until the other side goes.
fn serve(mut stream: UnixStream, key: &[u8], floods: &AtomicU8, asked: &AtomicU8) -> Option<()> {
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length).ok()?;
        let mut request = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        stream.read_exact(&mut request).ok()?;
        asked.store(request[0], Ordering::Relaxed);
        if request[0] == floods.load(Ordering::Relaxed) {
            stream.write_all(&[0xff; 4]).ok()?;
            loop {
                stream.write_all(&[0; 1 << 16]).ok()?;
            }
        }
        let body = match request[0] {
            LIST => [&[12, 0, 0, 0, 1][..], &text(key), &text(b"pinned")].concat(),
            _ => vec![5],
        };
        stream.write_all(&text(&body)).ok()?;
    }
}

/// Bytes with their length before them.
fn text(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}
