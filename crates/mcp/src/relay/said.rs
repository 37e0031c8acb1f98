//! What a client has said that another gateway must hear, and what it must not hear twice.

use std::collections::HashMap;

use tokio::sync::mpsc;
use wire::{Era, Message, Notification, Request, RequestId, RpcError, ScanLimits};

use super::link::Taken;

/// Bytes of unanswered requests that are kept; what is beyond is not sent again.
const MOST_KEPT: usize = 32 * 1024 * 1024;
/// How often a request that only looks is given to a gateway: one that ends gateways must not end them all.
const MOST_TRIES: u32 = 2;

const SCAN: ScanLimits = ScanLimits { depth: 100 };

/// Whether a tool of this name only looks, so that calling it twice is as good as once.
pub type OnlyLooks = fn(&str) -> bool;

/// What the client has said, as far as another gateway must know it.
pub(super) struct Said {
    only_looks: OnlyLooks,
    /// Requests that have no answer yet, by the JSON of their ids.
    under_way: HashMap<Box<str>, UnderWay>,
    /// Requests that are to be sent again, with how often a gateway had them.
    tried: HashMap<Box<str>, u32>,
    kept: usize,
    /// The legacy handshake, and its id.
    handshake: Option<(Box<str>, Vec<u8>)>,
    /// The notification after it.
    initialized: Option<Vec<u8>>,
    /// How many lines the link that is there has been given.
    given: u64,
}

struct UnderWay {
    /// The request, while it may be sent again.
    line: Option<Vec<u8>>,
    /// Which of the link's lines it is.
    at: u64,
    /// Whether nothing happens by it.
    looks: bool,
    tries: u32,
}

/// What becomes of the requests that a lost link can answer no more.
pub(super) struct Settled {
    /// Those that are sent again, in their order.
    pub(super) again: Vec<Vec<u8>>,
    /// Errors that answer the others.
    pub(super) lost: Vec<Vec<u8>>,
}

impl Said {
    pub(super) fn new(only_looks: OnlyLooks) -> Self {
        Self {
            only_looks,
            under_way: HashMap::new(),
            tried: HashMap::new(),
            kept: 0,
            handshake: None,
            initialized: None,
            given: 0,
        }
    }

    /// Notes a line that is given to the link.
    pub(super) fn asked(&mut self, line: &[u8]) {
        match Message::parse(line, SCAN) {
            Ok(Message::Request(request)) => self.requested(&request, line),
            Ok(Message::Notification(notification)) => self.notified(&notification, line),
            // The gateway says what is wrong with the rest.
            Ok(Message::Response(_)) | Err(_) => {}
        }
        self.given += 1;
    }

    fn requested(&mut self, request: &Request<'_>, line: &[u8]) {
        let id: Box<str> = request.id.as_json().into();
        if request.method == "initialize" {
            self.handshake = Some((id.clone(), line.to_vec()));
        }
        self.forget(&id);
        let fits = self.kept.saturating_add(line.len()) <= MOST_KEPT;
        let under_way = UnderWay {
            line: fits.then(|| line.to_vec()),
            at: self.given,
            looks: self.looks(request),
            tries: self.tried.remove(&id).unwrap_or(0) + 1,
        };
        self.kept += under_way.line.as_ref().map_or(0, Vec::len);
        self.under_way.insert(id, under_way);
    }

    fn looks(&self, request: &Request<'_>) -> bool {
        match request.method.as_ref() {
            "tools/call" => {
                let name = request.params().and_then(|params| params.call()).map(|call| call.name);
                name.is_ok_and(|name| (self.only_looks)(&name))
            }
            method => matches!(
                method,
                "initialize"
                    | "ping"
                    | "server/discover"
                    | "tools/list"
                    | "resources/list"
                    | "resources/templates/list"
                    | "resources/read"
                    | "prompts/list"
                    | "prompts/get"
                    | "completion/complete"
            ),
        }
    }

    fn notified(&mut self, notification: &Notification<'_>, line: &[u8]) {
        match notification.method.as_ref() {
            "notifications/initialized" => self.initialized = Some(line.to_vec()),
            "notifications/cancelled" => {
                let cancelled = notification.params().and_then(|params| params.cancelled());
                let Ok(id) = cancelled.map(|cancelled| cancelled.request_id) else { return };
                // Whoever gave it up does not want it done by the next gateway.
                if let Some(line) = self.under_way.get_mut(id.as_json()).and_then(|one| one.line.take()) {
                    self.kept -= line.len();
                }
            }
            _ => {}
        }
    }

    /// Notes an answer; false if the client has seen it before.
    pub(super) fn answered(&mut self, line: &[u8], repeated: &mut Option<Box<str>>) -> bool {
        let Ok(Message::Response(response)) = Message::parse(line, SCAN) else { return true };
        let Some(id) = response.id else { return true };
        if repeated.as_deref() == Some(id.as_json()) {
            *repeated = None;
            return false;
        }
        self.forget(id.as_json());
        true
    }

    /// Begins a new link: says the handshake again on it, and returns the id whose answer the client already has.
    pub(super) async fn handshake_to_repeat(&mut self, to_write: &mpsc::Sender<Vec<u8>>) -> Option<Box<str>> {
        self.given = 0;
        let (id, line) = self.handshake.as_ref()?;
        if self.tried.contains_key(id) {
            // It is sent again like any other request: the client waits for its answer.
            return None;
        }
        for line in std::iter::once(line).chain(&self.initialized) {
            to_write.send(line.clone()).await.ok()?;
            self.given += 1;
        }
        Some(id.clone())
    }

    /// Sorts what the lost link can answer no more: again, if nothing can have come of it, or if nothing comes of asking
    /// twice; else an error that says that nobody knows.
    pub(super) fn settle(&mut self, taken: Taken) -> Settled {
        let mut again = Vec::new();
        let mut lost = Vec::new();
        for (id, one) in std::mem::take(&mut self.under_way) {
            let untaken = !taken.may_hold(one.at);
            match one.line.filter(|_| untaken || (one.looks && one.tries < MOST_TRIES)) {
                Some(line) => {
                    self.tried.insert(id, if untaken { one.tries - 1 } else { one.tries });
                    again.push((one.at, line));
                }
                None => lost.push(id),
            }
        }
        self.kept = 0;
        if self.handshake.as_ref().is_some_and(|(id, _)| lost.contains(id)) {
            (self.handshake, self.initialized) = (None, None);
        }
        again.sort_by_key(|(at, _)| *at);
        Settled {
            again: again.into_iter().map(|(_, line)| line).collect(),
            lost: lost.into_iter().filter_map(error).collect(),
        }
    }

    fn forget(&mut self, id: &str) {
        if let Some(one) = self.under_way.remove(id) {
            self.kept -= one.line.as_ref().map_or(0, Vec::len);
        }
    }
}

fn error(id: Box<str>) -> Option<Vec<u8>> {
    let raw = serde_json::value::RawValue::from_string(id.into()).ok()?;
    Some(wire::error_message(Some(RequestId::from_owned(&raw)), &RpcError::Lost, Era::Legacy))
}
