//! The strict first pass: which characters may be where, and what the words are.

mod redirect;

use redirect::BOTH;
pub(super) use redirect::{Operator, OperatorKind};

use super::{MAX_LINE, MAX_PIECES, NotUnderstood};

/// A word or an operator of a line, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A word: as written, and what the shell makes of it.
    Word { raw: String, text: String },
    /// `|`
    Pipe,
    /// `&&`
    And,
    /// `||`
    Or,
    /// `;`
    Then,
    /// `<`, `>` and their like; the path is the word after it.
    Redirect(Operator),
}

/// Splits a line into words and operators, and refuses every construct that is more than that by its name.
pub(super) fn scan(line: &str) -> Result<Vec<Piece>, NotUnderstood> {
    if line.len() > MAX_LINE {
        return Err(NotUnderstood::new(format!("the line is longer than {MAX_LINE} bytes"), line));
    }
    let mut scan = Scan { line, rest: line.char_indices().peekable(), pieces: Vec::new(), word: None };
    scan.run()?;
    if scan.pieces.is_empty() {
        return Err(NotUnderstood::new("the line is empty", line));
    }
    Ok(scan.pieces)
}

struct Scan<'a> {
    line: &'a str,
    rest: std::iter::Peekable<std::str::CharIndices<'a>>,
    pieces: Vec<Piece>,
    word: Option<Open>,
}

/// A word that has begun.
struct Open {
    start: usize,
    text: String,
}

impl Scan<'_> {
    fn run(&mut self) -> Result<(), NotUnderstood> {
        while let Some((at, c)) = self.rest.next() {
            match c {
                ' ' | '\t' => self.close(at)?,
                '\'' => self.quoted(at, '\'')?,
                '"' => self.quoted(at, '"')?,
                '\\' => self.escaped(at)?,
                '|' | '&' | ';' => self.operator(at, c)?,
                '<' | '>' => self.redirection(at, c)?,
                _ => {
                    if let Some(refusal) = refused_unquoted(c, self.word.is_none()) {
                        return Err(self.refuse(at, refusal));
                    }
                    self.push(at, c);
                }
            }
        }
        self.close(self.line.len())
    }

    fn operator(&mut self, at: usize, c: char) -> Result<(), NotUnderstood> {
        self.close(at)?;
        let mut doubled = |second: char| self.rest.next_if(|(_, next)| *next == second).is_some();
        let piece = match c {
            '|' if doubled('|') => Piece::Or,
            '|' if doubled('&') => return Err(self.refuse(at, BOTH)),
            '|' => Piece::Pipe,
            '&' if doubled('&') => Piece::And,
            '&' if doubled('>') => return Err(self.refuse(at, BOTH)),
            '&' => {
                return Err(
                    self.refuse(at, Refusal("a background command (`&`)", Some("run it without `&`")))
                );
            }
            _ if doubled(';') => return Err(self.refuse(at, Refusal("`;;` outside of `case`", None))),
            _ => Piece::Then,
        };
        self.add(piece, at)
    }

    fn quoted(&mut self, at: usize, quote: char) -> Result<(), NotUnderstood> {
        self.open(at);
        loop {
            let Some((here, c)) = self.rest.next() else {
                return Err(self.refuse(at, Refusal("a quote that is never closed", None)));
            };
            if c == quote {
                return Ok(());
            }
            if let Some(refusal) = refused_quoted(c, quote) {
                return Err(self.refuse(here, refusal));
            }
            self.push(here, c);
        }
    }

    fn escaped(&mut self, at: usize) -> Result<(), NotUnderstood> {
        match self.rest.next() {
            None => Err(self.refuse(at, Refusal("a backslash at the end of the line", None))),
            Some((_, c)) if c == ' ' || c.is_ascii_graphic() => {
                self.open(at);
                self.push(at, c);
                Ok(())
            }
            Some((here, '\n')) => Err(self.refuse(here, Refusal("a continued line", None))),
            Some((here, c)) => {
                let refusal = refused_anywhere(c).unwrap_or(Refusal(
                    "a character beyond ASCII outside of quotes",
                    Some("put the word into single quotes"),
                ));
                Err(self.refuse(here, refusal))
            }
        }
    }

    fn open(&mut self, at: usize) {
        self.word.get_or_insert_with(|| Open { start: at, text: String::new() });
    }

    fn push(&mut self, at: usize, c: char) {
        self.word.get_or_insert_with(|| Open { start: at, text: String::new() }).text.push(c);
    }

    fn close(&mut self, at: usize) -> Result<(), NotUnderstood> {
        let Some(open) = self.word.take() else { return Ok(()) };
        let raw = self.line.get(open.start..at).unwrap_or_default().to_owned();
        self.add(Piece::Word { raw, text: open.text }, at)
    }

    fn add(&mut self, piece: Piece, at: usize) -> Result<(), NotUnderstood> {
        if self.pieces.len() >= MAX_PIECES {
            let reason = format!("the line has more than {MAX_PIECES} words and operators");
            return Err(NotUnderstood::new(reason, self.line.get(at..).unwrap_or_default()));
        }
        self.pieces.push(piece);
        Ok(())
    }

    /// Shows the line from the word or character that is refused.
    fn refuse(&self, at: usize, refusal: Refusal) -> NotUnderstood {
        let from = self.word.as_ref().map_or(at, |open| open.start);
        let refused = NotUnderstood::new(refusal.0, self.line.get(from..).unwrap_or_default());
        match refusal.1 {
            Some(hint) => refused.hint(hint),
            None => refused,
        }
    }
}

/// What a construct is called, and what to do instead.
#[derive(Clone, Copy)]
struct Refusal(&'static str, Option<&'static str>);

const QUOTE_IT: Option<&str> = Some("put the word into single quotes if the character is meant literally");

fn refused_unquoted(c: char, at_word_start: bool) -> Option<Refusal> {
    let refusal = match c {
        '$' => Refusal("an expansion or substitution (`$`)", QUOTE_IT),
        '`' => Refusal("a command substitution (`` ` ``)", None),
        '(' | ')' => Refusal("a subshell, function or other use of parentheses", QUOTE_IT),
        '{' | '}' => Refusal("a brace expansion or group", QUOTE_IT),
        '*' | '?' | '[' => Refusal("a glob", QUOTE_IT),
        '~' => Refusal("a tilde expansion", QUOTE_IT),
        '!' => Refusal("`!` (negation or history)", QUOTE_IT),
        '#' if at_word_start => Refusal("a comment", QUOTE_IT),
        _ if !c.is_ascii() => {
            return refused_anywhere(c).or(Some(Refusal(
                "a character beyond ASCII outside of quotes",
                Some("put the word into single quotes"),
            )));
        }
        _ => return refused_anywhere(c),
    };
    Some(refusal)
}

fn refused_quoted(c: char, quote: char) -> Option<Refusal> {
    match c {
        '$' | '`' | '\\' | '!' if quote == '"' => {
            Some(Refusal("`$`, `` ` ``, `\\` or `!` in double quotes", Some("use single quotes")))
        }
        _ => refused_anywhere(c),
    }
}

/// Characters that are refused inside quotes too: what cannot be seen, or may be taken for another.
fn refused_anywhere(c: char) -> Option<Refusal> {
    match c {
        '\0' => Some(Refusal("a NUL character", None)),
        '\r' => Some(Refusal("a carriage return", None)),
        '\n' => Some(Refusal("a newline", Some("join commands with `;` or `&&`"))),
        _ if c.is_control() => Some(Refusal("a control character", None)),
        _ if c.is_ascii() || is_plain_letter(c) => None,
        _ if c.is_alphanumeric() => Some(Refusal("a letter that may be taken for another", None)),
        _ => Some(Refusal("an invisible, look-alike or unknown character", None)),
    }
}

/// Letters beyond ASCII that people write names with and that are not mistaken for ASCII ones: Latin with
/// marks (composed), kana, Hangul syllables, and the common block of Han. Left out on purpose: Cyrillic,
/// Greek, Cherokee and others with twins of ASCII letters, full-width forms, combining marks, mathematical
/// letters, and the kana and Han that look like punctuation or digits.
fn is_plain_letter(c: char) -> bool {
    match c {
        'ı' | 'ĸ' | 'ŀ' | 'Ŀ' | 'ŉ' | 'ſ' | '×' | '÷' => false,
        '\u{c0}'..='\u{17f}' => true,
        'ノ' | 'ニ' | 'ロ' | 'エ' | 'カ' | 'タ' | 'ト' | 'ハ' | 'へ' | 'ヘ' | 'べ' | 'ベ' | 'ペ' | 'ぺ'
        | '・' | 'ー' | '゠' => false,
        '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{ac00}'..='\u{d7a3}' => true,
        '一' | '丨' | '丶' | '丿' | '乙' | '亅' | '二' | '口' | '〇' | '十' | '卜' | '工' => {
            false
        }
        '\u{4e00}'..='\u{9fa5}' => true,
        _ => false,
    }
}
