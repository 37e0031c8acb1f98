//! The acts that `cargo xtask bench` counts: each does what the report will say it did.

#[path = "../../examples/measured/act.rs"]
mod act;
#[path = "../../examples/measured/command.rs"]
mod command;
#[path = "../../examples/measured/decision.rs"]
mod decision;
#[path = "../../examples/measured/guard.rs"]
mod guard;
#[path = "../../examples/measured/journal.rs"]
mod journal;
#[path = "../../examples/measured/message.rs"]
mod message;

use act::{ACTS, Act, run};

#[test]
fn every_act_does_what_it_says() {
    for act in ACTS {
        run(act, 2).unwrap_or_else(|wrong| panic!("{}: {wrong:#}", act.name));
    }
}

#[test]
fn an_act_that_stops_doing_what_it_says_is_not_counted() {
    let never = Act { name: "never", times: 1, what: "", prepare: || Ok(Box::new(|| false)) };
    assert!(run(&never, 1).unwrap_err().to_string().contains("does not do what it says"));
    let tires = Act {
        name: "tires",
        times: 1,
        what: "",
        prepare: || {
            let mut left = 3;
            Ok(Box::new(move || {
                left -= 1;
                left > 0
            }))
        },
    };
    assert!(run(&tires, 1).is_ok());
    assert!(run(&tires, 5).unwrap_err().to_string().contains("1 of 5 times"));
}

#[test]
fn acts_have_names_of_their_own() {
    for (at, act) in ACTS.iter().enumerate() {
        assert!(!ACTS.iter().skip(at + 1).any(|other| other.name == act.name), "{}", act.name);
        assert!(act.times > 0 && !act.what.contains(['\t', '\n']), "{}", act.name);
    }
}
