//! What is held against each program that is known to give more than it seems.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use model::SimpleCommand;
use policy::command::{opaque, parse};

use crate::corpus::{ANY, permitted};
use crate::world::snapshot;

fn table() -> BTreeMap<String, String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/programs.txt");
    let text = fs::read_to_string(file).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let table: BTreeMap<_, _> = lines
        .iter()
        .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("no policy: {line}")))
        .map(|(program, policy)| (program.to_owned(), policy.to_owned()))
        .collect();
    assert_eq!(table.len(), lines.len(), "a program stands there twice");
    table
}

fn is_opaque(program: &str) -> bool {
    opaque(&SimpleCommand::new(vec![program.to_owned(), "x".to_owned()])).is_some()
}

#[test]
fn for_every_program_that_is_known_for_more_than_it_seems_a_policy_is_stated_and_holds() {
    let table = table();
    // As many as the head of the file says, so that none is lost.
    assert_eq!(table.len(), 478);
    for (program, policy) in table {
        let (kind, more) = policy.split_once(": ").unwrap_or((&policy, ""));
        match kind {
            "opaque" => assert!(is_opaque(&program), "`{program}` is not opaque"),
            "words" => {
                let line = parse(more).unwrap();
                let command = line.commands().next().unwrap();
                assert_eq!(command.words[0], program, "the example is of another program");
                assert!(opaque(command).is_some(), "`{more}` is not opaque");
                assert!(!is_opaque(&program), "`{program}` is opaque with any words");
            }
            "plain" => {
                assert!(!is_opaque(&program), "`{program}` is opaque");
                assert!(more.split(' ').count() >= 4, "`{program}` is plain for no reason");
            }
            other => panic!("`{program}`: unknown policy `{other}`"),
        }
    }
}

/// The decision itself, beside a rule that permits every command that is understood.
#[test]
fn no_program_that_is_known_for_more_than_it_seems_passes_where_every_command_is_permitted() {
    let any = snapshot(ANY, "");
    for (program, policy) in table() {
        let (kind, more) = policy.split_once(": ").unwrap_or((&policy, ""));
        let lines = match kind {
            "opaque" => vec![program.clone(), format!("{program} x"), format!("/usr/bin/{program} -x y")],
            "words" => vec![more.to_owned(), format!("uptime && {more}")],
            _ => continue,
        };
        for line in lines {
            assert!(permitted(&any, &line).is_none(), "`{line}` is permitted");
        }
    }
}

/// Ordinary programs must not become opaque by the accident of a name: a rule that permits them would be void.
#[test]
fn ordinary_programs_of_a_debian_machine_are_not_opaque() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/ordinary.txt");
    let text = fs::read_to_string(file).unwrap();
    let programs: Vec<_> =
        text.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).collect();
    assert!(programs.len() >= 500, "{}", programs.len());
    let void: Vec<_> = programs.into_iter().filter(|program| is_opaque(program)).collect();
    assert_eq!(void, [""; 0]);
}
