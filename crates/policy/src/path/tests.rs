use model::LexicalPath;
use proptest::prelude::*;

use super::PathPattern;

fn pattern(text: &str) -> PathPattern {
    PathPattern::parse(text).unwrap_or_else(|(message, _)| panic!("{text}: {message}"))
}

fn path(text: &str) -> LexicalPath {
    LexicalPath::parse(text).unwrap()
}

#[test]
fn a_pattern_takes_the_paths_it_says() {
    for (text, yes, no) in [
        (
            "/var/log/app.log",
            &["/var/log/app.log"][..],
            &["/var/log/app.log.1", "/var/log", "/var/log/app.log/x"][..],
        ),
        (
            "/var/log/*.log",
            &["/var/log/a.log", "/var/log/x-1.log"],
            &["/var/log/.log", "/var/log/a/b.log", "/var/log/a"],
        ),
        ("/var/log/*", &["/var/log/a"], &["/var/log/.a", "/var/log", "/var/log/a/b", "/var/logs"]),
        ("/var/log/.*", &["/var/log/.a"], &["/var/log/a"]),
        (
            "/var/log/**",
            &["/var/log/a", "/var/log/a/b"],
            &["/var/log", "/var/logs/a", "/var/log/.a", "/var/log/a/.b/c"],
        ),
        ("/srv/**/x", &["/srv/x", "/srv/a/x", "/srv/a/b/x"], &["/srv/a/y", "/srv/.a/x", "/x"]),
        ("/srv/**/.x", &["/srv/.x", "/srv/a/.x"], &["/srv/.a/.x"]),
        ("/srv/*/out/**", &["/srv/a/out/b"], &["/srv/out/b", "/srv/a/b/out/c", "/srv/a/out"]),
        ("<path:/var/log>", &["/var/log/a/b"], &["/var/log", "/var/logs/a"]),
        ("<path:/>", &["/a", "/a/b"], &["/.a"]),
        ("**", &["/a", "/.a/.b"], &[]),
        ("/**", &["/a/b"], &["/a/.b"]),
    ] {
        let pattern = pattern(text);
        for given in yes {
            assert!(pattern.matches(&path(given)), "{text} {given}");
            assert!(pattern.matches_widely(&path(given)), "{text} {given}, widely");
        }
        for given in no {
            assert!(!pattern.matches(&path(given)), "{text} {given}");
        }
    }
}

#[test]
fn what_narrows_means_the_file_under_its_other_names() {
    for (text, given) in [
        ("/etc/passwd", "/ETC/Passwd"),
        ("/etc", "/etc/cron.d/x"),
        ("/etc/**", "/private/etc/sudoers"),
        ("/private/etc/**", "/etc/sudoers"),
        ("/home/*/.bashrc", "/var/home/ops/.bashrc"),
        ("/home/**", "/home/ops/.ssh/authorized_keys"),
        ("/usr/bin/**", "/bin/ls"),
        ("/bin/ls", "/usr/bin/ls"),
        ("/sbin/**", "/usr/bin/ls"),
        ("/usr/lib", "/lib/systemd/system/x.service"),
        ("/run/**", "/var/run/x.pid"),
        ("/*/x", "/.hidden/x"),
        ("/bin", "/usr/bin/ls"),
    ] {
        assert!(pattern(text).matches_widely(&path(given)), "{text} {given}");
    }
    for (text, given) in [
        ("/etc/**", "/srv/etc/x"),
        ("/etc/passwd", "/etc/passwd2"),
        ("/var/log/*", "/var/lib/x"),
        ("/bin", "/binary/x"),
    ] {
        assert!(!pattern(text).matches_widely(&path(given)), "{text} {given}");
    }
}

#[test]
fn what_is_no_path_pattern_is_refused() {
    for (text, part) in [
        ("", "absolute"),
        ("*", "absolute"),
        ("/", "absolute"),
        ("var/log", "absolute"),
        ("~/x", "`~`"),
        ("/a/../b", "absolute"),
        ("/a//b", "absolute"),
        ("/a/", "absolute"),
        ("/a/b**", "alone"),
        ("/a?", "`?`"),
        ("/a/[b]", "`[`"),
        ("/$HOME/x", "`$`"),
        ("/a\n", "`\\n`"),
        ("<path:var>", "absolute"),
        ("<path:/a", "`<`"),
    ] {
        let (message, hint) = PathPattern::parse(text).unwrap_err();
        assert!(message.contains(part) && hint.is_some(), "{text}: {message}");
    }
}

proptest! {
    /// What permits is never more than what narrows, and samples are what they stand for.
    #[test]
    fn what_is_taken_strictly_is_taken_widely(
        parts in prop::collection::vec(prop::sample::select(&["a", "b", "*", "**", "a*", ".*", "bin", "usr", "var", "run"][..]), 1..5),
        names in prop::collection::vec(prop::sample::select(&["a", "b", ".a", "ab", "A", "bin", "usr", "var", "run"][..]), 1..6),
    ) {
        let pattern = pattern(&format!("/{}", parts.join("/")));
        let path = path(&format!("/{}", names.join("/")));
        if pattern.matches(&path) {
            prop_assert!(pattern.matches_widely(&path));
        }
        let sample = pattern.sample().unwrap();
        prop_assert!(pattern.matches(&sample), "{} {}", pattern, sample);
    }
}

#[test]
fn wider_patterns_hold_narrower_ones() {
    for (narrow, wide, within) in [
        ("/srv/a", "/srv/a", true),
        ("/srv/a", "**", true),
        ("/srv/.a", "**", true),
        ("/srv/a", "/srv/*", true),
        ("/srv/a/b", "/srv/**", true),
        ("/srv/a/**", "/srv/**", true),
        ("/srv/**/a", "/srv/**", true),
        ("/srv/*.log", "/srv/*", true),
        ("/srv/a*.log", "/srv/*.log", true),
        ("/srv/.a*", "/srv/.*", true),
        ("<path:/srv/a>", "<path:/srv>", true),
        ("/srv/a/**/b/*", "/srv/**/b/**", true),
        ("**", "/**", false),
        ("/srv/.a", "/srv/*", false),
        ("/srv/.a/**", "/srv/**", false),
        ("/srv/.*", "/srv/*", false),
        ("/srv/**", "/srv/*", false),
        ("/srv/**", "/srv/a/**", false),
        ("/srv/a", "/srv/a/**", false),
        ("/srv/**/b", "/srv/*/b", false),
        ("/srv/*/b", "/srv/a/b", false),
    ] {
        assert_eq!(pattern(narrow).is_within(&pattern(wide)), within, "{narrow} in {wide}");
    }
}

fn part() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["a", "b", ".h", "*", "**", "a*", ".*", "*b"][..])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8_000, ..ProptestConfig::default() })]

    #[test]
    fn what_the_narrow_pattern_takes_the_wide_one_takes_too(
        parts in prop::collection::vec((part(), prop::option::weighted(0.4, part())), 1..5),
        names in prop::collection::vec(prop::collection::vec(prop::sample::select(&["a", "b", "ab", ".h", ".a", "x"][..]), 1..6), 24),
    ) {
        let written = |names: Vec<&str>| pattern(&names.iter().map(|name| format!("/{name}")).collect::<String>());
        let narrow = written(parts.iter().map(|(part, _)| *part).collect());
        let wide = written(parts.iter().map(|(part, other)| other.unwrap_or(part)).collect());
        for names in names.iter().filter(|_| narrow.is_within(&wide)) {
            let path = path(&format!("/{}", names.join("/")));
            prop_assert!(!narrow.matches(&path) || wide.matches(&path), "{} in {}: {}", narrow, wide, path);
        }
    }
}
