//! `call TOOL [KEY=VALUE ...]`, and `whoami`, which is one.

use serde_json::{Map, Value};

use crate::cli::{As, Call, Global};
use crate::failure::{Exit, Stop};
use crate::output::Output;
use crate::{arguments, operators};

/// One tool call through the whole pipeline, or its dry run.
pub(crate) fn run(global: &Global, call: Call, output: Output) -> Result<Exit, Stop> {
    let given = arguments::parse(&call.tool, &call.arguments)?;
    let mut request = operators::tool(&call.tool, given, call.who);
    request.dry_run = call.dry_run;
    let reply = operators::ask(global, request, output)?;
    let exit = operators::show_tool(&reply, output)?;
    // The dry run itself is done; its exit code is the call's.
    let decided = reply.answer.structured.get("decision").and_then(Value::as_str);
    Ok(match decided.filter(|_| call.dry_run && exit == Exit::Done) {
        Some("deny") => Exit::Denied,
        Some("approval") => Exit::Approval,
        Some(_) | None => exit,
    })
}

/// Which principal one is.
pub(crate) fn whoami(global: &Global, who: As, output: Output) -> Result<Exit, Stop> {
    operators::run(global, operators::tool("whoami", Map::new(), who), output)
}
