use proptest::prelude::*;

use super::{CommandPattern, Star};
use crate::command::parse;

fn matches(pattern: &str, line: &str) -> bool {
    let pattern = CommandPattern::parse(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
    pattern.matches(parse(line).unwrap_or_else(|e| panic!("{line}: {e}")).commands().next().unwrap())
}

#[test]
fn patterns_match_what_they_say() {
    for (pattern, line) in [
        ("uptime", "uptime"),
        ("**", "anything --at all -x"),
        ("**", "uptime"),
        ("df -h", "df -h"),
        ("systemctl status *", "systemctl status nginx"),
        ("systemctl status *", "systemctl status a/b"),
        ("systemctl status **", "systemctl status"),
        ("systemctl status **", "systemctl status a b c"),
        ("systemctl ** nginx", "systemctl a b nginx"),
        ("a ** b ** c", "a b b c c"),
        ("cat /var/log/*.log", "cat /var/log/x.log"),
        ("cat /var/*/x", "cat /var/log/x"),
        ("cat a*b*c", "cat abc"),
        ("cat a*b*c", "cat axxbyybzzc"),
        ("tail -n <int> x", "tail -n 100 x"),
        ("x <word>", "x a.b:c@d%e+f=g,h-i"),
        ("x <unit>", "x getty@tty1.service"),
        ("tail <path:/var/log>", "tail /var/log/a/b"),
        ("tail <path:/var/log/>", "tail /var/log/a"),
        ("tail <path:/>", "tail /a"),
        ("ls -*", "ls -la"),
        ("ls -*", "ls --all"),
        ("ls --color=*", "ls --color=auto"),
        ("x 'a b'", "x 'a b'"),
        ("x '*'", "x '*'"),
        ("x ''", "x ''"),
        ("x a'*'b", "x 'a*b'"),
        ("/opt/app/bin/*", "/opt/app/bin/tool"),
        ("x a=b", "x a=b"),
        ("x   y", "x y"),
    ] {
        assert!(matches(pattern, line), "{pattern} should match {line}");
    }
    for (pattern, line) in [
        ("uptime", "uptime -p"),
        ("uptime", "/tmp/uptime"),
        ("uptime", "uptimes"),
        ("df -h", "df"),
        ("df -h", "df -h /"),
        ("df -h", "df -H"),
        ("systemctl status *", "systemctl status"),
        ("systemctl status *", "systemctl status a b"),
        ("systemctl status *", "systemctl status --help"),
        ("systemctl status *", "systemctl status -H"),
        ("systemctl status *", "systemctl status -"),
        ("systemctl status *", "systemctl status ''"),
        ("systemctl status **", "systemctl status -H evil"),
        ("systemctl status **", "systemctl status a --root=/x"),
        ("systemctl status **", "systemctl status a --"),
        ("systemctl status **", "systemctl status ''"),
        ("systemctl status **", "systemctl --now status"),
        ("cat /var/log/*", "cat /var/log/a/b"),
        ("cat /var/log/*", "cat /var/log/../shadow"),
        ("cat *.log", "cat -x.log"),
        ("cat *.log", "cat /x.log"),
        ("cat /var/*/x", "cat /var/a/b/x"),
        ("cat a*b*c", "cat acb"),
        ("tail -n <int> x", "tail -n -1 x"),
        ("tail -n <int> x", "tail -n +1 x"),
        ("tail -n <int> x", "tail -n 1k x"),
        ("tail -n <int> x", "tail -n '' x"),
        ("tail -n <int> x", "tail -n 0x1 x"),
        ("tail -n <int> x", "tail -n 1234567890123456789 x"),
        ("x <word>", "x -a"),
        ("x <word>", "x a/b"),
        ("x <word>", "x 'a b'"),
        ("x <word>", "x ''"),
        ("x <unit>", "x '*'"),
        ("x <unit>", "x -a"),
        ("x <unit>", "x ../a"),
        ("tail <path:/var/log>", "tail /var/log"),
        ("tail <path:/var/log>", "tail /var/log/"),
        ("tail <path:/var/log>", "tail /var/logs/a"),
        ("tail <path:/var/log>", "tail /var/log/../shadow"),
        ("tail <path:/var/log>", "tail /var/log/./a"),
        ("tail <path:/var/log>", "tail /var/log//a"),
        ("tail <path:/var/log>", "tail //var/log/a"),
        ("tail <path:/var/log>", "tail /var/log/a/.."),
        ("tail <path:/var/log>", "tail var/log/a"),
        ("tail <path:/var/log>", "tail ./var/log/a"),
        ("tail <path:/>", "tail a"),
        ("tail <path:/>", "tail /"),
        ("ls -*", "ls x"),
        ("ls -*", "ls -l/x"),
        ("ls --color=*", "ls --color"),
        ("x '*'", "x a"),
        ("x '**'", "x a b"),
        ("x '<int>'", "x 1"),
    ] {
        assert!(!matches(pattern, line), "{pattern} must not match {line}");
    }
}

#[test]
fn what_narrows_sees_through_paths() {
    let widely = |pattern: &str, line: &str| {
        CommandPattern::parse(pattern)
            .unwrap()
            .matches_widely(parse(line).unwrap().commands().next().unwrap())
    };
    assert!(widely("reboot **", "/sbin/reboot now"));
    assert!(widely("/sbin/reboot", "/usr/sbin/reboot"));
    assert!(widely("/sbin/reboot", "reboot"));
    assert!(widely("reboot", "reboot"));
    assert!(widely("reboot", "/sbin/REBOOT") && widely("Rscript *", "rscript x"));
    assert!(!widely("systemctl restart *", "systemctl RESTART x"));
    assert!(!widely("reboot", "/sbin/reboots"));
    assert!(!widely("reboot", "/reboot/x"));
}

#[test]
fn malformed_patterns_say_where() {
    for (pattern, message, at) in [
        ("", "empty", 0),
        ("  ", "empty", 0),
        ("tail <integer>", "unknown placeholder", 5),
        ("tail <path:var>", "no absolute path", 5),
        ("tail <path:/a/../b>", "no absolute path", 5),
        ("tail <path:/a//b>", "no absolute path", 5),
        ("tail <path:>", "no absolute path", 5),
        ("tail x<int>", "redirection", 6),
        ("tail <int>x", "redirection", 9),
        ("ps | grep x", "`|` in a pattern", 3),
        ("a && b", "`&` in a pattern", 2),
        ("a; b", "`;` in a pattern", 1),
        ("a > b", "redirection", 2),
        ("a $x", "`$` in a pattern", 2),
        ("a [ab]", "`[` in a pattern", 2),
        ("a ?", "`?` in a pattern", 2),
        ("a {b}", "`{` in a pattern", 2),
        ("a \"b\"", "`\"` in a pattern", 2),
        ("a \\*", "`\\` in a pattern", 2),
        ("a 'b", "never closed", 2),
        ("a ***", "stands for whole words", 2),
        ("a -**", "stands for whole words", 2),
        ("a b**", "stands for whole words", 2),
        ("a\tb", "control", 1),
    ] {
        let error = CommandPattern::parse(pattern).expect_err(pattern);
        assert!(error.message.contains(message), "{pattern}: {error}");
        assert_eq!(error.at, at, "{pattern}: {error}");
    }
    assert!(CommandPattern::parse(&"a ".repeat(65)).is_err());
}

/// The definition, too slow to use: every split of the text at every star.
fn star_by_definition(segments: &[String], text: &str) -> bool {
    match segments {
        [] => false,
        [only] => only == text,
        [first, rest @ ..] => text.strip_prefix(first.as_str()).is_some_and(|after| {
            (0..=after.len())
                .filter(|at| after.is_char_boundary(*at))
                .take_while(|at| !after.get(..*at).unwrap().contains('/'))
                .any(|at| star_by_definition(rest, after.get(at..).unwrap()))
        }),
    }
}

proptest! {
    #[test]
    fn stars_match_by_definition(pattern in "[ab/*]{0,8}", text in "[ab/]{0,10}") {
        let star = Star::parse(&pattern);
        prop_assert_eq!(star.matches(&text, '/'), star_by_definition(star.segments(), &text));
    }

    #[test]
    fn wildcards_never_stand_for_options(words in prop::collection::vec("[a-z-]{0,4}", 1..5), pattern in "x( \\*| \\*\\*| [a-z*]{1,3}){0,4}") {
        let Ok(pattern) = CommandPattern::parse(&pattern) else { return Ok(()) };
        let mut all = vec!["x".to_owned()];
        all.extend(words);
        let command = model::SimpleCommand::new(all);
        if pattern.matches(&command) {
            prop_assert!(command.words.iter().all(|word| !word.starts_with('-') && !word.is_empty()));
        }
    }
}
