//! Servers and agents, driven by the OpenSSH client.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use testkit::{Dropbear, KeyKind, KeyPair, Shell, SshAgent, Sshd};

/// Runs `command` on the server with the OpenSSH client and the options given.
fn ssh(port: u16, known: &str, user: &str, options: &[&str], command: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("known_hosts");
    std::fs::write(&hosts, format!("{known}\n")).unwrap();
    Command::new("ssh")
        .args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=yes",
            "-p",
            &port.to_string(),
        ])
        .arg("-o")
        .arg(format!("UserKnownHostsFile={}", hosts.display()))
        .args(options)
        .arg(format!("{user}@127.0.0.1"))
        .arg(command)
        .env_remove("SSH_AUTH_SOCK")
        .output()
        .unwrap()
}

fn with_key(sshd: &Sshd, key: &Path, command: &str) -> Output {
    let key = key.to_str().unwrap();
    ssh(sshd.port(), &sshd.known_hosts_line(), sshd.user(), &["-i", key, "-o", "IdentitiesOnly=yes"], command)
}

/// Logs in with a password, which the OpenSSH client takes from a program.
fn with_password(sshd: (u16, &str, &str), password: &str, command: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let ask = folder.path().join("ask");
    std::fs::write(&ask, "#!/bin/sh\nprintf '%s\\n' \"$TEST_PASSWORD\"\n").unwrap();
    Command::new("chmod").arg("+x").arg(&ask).status().unwrap();
    let hosts = folder.path().join("known_hosts");
    std::fs::write(&hosts, format!("{}\n", sshd.1)).unwrap();
    Command::new("ssh")
        .args(["-F", "none", "-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1"])
        .args(["-o", "StrictHostKeyChecking=yes", "-p", &sshd.0.to_string(), "-o"])
        .arg(format!("UserKnownHostsFile={}", hosts.display()))
        .arg(format!("{}@127.0.0.1", sshd.2))
        .arg(command)
        .env("SSH_ASKPASS", &ask)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .env("TEST_PASSWORD", password)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn sshd_takes_its_password_and_its_key_and_no_other() {
    let sshd = Sshd::start();
    let at = (sshd.port(), &*sshd.known_hosts_line(), sshd.user());
    assert_eq!(text(&with_password(at, sshd.password(), "id -un")), sshd.user());
    assert_eq!(with_password(at, "wrong", "id -un").status.code(), Some(255));
    assert_eq!(text(&with_key(&sshd, sshd.client_key().path(), "id -un")), sshd.user());
    let folder = tempfile::tempdir().unwrap();
    let stranger = KeyPair::make(&folder.path().join("key"), KeyKind::Ed25519, "");
    assert_eq!(with_key(&sshd, stranger.path(), "id -un").status.code(), Some(255));
    assert_eq!(sshd.logins(), 2, "{}", sshd.log());
}

#[test]
fn sshd_can_be_limited_to_passwords_or_keys() {
    let password = Sshd::options().password_only().password("p a$s'w\"ord").start();
    assert_eq!(with_key(&password, password.client_key().path(), "true").status.code(), Some(255));
    let at = (password.port(), &*password.known_hosts_line(), password.user());
    assert_eq!(with_password(at, "p a$s'w\"ord", "echo in").status.code(), Some(0));
    let key = Sshd::options().key_only().host_key(KeyKind::Ecdsa).client_key(KeyKind::Rsa).start();
    let at = (key.port(), &*key.known_hosts_line(), key.user());
    assert_eq!(with_password(at, key.password(), "true").status.code(), Some(255));
    assert_eq!(with_key(&key, key.client_key().path(), "true").status.code(), Some(0));
}

#[test]
fn servers_side_by_side_have_accounts_of_their_own() {
    let (one, other) = (Sshd::start(), Sshd::start());
    assert_ne!(one.user(), other.user());
    for (here, there) in [(&one, &other), (&other, &one)] {
        let at = (here.port(), &*here.known_hosts_line(), here.user());
        assert_eq!(text(&with_password(at, here.password(), "id -un")), here.user());
        assert_eq!(with_password(at, there.password(), "id -un").status.code(), Some(255));
    }
}

#[test]
fn every_shell_runs_commands_its_own_way() {
    for (shell, command, wanted) in [
        (Shell::Bash, "echo ${BASH_VERSION:+bash}", "bash"),
        (Shell::Dash, "readlink /proc/$$/exe; true", "/usr/bin/dash"),
        (Shell::BusyboxAsh, "readlink /proc/$$/exe; true", "/usr/bin/busybox"),
        (Shell::Zsh, "echo ${ZSH_VERSION:+zsh}", "zsh"),
        (Shell::Fish, "test -n \"$version\"; and echo fish", "fish"),
        (Shell::Tcsh, "if ($?tcsh) echo tcsh", "tcsh"),
    ] {
        let sshd = Sshd::options().shell(shell).start();
        let output = with_key(&sshd, sshd.client_key().path(), command);
        assert_eq!(text(&output), wanted, "{shell:?}: {output:?}");
    }
    let none = Sshd::options().shell(Shell::Nologin).start();
    assert_eq!(with_key(&none, none.client_key().path(), "true").status.code(), Some(1));
}

#[test]
fn acts_are_counted_in_order() {
    let sshd = Sshd::start();
    for token in ["one", "two words", "one"] {
        let output = with_key(&sshd, sshd.client_key().path(), &format!("count-act '{token}'"));
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(sshd.acts(), ["one", "two words", "one"]);
}

#[test]
fn words_are_noted_call_by_call() {
    let sshd = Sshd::start();
    for line in ["note-words", "note-words '' a 'b\nc' ''", "note-words \"$0\"; note-words é"] {
        let output = with_key(&sshd, sshd.client_key().path(), line);
        assert!(output.status.success(), "{output:?}");
    }
    let own: &[&[&str]] = &[&[], &["", "a", "b\nc", ""], &["bash"], &["é"]];
    assert_eq!(sshd.noted(), own);
}

#[test]
fn environment_and_channels_are_as_configured() {
    let sshd = Sshd::options().accept_env("PORTCULLIS_*").max_sessions(0).start();
    let refused = with_key(&sshd, sshd.client_key().path(), "true");
    assert_eq!(refused.status.code(), Some(255), "{refused:?}");
    let sshd = Sshd::options().accept_env("PORTCULLIS_*").start();
    let known = sshd.known_hosts_line();
    let key = sshd.client_key().path().to_str().unwrap();
    let options = ["-i", key, "-o", "SetEnv=PORTCULLIS_X=here OTHER=not"];
    let output = ssh(sshd.port(), &known, sshd.user(), &options, "echo $PORTCULLIS_X$OTHER");
    assert_eq!(text(&output), "here");
}

#[test]
fn a_server_stops_restarts_and_changes_its_key() {
    let mut sshd = Sshd::start();
    let (old, key) = (sshd.known_hosts_line(), sshd.client_key().clone());
    sshd.stop();
    assert_eq!(with_key(&sshd, key.path(), "true").status.code(), Some(255));
    sshd.restart();
    assert_eq!(with_key(&sshd, key.path(), "true").status.code(), Some(0));
    sshd.change_host_key(KeyKind::Ed25519);
    let options = ["-i", key.path().to_str().unwrap()];
    let refused = ssh(sshd.port(), &old, sshd.user(), &options, "true");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("IDENTIFICATION HAS CHANGED"), "{refused:?}");
    assert_eq!(with_key(&sshd, key.path(), "true").status.code(), Some(0));
}

#[test]
fn severed_connections_end_at_once() {
    let sshd = Sshd::start();
    let key = sshd.client_key().path().to_owned();
    std::thread::scope(|scope| {
        let long = scope.spawn(|| with_key(&sshd, &key, "count-act begun; sleep 60"));
        testkit::wait_until("the command began", Duration::from_secs(10), || !sshd.acts().is_empty());
        sshd.sever();
        assert_eq!(long.join().unwrap().status.code(), Some(255));
    });
    assert_eq!(with_key(&sshd, &key, "true").status.code(), Some(0));
}

#[test]
fn nothing_is_left_of_a_dropped_server() {
    let sshd = Sshd::start();
    let (port, key, user) = (sshd.port(), sshd.client_key().path().to_owned(), sshd.user().to_owned());
    let _ = with_key(&sshd, &key, "setsid -f sleep 61 >/dev/null 2>&1 </dev/null");
    let sleepers = || {
        let output = Command::new("ps").args(["-o", "args=", "-u", &user]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).contains("sleep 61")
    };
    assert!(sleepers());
    drop(sshd);
    assert!(!sleepers());
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn a_killed_test_leaves_no_server() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ssh::holds_a_server", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let port = lines.filter_map(|line| line.strip_prefix("port ")?.parse().ok()).next().unwrap();
    let listens = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    assert!(listens());
    child.kill().unwrap();
    child.wait().unwrap();
    testkit::wait_until("the server ends with its test", Duration::from_secs(10), || !listens());
}

#[test]
#[ignore = "the part of a_killed_test_leaves_no_server that is killed"]
fn holds_a_server() {
    let sshd = Sshd::start();
    println!("\nport {}", sshd.port());
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn the_agent_signs_with_the_key_it_holds() {
    let sshd = Sshd::options().key_only().start();
    let agent = SshAgent::start(sshd.client_key());
    let socket = format!("IdentityAgent={}", agent.socket().display());
    let known = sshd.known_hosts_line();
    let login = || ssh(sshd.port(), &known, sshd.user(), &["-o", &socket], "true").status.code();
    assert_eq!(login(), Some(0));
    agent.forget_all();
    assert_eq!(login(), Some(255));
}

#[test]
fn dropbear_takes_its_password_and_its_key() {
    let dropbear = Dropbear::start();
    let at = (dropbear.port(), &*dropbear.known_hosts_line(), dropbear.user());
    assert_eq!(
        text(&with_password(at, dropbear.password(), "id -un")),
        dropbear.user(),
        "{}",
        dropbear.log()
    );
    let key = dropbear.client_key().path().to_str().unwrap();
    let output = ssh(at.0, at.1, at.2, &["-i", key, "-o", "IdentitiesOnly=yes"], "id -un");
    assert_eq!(text(&output), dropbear.user(), "{output:?} {}", dropbear.log());
}
