//! The conformance suite against the fixture, and what the suite does not try.

#[path = "../../examples/conformance/before.rs"]
mod before;
#[path = "../../examples/conformance/door.rs"]
mod door;
#[path = "../../examples/conformance/fixture.rs"]
mod fixture;
#[path = "../../examples/conformance/offer.rs"]
mod offer;
#[path = "../../examples/conformance/script.rs"]
mod script;
#[path = "../../examples/conformance/tool.rs"]
mod tool;

mod changes;
mod questions;
mod restart;
mod talk;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use testkit::Conformance;

use fixture::{Behind, Fixture};

/// Scenarios that count, and checks in them, as the pinned suite has them.
const SCORED: [(&str, usize, usize); 2] = [("2025-11-25", 30, 69), ("2026-07-28", 37, 119)];

#[tokio::test(flavor = "multi_thread")]
async fn the_conformance_suite_passes_in_both_requirement_sets() {
    let fixture = Fixture::start().await;
    conforms("direct", format!("http://{}/mcp", fixture.door)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_conformance_suite_passes_through_a_gateway_before_a_server_over_http() {
    let behind = Fixture::start().await;
    let (fixture, _folder) = before::start(Behind::Http(format!("http://{}/mcp", behind.door))).await;
    conforms("before a server over HTTP", format!("http://{}/mcp/fixture", fixture.door)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_conformance_suite_passes_through_a_gateway_before_a_program() {
    let own = std::env::current_exe().unwrap();
    // Cargo builds examples before it runs tests, unless it is told a test's name before `--`.
    let program = own.ancestors().nth(2).unwrap().join("examples/conformance");
    assert!(program.exists(), "`cargo build -p testkit --example conformance` makes {}", program.display());
    // A gateway starts programs through itself, so that it must be one.
    let mut gateway = Ends(Command::new(&program).arg("before").stdout(Stdio::piped()).spawn().unwrap());
    let (mut url, said) = (String::new(), gateway.0.stdout.take().unwrap());
    BufReader::new(said).read_line(&mut url).unwrap();
    conforms("before a program", url.trim().to_owned()).await;
}

/// A process that does not outlive its test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the suite in both requirement sets. No failure is expected.
async fn conforms(how: &str, url: String) {
    for (revision, scenarios, checks) in SCORED {
        let url = url.clone();
        let run = tokio::task::spawn_blocking(move || Conformance::run(&url, revision)).await.unwrap();
        // Not `println!`: a passing test keeps that to itself, and the counts are there to be read.
        let unscored_wrong = run.unscored.iter().filter(|(_, scored)| !scored.wrong.is_empty());
        let unscored_wrong: Vec<&str> = unscored_wrong.map(|(name, _)| name.as_str()).collect();
        let counts = writeln!(
            std::io::stdout(),
            "conformance {how}, {revision}: {} scored scenarios, {} checks passed, {} wrong; {} not scored, of them wrong: {}",
            run.scored.len(),
            run.passed(),
            run.wrong().len(),
            run.unscored.len(),
            unscored_wrong.join(", ")
        );
        counts.unwrap();
        assert_eq!(run.wrong(), Vec::<String>::new(), "{revision}\n{}", run.output);
        assert!(run.conforms, "{revision}\n{}", run.output);
        // A suite that ran half of itself proves nothing.
        assert_eq!(run.scored.len(), scenarios, "{revision}\n{}", run.output);
        assert!(run.passed() >= checks, "{revision}: {} checks", run.passed());
    }
}
