//! A random secret at a random place in a random form is withheld; random clean output is not.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use guard::{Guard, Scanner, StreamScanner};
use model::{Answer, Outcome, Secret, Stream};
use proptest::prelude::*;
use serde_json::json;

/// The forms, written here a second time, apart from the crate's own.
fn encode(form: u8, secret: &str, before: &str) -> Vec<u8> {
    let joined = format!("{before}{secret}!");
    let shell = |c: char| if c == '\'' { "'\\''".to_owned() } else { c.to_string() };
    let text = match form % 12 {
        0 => secret.to_owned(),
        1 => STANDARD.encode(&joined),
        2 => URL_SAFE_NO_PAD.encode(&joined),
        3 => hex::encode(&joined),
        4 => hex::encode_upper(secret),
        5 => secret.bytes().map(|b| format!("%{b:02X}")).collect(),
        6 => json!([secret]).to_string(),
        7 => secret.chars().map(shell).collect(),
        8 => secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
        9 => secret.chars().map(|c| format!("&#{};", u32::from(c))).collect(),
        10 => {
            STANDARD.encode(&joined).as_bytes().chunks(9).map(|c| String::from_utf8_lossy(c) + "\n").collect()
        }
        _ => secret.bytes().map(|b| format!("\\x{b:02x}")).collect(),
    };
    text.into_bytes()
}

fn admit(secret: &str, output: Vec<u8>) -> guard::Guarded<Answer> {
    let total = output.len() as u64;
    let outcome =
        Outcome { streams: vec![Stream { name: "stdout", bytes: output, total }], ..Outcome::default() };
    let secrets = [Secret::new(secret.to_owned())];
    Guard::new().admit(&Scanner::new(&secrets), 1 << 20, Ok(outcome), |result| {
        let text = result.map(|o| String::from_utf8_lossy(&o.streams[0].bytes).into_owned()).unwrap();
        Answer { structured: json!({ "stdout": text }), text, is_error: false, ..Answer::default() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_secret_in_any_form_at_any_place_is_withheld(
        secret in "[!-~]{6,24}|\\PC{6,16}",
        form in any::<u8>(),
        before in "[ -~]{0,5}",
        head in proptest::collection::vec(any::<u8>(), 0..200),
        tail in proptest::collection::vec(any::<u8>(), 0..200),
        chunk in 1_usize..64,
    ) {
        let output = [head, encode(form, &secret, &before), tail].concat();
        let secrets = [Secret::new(secret.clone())];
        let scanner = Scanner::new(&secrets);
        prop_assert!(scanner.finds(&output));
        let mut stream = StreamScanner::new(&scanner);
        let found = output.chunks(chunk).any(|piece| stream.push(piece).is_err());
        prop_assert!(found || stream.finish().is_err());
        prop_assert!(admit(&secret, output).report().withheld);
    }

    #[test]
    fn clean_text_is_unchanged(output in "[ -~\\n\\t]{0,300}", secret in "[α-ω]{6,12}") {
        let guarded = admit(&secret, output.clone().into_bytes());
        prop_assert_eq!(&guarded.inner().text, &output);
        prop_assert!(!guarded.report().neutralised && !guarded.report().withheld);
    }

    #[test]
    fn any_bytes_at_all_end_as_visible_text(output in proptest::collection::vec(any::<u8>(), 0..300)) {
        let guarded = admit("a secret that is not there", output);
        prop_assert!(!guarded.inner().text.chars().any(guard::is_deceptive));
        prop_assert!(!guarded.report().withheld);
    }
}
