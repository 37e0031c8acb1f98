//! What a lease permits, sent to its upstream, and what comes back.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use model::{Failure, Forward, Outcome, PrincipalId, Reply, ReplyKind, UpstreamName};
use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tools::{ListOf, Listed, ToolRun};
use wire::{CallHead, Onward};

use crate::fault::Fault;
use crate::keeper::Keeper;
use crate::link::{Answered, Link, Next};

/// How long an upstream has for a page of a list.
const PATIENCE: Duration = Duration::from_secs(60);

/// Under this key of `_meta` a result says that it comes from an upstream.
const ORIGIN: &str = "portcullis/origin";

/// Sends what the run's lease permits as a request of this method, and waits for its answer.
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
    let who = &run.lease.intended().permit().principal().id;
    let _place = keeper.places().take(who, Instant::now()).map_err(failed)?;
    run.lease.start();
    let (reply, asks) = send(keeper, &link, run, method, own_name).await.map_err(failed)?;
    if asks {
        return Err(failed(Fault::Asks));
    }
    let reply = with_origin(reply, keeper.name()).map_err(failed)?;
    Ok(Outcome { reply: Some(reply), ..Outcome::default() })
}

/// Says whose words a result is, where it comes among those of others: in `_meta`, where nothing else of it changes.
fn with_origin(reply: Reply, upstream: UpstreamName) -> Result<Reply, Fault> {
    if reply.faithful || matches!(reply.kind, ReplyKind::ProtocolError(_)) {
        return Ok(reply);
    }
    let origin = json!({ "upstream": upstream.as_str(), "trusted": false }).to_string();
    let json = wire::with_meta(&reply.json, ORIGIN, &origin);
    let json = json.map_err(|_| Fault::Protocol("with a result whose `_meta` is none"))?;
    Ok(Reply { json: json.into(), ..reply })
}

/// Sends the request and waits for its answer, for as long as the run may take.
async fn send(
    keeper: &Keeper,
    link: &Link,
    run: &ToolRun<'_>,
    method: &'static str,
    own_name: &str,
) -> Result<(Reply, bool), Fault> {
    let action = run.lease.action();
    let forward = action.forward.as_ref().ok_or(Fault::Protocol("nothing, for nothing was sent"))?;
    let name = (!forward.faithful).then_some(own_name);
    let modern = keeper.modern();
    let asked = link.ask(method, wire::wants_progress(&forward.params), |progress| {
        wire::send_on(&forward.params, &Onward { name, progress, modern })
    });
    let waited = async {
        let asked = asked.await.map_err(|_| Fault::Protocol("nothing, for the parameters are no object"))?;
        let mut asked = asked?;
        loop {
            match asked.next().await {
                Next::Answer(answered) => return answered,
                Next::Progress(said) => run.notices.progress(said.done, said.total, said.message.as_deref()),
            }
        }
    };
    let heard = link.heard();
    let bounded = tokio::time::timeout(run.timeout, waited);
    let answered = match run.cancel.run_until_cancelled(bounded).await {
        None => Err(Fault::Cancelled),
        Some(Err(_)) => Err(Fault::Slow(run.timeout.as_secs())),
        Some(Ok(answered)) => answered,
    };
    judged(keeper, link, answered, heard).and_then(|answered| reply(answered, forward.faithful))
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
    let modern = keeper.modern();
    let asked = link.ask(method, false, |progress| {
        wire::send_on(&forward.params, &Onward { name: None, progress, modern })
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
        return Err(Fault::Asks);
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
