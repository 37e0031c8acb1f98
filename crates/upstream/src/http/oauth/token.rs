//! The request for a token, and what the authorization server gives (RFC 6749, 4.4 and 5; RFC 8707).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use model::Secret;
use serde::Deserialize;

use crate::settings::OAuthSettings;

/// The longest token, in bytes: a header must hold it.
const LONGEST: usize = 16 * 1024;
/// How long a token is good for at least and at most, whatever is said.
const LIFE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(86_400));
/// What a server may say about a refusal; other words of its own are not told on.
const ERRORS: [&str; 7] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_target",
];

/// A token as it was given.
pub(super) struct Given {
    pub(super) token: Secret<String>,
    /// How long it is good for, if that was said.
    pub(super) life: Option<Duration>,
}

/// Asks for a token that is good for this resource.
pub(super) fn request(
    oauth: &OAuthSettings,
    endpoint: &Uri,
    resource: &str,
    secret: &Secret<String>,
) -> Result<Request<Full<Bytes>>, String> {
    let scope = oauth.scopes.join(" ");
    let mut pairs = vec![("grant_type", "client_credentials"), ("resource", resource)];
    if !scope.is_empty() {
        pairs.push(("scope", &scope));
    }
    if oauth.in_body {
        pairs.extend([("client_id", oauth.client_id.as_str()), ("client_secret", secret.expose())]);
    }
    let body: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let mut request = Request::new(Full::new(Bytes::from(body.join("&"))));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = endpoint.clone();
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if !oauth.in_body {
        let pair = format!("{}:{}", encoded(&oauth.client_id), encoded(secret.expose()));
        let value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)));
        let mut value = value.map_err(|_| "`client_id` or `client_secret` is too long".to_owned())?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(request)
}

/// Reads the answer. Nothing of it is told on but a code that everybody knows.
pub(super) fn read(status: StatusCode, body: &[u8]) -> Result<Given, String> {
    #[derive(Deserialize)]
    struct Answer {
        access_token: Option<String>,
        token_type: Option<String>,
        expires_in: Option<serde_json::Value>,
        error: Option<String>,
    }
    let read: Option<Answer> = serde_json::from_slice(body).ok();
    if status != StatusCode::OK {
        let code = read.and_then(|answer| answer.error);
        let known = code.and_then(|code| ERRORS.into_iter().find(|known| *known == code));
        let known = known.map(|code| format!(", `{code}`")).unwrap_or_default();
        return Err(format!("the authorization server gives no token (HTTP {}{known})", status.as_u16()));
    }
    let wrong = |what: &str| format!("the authorization server answered {what}");
    let answer = read.ok_or_else(|| wrong("what is no token"))?;
    let token = answer.access_token.map(Secret::new).ok_or_else(|| wrong("without a token"))?;
    // A token of another type would have to be shown in another way.
    if !answer.token_type.is_some_and(|of| of.eq_ignore_ascii_case("bearer")) {
        return Err(wrong("with a token that is no bearer token"));
    }
    let (length, graphic) = (token.expose().len(), token.expose().bytes().all(|b| b.is_ascii_graphic()));
    if length == 0 || length > LONGEST || !graphic {
        return Err(wrong("with a token that no header can hold"));
    }
    let seconds = answer.expires_in.and_then(|said| said.as_u64().or_else(|| said.as_str()?.parse().ok()));
    let life = seconds.map(|seconds| Duration::from_secs(seconds).clamp(LIFE.0, LIFE.1));
    Ok(Given { token, life })
}

/// As forms write text, in the strictest way: every byte but letters, digits and `-._`.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http_body_util::BodyExt as _;
    use model::{Secret, SecretLocation};

    use super::{Given, read, request};
    use crate::settings::OAuthSettings;

    fn oauth(in_body: bool) -> OAuthSettings {
        OAuthSettings {
            issuer: None,
            token_url: None,
            client_id: "a:b c".to_owned(),
            client_secret: SecretLocation::Env("X".into()),
            in_body,
            scopes: vec!["read".into(), "x:y".into()],
            resource: None,
            resource_metadata: false,
        }
    }

    #[tokio::test]
    async fn who_asks_is_said_in_one_place_and_every_part_is_encoded() {
        let secret = Secret::new("p%:+\u{e9}".to_owned());
        let uri = "https://as.example/token".parse().unwrap();
        let basic = request(&oauth(false), &uri, "https://mcp.example/mcp", &secret).unwrap();
        // `a%3Ab%20c:p%25%3A%2B%C3%A9`
        assert_eq!(basic.headers()["authorization"], "Basic YSUzQWIlMjBjOnAlMjUlM0ElMkIlQzMlQTk=");
        assert!(basic.headers()["authorization"].is_sensitive());
        let form =
            "grant_type=client_credentials&resource=https%3A%2F%2Fmcp.example%2Fmcp&scope=read%20x%3Ay";
        assert_eq!(basic.into_body().collect().await.unwrap().to_bytes(), form);
        let post = request(&oauth(true), &uri, "https://mcp.example/mcp", &secret).unwrap();
        assert!(!post.headers().contains_key("authorization"));
        let body = post.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, format!("{form}&client_id=a%3Ab%20c&client_secret=p%25%3A%2B%C3%A9"));
    }

    #[test]
    fn only_a_bearer_token_that_a_header_can_hold_is_taken_and_no_word_of_a_refusal_is_told_on() {
        let ok = |body: &str| read(StatusCode::OK, body.as_bytes());
        let seconds = |given: Result<Given, String>| given.ok().unwrap().life.map(|life| life.as_secs());
        assert_eq!(seconds(ok(r#"{"access_token":"t","token_type":"bearer"}"#)), None);
        for (expires, life) in [("60", 60), ("\"60\"", 60), ("0", 5), ("99999999999", 86_400)] {
            let body =
                format!(r#"{{"access_token":"t","token_type":"Bearer","expires_in":{expires},"x":1}}"#);
            assert_eq!(seconds(ok(&body)), Some(life), "{expires}");
        }
        for body in [
            "",
            "<html>",
            "[]",
            r#"{"token_type":"Bearer"}"#,
            r#"{"access_token":"t"}"#,
            r#"{"access_token":"t","token_type":"DPoP"}"#,
            r#"{"access_token":"","token_type":"Bearer"}"#,
            r#"{"access_token":"a b","token_type":"Bearer"}"#,
            r#"{"access_token":"a\nb","token_type":"Bearer"}"#,
            r#"{"access_token":["t"],"token_type":"Bearer"}"#,
            r#"{"access_token":"s3cret","access_token":"t","token_type":"Bearer"}"#,
        ] {
            let why = ok(body).err().unwrap_or_else(|| panic!("{body} is taken"));
            assert!(why.starts_with("the authorization server answered") && !why.contains("s3cret"), "{why}");
        }
        let long = format!(r#"{{"access_token":"{}","token_type":"Bearer"}}"#, "x".repeat(20_000));
        assert!(ok(&long).is_err());
        let refused = |body: &str| read(StatusCode::UNAUTHORIZED, body.as_bytes()).err().unwrap();
        assert!(refused(r#"{"error":"invalid_client"}"#).contains("401, `invalid_client`"));
        let told = refused(r#"{"error":"hunter2","error_description":"hunter2"}"#);
        assert_eq!(told, "the authorization server gives no token (HTTP 401)");
        assert!(read(StatusCode::FOUND, br#"{"access_token":"t","token_type":"Bearer"}"#).is_err());
    }
}
