//! Looking for a secret in anything that was written or sent.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// The forms of `secret` that are in these bytes: plain, base64 in its three alignments and both alphabets, hex, URL, JSON.
pub(crate) fn seen(secret: &str, bytes: &[u8]) -> Vec<String> {
    forms(secret).into_iter().filter(|(_, form)| contains(bytes, form)).map(|(name, _)| name).collect()
}

/// Whether `bytes` has `needle` in it.
pub(crate) fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else { return false };
    let candidates = bytes.iter().enumerate().filter(|(_, byte)| *byte == first);
    candidates.map(|(at, _)| &bytes[at..]).any(|rest| rest.starts_with(needle))
}

/// Every file below `folder` with a form of the secret in it.
pub(crate) fn files_with(secret: &str, folder: &Path) -> Vec<(PathBuf, Vec<String>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(secret, &path));
        } else if let Ok(bytes) = std::fs::read(&path) {
            let forms = seen(secret, &bytes);
            if !forms.is_empty() {
                found.push((path, forms));
            }
        }
    }
    found
}

/// The forms themselves, for a host that leaks them: each is found by [`seen`].
pub(crate) fn forms(secret: &str) -> Vec<(String, Vec<u8>)> {
    let escaped = serde_json::to_string(secret).unwrap();
    let url = |always: bool| {
        secret.bytes().fold(String::new(), |text, byte| match char::from(byte) {
            c if !always && (c.is_ascii_alphanumeric() || "-._~".contains(c)) => format!("{text}{c}"),
            _ => format!("{text}%{byte:02X}"),
        })
    };
    let mut forms = vec![
        ("plain".to_owned(), secret.as_bytes().to_vec()),
        ("hex".to_owned(), hex::encode(secret).into_bytes()),
        ("HEX".to_owned(), hex::encode_upper(secret).into_bytes()),
        ("url".to_owned(), url(false).into_bytes()),
        ("url, all of it".to_owned(), url(true).into_bytes()),
        ("json".to_owned(), escaped.trim_matches('"').as_bytes().to_vec()),
    ];
    for (name, engine) in [("base64", &STANDARD_NO_PAD), ("base64url", &URL_SAFE_NO_PAD)] {
        for before in 0..3 {
            let text = engine.encode(format!("{}{secret}", "x".repeat(before)));
            // Characters that also depend on what stands beside the secret say nothing about it.
            let (from, to) = ([0, 2, 3][before], (before + secret.len()) * 8 / 6);
            forms.push((format!("{name}, {before} bytes in"), text.as_bytes()[from..to].to_vec()));
        }
    }
    forms
}

#[test]
fn every_form_is_found_and_a_harmless_text_has_none() {
    let secret = "s3cret \"&'>$ p%ss\\word/42";
    for (name, form) in forms(secret) {
        let around = [b"before ".as_slice(), &form, b" after"].concat();
        assert!(seen(secret, &around).contains(&name), "{name}");
    }
    for before in ["", "a", "ab", "abc"] {
        let text = STANDARD_NO_PAD.encode(format!("{before}{secret}?"));
        assert!(!seen(secret, text.as_bytes()).is_empty(), "{before}");
    }
    assert_eq!(seen(secret, b"nothing of it: s3cre t, p%ss, word/42"), Vec::<String>::new());
}
