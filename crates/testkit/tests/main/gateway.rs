//! The harness for the gateway's binary, with a stand-in for it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use testkit::{Portcullis, free_port};

/// Healthy at its third probe; notes a hang-up; ends with status 7 when told to.
const STAND_IN: &str = r#"#!/usr/bin/env python3
import http.server, re, signal, sys
print(*sys.argv[1:], flush=True)
if sys.argv[-1] != "serve":
    sys.exit(3)
probes = 0

class Health(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        global probes
        probes += 1
        self.send_response(200 if probes > 2 else 503)
        self.send_header("content-length", "0")
        self.end_headers()

signal.signal(signal.SIGHUP, lambda *_: print("reloading", flush=True))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
port = int(re.search(r"127\.0\.0\.1:(\d+)", open(sys.argv[2]).read())[1])
http.server.HTTPServer(("127.0.0.1", port), Health).serve_forever()
"#;

fn stand_in(folder: &tempfile::TempDir) -> (PathBuf, PathBuf) {
    let (binary, config) = (folder.path().join("portcullis"), folder.path().join("portcullis.toml"));
    std::fs::write(&binary, STAND_IN).unwrap();
    std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(&config, format!("[listen]\nhttp = \"127.0.0.1:{}\"\n", free_port())).unwrap();
    (binary, config)
}

#[test]
fn a_gateway_is_waited_for_told_and_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (binary, config) = stand_in(&folder);
    let gateway = Portcullis::serve(&binary, &config, &["-v"]);
    assert!(gateway.log().contains(&format!("--config {} -v serve", config.display())), "{}", gateway.log());
    assert!(gateway.mcp().ends_with("/mcp") && gateway.url().starts_with("http://127.0.0.1:"));
    assert!(gateway.memory() > 1000);
    assert_eq!(gateway.cli(&["check"]).status.code(), Some(3));
    gateway.hang_up();
    testkit::wait_until("it reloads", std::time::Duration::from_secs(5), || {
        gateway.log().contains("reloading")
    });
    assert_eq!(gateway.terminate().code(), Some(7));
    // The same port again, after a crash and after a drop.
    let crashed = Portcullis::serve(&binary, &config, &[]);
    let pid = crashed.pid();
    crashed.kill();
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    let dropped = Portcullis::serve(&binary, &config, &[]);
    let pid = dropped.pid();
    drop(dropped);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
#[should_panic(expected = "the gateway ended with exit status: 1")]
fn a_gateway_that_does_not_start_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (binary, config) = stand_in(&folder);
    std::fs::write(&binary, "#!/bin/sh\nexit 1\n").unwrap();
    let _ = Portcullis::serve(&binary, &config, &[]);
}
