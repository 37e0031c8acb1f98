//! What is asked: the query of one request.

use model::{CredentialRef, Failure};

use super::settings::{CcpAccount, CcpQuery, CcpSettings, PasswordChange};

/// The longest query that IIS takes unless it is told otherwise.
const QUERY_MAX: usize = 2048;

/// One question: its query, and what the answer must say about itself to be an answer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    /// Without the `?`.
    pub(super) query: String,
    /// Properties of the answer that must have exactly this value where they are there.
    pub(super) expected: Vec<(&'static str, String)>,
}

/// The question for a credential.
pub(super) fn question(
    settings: &CcpSettings,
    name: &CredentialRef,
    account: Option<&CcpAccount>,
    reason: Option<&str>,
) -> Result<Question, Failure> {
    let seconds = settings.vault_timeout.as_secs().max(1).to_string();
    let refuses = settings.password_change == PasswordChange::Refuse;
    let mut query = Query::default();
    query.add("AppID", &settings.app_id);
    let expected = match account.map(|account| &account.query) {
        Some(CcpQuery::Free { query: free, regexp }) => {
            query.add("Query", free);
            query.add("QueryFormat", if *regexp { "Regexp" } else { "Exact" });
            vec![("Safe", name.safe().to_owned())]
        }
        Some(CcpQuery::Properties { object, folder, user_name, address, database, policy_id }) => {
            let folder = folder.as_ref().or(settings.folder.as_ref());
            let named = [("Safe", Some(name.safe())), ("Folder", folder.map(String::as_str))];
            let by = [("UserName", user_name), ("Address", address), ("Database", database)];
            let further = by.map(|(key, value)| (key, value.as_deref()));
            let rest = [("Object", object.as_deref()), ("PolicyID", policy_id.as_deref())];
            query.criteria(named.into_iter().chain(rest).chain(further));
            expected(name.safe(), object.as_deref(), folder)
        }
        None => {
            let folder = settings.folder.as_ref();
            query.criteria([
                ("Safe", Some(name.safe())),
                ("Folder", folder.map(String::as_str)),
                ("Object", Some(name.object())),
            ]);
            expected(name.safe(), Some(name.object()), folder)
        }
    };
    query.add("ConnectionTimeout", &seconds);
    query.add("FailRequestOnPasswordChange", if refuses { "true" } else { "false" });
    if query.0.len() > QUERY_MAX {
        return Err(unnamed(name, "the request for it would be longer than the web service takes"));
    }
    if let Some(reason) = reason.or(settings.reason.as_deref()) {
        query.add_what_fits("Reason", &speakable(reason));
    }
    Ok(Question { query: query.0, expected })
}

/// Refuses what CyberArk would not read as it is written. One credential has one name: no blanks that it could drop.
pub(super) fn check_name(name: &CredentialRef) -> Result<(), Failure> {
    for part in [name.safe(), name.object()] {
        if let Some(found) = part.chars().find(|c| forbidden(*c)) {
            return Err(unnamed(name, &format!("CyberArk's web service takes no `{found}` in a name")));
        }
        if part.trim() != part {
            return Err(unnamed(name, "no part of it may begin or end with a blank"));
        }
    }
    Ok(())
}

/// What the vendor's documentation says that values cannot hold.
pub(super) fn forbidden(c: char) -> bool {
    matches!(c, '+' | '&' | '%' | ';')
}

fn expected(safe: &str, object: Option<&str>, folder: Option<&String>) -> Vec<(&'static str, String)> {
    let object = object.map(|object| ("Name", object.to_owned()));
    let folder = folder.map(|folder| ("Folder", folder.clone()));
    std::iter::once(("Safe", safe.to_owned())).chain(object).chain(folder).collect()
}

fn unnamed(name: &CredentialRef, why: &str) -> Failure {
    crate::names::invalid(name, why)
}

/// A reason is for people: what the web service cannot take becomes a blank.
fn speakable(reason: &str) -> String {
    reason.chars().map(|c| if forbidden(c) || c.is_control() { ' ' } else { c }).collect()
}

#[derive(Default)]
struct Query(String);

impl Query {
    fn criteria<'a>(&mut self, of: impl IntoIterator<Item = (&'static str, Option<&'a str>)>) {
        for (key, value) in of {
            if let Some(value) = value {
                self.add(key, value);
            }
        }
    }

    fn add(&mut self, key: &str, value: &str) {
        self.begin(key);
        for c in value.chars() {
            encode(c, &mut self.0);
        }
    }

    /// Adds as much of a text as there is room for, in whole characters.
    fn add_what_fits(&mut self, key: &str, value: &str) {
        if self.0.len() + key.len() + 2 > QUERY_MAX {
            return;
        }
        self.begin(key);
        for c in value.trim().chars() {
            let mut encoded = String::new();
            encode(c, &mut encoded);
            if self.0.len() + encoded.len() > QUERY_MAX {
                break;
            }
            self.0.push_str(&encoded);
        }
    }

    fn begin(&mut self, key: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(key);
        self.0.push('=');
    }
}

/// Everything but the unreserved characters of RFC 3986, so that nothing in a value can end it.
fn encode(c: char, into: &mut String) {
    if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~') {
        into.push(c);
        return;
    }
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        into.push_str(&format!("%{byte:02X}"));
    }
}
