use std::time::Duration;

use super::{
    allowed_host, duration, fingerprint, host_address, network, origin, printable, size, socket_mode,
    write_duration, write_size,
};

#[test]
fn durations_and_sizes_are_read_and_written_alike() {
    for (text, millis) in
        [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000), ("1d", 86_400_000)]
    {
        assert_eq!(duration(text).unwrap(), Duration::from_millis(millis));
        assert_eq!(write_duration(Duration::from_millis(millis)), text);
    }
    for (text, bytes) in [("512B", 512), ("128KiB", 131_072), ("1MiB", 1_048_576), ("2GiB", 2_147_483_648)] {
        assert_eq!(size(text).unwrap(), bytes);
        assert_eq!(write_size(bytes), text);
    }
    for wrong in
        ["", "5", "m", "-5m", "5 m", "1.5s", "5M", "1m30s", "18446744073709551615d", "99999999999999999999s"]
    {
        assert!(duration(wrong).is_err(), "{wrong}");
    }
    for wrong in ["", "1", "1MB", "1mib", "KiB", "-1B", "1 KiB", "18446744073709551615GiB"] {
        assert!(size(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn networks_are_networks() {
    for text in ["10.0.0.0/8", "0.0.0.0/0", "::/0", "fd00::/8", "10.0.0.5/32"] {
        assert_eq!(network(text).unwrap().to_string(), text);
    }
    for wrong in
        ["", "10.0.0.0", "10.0.0.1/8", "10.0.0.0/33", "any", "::ffff:10.0.0.0/104", "10/8", " 10.0.0.0/8"]
    {
        assert!(network(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn host_addresses_are_one_host() {
    for text in [
        "10.0.0.11",
        "::1",
        "fd00::1",
        "web1",
        "web1.example.internal",
        "web1.example.",
        "a_b-c",
        "xn--bcher-kva.example",
    ] {
        assert_eq!(host_address(text).unwrap(), text);
    }
    for wrong in [
        "",
        "10.0.0.300",
        "10.0.1",
        "0x7f.1",
        "1.2.3.0x4",
        "web1:22",
        "[::1]",
        "fe80::1%eth0",
        "ssh://web1",
        "root@web1",
        "web 1",
        "-web",
        "web-",
        "a..b",
        "*",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "wéb",
    ] {
        assert!(host_address(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn hosts_and_origins_are_as_headers_say_them() {
    for text in ["mcp.example.internal", "mcp.example.internal:8443", "10.0.0.1", "[::1]", "[::1]:8443"] {
        assert_eq!(allowed_host(text).unwrap(), text);
    }
    assert_eq!(allowed_host("MCP.Example").unwrap(), "mcp.example");
    for wrong in ["", "https://a", "a/b", "*.a", "a:b", "a:99999", "::1", "[::1", "a b"] {
        assert!(allowed_host(wrong).is_err(), "{wrong}");
    }
    assert_eq!(origin("https://Chat.example").unwrap(), "https://chat.example");
    for wrong in ["", "null", "*", "chat.example", "https://", "https://a/", "ftp://a"] {
        assert!(origin(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn modes_and_fingerprints_have_their_forms() {
    assert_eq!(socket_mode("0660").unwrap(), 0o660);
    for wrong in ["", "66", "0o660", "0888", "4660", "00660", "+660"] {
        assert!(socket_mode(wrong).is_err(), "{wrong}");
    }
    assert!(fingerprint(&format!("SHA256:{}", "a".repeat(43))).is_ok());
    for wrong in ["SHA256:short", "MD5:aa:bb", ""] {
        assert!(fingerprint(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_is_shown_has_no_control_characters_and_an_end() {
    assert_eq!(printable("a\nb\u{1b}[0m\u{202e}"), "a\u{fffd}b\u{fffd}[0m\u{fffd}");
    assert_eq!(printable(&"a".repeat(1000)).len(), 303);
}
