//! Just enough of Rust's grammar to tell code from comments, strings and tests.

use std::ops::Range;

/// A source text in two views of the same length and line breaks.
pub(crate) struct Views {
    /// Comments and the insides of strings are blanks.
    pub(crate) code: String,
    /// Comments are blanks, strings are there.
    pub(crate) words: String,
}

/// Blanks comments, and in one view strings.
pub(crate) fn views(text: &str) -> Views {
    let bytes = text.as_bytes();
    let (mut code, mut words) = (bytes.to_vec(), bytes.to_vec());
    let mut at = 0;
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let (end, comment) = match rest {
            [b'/', b'/', ..] => (at + length_until(rest, b"\n"), true),
            [b'/', b'*', ..] => (at + block_comment(rest), true),
            [b'"', ..] => (at + string(rest), false),
            [b'r', ..] if !continues_a_word(bytes, at) && raw_string(rest).is_some() => {
                (at + raw_string(rest).unwrap_or(1), false)
            }
            [b'\'', b'\\', _, ..] => (at + 3 + length_until(rest.get(3..).unwrap_or_default(), b"'"), false),
            [b'\'', _, b'\'', ..] => (at + 3, false),
            _ => {
                at += 1;
                continue;
            }
        };
        blank(&mut code, at..end);
        if comment {
            blank(&mut words, at..end);
        }
        at = end;
    }
    let view = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Views { code: view(code), words: view(words) }
}

/// The lines (from 0) of items under `#[cfg(test)]` in code without comments and strings.
pub(crate) fn test_lines(code: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = code.get(from..).and_then(|rest| rest.find("#[cfg(test)]")).map(|i| from + i) {
        let end = item_end(code, start);
        found.push(line_of(code, start)..line_of(code, end) + 1);
        from = end.max(start + 1);
    }
    found
}

/// A function: its name, and the lines (from 0) of its signature and body.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) lines: Range<usize>,
}

/// All functions with a body in code without comments and strings.
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (start, _) in code.match_indices("fn ") {
        let before = code.as_bytes().get(start.wrapping_sub(1)).copied().unwrap_or(b' ');
        let rest = code.get(start + 3..).unwrap_or_default();
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if is_word(before) || name.is_empty() {
            continue;
        }
        let end = item_end(code, start);
        if code.as_bytes().get(end) == Some(&b'}') {
            found.push(Function { name, lines: line_of(code, start)..line_of(code, end) + 1 });
        }
    }
    found
}

/// Where `name` stands as a whole word (a name may begin or end with signs), as byte offsets.
pub(crate) fn occurrences(code: &str, name: &str) -> Vec<usize> {
    let bytes = code.as_bytes();
    let edge = |inner: Option<u8>, outer: Option<&u8>| {
        !(inner.is_some_and(is_word) && outer.copied().is_some_and(is_word))
    };
    code.match_indices(name)
        .map(|(at, _)| at)
        .filter(|at| edge(name.bytes().next(), at.checked_sub(1).and_then(|i| bytes.get(i))))
        .filter(|at| edge(name.bytes().last(), bytes.get(at + name.len())))
        .collect()
}

/// The line (from 0) of a byte offset.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// The offset of the brace or semicolon that ends the item which starts at `start`.
fn item_end(code: &str, start: usize) -> usize {
    let (mut braces, mut others) = (0_u32, 0_u32);
    for (at, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'(' | b'[' => others += 1,
            b')' | b']' => others = others.saturating_sub(1),
            b'{' => braces += 1,
            b'}' => {
                braces = braces.saturating_sub(1);
                if braces == 0 && others == 0 {
                    return at;
                }
            }
            b';' if braces == 0 && others == 0 => return at,
            _ => {}
        }
    }
    code.len()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn continues_a_word(bytes: &[u8], at: usize) -> bool {
    // `br"..."` and `cr"..."` are raw strings too.
    let before = |back: usize| at.checked_sub(back).and_then(|i| bytes.get(i)).copied().unwrap_or(b' ');
    if matches!(before(1), b'b' | b'c') { is_word(before(2)) } else { is_word(before(1)) }
}

fn length_until(rest: &[u8], end: &[u8]) -> usize {
    rest.windows(end.len()).position(|window| window == end).map_or(rest.len(), |at| at + end.len())
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_u32, 0);
    while at < rest.len() {
        match rest.get(at..) {
            Some([b'/', b'*', ..]) => (depth, at) = (depth + 1, at + 2),
            Some([b'*', b'/', ..]) => {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    rest.len()
}

fn string(rest: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = rest.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_string(rest: &[u8]) -> Option<usize> {
    let hashes = rest.iter().skip(1).take_while(|byte| **byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let mut end = vec![b'"'];
    end.resize(1 + hashes, b'#');
    let body = rest.get(2 + hashes..)?;
    Some(2 + hashes + length_until(body, &end))
}

fn blank(bytes: &mut [u8], range: Range<usize>) {
    let end = range.end.min(bytes.len());
    for byte in bytes.get_mut(range.start..end).unwrap_or_default() {
        // Bytes above ASCII become blanks one by one, so that offsets stay as they are.
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_told_from_code() {
        let text = "a // b\nc /* d /* e */ f */ g \"h \\\" i\" j r#\"k \" l\"# m '\"' n '\\'' o 'p q<'r>(s) r#type\n";
        let seen = views(text);
        let letters = |view: &str| {
            view.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect::<String>()
        };
        assert_eq!(letters(&seen.code), "acgjmnopqrsrtype");
        assert_eq!(letters(&seen.words), "acghijrklmnopqrsrtype");
        assert_eq!(seen.code.len(), text.len());
    }

    #[test]
    fn functions_end_where_their_body_does() {
        let code = "impl A {\n    fn one(a: [u8; 3]) -> B\n    where\n        C: D,\n    {\n        if e {}\n    }\n    fn two();\n}\n";
        let found = functions(code);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].lines.clone()), ("one", 1..7));
    }

    #[test]
    fn test_items_are_found() {
        let code =
            "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nmod d;\n";
        assert_eq!(test_lines(code), [1..5, 6..8]);
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(occurrences("resolve(a) resolved(b) x.resolve(c) unresolve(d)", "resolve(").len(), 2);
        assert_eq!(occurrences("BootInstant Instant Instants", "Instant").len(), 1);
        assert_eq!(occurrences("a.expose() b.exposed()", ".expose()").len(), 1);
    }
}
