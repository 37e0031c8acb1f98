//! Our own quoting: the only text that is sent to a target.

use model::{CommandLine, End, Joint, Redirection, SimpleCommand, WriteMode};

/// Our own quoting of a line. `parse(canonical(x)) == x` for every `x` that [`super::parse`] gives.
///
/// A word stays bare only if every character of it means itself in every POSIX shell and in zsh at any
/// place; all others are put into single quotes.
pub fn canonical(line: &CommandLine) -> String {
    let mut text = String::new();
    push_commands(&mut text, &line.first.commands);
    for (joint, pipeline) in &line.rest {
        text.push_str(match joint {
            Joint::And => " && ",
            Joint::Or => " || ",
            Joint::Then => "; ",
        });
        push_commands(&mut text, &pipeline.commands);
    }
    text
}

/// The quoting of one simple command, for explanations.
pub(crate) fn simple(command: &SimpleCommand) -> String {
    let mut text = String::new();
    push_commands(&mut text, std::slice::from_ref(command));
    text
}

fn push_commands(text: &mut String, commands: &[SimpleCommand]) {
    for (at, command) in commands.iter().enumerate() {
        if at > 0 {
            text.push_str(" | ");
        }
        for (at, word) in command.words.iter().enumerate() {
            if at > 0 {
                text.push(' ');
            }
            push_word(text, word);
        }
        for redirection in &command.redirections {
            text.push(' ');
            push_redirection(text, redirection);
        }
    }
}

/// The descriptor is written only where it is not the one that the operator means anyway.
fn push_redirection(text: &mut String, Redirection { descriptor, end }: &Redirection) {
    let (usual, operator) = match end {
        End::Read(_) => (0, "<"),
        End::Write(_, WriteMode::Truncate) => (1, ">"),
        End::Write(_, WriteMode::Append) => (1, ">>"),
        End::Write(_, WriteMode::Clobber) => (1, ">|"),
        End::Join(_) => (1, ">&"),
    };
    if *descriptor != usual {
        text.push_str(&descriptor.to_string());
    }
    text.push_str(operator);
    match end {
        End::Read(path) | End::Write(path, _) => push_word(text, path.as_str()),
        End::Join(with) => text.push_str(&with.to_string()),
    }
}

fn push_word(text: &mut String, word: &str) {
    // zsh replaces a leading `=` by the path of the command that follows it.
    let bare = !word.is_empty() && !word.starts_with('=') && word.chars().all(is_bare);
    if bare {
        text.push_str(word);
        return;
    }
    text.push('\'');
    for c in word.chars() {
        match c {
            '\'' => text.push_str("'\\''"),
            _ => text.push(c),
        }
    }
    text.push('\'');
}

fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | ':' | '=' | '@' | '%' | '+' | ',' | '-')
}
