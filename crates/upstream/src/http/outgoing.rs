//! What the head of an HTTP request says of the message in it: read from the very bytes that are sent.

use bytes::Bytes;
use http::HeaderValue;
use wire::{Message, ScanLimits};

/// A message to be posted.
#[derive(Clone)]
pub(super) struct Outgoing {
    pub(super) body: Bytes,
    pub(super) what: What,
    /// The version, where the message itself says it: then it is of the modern era.
    pub(super) modern: Option<Repeated>,
}

/// What the message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A request of this number.
    Request(u64),
    /// The request that begins a session.
    Greeting(u64),
    /// The notification that ends the handshake.
    Greeted,
    /// The notification that this request is given up.
    Cancelled(u64),
    /// What wants no answer.
    Other,
}

/// What a modern head repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repeated {
    pub(super) version: HeaderValue,
    pub(super) method: HeaderValue,
    pub(super) name: Option<HeaderValue>,
}

impl Outgoing {
    /// A message of ours; `None` if it is none.
    pub(super) fn new(body: Vec<u8>) -> Option<Self> {
        let (what, modern) = match Message::parse(&body, ScanLimits::default()).ok()? {
            Message::Request(request) => {
                let id = request.id.as_json().parse().ok()?;
                let what = match &*request.method {
                    "initialize" => What::Greeting(id),
                    _ => What::Request(id),
                };
                (what, repeated(&request.method, &request.params().ok()?)?)
            }
            Message::Notification(notification) => {
                let params = notification.params().ok()?;
                let what = match &*notification.method {
                    "notifications/cancelled" => {
                        What::Cancelled(params.cancelled().ok()?.request_id.as_json().parse().ok()?)
                    }
                    "notifications/initialized" => What::Greeted,
                    _ => What::Other,
                };
                (what, repeated(&notification.method, &params)?)
            }
            Message::Response(_) => (What::Other, None),
        };
        Some(Self { body: body.into(), what, modern })
    }

    /// The number of the request that it is.
    pub(super) fn id(&self) -> Option<u64> {
        match self.what {
            What::Request(id) | What::Greeting(id) => Some(id),
            What::Greeted | What::Cancelled(_) | What::Other => None,
        }
    }
}

fn repeated(method: &str, params: &wire::Params<'_>) -> Option<Option<Repeated>> {
    let Some(version) = params.meta().ok()?.protocol_version else { return Some(None) };
    let value = |text: &str| HeaderValue::try_from(&*wire::encode_header_value(text)).ok();
    let name = match params.header_name(method).ok()? {
        Some(name) => Some(value(&name)?),
        None => None,
    };
    Some(Some(Repeated { version: value(&version)?, method: value(method)?, name }))
}

#[cfg(test)]
mod tests {
    use super::{Outgoing, What};

    #[test]
    fn the_head_of_a_modern_message_repeats_its_method_and_name() {
        let params =
            r#"{"name":"caf\u00e9","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#;
        let call = Outgoing::new(wire::write_request(7, "tools/call", params)).unwrap();
        let repeated = call.modern.unwrap();
        assert_eq!((call.what, repeated.version.to_str().unwrap()), (What::Request(7), "2026-07-28"));
        assert_eq!(repeated.method, "tools/call");
        assert_eq!(repeated.name.unwrap(), "=?base64?Y2Fmw6k=?=");
    }

    #[test]
    fn legacy_messages_say_nothing_and_each_is_known_for_what_it_is() {
        let legacy = Outgoing::new(wire::write_request(1, "tools/call", r#"{"name":"a"}"#)).unwrap();
        assert!(legacy.modern.is_none());
        for (message, what) in [
            (
                wire::write_request(2, "initialize", &wire::initialize_params(model::Abilities::default())),
                What::Greeting(2),
            ),
            (wire::write_initialized(), What::Greeted),
            (wire::write_cancelled(9), What::Cancelled(9)),
            (br#"{"jsonrpc":"2.0","id":"x","result":{}}"#.to_vec(), What::Other),
        ] {
            assert_eq!(Outgoing::new(message).unwrap().what, what);
        }
        assert!(Outgoing::new(b"[]".to_vec()).is_none());
    }
}
