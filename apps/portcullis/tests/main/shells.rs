//! What an agent writes, through the whole gateway, and what the login shell of a real host makes of it: the words that a
//! program gets, and the files that redirections open.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, chown, symlink};
use std::path::Path;

use serde_json::json;
use testkit::{Era, McpHttp, Portcullis, Shell, Sshd, ToolAnswer};

use crate::site::Site;

const SHELLS: [Shell; 4] = [Shell::Bash, Shell::Dash, Shell::BusyboxAsh, Shell::Zsh];

/// Whatever is understood may run. Files need a rule: FOLDER is the account's folder.
const RULES: &str = r#"
[[rule]]
name = "operators run the gateway"
allow = ["operator:*"]
principals = ["group:operators"]
targets = ["*"]

[[rule]]
name = "work"
allow = ["ssh_execute"]
principals = ["group:agents"]
targets = ["tag:web"]
commands = ["**"]
reads = ["FOLDER/in/*.txt"]
writes = ["FOLDER/out/*.txt"]
"#;

/// Arguments as agents write them, and the words they mean.
const WRITTEN: &[(&str, &[&str])] = &[
    ("", &[]),
    ("''", &[""]),
    ("'' \"\" a '' ", &["", "", "a", ""]),
    ("'a  b' \" c\" d\\ e", &["a  b", " c", "d e"]),
    ("'$(count-act sub)' '${HOME}' \\$HOME '$$'", &["$(count-act sub)", "${HOME}", "$HOME", "$$"]),
    ("'`count-act tick`'", &["`count-act tick`"]),
    ("'\"' \"'\" 'it'\\''s' \\'\\\"", &["\"", "'", "it's", "'\""]),
    ("'\\' '\\\\' \\\\ 'a\\nb'", &["\\", "\\\\", "\\", "a\\nb"]),
    ("'!' '!!' 'a!b'", &["!", "!!", "a!b"]),
    ("'~' '~root' 'a~' 'x=~'", &["~", "~root", "a~", "x=~"]),
    ("'*' '/etc/*' '?' '[a-z]' '*(.)'", &["*", "/etc/*", "?", "[a-z]", "*(.)"]),
    ("-n -- --help '-c count-act'", &["-n", "--", "--help", "-c count-act"]),
    ("'=ls' =ls a=b = '=count-act'", &["=ls", "=ls", "a=b", "=", "=count-act"]),
    ("'{a,b}' '{1..3}' '{' '}'", &["{a,b}", "{1..3}", "{", "}"]),
    ("'^' '^a^b' '#x' 'a#b' '%1' '@' '+x'", &["^", "^a^b", "#x", "a#b", "%1", "@", "+x"]),
    (
        "'; count-act semi' '&& count-act and' '| x' '>y'",
        &["; count-act semi", "&& count-act and", "| x", ">y"],
    ),
    ("'é' '日本語' 'naïve ß'", &["é", "日本語", "naïve ß"]),
];

/// Arguments that are not understood, or are no text for a shell.
const REFUSED: &[&str] = &[
    "'a\nb'",
    "a\ncount-act line",
    "'a\rb'",
    "'a\0b'",
    "a\tb\u{1b}[31m",
    "'\u{202e}x'",
    "'\u{200b}'",
    "'\u{430}'",
    "é",
    "$(count-act sub)",
    "`count-act tick`",
    "\"$(count-act sub)\"",
    "$HOME",
    "\"a!b\"",
    "~",
    "*",
    "{a,b}",
    "a & count-act amp",
    "$'a'",
    "<(count-act process)",
    "<<END",
    "'open",
    "a\\",
];

/// A file in the account's folder, and what it holds.
type Holds = (&'static str, &'static str);

/// Redirections that the rule permits, in this order: what is then printed, and what a file then holds.
const PERMITTED: &[(&str, &str, Option<Holds>)] = &[
    ("echo one >FOLDER/out/a.txt", "", Some(("out/a.txt", "one\n"))),
    ("echo two >>FOLDER/out/a.txt", "", Some(("out/a.txt", "one\ntwo\n"))),
    ("echo three >|FOLDER/out/a.txt", "", Some(("out/a.txt", "three\n"))),
    ("echo four > 'FOLDER/out/a b'\\''$(id).txt'", "", Some(("out/a b'$(id).txt", "four\n"))),
    ("cat <FOLDER/in/words.txt", "some words\n", None),
    ("cat 0<FOLDER/in/words.txt 2>/dev/null | tr a-z A-Z", "SOME WORDS\n", None),
    (
        "cat <FOLDER/in/words.txt | tr a-z A-Z >FOLDER/out/upper.txt",
        "",
        Some(("out/upper.txt", "SOME WORDS\n")),
    ),
    (
        "echo five >FOLDER/out/b.txt && cat <FOLDER/in/words.txt",
        "some words\n",
        Some(("out/b.txt", "five\n")),
    ),
    ("note-words a >FOLDER/out/c.txt '>' b", "", Some(("out/c.txt", ""))),
];

/// Redirections that no rule names, or that are refused whatever rules say. Nothing of such a line runs.
const DENIED: &[&str] = &[
    "echo never >FOLDER/never.txt",
    "echo never >>FOLDER/in/words.txt",
    "echo never >FOLDER/out/never",
    "echo never >FOLDER/out/.never.txt",
    "echo never >FOLDER/out/deeper/never.txt",
    "echo never >FOLDER/out/../never.txt",
    "echo never >FOLDER/out/./never.txt",
    "echo never >FOLDER/out//never.txt",
    "echo never >out/never.txt",
    "echo never >never.txt",
    "cat <FOLDER/secret.txt",
    "cat <FOLDER/in/../secret.txt",
    "cat <FOLDER/out/a.txt",
    "echo never >FOLDER/out/never.txt; cat <FOLDER/secret.txt",
    "cat <FOLDER/in/words.txt | tr a-z A-Z >FOLDER/never.txt",
    "echo never 2>FOLDER/never.txt >FOLDER/out/never.txt",
    "echo never >FOLDER/out/never.txt >FOLDER/never.txt",
    "echo never >FOLDER/out/never.txt | tr a-z A-Z",
    "echo never &>FOLDER/out/never.txt",
    "echo never >&FOLDER/out/never.txt",
    "echo never <>FOLDER/out/never.txt",
    "echo never >FOLDER/out/*.txt",
    "echo never >$HOME/out/never.txt",
    "echo never >/dev/tcp/127.0.0.1/9",
    "echo never >/proc/self/fd/1",
];

struct Room {
    site: Site,
    gateway: Portcullis,
    client: McpHttp,
}

impl Room {
    async fn with(shell: Shell) -> Self {
        let site = Site::of(Sshd::options().password_only().shell(shell).start());
        let home = site.sshd.home().to_str().unwrap();
        site.installed.write("policy/ops.toml", &RULES.replace("FOLDER", home));
        for folder in ["in", "out"] {
            let path = site.sshd.home().join(folder);
            std::fs::create_dir(&path).unwrap();
            let owner = std::fs::metadata(site.sshd.home()).unwrap();
            chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        for (file, text) in [("in/words.txt", "some words\n"), ("secret.txt", "a secret\n")] {
            std::fs::write(site.sshd.home().join(file), text).unwrap();
        }
        let gateway = site.serve();
        let client = site.http(&gateway, Era::Modern).await;
        Self { site, gateway, client }
    }

    async fn run(&self, line: &str) -> ToolAnswer {
        let line = line.replace("FOLDER", self.site.sshd.home().to_str().unwrap());
        self.client.call("ssh_execute", json!({ "host": "web1", "command": line })).await.unwrap()
    }

    /// It is refused for what it says, and the host hears nothing of it.
    async fn refuses(&self, line: &str) {
        let (noted, files) = (self.site.sshd.noted(), self.files());
        let answer = self.run(line).await;
        assert!(answer.is_error(), "{line:?}: {answer:?}");
        assert_eq!(answer.structured()["code"], "denied.command", "{line:?}: {answer:?}");
        assert_eq!((self.site.sshd.noted(), self.files()), (noted, files), "{line:?}");
    }

    /// Everything below the account's folder, with what it holds.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for folder in ["", "in", "out"] {
            for entry in std::fs::read_dir(self.site.sshd.home().join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    files.insert(self.name(&path), std::fs::read(&path).unwrap());
                }
            }
        }
        files
    }

    fn name(&self, path: &Path) -> String {
        path.strip_prefix(self.site.sshd.home()).unwrap().to_str().unwrap().to_owned()
    }

    /// Nothing ran that nobody wrote, everything on one connection, and all of it is in the journal.
    fn end(self) {
        assert_eq!(self.site.sshd.acts(), Vec::<String>::new());
        assert_eq!(self.site.sshd.logins(), 1);
        assert!(self.gateway.terminate().success());
        self.site.verify();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_writes_arrives_word_for_word_in_every_shell() {
    for shell in SHELLS {
        let room = Room::with(shell).await;
        for (written, words) in WRITTEN {
            let before = room.site.sshd.noted().len();
            let ran = room.run(&format!("note-words {written}")).await;
            assert_eq!(ran.structured()["exit_code"], 0, "{shell:?}: {written}: {ran:?}");
            assert_eq!(room.site.sshd.noted().split_off(before), [*words], "{shell:?}: {written}");
        }
        for refused in REFUSED {
            room.refuses(&format!("note-words {refused}")).await;
        }
        room.end();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redirections_open_the_files_that_rules_name_in_every_shell_and_no_others() {
    for shell in SHELLS {
        let room = Room::with(shell).await;
        for (line, printed, file) in PERMITTED {
            let ran = room.run(line).await;
            let (said, stdout) = (ran.structured(), &json!(printed));
            assert_eq!(
                (&said["exit_code"], &said["stdout"]),
                (&json!(0), stdout),
                "{shell:?}: {line}: {ran:?}"
            );
            if let Some((name, text)) = file {
                let found = room.files().remove(*name);
                assert_eq!(found.as_deref(), Some(text.as_bytes()), "{shell:?}: {line}");
            }
        }
        assert_eq!(room.site.sshd.noted(), [["a", ">", "b"]]);
        // Both streams to one file, and both to the one that is shown.
        for (line, to) in [("ls /nowhere >FOLDER/out/both.txt 2>&1", "file"), ("ls /nowhere 2>&1", "stdout")]
        {
            let ran = room.run(line).await;
            let shown = ran.structured()["stdout"].as_str().unwrap().to_owned();
            let kept = String::from_utf8(room.files().remove("out/both.txt").unwrap()).unwrap();
            let told = if to == "file" { (&kept, &shown) } else { (&shown, &String::new()) };
            assert!(told.0.contains("/nowhere") && told.1.is_empty(), "{shell:?}: {line}: {ran:?}");
            assert_eq!(ran.structured()["stderr"], "", "{shell:?}: {line}");
        }
        for line in DENIED {
            room.refuses(line).await;
        }
        room.end();
    }
}

/// `docs/policy.md`: paths are judged by their text, and the host's shell follows links, which no text shows.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_in_a_folder_that_a_rule_names_is_followed_as_the_documentation_says() {
    let room = Room::with(Shell::Bash).await;
    for (link, to) in [("out/link.txt", "made.txt"), ("in/link.txt", "secret.txt")] {
        symlink(room.site.sshd.home().join(to), room.site.sshd.home().join(link)).unwrap();
    }
    let owner = std::fs::metadata(room.site.sshd.home()).unwrap();
    assert_ne!(owner.uid(), 0, "the account could make these links itself");
    let ran = room.run("echo through >FOLDER/out/link.txt").await;
    assert_eq!(ran.structured()["exit_code"], 0, "{ran:?}");
    assert_eq!(room.files()["made.txt"], b"through\n");
    assert_eq!(room.run("cat <FOLDER/in/link.txt").await.structured()["stdout"], "a secret\n");
    room.end();
}
