//! Who gives tokens: as the operator wrote it, or found from what the operator wrote (RFC 8414, and RFC 9728 where that is wanted).

use http::{Request, StatusCode, Uri};
use http_body_util::Full;
use serde::Deserialize;

use crate::http::ask::{Asked, ask};
use crate::settings::{HttpSettings, OAuthSettings};

/// Where tokens are given, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authority {
    pub(super) endpoint: Uri,
    /// Whether the operator wrote the host of it.
    pub(super) written: bool,
    /// What the token must be good for.
    pub(super) resource: String,
}

const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";
const RESOURCE: &str = "/.well-known/oauth-protected-resource";

/// Finds it. The operator's words decide; what servers say about themselves is compared with them.
pub(super) async fn find(settings: &HttpSettings, oauth: &OAuthSettings) -> Result<Authority, String> {
    let own = || settings.url.split(['?', '#']).next().unwrap_or_default().to_owned();
    let resource = match (&oauth.resource, &oauth.issuer, oauth.resource_metadata) {
        (_, Some(issuer), true) => protected(settings, &own(), issuer).await?,
        (Some(resource), ..) => resource.clone(),
        (None, ..) => own(),
    };
    let (endpoint, written) = match (&oauth.token_url, &oauth.issuer) {
        (Some(url), _) => (url.parse().map_err(|_| "`token_url` is no address".to_owned())?, true),
        (None, Some(issuer)) => endpoint_of(settings, oauth, issuer).await?,
        (None, None) => return Err("nobody is named who gives tokens".to_owned()),
    };
    Ok(Authority { endpoint, written, resource })
}

/// The token endpoint that the issuer names, and whether it lies on the host that the operator wrote.
async fn endpoint_of(
    settings: &HttpSettings,
    oauth: &OAuthSettings,
    issuer: &str,
) -> Result<(Uri, bool), String> {
    let base: Uri = issuer.parse().map_err(|_| "`issuer` is no address".to_owned())?;
    for place in well_known(&base) {
        let place = place.parse().map_err(|_| "`issuer` is no address".to_owned())?;
        let (status, body) = look(place, settings).await?;
        if status == StatusCode::OK {
            let found = metadata(&body, issuer, oauth.in_body)?;
            return judged(&found, &base);
        }
        if !status.is_client_error() {
            return Err(format!("the issuer answered with the HTTP status {}", status.as_u16()));
        }
    }
    Err("the issuer does not say where it gives tokens; write `token_url`".to_owned())
}

/// Where an issuer may say who it is, in the order in which it is asked.
fn well_known(issuer: &Uri) -> Vec<String> {
    let origin = origin(issuer);
    match issuer.path().trim_end_matches('/') {
        "" => vec![format!("{origin}{OAUTH}"), format!("{origin}{OPENID}")],
        path => vec![
            format!("{origin}{OAUTH}{path}"),
            format!("{origin}{OPENID}{path}"),
            format!("{origin}{path}{OPENID}"),
        ],
    }
}

/// The token endpoint in an issuer's words about itself: they must be its own, and fit what we do.
fn metadata(body: &[u8], issuer: &str, in_body: bool) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Metadata {
        issuer: String,
        token_endpoint: String,
        grant_types_supported: Option<Vec<String>>,
        token_endpoint_auth_methods_supported: Option<Vec<String>>,
    }
    let said: Metadata =
        serde_json::from_slice(body).map_err(|_| "the issuer's metadata are none".to_owned())?;
    if said.issuer != issuer {
        return Err("the issuer's metadata are about another issuer".to_owned());
    }
    let lists = |list: &Option<Vec<String>>, wanted: &str| {
        list.as_ref().is_none_or(|list| list.iter().any(|one| one == wanted))
    };
    if !lists(&said.grant_types_supported, "client_credentials") {
        return Err("the issuer does not offer the grant `client_credentials`".to_owned());
    }
    let (method, other) = match in_body {
        true => ("client_secret_post", "basic"),
        false => ("client_secret_basic", "post"),
    };
    if !lists(&said.token_endpoint_auth_methods_supported, method) {
        return Err(format!(
            "the issuer does not take `{method}`; `client_auth = \"{other}\"` is the other way"
        ));
    }
    Ok(said.token_endpoint)
}

/// Whether a secret may be sent where an issuer says: over TLS, or to the very place where the issuer itself is.
fn judged(endpoint: &str, issuer: &Uri) -> Result<(Uri, bool), String> {
    let wrong = || "the issuer names a token endpoint that is no `https` address".to_owned();
    let endpoint: Uri = endpoint.parse().map_err(|_| wrong())?;
    let plain = endpoint.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    let secure = endpoint.scheme_str() == Some("https") || origin(&endpoint) == origin(issuer);
    if !plain || !secure {
        return Err(wrong());
    }
    let written = endpoint.host() == issuer.host();
    Ok((endpoint, written))
}

/// The name under which the upstream says that it is protected: by the issuer that the operator named, or not at all.
async fn protected(settings: &HttpSettings, url: &str, issuer: &str) -> Result<String, String> {
    let uri: Uri = url.parse().map_err(|_| "`url` is no address".to_owned())?;
    let (origin, path) = (origin(&uri), uri.path().trim_end_matches('/'));
    let places = [(format!("{origin}{RESOURCE}{path}"), url), (format!("{origin}{RESOURCE}"), &*origin)];
    let once = if path.is_empty() { 1 } else { 2 };
    for (place, resource) in places.iter().take(once) {
        let place = place.parse().map_err(|_| "`url` is no address".to_owned())?;
        let (status, body) = look(place, settings).await?;
        if status == StatusCode::OK {
            return resource_in(&body, resource, issuer);
        }
    }
    Err("it does not say who protects it (RFC 9728); leave `resource_metadata` out".to_owned())
}

fn resource_in(body: &[u8], resource: &str, issuer: &str) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Protected {
        resource: String,
        #[serde(default)]
        authorization_servers: Vec<String>,
    }
    let said: Protected =
        serde_json::from_slice(body).map_err(|_| "its protected resource metadata are none".to_owned())?;
    if said.resource.trim_end_matches('/') != resource.trim_end_matches('/') {
        return Err("its protected resource metadata are about another resource".to_owned());
    }
    if !said.authorization_servers.iter().any(|server| server == issuer) {
        return Err("it does not name the configured `issuer` as one that protects it".to_owned());
    }
    Ok(said.resource)
}

async fn look(place: Uri, settings: &HttpSettings) -> Asked {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = place;
    ask(request, settings, true).await
}

fn origin(uri: &Uri) -> String {
    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
    format!("{}://{}", uri.scheme_str().unwrap_or_default(), authority.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::{judged, metadata, resource_in, well_known};

    const ISSUER: &str = "https://as.example/tenant";

    #[test]
    fn an_issuer_is_asked_where_the_standards_say() {
        let places = |issuer: &str| well_known(&issuer.parse::<Uri>().unwrap()).join(" ");
        assert_eq!(
            places("https://as.example"),
            "https://as.example/.well-known/oauth-authorization-server https://as.example/.well-known/openid-configuration"
        );
        assert_eq!(
            places(ISSUER),
            "https://as.example/.well-known/oauth-authorization-server/tenant \
             https://as.example/.well-known/openid-configuration/tenant \
             https://as.example/tenant/.well-known/openid-configuration"
        );
    }

    #[test]
    fn metadata_of_another_issuer_are_not_believed() {
        let of = |issuer: &str, more: &str| {
            let body = format!(r#"{{"issuer":"{issuer}","token_endpoint":"https://as.example/t"{more}}}"#);
            metadata(body.as_bytes(), ISSUER, false)
        };
        assert_eq!(of(ISSUER, ""), Ok("https://as.example/t".to_owned()));
        for other in ["https://as.example", "https://as.example/tenant/", "https://evil.example/tenant"] {
            assert!(of(other, "").unwrap_err().contains("another issuer"), "{other}");
        }
        let grants = r#","grant_types_supported":["authorization_code"]"#;
        assert!(of(ISSUER, grants).unwrap_err().contains("client_credentials"));
        let methods = r#","token_endpoint_auth_methods_supported":["client_secret_post"]"#;
        assert!(of(ISSUER, methods).unwrap_err().contains("client_auth = \"post\""));
        assert!(metadata(b"<html>", ISSUER, false).is_err());
    }

    #[test]
    fn a_secret_goes_to_an_https_endpoint_or_to_where_the_issuer_is() {
        let issuer: Uri = "http://127.0.0.1:9000".parse().unwrap();
        let remote: Uri = ISSUER.parse().unwrap();
        let written = |endpoint: &str, issuer: &Uri| judged(endpoint, issuer).map(|(_, written)| written);
        assert_eq!(written("http://127.0.0.1:9000/token", &issuer), Ok(true));
        assert_eq!(
            written("https://AS.example/token", &remote),
            Ok(false),
            "what differs is not the operator's"
        );
        assert_eq!(written("https://as.example:8443/token", &remote), Ok(true));
        assert_eq!(written("https://169.254.169.254/token", &remote), Ok(false), "nobody wrote that address");
        for wrong in [
            "http://as.example/token",
            "http://127.0.0.1:9001/token",
            "https://u:p@as.example/t",
            "/token",
            "",
        ] {
            assert!(judged(wrong, &remote).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_upstream_must_name_the_issuer_that_the_operator_named() {
        let of = |body: &str| resource_in(body.as_bytes(), "https://mcp.example/mcp", ISSUER);
        let right =
            format!(r#"{{"resource":"https://mcp.example/mcp","authorization_servers":["{ISSUER}"]}}"#);
        assert_eq!(of(&right), Ok("https://mcp.example/mcp".to_owned()));
        let evil =
            r#"{"resource":"https://mcp.example/mcp","authorization_servers":["https://evil.example"]}"#;
        assert!(of(evil).unwrap_err().contains("does not name the configured"));
        assert!(of(&right.replace("mcp.example", "bank.example")).unwrap_err().contains("another resource"));
        assert!(of("{}").is_err());
    }
}
