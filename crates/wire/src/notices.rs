//! Messages that want no answer: how a call goes, and what has changed.

use model::LogLevel;
use serde::Serialize;

use crate::{Dress, ListenParams, ProgressToken, RequestId, ServerInfo};

/// How far a call is.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress<'a> {
    /// What the client wants it marked with.
    pub progress_token: ProgressToken<'a>,
    /// How far; grows with every message.
    pub progress: f64,
    /// How far it can get, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<f64>,
    /// A word about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'a str>,
}

/// What has changed for a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed<'a> {
    /// The tools it may know of.
    Tools,
    /// The resources it may know of.
    Resources,
    /// The prompts it may know of.
    Prompts,
    /// The resource of this address.
    Resource(&'a str),
}

/// Writes what a call says while it runs.
pub fn write_log(level: LogLevel, logger: &str, text: &str) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(Serialize)]
    struct Log<'a> {
        level: &'static str,
        logger: &'a str,
        data: &'a str,
    }
    write_notification("notifications/message", &Log { level: level.as_str(), logger, data: text })
}

/// Writes what has changed; a modern client knows by the id of its `subscriptions/listen` which of its streams this is.
pub fn write_changed(
    changed: Changed<'_>,
    subscription: Option<RequestId<'_>>,
) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(Serialize)]
    struct Params<'a> {
        #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
        meta: Option<SubscriptionMeta<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        uri: Option<&'a str>,
    }
    let (method, uri) = match changed {
        Changed::Tools => ("notifications/tools/list_changed", None),
        Changed::Resources => ("notifications/resources/list_changed", None),
        Changed::Prompts => ("notifications/prompts/list_changed", None),
        Changed::Resource(uri) => ("notifications/resources/updated", Some(uri)),
    };
    write_notification(method, &Params { meta: subscription.map(SubscriptionMeta::of), uri })
}

/// Writes the first message of a subscription: what of it is granted.
pub fn write_listening(
    subscription: RequestId<'_>,
    granted: &ListenParams,
) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Granted<'a> {
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        tools_list_changed: bool,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        prompts_list_changed: bool,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        resources_list_changed: bool,
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        resource_subscriptions: &'a [String],
    }
    #[derive(Serialize)]
    struct Params<'a> {
        #[serde(rename = "_meta")]
        meta: SubscriptionMeta<'a>,
        notifications: Granted<'a>,
    }
    let notifications = Granted {
        tools_list_changed: granted.tools,
        prompts_list_changed: granted.prompts,
        resources_list_changed: granted.resources,
        resource_subscriptions: &granted.watched,
    };
    let params = Params { meta: SubscriptionMeta::of(subscription), notifications };
    write_notification("notifications/subscriptions/acknowledged", &params)
}

/// The answer to `subscriptions/listen`, when we end it.
#[derive(Debug, Serialize)]
pub struct ListenEnded<'a> {
    #[serde(rename = "resultType")]
    result_type: &'static str,
    #[serde(rename = "_meta")]
    meta: EndMeta<'a>,
}

#[derive(Debug, Serialize)]
struct EndMeta<'a> {
    #[serde(rename = "io.modelcontextprotocol/subscriptionId")]
    subscription: RequestId<'a>,
    #[serde(rename = "io.modelcontextprotocol/serverInfo")]
    server: ServerInfo<'a>,
}

impl<'a> ListenEnded<'a> {
    /// For the subscription of this request.
    pub fn new(subscription: RequestId<'a>, server: ServerInfo<'a>) -> Self {
        Self { result_type: Dress::COMPLETE, meta: EndMeta { subscription, server } }
    }
}

#[derive(Serialize)]
struct SubscriptionMeta<'a> {
    #[serde(rename = "io.modelcontextprotocol/subscriptionId")]
    subscription: RequestId<'a>,
}

impl<'a> SubscriptionMeta<'a> {
    fn of(subscription: RequestId<'a>) -> Self {
        Self { subscription }
    }
}

/// Writes a message that wants no answer.
pub fn write_notification(method: &str, params: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    #[derive(Serialize)]
    struct Message<'a, T: Serialize> {
        jsonrpc: &'static str,
        method: &'a str,
        params: &'a T,
    }
    serde_json::to_vec(&Message { jsonrpc: "2.0", method, params })
}
