//! One hermetic folder with a configuration, and the binary run in it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// The binary, away from the caller's own configuration and terminal.
pub(crate) fn portcullis(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.current_dir(folder).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.stdin(Stdio::null());
    command
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("not JSON ({error}): {self:?}"))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("output is text");
        Self { exit: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// A folder as `init` writes it, with the HTTP listener on a port of the system's choice.
pub(crate) struct Installed {
    folder: TempDir,
    key: String,
}

impl Installed {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ran = run(folder.path(), &["init", "--json"]);
        assert_eq!(ran.exit, 0, "{ran:?}");
        let key = ran.json()["key"].as_str().unwrap().to_owned();
        let installed = Self { folder, key };
        installed.edit("portcullis.toml", "127.0.0.1:8443", "127.0.0.1:0");
        installed
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The API key that `init` showed, of the principal `agent`.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "`{from}` is not in {name}");
        self.write(name, &text.replace(from, to));
    }

    pub(crate) fn append(&self, name: &str, more: &str) {
        let text = self.read(name);
        self.write(name, &format!("{text}\n{more}\n"));
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        run(self.folder.path(), arguments)
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Ran {
        let mut child = portcullis(self.folder.path())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap().into()
    }

    /// Starts the gateway and waits until it answers.
    pub(crate) fn serve(&self) -> Serving<'_> {
        let log = std::fs::File::create(self.path("serve.log")).unwrap();
        let child =
            portcullis(self.folder.path()).arg("serve").stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut serving = Serving { installed: self, child };
        patiently(|| {
            assert!(serving.child.try_wait().unwrap().is_none(), "it ended: {}", self.read("serve.log"));
            (self.run(&["health"]).exit == 0).then_some(())
        })
        .unwrap_or_else(|| panic!("it does not answer: {}", self.read("serve.log")));
        serving
    }
}

/// A running gateway, killed if the test does not end it.
pub(crate) struct Serving<'a> {
    installed: &'a Installed,
    child: Child,
}

impl Serving<'_> {
    pub(crate) fn signal(&self, signal: &str) {
        let killed = Command::new("kill")
            .args([&format!("-{signal}"), &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
    }

    pub(crate) fn is_running(&self) -> bool {
        let state = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        !state.is_empty() && !state.contains(") Z ")
    }

    pub(crate) fn wait(mut self) -> i32 {
        let status = patiently(|| self.child.try_wait().unwrap())
            .unwrap_or_else(|| panic!("it does not end: {}", self.installed.read("serve.log")));
        status.code().unwrap_or(-1)
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Ran {
    portcullis(folder).args(arguments).output().unwrap().into()
}

/// Asks again and again for half a minute.
pub(crate) fn patiently<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    (0..600).find_map(|_| {
        let answer = ask();
        if answer.is_none() {
            std::thread::sleep(Duration::from_millis(50));
        }
        answer
    })
}
