//! Hosts that mean harm, and lines that fail: everything is bounded, and only the call that met them fails.

pub(crate) mod host;
mod host_key;
mod line;
mod messages;
mod network;
mod rekeys;
mod scripted;
mod stuck;
mod wire;

use std::time::Duration;

use connector_ssh::SshSettings;
use model::{ErrorCode, Exit};
use testkit::Sshd;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

use self::host::{Behaviour, HostileHost};
use self::line::Line;
use crate::rig::{Call, Rig, acted, stdout};

/// What a raw peer does with an accepted socket.
type Raw = fn(tokio::net::TcpStream) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

async fn raw(talk: Raw) -> (u16, tokio::sync::mpsc::UnboundedReceiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, ended) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                talk(stream).await;
                let _ = tell.send(());
            });
        }
    });
    (port, ended)
}

fn impatient(rig: &Rig) {
    let login_timeout = Duration::from_millis(600);
    rig.connector.configure(SshSettings { login_timeout, ..rig.settings.clone() });
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_do_not_speak_ssh_cost_bounded_time_and_their_sockets_end() {
    let silent: Raw = |mut stream| {
        Box::pin(async move {
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all).await;
        })
    };
    let stuck: Raw = |mut stream| {
        Box::pin(async move {
            stream.write_all(b"SSH-2.0-stuck\r\n").await.unwrap();
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all).await;
        })
    };
    let endless: Raw = |mut stream| {
        Box::pin(async move {
            let lines = b"hello hello hello hello\r\n".repeat(1000);
            while stream.write_all(&lines).await.is_ok() {}
        })
    };
    let one_line: Raw = |mut stream| {
        Box::pin(async move {
            let text = [b'x'; 65536];
            while stream.write_all(&text).await.is_ok() {}
        })
    };
    let garbage: Raw = |mut stream| {
        Box::pin(async move {
            stream.write_all(b"SSH-2.0-garbage\r\n").await.unwrap();
            let bytes = [0xff; 65536];
            while stream.write_all(&bytes).await.is_ok() {}
        })
    };
    let long_packet: Raw = |mut stream| {
        Box::pin(async move {
            stream.write_all(b"SSH-2.0-long\r\n").await.unwrap();
            // A packet that claims 256 KiB and comes in drops.
            stream.write_all(&[0, 4, 0, 0, 4, 20]).await.unwrap();
            while stream.write_all(&[0; 16]).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    };
    let cases = [
        ("silent", silent, ErrorCode::TargetTimeout),
        ("stuck", stuck, ErrorCode::TargetTimeout),
        ("endless", endless, ErrorCode::TargetProtocol),
        ("one line", one_line, ErrorCode::TargetProtocol),
        ("garbage", garbage, ErrorCode::TargetProtocol),
        ("long packet", long_packet, ErrorCode::TargetTimeout),
    ];
    for (name, talk, expected) in cases {
        let (port, mut ended) = raw(talk).await;
        let rig = Rig::new("127.0.0.1", port, "nobody", "# nothing");
        impatient(&rig);
        let begun = Instant::now();
        let mut call = Call::new("true", "canary");
        let failure = rig.exec(&mut call).await.unwrap_err();
        let code = failure.code();
        assert!(
            code == expected
                || (expected == ErrorCode::TargetProtocol && code == ErrorCode::TargetUnreachable),
            "{name}: {failure:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(3), "{name}: {:?}", begun.elapsed());
        assert!(!call.started, "{name}");
        let end = tokio::time::timeout(Duration::from_secs(2), ended.recv()).await;
        assert!(end.is_ok(), "{name}: the socket was left open");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_leaves_during_a_handshake_leaves_no_socket_behind() {
    let stuck: Raw = |mut stream| {
        Box::pin(async move {
            stream.write_all(b"SSH-2.0-stuck\r\n").await.unwrap();
            let mut all = Vec::new();
            let _ = stream.read_to_end(&mut all).await;
        })
    };
    let (port, mut ended) = raw(stuck).await;
    let rig = Rig::new("127.0.0.1", port, "nobody", "# nothing");
    let mut call = Call::new("true", "x");
    assert!(tokio::time::timeout(Duration::from_millis(300), rig.exec(&mut call)).await.is_err());
    assert!(tokio::time::timeout(Duration::from_secs(2), ended.recv()).await.is_ok());
    let mut call = Call::new("true", "x");
    call.cancel.cancel();
    assert_eq!(rig.exec(&mut call).await.unwrap_err().code(), ErrorCode::CallCancelled);
    let mut call = Call { timeout: Duration::from_millis(300), ..Call::new("true", "x") };
    let failure = rig.exec(&mut call).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetTimeout);
    assert!(failure.message().contains("no command was sent"), "{failure:?}");
}

async fn with(behaviour: Behaviour) -> (HostileHost, Rig) {
    let host = HostileHost::start(behaviour).await;
    let rig = Rig::new("127.0.0.1", host.port, "user", &host.known_hosts_line());
    (host, rig)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_strict_key_exchange_only_gcm_is_spoken() {
    for (behaviour, fine) in [
        (Behaviour::NoStrictKexChaCha, false),
        (Behaviour::NoStrictKexCtr, false),
        (Behaviour::NoStrictKexGcm, true),
    ] {
        let (_host, rig) = with(behaviour).await;
        let mut call = Call::new("true", "pw");
        match rig.exec(&mut call).await {
            Ok(_) => assert!(fine, "{behaviour:?}"),
            Err(failure) => {
                assert!(!fine, "{behaviour:?}: {failure:?}");
                assert_eq!(failure.code(), ErrorCode::TargetProtocol);
                assert!(failure.message().contains("strict key exchange"), "{failure:?}");
                assert!(!call.started);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_strict_key_exchange_is_told_to_who_tests_it_and_to_no_agent() {
    let (_host, rig) = with(Behaviour::NoStrictKexGcm).await;
    let tested = rig.login(&mut Call::new("true", "pw")).await.unwrap();
    let doubts = tested.values["doubts"].as_array().unwrap();
    assert!(doubts.len() == 1 && doubts[0].as_str().unwrap().starts_with("CVE-2023-48795"), "{doubts:?}");
    assert!(tested.values["server"].as_str().unwrap().starts_with("russh_"), "{tested:?}");
    let ran = rig.exec(&mut Call::new("true", "pw")).await.unwrap();
    assert!(!ran.values.contains_key("server") && !ran.values.contains_key("doubts"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_rsa_key_is_refused_even_if_known() {
    let (_host, rig) = with(Behaviour::SmallKey).await;
    let failure = rig.exec(&mut Call::new("true", "pw")).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetProtocol);
    assert!(failure.message().contains("1024 bits"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_never_ends_is_ended() {
    let (_host, rig) = with(Behaviour::EndlessLogin).await;
    impatient(&rig);
    let begun = Instant::now();
    let failure = rig.exec(&mut Call::new("true", "pw")).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetTimeout, "{failure:?}");
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_that_a_host_opens_are_refused() {
    let (host, rig) = with(Behaviour::OpensChannels).await;
    let outcome = rig.exec(&mut Call::new("echo hi", "pw")).await.unwrap();
    assert_eq!(stdout(&outcome), "done\n");
    let answers = host.answers();
    assert_eq!(answers.len(), 6, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.ends_with("refused")), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_endings_are_told_as_they_are() {
    let (_host, rig) = with(Behaviour::ClosesWithoutStatus).await;
    let outcome = rig.exec(&mut Call::new("echo hi", "pw")).await.unwrap();
    assert_eq!(outcome.exit, Some(Exit::Unknown));
    let (_host, rig) = with(Behaviour::OddSignal).await;
    let outcome = rig.exec(&mut Call::new("echo hi", "pw")).await.unwrap();
    assert_eq!(outcome.exit, Some(Exit::Signal("BAD[31m".to_owned())), "control characters are gone");
    let (_host, rig) = with(Behaviour::RejectsExec).await;
    let failure = rig.exec(&mut Call::new("echo hi", "pw")).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetShell, "{failure:?}");
    let (_host, rig) = with(Behaviour::DropsDuringExec).await;
    let failure = rig.exec(&mut Call::new("echo hi", "pw")).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetUnreachable);
    assert!(failure.message().contains("not known"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_never_answers_a_command_is_left_in_time() {
    let (_host, rig) = with(Behaviour::NeverEnds).await;
    let mut call = Call { timeout: Duration::from_millis(700), ..Call::new("echo hi", "pw") };
    let begun = Instant::now();
    let failure = rig.exec(&mut call).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetTimeout);
    assert!(failure.message().contains("not known"), "{failure:?}");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_never_opens_a_channel_is_left_and_its_connection_ends() {
    let (host, rig) = with(Behaviour::NeverOpens).await;
    let begun = Instant::now();
    let failure = rig.exec(&mut Call::new("echo hi", "pw")).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetUnreachable, "{failure:?}");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    for _ in 0..40 {
        if host.ended() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the connection was left open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_talks_while_nothing_runs_is_cut_off() {
    let (host, rig) = with(Behaviour::FloodsWhenIdle).await;
    rig.exec(&mut Call::new("echo hi", "pw")).await.unwrap();
    for _ in 0..200 {
        if host.ended() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the host could go on sending");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_freezes_during_a_command_is_noticed() {
    let sshd = Sshd::start();
    let line = Line::to(sshd.port()).await;
    let rig = Rig::new("127.0.0.1", line.port, sshd.user(), &known_through(&line, &sshd));
    let watchdog = Duration::from_millis(300);
    rig.connector.configure(SshSettings { watchdog, ..rig.settings.clone() });
    let running = "sh -c 'count-act on; sleep 300'";
    let mut call = Call { timeout: Duration::from_secs(100), ..Call::new(running, sshd.password()) };
    let begun = Instant::now();
    let ((), failure) = tokio::join!(
        async {
            acted(&sshd, 1).await;
            line.freeze();
        },
        async { rig.exec(&mut call).await.unwrap_err() }
    );
    assert_eq!(failure.code(), ErrorCode::TargetUnreachable, "{failure:?}");
    assert!(failure.message().contains("not known"), "{failure:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooled_connection_that_froze_is_replaced_before_anything_is_sent() {
    let sshd = Sshd::start();
    let line = Line::to(sshd.port()).await;
    let rig = Rig::new("127.0.0.1", line.port, sshd.user(), &known_through(&line, &sshd));
    rig.exec(&mut Call::new("true", sshd.password())).await.unwrap();
    line.freeze();
    rig.exec(&mut Call::new("count-act once", sshd.password())).await.unwrap();
    assert_eq!((sshd.acts(), sshd.logins()), (vec!["once".to_owned()], 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_that_froze_is_given_up_before_anybody_needs_it() {
    let sshd = Sshd::start();
    let line = Line::to(sshd.port()).await;
    let rig = Rig::new("127.0.0.1", line.port, sshd.user(), &known_through(&line, &sshd));
    let watchdog = Duration::from_millis(300);
    rig.connector.configure(SshSettings { watchdog, ..rig.settings.clone() });
    rig.exec(&mut Call::new("true", sshd.password())).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(line.given_up(), 0, "who answers is kept");
    line.freeze();
    for _ in 0..200 {
        if line.given_up() == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the dead connection was kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_way_that_froze_the_host_that_is_silent_is_named() {
    for frozen in ["bastion", "web1"] {
        let (bastion, web) = (Sshd::start(), Sshd::start());
        let (before, behind) = (Line::to(bastion.port()).await, Line::to(web.port()).await);
        let mut rig = Rig::new("127.0.0.1", behind.port, web.user(), &known_through(&behind, &web))
            .by_way_of(&[("bastion", &bastion)]);
        rig.hops[0].0.port = before.port;
        let known = std::fs::read_to_string(&rig.known_hosts).unwrap();
        std::fs::write(&rig.known_hosts, format!("{known}{}\n", known_through(&before, &bastion))).unwrap();
        let watchdog = Duration::from_millis(300);
        rig.connector.configure(SshSettings { watchdog, ..rig.settings.clone() });
        let line = "sh -c 'count-act on; sleep 300'";
        let mut call = Call { timeout: Duration::from_secs(60), ..Call::new(line, web.password()) };
        let ((), failure) = tokio::join!(
            async {
                acted(&web, 1).await;
                if frozen == "bastion" { before.freeze() } else { behind.freeze() }
            },
            async { rig.exec(&mut call).await.unwrap_err() }
        );
        assert_eq!(failure.code(), ErrorCode::TargetUnreachable, "{failure:?}");
        let told = failure.message().starts_with(&format!("the connection to `{frozen}`"));
        assert!(told, "{frozen}: {failure:?}");
    }
}

fn known_through(line: &Line, sshd: &Sshd) -> String {
    format!("[127.0.0.1]:{} {}", line.port, sshd.host_key().public_key())
}
