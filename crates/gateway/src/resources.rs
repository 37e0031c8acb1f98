//! Resources: what an agent may read about the gateway and the targets it may use.
//!
//! Reading one is a hidden tool on the gateway, so it takes the whole pipeline with an empty lease.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use model::{
    Action, Answer, Content, ErrorCode, Failure, Host, Outcome, ResourceBody, ResourceContent, Tier,
    ToolName, ToolSet,
};
use serde_json::{Map, Value, json};
use tools::{
    Annotations, Catalogue, Field, Kind, Offer, ResourceListing, Scene, Schema, TemplateListing, Tool,
    ToolRun, ToolSpec,
};

/// The hidden tool behind every resource read. Policy permits it as it permits `whoami`.
pub(crate) struct ReadResource {
    spec: ToolSpec,
    catalogue: Arc<Catalogue>,
    offer: Option<Arc<dyn Offer>>,
}

impl ReadResource {
    pub(crate) const NAME: &'static str = "read_resource";

    pub(crate) fn new(catalogue: Arc<Catalogue>, offer: Option<Arc<dyn Offer>>) -> Self {
        let spec = ToolSpec {
            name: ToolName::parse(Self::NAME).unwrap_or_else(|_| unreachable!("a literal")),
            set: ToolSet::parse("gateway").unwrap_or_else(|_| unreachable!("a literal")),
            tier: Tier::Read,
            title: "Read a resource".into(),
            description: "Reads one resource by its address.".into(),
            input: Schema::new(vec![Field::required("uri", Kind::Text(512), "The resource's address.")]),
            output: json!({ "type": "object" }),
            annotations: Annotations::of(Tier::Read),
            event: "resource_read",
        };
        Self { spec, catalogue, offer }
    }

    /// The gateway's own resources first: nothing that is offered beside them can stand for one.
    fn content(&self, uri: &str, scene: Scene<'_>) -> Option<ResourceContent> {
        if let Some((mime_type, text)) = self.own(uri, scene) {
            let body = ResourceBody::Text(text);
            return Some(ResourceContent { uri: uri.to_owned(), mime_type: mime_type.to_owned(), body });
        }
        self.offer.as_ref().and_then(|offer| offer.read(uri))
    }

    fn own(&self, uri: &str, scene: Scene<'_>) -> Option<(&'static str, String)> {
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
        let content = self
            .content(uri, scene)
            .ok_or_else(|| Failure::new(ErrorCode::InputInvalid, "there is no such resource"))?;
        // What is read was decided by what is visible, so it is settled here; `run` only hands it on.
        let content = to_json(&content);
        Ok(self.spec.on_gateway(content))
    }

    async fn run(&self, run: ToolRun<'_>) -> Result<Outcome, Failure> {
        let content = from_json(&run.lease.action().arguments)
            .ok_or_else(|| Failure::new(ErrorCode::Internal, "a resource could not be read back"))?;
        Ok(Outcome { content: vec![Content::Resource(content)], ..Outcome::default() })
    }

    fn render(&self, _action: &Action, outcome: Outcome) -> Answer {
        Answer { content: outcome.content, ..Answer::default() }
    }
}

/// An action's arguments are JSON, so bytes travel in base64.
fn to_json(content: &ResourceContent) -> Value {
    let ResourceContent { uri, mime_type, body } = content;
    match body {
        ResourceBody::Text(text) => json!({ "uri": uri, "mime_type": mime_type, "text": text }),
        ResourceBody::Bytes(bytes) => {
            json!({ "uri": uri, "mime_type": mime_type, "bytes": BASE64_STANDARD.encode(bytes) })
        }
    }
}

fn from_json(value: &Value) -> Option<ResourceContent> {
    let field = |name: &str| value.get(name).and_then(Value::as_str);
    let body = match field("text") {
        Some(text) => ResourceBody::Text(text.to_owned()),
        None => ResourceBody::Bytes(BASE64_STANDARD.decode(field("bytes")?).ok()?),
    };
    Some(ResourceContent { uri: field("uri")?.to_owned(), mime_type: field("mime_type")?.to_owned(), body })
}

/// The shapes of the gateway's own addresses.
pub(crate) const TEMPLATES: [TemplateListing; 2] = [
    TemplateListing {
        uri_template: "portcullis://host/{alias}",
        name: "host",
        description: "One host of the inventory.",
        mime_type: JSON,
    },
    TemplateListing {
        uri_template: "skill://{tool}/SKILL.md",
        name: "skill",
        description: "How to use one tool.",
        mime_type: MARKDOWN,
    },
];

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
        listing(&format!("skill://{name}/SKILL.md"), name, &spec.title, &spec.description, MARKDOWN)
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
