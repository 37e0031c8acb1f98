//! Questions to a client, as either era writes them.

use std::collections::BTreeMap;

use model::{Asked, Question, TheirQuestion};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::{Dress, RequestId, question_method};

/// The answer that asks: a modern client sends the call again, with its answers and the state.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InputRequired<'a> {
    input_requests: BTreeMap<&'a str, Request<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_state: Option<&'a str>,
    /// What the era wants beside it.
    #[serde(flatten)]
    dress: Dress<'a>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Request<'a> {
    method: &'static str,
    params: Params<'a>,
}

/// What is asked: of ours a value, of an upstream its own text.
#[derive(Debug)]
enum Params<'a> {
    Ours(Value),
    Theirs(&'a str),
}

impl Serialize for Params<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Ours(value) => value.serialize(serializer),
            Self::Theirs(text) => {
                let raw: &RawValue = serde_json::from_str(text).map_err(serde::ser::Error::custom)?;
                raw.serialize(serializer)
            }
        }
    }
}

/// Questions as the answer that asks holds them.
pub(crate) fn requests(questions: &BTreeMap<String, Question>) -> BTreeMap<&str, Request<'_>> {
    let request = |question| Request { method: method(question), params: params(question) };
    questions.iter().map(|(name, question)| (name.as_str(), request(question))).collect()
}

impl<'a> InputRequired<'a> {
    /// Asks these questions.
    pub fn new(asked: &'a Asked, dress: Dress<'a>) -> Self {
        Self {
            input_requests: requests(&asked.questions),
            request_state: asked.state.as_deref(),
            dress: dress.asking(),
        }
    }
}

/// Writes the request that asks a legacy client one question.
pub fn write_question(id: RequestId<'_>, question: &Question) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(Serialize)]
    struct Message<'a> {
        jsonrpc: &'static str,
        id: RequestId<'a>,
        method: &'static str,
        params: Params<'a>,
    }
    let mut params = params(question);
    if let (Question::Page { .. }, Params::Ours(Value::Object(params))) = (question, &mut params) {
        // Nothing refers to it: we never tell a client that somebody is done with a page.
        params.insert("elicitationId".to_owned(), json!(id));
    }
    serde_json::to_vec(&Message { jsonrpc: "2.0", id, method: method(question), params })
}

fn method(question: &Question) -> &'static str {
    question_method(question.ability())
}

fn params(question: &Question) -> Params<'_> {
    Params::Ours(match question {
        Question::Form { message, schema } => json!({ "message": message, "requestedSchema": schema }),
        Question::Page { message, url } => json!({ "mode": "url", "message": message, "url": url }),
        Question::Sample { prompt, max_tokens } => json!({
            "messages": [{ "role": "user", "content": { "type": "text", "text": prompt } }],
            "maxTokens": max_tokens,
        }),
        Question::Roots => Value::Object(Map::new()),
        Question::Theirs(TheirQuestion { params, .. }) => return Params::Theirs(params),
    })
}
