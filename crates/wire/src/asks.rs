//! What upstreams ask their clients, in either era, and what goes back to them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use model::{Abilities, Ability, Question, Said};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::RequestId;
use crate::forward::{Members, NotAnObject, apply, place, quoted};

/// Why something that an upstream asks is no question that a client could be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoQuestion {
    /// There is no such method.
    #[error("there is no such question")]
    Unknown,
    /// It has no parameters of the right form.
    #[error("its parameters are none")]
    Malformed,
    /// It wants a page opened that is none of the web.
    #[error("its page is not of the web")]
    Page,
    /// It wants more of the client's model than was offered.
    #[error("the client's tools and its context were not offered")]
    Sample,
}

/// The method of a question.
pub fn question_method(ability: Ability) -> &'static str {
    match ability {
        Ability::Form | Ability::Page => "elicitation/create",
        Ability::Sample => "sampling/createMessage",
        Ability::Roots => "roots/list",
    }
}

/// What of a client a question needs. The parameters are looked at as far as the gateway answers for them: a page must be one
/// of the web, a model is asked for no more than was offered.
pub fn read_question(method: &str, params: &str) -> Result<Ability, NoQuestion> {
    let members = Members::read(params).map_err(|NotAnObject| NoQuestion::Malformed)?;
    let text =
        |key: &str| members.find(key).and_then(|value| serde_json::from_str::<String>(value.get()).ok());
    match method {
        "elicitation/create" => match (members.find("mode").is_some(), text("mode").as_deref()) {
            (false, _) | (true, Some("form")) => Ok(Ability::Form),
            (true, Some("url")) if text("url").is_some_and(|url| is_of_the_web(&url)) => Ok(Ability::Page),
            (true, Some("url")) => Err(NoQuestion::Page),
            (true, _) => Err(NoQuestion::Malformed),
        },
        "sampling/createMessage" => {
            let context = text("includeContext").is_some_and(|context| context != "none");
            let beyond = context || ["tools", "toolChoice"].iter().any(|key| members.find(key).is_some());
            if beyond { Err(NoQuestion::Sample) } else { Ok(Ability::Sample) }
        }
        "roots/list" => Ok(Ability::Roots),
        _ => Err(NoQuestion::Unknown),
    }
}

fn is_of_the_web(url: &str) -> bool {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    host.is_some_and(|host| !host.is_empty() && url.chars().all(|c| c.is_ascii_graphic()))
}

/// What a result asks for before there is an answer.
#[derive(Debug)]
pub struct AskedFor<'a> {
    /// Name, method and parameters of each question, as they are written.
    pub questions: Vec<(Cow<'a, str>, Cow<'a, str>, &'a str)>,
    /// What is to come back with the answers.
    pub state: Option<String>,
}

impl<'a> AskedFor<'a> {
    /// Reads a result that says that it wants input; `None` if it says so in no form that is known.
    pub fn read(result: &'a str) -> Option<Self> {
        let members = Members::read(result).ok()?;
        let state = match members.find("requestState") {
            None => None,
            Some(state) => Some(serde_json::from_str(state.get()).ok()?),
        };
        let Some(requests) = members.find("inputRequests") else {
            return state.is_some().then_some(Self { questions: Vec::new(), state });
        };
        let question = |(name, request): (Cow<'a, str>, &'a RawValue)| {
            let members = Members::read(request.get()).ok()?;
            let method = serde_json::from_str::<String>(members.find("method")?.get()).ok()?;
            let params = members.find("params").map_or("{}", RawValue::get);
            Some((name, Cow::Owned(method), params))
        };
        let questions = Members::read(requests.get()).ok()?.0.into_iter().map(question);
        Some(Self { questions: questions.collect::<Option<_>>()?, state })
    }
}

/// A result that asks, with a state of ours in place of its own. With `questions` these take the place of its own, too; else
/// every other byte stays where it was.
pub fn asking(
    result: &str,
    state: Option<&str>,
    questions: Option<&BTreeMap<String, Question>>,
) -> Result<String, NotAnObject> {
    let members = Members::read(result)?;
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    if let (Some(questions), Some(written)) = (questions, members.find("inputRequests")) {
        let requests = crate::question::requests(questions);
        edits.push((place(result, written), serde_json::to_string(&requests).map_err(|_| NotAnObject)?));
    }
    match (members.find("requestState"), state) {
        (Some(written), Some(state)) => edits.push((place(result, written), quoted(state))),
        (None, Some(state)) => {
            let open = result.find('{').map_or(0, |at| at + 1);
            let comma = if members.0.is_empty() { "" } else { "," };
            edits.push((open..open, format!("\"requestState\":{}{comma}", quoted(state))));
        }
        (_, None) => {}
    }
    Ok(apply(result, edits))
}

/// The parameters of a question for a person, who reads whose it is; others stay as they are.
pub fn with_asker(params: &str, asker: &str) -> Result<String, NotAnObject> {
    let members = Members::read(params)?;
    let message = members.find("message");
    let edit = message.and_then(|message| {
        let text: String = serde_json::from_str(message.get()).ok()?;
        Some((place(params, message), quoted(&format!("{asker}: {text}"))))
    });
    Ok(apply(params, edit.into_iter().collect()))
}

/// Writes the answer to a question of an upstream: what the client said.
pub fn write_said(id: RequestId<'_>, said: &Said) -> Vec<u8> {
    match said {
        Said::Answer(json) => crate::write_forwarded(id, "result", json),
        Said::Refusal(json) => crate::write_forwarded(id, "error", json),
    }
}

/// Writes the answer to a question that is not put to anybody.
pub fn write_refused(id: RequestId<'_>, code: i32, why: &str) -> Vec<u8> {
    let error = serde_json::json!({ "code": code, "message": why }).to_string();
    crate::write_forwarded(id, "error", &error)
}

/// The capabilities that an upstream is told of: what may be asked through the gateway.
pub(crate) fn capabilities(abilities: Abilities) -> String {
    let kind = |can: bool, name: &str| can.then(|| format!("\"{name}\":{{}}"));
    let list = |members: [Option<String>; 2]| members.into_iter().flatten().collect::<Vec<_>>().join(",");
    let elicitation = (abilities.form || abilities.page).then(|| {
        format!("\"elicitation\":{{{}}}", list([kind(abilities.form, "form"), kind(abilities.page, "url")]))
    });
    let others = list([kind(abilities.sample, "sampling"), kind(abilities.roots, "roots")]);
    let members = elicitation.into_iter().chain((!others.is_empty()).then_some(others));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// The answers as the modern era sends them back; a refusal has no form in it.
pub(crate) fn input_responses(answers: &BTreeMap<String, Said>) -> String {
    let answers = answers.iter().filter_map(|(name, said)| match said {
        Said::Answer(json) => Some(format!("{}:{json}", Value::from(name.as_str()))),
        Said::Refusal(_) => None,
    });
    format!("{{{}}}", answers.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::{Abilities, Ability, Said};
    use serde_json::value::RawValue;

    use super::{
        AskedFor, NoQuestion, asking, capabilities, input_responses, read_question, with_asker,
        write_refused, write_said,
    };
    use crate::{Message, RequestId, ScanLimits};

    #[test]
    fn only_what_was_offered_can_be_asked() {
        for (method, params, expected) in [
            ("elicitation/create", r#"{"message":"m","requestedSchema":{}}"#, Ok(Ability::Form)),
            ("elicitation/create", r#"{"mode":"form","message":"m"}"#, Ok(Ability::Form)),
            ("elicitation/create", r#"{"mode":"url","url":"https://a.example/x?y=1"}"#, Ok(Ability::Page)),
            ("elicitation/create", r#"{"mode":"url","url":"javascript:alert(1)"}"#, Err(NoQuestion::Page)),
            ("elicitation/create", r#"{"mode":"url","url":"file:///etc/passwd"}"#, Err(NoQuestion::Page)),
            ("elicitation/create", r#"{"mode":"url","url":"https://"}"#, Err(NoQuestion::Page)),
            ("elicitation/create", r#"{"mode":"url","url":"https://a b"}"#, Err(NoQuestion::Page)),
            ("elicitation/create", r#"{"mode":"url"}"#, Err(NoQuestion::Page)),
            ("elicitation/create", r#"{"mode":5}"#, Err(NoQuestion::Malformed)),
            ("elicitation/create", "[]", Err(NoQuestion::Malformed)),
            ("sampling/createMessage", r#"{"messages":[],"includeContext":"none"}"#, Ok(Ability::Sample)),
            ("sampling/createMessage", r#"{"includeContext":"allServers"}"#, Err(NoQuestion::Sample)),
            ("sampling/createMessage", r#"{"tools":[]}"#, Err(NoQuestion::Sample)),
            ("roots/list", "{}", Ok(Ability::Roots)),
            ("roots/List", "{}", Err(NoQuestion::Unknown)),
        ] {
            assert_eq!(read_question(method, params), expected, "{method} {params}");
        }
    }

    #[test]
    fn a_result_that_asks_changes_its_state_and_nothing_else() {
        let result = r#"{ "resultType":"input_required","inputRequests" : {"q":{"method":"roots/list","x":1.0}},"requestState":"theirs","n":12345678901234567890123 }"#;
        let asked = AskedFor::read(result).unwrap();
        assert_eq!(asked.questions[0], ("q".into(), "roots/list".into(), "{}"));
        assert_eq!(asked.state.as_deref(), Some("theirs"));
        assert_eq!(asking(result, Some("ours"), None).unwrap(), result.replace("theirs", "ours"));
        let bare = r#"{"inputRequests":{}}"#;
        assert_eq!(asking(bare, Some("s"), None).unwrap(), r#"{"requestState":"s","inputRequests":{}}"#);
        for none in [
            "{}",
            r#"{"requestState":5}"#,
            r#"{"inputRequests":[]}"#,
            r#"{"inputRequests":{"q":{}}}"#,
            r#"{"inputRequests":{"q":1}}"#,
        ] {
            assert!(AskedFor::read(none).is_none(), "{none}");
        }
    }

    #[test]
    fn whoever_reads_a_question_reads_whose_it_is() {
        assert_eq!(
            with_asker(r#"{ "z":1e2,"message":"a\u0062" }"#, "`up` asks").unwrap(),
            r#"{ "z":1e2,"message":"`up` asks: ab" }"#
        );
        assert_eq!(with_asker(r#"{"messages":[]}"#, "`up` asks").unwrap(), r#"{"messages":[]}"#);
    }

    #[test]
    fn what_goes_back_is_what_the_client_said() {
        let id = RawValue::from_string(r#""their-7""#.to_owned()).unwrap();
        let said = Said::Answer(r#"{"n":12345678901234567890123}"#.into());
        let answer = write_said(RequestId::from_owned(&id), &said);
        assert_eq!(answer, br#"{"jsonrpc":"2.0","id":"their-7","result":{"n":12345678901234567890123}}"#);
        let refused = write_refused(RequestId::from_owned(&id), -32601, "no \"x\"");
        assert!(matches!(Message::parse(&refused, ScanLimits::default()), Ok(Message::Response(_))));
        let answers = BTreeMap::from([
            ("a".to_owned(), said),
            ("b".to_owned(), Said::Refusal(r#"{"code":1,"message":""}"#.into())),
        ]);
        assert_eq!(input_responses(&answers), r#"{"a":{"n":12345678901234567890123}}"#);
        let all = Abilities { form: true, page: true, sample: true, roots: true };
        assert_eq!(capabilities(all), r#"{"elicitation":{"form":{},"url":{}},"sampling":{},"roots":{}}"#);
        assert_eq!(capabilities(Abilities { sample: true, ..Abilities::default() }), r#"{"sampling":{}}"#);
        assert_eq!(capabilities(Abilities::default()), "{}");
    }
}
