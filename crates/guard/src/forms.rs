//! The forms a secret can have in an output, each as the bytes to look for.

use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::fmt::Write as _;
use zeroize::Zeroizing;

pub(crate) type Pattern = Zeroizing<Vec<u8>>;

/// Every named form of `secret` that is looked for as it stands; the others are in [`dense`].
pub(crate) fn all(secret: &str) -> Vec<Pattern> {
    let mut forms = vec![pattern(secret.to_owned())];
    forms.extend(url(secret));
    forms.extend(html(secret));
    forms.extend(json(secret));
    forms.extend(shell(secret));
    forms.push(utf16(secret));
    forms.extend(latin1(secret));
    forms
}

/// The forms that are commonly broken into lines or groups: base64 and hex. None of their characters is
/// removed with the breaks, so they are found unbroken as well.
pub(crate) fn dense(secret: &str) -> Vec<Pattern> {
    let spellings = [Some(pattern(secret.to_owned())), Some(utf16(secret)), latin1(secret)];
    spellings.iter().flatten().flat_map(|bytes| [base64_cores(bytes), hexadecimal(bytes)].concat()).collect()
}

/// The escapes of the three characters that base64 text has and encoders change: for the many parts of a key.
pub(crate) fn escapes_of_base64(text: &str) -> Vec<Pattern> {
    [false, true]
        .map(|upper| percent(text.as_bytes(), is_unreserved, upper, false))
        .into_iter()
        .chain([text.replace('/', "\\/")])
        .filter(|escaped| escaped != text)
        .map(pattern)
        .collect()
}

/// Plain, in base64 and in hex: for the many parts of a key.
pub(crate) fn dense_of_base64(text: &str) -> Vec<Pattern> {
    let mut forms = vec![pattern(text.to_owned())];
    forms.extend(base64_cores(text.as_bytes()));
    forms.extend(hexadecimal(text.as_bytes()));
    forms
}

fn utf16(secret: &str) -> Pattern {
    Zeroizing::new(secret.encode_utf16().flat_map(u16::to_le_bytes).collect())
}

/// One byte a character, where that differs from UTF-8 and is possible.
fn latin1(secret: &str) -> Option<Pattern> {
    let bytes = secret.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect::<Option<Vec<u8>>>();
    bytes.filter(|_| !secret.is_ascii()).map(Zeroizing::new)
}

/// The few whole forms that a very short secret is looked for in.
pub(crate) fn short(secret: &str) -> Vec<Pattern> {
    let with_newline = Zeroizing::new(format!("{secret}\n"));
    let mut forms = vec![pattern(secret.to_owned())];
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        forms.push(pattern(engine.encode(secret)));
        forms.push(pattern(engine.encode(with_newline.as_bytes())));
    }
    forms.extend(hexadecimal(secret.as_bytes()));
    forms.extend(hexadecimal(with_newline.as_bytes()));
    forms
}

fn pattern(text: String) -> Pattern {
    Zeroizing::new(text.into_bytes())
}

/// The part of the base64 that is the same whatever stands before and after the secret, for each of the
/// three places at which it can begin in a group, in both alphabets.
fn base64_cores(secret: &[u8]) -> Vec<Pattern> {
    let core = |engine: &GeneralPurpose, before: usize| {
        let mut padded = Zeroizing::new(vec![0; before]);
        padded.extend_from_slice(secret);
        let first = [0, 2, 3].get(before).copied().unwrap_or(0);
        let encoded = Zeroizing::new(engine.encode(&*padded));
        let end = padded.len() * 8 / 6;
        encoded.get(first..end).map(|text| pattern(text.to_owned()))
    };
    (0..3)
        .flat_map(|before| [core(&STANDARD_NO_PAD, before), core(&URL_SAFE_NO_PAD, before)])
        .flatten()
        .collect()
}

fn hexadecimal(secret: &[u8]) -> Vec<Pattern> {
    vec![pattern(hex::encode(secret)), pattern(hex::encode_upper(secret))]
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Percent-encoding by the conventions of RFC 3986, HTML forms, ECMAScript's two functions, Python, and of
/// who encodes every byte; with hexadecimal digits of either case.
fn url(secret: &str) -> Vec<Pattern> {
    let component = |b: u8| is_unreserved(b) || matches!(b, b'!' | b'*' | b'\'' | b'(' | b')');
    let conventions: [(&dyn Fn(u8) -> bool, bool); 7] = [
        (&is_unreserved, false),
        (&|b| is_unreserved(b) && b != b'~', true),
        (&|b| is_unreserved(b) && b != b'~' || b == b'*', true),
        (&component, false),
        (&|b| component(b) || b";,/?:@&=+$#".contains(&b), false),
        (&|b| is_unreserved(b) || b == b'/', false),
        (&|_| false, false),
    ];
    let encode = |(keep, plus): &(&dyn Fn(u8) -> bool, bool), upper| {
        pattern(percent(secret.as_bytes(), keep, upper, *plus))
    };
    conventions.iter().flat_map(|convention| [encode(convention, false), encode(convention, true)]).collect()
}

fn percent(bytes: &[u8], keep: impl Fn(u8) -> bool, upper: bool, plus: bool) -> String {
    let mut out = String::with_capacity(bytes.len() * 3);
    for byte in bytes {
        let _ = match (keep(*byte), plus && *byte == b' ', upper) {
            (true, _, _) => out.write_char(char::from(*byte)),
            (_, true, _) => out.write_char('+'),
            (_, _, true) => write!(out, "%{byte:02X}"),
            (_, _, false) => write!(out, "%{byte:02x}"),
        };
    }
    out
}

/// Character references as template engines write them, and all of a text as decimal or hexadecimal ones.
fn html(secret: &str) -> Vec<Pattern> {
    const AMP: (char, &str) = ('&', "&amp;");
    const LT: (char, &str) = ('<', "&lt;");
    const GT: (char, &str) = ('>', "&gt;");
    const QUOT: (char, &str) = ('"', "&quot;");
    const APOS: (char, &str) = ('\'', "&#39;");
    let conventions: [&[(char, &str)]; 8] = [
        &[AMP, LT, GT],
        &[AMP, LT, GT, QUOT],
        &[AMP, LT, GT, QUOT, APOS],
        &[AMP, LT, GT, QUOT, ('\'', "&#x27;")],
        &[AMP, LT, GT, QUOT, ('\'', "&apos;")],
        &[AMP, LT, GT, ('"', "&#34;"), APOS, ('+', "&#43;")],
        &[AMP, LT, GT, QUOT, ('\'', "&#x27;"), ('/', "&#x2F;")],
        &[AMP, LT, GT, QUOT, APOS, ('/', "&#x2F;"), ('`', "&#x60;"), ('=', "&#x3D;")],
    ];
    let replaced = |table: &[(char, &str)], ascii: bool| {
        map(secret, |c, out| match table.iter().find(|(from, _)| *from == c) {
            Some((_, to)) => out.push_str(to),
            None if ascii && !c.is_ascii() => out.push_str(&format!("&#{};", u32::from(c))),
            None => out.push(c),
        })
    };
    let mut forms: Vec<Pattern> =
        conventions.iter().flat_map(|table| [replaced(table, false), replaced(table, true)]).collect();
    forms.push(map(secret, |c, out| out.push_str(&format!("&#{};", u32::from(c)))));
    forms.push(map(secret, |c, out| out.push_str(&format!("&#x{:x};", u32::from(c)))));
    forms.push(map(secret, |c, out| out.push_str(&format!("&#x{:X};", u32::from(c)))));
    forms
}

/// String escapes of JSON writers: the shortest, with `\/`, ASCII only, safe for HTML, all `\u`, and a string
/// inside a string. They also cover YAML, JavaScript, Python and C where these write the same.
fn json(secret: &str) -> Vec<Pattern> {
    let plain = |text: &str| {
        let quoted = Zeroizing::new(serde_json::Value::String(text.to_owned()).to_string());
        quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
    };
    let once = Zeroizing::new(plain(secret));
    let mut forms = vec![pattern(once.to_string()), pattern(once.replace('/', "\\/")), pattern(plain(&once))];
    for upper in [false, true] {
        for html in ["", "<>&", "<>&'", "<>&'+`"] {
            forms.push(map(&once, |c, out| {
                if c.is_ascii() && !html.contains(c) { out.push(c) } else { unicode_escape(c, upper, out) }
            }));
            forms.push(map(&once, |c, out| {
                if html.contains(c) { unicode_escape(c, upper, out) } else { out.push(c) }
            }));
        }
        forms.push(map(secret, |c, out| match c {
            '<' | '>' | '&' | '\'' | '+' | '`' | '"' => unicode_escape(c, upper, out),
            '\\' => out.push_str("\\\\"),
            _ if c.is_ascii() => out.push(c),
            _ => unicode_escape(c, upper, out),
        }));
        forms.push(map(secret, |c, out| unicode_escape(c, upper, out)));
    }
    forms.push(map(&once, |c, out| match c {
        '/' => out.push_str("\\/"),
        _ if c.is_ascii() => out.push(c),
        _ => unicode_escape(c, false, out),
    }));
    forms
}

fn unicode_escape(c: char, upper: bool, out: &mut String) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        let _ = if upper { write!(out, "\\u{unit:04X}") } else { write!(out, "\\u{unit:04x}") };
    }
}

/// Quoting of shells: single and double quotes, backslashes before few or all special characters, and
/// `$'...'` with short, hexadecimal and octal escapes; and the doubled quotes of SQL, CSV and PowerShell.
fn shell(secret: &str) -> Vec<Pattern> {
    const SPECIAL: &str = " !\"#$&'()*,;<=>?[\\]^`{|}~\t";
    let quote = |special: &'static str, escape: &'static str| {
        map(secret, move |c, out| {
            if special.contains(c) {
                out.push_str(escape);
            }
            out.push(c);
        })
    };
    let octal = |c: char, out: &mut String| {
        c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| out.push_str(&format!("\\{byte:03o}")));
    };
    let ansi = |c: char, out: &mut String| match c {
        '\\' | '\'' => out.extend(['\\', c]),
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\r' => out.push_str("\\r"),
        _ if c.is_ascii_control() => octal(c, out),
        _ => out.push(c),
    };
    let mut forms = vec![
        map(secret, |c, out| if c == '\'' { out.push_str("'\\''") } else { out.push(c) }),
        map(secret, |c, out| if c == '\'' { out.push_str("'\"'\"'") } else { out.push(c) }),
        quote("'", "'"),
        quote("\"", "\""),
        quote("'\\", "\\"),
        quote("$`\"\\", "\\"),
        quote("$`\"\\!", "\\"),
        quote(SPECIAL, "\\"),
        map(secret, |c, out| {
            if !c.is_ascii_alphanumeric() && c.is_ascii() {
                out.push('\\');
            }
            out.push(c);
        }),
        map(secret, |c, out| {
            if c.is_ascii() && !c.is_ascii_alphanumeric() && !"_-./:=@%+,".contains(c) {
                out.push('\\');
            }
            out.push(c);
        }),
        map(secret, ansi),
        map(secret, |c, out| if c.is_ascii() { ansi(c, out) } else { octal(c, out) }),
        map(secret, octal),
    ];
    forms.extend([false, true].map(|upper| {
        let mut out = String::new();
        for byte in secret.bytes() {
            let _ = if upper { write!(out, "\\x{byte:02X}") } else { write!(out, "\\x{byte:02x}") };
        }
        pattern(out)
    }));
    forms
}

fn map(text: &str, write: impl Fn(char, &mut String)) -> Pattern {
    let mut out = String::with_capacity(text.len() * 2);
    text.chars().for_each(|c| write(c, &mut out));
    pattern(out)
}
