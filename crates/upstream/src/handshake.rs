//! The first words with an upstream: which protocol it speaks, and which tools it has.

use std::sync::Arc;
use std::time::Duration;

use model::Abilities;
use serde_json::value::RawValue;
use wire::{ProtocolVersion, TheirCapabilities, ToolsPage};

use crate::fault::Fault;
use crate::link::{Answered, Link};

/// How long it has to say that it speaks the modern protocol before it is greeted as one that does not.
const DISCOVER: Duration = Duration::from_secs(10);
/// How long it has for each other word. Some are installed when they are first started.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pages of its list of tools, at most.
const PAGES: usize = 100;
/// Tools in that list, at most.
const TOOLS: usize = 2000;
/// The longest definition of a tool, in bytes.
const DEFINITION: usize = 256 * 1024;

/// Which protocol the upstream speaks: the modern one, or the legacy version that a handshake ends in. And what it says
/// it has.
pub(crate) async fn shake(
    link: &Arc<Link>,
    abilities: Abilities,
) -> Result<(ProtocolVersion, TheirCapabilities), Fault> {
    let discover = wire::discover_params(wire::LATEST);
    let discovered = match link.request("server/discover", discover, DISCOVER).await {
        Ok(answer) => result(answer).ok().and_then(|result| {
            wire::read_discovered(&result).map(|version| (version, TheirCapabilities::read(&result)))
        }),
        Err(fault @ (Fault::Ended | Fault::Down(_))) => return Err(fault),
        Err(_) => None,
    };
    if let Some(discovered) = discovered {
        return Ok(discovered);
    }
    let answer = link.request("initialize", wire::initialize_params(abilities), PATIENCE).await?;
    let result = result(answer)?;
    let version =
        wire::read_initialized(&result).ok_or(Fault::Protocol("with a version that is not spoken here"))?;
    link.tell(wire::write_initialized()).await?;
    Ok((version, TheirCapabilities::read(&result)))
}

/// Every tool that it lists, in its order, as it wrote them down.
pub(crate) async fn list(link: &Arc<Link>, version: ProtocolVersion) -> Result<Vec<Box<RawValue>>, Fault> {
    let modern = (version.era() == wire::Era::Modern).then_some(version);
    let (mut tools, mut cursor) = (Vec::new(), None::<String>);
    for _ in 0..PAGES {
        let params = wire::list_params(cursor.as_deref(), modern);
        let answer = link.request("tools/list", params, PATIENCE).await?;
        if answer.is_error && tools.is_empty() && wire::is_method_not_found(&answer.json) {
            return Ok(tools);
        }
        let result = result(answer)?;
        let page = ToolsPage::read(&result).ok_or(Fault::Protocol("with a list of tools that is none"))?;
        if page.tools.len() + tools.len() > TOOLS
            || page.tools.iter().any(|tool| tool.get().len() > DEFINITION)
        {
            return Err(Fault::Protocol("with more tools than anybody needs"));
        }
        tools.extend(page.tools.into_iter().map(ToOwned::to_owned));
        match page.next_cursor {
            Some(next) if cursor.as_deref() != Some(&*next) => cursor = Some(next.into_owned()),
            Some(_) | None => return Ok(tools),
        }
    }
    Err(Fault::Protocol("with a list of tools that has no end"))
}

fn result(answer: Answered) -> Result<Box<RawValue>, Fault> {
    if answer.is_error {
        return Err(Fault::Protocol("with an error"));
    }
    // It is a value of a message that was read already.
    RawValue::from_string(answer.json.to_string()).map_err(|_| Fault::Protocol("what is no JSON"))
}
