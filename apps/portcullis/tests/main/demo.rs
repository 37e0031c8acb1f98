//! The tour.

use serde_json::Value;

use crate::environment;

#[test]
fn every_step_of_the_tour_does_what_it_should() {
    let folder = tempfile::tempdir().unwrap();
    let ran = environment::run(folder.path(), &["demo", "--once", "--json"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let told = ran.json();
    let steps: Vec<&str> =
        told["steps"].as_array().unwrap().iter().filter_map(|step| step["step"].as_str()).collect();
    assert_eq!((&told["ok"], steps.len()), (&Value::Bool(true), 11), "{steps:?}");
    assert!(steps.iter().any(|step| step.starts_with("A third-party MCP server")), "{steps:?}");
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "it leaves nothing where it is run");
}
