//! Redirections: what is permitted, and that shells open the files that were authorised, with the same words.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use model::{ErrorCode, SubAction};
use policy::command::{canonical, parse};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::world::{compile, run, snapshot};

const RULES: &str = r#"
[[rule]]
name = "reports"
allow = ["ssh_execute"]
principals = ["*"]
targets = ["*"]
commands = ["df -h", "sort <path:/srv/in>", "sort", "wc -l"]
reads = ["/srv/in/*.csv"]
writes = ["/srv/out/**"]

[[rule]]
name = "bare"
allow = ["ssh_execute"]
principals = ["*"]
targets = ["*"]
commands = ["uptime"]

[[rule]]
name = "published by a human"
allow = ["ssh_execute"]
principals = ["*"]
targets = ["*"]
commands = ["date"]
writes = ["/srv/www/**"]
approval = { by = ["group:oncall"] }

[[rule]]
name = "never"
forbid = ["*"]
principals = ["*"]
targets = ["*"]
writes = ["/srv/out/locked/**"]
"#;

#[test]
fn every_redirection_needs_a_rule_of_its_own() {
    let policy = snapshot(RULES, "");
    for line in [
        "df -h >/srv/out/df.txt",
        "df -h >>/srv/out/a/b 2>&1",
        "df -h 2>/dev/null",
        "uptime >/srv/out/up",
        "sort </srv/in/a.csv | wc -l >/srv/out/n 2>/dev/null",
        "sort </dev/null >&2",
    ] {
        let allowed = run(&policy, "bot", "web1", line).unwrap_or_else(|e| panic!("{line}: {}", e.reason));
        assert!(allowed.obligations().approvals.is_empty(), "{line}");
    }
    for (line, reason) in [
        ("df -h >/srv/df.txt", "writing `/srv/df.txt` by redirection"),
        ("df -h >/srv/in/a.csv", "writing `/srv/in/a.csv`"),
        ("sort </srv/out/x", "reading `/srv/out/x`"),
        ("sort </srv/in/.a.csv", "hidden"),
        ("sort </srv/in/a/b.csv", "part 3 is `a`"),
        ("df -h >/srv/out", "part 3 is missing"),
        ("df -h; uptime >/etc/motd", "writing `/etc/motd`"),
    ] {
        let denial = run(&policy, "bot", "web1", line).unwrap_err();
        assert_eq!(denial.code, ErrorCode::DeniedCommand, "{line}");
        assert!(denial.reason.contains(reason), "{line}: {}", denial.reason);
    }
    let only =
        snapshot("[[rule]]\nname='a'\nallow=['*']\nprincipals=['*']\ntargets=['*']\ncommands=['**']\n", "");
    let denial = run(&only, "bot", "web1", "id >/tmp/x").unwrap_err();
    assert!(denial.reason.contains("`a`, has no `writes`, and any must be written"), "{}", denial.reason);
}

#[test]
fn a_denied_file_offers_those_that_are_permitted_by_name() {
    let named = RULES.replace("\"/srv/out/**\"", "\"/srv/out/**\", \"/srv/out/df.txt\"");
    let denial = run(&snapshot(&named, ""), "bot", "web1", "df -h 2>/dev/null >/etc/motd").unwrap_err();
    // Not the page that a human has to publish.
    assert_eq!(denial.allowed_instead, ["df -h 2>/dev/null >/srv/out/df.txt", "df -h 2>/dev/null"]);
}

#[test]
fn a_forbidden_or_approved_file_is_so_under_its_other_names() {
    let policy = snapshot(RULES, "");
    for line in ["df -h >/srv/out/locked/x", "df -h >>/srv/out/LOCKED/x", "uptime >|/srv/out/locked/.x"] {
        let denial = run(&policy, "bot", "web1", line).unwrap_err();
        assert_eq!(
            (denial.code, denial.rule.unwrap().as_str()),
            (ErrorCode::DeniedForbidden, "never"),
            "{line}"
        );
    }
    assert!(run(&policy, "bot", "web1", "df -h >/srv/out/unlocked").is_ok());
    let allowed = run(&policy, "bot", "web1", "uptime >/srv/www/up").unwrap();
    assert_eq!(allowed.obligations().approvals.len(), 1);
    // Permitted by another rule, but what asks for approval means this file too.
    let wider = snapshot(
        &format!(
            "{RULES}\n[[rule]]\nname='all'\nallow=['*']\nprincipals=['*']\ntargets=['*']\nwrites=['**']\n"
        ),
        "",
    );
    for line in ["uptime >/srv/www/.htaccess", "uptime >/srv/WWW/x"] {
        assert_eq!(run(&wider, "bot", "web1", line).unwrap().obligations().approvals.len(), 1, "{line}");
    }
    // `cat <FILE` is another wording of `cat FILE`.
    let words = snapshot(
        &format!(
            "{RULES}\n[[rule]]\nname='no'\nforbid=['*']\nprincipals=['*']\ntargets=['*']\ncommands=['sort /srv/in/b.csv']\n"
        ),
        "",
    );
    assert!(run(&words, "bot", "web1", "sort </srv/in/a.csv").is_ok());
    let denial = run(&words, "bot", "web1", "sort </srv/in/b.csv").unwrap_err();
    assert_eq!(denial.code, ErrorCode::DeniedForbidden);
}

#[test]
fn conditions_see_what_a_file_is_opened_for() {
    let cedar = "forbid (principal, action, resource) when { context.part == \"write\" && context has path && context.path like \"/srv/out/x*\" };";
    let policy = snapshot(RULES, cedar);
    assert!(run(&policy, "bot", "web1", "df -h >/srv/out/a").is_ok());
    assert_eq!(
        run(&policy, "bot", "web1", "df -h >/srv/out/xa").unwrap_err().code,
        ErrorCode::DeniedForbidden
    );
    assert!(
        compile(RULES, "permit (principal, action, resource) when { context.path == \"/a\" };").is_err(),
        "unguarded"
    );
}

#[test]
fn the_digest_covers_redirections_and_their_order() {
    let digest = |line: &str| {
        let line = parse(line).unwrap();
        let mut action = crate::world::action("ssh_execute", "web1", line.parts().collect());
        action.command = Some(line);
        action.digest().to_string()
    };
    let lines = [
        "id",
        "id 2>&1",
        "id >&2",
        "id >/tmp/x",
        "id >>/tmp/x",
        "id >|/tmp/x",
        "id 2>/tmp/x",
        "id </tmp/x",
        "id >/tmp/y",
        "id >/tmp/x 2>&1",
        "id 2>&1 >/tmp/x",
        "id >/dev/null",
        "id '>/tmp/x'",
    ];
    let digests: std::collections::BTreeSet<_> = lines.iter().map(|line| digest(line)).collect();
    assert_eq!(digests.len(), lines.len());
}

/// bash, dash, busybox and zsh, as far as this machine has them.
fn shells() -> Vec<(&'static str, &'static [&'static str])> {
    let all: [(&str, &[&str]); 4] = [
        ("/bin/bash", &["-c"]),
        ("/bin/dash", &["-c"]),
        ("/bin/busybox", &["sh", "-c"]),
        ("/bin/zsh", &["-c"]),
    ];
    let found: Vec<_> = all.into_iter().filter(|(shell, _)| Path::new(shell).exists()).collect();
    assert!(found.len() >= 2, "the tests need bash and dash");
    found
}

/// A folder with a program that prints its words to both streams, copies its input, and writes to descriptor 3.
struct Bench {
    folder: PathBuf,
}

const PROGRAM: &str = r#"#!/bin/sh
{ printf 'o'; printf '<%s>' "$@"; cat; }
{ printf 'e'; printf '<%s>' "$@"; } >&2
{ printf 't' >&3; } 2>/dev/null
exit 0
"#;

impl Bench {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("portcullis-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let program = folder.join("dump");
        std::fs::write(&program, PROGRAM).unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }

    /// What a shell leaves: both streams, and every file but the program. `input` is there before.
    fn leaves(&self, (shell, arguments): (&str, &[&str]), line: &str) -> BTreeMap<String, Vec<u8>> {
        for entry in std::fs::read_dir(&self.folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != "dump" {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
        std::fs::write(self.folder.join("input"), "in").unwrap();
        std::fs::write(self.folder.join("old"), "old").unwrap();
        let ran = Command::new(shell)
            .args(arguments)
            .arg(line)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .current_dir("/")
            .output()
            .unwrap();
        let mut left = BTreeMap::from([("1".to_owned(), ran.stdout), ("2".to_owned(), ran.stderr)]);
        for entry in std::fs::read_dir(&self.folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name != "dump" {
                left.insert(name, std::fs::read(entry.path()).unwrap());
            }
        }
        left
    }

    /// Whatever the shell, the same words arrive and the same files hold the same; nothing but authorised files changes.
    fn check(&self, written: &str) -> BTreeMap<String, Vec<u8>> {
        let line = written.replace('@', &self.path(""));
        let parsed = parse(&line).unwrap_or_else(|refused| panic!("{line}: {refused}"));
        let sent = canonical(&parsed);
        let mut expected: Option<BTreeMap<String, Vec<u8>>> = None;
        for shell in shells() {
            let left = self.leaves(shell, &sent);
            assert_eq!(
                self.leaves(shell, &line),
                left,
                "{} reads {line:?} and {sent:?} differently",
                shell.0
            );
            match &expected {
                Some(expected) => assert_eq!(&left, expected, "{} and others differ about {sent:?}", shell.0),
                None => expected = Some(left),
            }
        }
        let left = expected.unwrap();
        let mut authorised: Vec<String> = vec!["1".into(), "2".into()];
        for part in parsed.parts() {
            if let SubAction::File { access: model::FileAccess::Write, path } = part {
                authorised.push(path.as_str().rsplit('/').next().unwrap().to_owned());
            }
        }
        for (name, content) in &left {
            let kept: &[u8] = if name == "input" { b"in" } else { b"old" };
            assert!(authorised.contains(name) || content == kept, "{sent:?} changed {name}");
        }
        left
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn shells_open_the_files_that_were_authorised() {
    let bench = Bench::new("redirections");
    for (line, left) in [
        ("@dump a 'b c'", &[("1", "o<a><b c>"), ("2", "e<a><b c>")][..]),
        ("@dump a >@x", &[("1", ""), ("2", "e<a>"), ("x", "o<a>")]),
        ("@dump a 2>@x", &[("1", "o<a>"), ("2", ""), ("x", "e<a>")]),
        ("@dump a >>@old", &[("old", "oldo<a>")]),
        ("@dump a >@old", &[("old", "o<a>")]),
        ("@dump a >|@old", &[("old", "o<a>")]),
        ("@dump a <@input", &[("1", "o<a>in")]),
        ("@dump a >@x 2>&1", &[("1", ""), ("2", ""), ("x", "o<a>e<a>")]),
        ("@dump a 2>&1 >@x", &[("1", "e<a>"), ("2", ""), ("x", "o<a>")]),
        ("@dump a >&2", &[("1", ""), ("2", "o<a>e<a>")]),
        ("@dump a 2>&1", &[("1", "o<a>e<a>"), ("2", "")]),
        ("@dump a 3>&1 1>&2 2>&3", &[("1", "e<a>t"), ("2", "o<a>")]),
        ("@dump a 3>@x", &[("x", "t")]),
        ("@dump a 3>@x 2>&3", &[("x", "e<a>t"), ("2", "")]),
        ("@dump >@x a <@input b 2>/dev/null", &[("x", "o<a><b>in"), ("2", ""), ("1", "")]),
        ("@dump a <@input | @dump b 2>@x", &[("1", "o<b>o<a>in"), ("2", "e<a>"), ("x", "e<b>")]),
        ("@dump a 2>&1 | @dump b >@x", &[("1", ""), ("2", "e<b>"), ("x", "o<b>o<a>e<a>")]),
        (
            "@dump a 2>/dev/null && @dump b >@x; @dump c 2>@y",
            &[("1", "o<a>o<c>"), ("x", "o<b>"), ("y", "e<c>")],
        ),
        ("@dump a >'@a b'\\''$(id)*'", &[("a b'$(id)*", "o<a>")]),
        ("@dump '2'>@x", &[("x", "o<2>"), ("2", "e<2>")]),
        ("@dump 2 >@x", &[("x", "o<2>"), ("2", "e<2>")]),
        ("@dump a2>@x", &[("x", "o<a2>")]),
        ("@dump '>@x' '2>&1'", &[]),
    ] {
        let found = bench.check(line);
        for (name, content) in left {
            let found = found.get(*name).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            assert_eq!(found.as_deref(), Some(*content), "{line}: {name}");
        }
    }
}

#[test]
fn shells_agree_about_any_redirections() {
    let bench = Bench::new("any-redirections");
    let understood = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(Config { cases: 160, failure_persistence: None, ..Config::default() });
    // What is read is there: each shell has its own words for a file that is not.
    let one = "[0-9]?(>|>>|>[|]|2>|2>>) ?(@x|@y|'@z z'|@old|/dev/null)|[0-9]?< ?(@input|/dev/null)|\
               [1-3]?>&[1-3]|'?[a2]'?|\\\\[2a]";
    let command = prop::collection::vec(one, 1..5).prop_map(|items| format!("@dump {}", items.join(" ")));
    let lines = prop::collection::vec(command, 1..3).prop_map(|commands| commands.join("; "));
    runner
        .run(&lines, |line| {
            if parse(&line.replace('@', &bench.path(""))).is_ok() {
                bench.check(&line);
                understood.set(understood.get() + 1);
            }
            Ok(())
        })
        .unwrap();
    assert!(understood.get() >= 20, "only {} of the lines were understood", understood.get());
}
