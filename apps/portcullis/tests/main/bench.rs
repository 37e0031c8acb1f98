//! `portcullis bench`, as somebody meets it who does not wait for its end.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use testkit::wait_until;

use crate::environment::{Ran, portcullis};

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

/// Every figure, in its order.
const FIGURES: [&str; 24] = [
    "bare JSON echo, CPU a call, 32 connections",
    "whoami, CPU a call, 32 connections",
    "whoami against the echo, CPU",
    "whoami, median latency, 32 connections",
    "bare JSON echo, median latency, 32 connections",
    "reading and compiling 100 rules",
    "policy decision, permitted, 100 rules, CPU",
    "policy decision, denied and explained, 100 rules, CPU",
    "reading and compiling 10000 rules",
    "policy decision, permitted, 10000 rules, CPU",
    "policy decision, denied and explained, 10000 rules, CPU",
    "analysis of a command line, CPU",
    "quoting of an analysed line, CPU",
    "ssh with ControlMaster, `true`, median",
    "ssh_execute true, pooled, durability process, median",
    "ssh_execute against ssh with ControlMaster",
    "ssh_execute true, pooled, durability auto, median",
    "bare write and fsync, median",
    "curl, the same request, kept connection, CPU",
    "CyberArk retrieval, kept connection, CPU",
    "CyberArk retrieval against curl, kept connection, CPU",
    "curl, the same request, kept connection with a client certificate, CPU",
    "CyberArk retrieval, kept connection with a client certificate, CPU",
    "CyberArk retrieval against curl, kept connection with a client certificate, CPU",
];

/// What a third-party server is called through.
const WAYS: [&str; 7] = [
    "direct",
    "bare hop",
    "gateway",
    "gateway, stdio",
    "gateway, tier dangerous",
    "gateway, legacy client",
    "gateway, stdio, legacy client",
];

/// Ratios of CPU, for which so few calls may be too few. All else that they need is on this machine.
const MAY_LACK: [&str; 2] = ["whoami against the echo, CPU", "upstream, gateway against the hop, CPU"];

fn figures_wanted() -> Vec<String> {
    let mut wanted: Vec<String> = FIGURES.iter().map(|name| (*name).to_owned()).collect();
    for way in WAYS {
        for what in ["median at 1", "median at 8", "median at 32", "p99 at 32", "CPU a call at 32"] {
            wanted.push(format!("upstream, {way}: {what}"));
        }
    }
    for goal in ["against the hop, CPU", "against the hop, p99", "above the hop, median at 1"] {
        wanted.push(format!("upstream, gateway {goal}"));
    }
    wanted.push("idle memory 1 s after start".to_owned());
    wanted
}

/// What the figures are is nobody's business here: only that each is there, and is one.
#[test]
fn a_benchmark_that_is_waited_for_measures_everything_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = portcullis(folder.path());
    bench
        .args(["bench", "--rounds", "1", "--calls", "2", "--idle", "1", "--json"])
        .env("TMPDIR", folder.path());
    let ran = Ran::from(bench.output().unwrap());
    assert_eq!(ran.exit, 0, "{ran:?}");
    let report = ran.json();
    let figures = report["figures"].as_array().unwrap();
    let names: Vec<_> = figures.iter().map(|figure| figure["name"].as_str().unwrap()).collect();
    assert_eq!(names, figures_wanted());
    for figure in figures {
        match figure["value"].as_f64() {
            Some(value) => {
                assert!(value >= 0.0 && figure["note"].is_null(), "{figure}: {}", ran.err);
                assert!(!figure["unit"].as_str().unwrap().is_empty(), "{figure}");
            }
            None => {
                assert!(MAY_LACK.iter().any(|name| figure["name"] == *name), "{figure}: {}", ran.err);
                assert!(figure["note"].as_str().unwrap().contains("too few calls"), "{figure}");
            }
        }
    }
    assert_eq!(running_on(folder.path()), Vec::<String>::new());
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
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
