//! What is measured, in the order of the report.

use anyhow::ensure;

use crate::{command, decision, guard, journal, message};

/// Something the product does for a call.
pub(crate) struct Act {
    /// What the report and its readers call it.
    pub(crate) name: &'static str,
    /// How often it is done for one figure: some ten million instructions, so that counting takes about a second.
    pub(crate) times: u32,
    /// In a few words.
    pub(crate) what: &'static str,
    /// Everything that is not part of it.
    pub(crate) prepare: fn() -> anyhow::Result<Once>,
}

/// Does an act once; `false`: it did not do what it says.
pub(crate) type Once = Box<dyn FnMut() -> bool>;

/// Does an act, after a first time outside of the count: what is made once and kept is no part of an act.
pub(crate) fn run(act: &Act, times: u32) -> anyhow::Result<()> {
    let mut once = (act.prepare)()?;
    ensure!(once(), "`{}` does not do what it says", act.name);
    let done = measured_acts(&mut *once, times);
    ensure!(done == times, "`{}` did what it says only {done} of {times} times", act.name);
    Ok(())
}

/// Valgrind counts from here to the return: the name is what `xtask/src/bench/callgrind.rs` looks for.
#[inline(never)]
fn measured_acts(once: &mut dyn FnMut() -> bool, times: u32) -> u32 {
    let mut done = 0;
    for _ in 0..times {
        done += u32::from(once());
    }
    done
}

/// Every act.
pub(crate) const ACTS: &[Act] = &[
    Act {
        name: "decision-100",
        times: 500,
        what: "a command permitted among 100 rules",
        prepare: || decision::permitted(100),
    },
    Act {
        name: "decision-10000",
        times: 500,
        what: "a command permitted among 10,000 rules",
        prepare: || decision::permitted(10_000),
    },
    Act {
        name: "denial-100",
        times: 200,
        what: "a command denied among 100 rules, and explained",
        prepare: || decision::denied(100),
    },
    Act {
        name: "command-simple",
        times: 1000,
        what: "analysis of `systemctl status nginx`",
        prepare: || command::analysis(command::SIMPLE),
    },
    Act {
        name: "command-quoted",
        times: 1000,
        what: "analysis of a line with each kind of quotes",
        prepare: || command::analysis(command::QUOTED),
    },
    Act {
        name: "command-pipeline",
        times: 500,
        what: "analysis of a pipeline in a list, with redirections",
        prepare: || command::analysis(command::PIPELINE),
    },
    Act {
        name: "command-refused",
        times: 1000,
        what: "refusal of a line with a substitution",
        prepare: || command::refusal(command::SUBSTITUTION),
    },
    Act {
        name: "command-canonical",
        times: 1000,
        what: "canonical text of the pipeline, as it is sent",
        prepare: || command::canonical(command::PIPELINE),
    },
    Act {
        name: "action-digest",
        times: 1000,
        what: "digest of the pipeline's action",
        prepare: || command::digest(command::PIPELINE),
    },
    Act { name: "scanner", times: 100, what: "a scanner made for one password", prepare: guard::scanner },
    Act {
        name: "scan-64k",
        times: 20,
        what: "64 KiB of output looked through for one password",
        prepare: || guard::scan(guard::PLAIN),
    },
    Act {
        name: "scan-64k-painted",
        times: 10,
        what: "the same with colours and letters beyond ASCII",
        prepare: || guard::scan(guard::PAINTED),
    },
    Act {
        name: "guard-64k",
        times: 10,
        what: "64 KiB of output through the whole guard",
        prepare: || guard::admit(guard::PLAIN),
    },
    Act {
        name: "audit-entry",
        times: 300,
        what: "an audit entry made, chained and given to the kernel",
        prepare: journal::entry,
    },
    Act {
        name: "mcp-call",
        times: 1000,
        what: "a `tools/call` read, with its parameters",
        prepare: message::call,
    },
];
