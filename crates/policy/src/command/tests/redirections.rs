use model::{End, FileAccess, LexicalPath, Pipeline, Redirection, SimpleCommand, WriteMode};
use proptest::prelude::*;

use crate::command::{canonical, parse};

/// Lines that must be understood, with their canonical quoting.
const UNDERSTOOD: &[(&str, &str)] = &[
    ("id > /tmp/x", "id >/tmp/x"),
    ("id >/tmp/x", "id >/tmp/x"),
    ("id>/tmp/x", "id >/tmp/x"),
    ("id 1>/tmp/x", "id >/tmp/x"),
    ("id >> /tmp/x", "id >>/tmp/x"),
    ("id >| /tmp/x", "id >|/tmp/x"),
    ("cat < /tmp/x", "cat </tmp/x"),
    ("cat 0< /tmp/x", "cat </tmp/x"),
    ("id 2>/dev/null", "id 2>/dev/null"),
    ("id 2>>/var/log/x", "id 2>>/var/log/x"),
    ("id 2>|/var/log/x", "id 2>|/var/log/x"),
    ("id 2>&1", "id 2>&1"),
    ("id >&2", "id >&2"),
    ("id 1>&2", "id >&2"),
    ("id >/tmp/x 2>&1", "id >/tmp/x 2>&1"),
    ("id 2>&1 >/tmp/x", "id 2>&1 >/tmp/x"),
    ("id 2>&1|cat", "id 2>&1 | cat"),
    ("id 2>/dev/null&&id", "id 2>/dev/null && id"),
    ("id 2>&1;id", "id 2>&1; id"),
    ("echo >/tmp/x a b", "echo a b >/tmp/x"),
    ("echo a >/tmp/x b </tmp/y", "echo a b >/tmp/x </tmp/y"),
    ("echo a2>/tmp/x", "echo a2 >/tmp/x"),
    ("echo 2 >/tmp/x", "echo 2 >/tmp/x"),
    ("echo 22 >/tmp/x", "echo 22 >/tmp/x"),
    ("echo '2'>/tmp/x", "echo 2 >/tmp/x"),
    ("echo \\2>/tmp/x", "echo 2 >/tmp/x"),
    ("echo ''2>/tmp/x", "echo 2 >/tmp/x"),
    ("echo =2>/tmp/x", "echo '=2' >/tmp/x"),
    ("id >'/tmp/a b'", "id >'/tmp/a b'"),
    ("id >/tmp/\"a b\"'c'\\ d", "id >'/tmp/a bc d'"),
    ("id >'/tmp/$(id)'", "id >'/tmp/$(id)'"),
    ("id >'/tmp/it'\\''s'", "id >'/tmp/it'\\''s'"),
    ("id 3>/tmp/x 1>&3", "id 3>/tmp/x >&3"),
    ("id 3>&1 1>&2 2>&3", "id 3>&1 >&2 2>&3"),
    ("cat 9</tmp/x", "cat 9</tmp/x"),
    ("cat </tmp/x | wc >/tmp/y", "cat </tmp/x | wc >/tmp/y"),
    ("cat </dev/null", "cat </dev/null"),
    ("cat <'/tmp/-'", "cat </tmp/-"),
    ("cat </tmp/...", "cat </tmp/..."),
    ("cat </developer/x", "cat </developer/x"),
];

/// Lines that must be refused, with words that the reason must hold.
const REFUSED: &[(&str, &str)] = &[
    ("cat << EOF", "here-document (redirection"),
    ("cat <<-EOF", "here-document (redirection"),
    ("cat 0<<EOF", "here-document (redirection"),
    ("cat <<< x", "here-string (redirection"),
    ("cat 3<<<x", "here-string (redirection"),
    ("id &> /tmp/x", "both streams"),
    ("id &>> /tmp/x", "both streams"),
    ("id |& cat", "both streams"),
    ("id >& /tmp/x", "without one descriptor"),
    ("id >&/tmp/x", "without one descriptor"),
    ("id >& 2", "without one descriptor"),
    ("id 2>& 1", "without one descriptor"),
    ("id >&22", "without one descriptor"),
    ("id >&2x", "without one descriptor"),
    ("id >&'2'", "without one descriptor"),
    ("id >&2>/tmp/x", "without one descriptor"),
    ("id 2>&", "without one descriptor"),
    ("id >&-", "closes or moves"),
    ("id 2>&-", "closes or moves"),
    ("id 2>&1-", "closes or moves"),
    ("cat <&0", "joins or closes an input"),
    ("cat <&-", "joins or closes an input"),
    ("cat 0<&3-", "joins or closes an input"),
    ("id <> /tmp/x", "reading and writing"),
    ("id 1<>/tmp/x", "reading and writing"),
    ("cat <(id)", "process substitution"),
    ("tee >(id)", "process substitution"),
    ("id > >(id)", "process substitution"),
    ("id {fd}>/tmp/x", "brace"),
    ("id 10>/tmp/x", "above 9"),
    ("id 12>&1", "above 9"),
    ("id 99999999999999999999>/tmp/x", "above 9"),
    ("id >x", "not absolute"),
    ("id > ./x", "not absolute"),
    ("id > ../x", "not absolute"),
    ("id > /tmp/../etc/x", "not absolute"),
    ("id > /tmp/./x", "not absolute"),
    ("id > //tmp/x", "not absolute"),
    ("id > /tmp//x", "not absolute"),
    ("id > /tmp/", "not absolute"),
    ("id > /", "not absolute"),
    ("id > ''", "not absolute"),
    ("id > -", "not absolute"),
    ("cat < 1", "not absolute"),
    ("id > ~/x", "tilde"),
    ("id > $HOME/x", "`$`"),
    ("id > /tmp/*", "glob"),
    ("id > /tmp/{a,b}", "brace"),
    ("id >! /tmp/x", "`!`"),
    ("id >>! /tmp/x", "`!`"),
    ("id >>| /tmp/x", "complete"),
    ("id >>& /tmp/x", "background"),
    ("id >|& /tmp/x", "background"),
    ("id >", "complete"),
    ("id 2>", "complete"),
    ("id > | cat", "complete"),
    ("id > > /tmp/x", "complete"),
    ("id >; id", "complete"),
    ("id </tmp/x>", "complete"),
    ("> /tmp/x", "before a command"),
    ("> /tmp/x id", "before a command"),
    ("2>/dev/null id", "before a command"),
    ("</tmp/x cat", "before a command"),
    ("id; >/tmp/x", "before a command"),
    ("A=b >/tmp/x", "before a command"),
    ("id > /dev/tcp/10.0.0.1/80", "something else"),
    ("cat < /dev/udp/10.0.0.1/53", "something else"),
    ("cat < '/dev/tcp/h/1'", "something else"),
    ("cat < /dev/fd/3", "something else"),
    ("cat < /dev/stdin", "something else"),
    ("id > /dev/stderr", "something else"),
    ("id > /dev/sda", "something else"),
    ("id > /dev/NULL", "something else"),
    ("id > /DEV/tcp/h/1", "something else"),
    ("id > /dev/null/x", "something else"),
    ("cat < /proc/self/root/etc/shadow", "something else"),
    ("cat < /proc/meminfo", "something else"),
    ("id > /proc/sysrq-trigger", "something else"),
    ("cat < /.vol/16777220/2", "something else"),
    ("id >/tmp/x >/tmp/y", "second redirection of descriptor 1"),
    ("id >/dev/null 1>/tmp/y", "second redirection of descriptor 1"),
    ("cat </tmp/x </tmp/y", "second redirection of descriptor 0"),
    ("id 2>/tmp/x 2>&1", "second redirection of descriptor 2"),
    ("id >/tmp/x | cat", "descriptor 1, which is piped"),
    ("id 2>&1 >/dev/null | cat", "descriptor 1, which is piped"),
    ("id | cat </tmp/x", "descriptor 0, which is piped"),
    ("id >&3", "joins descriptor 3"),
    ("id >&0", "joins descriptor 0"),
    ("id 2>&5 5>/tmp/x", "joins descriptor 5"),
    ("id 3>/tmp/x; id >&3", "joins descriptor 3"),
];

#[test]
fn redirections_to_plain_paths_are_understood_and_written_one_way() {
    for (line, expected) in UNDERSTOOD {
        let parsed = parse(line).unwrap_or_else(|refused| panic!("{line:?}: {refused}"));
        assert_eq!(canonical(&parsed), *expected, "{line:?}");
        assert_eq!(parse(expected), Ok(parsed), "{line:?}");
    }
}

#[test]
fn every_other_redirection_is_refused_by_its_name() {
    for (line, expected) in REFUSED {
        match parse(line) {
            Ok(parsed) => panic!("understood {line:?} as {parsed:?}"),
            Err(refused) => assert!(refused.reason.contains(expected), "{line:?}: {}", refused.reason),
        }
    }
}

#[test]
fn each_file_is_a_part_of_its_own_and_dev_null_is_none() {
    let line = parse("cat </srv/a 2>/dev/null | grep x >>/srv/b 2>&1; id >|/srv/c 3</srv/d").unwrap();
    let files: Vec<(FileAccess, String)> = line
        .parts()
        .filter_map(|part| match part {
            model::SubAction::File { access, path } => Some((access, path.to_string())),
            model::SubAction::Whole
            | model::SubAction::Upstream(_)
            | model::SubAction::Command(_)
            | model::SubAction::Credential { .. } => None,
        })
        .collect();
    let (read, write) = (FileAccess::Read, FileAccess::Write);
    let expected = [(read, "/srv/a"), (write, "/srv/b"), (write, "/srv/c"), (read, "/srv/d")];
    assert_eq!(files, expected.map(|(access, path)| (access, path.to_owned())));
    assert_eq!(line.parts().count(), 7);
}

/// Any redirections of one command: each descriptor once, joins to what is open.
pub(super) fn some() -> impl Strategy<Value = Vec<Redirection>> {
    let path = || {
        "/[a-z' $;|&<>*~-]{1,4}(/[a-z.é'\"\\\\]{3,5})?"
            .prop_filter_map("a path", |text| LexicalPath::parse(&text).ok())
    };
    let mode = prop::sample::select(&[WriteMode::Truncate, WriteMode::Append, WriteMode::Clobber][..]);
    let end = prop_oneof![
        path().prop_map(End::Read),
        (path(), mode).prop_map(|(path, mode)| End::Write(path, mode)),
        (1..=2_u8).prop_map(End::Join),
        Just(End::Write(LexicalPath::parse("/dev/null").unwrap(), WriteMode::Truncate)),
    ];
    let shuffled = prop::sample::subsequence((0..=9_u8).collect::<Vec<_>>(), 0..3).prop_shuffle();
    (shuffled, prop::collection::vec(end, 3)).prop_map(|(descriptors, ends)| {
        let pairs = descriptors.into_iter().zip(ends);
        pairs.map(|(descriptor, end)| Redirection { descriptor, end }).collect()
    })
}

/// Leaves out what cannot be redirected because it is piped.
pub(super) fn piped(mut commands: Vec<SimpleCommand>) -> Pipeline {
    let last = commands.len() - 1;
    for (at, command) in commands.iter_mut().enumerate() {
        command.redirections.retain(|r| !((r.descriptor == 1 && at < last) || (r.descriptor == 0 && at > 0)));
    }
    Pipeline { commands }
}
