//! The launcher: our own binary, started anew, makes itself what the program may be and then becomes the program.
//!
//! Everything here happens in a process of one thread that holds nothing of the gateway but its plan. A step that fails
//! ends it: then the program never runs, and standard error says why. It reaches for nothing that needs `unsafe`.

mod calls;
mod files;
mod plan;
mod rights;

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use rustix::process::{DumpableBehavior, Pid, Signal, getppid, set_dumpable_behavior, setsid};

pub(crate) use plan::{Account, Files, Plan};

/// The name under which our binary is the launcher.
pub(crate) const NAME: &str = "portcullis-launcher";
/// What its own words on standard error begin with.
pub(crate) const SAYS: &str = "portcullis-launcher: ";
/// Its exit code when the program was not started.
pub(crate) const REFUSED: u8 = 125;

/// Becomes the program of an upstream, if this process was started for that: to be asked before anything else, before
/// there is a second thread. Returns only if there is nothing to become, or if the program must not run.
pub fn launched() -> Option<ExitCode> {
    if std::env::args_os().next()? != NAME {
        return None;
    }
    let Err(why) = become_program();
    rights::say(&format!("{SAYS}{why}\n"));
    Some(ExitCode::from(REFUSED))
}

/// The order matters: each step needs what the later ones give up.
fn become_program() -> Result<std::convert::Infallible, String> {
    rights::must_be_alone()?;
    // Before the plan with its secrets is in our memory.
    step("its memory cannot be closed", set_dumpable_behavior(DumpableBehavior::NotDumpable))?;
    let plan = Plan::read(rights::Unbuffered)?;
    let alone = plan.account.is_none() && plan.files.is_some();
    step("it cannot have a session of its own", setsid())?;
    rights::close_descriptors()?;
    rights::bound(plan.account)?;
    rights::drop_bounding_set(plan.account.is_some() || plan.files.is_some())?;
    if let Some(account) = plan.account {
        rights::change_user(account)?;
    }
    if plan.account.is_some() || plan.files.is_some() {
        rights::drop_capabilities()?;
    }
    step("it cannot be kept from new privileges", rustix::thread::set_no_new_privs(true))?;
    end_with(plan.gateway)?;
    if let Some(files) = &plan.files {
        files::restrict(&plan.program, plan.home.as_deref(), files)?;
    }
    if alone {
        calls::restrict()?;
    }
    if plan.account.is_some() || plan.files.is_some() {
        files::prove(&plan)?;
    }
    // As the program: what it may not enter, it does not run in.
    let entered = rustix::process::chdir(&plan.folder);
    step(&format!("it cannot run in `{}`", plan.folder.display()), entered)?;
    let error = Command::new(&plan.program).args(&plan.arguments).env_clear().envs(plan.env).exec();
    Err(format!("`{}` cannot be started: {error}", plan.program.display()))
}

/// Ends with the gateway, also with one that ended just now.
fn end_with(gateway: i32) -> Result<(), String> {
    let set = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    step("it cannot be made to end with the gateway", set)?;
    match getppid() == Pid::from_raw(gateway) {
        true => Ok(()),
        false => Err("the gateway that wanted it has ended".to_owned()),
    }
}

fn step<T>(what: &str, done: rustix::io::Result<T>) -> Result<T, String> {
    done.map_err(|error| format!("{what}: {error}"))
}
