//! In the place of `mcp-protector`: its file, its commands, its exit codes and its record, and none of its bugs.

mod file;
mod http;
mod stdio;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use testkit::{HttpAnswer, HttpClient, UpstreamServer, free_port};

use crate::environment::patiently;
use crate::site::binary;

/// The file's folder, with the program under its old name.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(file: &str) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        symlink(binary(), place.path("mcp-protector")).unwrap();
        place.write(file);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, file: &str) {
        std::fs::write(self.path("config.toml"), file).unwrap();
    }

    /// The program under its old name, with its file.
    fn command(&self, task: &str) -> Command {
        let mut command = Command::new(self.path("mcp-protector"));
        command.arg(task).arg("--config").arg("config.toml");
        command.current_dir(self.folder.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        // What a killed one leaves goes with the place.
        command.env("TMPDIR", self.folder.path());
        command.env("PORTCULLIS_HIDDEN", "x").env("INHERITED", "yes").env("A_TOKEN", "hunter2hunter2");
        command
    }

    fn run(&self, task: &str) -> Output {
        self.command(task).stdin(Stdio::null()).output().unwrap()
    }

    fn tokio(&self, task: &str) -> tokio::process::Command {
        self.command(task).into()
    }

    /// Starts the proxy over HTTP, with its record and its log in files.
    fn serve(&self, port: u16) -> Proxy<'_> {
        self.serve_with(port, &[])
    }

    /// The same with more arguments.
    fn serve_with(&self, port: u16, more: &[&str]) -> Proxy<'_> {
        let file = |name: &str| std::fs::File::create(self.path(name)).unwrap();
        let mut command = self.command("proxy");
        command.args(more).stdin(Stdio::null()).stdout(file("audit.log")).stderr(file("trace.log"));
        Proxy { place: self, child: command.spawn().unwrap(), port }
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
}

/// A running proxy; killed when dropped.
struct Proxy<'a> {
    place: &'a Place,
    child: Child,
    port: u16,
}

impl Proxy<'_> {
    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn mcp(&self) -> String {
        format!("{}/mcp", self.url())
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> HttpAnswer {
        HttpClient::new(&self.url(), None).send(method, path, headers, body.to_owned()).await.unwrap()
    }

    async fn health(&self) -> Option<(u16, String)> {
        let answer = HttpClient::new(&self.url(), None).send("GET", "/health", &[], "").await.ok()?;
        Some((answer.status, answer.text()))
    }

    /// Waits for this status of `/health`.
    async fn becomes(&mut self, status: u16) {
        for _ in 0..600 {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended with {ended:?}: {}", self.place.read("trace.log"));
            if self.health().await.is_some_and(|(now, _)| now == status) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("`/health` is never {status}: {}", self.place.read("trace.log"));
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
    }

    fn wait(&mut self) -> Option<i32> {
        patiently(|| self.child.try_wait().unwrap()).expect("it ends").code()
    }

    /// The record so far.
    fn record(&self) -> Vec<Value> {
        lines(&self.place.read("audit.log"))
    }

    /// Waits until the record has a line like this.
    fn recorded(&self, like: impl Fn(&Value) -> bool) -> Value {
        let found = patiently(|| self.record().into_iter().find(&like));
        found.unwrap_or_else(|| panic!("not in the record: {:?}", self.record()))
    }
}

impl Drop for Proxy<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of the record in a text: each is version 2, and has what every one has.
fn lines(text: &str) -> Vec<Value> {
    let record: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect();
    for line in &record {
        assert_eq!(line["version"], 2, "{line}");
        let timestamp = line["timestamp"].as_str().unwrap();
        let (_, fraction) = timestamp.split_once('.').unwrap();
        assert!(timestamp.ends_with('Z') && fraction.len() == 4, "milliseconds: {timestamp}");
        assert!(line["session_id"].is_string() && line["upstream"].is_string(), "{line}");
    }
    record
}

fn stdio_upstream() -> String {
    program(&UpstreamServer::ScriptedLegacy.command())
}

fn program(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    format!("[upstream]\nurl = \"stdio\"\ncommand = [{}]\n", words.join(", "))
}

/// What the scripted server lists.
const THEIR_TOOLS: usize = 22;

const LOCAL: &str = "[listen]\ntransport = \"stdio\"\n";

fn allow(tools: &[&str]) -> String {
    format!("[policy]\nallow = {tools:?}\n")
}

/// A port, and the file's part that names it.
fn http(auth: &str) -> (u16, String) {
    let port = free_port();
    (port, format!("[listen]\ntransport = \"http\"\nport = {port}\n{auth}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn in_path(name: &str) -> String {
    let folders = std::env::var("PATH").unwrap();
    let found = folders.split(':').map(|folder| Path::new(folder).join(name)).find(|file| file.is_file());
    found.unwrap().to_string_lossy().into_owned()
}
