//! One JSON-RPC message, borrowed from its bytes.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::{Malformed, Params, RpcError, ScanLimits, scan};

/// A message from the other side.
#[derive(Debug, Clone)]
pub enum Message<'a> {
    /// Wants an answer.
    Request(Request<'a>),
    /// Wants none.
    Notification(Notification<'a>),
    /// Answers a request of ours.
    Response(Response<'a>),
}

/// A message that wants an answer.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Its id, to be spliced into the answer.
    pub id: RequestId<'a>,
    /// Its method.
    pub method: Cow<'a, str>,
    params: Option<&'a RawValue>,
}

/// A message that wants no answer.
#[derive(Debug, Clone)]
pub struct Notification<'a> {
    /// Its method.
    pub method: Cow<'a, str>,
    params: Option<&'a RawValue>,
}

/// An answer to a request of ours.
#[derive(Debug, Clone)]
pub struct Response<'a> {
    /// The id of the request it answers; `None` for an error about a message whose id could not be read.
    pub id: Option<RequestId<'a>>,
    /// The result, or the error.
    pub outcome: Result<&'a RawValue, &'a RawValue>,
}

/// A message that was refused, with its id if one could be read.
#[derive(Debug, Clone)]
pub struct Refusal<'a> {
    /// The id to answer to.
    pub id: Option<RequestId<'a>>,
    /// Why.
    pub error: RpcError,
}

/// A request's id: a string or an integer, kept as the bytes it was written with.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(transparent)]
pub struct RequestId<'a>(&'a RawValue);

/// What a request asks its progress to be marked with: a string or an integer, kept as written.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(transparent)]
pub struct ProgressToken<'a>(&'a RawValue);

// Longer ones are legal, but no client needs them and every answer would carry them.
const ID_MAX: usize = 256;

impl<'a> Message<'a> {
    /// Reads the bytes of one message.
    pub fn parse(bytes: &'a [u8], limits: ScanLimits) -> Result<Self, Refusal<'a>> {
        let text = scan(bytes, limits).map_err(|malformed| refuse(None, RpcError::Malformed(malformed)))?;
        if !text.trim_start().starts_with('{') {
            return Err(refuse(None, RpcError::InvalidRequest("a message must be an object")));
        }
        let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(text) else {
            return Err(refuse(None, RpcError::InvalidRequest("`jsonrpc` and `method` must be strings")));
        };
        let id = match envelope.id.map(RequestId::read) {
            None => None,
            Some(Ok(id)) => Some(id),
            // An error about a message that we could not read has a null id.
            Some(Err(_)) if envelope.error.is_some() && envelope.method.is_none() => None,
            Some(Err(why)) => return Err(refuse(None, RpcError::InvalidRequest(why))),
        };
        envelope.classify(id).map_err(|why| refuse(id, RpcError::InvalidRequest(why)))
    }
}

impl<'a> Request<'a> {
    /// The parameters as they were written, to be sent on.
    pub fn raw_params(&self) -> Option<&'a RawValue> {
        self.params
    }

    /// Reads the parameters.
    pub fn params(&self) -> Result<Params<'a>, RpcError> {
        Params::read(self.params)
    }
}

impl<'a> Notification<'a> {
    /// The parameters as they were written.
    pub fn raw_params(&self) -> Option<&'a RawValue> {
        self.params
    }

    /// Reads the parameters.
    pub fn params(&self) -> Result<Params<'a>, RpcError> {
        Params::read(self.params)
    }
}

impl<'a> RequestId<'a> {
    /// The JSON text of the id, quotes included.
    pub fn as_json(&self) -> &'a str {
        self.0.get()
    }

    /// An id of its own, for whoever outlives the message.
    pub fn to_owned_json(&self) -> Box<RawValue> {
        self.0.to_owned()
    }

    /// Takes back what [`RequestId::to_owned_json`] gave.
    pub fn from_owned(raw: &'a RawValue) -> Self {
        Self(raw)
    }

    pub(crate) fn read(raw: &'a RawValue) -> Result<Self, &'static str> {
        bounded_scalar(raw).map(Self).ok_or("an id must be a string or an integer of at most 256 bytes")
    }
}

impl<'a> ProgressToken<'a> {
    /// A token of its own, for whoever outlives the message.
    pub fn to_owned_json(&self) -> Box<RawValue> {
        self.0.to_owned()
    }

    /// Takes back what [`ProgressToken::to_owned_json`] gave.
    pub fn from_owned(raw: &'a RawValue) -> Self {
        Self(raw)
    }

    pub(crate) fn read(raw: &'a RawValue) -> Result<Self, RpcError> {
        let wrong = "`_meta.progressToken` must be a string or an integer of at most 256 bytes";
        bounded_scalar(raw).map(Self).ok_or(RpcError::InvalidParams(wrong.into()))
    }
}

fn bounded_scalar(raw: &RawValue) -> Option<&RawValue> {
    let text = raw.get();
    let digits = text.strip_prefix('-').unwrap_or(text);
    let integer = digits.len() <= 20 && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    (text.len() <= ID_MAX && (text.starts_with('"') || integer)).then_some(raw)
}

fn refuse(id: Option<RequestId<'_>>, error: RpcError) -> Refusal<'_> {
    Refusal { id, error }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    jsonrpc: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    fn classify(self, id: Option<RequestId<'a>>) -> Result<Message<'a>, &'static str> {
        if self.jsonrpc.as_deref() != Some("2.0") {
            return Err("`jsonrpc` must be \"2.0\"");
        }
        match (self.method, self.result, self.error) {
            (Some(method), None, None) => {
                if self.params.is_some_and(|params| !params.get().starts_with('{')) {
                    return Err("`params` must be an object");
                }
                let params = self.params;
                Ok(match id {
                    Some(id) => Message::Request(Request { id, method, params }),
                    None => Message::Notification(Notification { method, params }),
                })
            }
            (None, Some(result), None) if id.is_some() => {
                Ok(Message::Response(Response { id, outcome: Ok(result) }))
            }
            (None, None, Some(error)) => Ok(Message::Response(Response { id, outcome: Err(error) })),
            _ => Err("a message has either a `method`, or an `id` with a `result` or an `error`"),
        }
    }
}

/// Tells a member that is null from one that is not there.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&'a RawValue>::deserialize(deserializer).map(Some)
}

impl From<Malformed> for RpcError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

#[cfg(test)]
mod tests;
