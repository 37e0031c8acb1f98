//! The words that were authorised are the words that a program on the host gets, whatever shell the account has. What a
//! caller can write is less than what is sent here: a tool may have to pass on any text.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use testkit::{Shell, Sshd};
use tokio::runtime::Runtime;

use crate::rig::{Call, Rig};

const SHELLS: [Shell; 4] = [Shell::Bash, Shell::Dash, Shell::BusyboxAsh, Shell::Zsh];

/// How many generated calls each shell gets.
const CASES: u32 = 100;

const NASTY: &[&[&str]] = &[
    &[],
    &[""],
    &["", "", " ", "  a  b  "],
    &["one\ntwo", "\n", "\n\n", "ends\n", "\r\n", "\t", "\u{b}\u{c}"],
    &["$(count-act sub)", "`count-act tick`", "${HOME}", "$HOME", "$$", "$0", "$'\\n'", "$((1+1))", "$\"x\""],
    &["'", "''", "'''", "\"", "\"\"", "it's \"so\"", "'\"'\"'", "\\'", "'\\''"],
    &["\\", "\\\\", "\\n", "a\\", "\\\n", "\\ "],
    &["!", "!!", "!1", "!$", "a!b", "! true"],
    &["~", "~root", "~/x", "a~", "x=~", "~+"],
    &["*", "?", "[a-z]", "/*", "/et[c]/*", "**", "a*b?c", "*(.)", "/(N)"],
    &["-", "--", "-n", "-e", "--help", "-c 'count-act dash'"],
    &["=ls", "=", "==", "a=b", "=count-act", "PATH=/nowhere"],
    &["{a,b}", "{1..3}", "{", "}", "{}", "x{,y}"],
    &["^", "^x", "a^b", "^a^b", "#", "#x", "a#b", "%", "%1", "%s%d", "@", "+x", ":", ","],
    &["; count-act semi", "&& count-act and", "| count-act pipe", "& count-act amp", "> noted", ">&2", "<("],
    &["(", ")", "()", "((", "[", "]", "[[", "]]", "if", "then", "function", "time", "coproc"],
    &[
        "é",
        "日本語",
        "ß \u{e9}",
        "ÿ",
        "\u{80}",
        "\u{81}\u{88}",
        "\u{85}",
        "\u{a0}",
        "\u{202e}x",
        "\u{1f980}",
        "\u{feff}",
    ],
    &["\u{1}", "\u{2}\u{3}\u{4}", "\u{7f}", "\u{1b}[31m", "\u{1}\u{7f}'", "\u{8}", "\u{1f}"],
];

struct Target {
    sshd: Sshd,
    rig: Rig,
    runtime: Runtime,
}

impl Target {
    fn with(shell: Shell) -> Self {
        let sshd = Sshd::options().shell(shell).start();
        let rig = Rig::of(&sshd);
        Self { sshd, rig, runtime: Runtime::new().unwrap() }
    }

    /// What arrives of a command with these words.
    fn passes_on(&self, words: &[String]) -> Vec<String> {
        let before = self.sshd.noted().len();
        let all = std::iter::once("note-words".to_owned()).chain(words.iter().cloned()).collect();
        let mut call = Call { words: Some(all), ..Call::new("", self.sshd.password()) };
        let outcome = self.runtime.block_on(self.rig.exec(&mut call)).unwrap();
        assert_eq!(outcome.exit, Some(model::Exit::Status(0)), "{words:?}: {outcome:?}");
        let said: Vec<_> = outcome.streams.iter().filter(|stream| stream.total > 0).collect();
        assert!(said.is_empty(), "{words:?}: {said:?}");
        let mut noted = self.sshd.noted().split_off(before);
        assert_eq!(noted.len(), 1, "one command, one call: {words:?}: {noted:?}");
        noted.remove(0)
    }
}

fn any_words() -> impl Strategy<Value = Vec<String>> {
    let word = prop_oneof![
        // Whatever can be an argument: there is none with a NUL.
        "[^\\x00]{0,12}",
        "[ -~]{0,16}",
        "[\\n\\t '\"\\\\$`!]{1,8}",
        "[-=~^#%!+]{1,2}[*?{},.()\\[\\]a-z]{0,6}",
        "[\\x01-\\x1f\\x7f-\\x9f']{1,8}",
        "(; |&& |\\| |& |\\n|\\$\\(|`)count-act x[)`]?",
    ];
    prop::collection::vec(word, 0..10)
}

#[test]
fn a_program_on_the_host_gets_exactly_the_words_that_were_authorised() {
    for shell in SHELLS {
        let target = Target::with(shell);
        for words in NASTY {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(target.passes_on(&words), words, "{shell:?}");
        }
        assert_eq!((target.sshd.acts().len(), target.sshd.logins()), (0, 1), "{shell:?}");
    }
}

#[test]
fn any_words_at_all_arrive_over_one_connection_and_nothing_else_runs() {
    for shell in SHELLS {
        let target = Target::with(shell);
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let ran = TestRunner::new(config).run(&any_words(), |words| {
            prop_assert_eq!(target.passes_on(&words), words);
            Ok(())
        });
        ran.unwrap_or_else(|failure| panic!("{shell:?}: {failure}"));
        assert_eq!((target.sshd.acts().len(), target.sshd.logins()), (0, 1), "{shell:?}");
    }
}
