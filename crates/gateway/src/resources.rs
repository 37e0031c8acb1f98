//! Resources: what an agent may read about the gateway and the targets it may use.
//!
//! Reading one is a hidden tool on the gateway, so it takes the whole pipeline with an empty lease.

use std::sync::Arc;

use async_trait::async_trait;
use model::{
    Action, Answer, CredentialUse, ErrorCode, Failure, Host, Limits, Outcome, SubAction, Target, Tier,
    ToolName, ToolSet,
};
use serde_json::{Map, Value, json};
use tools::{Annotations, Catalogue, Field, Kind, Scene, Schema, Tool, ToolRun, ToolSpec};

use crate::ResourceListing;

/// The hidden tool behind every resource read. Policy permits it as it permits `whoami`.
pub(crate) struct ReadResource {
    spec: ToolSpec,
    catalogue: Arc<Catalogue>,
}

impl ReadResource {
    pub(crate) const NAME: &'static str = "read_resource";

    pub(crate) fn new(catalogue: Arc<Catalogue>) -> Self {
        let spec = ToolSpec {
            name: ToolName::parse(Self::NAME).unwrap_or_else(|_| unreachable!("a literal")),
            set: ToolSet::parse("gateway").unwrap_or_else(|_| unreachable!("a literal")),
            tier: Tier::Read,
            title: "Read a resource",
            description: "Reads one resource by its address.",
            input: Schema::new(vec![Field::required("uri", Kind::Text(512), "The resource's address.")]),
            output: json!({ "type": "object" }),
            annotations: Annotations::of(Tier::Read),
            event: "resource_read",
        };
        Self { spec, catalogue }
    }

    fn content(&self, uri: &str, scene: Scene<'_>) -> Option<(&'static str, String)> {
        let (scheme, rest) = uri.split_once("://")?;
        match (scheme, rest) {
            ("portcullis", "server-info") => Some((JSON, server_info().to_string())),
            ("portcullis", "hosts") => {
                let hosts: Vec<Value> = visible_hosts(scene).map(describe).collect();
                Some((JSON, json!({ "hosts": hosts }).to_string()))
            }
            ("portcullis", other) => {
                let alias = other.strip_prefix("host/")?;
                let host = visible_hosts(scene).find(|host| host.name.as_str() == alias)?;
                Some((JSON, describe(host).to_string()))
            }
            ("skill", path) => {
                let tool = self.catalogue.tool(path.strip_suffix("/SKILL.md")?)?;
                (scene.sees_tool)(tool.spec()).then(|| (MARKDOWN, skill(tool.spec())))
            }
            _ => None,
        }
    }
}

const JSON: &str = "application/json";
const MARKDOWN: &str = "text/markdown";

#[async_trait]
impl Tool for ReadResource {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn resolve(&self, arguments: &Map<String, Value>, scene: Scene<'_>) -> Result<Action, Failure> {
        let uri = arguments.get("uri").and_then(Value::as_str).unwrap_or_default();
        let (mime_type, text) = self
            .content(uri, scene)
            .ok_or_else(|| Failure::new(ErrorCode::InputInvalid, "there is no such resource"))?;
        // What is read was decided by what is visible, so it is settled here; `run` only hands it on.
        let content = json!({ "uri": uri, "mime_type": mime_type, "text": text });
        Ok(Action {
            tool: self.spec.name.clone(),
            set: self.spec.set.clone(),
            tier: Tier::Read,
            target: Target::gateway(),
            parts: vec![SubAction::Whole],
            command: None,
            credential: CredentialUse::None,
            limits: Limits::default(),
            arguments: content,
        })
    }

    async fn run(&self, run: ToolRun<'_>) -> Result<Outcome, Failure> {
        let values = run.lease.action().arguments.as_object().cloned().unwrap_or_default();
        Ok(Outcome { values, ..Outcome::default() })
    }

    fn render(&self, _action: &Action, outcome: &Outcome) -> Answer {
        let text = outcome.values.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
        Answer {
            text,
            structured: Value::Object(outcome.values.clone()),
            is_error: false,
            ..Answer::default()
        }
    }
}

/// What there is to read for those who see these hosts and tools.
pub(crate) fn listings<'a>(
    hosts: impl Iterator<Item = &'a Host>,
    tools: impl Iterator<Item = &'a ToolSpec>,
) -> Vec<ResourceListing> {
    let fixed = [
        listing(
            "portcullis://server-info",
            "server-info",
            "About this gateway",
            "Version and what it serves.",
            JSON,
        ),
        listing("portcullis://hosts", "hosts", "Hosts", "The hosts you may use, with tags and notes.", JSON),
    ];
    let hosts = hosts.map(|host| {
        let name = host.name.as_str();
        listing(&format!("portcullis://host/{name}"), name, name, "One host.", JSON)
    });
    let skills = tools.map(|spec| {
        let name = spec.name.as_str();
        listing(&format!("skill://{name}/SKILL.md"), name, spec.title, spec.description, MARKDOWN)
    });
    fixed.into_iter().chain(hosts).chain(skills).collect()
}

fn listing(
    uri: &str,
    name: &str,
    title: &str,
    description: &str,
    mime_type: &'static str,
) -> ResourceListing {
    ResourceListing {
        uri: uri.to_owned(),
        name: name.to_owned(),
        title: title.to_owned(),
        description: description.to_owned(),
        mime_type,
    }
}

fn visible_hosts(scene: Scene<'_>) -> impl Iterator<Item = &Host> {
    scene.inventory.hosts().filter(move |host| (scene.sees)(&host.target()))
}

fn server_info() -> Value {
    json!({ "name": "portcullis", "version": env!("CARGO_PKG_VERSION") })
}

fn describe(host: &Host) -> Value {
    json!({
        "name": host.name.as_str(),
        "address": host.address,
        "tags": host.tags,
        "platform": format!("{:?}", host.platform).to_lowercase(),
        "shell": format!("{:?}", host.shell).to_lowercase(),
        "notes": host.notes,
    })
}

fn skill(spec: &ToolSpec) -> String {
    let mut text = format!(
        "---\nname: {}\ndescription: {}\n---\n\n# {}\n\n{}\n\nTier: {}. Set: {}.\n",
        spec.name,
        spec.description,
        spec.title,
        spec.description,
        spec.tier.as_str(),
        spec.set
    );
    let schema = spec.input.to_json();
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    for (i, (name, field)) in properties.enumerate() {
        if i == 0 {
            text.push_str("\n## Arguments\n\n");
        }
        let required =
            schema.get("required").and_then(Value::as_array).is_some_and(|r| r.iter().any(|n| n == name));
        let description = field.get("description").and_then(Value::as_str).unwrap_or_default();
        text.push_str(&format!("- `{name}`{}: {description}\n", if required { " (required)" } else { "" }));
    }
    text
}
