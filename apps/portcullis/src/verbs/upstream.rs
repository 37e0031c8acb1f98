//! `operator:upstream-list|tools|diff|accept`: which definitions of third-party tools are accepted; `-restart`.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use model::Failure;
use serde_json::{Map, Value, json};
use tools::{Catalogue, Field, Kind, Tool, ToolRun};
use upstream::{Review, ToolReview, UpstreamPool};

use super::VerbParts;
use super::verb::{Act, Named, Verb, required, text, values};

/// What all of them need.
#[derive(Clone)]
struct Desk {
    pool: Arc<UpstreamPool>,
    /// The gateway's own tools, for which others' may not pass.
    ours: Arc<[Arc<str>]>,
}

struct List(Desk);
struct Tools(Desk);
struct Diff(Desk);
struct Accept(Desk);
struct Restart(Desk);

pub(super) fn verbs(parts: &VerbParts) -> [Arc<dyn Tool>; 5] {
    let ours = Catalogue::new().tools().map(|tool| tool.spec().name.as_str().into()).collect();
    let desk = Desk { pool: Arc::clone(&parts.upstreams), ours };
    let named = |name, title, description, fields| Named { name, title, description, fields };
    let upstream = || Field::required("upstream", Kind::Text(20), "Its name.");
    let of = || {
        Field::optional("tools", Kind::Text(64 * 1024), "Only these, by the upstream's names, one on a line.")
    };
    [
        Verb::tool(
            named(
                "operator:upstream-list",
                "List upstreams",
                "Lists the third-party servers with what is withheld of each.",
                Vec::new(),
            ),
            List(desk.clone()),
        ),
        Verb::tool(
            named(
                "operator:upstream-tools",
                "List an upstream's tools",
                "Lists an upstream's tools: accepted, new, changed, gone.",
                vec![upstream()],
            ),
            Tools(desk.clone()),
        ),
        Verb::tool(
            named(
                "operator:upstream-diff",
                "Compare an upstream's tools",
                "Shows what differs from the accepted definitions, with nothing hidden.",
                vec![upstream(), of()],
            ),
            Diff(desk.clone()),
        ),
        Verb::tool(
            named(
                "operator:upstream-accept",
                "Accept an upstream's tools",
                "Accepts the definitions that a comparison showed.",
                vec![upstream(), of(), Field::required("digest", Kind::Text(64), "The comparison's digest.")],
            ),
            Accept(desk.clone()),
        ),
        Verb::tool(
            named(
                "operator:upstream-restart",
                "Start an upstream anew",
                "Ends an upstream with the calls that it has, and starts it at once.",
                vec![upstream()],
            ),
            Restart(desk),
        ),
    ]
}

#[async_trait]
impl Act for List {
    async fn act(
        &self,
        _arguments: &Map<String, Value>,
        _run: ToolRun<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        let reviews = self.0.pool.reviews(&self.0.ours).await?;
        let one = |review: &Review| {
            json!({
                "name": review.upstream.as_str(),
                "pin": review.pinning.as_str(),
                "down": review.down,
                "sandbox": review.sandbox,
                "tools": review.tools.iter().filter(|tool| tool.offered).count(),
                "withheld": review.tools.iter().filter(|tool| !tool.offered).count(),
                "unaccepted": review.waiting().count(),
                "gone": review.gone.len(),
            })
        };
        Ok(values([("upstreams", reviews.iter().map(one).collect())]))
    }

    fn text(&self, values: &Map<String, Value>) -> String {
        let names: Vec<&str> =
            items(values, "upstreams").filter_map(|one| one.get("name")?.as_str()).collect();
        if names.is_empty() { "no upstreams".to_owned() } else { names.join("\n") }
    }
}

#[async_trait]
impl Act for Tools {
    async fn act(
        &self,
        arguments: &Map<String, Value>,
        _run: ToolRun<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        let review = self.0.pool.review(required(arguments, "upstream")?, &self.0.ours).await?;
        let tools = review.tools.iter().map(
            |tool| json!({ "tool": tool.tool, "is": tool.is, "offered": tool.offered, "hash": tool.hash }),
        );
        let gone = review.gone.iter().map(|tool| json!({ "tool": tool, "is": "gone", "offered": false }));
        Ok(values([
            ("upstream", json!(review.upstream.as_str())),
            ("pin", json!(review.pinning.as_str())),
            ("tools", tools.chain(gone).collect()),
        ]))
    }

    fn text(&self, values: &Map<String, Value>) -> String {
        let lines: Vec<String> = items(values, "tools")
            .map(|tool| format!("{} {}", word(tool, "tool"), word(tool, "is")))
            .collect();
        if lines.is_empty() { "no tools".to_owned() } else { lines.join("\n") }
    }
}

#[async_trait]
impl Act for Diff {
    async fn act(
        &self,
        arguments: &Map<String, Value>,
        _run: ToolRun<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        let review = self.0.pool.review(required(arguments, "upstream")?, &self.0.ours).await?;
        let review = review.only(&named(arguments))?;
        let differing: Vec<Value> = review.waiting().map(described).collect();
        Ok(values([
            ("upstream", json!(review.upstream.as_str())),
            ("pin", json!(review.pinning.as_str())),
            ("tools", json!(differing)),
            ("gone", json!(review.gone)),
            ("digest", json!(review.digest())),
        ]))
    }

    fn text(&self, values: &Map<String, Value>) -> String {
        let mut lines: Vec<String> = items(values, "tools").flat_map(told).collect();
        lines.extend(items(values, "gone").filter_map(Value::as_str).map(|tool| format!("{tool}: gone")));
        if lines.is_empty() { "everything is as it was accepted".to_owned() } else { lines.join("\n") }
    }
}

#[async_trait]
impl Act for Accept {
    async fn act(
        &self,
        arguments: &Map<String, Value>,
        _run: ToolRun<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        let (upstream, digest) = (required(arguments, "upstream")?, required(arguments, "digest")?);
        let accepted = self.0.pool.accept(upstream, &named(arguments), digest, &self.0.ours).await?;
        Ok(values([
            ("upstream", json!(upstream)),
            ("accepted", json!(accepted.tools)),
            ("forgotten", json!(accepted.gone)),
            ("left", json!(accepted.left)),
        ]))
    }

    fn text(&self, values: &Map<String, Value>) -> String {
        let list = |name: &str| items(values, name).filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
        let said = [
            ("accepted", "accepted"),
            ("forgotten", "forgotten"),
            ("left", "not accepted, name them to accept them"),
        ];
        let lines: Vec<String> = said
            .into_iter()
            .filter(|(name, _)| items(values, name).next().is_some())
            .map(|(name, means)| format!("{means}: {}", list(name)))
            .collect();
        if lines.is_empty() { "there was nothing to accept".to_owned() } else { lines.join("\n") }
    }
}

#[async_trait]
impl Act for Restart {
    async fn act(
        &self,
        arguments: &Map<String, Value>,
        _run: ToolRun<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        let upstream = required(arguments, "upstream")?;
        let down = self.0.pool.restart(upstream).await?;
        Ok(values([("upstream", json!(upstream)), ("ready", json!(down.is_none())), ("down", json!(down))]))
    }

    fn text(&self, values: &Map<String, Value>) -> String {
        match values.get("down").and_then(Value::as_str) {
            Some(why) => format!("it was started anew and is not ready: {why}"),
            None => "it was started anew and is ready".to_owned(),
        }
    }
}

/// The tools that an operator names; none means all.
fn named(arguments: &Map<String, Value>) -> BTreeSet<String> {
    text(arguments, "tools").into_iter().flat_map(str::lines).map(str::to_owned).collect()
}

fn described(tool: &ToolReview) -> Value {
    let change = |change: &upstream::Change| json!({ "at": change.at, "accepted": change.accepted, "now": change.now });
    json!({
        "tool": tool.tool,
        "is": tool.is,
        "offered": tool.offered,
        "hash": tool.hash,
        "changes": tool.changes.iter().map(change).collect::<Vec<_>>(),
        "suspicions": tool.suspicions,
        "shadows": tool.shadows,
    })
}

/// A tool's differences, for people.
fn told(tool: &Value) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", word(tool, "tool"), word(tool, "is"))];
    for change in tool.get("changes").and_then(Value::as_array).into_iter().flatten() {
        for (sign, side) in [("-", "accepted"), ("+", "now")] {
            if let Some(said) = change.get(side).and_then(Value::as_str) {
                lines.push(format!("  {sign} {}: {said}", word(change, "at")));
            }
        }
    }
    for key in ["suspicions", "shadows"] {
        let found = tool.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        lines.extend(found.map(|found| format!("  ! {found}")));
    }
    lines
}

fn items<'a>(values: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a Value> {
    values.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn word<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
