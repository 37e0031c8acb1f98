//! Private keys in PEM: which parts of their text give them away.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Characters of a line that are looked for: 18 bytes of key, far beyond chance, and still found when a line
/// was cut short.
const WINDOW: usize = 24;

/// Some [`WINDOW`] characters of every long line of every private key block in `text`: the first, if they are
/// not public.
///
/// Lines that lie wholly in the public part of an OpenSSH key are left out: they are the same for every key
/// of a kind, or stand in `authorized_keys`, which an agent may well have to read.
pub(crate) fn windows(text: &str) -> Vec<Zeroizing<String>> {
    // A key inside JSON has its line ends escaped.
    let text = Zeroizing::new(text.replace("\\r", "").replace("\\n", "\n"));
    let mut found = Vec::new();
    let mut rest = text.as_str();
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let (block, tail) = after.split_once("-----END ").unwrap_or((after, ""));
        rest = tail;
        if let Some((label, body)) = block.split_once("-----")
            && label.ends_with("PRIVATE KEY")
        {
            windows_of_body(body, &mut found);
        }
    }
    found
}

fn windows_of_body(body: &str, found: &mut Vec<Zeroizing<String>>) {
    let lines: Vec<&str> = body.lines().map(str::trim).filter(|line| is_base64(line)).collect();
    let whole = Zeroizing::new(lines.concat());
    let public = Public::of(&whole);
    let (mut at, before) = (0, found.len());
    for line in lines {
        let end = at + line.len();
        let width = line.len().min(WINDOW);
        // A line can begin public and end private.
        let candidates = [(line.get(..width), at + width), (line.get(line.len() - width..), end)];
        let window = candidates.into_iter().find_map(|(w, end)| w.filter(|w| !public.covers(w, end)));
        found.extend(window.filter(|w| w.len() >= WINDOW / 2).map(|w| Zeroizing::new(w.to_owned())));
        at = end;
    }
    // A body without line ends is one long line: look inside it as well.
    if whole.len() > 2 * WINDOW && found.len() <= before + 1 {
        let step = 64;
        for start in (step..whole.len().saturating_sub(WINDOW)).step_by(step) {
            if let Some(window) = whole.get(start..start + WINDOW)
                && !public.covers(window, start + WINDOW)
            {
                found.push(Zeroizing::new(window.to_owned()));
            }
        }
    }
}

fn is_base64(line: &str) -> bool {
    !line.is_empty() && line.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
}

/// The public part of an OpenSSH private key.
struct Public {
    /// Characters of the body up to the end of the public key.
    prefix: usize,
    /// The public key in base64, in its three alignments.
    texts: Vec<String>,
}

impl Public {
    fn of(body: &str) -> Self {
        const NONE: Public = Public { prefix: 0, texts: Vec::new() };
        let Ok(bytes) = STANDARD.decode(body).map(Zeroizing::new) else { return NONE };
        let Some(mut rest) = bytes.strip_prefix(b"openssh-key-v1\0") else { return NONE };
        // Cipher, key derivation and its options come before the count of keys.
        for _ in 0..3 {
            let Some((_, tail)) = string(rest) else { return NONE };
            rest = tail;
        }
        let Some((public, tail)) = rest.split_at_checked(4).and_then(|(_, keys)| string(keys)) else {
            return NONE;
        };
        let prefix = (bytes.len() - tail.len()) * 4 / 3;
        let texts =
            [&[][..], &[0], &[0, 0]].map(|before| STANDARD.encode([before, public].concat())).to_vec();
        Public { prefix, texts }
    }

    fn covers(&self, text: &str, end: usize) -> bool {
        end <= self.prefix || self.texts.iter().any(|public| public.contains(text))
    }
}

/// An SSH string: four bytes of length, then as many bytes.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}
