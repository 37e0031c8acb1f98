//! Prompts: texts with places to fill in.
//!
//! Getting one is a hidden tool on the gateway, so it takes the whole pipeline with an empty lease.

use std::sync::Arc;

use async_trait::async_trait;
use model::{Action, Answer, ClientInput, ErrorCode, Failure, Outcome, Tier, ToolName, ToolSet};
use serde_json::{Map, Value, json};
use tools::{Annotations, Field, Kind, Offer, Scene, Schema, Tool, ToolRun, ToolSpec};

/// The hidden tool behind every prompt. Policy permits it as it permits `whoami`.
pub(crate) struct GetPrompt {
    spec: ToolSpec,
    offer: Option<Arc<dyn Offer>>,
}

impl GetPrompt {
    pub(crate) const NAME: &'static str = "get_prompt";

    pub(crate) fn new(offer: Option<Arc<dyn Offer>>) -> Self {
        let spec = ToolSpec {
            name: ToolName::parse(Self::NAME).unwrap_or_else(|_| unreachable!("a literal")),
            set: ToolSet::parse("gateway").unwrap_or_else(|_| unreachable!("a literal")),
            tier: Tier::Read,
            title: "Get a prompt".into(),
            description: "Gets one prompt with its arguments filled in.".into(),
            input: Schema::new(vec![
                Field::required("name", Kind::Text(128), "The prompt's name."),
                Field::optional("arguments", Kind::Object, "What is filled in."),
            ]),
            output: json!({ "type": "object" }),
            annotations: Annotations::of(Tier::Read),
            event: "prompt_read",
        };
        Self { spec, offer }
    }

    /// Whether there is this prompt, and everything that must be filled in is there, as texts.
    fn check(&self, name: &str, arguments: &Map<String, Value>) -> Result<(), Failure> {
        let prompts = self.offer.iter().flat_map(|offer| offer.prompts());
        let prompt = prompts.into_iter().find(|prompt| prompt.name == name);
        let prompt = prompt.ok_or_else(|| invalid(format!("there is no prompt `{}`", shown(name))))?;
        let known = |key: &String| prompt.arguments.iter().any(|argument| argument.name == *key);
        if let Some(unknown) = arguments.keys().find(|key| !known(key)) {
            return Err(invalid(format!("the prompt has no argument `{}`", shown(unknown))));
        }
        if let Some((key, _)) = arguments.iter().find(|(_, value)| !value.is_string()) {
            return Err(invalid(format!("argument `{key}` must be a text")));
        }
        let missing = prompt
            .arguments
            .iter()
            .find(|argument| argument.required && !arguments.contains_key(&argument.name));
        missing.map_or(Ok(()), |argument| Err(invalid(format!("argument `{}` is missing", argument.name))))
    }
}

#[async_trait]
impl Tool for GetPrompt {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn resolve(&self, arguments: &Map<String, Value>, scene: Scene<'_>) -> Result<Action, Failure> {
        let name = arguments.get("name").and_then(Value::as_str).unwrap_or_default();
        let filled = arguments.get("arguments").and_then(Value::as_object).cloned().unwrap_or_default();
        self.check(name, &filled)?;
        let (answers, carried) =
            scene.input.map(|input| (input.answers.clone(), input.carried.clone())).unwrap_or_default();
        Ok(self
            .spec
            .on_gateway(json!({ "name": name, "arguments": filled, "answers": answers, "carried": carried })))
    }

    async fn run(&self, run: ToolRun<'_>) -> Result<Outcome, Failure> {
        let asked = &run.lease.action().arguments;
        let object = |key: &str| asked.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
        let name = asked.get("name").and_then(Value::as_str).unwrap_or_default();
        let carried = asked.get("carried").filter(|carried| !carried.is_null()).cloned();
        let input = ClientInput { answers: object("answers"), carried };
        let outcome = self.offer.as_ref().and_then(|offer| offer.prompt(name, &object("arguments"), &input));
        outcome.ok_or_else(|| invalid(format!("there is no prompt `{}`", shown(name))))
    }

    fn render(&self, _action: &Action, outcome: Outcome) -> Answer {
        Answer { content: outcome.content, ..Answer::default() }
    }
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

fn invalid(message: String) -> Failure {
    Failure::new(ErrorCode::InputInvalid, message).with_hint("list the prompts to see what there is")
}
