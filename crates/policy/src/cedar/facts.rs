//! What a request tells Cedar: built natively, not through JSON, because it happens at every decision.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression,
};
use model::{Principal, SimpleCommand, SubAction, Target, Thing};

use super::known::{Known, Scene};
use super::names;
use crate::command;
use crate::rule::is_operator;
use crate::{Moment, ToolFacts};

/// The entity types, read once.
pub(crate) struct Facts {
    principal: EntityTypeName,
    group: EntityTypeName,
    action: EntityTypeName,
    target: EntityTypeName,
    tag: EntityTypeName,
    upstream_tool: EntityTypeName,
    upstream_resource: EntityTypeName,
    upstream_prompt: EntityTypeName,
    known: Known,
    plain: Plain,
}

/// Facts could not be put in Cedar's terms; the decision is a denial.
pub(crate) type Unsayable = String;

impl Facts {
    pub(crate) fn new() -> Result<Self, Unsayable> {
        let name = |text: &str| EntityTypeName::from_str(text).map_err(|e| e.to_string());
        Ok(Self {
            principal: name(names::PRINCIPAL)?,
            group: name(names::GROUP)?,
            action: name(names::ACTION)?,
            target: name(names::TARGET)?,
            tag: name(names::TAG)?,
            upstream_tool: name(names::UPSTREAM_TOOL)?,
            upstream_resource: name(names::UPSTREAM_RESOURCE)?,
            upstream_prompt: name(names::UPSTREAM_PROMPT)?,
            known: Known::default(),
            plain: Plain::default(),
        })
    }

    pub(crate) fn principal(&self, principal: &Principal) -> EntityUid {
        uid(&self.principal, principal.id.as_str())
    }

    pub(crate) fn group(&self, name: &str) -> EntityUid {
        uid(&self.group, name)
    }

    /// What a tool is an action as.
    pub(crate) fn action_of(&self, tool: &ToolFacts) -> EntityUid {
        self.action(match tool.name.theirs().map(|theirs| theirs.thing) {
            Some(Thing::Tool) => names::UPSTREAM_CALL,
            Some(Thing::Resource) => names::UPSTREAM_READ,
            Some(Thing::Prompt) => names::UPSTREAM_PROMPT,
            None => tool.name.as_str(),
        })
    }

    pub(crate) fn action(&self, name: &str) -> EntityUid {
        uid(&self.action, name)
    }

    pub(crate) fn target(&self, target: &Target) -> EntityUid {
        uid(&self.target, target.name.as_str())
    }

    /// What a tool acts on: the target, or something that lies in it.
    pub(crate) fn resource(&self, tool: &ToolFacts, target: &Target) -> EntityUid {
        let Some(theirs) = tool.name.theirs() else { return self.target(target) };
        let kind = match theirs.thing {
            Thing::Tool => &self.upstream_tool,
            Thing::Resource => &self.upstream_resource,
            Thing::Prompt => &self.upstream_prompt,
        };
        uid(kind, &format!("{}/{}", theirs.upstream, theirs.name))
    }

    pub(crate) fn tag(&self, name: &str) -> EntityUid {
        uid(&self.tag, name)
    }

    /// The groups an action is in.
    pub(crate) fn action_groups(&self, tool: &ToolFacts) -> Vec<EntityUid> {
        if is_operator(&tool.name) {
            return vec![self.action(names::ALL_VERBS)];
        }
        if tool.name.theirs().is_some() {
            return vec![self.action(names::ALL_TOOLS)];
        }
        let (set, tier) = (format!("set:{}", tool.set), format!("tier:{}", tool.tier.as_str()));
        vec![self.action(names::ALL_TOOLS), self.action(&set), self.action(&tier)]
    }

    /// Principal, action and target with what they are in.
    pub(crate) fn scene(
        &self,
        principal: &Principal,
        tool: &ToolFacts,
        target: &Target,
    ) -> Result<Arc<Scene>, Unsayable> {
        self.known.scene(principal, tool, target, || {
            Ok(Scene {
                principal: self.principal(principal),
                action: self.action_of(tool),
                resource: self.resource(tool, target),
                entities: self.build(principal, tool, target)?,
            })
        })
    }

    fn build(&self, principal: &Principal, tool: &ToolFacts, target: &Target) -> Result<Entities, Unsayable> {
        let groups = principal.groups.iter().map(|group| self.group(group.as_str())).collect();
        let name = HashMap::from([("name".to_owned(), text(principal.id.as_str()))]);
        let principal = Entity::new(self.principal(principal), name, groups).map_err(|e| e.to_string())?;
        let parents: HashSet<_> = self.action_groups(tool).into_iter().collect();
        let action = Entity::new_no_attrs(self.action_of(tool), parents);
        let theirs = tool.name.theirs();
        let tags = target.tags.iter().map(|tag| self.tag(tag)).collect();
        let mut attributes = HashMap::from([
            ("name".to_owned(), text(target.name.as_str())),
            ("kind".to_owned(), text(target.kind.as_str())),
        ]);
        if let Some(address) = &target.address {
            attributes.insert("address".to_owned(), text(address));
        }
        if let Some(theirs) = theirs {
            let name = match theirs.thing {
                Thing::Tool => "tool",
                Thing::Resource => "uri",
                Thing::Prompt => "prompt",
            };
            attributes.insert(name.to_owned(), text(theirs.name));
        }
        let parents: HashSet<_> = if theirs.is_some() { [self.target(target)].into() } else { tags };
        let target =
            Entity::new(self.resource(tool, target), attributes, parents).map_err(|e| e.to_string())?;
        Entities::from_entities([principal, action, target], None).map_err(|e| e.to_string())
    }

    /// The question about one part.
    pub(crate) fn request<'a>(
        &self,
        scene: &Scene,
        part: &SubAction,
        moment: Moment,
        matched: impl Iterator<Item = &'a str>,
    ) -> Result<Request, Unsayable> {
        let matched: Vec<&str> = matched.collect();
        let context = match part {
            // The one context that has nothing of the call in it.
            SubAction::Whole if matched.is_empty() => self.plain.of(moment, || context(part, moment, &[]))?,
            SubAction::Whole
            | SubAction::Upstream(_)
            | SubAction::Command(_)
            | SubAction::File { .. }
            | SubAction::Credential { .. } => context(part, moment, &matched)?,
        };
        let Scene { principal, action, resource, .. } = scene;
        Request::new(principal.clone(), action.clone(), resource.clone(), context, None)
            .map_err(|e| e.to_string())
    }
}

/// The context of the last hour in which something was asked as a whole.
#[derive(Default)]
struct Plain(Mutex<Option<(Moment, Context)>>);

impl Plain {
    fn of(
        &self,
        moment: Moment,
        build: impl FnOnce() -> Result<Context, Unsayable>,
    ) -> Result<Context, Unsayable> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((of, context)) if *of == moment => Ok(context.clone()),
            Some(_) | None => Ok(last.insert((moment, build()?)).1.clone()),
        }
    }
}

fn context(part: &SubAction, moment: Moment, matched: &[&str]) -> Result<Context, Unsayable> {
    let time = record([
        ("hour", RestrictedExpression::new_long(i64::from(moment.hour))),
        ("weekday", RestrictedExpression::new_long(i64::from(moment.weekday))),
    ])?;
    let matched = RestrictedExpression::new_set(matched.iter().map(|name| text(name)));
    let mut pairs = vec![("matched".to_owned(), matched), ("time".to_owned(), time)];
    let kind = match part {
        SubAction::Whole => "whole",
        SubAction::Upstream(_) => "upstream",
        SubAction::Command(command) => {
            pairs.push(("command".to_owned(), command_record(command)?));
            "command"
        }
        SubAction::File { access, path } => {
            pairs.push(("path".to_owned(), text(path.as_str())));
            access.as_str()
        }
        SubAction::Credential { credential, .. } => {
            let fields = [
                ("source", text(credential.source())),
                ("safe", text(credential.safe())),
                ("object", text(credential.object())),
            ];
            pairs.push(("credential".to_owned(), record(fields)?));
            "credential"
        }
    };
    pairs.push(("part".to_owned(), text(kind)));
    Context::from_pairs(pairs).map_err(|e| e.to_string())
}

fn command_record(command: &SimpleCommand) -> Result<RestrictedExpression, Unsayable> {
    let program = command.words.first().map_or("", String::as_str);
    let name = program.rsplit('/').next().unwrap_or(program);
    record([
        ("program", text(program)),
        ("name", text(name)),
        ("line", text(&command::simple(command))),
        ("opaque", RestrictedExpression::new_bool(command::opaque(command).is_some())),
    ])
}

fn record<const N: usize>(
    fields: [(&str, RestrictedExpression); N],
) -> Result<RestrictedExpression, Unsayable> {
    RestrictedExpression::new_record(fields.map(|(key, value)| (key.to_owned(), value)))
        .map_err(|e| e.to_string())
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}
