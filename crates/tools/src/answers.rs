//! How a no is shown: the same for every tool.

use model::{Answer, ErrorCode, Failure};
use policy::Denial;
use serde_json::{Map, Value, json};

/// A denial, or the demand for an approval, as a tool result.
pub fn denied(denial: &Denial) -> Answer {
    let status = if denial.code == ErrorCode::ApprovalRequired { "approval_required" } else { "denied" };
    let rule = denial.rule.as_ref().map(|rule| rule.as_str().to_owned());
    let mut text =
        format!("{}: {}", if status == "denied" { "Denied" } else { "Approval required" }, denial.reason);
    push_line(&mut text, "Code", Some(denial.code.as_str()));
    push_line(&mut text, "Rule", rule.as_deref());
    push_line(&mut text, "Hint", denial.hint.as_deref());
    if !denial.allowed_instead.is_empty() {
        text.push_str("\nAllowed instead:");
        for line in &denial.allowed_instead {
            text.push_str("\n  ");
            text.push_str(line);
        }
    }
    let structured = json!({
        "status": status,
        "code": denial.code.as_str(),
        "rule": rule,
        "reason": denial.reason,
        "hint": denial.hint,
        "allowed_instead": denial.allowed_instead,
        "fault": denial.code.fault().as_str(),
        "retry": denial.code.retry(),
    });
    Answer { text, structured, is_error: true, ..Answer::default() }
}

/// A failure as a tool result. What only the operator may read stays out.
pub fn failed(failure: &Failure) -> Answer {
    let is_denial = failure.code().as_str().starts_with("denied.");
    let mut text = format!("{}: {}", if is_denial { "Denied" } else { "Failed" }, failure.message());
    push_line(&mut text, "Code", Some(failure.code().as_str()));
    push_line(&mut text, "Fault", Some(failure.fault().as_str()));
    push_line(&mut text, "Vendor code", failure.vendor());
    push_line(&mut text, "Hint", failure.hint());
    let mut structured = Map::new();
    let mut put = |key: &str, value: Value| structured.insert(key.to_owned(), value);
    put("status", json!(if is_denial { "denied" } else { "failed" }));
    put("code", json!(failure.code().as_str()));
    put("reason", json!(failure.message()));
    put("hint", json!(failure.hint()));
    put("fault", json!(failure.fault().as_str()));
    put("retry", json!(failure.retry()));
    if let Some(vendor) = failure.vendor() {
        put("vendor_code", json!(vendor));
    }
    if is_denial {
        put("rule", Value::Null);
        put("allowed_instead", json!([]));
    }
    Answer { text, structured: Value::Object(structured), is_error: true, ..Answer::default() }
}

fn push_line(text: &mut String, label: &str, value: Option<&str>) {
    if let Some(value) = value {
        text.push('\n');
        text.push_str(label);
        text.push_str(": ");
        text.push_str(value);
    }
}
