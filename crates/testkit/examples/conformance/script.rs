//! What each of the suite's tools does.

use std::collections::BTreeMap;
use std::sync::Weak;
use std::time::Duration;

use model::{
    Content, ErrorCode, Failure, LogLevel, Media, NeedsInput, Outcome, Question, ResourceBody,
    ResourceContent,
};
use serde_json::{Value, json};
use tools::Notices;

use super::fixture::live;
use super::tool::{Call, Rules};

/// Names and what they are for.
pub(crate) const NAMES: &[(&str, &str)] = &[
    ("test_audio_content", "Answers with a sound."),
    ("test_elicitation", "Asks the person what the caller says."),
    ("test_elicitation_sep1034_defaults", "Asks with a default in every field."),
    ("test_elicitation_sep1330_enums", "Asks with every kind of choice."),
    ("test_embedded_resource", "Answers with a resource."),
    ("test_error_handling", "Fails."),
    ("test_image_content", "Answers with a picture."),
    ("test_input_required_result_capabilities", "Asks only what the client can be asked."),
    ("test_input_required_result_elicitation", "Asks a name."),
    ("test_input_required_result_list_roots", "Asks for the client's folders."),
    ("test_input_required_result_multi_round", "Asks twice."),
    ("test_input_required_result_multiple_inputs", "Asks three things at once."),
    ("test_input_required_result_request_state", "Asks, and carries something."),
    ("test_input_required_result_sampling", "Asks the client's model."),
    ("test_input_required_result_tampered_state", "Asks, and carries something."),
    ("test_logging_tool", "Says something while it runs."),
    ("test_missing_capability", "Needs the client's model."),
    ("test_multiple_content_types", "Answers with a text, a picture and a resource."),
    ("test_sampling", "Asks the client's model what the caller says."),
    ("test_simple_text", "Answers with a text."),
    ("test_sometimes_there", "Is there, or is not."),
    ("test_streaming_elicitation", "Asks for a confirmation."),
    ("test_tool_with_logging", "Says three things while it runs."),
    ("test_tool_with_progress", "Tells how far it is."),
    ("test_trigger_tool_change", "Hides a tool, or shows it again."),
];

/// A picture of one pixel.
pub(crate) const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0,
    1, 8, 2, 0, 0, 0, 0x90, 0x77, 0x53, 0xde, 0, 0, 0, 12, b'I', b'D', b'A', b'T', 0x08, 0xd7, 0x63, 0xf8,
    0xcf, 0xc0, 0, 0, 3, 1, 1, 0, 0x18, 0xdd, 0x8d, 0xb0, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42,
    0x60, 0x82,
];

/// No sound at all.
const WAV: &[u8] =
    b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\0\0\0";

const STEP: Duration = Duration::from_millis(50);

/// Runs a tool.
pub(crate) async fn run(
    name: &str,
    call: &Call,
    notices: &dyn Notices,
    rules: &Rules,
) -> Result<Outcome, Failure> {
    Ok(match name {
        "test_simple_text" => text("This is a simple text response for testing."),
        "test_image_content" => shown(vec![image()]),
        "test_audio_content" => shown(vec![Content::Audio(media(WAV, "audio/wav"))]),
        "test_embedded_resource" => shown(vec![resource(
            "test://embedded-resource",
            "text/plain",
            "This is an embedded resource content.",
        )]),
        "test_multiple_content_types" => shown(vec![
            Content::Text("Multiple content types test:".to_owned()),
            image(),
            resource("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
        ]),
        "test_error_handling" => {
            let told = "This tool intentionally returns an error for testing";
            return Err(Failure::new(ErrorCode::Internal, told));
        }
        "test_tool_with_logging" | "test_logging_tool" => {
            for said in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
                notices.log(LogLevel::Info, said);
                tokio::time::sleep(STEP).await;
            }
            text("said what there was to say")
        }
        "test_tool_with_progress" => {
            for done in [0.0, 50.0, 100.0] {
                notices.progress(done, Some(100.0), None);
                tokio::time::sleep(STEP).await;
            }
            text("done")
        }
        "test_trigger_tool_change" => {
            toggle(rules);
            text("what there is has changed")
        }
        "test_sometimes_there" => text("there"),
        _ => asking(name, call)?,
    })
}

/// The tools that ask.
fn asking(name: &str, call: &Call) -> Result<Outcome, Failure> {
    let argument = |key: &str| call.arguments.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (questions, carried) = match name {
        "test_sampling" => (vec![("sample", sample(&argument("prompt"), 100))], None),
        "test_elicitation" => (vec![("user", form(&argument("message"), user()))], None),
        "test_elicitation_sep1034_defaults" => (vec![("defaults", form("Defaults", defaults()))], None),
        "test_elicitation_sep1330_enums" => (vec![("choices", form("Choices", choices()))], None),
        "test_missing_capability" => (vec![("sample", sample("Anything", 10))], None),
        "test_streaming_elicitation" => {
            (vec![("confirm", form("Please confirm", field("ok", "boolean")))], None)
        }
        "test_input_required_result_elicitation" => (vec![("user_name", name_form())], None),
        "test_input_required_result_sampling" => {
            (vec![("capital_question", sample("What is the capital of France?", 100))], None)
        }
        "test_input_required_result_list_roots" => (vec![("client_roots", Question::Roots)], None),
        "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => {
            (vec![("confirm", form("Please confirm", field("ok", "boolean")))], Some(json!("confirming")))
        }
        "test_input_required_result_multiple_inputs" => (
            vec![
                ("user_name", name_form()),
                ("greeting", sample("Generate a greeting", 50)),
                ("client_roots", Question::Roots),
            ],
            Some(json!("three at once")),
        ),
        "test_input_required_result_capabilities" => {
            let all = [("user_name", name_form(), call.can.0), ("greeting", sample("Greet", 50), call.can.1)];
            (
                all.into_iter()
                    .filter(|(.., can)| *can)
                    .map(|(name, question, _)| (name, question))
                    .collect(),
                None,
            )
        }
        "test_input_required_result_multi_round" => match &call.input.carried {
            None => (vec![("step1", name_form())], Some(json!({ "step": 1 }))),
            Some(carried) if carried["step"] == 1 => {
                let known = call.input.answers.get("step1").cloned();
                let question = form("Step 2: What is your favorite color?", field("color", "string"));
                (vec![("step2", question)], Some(json!({ "step": 2, "known": known })))
            }
            Some(_) => (vec![("step2", name_form())], Some(json!({ "step": 2 }))),
        },
        _ => return Err(Failure::new(ErrorCode::Internal, format!("`{name}` has no script"))),
    };
    // What is carried must come back; without it, answers are nobody's.
    let continued = carried.is_none() || call.input.carried.is_some();
    let answered = questions.iter().all(|(name, _)| call.input.answers.contains_key(*name));
    if continued && answered {
        return Ok(text(&format!("state-ok, answered: {}", Value::Object(call.input.answers.clone()))));
    }
    Ok(needs(questions, carried))
}

/// An outcome that asks.
pub(crate) fn needs(questions: Vec<(&str, Question)>, carried: Option<Value>) -> Outcome {
    let questions: BTreeMap<String, Question> =
        questions.into_iter().map(|(name, question)| (name.to_owned(), question)).collect();
    Outcome { needs: Some(NeedsInput { questions, carried, parked: None }), ..Outcome::default() }
}

/// An outcome that shows this.
pub(crate) fn shown(content: Vec<Content>) -> Outcome {
    Outcome { content, ..Outcome::default() }
}

/// A question for a person.
pub(crate) fn form(message: &str, schema: Value) -> Question {
    Question::Form { message: message.to_owned(), schema }
}

/// A form of one field.
pub(crate) fn field(name: &str, kind: &str) -> Value {
    json!({ "type": "object", "properties": { name: { "type": kind } }, "required": [name] })
}

/// The picture.
pub(crate) fn image() -> Content {
    Content::Image(media(PNG, "image/png"))
}

/// A resource that holds a text.
pub(crate) fn resource(uri: &str, mime_type: &str, text: &str) -> Content {
    let body = ResourceBody::Text(text.to_owned());
    Content::Resource(ResourceContent { uri: uri.to_owned(), mime_type: mime_type.to_owned(), body })
}

fn media(bytes: &[u8], mime_type: &str) -> Media {
    Media { bytes: bytes.to_vec(), mime_type: mime_type.to_owned() }
}

fn text(text: &str) -> Outcome {
    shown(vec![Content::Text(text.to_owned())])
}

fn sample(prompt: &str, max_tokens: u32) -> Question {
    Question::Sample { prompt: prompt.to_owned(), max_tokens }
}

fn name_form() -> Question {
    form("What is your name?", field("name", "string"))
}

fn user() -> Value {
    let field = |what: &str| json!({ "type": "string", "description": what });
    json!({
        "type": "object",
        "properties": { "username": field("User's response"), "email": field("User's email address") },
        "required": ["username", "email"],
    })
}

fn defaults() -> Value {
    json!({ "type": "object", "required": [], "properties": {
        "name": { "type": "string", "default": "John Doe" },
        "age": { "type": "integer", "default": 30 },
        "score": { "type": "number", "default": 95.5 },
        "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
        "verified": { "type": "boolean", "default": true },
    }})
}

fn choices() -> Value {
    let titled = json!([
        { "const": "value1", "title": "First Option" },
        { "const": "value2", "title": "Second Option" },
        { "const": "value3", "title": "Third Option" },
    ]);
    let plain = ["option1", "option2", "option3"];
    json!({ "type": "object", "required": [], "properties": {
        "untitledSingle": { "type": "string", "enum": plain },
        "titledSingle": { "type": "string", "oneOf": titled },
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": { "type": "array", "items": { "type": "string", "enum": plain } },
        "titledMulti": { "type": "array", "items": { "anyOf": titled } },
    }})
}

/// Puts the policy in force that is not.
fn toggle(rules: &Rules) {
    let Some(gateway) = rules.late.get().and_then(Weak::upgrade) else { return };
    let shows = |hiding: bool| live(&rules.entries, &rules.tools, hiding);
    let open = shows(false);
    let hiding = gateway.live().snapshot.hash() == open.snapshot.hash();
    gateway.swap(if hiding { shows(true) } else { open });
}
