//! The grammar's view of a line, which must agree with the scan's.

mod redirect;

use brush_parser::ast::{
    AndOr, Command, CommandPrefixOrSuffixItem, Pipeline as Grammar, SeparatorOperator,
    SimpleCommand as Simple,
};
use brush_parser::{Parser, ParserOptions};
use model::{CommandLine, Joint, Pipeline, SimpleCommand};

use super::NotUnderstood;
use super::scan::Piece;

/// Reads the structure, and refuses the line if the grammar sees other words or operators than the scan.
pub(super) fn parse(line: &str, pieces: &[Piece]) -> Result<CommandLine, NotUnderstood> {
    let refuse = |reason: &str| NotUnderstood::new(reason, line);
    // Not `tokenize_str` nor `word::parse`: those keep lines in a process-wide cache.
    let mut parser = Parser::new(line.as_bytes(), &ParserOptions::default());
    let program = parser.parse_program().map_err(|_| refuse("it is not a complete shell command"))?;
    let mut words = Words { pieces, at: 0 };
    let mut pipelines = Vec::new();
    for list in program.complete_commands {
        for item in list.0 {
            match item.1 {
                SeparatorOperator::Sequence => {}
                SeparatorOperator::Async => return Err(refuse("a background command (`&`)")),
            }
            let joint = Joint::Then;
            pipelines.push((joint, words.pipeline(line, &item.0.first)?));
            for next in &item.0.additional {
                let (joint, pipeline) = match next {
                    AndOr::And(pipeline) => (Joint::And, pipeline),
                    AndOr::Or(pipeline) => (Joint::Or, pipeline),
                };
                words.joint(line, joint)?;
                pipelines.push((joint, words.pipeline(line, pipeline)?));
            }
            words.end_of_list(line)?;
        }
    }
    words.end(line)?;
    let mut pipelines = pipelines.into_iter();
    let (_, first) = pipelines.next().ok_or_else(|| refuse("the line is empty"))?;
    Ok(CommandLine { first, rest: pipelines.collect() })
}

/// The program's name must be what runs: plain, unquoted when it was written, no keyword.
pub(super) fn check_program(command: &SimpleCommand) -> Result<(), NotUnderstood> {
    let Some(program) = command.words.first() else {
        return Err(NotUnderstood::new("a command without a program", ""));
    };
    if KEYWORDS.contains(&program.as_str()) {
        return Err(NotUnderstood::new(format!("the shell keyword `{program}`"), program));
    }
    if let Some((name, _)) = program.split_once('=')
        && !name.is_empty()
    {
        return Err(NotUnderstood::new("an assignment before a command", program)
            .hint("variables cannot be set: name the program first"));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '+' | '-');
    if !program.chars().all(plain) {
        return Err(NotUnderstood::new(
            "a program name with other characters than `A-Z a-z 0-9 _ . / + -`",
            program,
        ));
    }
    let named = match program.strip_prefix('/') {
        Some(path) => path.split('/').all(|part| !matches!(part, "" | "." | "..")),
        None => {
            program == "."
                || (!program.contains('/')
                    && program.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
        }
    };
    if named {
        return Ok(());
    }
    Err(NotUnderstood::new("a program that is neither a plain name nor a plain absolute path", program))
}

/// Reserved in POSIX shells, bash, ksh or zsh: at the program's place they are syntax, not programs.
const KEYWORDS: &[&str] = &[
    "case",
    "coproc",
    "do",
    "done",
    "elif",
    "else",
    "end",
    "esac",
    "fi",
    "for",
    "foreach",
    "function",
    "if",
    "in",
    "namespace",
    "nocorrect",
    "noglob",
    "repeat",
    "select",
    "then",
    "time",
    "until",
    "while",
];

/// Walks the scan's pieces beside the grammar's tree.
struct Words<'a> {
    pieces: &'a [Piece],
    at: usize,
}

impl Words<'_> {
    fn pipeline(&mut self, line: &str, grammar: &Grammar) -> Result<Pipeline, NotUnderstood> {
        let refuse = |reason: &str| Err(NotUnderstood::new(reason, line));
        if grammar.bang {
            return refuse("`!` (negation or history)");
        }
        if grammar.timed.is_some() {
            return refuse("the shell keyword `time`");
        }
        let mut commands = Vec::new();
        for (at, command) in grammar.seq.iter().enumerate() {
            if at > 0 {
                self.expect(line, &Piece::Pipe)?;
            }
            match command {
                Command::Simple(simple) => commands.push(self.simple(line, simple)?),
                Command::Compound(..) => return refuse("a compound command"),
                Command::Function(_) => return refuse("a function definition"),
                Command::ExtendedTest(..) => return refuse("a `[[ ]]` test"),
            }
        }
        let pipeline = Pipeline { commands };
        redirect::check(line, &pipeline)?;
        Ok(pipeline)
    }

    fn simple(&mut self, line: &str, simple: &Simple) -> Result<SimpleCommand, NotUnderstood> {
        if simple.prefix.as_ref().is_some_and(|prefix| !prefix.0.is_empty()) {
            return Err(NotUnderstood::new("an assignment or redirection before a command", line)
                .hint("variables cannot be set, and redirections stand after the program: name it first"));
        }
        let Some(program) = &simple.word_or_name else {
            return Err(NotUnderstood::new("a command without a program", line));
        };
        let name = self.word(line, &program.value)?;
        if name != program.value {
            return Err(NotUnderstood::new("a program name with quotes or escapes", &program.value)
                .hint("write the program's name plainly"));
        }
        let mut command = SimpleCommand::new(vec![name]);
        for item in simple.suffix.iter().flat_map(|suffix| &suffix.0) {
            match item {
                CommandPrefixOrSuffixItem::Word(word)
                | CommandPrefixOrSuffixItem::AssignmentWord(_, word) => {
                    command.words.push(self.word(line, &word.value)?);
                }
                CommandPrefixOrSuffixItem::IoRedirect(grammar) => {
                    command.redirections.push(self.redirection(line, grammar)?);
                }
                CommandPrefixOrSuffixItem::ProcessSubstitution(..) => {
                    return Err(NotUnderstood::new("a process substitution", line));
                }
            }
        }
        Ok(command)
    }

    fn word(&mut self, line: &str, grammar: &str) -> Result<String, NotUnderstood> {
        match self.next() {
            Some(Piece::Word { raw, text }) if raw == grammar => Ok(text.clone()),
            Some(_) | None => Err(disagreement(line)),
        }
    }

    fn joint(&mut self, line: &str, joint: Joint) -> Result<(), NotUnderstood> {
        let piece = match joint {
            Joint::And => Piece::And,
            Joint::Or => Piece::Or,
            Joint::Then => Piece::Then,
        };
        self.expect(line, &piece)
    }

    fn end_of_list(&mut self, line: &str) -> Result<(), NotUnderstood> {
        if self.at < self.pieces.len() { self.expect(line, &Piece::Then) } else { Ok(()) }
    }

    fn end(&self, line: &str) -> Result<(), NotUnderstood> {
        if self.at == self.pieces.len() { Ok(()) } else { Err(disagreement(line)) }
    }

    fn expect(&mut self, line: &str, piece: &Piece) -> Result<(), NotUnderstood> {
        if self.next() == Some(piece) { Ok(()) } else { Err(disagreement(line)) }
    }

    fn next(&mut self) -> Option<&Piece> {
        let piece = self.pieces.get(self.at);
        self.at += 1;
        piece
    }
}

fn disagreement(line: &str) -> NotUnderstood {
    NotUnderstood::new("it can be read in more than one way", line)
}
