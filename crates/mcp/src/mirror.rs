//! A server for our own use: the benchmark's upstream. One tool says back what it is told, in either era, and nothing is
//! kept between messages.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// The tool's name.
pub const TOOL: &str = "echo";

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<&'a str>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

/// What one message is answered with; `None` for what wants no answer.
pub fn answer(message: &[u8]) -> Option<String> {
    let Ok(message) = serde_json::from_slice::<Message<'_>>(message) else {
        return Some(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no JSON"}}"#.to_owned());
    };
    let id = message.id?.get();
    Some(match result(message.method?, message.params) {
        Some(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
        None => {
            format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"no such method"}}}}"#)
        }
    })
}

fn result(method: &str, params: Option<&RawValue>) -> Option<String> {
    let result = match method {
        "tools/call" => {
            let call = params.and_then(|params| serde_json::from_str::<Call<'_>>(params.get()).ok());
            let told = call.and_then(|call| call.arguments).map_or("{}", RawValue::get);
            let text = Value::from(told);
            return Some(format!(
                r#"{{"resultType":"complete","content":[{{"type":"text","text":{text}}}],"isError":false}}"#
            ));
        }
        "initialize" => json!({
            "protocolVersion": "2025-11-25",
            "capabilities": { "tools": {} },
            "serverInfo": { "name": "mirror", "version": "1" },
        }),
        "server/discover" => json!({
            "resultType": "complete",
            "supportedVersions": [wire::LATEST.as_str()],
            "capabilities": { "tools": {} },
            "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "mirror", "version": "1" } },
            "ttlMs": 0,
            "cacheScope": "private",
        }),
        "tools/list" => json!({
            "resultType": "complete",
            "tools": [{
                "name": TOOL,
                "description": "Says what it was told.",
                "inputSchema": { "type": "object", "properties": { "text": { "type": "string" } } },
            }],
            "ttlMs": 0,
            "cacheScope": "private",
        }),
        "ping" => json!({}),
        _ => return None,
    };
    Some(result.to_string())
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn it_says_back_what_it_is_told_and_is_silent_where_nothing_is_asked() {
        let told = answer(br#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"echo","arguments":{"b": 1}}}"#);
        let told: serde_json::Value = serde_json::from_str(&told.unwrap()).unwrap();
        assert_eq!(
            (&told["id"], &told["result"]["content"][0]["text"]),
            (&"a".into(), &r#"{"b": 1}"#.into())
        );
        assert_eq!(answer(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#), None);
        for (message, code) in [("[", -32700), (r#"{"id":1,"method":"x"}"#, -32601)] {
            let error: serde_json::Value =
                serde_json::from_str(&answer(message.as_bytes()).unwrap()).unwrap();
            assert_eq!(error["error"]["code"], code, "{message}");
        }
    }
}
