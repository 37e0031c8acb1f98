//! A server that somebody else wrote, behind the gate: its tools are what an operator accepted, or they are withheld.

use std::time::Duration;

use gateway::control::Reply;
use serde_json::{Map, Value, json};
use upstream::Machine;

use super::audience::Audience;
use super::scene::Scene;
use super::steps::{called, last};
use crate::failure::Stop;
use crate::operators;

/// Its tool, as agents know it.
const TOOL: &str = "weather__forecast";

/// How it is declared: our own binary, which poses as somebody else's server.
pub(super) fn declaration() -> Result<String, Stop> {
    let program = std::env::current_exe().map_err(Stop::failed)?;
    let program = program
        .to_str()
        .ok_or_else(|| Stop::failed("this program lies in a folder whose name is no text"))?;
    // Another user might not be able to enter the folder that this binary was built in.
    let sandbox = if Machine::look().landlock > 0 { "landlock" } else { "off" };
    let command = json!([program, "demo", "--as-upstream"]);
    Ok(format!(
        "\n[[upstream]]\nname = \"weather\"\ncommand = {command}\ntools = [\"forecast\"]\nsandbox = \"{sandbox}\"\n"
    ))
}

/// Withheld, accepted, called, withheld again.
pub(super) async fn play(scene: &mut Scene, audience: &mut Audience) -> Result<(), Stop> {
    accepted(scene, audience).await?;
    changed(scene, audience).await
}

async fn accepted(scene: &mut Scene, audience: &mut Audience) -> Result<(), Stop> {
    audience.step("A third-party MCP server's tools are withheld until an operator accepts them")?;
    let listed = becomes(scene, "new").await?;
    audience.check("the server runs, and nobody has accepted its tool", listed)?;
    let offered = scene.list().await?.iter().any(|tool| tool == TOOL);
    audience.check("the agent does not see it, though a rule permits it", !offered)?;
    let reply = called(scene, audience, TOOL, json!({ "city": "Ulm" })).await?;
    audience.check("a call is refused", code(&reply.structured) == Some("upstream.drift"))?;
    let digest = compare(scene, audience).await?;
    audience.says("$ portcullis upstream accept weather")?;
    operator(scene, "upstream-accept", &[("digest", &digest)]).await?;
    let offered = scene.list().await?.iter().any(|tool| tool == TOOL);
    audience.check("once it is accepted the agent sees it", offered)?;
    let reply = called(scene, audience, TOOL, json!({ "city": "Ulm" })).await?;
    audience.check("and calls it", !reply.is_error && reply.text.contains("sunny"))?;
    let entry = last(scene, |entry| entry.text("tool") == Some(TOOL) && entry.phase == "complete")?;
    audience.check("the call is in the journal like any other", entry.is_some())
}

async fn changed(scene: &mut Scene, audience: &mut Audience) -> Result<(), Stop> {
    audience.step("The server changes what its tool says, and the tool is withheld again")?;
    let noticed = becomes(scene, "changed").await?;
    audience.check("the change is noticed", noticed)?;
    compare(scene, audience).await?;
    let offered = scene.list().await?.iter().any(|tool| tool == TOOL);
    audience.check(
        "the agent does not see it any more, nor a word of it",
        !offered && !saw(scene, "IMPORTANT"),
    )?;
    let reply = called(scene, audience, TOOL, json!({ "city": "Ulm" })).await?;
    audience.check("a call is refused", code(&reply.structured) == Some("upstream.drift"))?;
    let drift = last(scene, |entry| entry.event == "upstream_drift")?.is_some();
    audience.check("the drift is in the journal", drift)
}

fn saw(scene: &Scene, word: &str) -> bool {
    String::from_utf8_lossy(&scene.seen).contains(word)
}

fn code(structured: &Value) -> Option<&str> {
    structured.get("code").and_then(Value::as_str)
}

/// What an operator sees; the digest of it.
async fn compare(scene: &Scene, audience: &mut Audience) -> Result<String, Stop> {
    audience.says("$ portcullis upstream diff weather")?;
    let reply = operator(scene, "upstream-diff", &[]).await?;
    audience.says(&reply.answer.text)?;
    let digest = reply.answer.structured.get("digest").and_then(Value::as_str);
    Ok(digest.unwrap_or_default().to_owned())
}

/// Whether the tool is that soon: the server is started beside everything else, and tells of changes by itself.
async fn becomes(scene: &Scene, wanted: &str) -> Result<bool, Stop> {
    for _ in 0..200 {
        let reply = operator(scene, "upstream-tools", &[]).await?;
        let tools =
            reply.answer.structured.get("tools").and_then(Value::as_array).cloned().unwrap_or_default();
        if tools.iter().any(|tool| tool.get("is").and_then(Value::as_str) == Some(wanted)) {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(false)
}

/// An operator's verb, over the control socket like any other.
async fn operator(scene: &Scene, verb: &'static str, more: &[(&str, &str)]) -> Result<Reply, Stop> {
    let arguments = [("upstream", "weather")].iter().chain(more);
    let arguments: Map<String, Value> =
        arguments.map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let global = scene.global.clone();
    let asked = tokio::task::spawn_blocking(move || operators::running(&global, verb, arguments));
    asked.await.map_err(Stop::failed)?
}
