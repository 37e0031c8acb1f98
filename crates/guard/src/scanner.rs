//! Finds leased secrets in their named forms.

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use model::Secret;

use crate::forms::{self, Pattern};
use crate::{pem, visible};

/// Bytes from which on a secret is looked for anywhere. Below, every second output would hold it by chance.
const STRONG: usize = 6;
/// Bytes up to which a weak secret is only looked for as a whole line.
const TINY: usize = 3;
/// Bytes from which on the plain form is also looked for across line breaks and spaces.
const UNBROKEN: usize = 8;

/// Finds leased secrets in their named forms: plain, base64, hex, and URL, HTML, JSON and shell escapes.
///
/// Secrets of less than six bytes are **weak**: looked for as words of their own (up to three bytes: as lines
/// of their own), because anything else would withhold every output; [`Scanner::weak`] counts them, for a
/// warning. The automaton holds the patterns for as long as the scanner lives and cannot be wiped.
pub struct Scanner {
    anywhere: Option<AhoCorasick>,
    unbroken: Option<AhoCorasick>,
    words: Option<AhoCorasick>,
    lines: Option<AhoCorasick>,
    longest: usize,
    weak: usize,
    /// A scanner that could not be built finds something in everything.
    broken: bool,
}

/// What is known of the text around a piece that is scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edges {
    /// The first byte is only there to be looked back at.
    pub(crate) look_behind: bool,
    /// More may follow.
    pub(crate) open_end: bool,
}

impl Scanner {
    /// Finds nothing: for calls without a credential.
    pub fn empty() -> Self {
        Self { anywhere: None, unbroken: None, words: None, lines: None, longest: 0, weak: 0, broken: false }
    }

    /// Finds these secrets in all forms. Line ends at the end of a secret do not count as part of it; an empty
    /// secret is found nowhere.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret<String>>) -> Self {
        let mut patterns = Patterns::default();
        for secret in secrets {
            patterns.add(secret.expose());
        }
        patterns.build()
    }

    /// Whether any form of any secret is in `bytes`.
    pub fn finds(&self, bytes: &[u8]) -> bool {
        self.finds_in(bytes, Edges { look_behind: false, open_end: false })
    }

    /// How many of the secrets are too short to be looked for everywhere.
    pub fn weak(&self) -> usize {
        self.weak
    }

    /// Whether there is nothing to look for.
    pub(crate) fn is_empty(&self) -> bool {
        self.longest == 0 && !self.broken
    }

    /// Bytes of the longest pattern.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    pub(crate) fn finds_in(&self, bytes: &[u8], edges: Edges) -> bool {
        if self.broken {
            return true;
        }
        if self.is_empty() || bytes.is_empty() {
            return false;
        }
        let bare = without_deception(bytes);
        // What looks like an escape sequence may have swallowed a piece of a secret: look at both.
        (matches!(bare, Cow::Owned(_)) && self.finds_form(&bare, edges)) || self.finds_form(bytes, edges)
    }

    fn finds_form(&self, bytes: &[u8], edges: Edges) -> bool {
        self.finds_contiguous(bytes, edges)
            || self.unbroken.as_ref().is_some_and(|patterns| patterns.is_match(&without_breaks(bytes)))
    }

    fn finds_contiguous(&self, bytes: &[u8], edges: Edges) -> bool {
        self.anywhere.as_ref().is_some_and(|patterns| patterns.is_match(bytes))
            || finds_bounded(self.words.as_ref(), bytes, edges, |b| !is_word(b))
            || finds_bounded(self.lines.as_ref(), bytes, edges, |b| matches!(b, b'\n' | b'\r'))
    }
}

/// Whether some match has a boundary on either side.
fn finds_bounded(
    patterns: Option<&AhoCorasick>,
    bytes: &[u8],
    edges: Edges,
    boundary: impl Fn(u8) -> bool,
) -> bool {
    patterns.is_some_and(|patterns| {
        patterns.find_overlapping_iter(bytes).any(|found| {
            let before = match found.start().checked_sub(1) {
                Some(at) => bytes.get(at).is_none_or(|b| boundary(*b)),
                None => !edges.look_behind,
            };
            let after = match bytes.get(found.end()) {
                Some(b) => boundary(*b),
                None => !edges.open_end,
            };
            before && after
        })
    })
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[derive(Default)]
struct Patterns {
    anywhere: Vec<Pattern>,
    unbroken: Vec<Pattern>,
    words: Vec<Pattern>,
    lines: Vec<Pattern>,
    weak: usize,
}

impl Patterns {
    fn add(&mut self, secret: &str) {
        let secret = secret.trim_end_matches(['\r', '\n']);
        match secret.len() {
            0 => {}
            1..=TINY => {
                self.weak += 1;
                self.lines.extend(forms::short(secret));
            }
            4..STRONG => {
                self.weak += 1;
                self.words.extend(forms::short(secret));
            }
            _ => self.add_strong(secret),
        }
    }

    fn add_strong(&mut self, secret: &str) {
        let windows = pem::windows(secret);
        for window in &windows {
            self.anywhere.extend(forms::escapes_of_base64(window));
            self.unbroken.extend(forms::dense_of_base64(window));
        }
        if secret.contains('\n') {
            let unix = zeroize::Zeroizing::new(secret.replace("\r\n", "\n"));
            let dos = zeroize::Zeroizing::new(unix.replace('\n', "\r\n"));
            self.add_text(&unix, windows.is_empty());
            self.add_text(&dos, windows.is_empty());
        } else {
            self.add_text(secret, true);
        }
    }

    /// A key's own text is long and its windows have every form already: plain is enough for the whole.
    fn add_text(&mut self, text: &str, every_form: bool) {
        if every_form {
            self.anywhere.extend(forms::all(text));
            self.unbroken.extend(forms::dense(text));
        } else {
            self.anywhere.push(text.as_bytes().to_vec().into());
        }
        let joined: Pattern = without_breaks(text.as_bytes()).into_owned().into();
        if joined.len() >= UNBROKEN {
            self.unbroken.push(joined);
        }
    }

    fn build(self) -> Scanner {
        let every = [self.anywhere, self.unbroken, self.words, self.lines];
        let longest = every.iter().flatten().map(|pattern| pattern.len()).max().unwrap_or(0);
        let built = every.map(automaton);
        let broken = built.iter().any(Result::is_err);
        let [anywhere, unbroken, words, lines] = built.map(Result::unwrap_or_default);
        Scanner { anywhere, unbroken, words, lines, longest, weak: self.weak, broken }
    }
}

fn automaton(mut patterns: Vec<Pattern>) -> Result<Option<AhoCorasick>, aho_corasick::BuildError> {
    if patterns.is_empty() {
        return Ok(None);
    }
    patterns.sort_unstable_by(|a, b| a.as_slice().cmp(b.as_slice()));
    patterns.dedup();
    // Quickest to build: most calls scan a few hundred bytes, and a scanner is built for each.
    AhoCorasick::builder()
        .kind(Some(AhoCorasickKind::NoncontiguousNFA))
        .build(patterns.iter().map(|pattern| pattern.as_slice()))
        .map(Some)
}

/// Without escape sequences and without characters that nobody sees: `grep --color` paints its hits, and a
/// painted secret is still one.
fn without_deception(bytes: &[u8]) -> Cow<'_, [u8]> {
    let suspicious = |b: &u8| b.is_ascii_control() && !matches!(b, b'\n' | b'\t') || *b >= 0x80;
    if !bytes.iter().any(suspicious) {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        let mut characters = chunk.valid().chars().peekable();
        while let Some(c) = characters.next() {
            match c {
                '\u{1b}' => skip_sequence(&mut characters),
                _ if visible::is_deceptive(c) => {}
                _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        out.extend_from_slice(chunk.invalid());
    }
    Cow::Owned(out)
}

/// What follows an escape character: `[` parameters and a final byte, or one more byte.
fn skip_sequence(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    if characters.next_if_eq(&'[').is_some() {
        while characters.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    }
    let _ = characters.next_if(|c| matches!(c, '@'..='~'));
}

/// Without white space and without the colons that group hexadecimal digits.
fn without_breaks(bytes: &[u8]) -> Cow<'_, [u8]> {
    let breaks = |b: &u8| b.is_ascii_whitespace() || *b == b':';
    if !bytes.iter().any(breaks) {
        return Cow::Borrowed(bytes);
    }
    Cow::Owned(bytes.iter().copied().filter(|b| !breaks(b)).collect())
}

/// How many bytes of `bytes` count when line breaks and what nobody sees do not.
pub(crate) fn weight(bytes: &[u8]) -> usize {
    without_breaks(&without_deception(bytes)).len()
}
