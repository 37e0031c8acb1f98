//! Who shares a connection, and that nobody can hold up another.

use std::time::Duration;

use model::ErrorCode;
use testkit::Sshd;
use tokio::time::Instant;

use crate::rig::{Call, Rig, acted, stdout};

#[tokio::test(flavor = "multi_thread")]
async fn calls_on_the_hosts_own_credential_share_and_handles_never_do() {
    let sshd = Sshd::start();
    let rig = Rig::of(&sshd);
    for _ in 0..3 {
        rig.exec(&mut Call::new("true", sshd.password())).await.unwrap();
    }
    assert_eq!(sshd.logins(), 1);
    for _ in 0..2 {
        rig.exec(&mut Call { version: None, ..Call::new("true", sshd.password()) }).await.unwrap();
    }
    assert_eq!(sshd.logins(), 3);
    rig.exec(&mut Call { version: Some("2"), ..Call::new("true", sshd.password()) }).await.unwrap();
    assert_eq!(sshd.logins(), 4, "a rotated secret is logged in with anew");
    rig.exec(&mut Call { version: Some("2"), ..Call::new("true", sshd.password()) }).await.unwrap();
    assert_eq!(sshd.logins(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_output_on_one_channel_does_not_hold_up_another() {
    let sshd = Sshd::start();
    let rig = Rig::of(&sshd);
    rig.exec(&mut Call::new("true", sshd.password())).await.unwrap();
    let mut endless = Call::new("cat /dev/zero", sshd.password());
    (endless.timeout, endless.output) = (Duration::from_secs(3), 1000);
    let ((), failure) = tokio::join!(
        async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            for _ in 0..5 {
                let begun = Instant::now();
                rig.exec(&mut Call::new("true", sshd.password())).await.unwrap();
                assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
            }
        },
        async { rig.exec(&mut endless).await.unwrap_err() }
    );
    assert_eq!(failure.code(), ErrorCode::TargetTimeout, "{failure:?}");
    assert_eq!(sshd.logins(), 1, "all of it was one connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_refuses_more_channels_gets_another_connection() {
    let sshd = Sshd::options().max_sessions(2).start();
    let rig = Rig::of(&sshd);
    rig.exec(&mut Call::new("true", sshd.password())).await.unwrap();
    let mut calls: Vec<Call> =
        (0..5).map(|_| Call::new("sh -c 'sleep 1; echo done'", sshd.password())).collect();
    let running = calls.iter_mut().map(|call| rig.exec(call));
    for outcome in futures_join(running).await {
        assert_eq!(stdout(&outcome.unwrap()), "done\n");
    }
    assert!((2..=5).contains(&sshd.logins()), "{}", sshd.logins());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_at_once_do_not_all_dial() {
    let sshd = Sshd::start();
    let rig = Rig::of(&sshd);
    let mut calls: Vec<Call> = (0..24).map(|_| Call::new("sh -c 'sleep 0.5'", sshd.password())).collect();
    for outcome in futures_join(calls.iter_mut().map(|call| rig.exec(call))).await {
        outcome.unwrap();
    }
    assert!(sshd.logins() <= 4, "{}", sshd.logins());
    let probes = calls.iter().flat_map(Call::events).filter(|event| event.starts_with("begin shell_probe"));
    assert_eq!(probes.count(), 1, "one call probes, the others wait for what it finds");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_that_is_no_posix_shell_is_not_asked_again_and_again() {
    let sshd = Sshd::options().shell(testkit::Shell::Fish).start();
    let rig = Rig::of(&sshd);
    let probes = async |expected: usize| {
        let mut call = Call::new("true", sshd.password());
        let failure = rig.exec(&mut call).await.unwrap_err();
        assert_eq!(failure.code(), ErrorCode::TargetShell, "{failure:?}");
        let probes = call.events().iter().filter(|event| event.starts_with("begin shell_probe")).count();
        assert_eq!(probes, expected);
    };
    probes(1).await;
    probes(0).await;
    rig.clock.advance(Duration::from_secs(31));
    probes(1).await;
    rig.connector.retire(|host| host.as_str() == "web1", &policy::NetworkFence::default());
    probes(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_end() {
    let sshd = Sshd::start();
    let rig = Rig::of(&sshd);
    let idle = Duration::from_millis(200);
    rig.connector.configure(connector_ssh::SshSettings { idle, ..rig.settings.clone() });
    rig.exec(&mut Call::new("true", sshd.password())).await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(!sshd.log().contains("Connection closed"), "no time has passed on the clock");
    rig.clock.advance(Duration::from_secs(1));
    testkit::wait_until("the idle connection was not ended", Duration::from_secs(5), || gone(&sshd));
    rig.exec(&mut Call::new("true", sshd.password())).await.unwrap();
    assert_eq!(sshd.logins(), 2);
    rig.connector.close_idle();
    rig.exec(&mut Call::new("true", sshd.password())).await.unwrap();
    assert_eq!(sshd.logins(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_ends_the_connections_that_it_touches_and_no_others() {
    let (bastion, web) = (Sshd::start(), Sshd::start());
    let rig = Rig::of(&web).by_way_of(&[("bastion", &bastion)]);
    let everywhere = policy::NetworkFence::default();
    let elsewhere = policy::NetworkFence { allow: vec!["10.0.0.0/8".parse().unwrap()], block: Vec::new() };
    let mut logins = 0;
    let mut touched = async |is_touched: bool, by: &str| {
        rig.exec(&mut Call::new("true", web.password())).await.unwrap();
        logins += usize::from(is_touched);
        assert_eq!(web.logins(), logins, "{by}");
    };
    touched(true, "the first call").await;
    rig.connector.configure(rig.settings.clone());
    rig.connector.retire(|host| host.as_str() == "web2", &everywhere);
    touched(false, "a reload that says the same").await;
    rig.connector.retire(|host| host.as_str() == "web1", &everywhere);
    touched(true, "its host").await;
    rig.connector.retire(|host| host.as_str() == "bastion", &everywhere);
    touched(true, "its jump host").await;
    rig.connector.retire(|_| false, &elsewhere);
    touched(true, "a network that does not admit it").await;
    rig.connector.configure(connector_ssh::SshSettings { insecure_hostkey: true, ..rig.settings.clone() });
    touched(true, "other settings").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lockdown_ends_what_runs() {
    let sshd = Sshd::start();
    let rig = Rig::of(&sshd);
    rig.exec(&mut Call::new("true", sshd.password())).await.unwrap();
    for (running, version) in [Some("1"), None].into_iter().enumerate() {
        let line = "sh -c 'count-act on; sleep 300'";
        let mut call =
            Call { version, timeout: Duration::from_secs(100), ..Call::new(line, sshd.password()) };
        let begun = Instant::now();
        let ((), failure) = tokio::join!(
            async {
                acted(&sshd, running + 1).await;
                rig.connector.close_all();
            },
            async { rig.exec(&mut call).await.unwrap_err() }
        );
        assert_eq!(failure.code(), ErrorCode::TargetUnreachable, "{failure:?}");
        assert!(failure.message().contains("not known"), "{failure:?}");
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
    rig.exec(&mut Call::new("true", sshd.password())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_cut_is_replaced_unseen() {
    let sshd = Sshd::start();
    let rig = Rig::of(&sshd);
    rig.exec(&mut Call::new("true", sshd.password())).await.unwrap();
    sshd.sever();
    rig.exec(&mut Call::new("count-act once", sshd.password())).await.unwrap();
    assert_eq!(sshd.acts(), ["once"]);
}

fn gone(sshd: &Sshd) -> bool {
    let log = sshd.log();
    log.contains("Connection closed by")
        || log.contains("Received disconnect")
        || log.contains("Connection reset")
}

async fn futures_join<F: Future>(running: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = running.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, done) in running.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(cx)
            {
                *done = Some(output);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}
