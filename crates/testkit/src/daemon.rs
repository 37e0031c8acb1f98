//! A server as a child process that cannot outlive its test.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::machine::{program, wait_until};

/// A running server; killed with all it started when dropped, and by a watcher when the test process dies.
pub(crate) struct Daemon {
    child: Child,
    watcher: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command` with its output in the file `log`.
    pub(crate) fn spawn(command: &mut Command, log: &Path) -> Self {
        let file =
            File::options().create(true).append(true).open(log).expect("the server's log can be written");
        let mut watcher = watcher();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file handle can be cloned"))
            .stderr(file)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let line = format!("{}\n", child.id());
        watcher.stdin.as_mut().expect("piped").write_all(line.as_bytes()).expect("the watcher reads");
        Self { child, watcher, log: log.to_owned() }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("a child can be waited for")
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(pid(self.child.id()), signal).expect("a child that was not waited for can be signalled");
    }

    /// All it wrote so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Kills what it started, but not itself.
    pub(crate) fn kill_descendants(&self) {
        kill_all(&descendants(self.child.id()));
    }

    /// Kills it and what it started.
    pub(crate) fn kill(&mut self) {
        if self.ended().is_some() {
            return;
        }
        let below = descendants(self.child.id());
        // Its group first: whatever it forks from now on dies with it.
        let _ = kill_process_group(pid(self.child.id()), Signal::KILL);
        kill_all(&below);
        let _ = self.child.wait();
    }
}

/// Kills the process group whose number it was told when its standard input ends, which happens when the test process
/// does, in whatever way.
fn watcher() -> Child {
    Command::new(program("sh"))
        .args(["-c", "read -r group && ! read -r _ && kill -9 \"-$group\""])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("the watcher starts")
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // First the watcher, so that it can never act on a number that the system has given away again.
        let _ = self.watcher.kill();
        let _ = self.watcher.wait();
        self.kill();
    }
}

/// Kills every process of a user of this machine, also those that are being started, and waits for their end.
pub(crate) fn kill_all_of(uid: u32) {
    assert!(uid >= 1000, "user {uid} belongs to the system, not to the tests");
    wait_until("a user's processes did not end", Duration::from_secs(10), || {
        let alive: Vec<u32> = process_ids().filter(|id| owner(*id) == Some(uid) && !is_dead(*id)).collect();
        kill_all(&alive);
        alive.is_empty()
    });
}

/// Kills these processes; those that have ended already do not matter.
fn kill_all(ids: &[u32]) {
    for id in ids {
        let _ = kill_process(pid(*id), Signal::KILL);
    }
}

fn owner(id: u32) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(format!("/proc/{id}")).ok().map(|process| process.uid())
}

/// Gone, or only waiting for its parent to notice.
fn is_dead(id: u32) -> bool {
    status(id).is_none_or(|(state, _)| state == "Z" || state == "X")
}

fn pid(id: u32) -> Pid {
    i32::try_from(id).ok().and_then(Pid::from_raw).expect("process ids are positive")
}

fn descendants(of: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = process_ids().filter_map(|id| Some((id, parent(id)?))).collect();
    let mut found = vec![of];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(parents.iter().filter(|(_, p)| *p == parent).map(|(id, _)| *id));
        next += 1;
    }
    found.split_off(1)
}

fn process_ids() -> impl Iterator<Item = u32> {
    std::fs::read_dir("/proc")
        .expect("/proc can be read")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok()))
}

fn parent(id: u32) -> Option<u32> {
    status(id)?.1.parse().ok()
}

/// State and parent of a process.
fn status(id: u32) -> Option<(String, String)> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The second field is the command in parentheses, which may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.to_owned()))
}
