//! What requests carry beside their content: what the client can do, how much it wants to hear, what it answers.

use std::borrow::Cow;
use std::collections::BTreeMap;

use model::{Abilities, LogLevel, Said};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Params, RequestMeta, object, text};
use crate::RpcError;

/// What comes with a request that is made again after questions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InputParams {
    /// The answers by the names of the questions, each an object; `None` when there are none.
    pub answers: Option<BTreeMap<String, Said>>,
    /// What was given out with the questions.
    pub state: Option<String>,
}

/// The parameters of `completion/complete`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompleteParams {
    /// What the argument belongs to.
    pub of: CompletionOf,
    /// The argument.
    pub argument: String,
    /// What is written of it so far.
    pub written: String,
}

/// What a completed argument belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompletionOf {
    /// A prompt, by its name.
    Prompt(String),
    /// A template of resource addresses.
    Template(String),
}

/// The parameters of `subscriptions/listen`: what the client wants to hear of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListenParams {
    /// Other tools.
    pub tools: bool,
    /// Other prompts.
    pub prompts: bool,
    /// Other resources.
    pub resources: bool,
    /// Changes of these resources.
    pub watched: Vec<String>,
}

/// Resources that one client may watch.
pub const WATCHED_MAX: usize = 64;

impl<'a> Params<'a> {
    /// For every request that may have been answered with questions.
    pub fn input(&self) -> Result<InputParams, RpcError> {
        let wrong = || RpcError::InvalidParams("`inputResponses` must be an object of objects".into());
        let answers = match self.input_responses {
            None => None,
            Some(raw) if raw.get().starts_with('{') => {
                let answers: BTreeMap<String, &RawValue> =
                    serde_json::from_str(raw.get()).map_err(|_| wrong())?;
                if !answers.values().all(|answer| answer.get().starts_with('{')) {
                    return Err(wrong());
                }
                let said = |(name, answer): (String, &RawValue)| (name, Said::Answer(answer.get().into()));
                Some(answers.into_iter().map(said).collect())
            }
            Some(_) => return Err(wrong()),
        };
        let state = self
            .request_state
            .map(|raw| text(Some(raw), "`requestState` must be a string").map(Cow::into_owned))
            .transpose()?;
        Ok(InputParams { answers, state })
    }

    /// For `logging/setLevel`.
    pub fn level(&self) -> Result<LogLevel, RpcError> {
        let level = text(self.level, "`level` must be a string")?;
        LogLevel::parse(&level)
            .ok_or(RpcError::InvalidParams("`level` is none of the eight log levels".into()))
    }

    /// For `completion/complete`.
    pub fn complete(&self) -> Result<CompleteParams, RpcError> {
        #[derive(Deserialize)]
        struct Reference<'a> {
            #[serde(borrow)]
            r#type: Cow<'a, str>,
            #[serde(borrow)]
            name: Option<Cow<'a, str>>,
            #[serde(borrow)]
            uri: Option<Cow<'a, str>>,
        }
        #[derive(Deserialize)]
        struct Argument<'a> {
            #[serde(borrow)]
            name: Cow<'a, str>,
            #[serde(borrow)]
            value: Cow<'a, str>,
        }
        const REFERENCE: &str = "`ref` must be a `ref/prompt` with a `name` or a `ref/resource` with a `uri`";
        const ARGUMENT: &str = "`argument` must be an object with a `name` and a `value`";
        let missing = |what: &'static str| RpcError::InvalidParams(what.into());
        let reference: Reference<'_> = object(self.reference.ok_or_else(|| missing(REFERENCE))?, REFERENCE)?;
        let argument: Argument<'_> = object(self.argument.ok_or_else(|| missing(ARGUMENT))?, ARGUMENT)?;
        let of = match (reference.r#type.as_ref(), reference.name, reference.uri) {
            ("ref/prompt", Some(name), _) => CompletionOf::Prompt(name.into_owned()),
            ("ref/resource", _, Some(uri)) => CompletionOf::Template(uri.into_owned()),
            _ => return Err(missing(REFERENCE)),
        };
        let (argument, written) = (argument.name.into_owned(), argument.value.into_owned());
        Ok(CompleteParams { of, argument, written })
    }

    /// For `subscriptions/listen`.
    pub fn listen(&self) -> Result<ListenParams, RpcError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Filter {
            #[serde(default)]
            tools_list_changed: bool,
            #[serde(default)]
            prompts_list_changed: bool,
            #[serde(default)]
            resources_list_changed: bool,
            #[serde(default)]
            resource_subscriptions: Vec<String>,
        }
        const WRONG: &str = "`notifications` must be an object whose members have their types";
        let raw = self.notifications.ok_or(RpcError::InvalidParams(WRONG.into()))?;
        let filter: Filter = object(raw, WRONG)?;
        if filter.resource_subscriptions.len() > WATCHED_MAX {
            return Err(RpcError::InvalidParams("at most 64 resources can be watched at once".into()));
        }
        Ok(ListenParams {
            tools: filter.tools_list_changed,
            prompts: filter.prompts_list_changed,
            resources: filter.resources_list_changed,
            watched: filter.resource_subscriptions,
        })
    }
}

impl RequestMeta<'_> {
    /// What the client can be asked, as it says in a modern request.
    pub fn abilities(&self) -> Abilities {
        self.client_capabilities.map(abilities).unwrap_or_default()
    }

    /// From which level on the client wants to be told, as it says in a modern request.
    pub fn log_level(&self) -> Result<Option<LogLevel>, RpcError> {
        let Some(level) = self.log_level.as_deref() else { return Ok(None) };
        let wrong = "`io.modelcontextprotocol/logLevel` is none of the eight log levels";
        LogLevel::parse(level).map(Some).ok_or(RpcError::InvalidParams(wrong.into()))
    }
}

/// Reads a client's capabilities. What is not understood is not there; a client that declares elicitation without saying
/// which kinds means forms.
pub(super) fn abilities(raw: &RawValue) -> Abilities {
    let Ok(Value::Object(capabilities)) = serde_json::from_str(raw.get()) else {
        return Abilities::default();
    };
    let has = |name: &str| capabilities.get(name).is_some_and(Value::is_object);
    let elicitation = capabilities.get("elicitation").and_then(Value::as_object);
    let kind = |name: &str| elicitation.is_some_and(|kinds| kinds.get(name).is_some_and(Value::is_object));
    Abilities {
        form: kind("form") || elicitation.is_some_and(|_| !kind("url")),
        page: kind("url"),
        sample: has("sampling"),
        roots: has("roots"),
    }
}
