//! The gateway's own binary as a child process.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::time::Duration;

use rustix::process::Signal;

use crate::daemon::Daemon;
use crate::machine::comes_true;

/// A running `portcullis serve`; killed when dropped.
pub struct Portcullis {
    daemon: Daemon,
    binary: PathBuf,
    config: PathBuf,
    address: SocketAddr,
    tls: bool,
}

impl Portcullis {
    /// The binary that was built beside the running test. A test of the application itself has
    /// `env!("CARGO_BIN_EXE_portcullis")`, which cargo also keeps up to date.
    pub fn binary() -> PathBuf {
        let test = std::env::current_exe().expect("a running test knows its own file");
        let binary = test.ancestors().nth(2).expect("tests are in TARGET/PROFILE/deps").join("portcullis");
        assert!(
            binary.exists(),
            "`{}` is not built: run `cargo build` or `cargo xtask test`",
            binary.display()
        );
        binary
    }

    /// Starts `serve` with this configuration file and waits until `/health` answers 200. `more` comes before `serve`.
    /// With port 0 in `[listen] http` the system chooses one, which is read from the log.
    pub fn serve(binary: &Path, config: &Path, more: &[&str]) -> Self {
        Self::serve_with_env(binary, config, more, &[])
    }

    /// The same with more variables in its environment.
    pub fn serve_with_env(binary: &Path, config: &Path, more: &[&str], variables: &[(&str, &OsStr)]) -> Self {
        let (address, tls) = listen(config);
        let mut command = Command::new(binary);
        command.arg("--config").arg(config).args(more).arg("serve").env_remove("PORTCULLIS_CONFIG");
        command.envs(variables.iter().copied());
        let log = config.with_extension("serve.log");
        let _ = std::fs::remove_file(&log);
        let daemon = Daemon::spawn(&mut command, &log);
        let mut gateway = Self { daemon, binary: binary.to_owned(), config: config.to_owned(), address, tls };
        let healthy = comes_true(Duration::from_secs(30), || {
            let ended = gateway.daemon.ended();
            assert!(ended.is_none(), "the gateway ended with {}: {}", ended.unwrap(), gateway.daemon.log());
            if gateway.address.port() == 0 {
                let Some(chosen) = gateway.logged_address("serving MCP over HTTP") else { return false };
                gateway.address = chosen;
            }
            gateway.is_healthy()
        });
        assert!(healthy, "the gateway did not become healthy in 30 s: {}", gateway.daemon.log());
        gateway
    }

    /// `http://127.0.0.1:PORT`, or `https://` when the configuration has `[listen.tls]`.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.address)
    }

    /// The address of the endpoint for everything.
    pub fn mcp(&self) -> String {
        format!("{}/mcp", self.url())
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// What it wrote to standard output and error so far.
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// Memory in use, in KiB (`VmRSS`).
    pub fn memory(&self) -> u64 {
        self.kibibytes("VmRSS:")
    }

    /// The most memory that it ever had in use, in KiB (`VmHWM`).
    pub fn most_memory(&self) -> u64 {
        self.kibibytes("VmHWM:")
    }

    fn kibibytes(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a process has memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number of kB")
    }

    /// Runs another verb with the same configuration, to its end.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.binary);
        command.arg("--config").arg(&self.config).args(arguments).env_remove("PORTCULLIS_CONFIG");
        command.output().expect("the binary starts")
    }

    /// The command line `portcullis --config FILE stdio ...`, for [`crate::McpStdio`].
    pub fn stdio(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.binary);
        command
            .arg("--config")
            .arg(&self.config)
            .arg("stdio")
            .args(arguments)
            .env_remove("PORTCULLIS_CONFIG");
        command
    }

    /// Asks it to read its files again (SIGHUP).
    pub fn hang_up(&self) {
        self.daemon.signal(Signal::HUP);
    }

    /// Asks it to end (SIGTERM) and waits for it.
    pub fn terminate(mut self) -> ExitStatus {
        self.daemon.signal(Signal::TERM);
        self.daemon.wait()
    }

    /// Waits for its end, which somebody else brought about.
    pub fn wait(mut self) -> ExitStatus {
        self.daemon.wait()
    }

    /// Ends it as a crash would (SIGKILL), wherever it is.
    pub fn kill(mut self) {
        self.daemon.kill();
    }

    /// The address of the listener for `/metrics`, if there is one.
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.logged_address("serving metrics")
    }

    /// The address in the first log line that says this.
    fn logged_address(&self, said: &str) -> Option<SocketAddr> {
        let log = self.log();
        let line = log.lines().find(|line| line.contains(said))?;
        let mut words = line.split(|c: char| !(c.is_ascii_hexdigit() || ".:[]".contains(c)));
        words.find_map(|word| word.parse().ok())
    }

    fn is_healthy(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address) else { return false };
        if self.tls {
            return true;
        }
        let mut start = [0; 12];
        stream.set_read_timeout(Some(Duration::from_secs(1))).is_ok()
            && stream
                .write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .is_ok()
            && stream.read_exact(&mut start).is_ok()
            && start == *b"HTTP/1.1 200"
    }
}

fn listen(config: &Path) -> (SocketAddr, bool) {
    let text =
        std::fs::read_to_string(config).unwrap_or_else(|error| panic!("{}: {error}", config.display()));
    let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{}: {error}", config.display()));
    let listen = table.get("listen").and_then(toml::Value::as_table);
    let http = listen.and_then(|listen| listen.get("http")).and_then(toml::Value::as_str);
    let address =
        http.and_then(|http| http.parse().ok()).expect("the test's configuration has [listen] http");
    (address, listen.is_some_and(|listen| listen.contains_key("tls")))
}
