//! Our reading of a line against the shells of this machine.

use std::process::Command;

use policy::command::{canonical, parse};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Those that we quote for must be there; a ksh is asked too where there is one.
fn shells() -> Vec<&'static str> {
    let found: Vec<_> = ["/bin/sh", "/bin/dash", "/bin/bash", "/bin/zsh", "/usr/bin/ksh", "/bin/busybox"]
        .into_iter()
        .filter(|shell| std::path::Path::new(shell).exists())
        .collect();
    for shell in ["/bin/dash", "/bin/bash", "/bin/zsh", "/bin/busybox"] {
        assert!(found.contains(&shell), "no `{shell}`: `cargo xtask test` installs what the tests need");
    }
    found
}

/// zsh replaces a word `=x` by the path of `x`, so it reads such a line otherwise than POSIX says. It never
/// gets to see one: what is sent is our quoting.
fn reads_as_posix(shell: &str, words: &[String]) -> bool {
    !shell.ends_with("zsh") || !words.iter().any(|word| word.starts_with('='))
}

fn printed(shell: &str, line: &str) -> Vec<u8> {
    let mut command = Command::new(shell);
    if shell.ends_with("busybox") {
        command.arg("sh");
    }
    let output = command.args(["-c", line]).env_clear().current_dir("/").output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{shell} {line:?}: {output:?}");
    output.stdout
}

/// What the words of one `printf '%s\0'` should print.
fn expected(words: &[String]) -> Vec<u8> {
    words.iter().skip(2).flat_map(|word| word.bytes().chain([0])).collect()
}

fn check(arguments: &str) {
    let line = format!("printf '%s\\0' {arguments}");
    let Ok(parsed) = parse(&line) else { return };
    let commands: Vec<_> = parsed.commands().collect();
    assert_eq!(commands.len(), 1, "{line}");
    let quoted = canonical(&parsed);
    for shell in shells() {
        if reads_as_posix(shell, &commands[0].words) {
            assert_eq!(
                printed(shell, &line),
                expected(&commands[0].words),
                "{shell} reads {line:?} otherwise"
            );
        }
        assert_eq!(
            printed(shell, &quoted),
            expected(&commands[0].words),
            "{shell} reads {quoted:?} otherwise"
        );
    }
}

#[test]
fn shells_read_our_quoting_as_the_same_words() {
    for arguments in [
        "a b",
        "'a b' c",
        "\"a b\"",
        "a\\ b",
        "''  ''",
        "'it'\\''s'",
        "\"it's\"",
        "\\$HOME '$HOME'",
        "'*' \\* '~' '!!'",
        "a=b =c -- -x",
        "'a;b' '|' '&'",
        "\\\\ \\' \\\"",
        "'#x' a#b",
        "^x a]b %1 +x @x",
        "'\\n' '\\\\'",
        "'{a,b}'",
        "'é' '日本'",
        "a,b a:b",
        "'`id`' '$(id)'",
        "'<' \\> '>>'",
        "a\tb",
        "'' x ''",
        "if then done",
        "1 2 3",
        "'=x' \\=y",
    ] {
        let line = format!("printf '%s\\0' {arguments}");
        assert!(parse(&line).is_ok(), "{line}: {:?}", parse(&line));
        check(arguments);
    }
}

#[test]
fn shells_agree_about_any_line_we_understand() {
    let mut runner = TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
    let quoted = "('[ -&(-~]{0,6}'|\"[ #%-&(-\\[\\]-_a-~]{0,6}\"|[a-z=:,.@%+/^#-]{1,4}|\\\\[ -~]){1,4}";
    let arguments = prop::collection::vec(quoted, 1..5).prop_map(|words| words.join(" "));
    runner
        .run(&arguments, |arguments| {
            check(&arguments);
            Ok(())
        })
        .unwrap();
    let noise = "[ -~]{0,16}";
    runner
        .run(&noise, |arguments| {
            // Only single commands are compared: others would really run what the noise names.
            if parse(&format!("printf '%s\\0' {arguments}")).is_ok_and(|line| line.commands().count() == 1) {
                check(&arguments);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn shells_agree_about_lists_and_pipelines() {
    for (line, printed_by_all) in [
        ("echo a && echo b", "a\nb\n"),
        ("echo a || echo b", "a\n"),
        ("echo a; echo b;", "a\nb\n"),
        ("echo a | cat", "a\n"),
        ("echo a | cat && echo b || echo c; echo d", "a\nb\nd\n"),
    ] {
        let parsed = parse(line).unwrap();
        for shell in shells() {
            assert_eq!(printed(shell, line), printed_by_all.as_bytes(), "{shell} {line}");
            assert_eq!(printed(shell, &canonical(&parsed)), printed_by_all.as_bytes(), "{shell} {line}");
        }
    }
}
