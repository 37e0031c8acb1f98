//! The conformance suite against the fixture, and what the suite does not try.

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

use std::io::Write as _;

use testkit::Conformance;

use fixture::Fixture;

/// Scenarios that count, and checks in them, as the pinned suite has them.
const SCORED: [(&str, usize, usize); 2] = [("2025-11-25", 30, 69), ("2026-07-28", 37, 119)];

#[tokio::test(flavor = "multi_thread")]
async fn the_conformance_suite_passes_in_both_requirement_sets() {
    let fixture = Fixture::start().await;
    let url = format!("http://{}/mcp", fixture.door);
    for (revision, scenarios, checks) in SCORED {
        let url = url.clone();
        let run = tokio::task::spawn_blocking(move || Conformance::run(&url, revision)).await.unwrap();
        // Not `println!`: a passing test keeps that to itself, and the counts are there to be read.
        let unscored_wrong = run.unscored.iter().filter(|(_, scored)| !scored.wrong.is_empty());
        let unscored_wrong: Vec<&str> = unscored_wrong.map(|(name, _)| name.as_str()).collect();
        let counts = writeln!(
            std::io::stdout(),
            "conformance {revision}: {} scored scenarios, {} checks passed, {} wrong; {} not scored, of them wrong: {}",
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
