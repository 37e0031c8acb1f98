//! What an answer holds beside text and fields: contents, and questions to the client.

use model::{Answer, Asked, Content, NeedsInput, Outcome, Question, ResourceBody, TheirQuestion, Turn};

use crate::answer::{neutralise_text, neutralise_value, value_holds};
use crate::{Report, Scanner, reply};

/// Whether contents or questions of an outcome hold a leased secret.
pub(crate) fn outcome_holds(scanner: &Scanner, outcome: &Outcome) -> bool {
    outcome.content.iter().any(|content| content_holds(scanner, content))
        || outcome.needs.as_ref().is_some_and(|needs| needs_hold(scanner, needs))
}

/// Whether contents or questions of an answer hold a leased secret.
pub(crate) fn answer_holds(scanner: &Scanner, answer: &Answer) -> bool {
    answer.content.iter().any(|content| content_holds(scanner, content))
        || matches!(&answer.turn, Turn::Client(asked) if asked.questions.iter().any(|(name, question)| {
            scanner.finds(name.as_bytes()) || question_holds(scanner, question)
        }))
}

/// Leaves out what is beyond the limit, in bytes and all contents together, and says so.
pub(crate) fn cap_content(content: Vec<Content>, limit: u64, report: &mut Report) -> Vec<Content> {
    let mut left = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut kept = Vec::with_capacity(content.len());
    for piece in content {
        let length = bytes(&piece).len();
        match left.checked_sub(length) {
            Some(rest) => {
                left = rest;
                report.bytes_out = report.bytes_out.saturating_add(as_u64(length));
                kept.push(piece);
            }
            None => {
                report.truncated = true;
                report.bytes_omitted = report.bytes_omitted.saturating_add(as_u64(length));
                kept.push(Content::Text(format!("[omitted: {length} bytes are more than may be shown]")));
            }
        }
    }
    kept
}

/// Makes every deceptive character of contents and questions visible.
pub(crate) fn neutralise(content: Vec<Content>, turn: Turn, report: &mut Report) -> (Vec<Content>, Turn) {
    let content = content.into_iter().map(|piece| neutralise_content(piece, report)).collect();
    let turn = match turn {
        Turn::Client(Asked { questions, state, parked }) => {
            let visible =
                questions.into_iter().map(|(name, question)| (name, neutralise_question(question, report)));
            Turn::Client(Asked { questions: visible.collect(), state, parked })
        }
        Turn::Over | Turn::Void(_) => turn,
    };
    (content, turn)
}

fn content_holds(scanner: &Scanner, content: &Content) -> bool {
    let names = match content {
        Content::Text(_) => false,
        Content::Image(media) | Content::Audio(media) => scanner.finds(media.mime_type.as_bytes()),
        Content::Resource(resource) => {
            scanner.finds(resource.uri.as_bytes()) || scanner.finds(resource.mime_type.as_bytes())
        }
    };
    names || scanner.finds(bytes(content))
}

fn needs_hold(scanner: &Scanner, needs: &NeedsInput) -> bool {
    needs.carried.as_ref().is_some_and(|carried| value_holds(scanner, carried))
        || needs
            .questions
            .iter()
            .any(|(name, question)| scanner.finds(name.as_bytes()) || question_holds(scanner, question))
}

fn question_holds(scanner: &Scanner, question: &Question) -> bool {
    match question {
        Question::Form { message, schema } => {
            scanner.finds(message.as_bytes()) || value_holds(scanner, schema)
        }
        Question::Page { message, url } => scanner.finds(message.as_bytes()) || scanner.finds(url.as_bytes()),
        Question::Sample { prompt, .. } => scanner.finds(prompt.as_bytes()),
        Question::Roots => false,
        Question::Theirs(theirs) => reply::json_holds(scanner, &theirs.params),
    }
}

fn neutralise_content(content: Content, report: &mut Report) -> Content {
    match content {
        Content::Text(text) => Content::Text(neutralise_text(text, report)),
        Content::Image(mut media) => {
            media.mime_type = neutralise_text(media.mime_type, report);
            Content::Image(media)
        }
        Content::Audio(mut media) => {
            media.mime_type = neutralise_text(media.mime_type, report);
            Content::Audio(media)
        }
        Content::Resource(mut resource) => {
            resource.uri = neutralise_text(resource.uri, report);
            resource.mime_type = neutralise_text(resource.mime_type, report);
            if let ResourceBody::Text(text) = resource.body {
                resource.body = ResourceBody::Text(neutralise_text(text, report));
            }
            Content::Resource(resource)
        }
    }
}

fn neutralise_question(question: Question, report: &mut Report) -> Question {
    match question {
        Question::Form { message, schema } => Question::Form {
            message: neutralise_text(message, report),
            schema: neutralise_value(schema, 0, report),
        },
        Question::Page { message, url } => {
            Question::Page { message: neutralise_text(message, report), url: neutralise_text(url, report) }
        }
        Question::Sample { prompt, max_tokens } => {
            Question::Sample { prompt: neutralise_text(prompt, report), max_tokens }
        }
        Question::Roots => Question::Roots,
        Question::Theirs(theirs) => Question::Theirs(TheirQuestion {
            params: reply::neutralise_json(theirs.params, theirs.faithful, report),
            ..theirs
        }),
    }
}

fn bytes(content: &Content) -> &[u8] {
    match content {
        Content::Text(text) => text.as_bytes(),
        Content::Image(media) | Content::Audio(media) => &media.bytes,
        Content::Resource(resource) => match &resource.body {
            ResourceBody::Text(text) => text.as_bytes(),
            ResourceBody::Bytes(bytes) => bytes,
        },
    }
}

fn as_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
