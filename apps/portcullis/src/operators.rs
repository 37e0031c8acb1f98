//! One way for every verb: the running gateway over its control socket, or the same gateway in this process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gateway::control::{Act, ControlClient, ControlRequest, Operators, Reply, Verbs, user_name};
use gateway::owner::{OwnError, Owner};
use serde_json::{Map, Value};
use tokio::runtime::Runtime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cli::{As, Global};
use crate::compose::{self, Portcullis};
use crate::failure::{Exit, Stop};
use crate::output::Output;
use crate::place::Place;

/// How long an owner that does not answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// Asks, and prints the answer's text (or, with `--json`, its structure).
pub(crate) fn run(global: &Global, request: ControlRequest, output: Output) -> Result<Exit, Stop> {
    let reply = ask(global, request, output)?;
    show(&reply, output)
}

/// Asks for a verb.
pub(crate) fn verb(
    global: &Global,
    verb: &str,
    arguments: Map<String, Value>,
    output: Output,
) -> Result<Reply, Stop> {
    ask(global, ControlRequest::verb(verb, arguments), output)
}

/// Asks the owner of the state; without one this process owns it until the answer is there.
pub(crate) fn ask(global: &Global, request: ControlRequest, output: Output) -> Result<Reply, Stop> {
    let place = Place::find(global.config.as_deref())?;
    let state = place.sketch()?.state;
    runtime()?.block_on(async {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(mut client) = owner(&state, deadline).await? {
                return client.ask(&request).await.map_err(unanswered);
            }
            match compose::local(&place, global, output).await {
                Ok(local) => return ask_local(local, request).await,
                // Somebody else was quicker: then that one is asked.
                Err(_) if is_owned(&state) && Instant::now() < deadline => {}
                Err(stop) => return Err(stop),
            }
        }
    })
}

async fn ask_local(local: Portcullis, request: ControlRequest) -> Result<Reply, Stop> {
    let operators = Operators::new(Arc::clone(&local.gateway), Arc::clone(&local.tray));
    let me = user_name(rustix::process::geteuid().as_raw());
    let reply = operators.answer(&me, request, CancellationToken::new()).await;
    drop(operators);
    local.close().await?;
    Ok(reply)
}

/// The owner of a state folder, or `None` if there is none. One that has just begun, or that owns it for one command only,
/// is waited for.
async fn owner(state: &Path, deadline: Instant) -> Result<Option<ControlClient>, Stop> {
    loop {
        if let Some(client) = ControlClient::connect(state).await.map_err(unanswered)? {
            return Ok(Some(client));
        }
        if !is_owned(state) {
            return Ok(None);
        }
        if Instant::now() >= deadline {
            return Err(Stop::failed(format!(
                "the state folder `{}` is owned by a process that does not answer",
                state.display()
            ))
            .with_hint("the process's id is in the file `lock` there"));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn is_owned(state: &Path) -> bool {
    state.exists() && matches!(Owner::take(state), Err(OwnError::Owned { .. }))
}

/// Asks a verb of the running gateway; without one there is nothing to reload and nobody to be healthy.
pub(crate) fn running(global: &Global, verb: &str, arguments: Map<String, Value>) -> Result<Reply, Stop> {
    let state = Place::find(global.config.as_deref())?.sketch()?.state;
    runtime()?.block_on(async {
        match owner(&state, Instant::now() + PATIENCE).await? {
            Some(mut client) => client.ask(&ControlRequest::verb(verb, arguments)).await.map_err(unanswered),
            None => Err(Stop::failed(format!("no gateway is running on `{}`", state.display()))
                .with_hint("`portcullis serve` starts one")),
        }
    })
}

/// A request for a tool, as the operator or as somebody else.
pub(crate) fn tool(name: &str, arguments: Map<String, Value>, who: As) -> ControlRequest {
    let mut request = ControlRequest::new(Act::Tool(name.to_owned()), arguments);
    request.as_principal = who.principal;
    request
}

/// Prints an answer and gives its exit code.
pub(crate) fn show(reply: &Reply, output: Output) -> Result<Exit, Stop> {
    if output.is_json() || !reply.answer.is_error {
        output.answer(&reply.answer.structured, &reply.answer.text)?;
        return Ok(Exit::of_reply(reply.exit));
    }
    Err(refused(reply))
}

/// Prints a tool's answer as the agent would see it, also a denial, and gives its exit code.
pub(crate) fn show_tool(reply: &Reply, output: Output) -> Result<Exit, Stop> {
    output.answer(&reply.answer.structured, &reply.answer.text)?;
    Ok(Exit::of_reply(reply.exit))
}

/// A reply that says no, as the end of a command.
pub(crate) fn refused(reply: &Reply) -> Stop {
    let field = |name: &str| reply.answer.structured.get(name).and_then(Value::as_str);
    let mut message = field("reason").unwrap_or(&reply.answer.text).to_owned();
    if let Some(code) = field("code") {
        message.push_str(&format!(" ({code})"));
    }
    let instead =
        reply.answer.structured.get("allowed_instead").and_then(Value::as_array).into_iter().flatten();
    let instead: Vec<&str> = instead.filter_map(Value::as_str).collect();
    let hint = match (field("hint"), instead.is_empty()) {
        (hint, true) => hint.map(str::to_owned),
        (hint, false) => Some(format!(
            "{}allowed instead:\n  {}",
            hint.map(|h| format!("{h}; ")).unwrap_or_default(),
            instead.join("\n  ")
        )),
    };
    Stop { exit: Exit::of_reply(reply.exit), message, hint }
}

/// A runtime for one command.
pub(crate) fn runtime() -> Result<Runtime, Stop> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(Stop::failed)
}

fn unanswered(error: gateway::control::ControlError) -> Stop {
    Stop::failed(error)
        .with_hint("the gateway's log says more; run this as the gateway's own user or as root")
}
