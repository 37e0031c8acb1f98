//! The stage as the pipeline calls it.

use guard::{Guard, Scanner};
use model::{
    Answer, Asked, Content, ErrorCode, Exit, Failure, Media, NeedsInput, Outcome, Question, ResourceBody,
    ResourceContent, Stream, Turn,
};
use serde_json::{Value, json};

use crate::scanner;

const SECRET: &str = "correct horse battery";

fn outcome(stdout: &[u8], stderr: &[u8]) -> Outcome {
    let stream = |name, bytes: &[u8]| Stream { name, bytes: bytes.to_vec(), total: bytes.len() as u64 };
    Outcome {
        streams: vec![stream("stdout", stdout), stream("stderr", stderr)],
        exit: Some(Exit::Status(0)),
        ..Outcome::default()
    }
}

/// Renders as a tool would.
fn render(result: Result<Outcome, Failure>) -> Answer {
    match result {
        Ok(outcome) => {
            let texts: Vec<String> =
                outcome.streams.iter().map(|s| String::from_utf8_lossy(&s.bytes).into_owned()).collect();
            let structured = json!({ "streams": texts, "values": outcome.values });
            Answer { text: texts.join("--- stderr ---\n"), structured, is_error: false, ..Answer::default() }
        }
        Err(failure) => Answer {
            text: format!("{}\n{}", failure.message(), failure.hint().unwrap_or_default()),
            structured: json!({ "code": failure.code().as_str(), "vendor": failure.vendor() }),
            is_error: true,
            ..Answer::default()
        },
    }
}

fn assert_withheld(result: Result<Outcome, Failure>) {
    let guarded = Guard::new().admit(&scanner(&[SECRET]), 1 << 20, result, render);
    assert!(guarded.report().withheld && guarded.inner().is_error);
    assert_eq!(guarded.report().bytes_out, 0);
    assert_eq!(guarded.inner().structured["status"], "withheld");
    assert_eq!(guarded.inner().structured["code"], ErrorCode::SecretInOutput.as_str());
    let all = format!("{:?}", guarded.inner());
    assert!(!all.contains("correct horse") && !all.contains("innocent"), "{all}");
}

#[test]
fn a_leaked_secret_withholds_the_whole_output_and_is_no_oracle() {
    assert_withheld(Ok(outcome(b"innocent line\ncorrect horse battery\ninnocent line\n", b"")));
    assert_withheld(Ok(outcome(b"innocent", b"Y29ycmVjdCBob3JzZSBiYXR0ZXJ5")));
    let mut values = outcome(b"innocent", b"");
    values.values.insert("rows".into(), json!([{ "a": ["correct horse battery"] }]));
    assert_withheld(Ok(values));
    let mut keys = outcome(b"innocent", b"");
    keys.values.insert("rows".into(), json!({ "correct horse battery": 1 }));
    assert_withheld(Ok(keys));
}

#[test]
fn a_secret_behind_the_cut_withholds_too() {
    let long = [vec![b'x'; 5000], SECRET.as_bytes().to_vec()].concat();
    let guarded = Guard::new().admit(&scanner(&[SECRET]), 100, Ok(outcome(&long, b"")), render);
    assert!(guarded.report().withheld);
}

#[test]
fn errors_of_connectors_pass_the_same_way() {
    let failure = |text: &str| Failure::new(ErrorCode::TargetAuth, text);
    assert_withheld(Err(failure("innocent: login with correct horse battery failed")));
    assert_withheld(Err(failure("innocent").with_hint("not correct horse battery")));
    assert_withheld(Err(failure("innocent").with_vendor("E-correct horse battery")));
    let clean = Guard::new().admit(&scanner(&[SECRET]), 100, Err(failure("no\u{202e}pe\u{1b}[2J")), render);
    assert_eq!(clean.inner().text, "no\\u{202e}pe\\u{1b}[2J\n");
    assert!(clean.report().neutralised && !clean.report().withheld);
}

#[test]
fn what_only_rendering_brings_together_is_found() {
    let guarded =
        Guard::new().admit(&scanner(&[SECRET]), 100, Ok(outcome(b"correct horse", b"battery")), |result| {
            let outcome = result.unwrap();
            let texts: Vec<_> = outcome.streams.iter().map(|s| String::from_utf8_lossy(&s.bytes)).collect();
            Answer { text: texts.join(" "), structured: json!({}), is_error: false, ..Answer::default() }
        });
    assert!(guarded.report().withheld);
}

#[test]
fn structured_values_and_keys_are_neutralised_and_none_is_lost() {
    let mut raw = outcome(b"", b"");
    raw.values.insert("k".into(), json!({ "a\u{200b}": "\u{e0041}", "a\\u{200b}": 2 }));
    let guarded = Guard::new().admit(&Scanner::empty(), 100, Ok(raw), render);
    let map = guarded.inner().structured["values"]["k"].as_object().unwrap();
    let mut keys: Vec<_> = map.keys().cloned().collect();
    keys.sort();
    assert_eq!(keys, ["a\\u{200b}", "a\\u{200b}#2"]);
    assert!(map.values().any(|v| v == "\\u{e0041}"));
    assert!(guarded.report().neutralised);
}

#[test]
fn values_nested_too_deeply_are_left_out_and_marked() {
    let mut deep = json!("bottom");
    for _ in 0..100 {
        deep = Value::Array(vec![deep]);
    }
    let answer = Answer { text: "t".into(), structured: deep, is_error: false, ..Answer::default() };
    let guarded = Guard::new().admit_answer(answer);
    assert!(guarded.report().truncated);
    let text = guarded.inner().structured.to_string();
    assert!(text.contains("nested too deeply") && !text.contains("bottom"));
}

#[test]
fn what_fits_and_is_clean_comes_out_unchanged() {
    let guarded =
        Guard::new().admit(&scanner(&[SECRET]), 1000, Ok(outcome("grüße\n".as_bytes(), b"e")), render);
    assert_eq!(guarded.inner().text, "grüße\n--- stderr ---\ne");
    assert_eq!(guarded.report(), &guard::Report { bytes_out: 9, ..guard::Report::default() });
}

#[cfg(feature = "test-util")]
#[test]
fn positive_control_the_transparent_guard_lets_a_secret_through() {
    let guarded =
        Guard::transparent().admit(&scanner(&[SECRET]), 3, Ok(outcome(SECRET.as_bytes(), b"\x1b")), render);
    assert!(guarded.inner().text.contains(SECRET) && guarded.inner().text.contains('\u{1b}'));
}

fn resource(text: &str) -> Content {
    let body = ResourceBody::Text(text.to_owned());
    Content::Resource(ResourceContent { uri: "a:b".into(), mime_type: "text/plain".into(), body })
}

#[test]
fn a_secret_in_contents_or_questions_withholds_everything() {
    let media = |bytes: &[u8]| Media { bytes: bytes.to_vec(), mime_type: "image/png".into() };
    let ask = |question: Question| NeedsInput {
        questions: [("name".to_owned(), question)].into(),
        carried: None,
        parked: None,
    };
    let form = Question::Form { message: "innocent".into(), schema: json!({ "default": SECRET }) };
    let sample = Question::Sample { prompt: format!("say {SECRET}"), max_tokens: 1 };
    for content in [
        Content::Text(format!("x{SECRET}")),
        resource(SECRET),
        Content::Image(media(b"\x89PNG correct horse battery")),
        Content::Audio(media(b"Y29ycmVjdCBob3JzZSBiYXR0ZXJ5")),
    ] {
        assert_withheld(Ok(Outcome { content: vec![content], ..outcome(b"innocent", b"") }));
    }
    for needs in
        [ask(form), ask(sample), NeedsInput { carried: Some(json!([SECRET])), ..NeedsInput::default() }]
    {
        assert_withheld(Ok(Outcome { needs: Some(needs), ..outcome(b"innocent", b"") }));
    }
}

#[test]
fn contents_and_questions_are_made_visible_and_bounded() {
    let content = vec![Content::Text("a\u{202e}b".into()), resource(&"x".repeat(100)), resource("\u{200b}")];
    let shown = |result: Result<Outcome, Failure>| {
        let question = Question::Page { message: "\u{1b}[2J".into(), url: "https://a".into() };
        let asked = Asked { questions: [("q".to_owned(), question)].into(), state: None, parked: None };
        Answer { content: result.unwrap().content.clone(), turn: Turn::Client(asked), ..Answer::default() }
    };
    let result = Ok(Outcome { content, ..Outcome::default() });
    let guarded = Guard::new().admit(&scanner(&[SECRET]), 50, result, shown);
    assert!(guarded.report().truncated && guarded.report().neutralised);
    assert_eq!(guarded.report().bytes_omitted, 100);
    let all = format!("{:?}", guarded.inner());
    assert!(all.contains("100 bytes are more than may be shown"), "{all}");
    assert_eq!(guarded.inner().content[0], Content::Text(r"a\u{202e}b".into()));
    assert_eq!(guarded.inner().content[2], resource(r"\u{200b}"));
    let Turn::Client(asked) = &guarded.inner().turn else { panic!("{all}") };
    assert!(matches!(&asked.questions["q"], Question::Page { message, .. } if message == r"\u{1b}[2J"));
    assert!(Guard::new().admit_text(&scanner(&[SECRET]), SECRET).is_none());
    assert_eq!(Guard::new().admit_text(&scanner(&[SECRET]), "plain").unwrap().inner(), "plain");
}
