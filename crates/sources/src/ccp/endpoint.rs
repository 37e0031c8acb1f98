//! Where the web service is.

use http::Uri;
use rustls::pki_types::ServerName;

/// An `https` address, taken apart.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// Name or literal address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// What the certificate must be for.
    pub(super) name: ServerName<'static>,
    /// As the `Host` header says it.
    pub(super) authority: String,
    /// Begins with `/`.
    pub(super) path: String,
}

impl Endpoint {
    /// Reads an address; the error says what is wrong with it.
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        let uri: Uri = url.parse().map_err(|_| "`url` is no address")?;
        if uri.scheme_str() != Some("https") {
            return Err("`url` must begin with `https://`");
        }
        if uri.query().is_some() || url.contains('#') {
            return Err("`url` must end with the path: the source adds the query itself");
        }
        let authority = uri.authority().ok_or("`url` names no host")?;
        if authority.as_str().contains('@') {
            return Err("`url` must not name a user");
        }
        if uri.path().len() < 2 {
            return Err("`url` must have the path of the web service, such as `/AIMWebService/api/Accounts`");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host.clone())
            .map_err(|_| "`url` names a host that no certificate can be for")?;
        Ok(Self {
            port: authority.port_u16().unwrap_or(443),
            authority: authority.as_str().to_owned(),
            path: uri.path().to_owned(),
            host,
            name,
        })
    }

    /// Host and port, for the operator.
    pub(super) fn shown(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}
