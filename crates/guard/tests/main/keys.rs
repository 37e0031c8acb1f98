//! Private keys: any long line of one gives it away, the public half does not.

use crate::scanner;

/// Made for this test with `ssh-keygen -t ed25519`; opens nothing.
const ED25519: &str = include_str!("keys/ed25519");
const ED25519_PUB: &str = include_str!("keys/ed25519.pub");
const RSA: &str = include_str!("keys/rsa2048");
const RSA_PUB: &str = include_str!("keys/rsa2048.pub");
const PKCS8: &str = include_str!("keys/rsa2048.pkcs8");

fn secret_lines(key: &str) -> Vec<&str> {
    key.lines().filter(|line| !line.starts_with("--") && line.len() >= 32).collect()
}

#[test]
fn a_private_key_is_found_whole_joined_and_by_its_lines() {
    for key in [ED25519, RSA, PKCS8] {
        let scanner = scanner(&[key]);
        assert!(scanner.finds(key.as_bytes()));
        assert!(scanner.finds(key.replace('\n', "\r\n").as_bytes()), "with DOS line ends");
        assert!(scanner.finds(key.replace('\n', "\\n").as_bytes()), "inside JSON");
        let body: String = key.lines().filter(|line| !line.starts_with("--")).collect();
        assert!(scanner.finds(body.as_bytes()), "without line breaks");
        let rewrapped: Vec<String> =
            body.as_bytes().chunks(50).map(|c| String::from_utf8_lossy(c).into()).collect();
        assert!(scanner.finds(rewrapped.join("\n").as_bytes()), "with other line breaks");
        let last = secret_lines(key).pop().unwrap();
        assert!(scanner.finds(last.as_bytes()), "the last long line alone");
    }
}

#[test]
fn every_line_of_a_pkcs8_key_is_found_alone_and_encoded() {
    use base64::Engine as _;
    let scanner = scanner(&[PKCS8]);
    for line in secret_lines(PKCS8) {
        assert!(scanner.finds(line.as_bytes()), "{line}");
        let again = base64::engine::general_purpose::STANDARD.encode(format!("xx{line}\n"));
        assert!(scanner.finds(again.as_bytes()), "base64 of {line}");
        assert!(scanner.finds(hex::encode(line).as_bytes()), "hex of {line}");
    }
}

#[test]
fn the_public_half_of_a_key_is_no_secret() {
    assert!(!scanner(&[ED25519]).finds(ED25519_PUB.as_bytes()));
    assert!(!scanner(&[RSA]).finds(RSA_PUB.as_bytes()));
    let other_header = ED25519.lines().take(2).collect::<Vec<_>>().join("\n");
    assert!(!scanner(&[ED25519]).finds(other_header.as_bytes()), "what all keys of a kind begin with");
}

#[test]
fn a_key_on_one_line_is_found_in_its_middle() {
    let body: String = PKCS8.lines().filter(|line| !line.starts_with("--")).collect();
    let one_line = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    let scanner = scanner(&[&one_line]);
    assert!(scanner.finds(&body.as_bytes()[600..800]));
    assert!(!scanner.finds(b"-----BEGIN PRIVATE KEY-----\n"));
}

#[test]
fn a_key_inside_json_is_found_by_its_lines() {
    let account =
        format!("{{\"type\":\"service_account\",\"private_key\":\"{}\"}}", PKCS8.replace('\n', "\\n"));
    let scanner = scanner(&[&account]);
    assert!(scanner.finds(secret_lines(PKCS8)[3].as_bytes()));
    assert!(!scanner.finds(b"{\"type\":\"service_account\"}"));
}
