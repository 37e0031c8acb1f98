//! Hosts that follow the protocol and then do not: each costs its own call a clear failure, bounded time and memory, and
//! nobody else anything.

use std::time::Duration;

use connector_ssh::SshSettings;
use model::{ErrorCode, Exit, Failure, Outcome};
use testkit::Sshd;
use tokio::time::Instant;

use super::scripted::{Act, Scripted, Stage, close, data, exit_status, extended, of_channel};
use super::wire::{self, string};
use crate::rig::{Call, Rig, stdout};

/// A message, told the client's number of the channel.
type Message = fn(u32) -> Vec<u8>;
/// What a call may come to.
type Expected = &'static [ErrorCode];

const UNREACHABLE: Expected = &[ErrorCode::TargetUnreachable];
/// Nothing more comes, or nothing that means anything.
const LATE: Expected = &[ErrorCode::TargetTimeout];
const BROKEN: Expected = &[ErrorCode::TargetProtocol, ErrorCode::TargetUnreachable];
/// Whether the bound on bytes, the protocol or the time is met first is a matter of speed.
const ENDED: Expected = &[ErrorCode::TargetProtocol, ErrorCode::TargetUnreachable, ErrorCode::TargetTimeout];

const LOGIN: Expected = &[ErrorCode::TargetAuth, ErrorCode::TargetProtocol, ErrorCode::TargetUnreachable];

/// How much more memory than before a call may take, in KiB, whatever a host sends.
const MOST_MEMORY: u64 = 48 * 1024;

pub(super) async fn ask(stage: Stage, act: Act) -> (Result<Outcome, Failure>, Duration) {
    let host = Scripted::start(stage, act).await;
    let rig = Rig::new("127.0.0.1", host.port, "user", &host.known_hosts_line());
    let (login_timeout, watchdog) = (Duration::from_secs(1), Duration::from_secs(1));
    rig.connector.configure(SshSettings { login_timeout, watchdog, ..rig.settings.clone() });
    let begun = Instant::now();
    let mut call = Call { timeout: Duration::from_secs(2), output: 64 * 1024, ..Call::new("echo hi", "pw") };
    (rig.exec(&mut call).await, begun.elapsed())
}

async fn check(cases: &[(&str, Stage, Act, Expected)]) {
    for (name, stage, act, expected) in cases {
        let (result, elapsed) = ask(*stage, *act).await;
        let failure = result.err().unwrap_or_else(|| panic!("{name} at {stage:?} is a success"));
        assert!(expected.contains(&failure.code()), "{name} at {stage:?}: {failure:?}");
        assert!(failure.message().contains("web1"), "{name}: {failure:?}");
        assert!(elapsed < Duration::from_secs(8), "{name} at {stage:?}: {elapsed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_may_leave_at_any_moment() {
    use Stage::{
        ChannelAsked, CommandAsked, Connected, Encrypted, Greeted, KeysAgreed, KeysOffered, LoggedIn,
        LoginAsked, ServiceAsked,
    };
    for stage in [
        Connected,
        Greeted,
        KeysOffered,
        KeysAgreed,
        Encrypted,
        ServiceAsked,
        LoginAsked,
        LoggedIn,
        ChannelAsked,
        CommandAsked,
    ] {
        let expected = if matches!(stage, Encrypted | ServiceAsked | LoginAsked) {
            &[ErrorCode::TargetAuth, ErrorCode::TargetUnreachable][..]
        } else {
            UNREACHABLE
        };
        check(&[("cut", stage, Act::Drops, expected)]).await;
        // The protocol's own word for it, with a text that could be anything.
        let disconnect: fn(u32) -> Vec<Vec<u8>> = |_| {
            let text = [string("\u{1b}[31mbye\n".as_bytes()), string(b"")].concat();
            vec![[&[1][..], &11_u32.to_be_bytes(), &text].concat()]
        };
        if stage != Connected && stage != Greeted {
            check(&[(
                "disconnect",
                stage,
                Act::Says(disconnect),
                &[ErrorCode::TargetAuth, ErrorCode::TargetUnreachable, ErrorCode::TargetProtocol],
            )])
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_in_a_handshake_ends_it() {
    let huge: fn(u32) -> Vec<Vec<u8>> = |_| {
        let list = string("curve25519-sha256,".repeat(12_000).as_bytes());
        vec![[&[wire::KEXINIT][..], &[0; 16], &list.repeat(10)].concat()]
    };
    let lying: fn(u32) -> Vec<Vec<u8>> = |_| vec![[&[wire::KEXINIT][..], &[0; 16], &[0xff; 8]].concat()];
    check(&[
        ("a huge key exchange", Stage::Greeted, Act::Says(huge), BROKEN),
        ("a list longer than its message", Stage::Greeted, Act::Says(lying), BROKEN),
        ("a packet of 4 GiB", Stage::Greeted, Act::Raw(|| vec![0xff; 64]), BROKEN),
        ("an empty packet", Stage::Greeted, Act::Raw(|| vec![0; 64]), ENDED),
        (
            "padding longer than its packet",
            Stage::Greeted,
            Act::Packet(|| vec![255, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            ENDED,
        ),
        ("a version in drops", Stage::Connected, Act::Drips(|| b"x".to_vec()), ENDED),
        ("lines in drops", Stage::Connected, Act::Drips(|| b"hello\r\n".to_vec()), ENDED),
        ("a packet in drops", Stage::Greeted, Act::Drips(|| vec![0]), ENDED),
        (
            "a short share",
            Stage::KeysOffered,
            Act::Says(|_| vec![[vec![31], string(b"k"), string(b"s"), string(b"s")].concat()]),
            ENDED,
        ),
        ("a login nobody asked for", Stage::Encrypted, Act::Says(|_| vec![vec![52]]), LOGIN),
        (
            "banners",
            Stage::LoginAsked,
            Act::Floods(|_| [vec![53], string(&[b'x'; 1000]), string(b"")].concat()),
            &[ErrorCode::TargetAuth, ErrorCode::TargetProtocol, ErrorCode::TargetUnreachable],
        ),
        (
            "nothing but ignored messages",
            Stage::LoginAsked,
            Act::Floods(|_| [vec![2], string(&[0; 4000])].concat()),
            &[ErrorCode::TargetAuth, ErrorCode::TargetUnreachable],
        ),
    ])
    .await;
    let packer = Scripted::offering("zlib,zlib@openssh.com", Stage::CommandAsked, Act::Drops).await;
    let rig = Rig::new("127.0.0.1", packer.port, "user", &packer.known_hosts_line());
    let failure = rig.exec(&mut Call::new("echo hi", "pw")).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetProtocol, "nothing is unpacked: {failure:?}");
    assert!(failure.message().contains("zlib"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_messages_about_a_command_end_it_in_time() {
    let says = |what: fn(u32) -> Vec<Vec<u8>>| Act::Says(what);
    check(&[
        (
            "data longer than its message",
            Stage::CommandAsked,
            says(|c| vec![of_channel(94, c, &[0xff; 8])]),
            ENDED,
        ),
        (
            "a status without a number",
            Stage::CommandAsked,
            says(|c| vec![of_channel(98, c, &[&string(b"exit-status")[..], &[0]].concat())]),
            ENDED,
        ),
        ("a message cut off", Stage::CommandAsked, says(|_| vec![vec![94, 0]]), ENDED),
        ("an empty message", Stage::CommandAsked, says(|_| vec![Vec::new()]), ENDED),
        (
            "channels that nobody has",
            Stage::CommandAsked,
            says(|c| vec![data(c + 7, b"x"), close(c + 7), exit_status(c + 7, 0)]),
            LATE,
        ),
        (
            "a number that nobody knows",
            Stage::CommandAsked,
            says(|_| vec![vec![200], vec![41, 1, 2, 3]]),
            LATE,
        ),
        (
            "a window beyond all bounds",
            Stage::CommandAsked,
            says(|c| vec![of_channel(93, c, &[0xff; 4]); 4]),
            LATE,
        ),
        ("new keys that never come", Stage::CommandAsked, says(|_| vec![wire::kexinit("none")]), ENDED),
        ("another login", Stage::CommandAsked, says(|_| vec![vec![52], vec![51, 0, 0, 0, 0, 0]]), ENDED),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_twice_or_too_late_changes_nothing() {
    let after: fn(u32) -> Vec<Vec<u8>> = |c| {
        vec![
            data(c, b"first\n"),
            exit_status(c, 0),
            exit_status(c, 7),
            close(c),
            data(c, b"late\n"),
            exit_status(c, 9),
            close(c),
        ]
    };
    let (result, _) = ask(Stage::CommandAsked, Act::Says(after)).await;
    let outcome = result.unwrap();
    assert_eq!((stdout(&outcome).as_str(), outcome.exit), ("first\n", Some(Exit::Status(0))));
    let odd: fn(u32) -> Vec<Vec<u8>> = |c| {
        let eof = of_channel(96, c, &[]);
        vec![
            extended(c, 99, b"to nobody"),
            data(c, b"a"),
            eof.clone(),
            eof,
            data(c, b"b"),
            exit_status(c, 3),
            close(c),
        ]
    };
    let outcome = ask(Stage::CommandAsked, Act::Says(odd)).await.0.unwrap();
    assert_eq!(outcome.exit, Some(Exit::Status(3)));
    assert!(["a", "ab"].contains(&stdout(&outcome).as_str()), "{outcome:?}");
}

/// Every kind of message that could be sent without end. The host reads nothing meanwhile, so that answers pile up, too.
const MESSAGES: &[(&str, Message)] = &[
    ("data", |c| data(c, &[b'x'; 32_000])),
    ("empty data", |c| data(c, b"")),
    ("standard error", |c| extended(c, 1, &[b'x'; 32_000])),
    ("data of no kind", |c| extended(c, 42, &[b'x'; 32_000])),
    ("windows", |c| of_channel(93, c, &1_u32.to_be_bytes())),
    ("requests that want an answer", |_| {
        [vec![80], string(b"hostkeys-prove-00@openssh.com"), vec![1], vec![0; 8000]].concat()
    }),
    ("requests about the channel", |c| of_channel(98, c, &[&string(b"signal-me")[..], &[1]].concat())),
    ("new channels", |_| {
        [vec![90], string(b"session"), vec![0, 0, 0, 9, 0, 32, 0, 0, 0, 0, 128, 0]].concat()
    }),
    ("debugging", |_| [vec![4, 1], string(&[b'd'; 8000]), string(b"")].concat()),
    ("nothing", |_| [vec![2], string(&[0; 8000])].concat()),
    ("unknown messages", |_| vec![200; 100]),
    ("statuses", |c| exit_status(c, 1)),
];

/// The same before anybody has logged in, when the host is nobody yet: text, packets and messages without end.
const BEFORE_LOGIN: &[(&str, Stage, Act)] = &[
    ("a version without end", Stage::Connected, Act::Spills(|| vec![b'x'; 32_000])),
    ("lines without end", Stage::Connected, Act::Spills(|| b"hello\r\n".repeat(4000))),
    ("a packet of 4 GiB", Stage::Greeted, Act::Spills(|| vec![0xff; 32_000])),
    ("a packet of 256 KiB", Stage::Greeted, Act::Spills(|| [&[0, 4, 0, 0, 4][..], &[20; 32_000]].concat())),
    (
        "huge key exchanges",
        Stage::Greeted,
        Act::Floods(|_| [vec![wire::KEXINIT], vec![0; 16], string(&[b'x'; 30_000])].concat()),
    ),
    (
        "banners",
        Stage::LoginAsked,
        Act::Floods(|_| [vec![53], string(&[b'x'; 30_000]), string(b"")].concat()),
    ),
    ("ignored messages", Stage::LoginAsked, Act::Floods(|_| [vec![2], string(&[0; 30_000])].concat())),
];

fn floods() -> Vec<(&'static str, Stage, Act)> {
    let messages = MESSAGES.iter().map(|(name, message)| (*name, Stage::CommandAsked, Act::Floods(*message)));
    messages.chain(BEFORE_LOGIN.iter().copied()).collect()
}

/// Each flood in a process of its own, whose memory is nobody else's.
#[tokio::test(flavor = "multi_thread")]
async fn floods_of_any_message_take_bounded_memory_and_hold_up_nobody() {
    const VARIABLE: &str = "PORTCULLIS_TEST_FLOOD";
    let floods = floods();
    if let Some(flood) =
        std::env::var(VARIABLE).ok().and_then(|number| floods.get(number.parse::<usize>().ok()?))
    {
        return flooded(*flood).await;
    }
    let own = std::env::current_exe().unwrap();
    let some_at_once: Vec<usize> = (0..floods.len()).collect();
    for numbers in some_at_once.chunks(4) {
        let mut running = tokio::task::JoinSet::new();
        for number in numbers {
            let mut process = tokio::process::Command::new(&own);
            process
                .args([
                    "--exact",
                    "hostile::messages::floods_of_any_message_take_bounded_memory_and_hold_up_nobody",
                ])
                .args(["--nocapture"])
                .env(VARIABLE, number.to_string());
            let name = floods[*number].0;
            running.spawn(async move { (name, process.output().await.unwrap()) });
        }
        for (name, output) in running.join_all().await {
            let said = [output.stdout, output.stderr].concat();
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&said));
        }
    }
}

async fn flooded((name, stage, act): (&str, Stage, Act)) {
    let sshd = Sshd::start();
    let host = Scripted::start(stage, act).await;
    let rig = Rig::new("127.0.0.1", host.port, "user", &host.known_hosts_line());
    let healthy = rig.beside("web2", &sshd);
    healthy.exec(&mut Call::new("true", sshd.password())).await.unwrap();
    let before = resident();
    let mut call = Call { timeout: Duration::from_secs(4), output: 64 * 1024, ..Call::new("echo hi", "pw") };
    let (failure, ()) =
        tokio::join!(async { rig.exec(&mut call).await.map(|outcome| outcome.exit) }, async {
            tokio::time::sleep(Duration::from_millis(1500)).await;
            for _ in 0..3 {
                let mut call =
                    Call { timeout: Duration::from_secs(10), ..Call::new("echo fine", sshd.password()) };
                assert_eq!(stdout(&healthy.exec(&mut call).await.unwrap()), "fine\n");
            }
        });
    let grown = most_resident().saturating_sub(before);
    assert!(grown < MOST_MEMORY, "{name}: {grown} KiB more than before, {failure:?}");
    match failure {
        // The host did say how the command ended, and that is what counts.
        Ok(exit) => assert_eq!((name, exit), ("statuses", Some(Exit::Status(1)))),
        Err(failure) => {
            let code = failure.code();
            let ended = ENDED.contains(&code) || (stage < Stage::LoggedIn && LOGIN.contains(&code));
            assert!(ended, "{name}: {failure:?}");
        }
    }
}

fn resident() -> u64 {
    status("VmRSS:")
}

fn most_resident() -> u64 {
    status("VmHWM:")
}

/// A number of `/proc/self/status`, in KiB.
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
