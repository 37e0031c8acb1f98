//! Resources and prompts of upstreams in rules: `resource:NAME/GLOB`, `prompt:NAME/GLOB`.

use model::{Theirs, Thing, UpstreamName};

use super::Refused;
use crate::rule::Effect;

/// The longest pattern, in bytes.
const LONGEST: usize = 512;
const HINT: &str = "write `resource:UPSTREAM/GLOB` or `prompt:UPSTREAM/GLOB`; in it `*` is any characters but `/`, `**` any at all";

/// What fits a pattern, of one kind, of one upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Things {
    pub(crate) upstream: UpstreamName,
    pub(crate) thing: Thing,
    written: String,
    exact: Glob,
    /// The same as a reader might spell it otherwise: for what is forbidden.
    wide: Glob,
}

/// A pattern, character by character.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Glob(Vec<Token>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// Any run of bytes but `/`.
    Run,
    /// Any run of bytes.
    All,
}

impl Things {
    /// Reads a selector; `None` if it is of another kind.
    pub(super) fn parse(text: &str) -> Option<Result<Self, Refused>> {
        let (thing, rest) = match (text.strip_prefix("resource:"), text.strip_prefix("prompt:")) {
            (Some(rest), _) => (Thing::Resource, rest),
            (_, Some(rest)) => (Thing::Prompt, rest),
            (None, None) => return None,
        };
        Some(Self::of(thing, rest, text))
    }

    fn of(thing: Thing, rest: &str, text: &str) -> Result<Self, Refused> {
        let refused =
            || (format!("`{text}` names no resource or prompt of an upstream"), Some(HINT.to_owned()));
        let (upstream, glob) = rest.split_once('/').ok_or_else(refused)?;
        let upstream = UpstreamName::parse(upstream).map_err(|e| (e.to_string(), Some(HINT.to_owned())))?;
        let plain = glob.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        if glob.is_empty() || glob.len() > LONGEST || glob.contains("***") || !plain {
            return Err(refused());
        }
        let (exact, wide) = (Glob::parse(glob), Glob::parse(&reworded(glob)));
        Ok(Self { upstream, thing, written: text.to_owned(), exact, wide })
    }

    /// Permitted is what is written so, byte for byte; forbidden is, too, what could be another spelling of it.
    pub(super) fn matches(&self, theirs: Theirs<'_>, effect: Effect) -> bool {
        let Theirs { upstream, thing, name } = theirs;
        upstream == self.upstream
            && thing == self.thing
            && (self.exact.matches(name) || (effect == Effect::Forbid && self.wide.matches(&reworded(name))))
    }
}

impl std::fmt::Display for Things {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.written)
    }
}

/// One spelling for all: lower case, nothing encoded that could be written.
fn reworded(text: &str) -> String {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let decoded =
            digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(decoded.unwrap_or(*first).to_ascii_lowercase());
        rest = if decoded.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl Glob {
    fn parse(text: &str) -> Self {
        let (mut tokens, mut bytes) = (Vec::with_capacity(text.len()), text.bytes().peekable());
        while let Some(byte) = bytes.next() {
            tokens.push(match byte {
                b'*' if bytes.next_if_eq(&b'*').is_some() => Token::All,
                b'*' => Token::Run,
                byte => Token::Byte(byte),
            });
        }
        Self(tokens)
    }

    /// Follows all ways through the pattern at once: the work is bounded by both lengths.
    fn matches(&self, text: &str) -> bool {
        let literal = self.0.iter().take_while(|token| matches!(token, Token::Byte(_))).count();
        let begins =
            self.0.iter().zip(text.bytes()).take(literal).all(|(token, byte)| *token == Token::Byte(byte));
        if !begins || text.len() < literal {
            return false;
        }
        let mut at = vec![false; self.0.len() + 1];
        reach(&mut at, 0, &self.0);
        for byte in text.bytes() {
            let mut next = vec![false; at.len()];
            for (place, token) in self.0.iter().enumerate() {
                if !at.get(place).copied().unwrap_or_default() {
                    continue;
                }
                match token {
                    Token::Byte(wanted) if *wanted == byte => reach(&mut next, place + 1, &self.0),
                    Token::Run if byte != b'/' => reach(&mut next, place, &self.0),
                    Token::All => reach(&mut next, place, &self.0),
                    Token::Byte(_) | Token::Run => {}
                }
            }
            at = next;
        }
        at.last().copied().unwrap_or_default()
    }
}

/// Marks a place, and those behind it that need no text.
fn reach(at: &mut [bool], from: usize, tokens: &[Token]) {
    for place in from..at.len() {
        if let Some(mark) = at.get_mut(place) {
            *mark = true;
        }
        if !matches!(tokens.get(place), Some(Token::Run | Token::All)) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{Theirs, Thing, UpstreamName};

    use super::Things;
    use crate::rule::Effect;

    fn matches(selector: &str, name: &str, effect: Effect) -> bool {
        let things = Things::parse(selector).unwrap().unwrap();
        let upstream = UpstreamName::parse("files").unwrap();
        things.matches(Theirs { upstream, thing: Thing::Resource, name }, effect)
    }

    #[test]
    fn a_star_stays_within_a_step_and_two_do_not() {
        for (glob, name, fits) in [
            ("file:///srv/*", "file:///srv/a", true),
            ("file:///srv/*", "file:///srv/a/b", false),
            ("file:///srv/**", "file:///srv/a/b", true),
            ("file:///srv/**", "file:///srv", false),
            ("**", "anything://at/all", true),
            ("file:///*/b/**/c", "file:///a/b/x/y/c", true),
            ("file:///*/b/**/c", "file:///a/x/b/y/c", false),
            ("file:///srv/a", "file:///srv/a", true),
            ("file:///srv/a", "file:///srv/ab", false),
            ("file:///srv/ab", "file:///srv/a", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
        ] {
            assert_eq!(
                matches(&format!("resource:files/{glob}"), name, Effect::Permit),
                fits,
                "{glob} {name}"
            );
        }
        assert!(!matches("resource:other/**", "file:///a", Effect::Permit), "another upstream's");
        assert!(!matches("prompt:files/**", "file:///a", Effect::Permit), "another kind");
    }

    #[test]
    fn what_is_forbidden_is_so_in_every_spelling_and_what_is_permitted_in_its_own_alone() {
        for other in ["FILE:///srv/Secret/a", "file:///srv/%73ecret/a", "file:///srv/%53ecret/%61"] {
            assert!(matches("resource:files/file:///srv/secret/**", other, Effect::Forbid), "{other}");
            assert!(!matches("resource:files/file:///srv/secret/**", other, Effect::Permit), "{other}");
        }
        assert!(matches("resource:files/file:///srv/%73ecret/**", "file:///srv/secret/a", Effect::Forbid));
    }

    #[test]
    fn what_names_no_upstream_or_nothing_of_it_is_refused() {
        for wrong in [
            "resource:files",
            "resource:/x",
            "resource:files/",
            "prompt:Files/x",
            "prompt:a/***",
            "prompt:a/\u{e9}",
        ] {
            assert!(Things::parse(wrong).unwrap().is_err(), "{wrong}");
        }
        assert!(Things::parse("upstream:files").is_none());
    }
}
