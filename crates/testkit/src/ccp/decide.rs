//! What a request gets: the order of checks and the codes of the vendor's table.

use std::collections::VecDeque;
use std::net::IpAddr;

use http::{Method, Request};
use serde_json::{Value, json};

use super::body::{CcpMischief, Reply};
use super::listener::ClientCertificates;
use super::vault::{CcpAccount, CcpApplication, Vault};

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CcpRequest {
    /// Its parameters in order, decoded.
    pub parameters: Vec<(String, String)>,
    /// Number of its connection, from 0.
    pub connection: usize,
    /// The client's certificate, DER.
    pub certificate: Option<Vec<u8>>,
}

impl CcpRequest {
    /// A parameter, whatever the case of its name.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// Who asks, as the web server knows it.
pub(super) struct Peer {
    pub(super) address: IpAddr,
    pub(super) certificate: Option<Vec<u8>>,
    pub(super) connection: usize,
}

pub(super) struct Desk {
    pub(super) vault: Vault,
    pub(super) clients: ClientCertificates,
    pub(super) mischief: VecDeque<CcpMischief>,
    pub(super) requests: Vec<CcpRequest>,
}

/// An error of CyberArk's: status, code, message.
type Refusal = (u16, &'static str, String);

/// Properties that a request may search by.
const CRITERIA: [&str; 7] = ["Safe", "Folder", "Object", "UserName", "Address", "Database", "PolicyID"];
/// What else it may say.
const OTHERS: [&str; 6] =
    ["AppID", "Reason", "ConnectionTimeout", "Query", "QueryFormat", "FailRequestOnPasswordChange"];

impl Desk {
    pub(super) fn new(clients: ClientCertificates) -> Self {
        Self { vault: Vault::default(), clients, mischief: VecDeque::new(), requests: Vec::new() }
    }

    pub(super) fn answer<B>(&mut self, request: &Request<B>, peer: &Peer) -> Reply {
        let query = request.uri().query().unwrap_or_default();
        let parameters = parameters(query);
        let (connection, certificate) = (peer.connection, peer.certificate.clone());
        let recorded =
            CcpRequest { parameters: parameters.clone().unwrap_or_default(), connection, certificate };
        self.requests.push(recorded.clone());
        if let Some(mischief) = self.mischief.pop_front() {
            return Reply::of(mischief);
        }
        if let Some(page) = self.page(request, query, peer) {
            return page;
        }
        match parameters.ok_or_else(invalid).and_then(|_| self.account(&recorded, peer)) {
            Ok(account) => Reply::json(200, &account),
            Err((status, code, message)) => {
                Reply::json(status, &json!({ "ErrorCode": code, "ErrorMsg": format!("{code} {message}") }))
            }
        }
    }

    /// What IIS answers itself.
    fn page<B>(&self, request: &Request<B>, query: &str, peer: &Peer) -> Option<Reply> {
        if self.clients == ClientCertificates::Required && peer.certificate.is_none() {
            return Some(Reply::page(403, "403 - Forbidden: a client certificate is required"));
        }
        if request.uri().path() != "/AIMWebService/api/Accounts" {
            return Some(Reply::page(404, "404 - File or directory not found"));
        }
        if query.len() > 2048 {
            return Some(Reply::page(404, "404.15 - Not Found: query string too long"));
        }
        (request.method() != Method::GET).then(|| Reply::page(405, "405 - HTTP verb not allowed"))
    }

    fn account(&self, request: &CcpRequest, peer: &Peer) -> Result<Value, Refusal> {
        let id = request.parameter("AppID").filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| (400, "AIMWS031E", "Parameter [AppID] is required".to_owned()))?;
        check_form(request)?;
        if self.vault.down {
            return Err((400, "APPAP007E", "Connection to the Vault has failed".to_owned()));
        }
        let application = self.vault.applications.iter().find(|known| known.id == id).ok_or_else(|| {
            (403, "APPAP008E", format!("Problem occurred while trying to use user in the Vault: ITATS982E User {id} is not defined."))
        })?;
        authenticate(application, peer)?;
        let (by, regexp) = criteria(request)?;
        match self.vault.find(&by, regexp, &application.safes).as_slice() {
            [] => Err((
                404,
                "APPAP004E",
                format!(
                    "Password object matching query {by:?} was not found (the application may lack permissions)"
                ),
            )),
            [account] => shown(account, request),
            several => {
                let code = match (request.parameter("Query"), regexp) {
                    (Some(_), true) => "APPAP227E",
                    (Some(_), false) => "APPAP228E",
                    (None, _) => "APPAP229E",
                };
                Err((400, code, format!("Too many password objects matching query: {}", several.len())))
            }
        }
    }
}

fn authenticate(application: &CcpApplication, peer: &Peer) -> Result<(), Refusal> {
    let refused = |why: String| {
        (403, "APPAP306E", format!("Failed to authenticate application [{}]: {why}", application.id))
    };
    let machine = peer.address.to_canonical();
    if !application.machines.is_empty() && !application.machines.contains(&machine) {
        return Err(refused(format!("APPAP133E Authentication data [machine: {machine}] is unauthorized")));
    }
    let Some(wanted) = &application.certificate else { return Ok(()) };
    match &peer.certificate {
        None => Err(refused("APPAP330E Details of the client certificate cannot be obtained".to_owned())),
        Some(shown) if *shown == super::listener::der(wanted) => Ok(()),
        Some(_) => Err(refused("APPAP133E Authentication data [CertificateSN] is unauthorized".to_owned())),
    }
}

fn check_form(request: &CcpRequest) -> Result<(), Refusal> {
    let mut names: Vec<String> = Vec::new();
    for (name, value) in &request.parameters {
        let known = CRITERIA.iter().chain(&OTHERS).any(|known| known.eq_ignore_ascii_case(name));
        let query = name.eq_ignore_ascii_case("Query");
        let unfit = |c: char| c.is_control() || matches!(c, '+' | '&' | '%') || (c == ';' && !query);
        if name.eq_ignore_ascii_case("UserName") && value.contains(unfit) {
            return Err((400, "CASVL010E", "Invalid characters in User Name".to_owned()));
        }
        if !known || names.contains(&name.to_ascii_lowercase()) || value.contains(unfit) {
            return Err(invalid());
        }
        names.push(name.to_ascii_lowercase());
    }
    let searches =
        |name: &String| name == "query" || CRITERIA.iter().any(|known| known.eq_ignore_ascii_case(name));
    let seconds = request.parameter("ConnectionTimeout");
    let timely = seconds.is_none_or(|seconds| seconds.parse::<u32>().is_ok());
    if names.iter().any(searches) && timely { Ok(()) } else { Err(invalid()) }
}

/// What is searched by, and whether values are patterns. A free query beats all else.
fn criteria(request: &CcpRequest) -> Result<(Vec<(String, String)>, bool), Refusal> {
    let wrong = || (400, "AIMWS030E", "Invalid query format".to_owned());
    let regexp = match request.parameter("QueryFormat").unwrap_or("Exact").to_ascii_lowercase().as_str() {
        "exact" => false,
        "regexp" => true,
        _ => return Err(wrong()),
    };
    let Some(free) = request.parameter("Query") else {
        let by = CRITERIA
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), request.parameter(name)?.to_owned())));
        return Ok((by.collect(), false));
    };
    let pairs = free.split(';').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
        Ok((name.to_owned(), value.to_owned()))
    });
    let by: Vec<_> = pairs.collect::<Result<_, Refusal>>()?;
    if by.is_empty() { Err(wrong()) } else { Ok((by, regexp)) }
}

fn shown(account: &CcpAccount, request: &CcpRequest) -> Result<Value, Refusal> {
    let refuses = request
        .parameter("FailRequestOnPasswordChange")
        .is_some_and(|text| text.eq_ignore_ascii_case("true"));
    if account.changing && refuses {
        return Err((500, "APPAP282E", "Password is currently being changed by the CPM".to_owned()));
    }
    let mut shown = json!({
        "Content": account.content,
        "UserName": account.user_name,
        "Safe": account.safe,
        "Folder": account.folder(),
        "Name": account.name,
        "PasswordChangeInProcess": if account.changing { "True" } else { "False" },
    });
    for (name, value) in &account.properties {
        shown[name.as_str()] = json!(value);
    }
    Ok(shown)
}

fn invalid() -> Refusal {
    (400, "APPAP081E", "Request message content is invalid".to_owned())
}

/// `None` if something is not percent-encoded UTF-8. A `+` is a blank, as ASP.NET has it.
fn parameters(query: &str) -> Option<Vec<(String, String)>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=')?;
            Some((decoded(name)?, decoded(value)?))
        })
        .collect()
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}
