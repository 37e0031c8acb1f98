use model::SimpleCommand;
use proptest::prelude::*;

use super::super::{CommandPattern, WordPattern};
use crate::command::Reading;

fn pattern(text: &str) -> CommandPattern {
    CommandPattern::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn wider_patterns_hold_narrower_ones() {
    for (narrow, wide) in [
        ("uptime", "uptime"),
        ("uptime", "**"),
        ("df -h", "**"),
        ("df -h", "df -*"),
        ("df -h", "df -h **"),
        ("systemctl status nginx", "systemctl status *"),
        ("systemctl status nginx", "systemctl status n*x"),
        ("systemctl status nginx", "systemctl status <unit>"),
        ("systemctl status n*", "systemctl status *"),
        ("systemctl status ng*x", "systemctl status n*x"),
        ("systemctl status n*", "systemctl **"),
        ("systemctl status * *", "systemctl status **"),
        ("systemctl status **", "systemctl **"),
        ("a ** b ** c", "a ** c"),
        ("a * ** c", "a ** c"),
        ("tail -n <int> x", "tail -n <word> x"),
        ("tail -n <int> x", "tail -n <unit> x"),
        ("tail -n 5 x", "tail -n <int> x"),
        ("x <unit>", "x <word>"),
        ("x <word>", "x *"),
        ("x <path:/a/b>", "x <path:/a>"),
        ("x <path:/a/b>", "x <path:/>"),
        ("x <path:/a>", "x *"),
        ("x /a/b", "x <path:/a>"),
        ("x /a/b/*.log", "x <path:/a>"),
        ("x /a/*/y*", "x /a/*/*"),
        ("ls -l*", "ls -*"),
    ] {
        assert!(pattern(narrow).is_within(&pattern(wide)), "{narrow} is within {wide}");
    }
}

#[test]
fn patterns_that_a_line_tells_apart_are_not_within_each_other() {
    for (narrow, wide) in [
        ("**", "** **"),
        ("uptime -p", "uptime"),
        ("uptime", "uptime -p"),
        ("df -h", "df *"),
        ("df -h", "df **"),
        ("df -*", "df **"),
        ("df ''", "df *"),
        ("x *", "x <word>"),
        ("x <word>", "x <unit>"),
        ("x <unit>", "x <int>"),
        ("x <int>", "x 5"),
        ("x **", "x *"),
        ("x **", "x * **"),
        ("x ** y", "x y"),
        ("x a*", "x <word>"),
        ("x <path:/a>", "x <path:/a/b>"),
        ("x <path:/ab>", "x <path:/a>"),
        ("x /a/*", "x <path:/a>"),
        ("x /a/.*", "x <path:/a>"),
        ("x /a", "x <path:/a>"),
        ("x /*/b", "x <path:/a>"),
        ("x <path:/a>", "x /a/*"),
        ("x *a", "x a*"),
        ("x n*x", "x ng*x"),
        // What `-e` makes of the words around it is in the narrow one alone.
        ("grep -e * /var/log/x", "grep -* * /var/log/x"),
    ] {
        assert!(!pattern(narrow).is_within(&pattern(wide)), "{narrow} is not within {wide}");
    }
}

#[test]
fn a_program_by_name_holds_all_that_is_opaque_about_it() {
    for (narrow, wide, within) in [
        ("find", "find", true),
        ("find / -delete", "find", true),
        ("find **", "find", true),
        ("find", "**", true),
        ("find", "find **", false),
        ("find", "find *", false),
        ("bash -c *", "bash -c **", true),
        ("xargs", "find", false),
    ] {
        assert_eq!(pattern(narrow).is_within_opaque(&pattern(wide)), within, "{narrow}, {wide}");
    }
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(&["a", "ab", "b", "7", "-e", "-la", "''", "/a", "/a/b", "/a/b/c", "a.b", "a/b", "'*'"][..])
            .prop_map(str::to_owned),
        4 => prop::sample::select(&[
            "*", "**", "<int>", "<word>", "<unit>", "<path:/a>", "<path:/a/b>", "<path:/>", "a*", "*b", "-*", "/a/*", "/a/b*",
            "*.b", "a*b", "/a/*/c", "-l*", ".*", "*a*",
        ][..])
        .prop_map(str::to_owned),
    ]
}

/// A pattern, and what becomes of it when some of its words are others, left out, or `**` follows.
fn pair() -> impl Strategy<Value = (String, String)> {
    let program = || prop::sample::select(&["x", "x", "grep", "/a/b", "*", "**"][..]);
    let change = prop_oneof![
        4 => Just(None),
        4 => word().prop_map(Some),
        1 => Just(Some(String::new())),
    ];
    let words = prop::collection::vec((word(), change), 0..4);
    let others = (prop::option::weighted(0.2, program()), prop::option::weighted(0.3, Just("**")));
    (program(), words, others).prop_map(|(program, words, (other, more))| {
        let narrow: Vec<&str> = words.iter().map(|(word, _)| word.as_str()).collect();
        let wide = words.iter().map(|(word, change)| change.as_ref().unwrap_or(word).as_str());
        let wide: Vec<&str> = wide.chain(more).filter(|word| !word.is_empty()).collect();
        let line = |program: &str, words: &[&str]| [&[program], words].concat().join(" ");
        (line(program, &narrow), line(other.unwrap_or(program), &wide))
    })
}

/// Words that a word of a pattern may stand for, by a draw; some of them it does not.
fn instance(word: &WordPattern, draw: usize) -> Vec<String> {
    const ANY: [&str; 14] =
        ["a", "b", "ab", "7", "x.service", "-e", "-la", "/a/b", "/a/b/c", "/a/../b", "/a/.", "a/b", "é", "*"];
    let any = |at: usize| ANY.get(at % ANY.len()).copied().unwrap_or_default().to_owned();
    match word {
        WordPattern::Literal(text) => vec![text.clone()],
        WordPattern::Glob(star) => vec![star.segments().join(["", "a", "b", ".", "..", "-"][draw % 6])],
        WordPattern::Many => (0..draw % 3).map(|at| any(draw / 3 + at)).collect(),
        WordPattern::Int => vec![["7", "123456789012345678", "a"][draw % 3].to_owned()],
        WordPattern::Path(folder) => {
            vec![format!("{}/{}", folder.trim_end_matches('/'), ["a", "b/c", ".h", "..", "b"][draw % 5])]
        }
        WordPattern::One | WordPattern::Word | WordPattern::Unit => vec![any(draw)],
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8_000, ..ProptestConfig::default() })]

    /// Whoever takes the narrow pattern away for the wide one loses no command.
    #[test]
    fn what_the_narrow_pattern_matches_the_wide_one_matches_too(
        (narrow, wide) in pair(),
        draws in prop::collection::vec(prop::collection::vec(any::<usize>(), 8), 24),
    ) {
        let (narrow, wide) = (pattern(&narrow), pattern(&wide));
        let (as_command, as_opaque, as_wording) =
            (narrow.is_within(&wide), narrow.is_within_opaque(&wide), narrow.is_narrower_wording(&wide));
        for draw in draws.iter().filter(|_| as_command || as_opaque || as_wording) {
            let command = command(&narrow, draw);
            let reading = Reading::new(&command);
            for (claimed, by_narrow, by_wide) in [
                (as_command, narrow.matches(&command), wide.matches(&command)),
                (as_opaque, narrow.permits_opaque(&reading), wide.permits_opaque(&reading)),
                (as_wording, narrow.narrows(&reading), wide.narrows(&reading)),
            ] {
                prop_assert!(!claimed || !by_narrow || by_wide, "{} in {}: {:?}", narrow, wide, command.words);
            }
        }
    }
}

fn command(pattern: &CommandPattern, draws: &[usize]) -> SimpleCommand {
    let words = pattern.words().iter().zip(draws.iter().cycle());
    SimpleCommand::new(words.flat_map(|(word, draw)| instance(word, *draw)).collect())
}

/// The property would hold of lines that no pattern matches.
#[test]
fn lines_made_of_a_pattern_match_it_often() {
    let texts = ["x * <path:/a>", "x ** b", "x -* a*b", "x <word> <unit>", "x <int>"];
    let matching = texts.iter().map(|text| pattern(text)).map(|pattern| {
        (0..60).filter(|draw| pattern.matches(&command(&pattern, &[*draw, draw / 2, draw / 3]))).count()
    });
    let matching: Vec<usize> = matching.collect();
    assert!(matching.iter().all(|matching| *matching > 5), "{matching:?}");
}
