//! Whether what an upstream asks may be put to the client whose call it serves, and what is recorded of it.

use model::{Failure, TheirQuestion, UpstreamName};
use serde_json::json;
use tools::ToolRun;
use wire::NoQuestion;

use crate::call::forward;
use crate::fault::Fault;
use crate::keeper::Keeper;

/// The longest question, in bytes.
const LONGEST: usize = 256 * 1024;
/// Under this key of `_meta` what comes among the words of others says that it comes from an upstream.
pub(crate) const ORIGIN: &str = "portcullis/origin";

/// Why a question is put to nobody.
pub(crate) struct Refused {
    /// The number of the error that the upstream gets.
    pub(crate) code: i32,
    /// Its text.
    pub(crate) why: String,
}

/// Whether a question may be put to the client of a call.
pub(crate) fn judge(
    keeper: &Keeper,
    run: &ToolRun<'_>,
    method: &str,
    params: &str,
) -> Result<TheirQuestion, Refused> {
    let refused = |code, why: &str| Refused { code, why: why.to_owned() };
    let ability = wire::read_question(method, params).map_err(|no| {
        let code = match no {
            NoQuestion::Unknown => wire::code::METHOD_NOT_FOUND,
            NoQuestion::Malformed | NoQuestion::Page | NoQuestion::Sample => wire::code::INVALID_PARAMS,
        };
        refused(code, &no.to_string())
    })?;
    let unable = |why| refused(wire::code::METHOD_NOT_FOUND, why);
    if !keeper.settings().client_requests.include(ability) {
        return Err(unable("the gateway's configuration does not permit it: `client_requests`"));
    }
    let forward = forward(run).map_err(|_| unable("nothing was sent"))?;
    if !forward.abilities.include(ability) {
        return Err(unable("the client of this call does not take such questions"));
    }
    if params.len() > LONGEST {
        return Err(refused(wire::code::INVALID_PARAMS, "the question is too long"));
    }
    let faithful = forward.faithful;
    let params = if faithful { params.to_owned() } else { asked_by(params, keeper.name()) };
    Ok(TheirQuestion { ability, params: params.into(), faithful, refusable: false })
}

/// Records a question as a part of the call that it belongs to, before anybody is asked.
pub(crate) async fn record(run: &ToolRun<'_>, method: &str, refused: Option<&str>) -> Result<(), Failure> {
    run.sub_events.begin("upstream_asked", method).await?;
    let how = match refused {
        None => "put to the client".to_owned(),
        Some(why) => format!("refused: {why}"),
    };
    run.sub_events.end("upstream_asked", &how).await
}

/// Whoever reads it reads whose question it is.
fn asked_by(params: &str, upstream: UpstreamName) -> String {
    let named = wire::with_asker(params, &format!("The upstream `{upstream}` asks"));
    let named = named.unwrap_or_else(|_| params.to_owned());
    marked(&named, upstream)
}

/// JSON of an upstream that says whose it is, where it comes among that of others: in `_meta`, where nothing else of it
/// changes.
pub(crate) fn marked(json: &str, upstream: UpstreamName) -> String {
    with_origin(json, upstream).unwrap_or_else(|_| json.to_owned())
}

/// The same, for what must be an object.
pub(crate) fn with_origin(json: &str, upstream: UpstreamName) -> Result<String, Fault> {
    let origin = json!({ "upstream": upstream.as_str(), "trusted": false }).to_string();
    wire::with_meta(json, ORIGIN, &origin).map_err(|_| Fault::Protocol("with a result whose `_meta` is none"))
}
