//! How a request is answered: as one message, or as a stream of events that ends with it.

use std::collections::VecDeque;
use std::sync::Arc;

use http::Response;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use wire::{Era, ListenParams, RequestId, RpcError};

use super::Shared;
use super::body::{Body, Events};
use super::post::{Exchange, answered, event_stream};
use crate::answer::{Asker, answer};
use crate::ask::{Ask, CallAsk};
use crate::in_flight::Entry;
use crate::listen::{self, Listener, Wants};
use crate::measure;
use crate::peer::Talk;
use crate::reply::{self, ProtocolReply, Reply, SERVER, Sent};

/// Messages that may wait for a slow reader of an event stream.
const WAITING: usize = 16;

/// A request under way, and what it needs to be answered.
pub(super) struct UnderAnswer {
    pub(super) ask: Ask,
    pub(super) id: Box<RawValue>,
    pub(super) era: Era,
    pub(super) cancel: CancellationToken,
    /// Of a legacy session. Without one, going away cancels.
    pub(super) entry: Option<Entry>,
    pub(super) talk: Talk,
}

impl Exchange<'_> {
    /// Answers. What wants progress, or takes nothing else, gets a stream of events at once; what says something before
    /// it is done gets one from then on.
    pub(super) async fn answer(self, mut under: UnderAnswer) -> Response<Body> {
        let progress = matches!(
            under.ask,
            Ask::Call(CallAsk { progress: Some(_), .. }) | Ask::Errand(CallAsk { progress: Some(_), .. }, _)
        );
        let calls = matches!(under.ask, Ask::Call(_) | Ask::Prompt(_) | Ask::Errand(..));
        if self.accepts.events && (progress || !self.accepts.json) {
            return self.answer_with_events(under);
        }
        if self.accepts.events && calls && under.talk.may_speak() {
            return self.answer_when_known(under).await;
        }
        under.talk = under.talk.silent();
        Box::pin(self.answer_whole(under)).await
    }

    async fn answer_whole(self, under: UnderAnswer) -> Response<Body> {
        let UnderAnswer { ask, id, era, cancel, entry, talk } = under;
        let id = RequestId::from_owned(&id);
        let alone = self.shared.alone.clone();
        let asker = Asker { who: self.who, endpoint: self.endpoint, cancel: cancel.clone(), talk, alone };
        let Some(entry) = entry else {
            // The client going away is how a modern request is cancelled.
            let gone = cancel.drop_guard();
            let reply = answer(&self.shared.gate, asker, ask, None).await;
            gone.disarm();
            return answered(reply::send(reply, id, era));
        };
        let gate = Arc::clone(&self.shared.gate);
        // In a task of its own: a client of these versions that goes away has not cancelled anything, and can still do so
        // by a notification.
        let running = self.shared.tasks.spawn(async move {
            let reply = answer(&gate, asker, ask, None).await;
            drop(entry);
            reply
        });
        let reply = running.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a request ended in a defect");
            Reply::Protocol(ProtocolReply::Failed(RpcError::Internal))
        });
        answered(reply::send(reply, id, era))
    }

    fn answer_with_events(self, under: UnderAnswer) -> Response<Body> {
        let (out, messages) = mpsc::channel(WAITING);
        let cancelling = under.entry.is_none().then(|| under.cancel.clone());
        let Self { shared, who, endpoint, under_way, .. } = self;
        let (gate, alone) = (Arc::clone(&shared.gate), shared.alone.clone());
        shared.tasks.spawn(async move {
            let UnderAnswer { ask, id, era, cancel, entry, talk } = under;
            let reply = answer(&gate, Asker { who, endpoint, cancel, talk, alone }, ask, Some(&out)).await;
            drop(entry);
            let sent = reply::send(reply, RequestId::from_owned(&id), era);
            count(&sent);
            // Nobody there any more: the answer is recorded, and lost to the client, as the protocol says.
            let _ = out.send(sent.message).await;
        });
        let events = Events::new(messages, shared.ending.clone(), shared.limits.keep_alive, under_way);
        event_stream(match cancelling {
            Some(cancel) => events.cancelling(cancel),
            None => events,
        })
    }

    async fn answer_when_known(self, under: UnderAnswer) -> Response<Body> {
        let (out, mut messages) = mpsc::channel(WAITING);
        let (done, mut finished) = oneshot::channel::<Sent>();
        // Until there is a stream, which cancels when it is dropped.
        let gone = under.entry.is_none().then(|| under.cancel.clone().drop_guard());
        let Self { shared, who, endpoint, under_way, .. } = self;
        let (gate, alone) = (Arc::clone(&shared.gate), shared.alone.clone());
        shared.tasks.spawn(async move {
            let UnderAnswer { ask, id, era, cancel, entry, talk } = under;
            let reply = answer(&gate, Asker { who, endpoint, cancel, talk, alone }, ask, Some(&out)).await;
            drop(entry);
            let sent = reply::send(reply, RequestId::from_owned(&id), era);
            if let Err(sent) = done.send(sent) {
                count(&sent);
                let _ = out.send(sent.message).await;
            }
        });
        let mut said = VecDeque::new();
        let ended = tokio::select! {
            biased;
            sent = &mut finished => sent.ok(),
            Some(first) = messages.recv() => {
                said.push_back(first);
                finished.close();
                finished.try_recv().ok()
            }
        };
        if ended.is_some() {
            while let Ok(message) = messages.try_recv() {
                said.push_back(message);
            }
        }
        let cancel = gone.map(tokio_util::sync::DropGuard::disarm);
        match ended {
            Some(sent) if said.is_empty() => return answered(sent),
            Some(sent) => {
                count(&sent);
                said.push_back(sent.message);
            }
            None => {}
        }
        let events =
            Events::new(messages, shared.ending.clone(), shared.limits.keep_alive, under_way).after(said);
        event_stream(match cancel {
            Some(cancel) => events.cancelling(cancel),
            None => events,
        })
    }

    /// `subscriptions/listen`: a stream that tells what changes, until one side ends it.
    pub(super) fn subscribe(self, asked: &ListenParams, id: RequestId<'_>) -> Response<Body> {
        let failed = |error: &RpcError| answered(reply::failed(Some(id), error, Era::Modern));
        if !self.accepts.events {
            return failed(&RpcError::InvalidRequest("a subscription is answered by an event stream only"));
        }
        let Self { shared, who, endpoint, under_way, .. } = self;
        let Some(place) = shared.subscriptions.open(&who) else { return failed(&RpcError::Busy) };
        let (granted, peer) = match listen::subscribe(&shared.gate, &who, endpoint, asked) {
            Ok(granted) => granted,
            Err(error) => return failed(&error),
        };
        let Ok(first) = wire::write_listening(id, &granted) else { return failed(&RpcError::Internal) };
        let (out, messages) = mpsc::channel(1);
        let events = Events::new(messages, shared.ending.clone(), shared.limits.keep_alive, under_way)
            .after(VecDeque::from([first]));
        let wants = Wants::of(&granted);
        tokio::spawn(told(
            Arc::clone(shared),
            who,
            endpoint,
            peer,
            wants,
            id.to_owned_json(),
            place.ended(),
            out,
        ));
        event_stream(events.holding(place))
    }
}

/// Tells a subscription what changes. The end is a result, where we end it in order.
#[expect(clippy::too_many_arguments, reason = "they are the parts of one subscription, used once")]
async fn told(
    shared: Arc<Shared>,
    who: gateway::Authenticated<()>,
    endpoint: gateway::Endpoint,
    peer: Arc<crate::peer::Peer>,
    wants: Wants,
    id: Box<RawValue>,
    ended: CancellationToken,
    out: mpsc::Sender<Vec<u8>>,
) {
    Arc::clone(&shared.gate).agent_connected(who.clone()).await;
    let gate = Arc::clone(&shared.gate);
    let renewing = Arc::clone(&gate);
    let listener = Listener {
        gate,
        who: Box::new(move || renewing.renew(&who)),
        endpoint,
        peer,
        wants,
        subscription: Some(id.clone()),
    };
    tokio::select! {
        () = listener.run(out.clone()) => {}
        () = ended.cancelled() => {}
        () = shared.closing.cancelled() => {}
    }
    let end = wire::ListenEnded::new(RequestId::from_owned(&id), SERVER);
    if let Ok(message) = wire::write_result(RequestId::from_owned(&id), &end) {
        // A reader that reads nothing does not hold the end up.
        let _ = out.try_send(message);
    }
}

fn count(sent: &Sent) {
    measure::request("http", sent.outcome);
    measure::bytes_out(sent.message.len());
}
