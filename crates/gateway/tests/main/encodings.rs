//! The forms in which a secret must never be seen, written independently of the guard's own tables.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

type Form = fn(&str) -> Vec<u8>;

/// Name and writer of each form.
pub(crate) const FORMS: &[(&str, Form)] = &[
    ("plain", |s| s.as_bytes().to_vec()),
    ("plain inside text", |s| format!("password={s}; ok").into_bytes()),
    ("base64", |s| STANDARD.encode(s).into_bytes()),
    ("base64 shifted by one", |s| STANDARD.encode(format!("x{s}yz")).into_bytes()),
    ("base64 shifted by two", |s| STANDARD.encode(format!("xy{s}z")).into_bytes()),
    ("base64 without padding", |s| STANDARD_NO_PAD.encode(s).into_bytes()),
    ("base64url", |s| URL_SAFE.encode(s).into_bytes()),
    ("base64url without padding", |s| URL_SAFE_NO_PAD.encode(format!("q{s}")).into_bytes()),
    ("hex", |s| hex::encode(s).into_bytes()),
    ("HEX", |s| hex::encode_upper(s).into_bytes()),
    ("url", |s| percent(s, |c| c.is_ascii_alphanumeric()).into_bytes()),
    ("url, all of it", |s| percent(s, |_| false).into_bytes()),
    ("html", |s| {
        let named = s.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        named.replace('\'', "&#39;").into_bytes()
    }),
    ("json", |s| serde_json::to_string(s).unwrap().into_bytes()),
    ("shell, single quotes", |s| format!("'{}'", s.replace('\'', "'\\''")).into_bytes()),
    ("shell, backslashes", |s| {
        let escape = |c: char| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("\\{c}") };
        s.chars().map(escape).collect::<String>().into_bytes()
    }),
];

/// Which forms of the secret are in these bytes.
pub(crate) fn seen(secret: &str, bytes: &[u8]) -> Vec<&'static str> {
    let within = |needle: &[u8]| bytes.windows(needle.len().max(1)).any(|window| window == needle);
    FORMS.iter().filter(|(_, write)| within(&write(secret))).map(|(name, _)| *name).collect()
}

fn percent(text: &str, plain: impl Fn(char) -> bool) -> String {
    let one = |byte: u8| {
        let c = char::from(byte);
        if plain(c) { c.to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(one).collect()
}
