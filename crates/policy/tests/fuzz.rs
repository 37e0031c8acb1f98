//! Generated lines, judged by the shells of this machine.

use model::{CommandLine, Joint, Pipeline, SimpleCommand};
use policy::command::{canonical, parse};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

use crate::corpus::{arriving, in_every_shell, permitted, rules};
use crate::judge::{Run, SHELLS, judge};

/// Programs that only note their arguments.
const STUBS: [&str; 3] = ["p", "q", "tool-1.x"];

/// What hostile lines are made of: what the rules permit, what they do not, and what might join them.
const PIECES: &[&str] = &[
    "uptime",
    "echo",
    "echo ",
    "grep",
    "-i",
    "error",
    "/var/log/app.log",
    "cat",
    "/srv/app/VERSION",
    "/srv/app/",
    "..",
    "/../",
    "head",
    "-n",
    "5",
    "sort",
    "-r",
    "date",
    "ls",
    "touch",
    "/srv/made",
    "made",
    "/srv/vault/canary",
    "canary",
    "tee",
    "-o",
    "sh",
    "-c",
    "env",
    "'touch /srv/made'",
    "\"cat /srv/vault/canary\"",
    "'; touch /srv/made; '",
    ";",
    "; ",
    " ; ",
    "&&",
    "||",
    "|",
    "&",
    "|&",
    ";;",
    "$(",
    "${",
    "`",
    ")",
    "(",
    "{",
    "}",
    "[",
    "]",
    ">",
    ">>",
    "<",
    "<<",
    "<<<",
    "2>",
    "&>",
    ">|",
    "'",
    "\"",
    "\\",
    "\\\\",
    "\\\"",
    "\\'",
    "\n",
    "\r",
    "\t",
    " ",
    " ",
    " ",
    "  ",
    "#",
    "!",
    "~",
    "*",
    "?",
    "=",
    "=touch",
    "PATH=/tmp",
    "$IFS",
    "$0",
    "$'",
    "^",
    "%",
    "@",
    ":",
    ",",
    "-",
    "--",
    "é",
    "'é'",
    "\u{200b}",
    "\u{a0}",
    "\u{ff1b}",
    "\u{2019}",
    "\u{1b}",
    "if",
    "then",
    "fi",
    "while",
    "do",
    "done",
    "eval",
    "exec",
    "trap",
    "alias",
];

fn generated<S: Strategy>(strategy: &S, wanted: usize) -> Vec<S::Value> {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    (0..wanted).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// Mostly begins as something that is permitted, so that not all ends at the first word.
fn hostile() -> impl Strategy<Value = String> {
    let begin = prop::sample::select(
        &[
            "",
            "echo ",
            "echo ",
            "echo '",
            "grep ",
            "cat /srv/app/",
            "uptime",
            "uptime ",
            "date +",
            "printf %s ",
        ][..],
    );
    (begin, prop::collection::vec(prop::sample::select(PIECES), 1..8))
        .prop_map(|(begin, pieces)| format!("{begin}{}", pieces.concat()))
}

#[test]
fn generated_hostile_lines_that_are_permitted_neither_act_nor_read() {
    let policy = rules();
    let lines = generated(&hostile(), 4000);
    let mut texts: Vec<String> =
        lines.iter().filter_map(|line| permitted(&policy, line)).map(|line| canonical(&line)).collect();
    texts.sort();
    texts.dedup();
    assert!(texts.len() >= 20, "only {} of {} are permitted, which shows little", texts.len(), lines.len());
    texts.truncate(100);
    let runs = in_every_shell(texts.iter().map(String::as_str));
    for (run, seen) in runs.iter().zip(judge(&runs, &[], 10, false)) {
        assert!(!seen.acted(), "{} ran `{}`: {seen:?}", run.shell, run.line);
    }
}

fn command() -> impl Strategy<Value = SimpleCommand> {
    let word = "[ -~]{0,10}|[!-/:-@\\[-`{-~]{1,6}|-[a-z]|[a-zéÀß日本語한 '\"$`\\\\]{0,8}";
    (prop::sample::select(&STUBS[..]), prop::collection::vec(word, 0..6)).prop_map(|(program, arguments)| {
        SimpleCommand::new(std::iter::once(program.to_owned()).chain(arguments).collect())
    })
}

fn line() -> impl Strategy<Value = CommandLine> {
    let pipeline = || prop::collection::vec(command(), 1..4).prop_map(|commands| Pipeline { commands });
    let joint = prop_oneof![Just(Joint::And), Just(Joint::Or), Just(Joint::Then)];
    (pipeline(), prop::collection::vec((joint, pipeline()), 0..3))
        .prop_map(|(first, rest)| CommandLine { first, rest })
}

fn stubs() -> Vec<String> {
    STUBS.map(str::to_owned).to_vec()
}

#[test]
fn whatever_words_are_authorised_arrive_in_every_shell_and_nothing_else() {
    let lines = generated(&line(), 100);
    let texts: Vec<String> = lines.iter().map(canonical).collect();
    let runs = in_every_shell(texts.iter().map(String::as_str));
    for (number, (run, seen)) in runs.iter().zip(judge(&runs, &stubs(), 10, false)).enumerate() {
        let line = &lines[number / SHELLS.len()];
        assert_eq!(seen.arrived, arriving(line), "{} ran `{}`", run.shell, run.line);
        assert!(seen.printed.is_empty(), "{} ran `{}`: {seen:?}", run.shell, run.line);
    }
}

/// Text that nobody wrote with care: where we understand it, shells read it the same way.
#[test]
fn text_that_is_understood_is_read_alike_by_every_shell() {
    let text = "(p|q) [pq ab'\"\\\\|&;=#^~!$*<>(){}.,:%+-]{0,16}|(p|q) ('[^'\\n]{0,6}'|\"[a-z ]{0,5}\"|[a-z]{1,3}|\\\\[!-~]| | [;|] [pq] | && q | \\|\\| p ){1,8}";
    let understood: Vec<(String, CommandLine)> = generated(&text, 3000)
        .into_iter()
        .filter_map(|text| parse(&text).ok().map(|line| (text, line)))
        .filter(|(_, line)| line.commands().all(|command| STUBS.contains(&command.words[0].as_str())))
        // zsh has a meaning of its own for `=x`; it gets our quoting of it, which the test above is about.
        .filter(|(_, line)| !line.commands().flat_map(|c| &c.words).any(|word| word.starts_with('=')))
        .take(100)
        .collect();
    assert!(understood.len() >= 60, "{} are understood, which shows little", understood.len());
    let runs: Vec<Run> = in_every_shell(understood.iter().map(|(text, _)| text.as_str()));
    for (number, (run, seen)) in runs.iter().zip(judge(&runs, &stubs(), 10, false)).enumerate() {
        let line = &understood[number / SHELLS.len()].1;
        assert_eq!(seen.arrived, arriving(line), "{} reads `{}` otherwise: {seen:?}", run.shell, run.line);
    }
}
