//! The other side of the protocol: requests of ours to an upstream, and how its answers are read.

use std::borrow::Cow;
use std::collections::BTreeSet;

use model::{Abilities, LogLevel};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::forward::{Members, ModernMeta, apply, modern_meta, place};
use crate::{LATEST_LEGACY, ProtocolVersion};

/// Who we are for upstreams.
pub(crate) const CLIENT: &str =
    concat!(r#"{"name":"portcullis","title":"Portcullis","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);

/// Writes a request; the parameters are the JSON text of an object.
pub fn write_request(id: u64, method: &str, params: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(params.len() + method.len() + 64);
    out.extend_from_slice(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":"#).as_bytes());
    out.extend_from_slice(params.as_bytes());
    out.push(b'}');
    out
}

/// Writes the notification that a request of ours is given up.
pub fn write_cancelled(id: u64) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#)
        .into_bytes()
}

/// Writes the notification that ends a legacy handshake.
pub fn write_initialized() -> Vec<u8> {
    br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_vec()
}

/// Writes the answer to a request that an upstream may not send.
pub fn write_not_offered(id: crate::RequestId<'_>) -> Vec<u8> {
    let id = id.as_json();
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"not offered"}}}}"#).into_bytes()
}

/// Writes the empty result: the answer to `ping`.
pub fn write_pong(id: crate::RequestId<'_>) -> Vec<u8> {
    let id = id.as_json();
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#).into_bytes()
}

/// The parameters of `server/discover`.
pub fn discover_params(version: ProtocolVersion) -> String {
    format!(r#"{{"_meta":{{{}}}}}"#, modern_meta(ModernMeta::silent(version)))
}

/// The parameters of `subscriptions/listen`: to be told when a list changes, or one of these resources.
pub fn listen_params(version: ProtocolVersion, watched: &BTreeSet<String>) -> String {
    let meta = modern_meta(ModernMeta::silent(version));
    let lists = r#""toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true"#;
    let watched: Vec<&str> = watched.iter().map(String::as_str).collect();
    let watched = match watched.is_empty() {
        true => String::new(),
        false => format!(r#","resourceSubscriptions":{}"#, serde_json::Value::from(watched)),
    };
    format!(r#"{{"notifications":{{{lists}{watched}}},"_meta":{{{meta}}}}}"#)
}

/// The parameters of `resources/subscribe` and `resources/unsubscribe`.
pub fn uri_params(uri: &str) -> String {
    format!(r#"{{"uri":{}}}"#, serde_json::Value::from(uri))
}

/// The address in `notifications/resources/updated`.
pub fn updated_uri(params: &RawValue) -> Option<String> {
    let members = Members::read(params.get()).ok()?;
    serde_json::from_str(members.find("uri")?.get()).ok()
}

/// The parameters of `initialize`: the newest legacy version, and what clients may be asked through us.
pub fn initialize_params(abilities: Abilities) -> String {
    let capabilities = crate::asks::capabilities(abilities);
    format!(r#"{{"protocolVersion":"{LATEST_LEGACY}","capabilities":{capabilities},"clientInfo":{CLIENT}}}"#)
}

/// The parameters of `tools/list`, from this cursor on.
pub fn list_params(cursor: Option<&str>, modern: Option<ProtocolVersion>) -> String {
    let cursor = cursor.map(|cursor| format!(r#""cursor":{}"#, serde_json::Value::from(cursor)));
    let meta = modern.map(|version| format!(r#""_meta":{{{}}}"#, modern_meta(ModernMeta::silent(version))));
    format!("{{{}}}", meta.into_iter().chain(cursor).collect::<Vec<_>>().join(","))
}

/// The versions that an upstream says it speaks, of those that stand alone, if any.
pub fn read_discovered(result: &RawValue) -> Option<ProtocolVersion> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Discovered<'a> {
        #[serde(borrow)]
        supported_versions: Vec<Cow<'a, str>>,
    }
    let discovered: Discovered<'_> = serde_json::from_str(result.get()).ok()?;
    let spoken = discovered.supported_versions.iter().filter_map(|version| ProtocolVersion::parse(version));
    spoken.filter(|version| version.era() == crate::Era::Modern).max()
}

/// The version that an upstream's answer to `initialize` settles on; `None` if we do not speak it.
///
/// 2024-11-05 is the oldest that any server answers with. What differs in it is nothing that we use.
pub fn read_initialized(result: &RawValue) -> Option<ProtocolVersion> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Initialized<'a> {
        #[serde(borrow)]
        protocol_version: Cow<'a, str>,
    }
    let initialized: Initialized<'_> = serde_json::from_str(result.get()).ok()?;
    match &*initialized.protocol_version {
        "2024-11-05" => Some(ProtocolVersion::V2025_03_26),
        version => ProtocolVersion::parse(version).filter(|version| version.era() == crate::Era::Legacy),
    }
}

/// A page of an upstream's tools, as it wrote them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolsPage<'a> {
    /// The definitions.
    #[serde(borrow)]
    pub tools: Vec<&'a RawValue>,
    /// Where the next page begins.
    #[serde(borrow)]
    pub next_cursor: Option<Cow<'a, str>>,
}

impl<'a> ToolsPage<'a> {
    /// Reads the result of `tools/list`.
    pub fn read(result: &'a RawValue) -> Option<Self> {
        serde_json::from_str(result.get()).ok()
    }
}

/// What the gateway itself reads of a tool's definition.
#[derive(Debug, Deserialize)]
pub struct ToolHead<'a> {
    /// Its name.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// Its name for people.
    #[serde(borrow)]
    pub title: Option<Cow<'a, str>>,
    /// What it does.
    #[serde(borrow)]
    pub description: Option<Cow<'a, str>>,
}

impl<'a> ToolHead<'a> {
    /// Reads it.
    pub fn read(definition: &'a str) -> Option<Self> {
        serde_json::from_str(definition).ok()
    }
}

/// A tool's definition under another name; everything else stays as it was.
pub fn renamed(definition: &str, name: &str) -> Option<String> {
    let members = Members::read(definition).ok()?;
    let text = members.0.iter().map(|(key, value)| {
        let value =
            if key == "name" { serde_json::Value::from(name).to_string() } else { value.get().to_owned() };
        format!("{}:{value}", serde_json::Value::from(&**key))
    });
    Some(format!("{{{}}}", text.collect::<Vec<_>>().join(",")))
}

/// What the gateway itself reads of a tool's result.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallHead<'a> {
    /// Whether the tool says that it failed.
    #[serde(default)]
    pub is_error: bool,
    /// What kind of result it is; none is a complete one.
    #[serde(borrow)]
    pub result_type: Option<Cow<'a, str>>,
}

impl<'a> CallHead<'a> {
    /// Reads the result of `tools/call`, which must be an object.
    pub fn read(result: &'a RawValue) -> Option<Self> {
        if !result.get().starts_with('{') {
            return None;
        }
        serde_json::from_str(result.get()).ok()
    }
}

/// The number of an error object; `None` if it is none.
pub fn read_error_code(error: &RawValue) -> Option<i64> {
    #[derive(Deserialize)]
    struct Error<'a> {
        code: i64,
        #[serde(borrow, rename = "message")]
        _message: Cow<'a, str>,
    }
    serde_json::from_str::<Error<'_>>(error.get()).ok().map(|error| error.code)
}

/// Whether an error says that there is no such method: what a server without tools answers to `tools/list`.
pub fn is_method_not_found(error: &str) -> bool {
    let error = serde_json::from_str::<&RawValue>(error).ok();
    error.and_then(read_error_code) == Some(i64::from(crate::code::METHOD_NOT_FOUND))
}

/// Whether a message is an error about its session, as servers answer that say so by more than the status.
pub fn is_about_session(message: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Refused<'a> {
        #[serde(borrow)]
        error: Error<'a>,
    }
    #[derive(Deserialize)]
    struct Error<'a> {
        #[serde(borrow)]
        message: Cow<'a, str>,
    }
    let refused = serde_json::from_slice::<Refused<'_>>(message);
    refused.is_ok_and(|refused| refused.error.message.to_ascii_lowercase().contains("session"))
}

/// Which request `notifications/progress` is about: the token that we gave out is its number.
pub fn progress_of(params: &RawValue) -> Option<u64> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Progress {
        progress_token: u64,
        #[serde(rename = "progress")]
        _progress: f64,
    }
    serde_json::from_str::<Progress>(params.get()).ok().map(|said| said.progress_token)
}

/// Progress of an upstream as its client wants it marked.
pub fn with_progress_token(params: &str, token: crate::ProgressToken<'_>) -> Option<String> {
    let members = Members::read(params).ok()?;
    let written = members.find("progressToken")?;
    let token = serde_json::to_string(&token).ok()?;
    Some(apply(params, vec![(place(params, written), token)]))
}

/// How much a log message of an upstream matters; `None` if it is none.
pub fn level_of(params: &RawValue) -> Option<LogLevel> {
    let members = Members::read(params.get()).ok()?;
    let level: String = serde_json::from_str(members.find("level")?.get()).ok()?;
    members.find("data")?;
    LogLevel::parse(&level)
}

/// The parameters of `logging/setLevel`.
pub fn level_params(level: LogLevel) -> String {
    format!(r#"{{"level":"{}"}}"#, level.as_str())
}

/// Writes a notification of an upstream as it goes on.
pub fn write_told(method: &str, params: &str) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#).into_bytes()
}

/// Writes the message that carries an upstream's own result or error to the client whose request it answers.
pub fn write_forwarded(id: crate::RequestId<'_>, member: &str, json: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + id.as_json().len() + 48);
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.as_json().as_bytes());
    out.extend_from_slice(format!(r#","{member}":"#).as_bytes());
    out.extend_from_slice(json.as_bytes());
    out.push(b'}');
    out
}

/// A result as a modern client wants it, of an upstream that does not say what kind of result it is.
pub fn with_result_type(result: &str) -> Cow<'_, str> {
    let Some(rest) = result.trim_start().strip_prefix('{') else { return Cow::Borrowed(result) };
    let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
    Cow::Owned(format!(r#"{{"resultType":"complete"{comma}{rest}"#))
}

#[cfg(test)]
mod tests {
    use model::{Abilities, LogLevel};
    use serde_json::value::RawValue;

    use super::{
        CallHead, ToolsPage, discover_params, initialize_params, level_of, level_params, list_params,
        progress_of, read_discovered, read_error_code, read_initialized, renamed, with_progress_token,
        with_result_type, write_cancelled, write_initialized, write_request, write_told,
    };
    use crate::{Message, ProtocolVersion, ScanLimits};

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn what_is_written_is_a_message_that_nobody_could_misread() {
        let modern = Some(ProtocolVersion::V2026_07_28);
        for message in [
            write_request(1, "server/discover", &discover_params(ProtocolVersion::V2026_07_28)),
            write_request(2, "initialize", &initialize_params(Abilities::default())),
            write_request(3, "tools/list", &list_params(None, None)),
            write_request(4, "tools/list", &list_params(Some("a\"b"), modern)),
            write_cancelled(5),
            write_initialized(),
        ] {
            let parsed = Message::parse(&message, ScanLimits::default());
            assert!(parsed.is_ok(), "{}", String::from_utf8_lossy(&message));
        }
    }

    #[test]
    fn the_version_is_settled_or_there_is_none() {
        let version = |text: &str| read_discovered(&raw(text));
        assert_eq!(
            version(r#"{"supportedVersions":["2026-07-28","2025-11-25"]}"#),
            Some(ProtocolVersion::V2026_07_28)
        );
        for other in
            [r#"{"supportedVersions":["2025-11-25","2099-01-01"]}"#, "{}", "[]", r#"{"supportedVersions":5}"#]
        {
            assert_eq!(version(other), None, "{other}");
        }
        let version = |text: &str| read_initialized(&raw(&format!(r#"{{"protocolVersion":"{text}"}}"#)));
        assert_eq!(version("2025-06-18"), Some(ProtocolVersion::V2025_06_18));
        assert_eq!(version("2024-11-05"), Some(ProtocolVersion::V2025_03_26));
        assert_eq!((version("2026-07-28"), version("x")), (None, None));
    }

    #[test]
    fn a_definition_keeps_everything_but_its_name() {
        let page = raw(r#"{"tools":[{"name":"a","x-vendor":{"z":1,"a":1e2}}],"nextCursor":"n"}"#);
        let page = ToolsPage::read(&page).unwrap();
        assert_eq!(page.next_cursor.as_deref(), Some("n"));
        assert_eq!(
            renamed(page.tools[0].get(), "u__a").unwrap(),
            r#"{"name":"u__a","x-vendor":{"z":1,"a":1e2}}"#
        );
        assert!(ToolsPage::read(&raw(r#"{"tools":{}}"#)).is_none());
    }

    #[test]
    fn what_is_told_on_the_way_keeps_its_bytes_but_for_the_token() {
        let progress = raw(r#"{ "progressToken" : 7,"progress":1.0,"z":12345678901234567890123 }"#);
        assert_eq!(progress_of(&progress), Some(7));
        let token = raw("\"mine\"");
        let told = with_progress_token(progress.get(), crate::ProgressToken::from_owned(&token)).unwrap();
        assert_eq!(told, progress.get().replace(": 7", ": \"mine\""));
        for none in [r#"{"progressToken":"7","progress":1}"#, r#"{"progressToken":7}"#, "[]"] {
            assert_eq!(progress_of(&raw(none)), None, "{none}");
        }
        assert_eq!(level_of(&raw(r#"{"level":"error","data":[1]}"#)), Some(LogLevel::Error));
        for none in [r#"{"level":"loud","data":1}"#, r#"{"level":"error"}"#, r#"{"data":1}"#, "[]"] {
            assert_eq!(level_of(&raw(none)), None, "{none}");
        }
        for message in [
            write_told("notifications/progress", &told),
            write_request(1, "logging/setLevel", &level_params(LogLevel::Info)),
        ] {
            assert!(Message::parse(&message, ScanLimits::default()).is_ok());
        }
    }

    #[test]
    fn of_results_only_the_head_is_read() {
        let head = |text: &str| {
            CallHead::read(&raw(text)).map(|head| (head.is_error, head.result_type.map(|t| t.into_owned())))
        };
        assert_eq!(head(r#"{"content":[],"isError":true}"#), Some((true, None)));
        assert_eq!(head(r#"{"resultType":"input_required"}"#), Some((false, Some("input_required".into()))));
        assert_eq!((head("[]"), head(r#"{"isError":1}"#), head("null")), (None, None, None));
        assert_eq!(read_error_code(&raw(r#"{"code":-32602,"message":"m","data":{}}"#)), Some(-32602));
        assert_eq!(read_error_code(&raw(r#"{"code":"x"}"#)), None);
        assert_eq!(with_result_type("{}"), r#"{"resultType":"complete"}"#);
        assert_eq!(with_result_type(r#"{"a":1}"#), r#"{"resultType":"complete","a":1}"#);
    }
}
