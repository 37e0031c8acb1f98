//! One table: a canary, written down by other programs' rules by hand, must be found in every form.

use crate::scanner;

/// Has every character that some encoder changes.
const CANARY: &str = "Ka na'r\"y\\/<&>+%$`!é=?~*";

fn found(form: &str, output: impl AsRef<[u8]>) {
    let scanner = scanner(&[CANARY]);
    let output = output.as_ref();
    assert!(scanner.finds(output), "{form}: {}", String::from_utf8_lossy(output));
    let mut among = b"some text before; ".to_vec();
    among.extend_from_slice(output);
    among.extend_from_slice(b" and after\n");
    assert!(scanner.finds(&among), "{form}, among other text");
}

#[test]
fn the_canary_is_found_in_every_named_form() {
    for (form, output) in [
        ("plain", CANARY),
        // printf %s "$CANARY" | base64
        ("base64", "S2EgbmEnciJ5XC88Jj4rJSRgIcOpPT9+Kg=="),
        // the same after one and after two other bytes
        ("base64, second alignment", "eEthIG5hJ3IieVwvPCY+KyUkYCHDqT0/fio="),
        ("base64, third alignment", "eHhLYSBuYSdyInlcLzwmPislJGAhw6k9P34q"),
        ("base64 for URLs, without padding", "S2EgbmEnciJ5XC88Jj4rJSRgIcOpPT9-Kg"),
        ("base64 for URLs, second alignment", "eEthIG5hJ3IieVwvPCY-KyUkYCHDqT0_fio"),
        ("base64 with a newline inside", "S2EgbmEnciJ5XC88Jj4rJSRgIcOpPT9+Kgo="),
        ("base64 in lines", "S2EgbmEnciJ5\nXC88Jj4rJSRg\r\nIcOpPT9+Kg=="),
        ("hex", "4b61206e6127722279 5c2f3c263e2b25246021c3a93d3f7e2a"),
        ("hex, upper case", "4B61206E61277222795C2F3C263E2B25246021C3A93D3F7E2A"),
        ("hex in groups", "4b 61 20 6e 61 27 72 22 79 5c 2f 3c 26 3e 2b 25 24 60 21 c3 a9 3d 3f 7e 2a"),
        ("hex with colons", "4b:61:20:6e:61:27:72:22:79:5c:2f:3c:26:3e:2b:25:24:60:21:c3:a9:3d:3f:7e:2a"),
        ("URL, RFC 3986", "Ka%20na%27r%22y%5C%2F%3C%26%3E%2B%25%24%60%21%C3%A9%3D%3F~%2A"),
        ("URL, lower case", "Ka%20na%27r%22y%5c%2f%3c%26%3e%2b%25%24%60%21%c3%a9%3d%3f~%2a"),
        ("URL form", "Ka+na%27r%22y%5C%2F%3C%26%3E%2B%25%24%60%21%C3%A9%3D%3F%7E*"),
        ("encodeURIComponent", "Ka%20na'r%22y%5C%2F%3C%26%3E%2B%25%24%60!%C3%A9%3D%3F~*"),
        ("encodeURI", "Ka%20na'r%22y%5C/%3C&%3E+%25$%60!%C3%A9=?~*"),
        ("Python quote", "Ka%20na%27r%22y%5C/%3C%26%3E%2B%25%24%60%21%C3%A9%3D%3F~%2A"),
        ("URL, every byte", "%4b%61%20%6e%61%27%72%22%79%5c%2f%3c%26%3e%2b%25%24%60%21%c3%a9%3d%3f%7e%2a"),
        ("HTML text", "Ka na'r\"y\\/&lt;&amp;&gt;+%$`!é=?~*"),
        ("HTML attribute", "Ka na&#39;r&quot;y\\/&lt;&amp;&gt;+%$`!é=?~*"),
        ("HTML, Python", "Ka na&#x27;r&quot;y\\/&lt;&amp;&gt;+%$`!é=?~*"),
        ("HTML, Go", "Ka na&#39;r&#34;y\\/&lt;&amp;&gt;&#43;%$`!é=?~*"),
        ("HTML, XML names", "Ka na&apos;r&quot;y\\/&lt;&amp;&gt;+%$`!é=?~*"),
        ("JSON", "Ka na'r\\\"y\\\\/<&>+%$`!é=?~*"),
        ("JSON, escaped slash", "Ka na'r\\\"y\\\\\\/<&>+%$`!é=?~*"),
        ("JSON, Python", "Ka na'r\\\"y\\\\/<&>+%$`!\\u00e9=?~*"),
        ("JSON, PHP", "Ka na'r\\\"y\\\\\\/<&>+%$`!\\u00e9=?~*"),
        ("JSON, Go", "Ka na'r\\\"y\\\\/\\u003c\\u0026\\u003e+%$`!é=?~*"),
        ("JSON, .NET", "Ka na\\u0027r\\u0022y\\\\/\\u003C\\u0026\\u003E\\u002B%$\\u0060!\\u00E9=?~*"),
        ("JSON in JSON", "Ka na'r\\\\\\\"y\\\\\\\\/<&>+%$`!é=?~*"),
        ("shell, single quotes", "'Ka na'\\''r\"y\\/<&>+%$`!é=?~*'"),
        ("shell, shlex", "'Ka na'\"'\"'r\"y\\/<&>+%$`!é=?~*'"),
        ("shell, double quotes", "\"Ka na'r\\\"y\\\\/<&>+%\\$\\`!é=?~*\""),
        ("shell, printf %q", "Ka\\ na\\'r\\\"y\\\\/\\<\\&\\>+%\\$\\`\\!é=\\?\\~\\*"),
        ("shell, $'..'", "$'Ka na\\'r\"y\\\\/<&>+%$`!é=?~*'"),
        ("shell, $'..' with octal", "$'Ka na\\'r\"y\\\\/<&>+%$`!\\303\\251=?~*'"),
        ("SQL", "'Ka na''r\"y\\/<&>+%$`!é=?~*'"),
        ("CSV", "\"Ka na'r\"\"y\\/<&>+%$`!é=?~*\""),
        ("painted by grep", "Ka na\u{1b}[01;31m\u{1b}[K'r\"y\u{1b}[m\u{1b}[K\\/<&>+%$`!é=?~*"),
        ("with zero-width characters", "Ka na'\u{200b}r\"y\\/<&>\u{2060}+%$`!é=?~*"),
        ("base64 behind half an escape", "\u{1b}[S2EgbmEnciJ5XC88Jj4rJSRgIcOpPT9+Kg=="),
        ("folded", "Ka na'r\"y\\/\n<&>+%$`!é=?~*"),
    ] {
        found(form, output);
    }
}

#[test]
fn the_canary_is_found_in_the_encodings_of_other_systems() {
    let utf16: Vec<u8> = CANARY.encode_utf16().flat_map(u16::to_le_bytes).collect();
    found("UTF-16", utf16);
    // the first characters of what powershell -EncodedCommand would take, in full
    found("base64 of UTF-16", "SwBhACAAbgBhACcAcgAiAHkAXAAvADwAJgA+ACsAJQAkAGAAIQDpAD0APwB+ACoA");
    found("Latin-1", b"Ka na'r\"y\\/<&>+%$`!\xe9=?~*");
    let octal: String = CANARY.bytes().map(|b| format!("\\{b:03o}")).collect();
    found("every byte in octal", octal);
    let hexadecimal: String = CANARY.bytes().map(|b| format!("\\x{b:02x}")).collect();
    found("every byte as \\x", hexadecimal);
}

#[test]
fn line_ends_around_a_secret_do_not_hide_it() {
    for secret in ["hunter2-hunter2\n", "hunter2-hunter2\r\n", "hunter2-hunter2"] {
        assert!(scanner(&[secret]).finds(b"x=hunter2-hunter2;"));
        assert!(scanner(&[secret]).finds(b"aHVudGVyMi1odW50ZXIyCg=="));
    }
    let two_lines = scanner(&["first line\nsecond line"]);
    assert!(two_lines.finds(b"first line\r\nsecond line\r\n"));
    assert!(two_lines.finds(b"{\"k\":\"first line\\nsecond line\"}"));
    assert!(!two_lines.finds(b"first line\nanother line"));
}

#[test]
fn a_weak_secret_is_looked_for_as_a_word_and_counted() {
    let weak = scanner(&["abcd"]);
    assert_eq!(weak.weak(), 1);
    for held in ["abcd", "x abcd\n", "pw=abcd;", "\"abcd\"", "YWJjZA==", "YWJjZAo=", "61626364"] {
        assert!(weak.finds(held.as_bytes()), "{held}");
    }
    for clean in ["abcde", "xabcd", "abcd_1", "éabcd", "abc d"] {
        assert!(!weak.finds(clean.as_bytes()), "{clean}");
    }
    let tiny = scanner(&["ab", "", "\n"]);
    assert_eq!(tiny.weak(), 1, "an empty secret is none");
    assert!(tiny.finds(b"x\nab\ny") && tiny.finds(b"ab") && tiny.finds(b"ab\r\n"));
    assert!(!tiny.finds(b"grab it") && !tiny.finds(b"ab cd"));
    assert_eq!(scanner(&["abcdef"]).weak(), 0);
}

#[test]
fn without_secrets_nothing_is_found() {
    let none = guard::Scanner::empty();
    assert!(!none.finds(b"") && !none.finds(b"anything"));
    assert!(!scanner(&[""]).finds(b"anything") && !scanner(&["\n"]).finds(b"\n"));
}
