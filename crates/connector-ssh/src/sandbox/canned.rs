//! What the sandbox answers: a small machine made of constants.

use model::{End, Joint, Pipeline, Redirection, SimpleCommand};

/// What a command wrote and how it ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) out: String,
    pub(super) err: String,
    pub(super) status: u32,
}

const UPTIME: &str = " 10:12:03 up 41 days,  3:07,  0 users,  load average: 0.08, 0.03, 0.01\n";
const DF: &str = "Filesystem      Size  Used Avail Use% Mounted on\n\
                  /dev/vda1        40G   11G   27G  29% /\n\
                  tmpfs           2.0G     0  2.0G   0% /dev/shm\n\
                  /dev/vdb1       200G   84G  107G  44% /var/lib\n";
const FREE: &str = "               total        used        free      shared  buff/cache   available\n\
                    Mem:           3.8Gi       1.1Gi       1.4Gi        12Mi       1.3Gi       2.5Gi\n\
                    Swap:             0B          0B          0B\n";
const APP_LOG: &str = "2026-11-20T09:58:11Z INFO  app: listening on 0.0.0.0:8080\n\
                       2026-11-20T10:01:42Z WARN  app: slow query (1.8 s) in /orders\n\
                       2026-11-20T10:04:05Z ERROR app: upstream billing answered 503, retrying\n\
                       2026-11-20T10:04:06Z INFO  app: upstream billing answered 200\n\
                       2026-11-20T10:11:57Z INFO  app: 1204 requests in the last 10 min\n";
const OS_RELEASE: &str = "PRETTY_NAME=\"Portcullis Sandbox 1\"\nNAME=\"Portcullis Sandbox\"\nID=sandbox\n";
const NGINX: &str = "\u{25cf} nginx.service - A high performance web server\n     \
                     Loaded: loaded (/lib/systemd/system/nginx.service; enabled)\n     \
                     Active: active (running) since Sat 2026-10-10 07:05:11 UTC; 1 month 10 days ago\n   \
                     Main PID: 612 (nginx)\n";

/// A file that holds the account's password.
pub(super) fn backup_conf(password: &str) -> Said {
    Said { out: format!("user = demo\npassword = {password}\n"), ..Said::default() }
}

/// Answers a command line; what is not known is answered as a shell would.
pub(super) fn run(text: &str) -> Said {
    let line = match policy::command::parse(text) {
        Ok(line) => line,
        Err(refused) => return failed(2, &format!("syntax error: {}", refused.reason)),
    };
    let mut all = pipeline(&line.first);
    for (joint, next) in &line.rest {
        let goes_on = match joint {
            Joint::And => all.status == 0,
            Joint::Or => all.status != 0,
            Joint::Then => true,
        };
        if goes_on {
            let said = pipeline(next);
            all.out.push_str(&said.out);
            all.err.push_str(&said.err);
            all.status = said.status;
        }
    }
    all
}

fn pipeline(pipeline: &Pipeline) -> Said {
    let mut all = Said::default();
    for command in &pipeline.commands {
        let said = redirected(command, simple(command, &all.out));
        all.out = said.out;
        all.err.push_str(&said.err);
        all.status = said.status;
    }
    all
}

/// Joins and `/dev/null` are as anywhere; there are no files to open.
fn redirected(command: &SimpleCommand, said: Said) -> Said {
    if command.files().next().is_some() {
        return failed(1, "sh: 1: cannot open a file: there are none in this sandbox");
    }
    // Where each stream goes: 1, 2, or nowhere.
    let (mut out, mut err) = (Some(1), Some(2));
    for Redirection { descriptor, end } in &command.redirections {
        let to = match end {
            End::Join(1) => out,
            End::Join(2) => err,
            End::Join(_) | End::Read(_) | End::Write(..) => None,
        };
        match descriptor {
            1 => out = to,
            2 => err = to,
            _ => {}
        }
    }
    let into = |stream| {
        let piece =
            |to: Option<u8>, text: &str| if to == Some(stream) { text.to_owned() } else { String::new() };
        piece(out, &said.out) + &piece(err, &said.err)
    };
    Said { out: into(1), err: into(2), status: said.status }
}

fn simple(command: &SimpleCommand, input: &str) -> Said {
    let words: Vec<&str> = command.words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["true"] => Said::default(),
        ["false"] => failed(1, ""),
        ["echo", rest @ ..] => out(&format!("{}\n", rest.join(" "))),
        ["printf", format, rest @ ..] => printf(format, rest),
        ["uptime"] => out(UPTIME),
        ["hostname"] => out("sandbox\n"),
        ["whoami"] => out("demo\n"),
        ["id"] => out("uid=1000(demo) gid=1000(demo) groups=1000(demo)\n"),
        ["uname"] => out("Linux\n"),
        ["uname", "-a"] => out("Linux sandbox 6.1.0 #1 SMP x86_64 GNU/Linux\n"),
        ["df", "-h"] => out(DF),
        ["free", "-h"] => out(FREE),
        ["ls", "/var/log"] => out("app.log\nnginx\n"),
        ["systemctl", "status", "nginx" | "nginx.service"] => out(NGINX),
        ["systemctl", "is-active", "nginx" | "nginx.service"] => out("active\n"),
        ["systemctl", "restart", "nginx" | "nginx.service"] => Said::default(),
        ["cat"] => out(input),
        ["cat", path] => file("cat", path),
        ["head" | "tail" | "grep" | "wc", ..] => filter(&words, input),
        [program, ..] => failed(127, &format!("sh: 1: {program}: not found in this sandbox")),
        [] => Said::default(),
    }
}

fn filter(words: &[&str], input: &str) -> Said {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let joined = |lines: Vec<String>| out(&lines.iter().map(|line| format!("{line}\n")).collect::<String>());
    match words {
        [program @ ("head" | "tail"), "-n", count, path @ ..] => {
            let Ok(count) = count.parse::<usize>() else { return failed(1, "invalid number of lines") };
            let source = source(program, path, input);
            if source.status != 0 {
                return source;
            }
            let lines = lines(&source.out);
            let skipped = if *program == "tail" { lines.len().saturating_sub(count) } else { 0 };
            joined(lines.into_iter().skip(skipped).take(count).collect())
        }
        ["grep", word, path @ ..] if !word.starts_with('-') => {
            let source = source("grep", path, input);
            if source.status != 0 {
                return source;
            }
            let found: Vec<String> =
                lines(&source.out).into_iter().filter(|line| line.contains(word)).collect();
            let status = u32::from(found.is_empty());
            Said { status, ..joined(found) }
        }
        ["wc", "-l", path @ ..] => {
            let source = source("wc", path, input);
            if source.status == 0 { out(&format!("{}\n", source.out.lines().count())) } else { source }
        }
        [program, ..] => failed(1, &format!("{program}: these options are not in this sandbox")),
        [] => Said::default(),
    }
}

/// The file that is named, or what comes in.
fn source(program: &str, path: &[&str], input: &str) -> Said {
    match path {
        [] => out(input),
        [path] => file(program, path),
        [_, ..] => failed(1, &format!("{program}: one file at a time in this sandbox")),
    }
}

fn file(program: &str, path: &str) -> Said {
    match path {
        "/var/log/app.log" => out(APP_LOG),
        "/etc/hostname" => out("sandbox\n"),
        "/etc/os-release" => out(OS_RELEASE),
        "/etc/shadow" => failed(1, &format!("{program}: {path}: Permission denied")),
        _ => failed(1, &format!("{program}: {path}: No such file or directory")),
    }
}

/// `%s`, `%%`, `\n` and `\\`; the format is used again until no word is left, as POSIX has it.
fn printf(format: &str, words: &[&str]) -> Said {
    let mut text = String::new();
    let mut words = words.iter();
    loop {
        let before = words.len();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            match (c, if matches!(c, '%' | '\\') { chars.next() } else { None }) {
                ('%', Some('s')) => text.push_str(words.next().copied().unwrap_or_default()),
                ('\\', Some('n')) => text.push('\n'),
                ('%' | '\\', Some(literal)) if literal == c => text.push(c),
                ('%' | '\\', _) => return failed(1, "printf: this format is not in this sandbox"),
                (c, _) => text.push(c),
            }
        }
        if words.len() == 0 || words.len() == before {
            return out(&text);
        }
    }
}

fn out(text: &str) -> Said {
    Said { out: text.to_owned(), ..Said::default() }
}

fn failed(status: u32, text: &str) -> Said {
    let err = if text.is_empty() { String::new() } else { format!("{text}\n") };
    Said { err, status, ..Said::default() }
}

#[cfg(test)]
mod tests {
    use super::run;

    #[test]
    fn lines_are_answered_as_a_shell_would() {
        for (line, expected, status) in [
            ("hostname", "sandbox\n", 0),
            ("echo 'a  b' c", "a  b c\n", 0),
            ("false || echo other", "other\n", 0),
            ("false && echo other", "", 1),
            ("echo a; false", "a\n", 1),
            ("cat /var/log/app.log | grep ERROR | wc -l", "1\n", 0),
            (
                "tail -n 1 /var/log/app.log",
                "2026-11-20T10:11:57Z INFO  app: 1204 requests in the last 10 min\n",
                0,
            ),
            ("printf '%s\\n' a 'b c'", "a\nb c\n", 0),
            ("nonsense", "", 127),
            ("cat /etc/shadow", "", 1),
            ("echo $(id)", "", 2),
            ("echo a >/dev/null", "", 0),
            ("cat /etc/shadow 2>&1", "cat: /etc/shadow: Permission denied\n", 1),
            ("echo a >&2; echo b", "b\n", 0),
            ("echo a >/tmp/x", "", 1),
        ] {
            let said = run(line);
            assert_eq!((said.out.as_str(), said.status), (expected, status), "{line}: {said:?}");
        }
    }
}
