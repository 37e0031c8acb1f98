//! Lines judged for real: run by the shells of this machine in a small world of their own, without network.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How each shell that we quote for is called; `-c` and the line follow.
pub(crate) const SHELLS: [&str; 4] = ["bash", "dash", "busybox sh", "zsh"];

/// What lies in the canary files, in a world where no rule permits to read them.
pub(crate) const SECRET: &str = "CANARY-7f3a9c";

/// What stands in the world (`jail.sh` builds it) and runs the lines.
const JAIL: &str = include_str!("jail.sh");

/// Who runs the lines when root tests: a user that nobody is.
const NOBODY_IN_PARTICULAR: &str = "61777";

/// A line, and the shell that is to run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) shell: &'static str,
    pub(crate) line: String,
}

/// What came of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Standard output and error.
    pub(crate) printed: String,
    /// Files that were made, changed or removed, as a listing's difference; empty if none.
    pub(crate) changed: String,
    /// The argument vectors that arrived at stubs, sorted.
    pub(crate) arrived: Vec<Vec<String>>,
}

impl Seen {
    /// Whether a canary was touched or shown.
    pub(crate) fn acted(&self) -> bool {
        !self.changed.is_empty() || self.printed.contains(SECRET)
    }
}

/// Runs each line once in a new small world, `stubs` being programs that only note their arguments.
///
/// `left_behind` says whether lines may leave something that acts after they ended.
pub(crate) fn judge(runs: &[Run], stubs: &[String], seconds: u32, left_behind: bool) -> Vec<Seen> {
    for shell in ["unshare", "setpriv", "timeout"].iter().chain(&SHELLS) {
        let program = shell.split(' ').next().unwrap();
        let found = ["/bin", "/usr/bin"].iter().any(|folder| Path::new(folder).join(program).exists());
        assert!(found, "`{program}` is not installed: `cargo xtask test` installs what the tests need");
    }
    let share = runs.len().div_ceil(2).max(1);
    std::thread::scope(|scope| {
        let halves: Vec<_> = runs
            .chunks(share)
            .map(|runs| scope.spawn(move || jailed(runs, stubs, seconds, left_behind)))
            .collect();
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    })
}

fn jailed(runs: &[Run], stubs: &[String], seconds: u32, left_behind: bool) -> Vec<Seen> {
    let folder = Folder::new();
    let mut cases = String::new();
    for (number, run) in runs.iter().enumerate() {
        assert!(!run.line.contains('\0'), "no argument can hold a NUL: {:?}", run.line);
        cases.push_str(&format!("{number} {}\n", run.shell));
        folder.write(&format!("{number}.line"), &run.line);
    }
    folder.write("cases", &cases);
    if !stubs.is_empty() {
        folder.write("stubs", &(stubs.join("\n") + "\n"));
    }
    let root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--net", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc"]);
    if !root {
        unshare.args(["--user", "--map-root-user"]);
    }
    let user = if root { NOBODY_IN_PARTICULAR } else { "0" };
    let output = unshare
        .env_clear()
        .args(["sh", "-c", JAIL, "jail"])
        .arg(&folder.0)
        .args([user, &seconds.to_string()])
        .output()
        .unwrap();
    assert!(output.status.success(), "the jail cannot be built here: {output:?}");
    assert!(left_behind || folder.0.join("done").exists(), "something acted after its line had ended");
    (0..runs.len()).map(|number| folder.seen(number)).collect()
}

/// A folder for one jail, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("jail-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.0.join(name)).unwrap_or_default()).into_owned()
    }

    fn seen(&self, number: usize) -> Seen {
        assert!(self.0.join(format!("{number}.ran")).exists(), "line {number} was not run");
        Seen {
            printed: self.read(&format!("{number}.out")),
            changed: self.read(&format!("{number}.changed")),
            arrived: vectors(&self.read(&format!("{number}.argv"))),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What stubs noted: the number of words, then the words, each with a NUL after it.
fn vectors(noted: &str) -> Vec<Vec<String>> {
    let mut fields: VecDeque<&str> = noted.split_terminator('\0').collect();
    let mut vectors = Vec::new();
    while let Some(count) = fields.pop_front() {
        let count: usize = count.parse().unwrap();
        vectors.push(fields.drain(..count).map(str::to_owned).collect());
    }
    vectors.sort();
    vectors
}
