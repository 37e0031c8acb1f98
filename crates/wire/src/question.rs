//! Questions to a client, as either era writes them.

use std::collections::BTreeMap;

use model::{Asked, Question};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{Dress, RequestId};

/// The answer that asks: a modern client sends the call again, with its answers and the state.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InputRequired<'a> {
    input_requests: BTreeMap<&'a str, Request>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_state: Option<&'a str>,
    /// What the era wants beside it.
    #[serde(flatten)]
    dress: Dress<'a>,
}

#[derive(Debug, Serialize)]
struct Request {
    method: &'static str,
    params: Value,
}

impl<'a> InputRequired<'a> {
    /// Asks these questions.
    pub fn new(asked: &'a Asked, dress: Dress<'a>) -> Self {
        let request = |question: &Question| Request { method: method(question), params: params(question) };
        let questions = asked.questions.iter();
        Self {
            input_requests: questions.map(|(name, question)| (name.as_str(), request(question))).collect(),
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
        params: Value,
    }
    let mut params = params(question);
    if let (Question::Page { .. }, Some(params)) = (question, params.as_object_mut()) {
        // Nothing refers to it: we never tell a client that somebody is done with a page.
        params.insert("elicitationId".to_owned(), json!(id));
    }
    serde_json::to_vec(&Message { jsonrpc: "2.0", id, method: method(question), params })
}

fn method(question: &Question) -> &'static str {
    match question {
        Question::Form { .. } | Question::Page { .. } => "elicitation/create",
        Question::Sample { .. } => "sampling/createMessage",
        Question::Roots => "roots/list",
    }
}

fn params(question: &Question) -> Value {
    match question {
        Question::Form { message, schema } => json!({ "message": message, "requestedSchema": schema }),
        Question::Page { message, url } => json!({ "mode": "url", "message": message, "url": url }),
        Question::Sample { prompt, max_tokens } => json!({
            "messages": [{ "role": "user", "content": { "type": "text", "text": prompt } }],
            "maxTokens": max_tokens,
        }),
        Question::Roots => Value::Object(Map::new()),
    }
}
