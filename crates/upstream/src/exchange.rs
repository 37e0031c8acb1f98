//! What a lease permits, sent to its upstream, and what comes back.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::{Failure, Forward, NeedsInput, Outcome, PrincipalId, Question, Reply, ReplyKind, UpstreamName};
use serde_json::value::RawValue;
use tokio::time::Instant;
use tools::{ListOf, Listed, ToolRun};
use wire::{AskedFor, CallHead, ModernMeta, Onward};

use crate::call::{Begun, NAME, Step, Stopped, carries_call, carries_state, forward};
use crate::fault::Fault;
use crate::keeper::Keeper;
use crate::link::{Answered, Link};
use crate::question::{self, Refused};

/// How long an upstream has for a page of a list.
const PATIENCE: Duration = Duration::from_secs(60);

/// Questions that one result may ask.
const QUESTIONS: usize = 16;
/// The longest state that comes with them, in bytes: sealed, it goes through the client.
const STATE: usize = 32 * 1024;
/// The error of legacy upstreams that wants a page opened.
const OPEN_A_PAGE: i64 = -32042;

/// Sends what the run's lease permits as a request of this method, and waits for its answer: or goes on with a call that
/// waited for its client.
pub(crate) async fn exchange(
    keeper: &Keeper,
    run: &ToolRun<'_>,
    method: &'static str,
    own_name: &str,
) -> Result<Outcome, Failure> {
    let failed = |fault: Fault| keeper.refuses(fault);
    let link = keeper.link().map_err(failed)?;
    if !run.lease.standing().is_some_and(|standing| Arc::ptr_eq(standing, link.standing())) {
        return Err(failed(Fault::Restarted));
    }
    let begun = Begun::new(keeper, run).map_err(failed)?;
    run.lease.start();
    let heard = link.heard();
    let going = async {
        let mut call = begun.send(keeper, run, &link, method, own_name).await?;
        let step = call.go_on(keeper, run).await?;
        Ok((call, step))
    };
    let bounded = tokio::time::timeout(run.timeout, going);
    let went = match run.cancel.run_until_cancelled(bounded).await {
        None => Err(Stopped::Upstream(Fault::Cancelled)),
        Some(Err(_)) => Err(Stopped::Upstream(Fault::Slow(run.timeout.as_secs()))),
        Some(Ok(went)) => went,
    };
    let answered = match went {
        Ok((_, Step::Answered(answered))) => Ok(answered),
        Ok((call, Step::Asks(question))) => {
            let parked = call.park(keeper, run);
            let questions = BTreeMap::from([(NAME.to_owned(), Question::Theirs(question))]);
            let needs = NeedsInput { questions, carried: parked.map(carries_call), parked };
            return Ok(Outcome { needs: Some(needs), ..Outcome::default() });
        }
        Err(Stopped::Upstream(fault)) => Err(fault),
        Err(Stopped::Ours(failure)) => return Err(failure),
    };
    settle(keeper, run, judged(keeper, &link, answered, heard).map_err(failed)?).await
}

/// What an answer is: an answer, or questions of a modern upstream.
async fn settle(keeper: &Keeper, run: &ToolRun<'_>, answered: Answered) -> Result<Outcome, Failure> {
    let failed = |fault: Fault| fault.of_call(keeper.name());
    let forward = forward(run).map_err(failed)?;
    let (reply, asks) = reply(answered, forward.faithful).map_err(failed)?;
    let needs = if asks { Some(needs(keeper, run, &reply).await?) } else { None };
    let pages = forward.abilities.both(keeper.settings().client_requests).page;
    if reply.kind == ReplyKind::ProtocolError(OPEN_A_PAGE) && !pages {
        let why = "it wants a page opened";
        question::record(run, why, Some("`client_requests` or the client does not permit it")).await?;
        return Err(failed(Fault::Asks(why.to_owned())));
    }
    let reply = marked(reply, keeper.name()).map_err(failed)?;
    Ok(Outcome { reply: Some(reply), needs, ..Outcome::default() })
}

/// The questions of a result. One that may not be asked makes all of it void, since there is no other answer to it.
async fn needs(keeper: &Keeper, run: &ToolRun<'_>, reply: &Reply) -> Result<NeedsInput, Failure> {
    let failed = |fault: Fault| fault.of_call(keeper.name());
    let asked = AskedFor::read(&reply.json);
    let AskedFor { questions: written, state } =
        asked.ok_or_else(|| failed(Fault::Protocol("with questions that are none")))?;
    if written.len() > QUESTIONS || state.as_ref().is_some_and(|state| state.len() > STATE) {
        return Err(failed(Fault::Asks("more than a client can be asked at once".to_owned())));
    }
    let mut questions = BTreeMap::new();
    for (name, method, params) in written {
        let judged = question::judge(keeper, run, &method, params);
        let shown: String = method.chars().take(60).flat_map(char::escape_default).collect();
        let refused = judged.as_ref().err().map(|refused| refused.why.as_str());
        question::record(run, &shown, refused).await?;
        let question = judged.map_err(|Refused { why, .. }| failed(Fault::Asks(why)))?;
        questions.insert(name.into_owned(), Question::Theirs(question));
    }
    Ok(NeedsInput { questions, carried: Some(carries_state(state)), parked: None })
}

/// Says whose words a result is, where it comes among those of others.
fn marked(reply: Reply, upstream: UpstreamName) -> Result<Reply, Fault> {
    if reply.faithful || matches!(reply.kind, ReplyKind::ProtocolError(_)) {
        return Ok(reply);
    }
    Ok(Reply { json: question::with_origin(&reply.json, upstream)?.into(), ..reply })
}

/// What came of a request, as it counts for whether the next are sent. Who has ended is not held to be failing.
fn judged(
    keeper: &Keeper,
    link: &Link,
    answered: Result<Answered, Fault>,
    heard: u64,
) -> Result<Answered, Fault> {
    keeper.calls().sent(keeper.name(), &answered);
    if !link.over.is_cancelled() {
        keeper.breaker().count(&answered, link.heard() != heard);
    }
    answered
}

/// The method that asks for a list, the list in its result, and the name of an item in that.
fn words(of: ListOf) -> (&'static str, &'static str, &'static str) {
    match of {
        ListOf::Resources => ("resources/list", "resources", "uri"),
        ListOf::Templates => ("resources/templates/list", "resourceTemplates", "uriTemplate"),
        ListOf::Prompts => ("prompts/list", "prompts", "name"),
    }
}

/// A list in which nothing is.
pub(crate) fn nothing(of: ListOf) -> Reply {
    let (_, list, _) = words(of);
    let json = format!(r#"{{"{list}":[]}}"#).into();
    Reply { json, kind: ReplyKind::Done, faithful: true, says_its_type: false }
}

/// A page of a list for a principal, without what is not to be shown.
pub(crate) async fn list(
    keeper: &Keeper,
    who: &PrincipalId,
    of: ListOf,
    forward: &Forward,
    keep: &(dyn for<'n> Fn(&'n str) -> bool + Send + Sync),
) -> Result<Listed, Fault> {
    let (method, list, name) = words(of);
    let link = keeper.link()?;
    let _place = keeper.places().take(who, Instant::now())?;
    let modern = keeper.modern().map(ModernMeta::silent);
    let asked = link.ask(method, true, |progress| {
        wire::send_on(&forward.params, &Onward { name: None, progress, modern, input: None })
    });
    let waited = async {
        let asked = asked.await.map_err(|_| Fault::Protocol("nothing, for the parameters are no object"))?;
        asked?.answer().await
    };
    let heard = link.heard();
    let answered = tokio::time::timeout(PATIENCE, waited).await;
    let answered = answered.unwrap_or(Err(Fault::Slow(PATIENCE.as_secs())));
    let answered = judged(keeper, &link, answered, heard)?;
    let (mut reply, asks) = reply(answered, forward.faithful)?;
    if asks {
        return Err(Fault::Asks("nobody is asked for a list".to_owned()));
    }
    if reply.kind == ReplyKind::Done {
        let shown = wire::only_listed(&reply.json, list, name, keep);
        let shown = shown.ok_or(Fault::Protocol("with a list that is none"))?;
        if let Cow::Owned(shown) = shown {
            reply.json = shown.into();
        }
    }
    Ok(Listed { reply, standing: Arc::clone(link.standing()) })
}

/// What an answer is. Whether the upstream asks something back comes beside it.
fn reply(answered: Answered, faithful: bool) -> Result<(Reply, bool), Fault> {
    let Answered { json, is_error } = answered;
    let raw: &RawValue = serde_json::from_str(&json).map_err(|_| Fault::Protocol("what is no JSON"))?;
    if is_error {
        let code = wire::read_error_code(raw).ok_or(Fault::Protocol("with an error that is none"))?;
        let kind = ReplyKind::ProtocolError(code);
        return Ok((Reply { json, kind, faithful, says_its_type: true }, false));
    }
    let head = CallHead::read(raw).ok_or(Fault::Protocol("with a result that is none"))?;
    let kind = if head.is_error { ReplyKind::ToolError } else { ReplyKind::Done };
    let asks = head.result_type.as_deref() == Some("input_required");
    let says_its_type = head.result_type.is_some();
    Ok((Reply { json, kind, faithful, says_its_type }, asks))
}
