//! Proxies that somebody else made, started as they are told to be.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};

use super::contender::Contender;
use crate::bench::process::Measured;

/// Where proxies serve MCP.
const PATHS: [&str; 2] = ["/mcp", "/"];
/// How often it is tried whether it answers, and how long apart: some take seconds to start.
const TRIES: (u32, Duration) = (150, Duration::from_millis(200));

/// A command to start one; serves MCP on the port that it is given, at one of [`PATHS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    name: String,
    words: Vec<String>,
}

impl Peer {
    /// Reads `NAME=COMMAND`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (name, command) = text.split_once('=').ok_or("write NAME=COMMAND")?;
        let words: Vec<String> = command.split_ascii_whitespace().map(str::to_owned).collect();
        if name.is_empty() || words.is_empty() {
            return Err("write NAME=COMMAND".to_owned());
        }
        if !command.contains("{port}") {
            return Err("the command must say {port}, where it is to listen".to_owned());
        }
        Ok(Self { name: name.to_owned(), words })
    }

    /// Starts it before the server at `url`, or before the same as a program, and waits until it answers.
    pub(super) async fn start(&self, url: &str, folder: &Path) -> anyhow::Result<Contender> {
        let port = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let program = std::env::current_exe().context("find our own binary")?;
        let stdio = format!("{} bench --role stdio-server", program.display());
        let filled = |word: &String| {
            let word = word.replace("{port}", &port.to_string()).replace("{url}", url);
            word.replace("{stdio}", &stdio).replace("{folder}", &folder.display().to_string())
        };
        let words: Vec<String> = self.words.iter().map(filled).collect();
        let log = folder.join(format!("{}.log", self.name));
        let process = Arc::new(Measured::program(&words, &log)?);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut tries = 0;
        for path in PATHS.into_iter().cycle() {
            match Contender::legacy(&self.name, Arc::clone(&process), address, path, None).await {
                Ok(contender) => {
                    let stdio = self.words.iter().any(|word| word.contains("{stdio}"));
                    return Ok(contender.of_others(stdio));
                }
                Err(error) if tries >= TRIES.0 => {
                    let told = std::fs::read_to_string(log).unwrap_or_default();
                    return Err(error.context(format!("`{}` does not answer: {told}", self.name)));
                }
                Err(_) => tries += 1,
            }
            tokio::time::sleep(TRIES.1).await;
        }
        bail!("there is no path to try")
    }
}

#[cfg(test)]
mod tests {
    use super::Peer;

    #[test]
    fn a_peer_is_a_name_and_a_command_with_a_port() {
        let peer = Peer::parse("other=other-proxy --listen {port} --to {url}").unwrap();
        assert_eq!((peer.name.as_str(), peer.words.len()), ("other", 5));
        for wrong in ["other", "=x {port}", "other=", "other=x --port 80"] {
            assert!(Peer::parse(wrong).is_err(), "{wrong}");
        }
    }
}
