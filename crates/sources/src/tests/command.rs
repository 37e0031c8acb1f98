use super::*;
use crate::CommandSource;

fn shell(script: &str) -> CommandSource {
    running(
        &["/bin/sh", "-c", script, "sh", "{safe}", "{object}", "{safe}/{object}", "x{safe}"],
        Duration::from_secs(20),
    )
}

fn running(argv: &[&str], timeout: Duration) -> CommandSource {
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    let own = [("CONFIGURED".to_owned(), "yes".to_owned())].into();
    let environment =
        variables(&[("PATH", "/usr/bin:/bin"), ("HOME", "/nonexistent"), ("SECRET_OF_GATEWAY", "canary")]);
    CommandSource::new(argv, own, timeout, environment, versions())
}

#[tokio::test]
async fn a_program_prints_the_secret_and_one_newline_is_dropped() {
    let source = shell("printf 'canary-printed\\n'");
    assert!(is_password(&fetch(&source, "A/b").await.unwrap(), "canary-printed"));
    let source = shell("printf 'canary-printed\\n\\n'; echo noise >&2");
    assert!(is_password(&fetch(&source, "A/b").await.unwrap(), "canary-printed\n"));
}

#[tokio::test]
async fn the_name_is_passed_as_whole_arguments_and_never_to_a_shell() {
    let source = shell("printf '%s|' \"$@\"");
    let expected = "A|b; $(id)/c d|A/b; $(id)/c d|x{safe}|";
    // `;` cannot be in a name at all; the rest of what a shell would expand can.
    assert!(CredentialRef::parse("s:A/b; x").is_err());
    let credential = fetch(&source, "A/b $(id)/c d").await.unwrap();
    assert!(is_password(&credential, &expected.replace("b; ", "b ")));
}

#[tokio::test]
async fn a_name_that_could_be_an_option_or_a_way_out_is_refused_before_anything_runs() {
    let source = shell("echo canary");
    for name in ["-A/b", "A/-b", "A/--help", "A/b/-c", "A/../b", "../b", "A//b"] {
        refused(&source, name, ErrorCode::InputInvalid, "").await;
    }
}

#[tokio::test]
async fn the_environment_holds_path_home_and_what_is_configured_only() {
    let source = running(&["/usr/bin/env"], Duration::from_secs(20));
    let credential = fetch(&source, "A/b").await.unwrap();
    let Material::Password(printed) = &credential.material else { panic!("no text") };
    let mut lines: Vec<&str> = printed.expose().lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["CONFIGURED=yes", "HOME=/nonexistent", "PATH=/usr/bin:/bin"]);
}

#[tokio::test]
async fn standard_input_is_empty() {
    let source = shell("cat; echo canary-end");
    assert!(is_password(&fetch(&source, "A/b").await.unwrap(), "canary-end"));
}

#[tokio::test]
async fn a_failing_program_gives_nothing_and_its_standard_error_is_for_the_operator() {
    let source = shell("echo canary-half; echo 'no such entry' >&2; exit 3");
    let failure = failure(&source, "A/b").await;
    assert_eq!(failure.code(), ErrorCode::CredentialRefused);
    assert!(
        !failure.message().contains("no such entry") && failure.internal().unwrap().contains("no such entry")
    );
    // A program that shows the secret on both is not repeated to anybody.
    let source = shell("echo canary-both; echo 'debug: canary-both' >&2; exit 1");
    refused(&source, "A/b", ErrorCode::CredentialRefused, "holds what it printed").await;
}

#[tokio::test]
async fn nothing_printed_too_much_printed_and_no_program_are_refused() {
    refused(&shell("true"), "A/b", ErrorCode::CredentialRefused, "empty").await;
    refused(&shell("head -c 70000 /dev/zero | tr '\\0' c"), "A/b", ErrorCode::CredentialSourceDown, "64 KiB")
        .await;
    refused(&shell("exec yes canary"), "A/b", ErrorCode::CredentialSourceDown, "64 KiB").await;
    refused(
        &running(&["/no/such/program"], Duration::from_secs(5)),
        "A/b",
        ErrorCode::CredentialSourceDown,
        "started",
    )
    .await;
}

#[tokio::test]
async fn noise_on_standard_error_does_not_stop_the_program() {
    let source = shell("head -c 300000 /dev/zero >&2; echo canary-after");
    assert!(is_password(&fetch(&source, "A/b").await.unwrap(), "canary-after"));
}

#[tokio::test]
async fn a_slow_program_is_killed_with_everything_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let script = format!("sleep 600 & echo $! > {}; wait", pid.display());
    let source = running(&["/bin/sh", "-c", &script], Duration::from_secs(2));
    refused(&source, "A/b", ErrorCode::CredentialSourceDown, "longer than").await;
    let child: i32 = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    assert!(ends(child).await, "the program's child still runs");
}

#[tokio::test]
async fn a_cancelled_fetch_kills_the_program_with_everything_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let script = format!("sleep 600 & echo $! > {}; wait", pid.display());
    let source = running(&["/bin/sh", "-c", &script], Duration::from_secs(50));
    let written = async {
        while !std::fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n')) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        _ = fetch(&source, "A/b") => panic!("the program does not end"),
        () = written => {}
    }
    let child: i32 = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    assert!(ends(child).await, "the program's child still runs");
}

/// Whether a process is gone, or a zombie that nobody has waited for, within a second.
async fn ends(process: i32) -> bool {
    for _ in 0..100 {
        let state = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        if state.is_empty() || state.contains(") Z ") || state.contains(") X ") {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}
