//! `portcullis bench`, as somebody meets it who does not wait for its end.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use testkit::wait_until;

use crate::environment::portcullis;

/// How long a condition may take to come true before the test fails. No measure of anything.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn a_benchmark_that_is_told_to_end_leaves_no_process_and_no_file() {
    for told in [Signal::TERM, Signal::INT, Signal::HUP] {
        let folder = tempfile::tempdir().unwrap();
        let mut bench = portcullis(folder.path());
        bench.arg("bench").env("TMPDIR", folder.path());
        let bench = bench.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        // Its gateways are told where their configuration is, and that is below this folder.
        wait_until("the benchmark starts no gateway", PATIENCE, || !running_on(folder.path()).is_empty());
        kill_process(Pid::from_child(&bench), told).unwrap();
        let ended = bench.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{told:?}: {said}");
        assert!(said.contains("ended by a signal"), "{told:?}: {said}");
        wait_until("a process of the benchmark outlives it", PATIENCE, || {
            running_on(folder.path()).is_empty()
        });
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert!(left.is_empty(), "{told:?}: {left:?}");
    }
}

/// The command lines of all processes that name this folder.
fn running_on(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(folder))
        .collect()
}
