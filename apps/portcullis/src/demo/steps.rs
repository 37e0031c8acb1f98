//! The steps, in order. Each says what the agent did, then checks it where it cannot be faked: on the host and in the journal.

use std::path::Path;

use audit::{Entry, PublicKey};
use config::templates;
use connector_ssh::sandbox::LEAK;
use guard::Scanner;
use mcp::client::Reply;
use serde_json::{Value, json};

use super::audience::Audience;
use super::scene::{RULES, Scene};
use super::upstream;
use crate::failure::Stop;
use crate::verbs::{By, Reload};

/// Plays all of them.
pub(super) async fn play(scene: &mut Scene, audience: &mut Audience) -> Result<(), Stop> {
    tools(scene, audience).await?;
    let handle = take(scene, audience).await?;
    execute(scene, audience, &handle).await?;
    absent(scene, audience)?;
    withheld(scene, audience).await?;
    explained(scene, audience).await?;
    spent(scene, audience, &handle).await?;
    reloaded(scene, audience).await?;
    upstream::play(scene, audience).await?;
    verified(scene, audience)
}

async fn tools(scene: &mut Scene, audience: &mut Audience) -> Result<(), Stop> {
    audience.step("The agent lists its tools")?;
    let tools = scene.list().await?;
    audience.says(&tools.join(", "))?;
    let expected = ["explain", "get_credential", "release_credential", "ssh_execute", "ssh_plan", "whoami"];
    audience
        .check("it sees the six tools that policy could permit, and no operator's verb", tools == expected)?;
    let recorded = last(scene, |entry| entry.event == "tools_list")?.is_some();
    audience.check("the listing is in the journal", recorded)
}

async fn take(scene: &mut Scene, audience: &mut Audience) -> Result<String, Stop> {
    audience.step("It asks for a credential by name and gets a handle")?;
    let reply =
        called(scene, audience, "get_credential", json!({ "safe": "demo", "object_name": "web1" })).await?;
    let handle = reply.structured.get("handle").and_then(Value::as_str).unwrap_or_default().to_owned();
    audience.check("the handle is opaque", handle.starts_with("secret://") && handle.len() > 40)?;
    audience.check("it is bound to web1 alone", reply.structured.get("targets") == Some(&json!(["web1"])))?;
    let entry = last(scene, |entry| entry.event == "credential_fetched" && entry.phase == "complete")?;
    let recorded =
        entry.is_some_and(|entry| entry.text("handle_id").is_some() && !entry.line.contains(&handle));
    audience.check("the journal names it by an id that cannot be turned back", recorded)?;
    Ok(handle)
}

async fn execute(scene: &mut Scene, audience: &mut Audience, handle: &str) -> Result<(), Stop> {
    audience.step("It runs a command on the host with the handle")?;
    let arguments = json!({ "host": "web1", "command": "uptime && df -h", "secret_handle": handle });
    let reply = called(scene, audience, "ssh_execute", arguments).await?;
    audience.check("the command ended well", reply.structured.get("exit_code") == Some(&json!(0)))?;
    audience.check("the host ran exactly that line", scene.host.executed() == ["uptime && df -h"])?;
    let end = last(scene, |entry| entry.event == "ssh_executed" && entry.phase == "complete")?;
    let intent =
        last(scene, |entry| entry.phase == "intent" && end.as_ref().is_some_and(|end| end.id == entry.id))?;
    let paired = intent.zip(end).is_some_and(|(intent, end)| intent.seq < end.seq);
    audience.check("the intent was written before it, the completion after", paired)
}

fn absent(scene: &Scene, audience: &mut Audience) -> Result<(), Stop> {
    audience.step("The password is in nothing the agent has seen")?;
    let scanner = Scanner::new([&scene.host.password]);
    audience.says(&format!(
        "{} bytes so far, searched for the password in every form the guard knows",
        scene.seen.len()
    ))?;
    audience.check("it is not there", !scanner.finds(&scene.seen))?;
    let mut files = Vec::new();
    read_all(&scene.journal(), &mut files)?;
    audience.check("it is not in the journal either", !scanner.finds(&files))
}

async fn withheld(scene: &mut Scene, audience: &mut Audience) -> Result<(), Stop> {
    audience.step("A host that prints the password gets its whole output withheld")?;
    let scanner = Scanner::new([&scene.host.password]);
    let reply = called(scene, audience, "ssh_execute", json!({ "host": "web1", "command": LEAK })).await?;
    audience.check("the host did print it", scene.host.executed().last().is_some_and(|line| line == LEAK))?;
    let code = reply.structured.get("code").and_then(Value::as_str);
    audience
        .check("the agent is told why it sees nothing", reply.is_error && code == Some("secret_in_output"))?;
    audience.check("the password is still in nothing it has seen", !scanner.finds(&scene.seen))?;
    let recorded = last(scene, |entry| entry.event == "secret_in_output")?.is_some();
    audience.check("the leak is in the journal, without what leaked", recorded)
}

async fn explained(scene: &mut Scene, audience: &mut Audience) -> Result<(), Stop> {
    audience.step("A command that no rule permits is refused, and explained")?;
    let ran = scene.host.executed().len();
    let reply =
        called(scene, audience, "ssh_execute", json!({ "host": "web1", "command": "uptime; free -h" }))
            .await?;
    let code = reply.structured.get("code").and_then(Value::as_str);
    audience.check("it is denied", reply.is_error && code == Some("denied.command"))?;
    let instead = reply
        .structured
        .get("allowed_instead")
        .and_then(Value::as_array)
        .is_some_and(|lines| !lines.is_empty());
    audience.check("the denial names what would be allowed instead", instead)?;
    audience
        .check("nothing reached the host, not even the permitted half", scene.host.executed().len() == ran)?;
    let closed =
        last(scene, |entry| entry.phase == "closed" && entry.text("error_code") == Some("denied.command"))?;
    audience.check("the denial is in the journal", closed.is_some())
}

async fn spent(scene: &mut Scene, audience: &mut Audience, handle: &str) -> Result<(), Stop> {
    audience.step("The handle is refused the second time")?;
    let ran = scene.host.executed().len();
    let arguments = json!({ "host": "web1", "command": "uptime", "secret_handle": handle });
    let reply = called(scene, audience, "ssh_execute", arguments).await?;
    let code = reply.structured.get("code").and_then(Value::as_str);
    audience.check("it has been used", code == Some("handle_already_consumed"))?;
    audience.check("nothing reached the host", scene.host.executed().len() == ran)
}

async fn reloaded(scene: &mut Scene, audience: &mut Audience) -> Result<(), Stop> {
    audience.step("A changed rule comes into force without a restart")?;
    scene.stage.write_rules(&RULES.replace("\"df -h\"", "\"df -h\", \"free -h\""))?;
    let done = scene.portcullis.reload.reload(By::Operator).await.map_err(Stop::failed)?;
    let changes: Vec<String> = done.changes.changes.iter().map(ToString::to_string).collect();
    audience.says(&changes.join("\n"))?;
    let reply =
        called(scene, audience, "ssh_execute", json!({ "host": "web1", "command": "uptime; free -h" }))
            .await?;
    audience.check("what was denied is allowed now", !reply.is_error)?;
    let recorded = last(scene, |entry| entry.event == "config_reloaded")?.is_some();
    audience.check("the reload is in the journal", recorded)
}

fn verified(scene: &Scene, audience: &mut Audience) -> Result<(), Stop> {
    audience.step("The record is verified")?;
    let key = scene.stage.folder().join(format!("{}.pub", templates::SIGNING_KEY));
    let key = PublicKey::load(&key).map_err(Stop::failed)?;
    let report = audit::verify(&scene.journal(), Some(&key), None).map_err(Stop::failed)?;
    audience.says(&format!("{} entries, each holding the hash of the one before", report.entries))?;
    audience.check(
        "the chain is whole, and no act is without its end",
        report.first_bad.is_none() && report.orphans == 0,
    )?;
    let forged = tempfile::tempdir().map_err(Stop::failed)?;
    forge(&scene.journal(), forged.path())?;
    let report = audit::verify(forged.path(), Some(&key), None).map_err(Stop::failed)?;
    let found = report.first_bad.map(|bad| bad.seq);
    audience.check("in a copy with one word changed, the verifier names the changed entry", found.is_some())
}

/// Calls a tool and shows call and answer.
pub(super) async fn called(
    scene: &mut Scene,
    audience: &mut Audience,
    tool: &str,
    arguments: Value,
) -> Result<Reply, Stop> {
    audience.says(&format!("> {tool} {arguments}"))?;
    let reply = scene.call(tool, arguments).await?;
    audience.says(&reply.text)?;
    Ok(reply)
}

/// The newest entry of a kind.
pub(super) fn last(scene: &Scene, wanted: impl Fn(&Entry) -> bool) -> Result<Option<Entry>, Stop> {
    let entries = audit::tail(&scene.journal(), 200).map_err(Stop::failed)?;
    Ok(entries.into_iter().rev().find(|entry| wanted(entry)))
}

/// A copy of the journal in which somebody was somebody else.
fn forge(journal: &Path, copy: &Path) -> Result<(), Stop> {
    for file in std::fs::read_dir(journal).map_err(Stop::failed)? {
        let file = file.map_err(Stop::failed)?;
        let bytes = std::fs::read(file.path()).map_err(Stop::failed)?;
        let text = String::from_utf8_lossy(&bytes).replacen(
            "\"principal\":\"agent\"",
            "\"principal\":\"agency\"",
            1,
        );
        std::fs::write(copy.join(file.file_name()), text).map_err(Stop::failed)?;
    }
    Ok(())
}

fn read_all(folder: &Path, bytes: &mut Vec<u8>) -> Result<(), Stop> {
    for file in std::fs::read_dir(folder).map_err(Stop::failed)? {
        bytes.extend(std::fs::read(file.map_err(Stop::failed)?.path()).map_err(Stop::failed)?);
    }
    Ok(())
}
