//! From an ask to a reply: the protocol's own at once, everything else through the gateway.

use std::sync::Arc;
use std::time::Duration;

use gateway::{
    Authenticated, Endpoint, Errand, GaveUp, Input, NotRecorded, PromptCall, Recorded, TheirList, ToolCall,
    Unlisted,
};
use model::{Answer, Forward, Turn};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use wire::RpcError;

use crate::Gate;
use crate::alone::{self, Alone};
use crate::ask::{Ask, CallAsk, ProtocolAsk};
use crate::notices;
use crate::peer::{Talk, Unanswered};
use crate::reply::{Keeping, Offers, ProtocolReply, Reply};

/// How often a running call tells how many bytes have come, at most.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// How often one call may ask its client before it is given up.
const ROUNDS: usize = 8;

/// Who asks, where, how to stop it, and what can be said to them meanwhile.
pub(crate) struct Asker {
    pub(crate) who: Authenticated<()>,
    pub(crate) endpoint: Endpoint,
    pub(crate) cancel: CancellationToken,
    pub(crate) talk: Talk,
    pub(crate) alone: Option<Arc<Alone>>,
}

impl Asker {
    fn offers(&self, gate: &dyn Gate) -> Offers {
        alone::offers(self.alone.as_ref(), gate, self.endpoint)
    }
}

/// Answers what was asked. While a call runs, what it says goes to `out`, if there is somewhere to say it; notices that do
/// not fit there are left out, never waited for.
pub(crate) async fn answer(
    gate: &Arc<dyn Gate>,
    asker: Asker,
    ask: Ask,
    out: Option<&mpsc::Sender<Vec<u8>>>,
) -> Reply {
    let gate = Arc::clone(gate);
    match ask {
        Ask::Protocol(ask) => Reply::Protocol(protocol(&gate, &asker, ask)),
        Ask::Call(ask) => {
            let conversation = Conversation { gate, asker: &asker, name: &ask.name, errand: None, out };
            conversation
                .hold(ask.input.clone(), |input| call(&conversation, &ask, input))
                .await
                .map_or_else(given_up, |answer| alone::told(asker.alone.as_ref(), &ask.name, answer))
        }
        Ask::Prompt(ask) => {
            let conversation = Conversation { gate, asker: &asker, name: &ask.name, errand: None, out };
            conversation
                .hold(ask.input.clone(), |input| prompt(&conversation, &ask, input))
                .await
                .map_or_else(given_up, Reply::Prompt)
        }
        Ask::Errand(ask, keeping) => {
            let conversation = Conversation { gate, asker: &asker, name: &ask.name, errand: ask.errand, out };
            conversation
                .hold(ask.input.clone(), |input| call(&conversation, &ask, input))
                .await
                .map_or_else(given_up, |answer| Reply::Theirs(answer, keeping))
        }
        Ask::ListTheirs(of, forward) => {
            let list = TheirList { endpoint: asker.endpoint, of, forward };
            let list = gate.list_theirs(asker.who.with(list)).await;
            list.map_or_else(unlisted, |list| Reply::Theirs(list, Keeping::Never))
        }
        Ask::ListTools(cursor) => {
            let list = gate.list_tools(asker.who.with(asker.endpoint)).await;
            list.map_or_else(unlisted, |list| Reply::Tools(list, cursor))
        }
        Ask::ListResources(cursor) => {
            let list = gate.list_resources(asker.who).await;
            list.map_or_else(unlisted, |list| Reply::Resources(list, cursor))
        }
        Ask::ListPrompts(cursor) => {
            let list = gate.list_prompts(asker.who).await;
            list.map_or_else(unlisted, |list| Reply::Prompts(list, cursor))
        }
        Ask::Complete(asked) => {
            gate.complete(asker.who.with(asked)).await.map_or_else(unlisted, Reply::Completion)
        }
        Ask::ReadResource(uri) => {
            let read = gate.read_resource(asker.who.with(uri.clone())).await;
            read.map_or_else(unrecorded, |resource| Reply::Resource(resource, uri))
        }
        // Answered by the transport, which has a stream for it.
        Ask::Listen(_) => failed(RpcError::Internal),
    }
}

fn failed(error: RpcError) -> Reply {
    Reply::Protocol(ProtocolReply::Failed(error))
}

fn unrecorded(NotRecorded: NotRecorded) -> Reply {
    failed(RpcError::Internal)
}

fn unlisted(why: Unlisted) -> Reply {
    failed(match why {
        Unlisted::NotRecorded(NotRecorded) => RpcError::Internal,
        Unlisted::OverRate => RpcError::OverRate,
    })
}

fn no_such_method(name: &str) -> ProtocolReply {
    ProtocolReply::Failed(RpcError::MethodNotFound(name.to_owned()))
}

fn protocol(gate: &Arc<dyn Gate>, asker: &Asker, ask: ProtocolAsk) -> ProtocolReply {
    let peer = asker.talk.peer.as_ref();
    match ask {
        // Alone, an upstream has its tools and nothing to watch.
        ProtocolAsk::Subscribe(_) if asker.alone.is_some() => no_such_method("resources/subscribe"),
        ProtocolAsk::Unsubscribe(_) if asker.alone.is_some() => no_such_method("resources/unsubscribe"),
        ProtocolAsk::Initialize(version, _) => ProtocolReply::Initialized(version, asker.offers(&**gate)),
        ProtocolAsk::Nothing => ProtocolReply::Nothing,
        ProtocolAsk::SetLevel(level) => {
            if let Some(peer) = peer {
                peer.set_level(level);
            }
            ProtocolReply::Nothing
        }
        ProtocolAsk::Subscribe(uri) => {
            let at = asker.who.with(asker.endpoint);
            // Before it is looked at, so that no change of it is missed.
            let watching = gate.watch(&at, &uri);
            let now = gate.view(&at, std::slice::from_ref(&uri)).watched.get(&uri).copied().flatten();
            match peer.map_or(Ok(()), |peer| peer.watch(uri, now, watching)) {
                Ok(()) => ProtocolReply::Nothing,
                Err(error) => ProtocolReply::Failed(error),
            }
        }
        ProtocolAsk::Unsubscribe(uri) => {
            if let Some(peer) = peer {
                peer.unwatch(&uri);
            }
            ProtocolReply::Nothing
        }
        ProtocolAsk::Discover => ProtocolReply::Discovered(asker.offers(&**gate)),
        ProtocolAsk::ListResourceTemplates => ProtocolReply::ResourceTemplates(gate.templates()),
    }
}

/// A call with whatever its client is asked on the way to its answer.
struct Conversation<'a> {
    gate: Arc<dyn Gate>,
    asker: &'a Asker,
    name: &'a str,
    errand: Option<Errand>,
    out: Option<&'a mpsc::Sender<Vec<u8>>>,
}

/// Why a conversation has no answer.
enum GivenUp {
    NotRecorded,
    Unanswered,
}

fn given_up(why: GivenUp) -> Reply {
    failed(match why {
        GivenUp::NotRecorded => RpcError::Internal,
        GivenUp::Unanswered => RpcError::Unanswered,
    })
}

impl Conversation<'_> {
    /// Makes the call, asks the client what it needs, and makes it again with the answers. Modern clients are asked by the
    /// answer itself, and come back by themselves.
    async fn hold<F>(&self, first: Input, call: impl Fn(Input) -> F) -> Result<Recorded<Answer>, GivenUp>
    where
        F: Future<Output = Result<Recorded<Answer>, NotRecorded>>,
    {
        let Asker { who, endpoint, talk, cancel, .. } = self.asker;
        let (mut input, mut parked) = (first, None);
        for _ in 0..ROUNDS {
            let answer = call(input).await.map_err(|NotRecorded| GivenUp::NotRecorded)?;
            let (Turn::Client(asked), Some(peer), Some(out)) = (&answer.inner().turn, &talk.peer, self.out)
            else {
                return Ok(answer);
            };
            parked = asked.parked;
            match peer.ask(out, asked, talk.patience, cancel).await {
                Ok(answers) => input = Input { answers: Some(answers), state: asked.state.clone() },
                Err(Unanswered) => break,
            }
        }
        let tool = self.name.to_owned();
        let gave_up = GaveUp { endpoint: *endpoint, tool, errand: self.errand, parked };
        Arc::clone(&self.gate).unanswered(who.with(gave_up)).await;
        Err(GivenUp::Unanswered)
    }
}

async fn call(
    conversation: &Conversation<'_>,
    ask: &CallAsk,
    input: Input,
) -> Result<Recorded<Answer>, NotRecorded> {
    let Asker { who, endpoint, cancel, talk, .. } = conversation.asker;
    let mut call = ToolCall {
        cancel: cancel.clone(),
        abilities: talk.abilities,
        input,
        forward: ask.forward.clone().map(|forward| Forward {
            abilities: talk.abilities,
            level: talk.level,
            ..forward
        }),
        errand: ask.errand,
        ..ToolCall::new(*endpoint, ask.name.clone(), ask.arguments.clone())
    };
    let gate = Arc::clone(&conversation.gate);
    let Some(out) = conversation.out else { return gate.call(who.with(call)).await };
    call.notices = notices::told(out, ask.progress.as_deref(), talk.level);
    let Some(token) = &ask.progress else { return gate.call(who.with(call)).await };
    let (told, heard) = watch::channel(0);
    call.progress = Some(Arc::new(move |bytes| {
        told.send_replace(bytes);
    }));
    attended(gate.call(who.with(call)), heard, token, out).await
}

async fn prompt(
    conversation: &Conversation<'_>,
    ask: &CallAsk,
    input: Input,
) -> Result<Recorded<Answer>, NotRecorded> {
    let Asker { who, talk, .. } = conversation.asker;
    let (name, arguments) = (ask.name.clone(), ask.arguments.clone());
    let call = PromptCall { name, arguments, abilities: talk.abilities, input };
    Arc::clone(&conversation.gate).get_prompt(who.with(call)).await
}

/// Waits for a call, and tells how many bytes have come whenever that has grown.
async fn attended<T>(
    call: impl Future<Output = T>,
    heard: watch::Receiver<u64>,
    token: &RawValue,
    out: &mpsc::Sender<Vec<u8>>,
) -> T {
    let mut call = std::pin::pin!(call);
    let mut ticks = tokio::time::interval(PROGRESS_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut told = 0;
    loop {
        tokio::select! {
            biased;
            result = &mut call => return result,
            _ = ticks.tick() => {}
        }
        let bytes = *heard.borrow();
        if bytes > told
            && let Ok(notice) = notices::bytes_so_far(token, bytes)
        {
            told = bytes;
            // A full channel means a slow reader; the next notice tells more anyway.
            let _ = out.try_send(notice);
        }
    }
}
