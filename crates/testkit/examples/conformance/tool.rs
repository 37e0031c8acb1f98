//! The suite's tools: what they take, and how their calls become actions.

use std::sync::Arc;

use async_trait::async_trait;
use gateway::Entry;
use model::{Action, Answer, ClientInput, Failure, Outcome, Tier, ToolName, ToolSet};
use policy::ToolFacts;
use serde_json::{Map, Value, json};
use tools::{Annotations, Field, Kind, Scene, Schema, Tool, ToolRun, ToolSpec};

use super::fixture::Late;
use super::script;

/// One tool of the suite.
struct FixtureTool {
    spec: ToolSpec,
    rules: Rules,
}

/// What it takes to put other rules in force.
#[derive(Clone)]
pub(crate) struct Rules {
    /// The gateway.
    pub(crate) late: Late,
    /// Its principals.
    pub(crate) entries: Arc<Vec<Entry>>,
    /// Its tools.
    pub(crate) tools: Vec<ToolFacts>,
}

/// A call as a script sees it.
pub(crate) struct Call {
    /// The tool's arguments.
    pub(crate) arguments: Map<String, Value>,
    /// What the client answered.
    pub(crate) input: ClientInput,
    /// Whether it can be asked for forms, and for samples.
    pub(crate) can: (bool, bool),
}

/// Every tool.
pub(crate) fn all(late: &Late, entries: &Arc<Vec<Entry>>) -> Vec<Arc<dyn Tool>> {
    let specs: Vec<ToolSpec> = script::NAMES.iter().map(|(name, does)| spec(name, does)).collect();
    let facts =
        |spec: &ToolSpec| ToolFacts { name: spec.name.clone(), set: spec.set.clone(), tier: spec.tier };
    let tools = specs.iter().map(facts).collect();
    let rules = Rules { late: Arc::clone(late), entries: Arc::clone(entries), tools };
    let tool = |spec| Arc::new(FixtureTool { spec, rules: rules.clone() }) as Arc<dyn Tool>;
    specs.into_iter().map(tool).collect()
}

fn spec(name: &'static str, does: &'static str) -> ToolSpec {
    let input = match name {
        "test_sampling" => vec![Field::required("prompt", Kind::Text(1000), "What the model is told.")],
        "test_elicitation" => vec![Field::required("message", Kind::Text(1000), "What the person is told.")],
        _ => Vec::new(),
    };
    ToolSpec {
        name: ToolName::parse(name).expect("a literal"),
        set: ToolSet::parse("conformance").expect("a literal"),
        tier: Tier::Read,
        title: does.into(),
        description: does.into(),
        input: Schema::new(input),
        output: json!({ "type": "object" }),
        annotations: Annotations::of(Tier::Read),
        event: "tool_call",
    }
}

#[async_trait]
impl Tool for FixtureTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn resolve(&self, arguments: &Map<String, Value>, scene: Scene<'_>) -> Result<Action, Failure> {
        let ClientInput { answers, carried } = scene.input.cloned().unwrap_or_default();
        let can = (scene.abilities.form, scene.abilities.sample);
        Ok(self.spec.on_gateway(
            json!({ "arguments": arguments, "answers": answers, "carried": carried, "can": can }),
        ))
    }

    async fn run(&self, run: ToolRun<'_>) -> Result<Outcome, Failure> {
        let asked = &run.lease.action().arguments;
        let object = |key: &str| asked[key].as_object().cloned().unwrap_or_default();
        let carried = Some(asked["carried"].clone()).filter(|carried| !carried.is_null());
        let can = (asked["can"][0] == true, asked["can"][1] == true);
        let input = ClientInput { answers: object("answers"), carried };
        let call = Call { arguments: object("arguments"), input, can };
        script::run(self.spec.name.as_str(), &call, run.notices, &self.rules).await
    }

    fn render(&self, _action: &Action, outcome: Outcome) -> Answer {
        Answer { content: outcome.content, ..Answer::default() }
    }
}
