//! What a command does and how it ends.

use std::time::Duration;

use model::{ErrorCode, Exit, Shell};
use testkit::{Dropbear, Sshd};
use tokio::time::Instant;

use crate::rig::{Call, Rig, acted, stderr, stdout};

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_run_and_everything_of_it_comes_back() {
    let sshd = Sshd::start();
    let rig = Rig::of(&sshd);
    let mut call = Call::new("sh -c 'echo out; echo err >&2; exit 3'", sshd.password());
    let outcome = rig.exec(&mut call).await.unwrap();
    assert_eq!((stdout(&outcome).as_str(), stderr(&outcome).as_str()), ("out\n", "err\n"));
    assert_eq!(outcome.exit, Some(Exit::Status(3)));
    assert_eq!(outcome.values["user"], sshd.user());
    assert_eq!(outcome.values["host_key"], sshd.host_key().fingerprint());
    assert!(call.started);
    let events = call.events();
    assert!(events[0].starts_with("begin shell_probe: printf "), "{events:?}");
    assert_eq!(events[1], "end shell_probe: posix");
    let mut again = Call::new("true", sshd.password());
    rig.exec(&mut again).await.unwrap();
    assert!(again.events().is_empty(), "the probe is remembered");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_arrive_as_they_were_written() {
    let sshd = Sshd::start();
    let rig = Rig::of(&sshd);
    let mut call = Call::new(
        r#"printf '%s|' 'a  b' "it's" '$HOME' '`id`' '*' '\' '' '~' && cat /dev/stdin"#,
        sshd.password(),
    );
    let outcome = rig.exec(&mut call).await.unwrap();
    assert_eq!(stdout(&outcome), r"a  b|it's|$HOME|`id`|*|\||~|");
    assert_eq!(outcome.exit, Some(Exit::Status(0)), "standard input is empty");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_is_told_by_name() {
    let sshd = Sshd::start();
    let rig = Rig::of(&sshd);
    let mut call = Call::new("sh -c 'kill -TERM $$'", sshd.password());
    // The login shell replaces itself by its last command, so the signal reaches what sshd waits for.
    let outcome = rig.exec(&mut call).await.unwrap();
    assert_eq!(outcome.exit, Some(Exit::Signal("TERM".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn output_beyond_the_bound_is_counted_and_dropped() {
    let sshd = Sshd::start();
    let rig = Rig::of(&sshd);
    let mut call =
        Call::new("sh -c 'head -c 50000000 /dev/zero; head -c 3000 /dev/zero >&2'", sshd.password());
    call.output = 10_000;
    let outcome = rig.exec(&mut call).await.unwrap();
    let [out, err] = outcome.streams.as_slice() else { panic!("two streams") };
    assert_eq!((out.bytes.len(), out.total), (7_000, 50_000_000));
    assert_eq!((err.bytes.len(), err.total), (3_000, 3_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn new_keys_are_exchanged_in_the_middle_of_output() {
    let sshd = Sshd::options().line("RekeyLimit 1M").start();
    let rig = Rig::of(&sshd);
    let mut call = Call { output: 100, ..Call::new("head -c 20000000 /dev/zero", sshd.password()) };
    let (outcome, other) = tokio::join!(rig.exec(&mut call), async {
        let mut outcomes = Vec::new();
        for _ in 0..5 {
            outcomes.push(rig.exec(&mut Call::new("echo ok", sshd.password())).await);
        }
        outcomes
    });
    let outcome = outcome.unwrap();
    assert_eq!((outcome.streams[0].total, outcome.exit), (20_000_000, Some(Exit::Status(0))));
    assert!(other.iter().all(|outcome| outcome.as_ref().is_ok_and(|o| stdout(o) == "ok\n")), "{other:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn time_ends_a_command_and_its_end_is_told() {
    let sshd = Sshd::start();
    let rig = Rig::of(&sshd);
    rig.exec(&mut Call::new("true", sshd.password())).await.unwrap();
    let mut call = Call::new("sleep 300", sshd.password());
    call.timeout = Duration::from_millis(700);
    let begun = Instant::now();
    let failure = rig.exec(&mut call).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetTimeout);
    assert!(failure.message().contains("ended by signal TERM"), "{}", failure.message());
    assert!(!failure.retry(), "it may have done its work");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(sshd.logins(), 1, "the connection is still good");
    rig.exec(&mut Call::new("true", sshd.password())).await.unwrap();
    assert_eq!(sshd.logins(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_left_behind_does_not_take_its_result_away() {
    let sshd = Sshd::start();
    let rig = Rig::of(&sshd);
    rig.exec(&mut Call::new("true", sshd.password())).await.unwrap();
    let mut call = Call::new("sh -c 'sleep 30 & echo started; exit 4'", sshd.password());
    call.timeout = Duration::from_millis(1500);
    let outcome = rig.exec(&mut call).await.unwrap();
    assert_eq!((stdout(&outcome).as_str(), outcome.exit), ("started\n", Some(Exit::Status(4))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_smaller_than_the_probe_costs_nothing() {
    let sshd = Sshd::start();
    let rig = Rig::of(&sshd);
    let mut call = Call { output: 4, ..Call::new("echo 0123456789", sshd.password()) };
    let outcome = rig.exec(&mut call).await.unwrap();
    assert_eq!((stdout(&outcome).as_str(), outcome.streams[0].total), ("0123", 11));
    assert_eq!(sshd.logins(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_ignores_the_polite_signal_is_killed() {
    let sshd = Sshd::start();
    let rig = Rig::of(&sshd);
    let mut call =
        Call::new("sh -c 'trap \"\" TERM; echo trapped; while :; do sleep 1; done'", sshd.password());
    call.timeout = Duration::from_millis(1500);
    let failure = rig.exec(&mut call).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetTimeout);
    assert!(failure.message().contains("ended by signal KILL"), "{}", failure.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_ends_its_command() {
    let sshd = Sshd::start();
    let rig = Rig::of(&sshd);
    let marker = sshd.home().join("still-running");
    let line = format!("sh -c 'count-act on; sleep 2; touch {}'", marker.display());
    let line = Box::leak(line.into_boxed_str());
    // Cancelled by name.
    let mut call = Call::new(line, sshd.password());
    let cancel = call.cancel.clone();
    let ((), failure) = tokio::join!(
        async {
            acted(&sshd, 1).await;
            cancel.cancel();
        },
        async { rig.exec(&mut call).await.unwrap_err() }
    );
    assert_eq!(failure.code(), ErrorCode::CallCancelled);
    assert!(failure.message().contains("signal TERM"), "{}", failure.message());
    assert!(!failure.retry(), "it may have done its work");
    // Dropped on the way.
    let mut call = Call::new(line, sshd.password());
    tokio::select! {
        _ = rig.exec(&mut call) => panic!("it cannot have ended"),
        () = acted(&sshd, 2) => {}
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!marker.exists(), "the command was ended both times");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_that_reads_otherwise_is_refused() {
    for shell in [testkit::Shell::Fish, testkit::Shell::Tcsh] {
        let sshd = Sshd::options().shell(shell).start();
        let rig = Rig::of(&sshd);
        let mut call = Call::new("count-act never", sshd.password());
        let failure = rig.exec(&mut call).await.unwrap_err();
        assert_eq!(failure.code(), ErrorCode::TargetShell, "{shell:?}: {failure:?}");
        assert_eq!(call.events()[1], "end shell_probe: not posix", "{shell:?}");
        assert!(sshd.acts().is_empty(), "{shell:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_a_shell_is_refused() {
    let sshd = Sshd::options().shell(testkit::Shell::Nologin).start();
    let failure = Rig::of(&sshd).exec(&mut Call::new("true", sshd.password())).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetShell, "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn posix_shells_pass_the_probe() {
    for shell in [testkit::Shell::Dash, testkit::Shell::BusyboxAsh, testkit::Shell::Zsh] {
        let sshd = Sshd::options().shell(shell).start();
        let outcome = Rig::of(&sshd).exec(&mut Call::new("echo ok", sshd.password())).await;
        assert_eq!(stdout(&outcome.unwrap_or_else(|f| panic!("{shell:?}: {f:?}"))), "ok\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_rc_file_that_talks_does_not_fail_the_probe() {
    let sshd = Sshd::start();
    std::fs::write(sshd.home().join(".bashrc"), "echo welcome\n").unwrap();
    Rig::of(&sshd).exec(&mut Call::new("true", sshd.password())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_goes_to_a_host_declared_without_a_posix_shell() {
    let sshd = Sshd::start();
    for shell in [Shell::PowerShell, Shell::None] {
        let mut rig = Rig::of(&sshd);
        rig.host.shell = shell;
        let failure = rig.exec(&mut Call::new("true", sshd.password())).await.unwrap_err();
        assert_eq!(failure.code(), ErrorCode::TargetShell);
    }
    assert_eq!(sshd.logins(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropbear_works_too() {
    let dropbear = Dropbear::start();
    let rig = Rig::new(dropbear.host(), dropbear.port(), dropbear.user(), &dropbear.known_hosts_line());
    let outcome = rig.exec(&mut Call::new("echo ok; false", dropbear.password())).await.unwrap();
    assert_eq!((stdout(&outcome).as_str(), outcome.exit), ("ok\n", Some(Exit::Status(1))));
    let mut call = Call::new("sleep 300", dropbear.password());
    call.timeout = Duration::from_secs(1);
    let failure = rig.exec(&mut call).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetTimeout, "{failure:?}");
}
