//! What an answer says: an account, or why there is none.

use broker::Remark;
use zeroize::Zeroizing;

use super::connection::Answer;
use super::fault::Fault;
use super::json::Properties;
use super::request::Question;
use super::vendor::is_code;

/// How much of CyberArk's message is kept for the operator.
const MESSAGE_MAX: usize = 300;

/// Properties that may be shown, and what they are called. No other is ever read.
const SHOWN: [(&str, &str); 10] = [
    ("Safe", "safe"),
    ("Folder", "folder"),
    ("Name", "object"),
    ("PolicyID", "platform"),
    ("Database", "database"),
    ("DeviceType", "device type"),
    ("LogonDomain", "logon domain"),
    ("Port", "port"),
    ("CPMStatus", "status of its last change"),
    ("CPMDisabled", "not managed by CyberArk"),
];

/// An account as it came.
pub(super) struct Account {
    pub(super) content: Zeroizing<Vec<u8>>,
    pub(super) username: String,
    pub(super) address: String,
    /// CyberArk is changing the password: this may be the old one.
    pub(super) changing: bool,
    pub(super) remarks: Vec<Remark>,
}

/// Reads an answer to a question.
pub(super) fn read(answer: &Answer, question: &Question) -> Result<Account, Fault> {
    let properties =
        Properties::read(&answer.body).ok_or(Fault::NotAnAccount("it is not one flat JSON object"))?;
    if answer.status != 200 || (properties.has("ErrorCode") && !properties.has("Content")) {
        return Err(refusal(answer.status, &properties));
    }
    let content =
        properties.secret("Content").ok_or(Fault::NotAnAccount("it has no `Content` that is text"))?;
    for (property, value) in &question.expected {
        if properties.text(property).is_some_and(|found| found != *value) {
            return Err(Fault::OtherAccount(property));
        }
    }
    let remarks = SHOWN.iter().filter_map(|(property, name)| {
        let value = cleaned(&properties.text(property)?);
        (!value.is_empty()).then_some(Remark { name, value })
    });
    Ok(Account {
        content,
        username: properties.text("UserName").unwrap_or_default(),
        address: properties.text("Address").unwrap_or_default(),
        changing: properties.text("PasswordChangeInProcess").is_some_and(|text| !is_no(&text)),
        remarks: remarks.collect(),
    })
}

/// Truth values come as such, or as text. What is not understood counts as yes.
fn is_no(text: &str) -> bool {
    ["false", "no", "0", ""].iter().any(|no| text.trim().eq_ignore_ascii_case(no))
}

fn refusal(status: u16, properties: &Properties<'_>) -> Fault {
    let code = properties.text("ErrorCode").filter(|code| is_code(code));
    let message = properties.text("ErrorMsg").or_else(|| properties.text("ErrorMessage"));
    let message = match properties.has("Content") {
        // Whoever sends both may well have put one into the other.
        true => "(its message is withheld: the answer holds a secret)".to_owned(),
        false => cleaned(&message.unwrap_or_default()),
    };
    Fault::Vendor { status, code, message }
}

fn cleaned(text: &str) -> String {
    text.trim().chars().take(MESSAGE_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
