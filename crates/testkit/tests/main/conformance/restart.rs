//! States that were given out before the process died.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use gateway::{SystemClock, SystemEntropy};
use mcp::SessionLimits;
use serde_json::Value;

use super::fixture::Fixture;
use super::questions::{CARRIES, ask, resume};
use super::talk::Client;

/// Set for the process that is killed: the folder that it serves.
const FOLDER: &str = "PORTCULLIS_TEST_RESTART";

#[tokio::test(flavor = "multi_thread")]
async fn a_state_from_before_a_kill_is_refused_whether_it_was_used_or_not() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return serve(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let before = Process::start(folder.path());
    let client = before.client(folder.path());
    let [used, unused] = [ask(&client, CARRIES).await, ask(&client, CARRIES).await];
    let done = resume(&client, CARRIES, &used).await;
    assert_eq!(done["result"]["resultType"], "complete", "{done}");
    before.kill();

    let after = Process::start(folder.path());
    let client = after.client(folder.path());
    for (state, which) in [(&used, "used"), (&unused, "not used")] {
        let refused = resume(&client, CARRIES, state).await;
        assert_eq!(refused["error"]["code"], -32602, "{which}: {refused}");
        let said = refused["error"]["message"].as_str().unwrap();
        assert!(said.contains("`requestState` is refused"), "{which}: {refused}");
    }
    assert_eq!(refusals(folder.path()), 2, "both are on record");
    // Whoever asks anew is served, with the same key.
    let state = ask(&client, CARRIES).await;
    assert_eq!(resume(&client, CARRIES, &state).await["result"]["resultType"], "complete");
}

async fn serve(folder: &Path) {
    let clock = Arc::new(SystemClock::new(&SystemEntropy).unwrap());
    let fixture = Fixture::start_at(folder, clock, SessionLimits::default()).await;
    // Not `println!`: the one that waits for this reads the pipe.
    let told = writeln!(std::io::stdout(), "\nfront {}", fixture.front);
    told.unwrap();
    std::future::pending::<()>().await;
}

fn refusals(folder: &Path) -> usize {
    let entries = super::questions::entries(folder);
    entries.iter().filter(|entry: &&Value| entry["error_code"] == "input.state").count()
}

/// This test once more, as the server.
struct Process {
    child: Child,
    front: SocketAddr,
}

impl Process {
    fn start(folder: &Path) -> Self {
        let name = "conformance::restart::a_state_from_before_a_kill_is_refused_whether_it_was_used_or_not";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let front = lines.find_map(|line| line.strip_prefix("front ")?.parse().ok()).expect("it listens");
        Self { child, front }
    }

    fn client(&self, folder: &Path) -> Client {
        let kept = std::fs::read_to_string(folder.join("suite.key")).unwrap();
        Client::new(self.front, kept.split(' ').next().unwrap())
    }

    /// With SIGKILL: nothing is written on the way out.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
