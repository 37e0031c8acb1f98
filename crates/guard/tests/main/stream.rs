//! Output that is shown while it still comes.

use guard::{Scanner, StreamScanner, Withheld};

use crate::scanner;

fn shown(scanner: &Scanner, chunks: &[&[u8]]) -> (String, Result<(), Withheld>) {
    let mut stream = StreamScanner::new(scanner);
    let mut text = String::new();
    for chunk in chunks {
        match stream.push(chunk) {
            Ok(part) => text.push_str(part.inner()),
            Err(withheld) => {
                assert_eq!(stream.push(b"more").map(drop), Err(Withheld), "nothing comes after");
                return (text, Err(withheld));
            }
        }
    }
    match stream.finish() {
        Ok(part) => (text + part.inner(), Ok(())),
        Err(withheld) => (text, Err(withheld)),
    }
}

#[test]
fn a_secret_split_over_chunks_is_withheld_before_its_first_byte() {
    let secret = "pässwörd-of-the-gate";
    let scanner = scanner(&[secret]);
    let output = format!("first line\nthe password is {secret}\nlast line\n");
    for size in 1..output.len() {
        let chunks: Vec<&[u8]> = output.as_bytes().chunks(size).collect();
        let (text, end) = shown(&scanner, &chunks);
        assert_eq!(end, Err(Withheld));
        assert!("first line\nthe password is ".starts_with(&text), "{text}");
    }
}

#[test]
fn encoded_and_broken_over_lines_and_chunks_is_withheld_too() {
    let scanner = scanner(&["pässwörd-of-the-gate"]);
    // base64 of the secret, broken into lines of eight with a lot of space between
    let encoded = "cMOkc3N3w7ZyZC1vZi10aGUtZ2F0ZQ==";
    let lines: Vec<String> = encoded
        .as_bytes()
        .chunks(8)
        .map(|c| format!("{}{}", String::from_utf8_lossy(c), " ".repeat(900)))
        .collect();
    let output = lines.join("\n");
    let chunks: Vec<&[u8]> = output.as_bytes().chunks(37).collect();
    let (text, end) = shown(&scanner, &chunks);
    assert_eq!(end, Err(Withheld));
    assert!(!text.contains("cMOk"), "{text}");
}

#[test]
fn clean_output_comes_out_whole_whatever_the_chunks() {
    let scanner = scanner(&["some other secret", "abcd"]);
    let output = "line one\r\nzwei, 三, 🦀\nabcdef xabcd abcde\n".repeat(20);
    for size in [1, 2, 3, 7, 64, 100_000] {
        let chunks: Vec<&[u8]> = output.as_bytes().chunks(size).collect();
        assert_eq!(shown(&scanner, &chunks), (output.replace("\r\n", "\n"), Ok(())), "chunks of {size}");
    }
}

#[test]
fn a_weak_secret_is_found_by_its_boundaries_across_chunks() {
    let scanner = scanner(&["abcd"]);
    for size in 1..12 {
        let held: Vec<&[u8]> = b"pw is abcd; bye".chunks(size).collect();
        assert_eq!(shown(&scanner, &held).1, Err(Withheld), "chunks of {size}");
        let at_the_end: Vec<&[u8]> = b"and so on, abcd".chunks(size).collect();
        assert_eq!(shown(&scanner, &at_the_end).1, Err(Withheld), "chunks of {size}");
    }
}

#[test]
fn without_secrets_nothing_is_held_back() {
    let none = Scanner::empty();
    let mut stream = StreamScanner::new(&none);
    assert_eq!(stream.push(b"at once").unwrap().into_inner(), "at once");
}
