use model::SimpleCommand;
use proptest::prelude::*;

use crate::command::{CommandPattern, parse};

fn pattern(text: &str) -> CommandPattern {
    CommandPattern::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn widely(text: &str, line: &str) -> bool {
    pattern(text).matches_widely(parse(line).unwrap().commands().next().unwrap())
}

#[test]
fn other_wordings_of_an_act_do_not_escape() {
    for (text, lines) in [
        ("rm **", &["rm", "rm -rf /srv", "/bin/rm -rf /srv", "rm -- -x", "RM x"][..]),
        (
            "rm -rf **",
            &["rm -rf /x", "rm -fr /x", "rm -r -f /x", "rm /x -rf", "rm --recursive --force /x", "rm -Rf /x"],
        ),
        (
            "systemctl restart **",
            &[
                "systemctl restart nginx --no-block",
                "systemctl --no-block restart nginx",
                "systemctl -t service restart nginx",
                "systemctl -- restart nginx",
                "systemctl restart",
            ],
        ),
        (
            "systemctl stop *",
            &["systemctl stop nginx --no-block", "systemctl stop nginx cron", "systemctl stop -- x"],
        ),
        (
            "systemctl restart nginx",
            &[
                "systemctl restart cron nginx",
                "systemctl restart nginx.service",
                "systemctl restart 'ngin*'",
                "systemctl restart nginx --no-block",
            ],
        ),
        ("reboot", &["reboot --force", "/sbin/reboot -f now", "reboot"]),
        (
            "cat /etc/shadow",
            &["cat x /etc/shadow", "cat /etc//shadow", "cat /etc/../etc/shadow", "cat shadow"],
        ),
        (
            "cat <path:/etc/app>",
            &[
                "cat /etc/app/key",
                "cat /tmp/x /etc/app/key",
                "cat /etc//app/key",
                "cat /etc/x/../app/key",
                "cat key",
            ],
        ),
        (
            "rm -r <path:/srv/data>",
            &["rm -r /srv", "rm -r /srv/data", "rm -rf /srv/data/x", "rm /srv/data/x -r"],
        ),
        ("tail -n <int> /var/log/x", &["tail -n5 /var/log/x", "tail /var/log/x -n 5"]),
        ("kill -9 <int>", &["kill -9 5", "kill -s 9 5", "kill --signal=9 5"]),
        (
            "curl -X DELETE **",
            &["curl -XDELETE http://x", "curl http://x -X DELETE", "curl -sX DELETE http://x"],
        ),
        (
            "ip link set **",
            &["ip link set eth0 down", "ip l s eth0 down", "ip -4 link set x", "/sbin/ip li se x"],
        ),
        ("iptables **", &["iptables-nft -F", "iptables-legacy -F", "/usr/sbin/iptables -F"]),
        ("mysqld-8 **", &["mysqld-8.0 --x"]),
        (
            "apt remove nginx",
            &[
                "apt remove x nginx",
                "apt -y remove nginx:amd64",
                "apt remove 'ngin*'",
                "apt-get remove nginx",
            ],
        ),
        ("/opt/x/*", &["/opt/x/run -y z"]),
        ("** x", &["a b x y"]),
    ] {
        for line in lines {
            assert!(widely(text, line), "`{text}` `{line}`");
        }
    }
}

#[test]
fn other_acts_are_not_meant() {
    for (text, lines) in [
        ("rm **", &["rmdir x", "ls rm", "backup.rm x"][..]),
        ("rm -rf **", &["rm x", "rm -r x"]),
        ("systemctl stop *", &["systemctl status nginx", "systemctl stop", "/opt/stop x"]),
        ("systemctl restart nginx", &["systemctl restart cron", "systemctl status nginx"]),
        ("reboot", &["uptime", "systemctl reboot"]),
        ("cat <path:/etc/app>", &["cat /var/log/x", "cat /etc/hostname", "cat /etc/application/x"]),
        ("rm -r <path:/srv/data>", &["rm -r /tmp/x", "rm /srv/data/x"]),
        ("tail -n <int> <path:/var/log>", &["tail -n 5 /tmp/x"]),
        ("curl -X DELETE **", &["curl -X GET http://x"]),
        ("ip link set **", &["ip link show eth0", "ip addr"]),
        ("kill -9 <int>", &["kill -15 1239"]),
    ] {
        for line in lines {
            assert!(!widely(text, line), "`{text}` `{line}`");
        }
    }
}

/// Work grows with the words of line and pattern, not with the ways to divide one among the other.
#[test]
fn no_pattern_makes_it_slow() {
    let words = |word: &str, count| vec![word.to_owned(); count];
    let command = SimpleCommand::new([words("a", 1), words("-b", 500), words("a", 500)].concat());
    for text in [format!("a{} z", " ** *".repeat(31)), format!("a{} z", " -b a".repeat(31))] {
        let pattern = pattern(&text);
        for _ in 0..200 {
            assert!(!pattern.matches_widely(&command));
        }
    }
}

const PATTERNS: &[&str] = &[
    "a",
    "a *",
    "a **",
    "a b",
    "a b *",
    "a * b",
    "a ** b",
    "a -b",
    "a -b *",
    "a -b c",
    "a --bc=d *",
    "a -- *",
    "a -*",
    "a <int>",
    "a <word>",
    "a <unit> b",
    "a <path:/b>",
    "a -n <path:/b>",
    "a b*",
    "a -b* c*d",
    "* b",
    "** b",
    "a*",
    "/b/* c",
    "<path:/b> *",
    "a -",
    "a /b/c",
    "ip b",
    "systemctl b c",
];

fn word() -> impl Strategy<Value = String> {
    prop::sample::select(
        &[
            "a",
            "b",
            "c",
            "d",
            "-",
            "--",
            "-b",
            "-bc",
            "-n",
            "-n1",
            "--bc",
            "--bc=d",
            "/b",
            "/b/c",
            "/b/c/d",
            "/a",
            "1",
            "12",
            "bb",
            "cd",
            "b.service",
            "x*",
            "",
            ".",
            "..",
            "cxd",
            "-bx",
        ][..],
    )
    .prop_map(str::to_owned)
}

fn command() -> impl Strategy<Value = SimpleCommand> {
    let program =
        prop::sample::select(&["a", "b", "/b/c", "ab", "ip", "systemctl"][..]).prop_map(str::to_owned);
    (program, prop::collection::vec(word(), 0..6))
        .prop_map(|(program, rest)| SimpleCommand::new(std::iter::once(program).chain(rest).collect()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_matched_strictly_is_matched_widely(text in prop::sample::select(PATTERNS), command in command()) {
        let pattern = pattern(text);
        prop_assert!(!pattern.matches(&command) || pattern.matches_widely(&command), "{text} {command:?}");
    }

    /// Words are put in at any place after the program, of any kind, the options among them with a value or not.
    #[test]
    fn no_further_word_escapes(
        text in prop::sample::select(PATTERNS),
        command in command(),
        more in prop::collection::vec((any::<prop::sample::Index>(), word()), 1..4),
    ) {
        let pattern = pattern(text);
        let mut longer = command.clone();
        for (at, word) in more {
            let at = 1 + at.index(longer.words.len());
            longer.words.insert(at, word);
        }
        prop_assert!(!pattern.matches_widely(&command) || pattern.matches_widely(&longer), "{text} {command:?} {longer:?}");
    }
}
