//! What all verbs have in common.

use async_trait::async_trait;
use model::{
    Action, Answer, CredentialUse, ErrorCode, Failure, Limits, Outcome, SubAction, Target, ToolName, ToolSet,
};
use serde_json::{Map, Value, json};
use tools::{Annotations, Field, Scene, Schema, Tool, ToolRun, ToolSpec};

/// What makes one verb different from another.
#[async_trait]
pub(super) trait Act: Send + Sync {
    /// What it acts on; verbs act on the gateway unless they say otherwise.
    fn target(
        &self,
        arguments: &Map<String, Value>,
        scene: Scene<'_>,
    ) -> Result<(Target, CredentialUse), Failure> {
        let _ = (arguments, scene);
        Ok((Target::gateway(), CredentialUse::None))
    }

    /// Does it; the result is the structured answer.
    async fn act(
        &self,
        arguments: &Map<String, Value>,
        run: ToolRun<'_>,
    ) -> Result<Map<String, Value>, Failure>;

    /// The answer for people.
    fn text(&self, values: &Map<String, Value>) -> String;
}

/// How a verb is listed.
pub(super) struct Named {
    /// With its prefix: `operator:reload`.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    pub(super) fields: Vec<Field>,
}

/// A verb as a tool.
pub(super) struct Verb<A> {
    spec: ToolSpec,
    act: A,
}

impl<A: Act + 'static> Verb<A> {
    pub(super) fn tool(named: Named, act: A) -> std::sync::Arc<dyn Tool> {
        let Named { name, title, description, fields } = named;
        let tier = super::VERBS.iter().find(|(known, _)| *known == name).map(|(_, tier)| *tier);
        let tier = tier.unwrap_or_else(|| unreachable!("`{name}` is in the table of verbs"));
        let spec = ToolSpec {
            name: self::name(name),
            set: set(),
            tier,
            title: title.into(),
            description: description.into(),
            input: Schema::new(fields),
            output: json!({ "type": "object" }),
            annotations: Annotations::of(tier),
            event: "tool_call",
        };
        std::sync::Arc::new(Self { spec, act })
    }
}

#[async_trait]
impl<A: Act> Tool for Verb<A> {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn resolve(&self, arguments: &Map<String, Value>, scene: Scene<'_>) -> Result<Action, Failure> {
        let (target, credential) = self.act.target(arguments, scene)?;
        Ok(Action {
            tool: self.spec.name.clone(),
            set: self.spec.set.clone(),
            tier: self.spec.tier,
            target,
            parts: vec![SubAction::Whole],
            command: None,
            credential,
            limits: Limits::default(),
            arguments: Value::Object(arguments.clone()),
            forward: None,
        })
    }

    async fn run(&self, run: ToolRun<'_>) -> Result<Outcome, Failure> {
        let arguments = run.lease.action().arguments.as_object().cloned().unwrap_or_default();
        let values = self.act.act(&arguments, run).await?;
        Ok(Outcome { values, ..Outcome::default() })
    }

    fn render(&self, _action: &Action, outcome: Outcome) -> Answer {
        let text = self.act.text(&outcome.values);
        Answer { text, structured: Value::Object(outcome.values), is_error: false, ..Answer::default() }
    }
}

pub(super) fn name(literal: &str) -> ToolName {
    ToolName::parse(literal).unwrap_or_else(|_| unreachable!("a literal"))
}

/// The set of all verbs; no endpoint serves it.
pub(super) fn set() -> ToolSet {
    ToolSet::parse("operator").unwrap_or_else(|_| unreachable!("a literal"))
}

/// A text argument.
pub(super) fn text<'a>(arguments: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    arguments.get(name).and_then(Value::as_str)
}

/// A text argument that the schema requires.
pub(super) fn required<'a>(arguments: &'a Map<String, Value>, name: &str) -> Result<&'a str, Failure> {
    text(arguments, name).ok_or_else(|| wrong(format!("argument `{name}` is missing")))
}

/// The caller asked for something that makes no sense.
pub(super) fn wrong(message: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::InputInvalid, message)
}

/// Fields of a structured answer.
pub(super) fn values<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Runs what waits for the disk where waiting harms nobody.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(super::ours(error)))
}
