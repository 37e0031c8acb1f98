#!/bin/sh
# The crate mcp-proxy before a server over HTTP: BINARY PORT URL FOLDER. It takes a file only.
set -eu
cat > "$4/mcp-proxy.toml" <<TOML
[proxy]
name = "bench"
separator = "/"
[proxy.listen]
host = "127.0.0.1"
port = $2
[[backends]]
name = "bench"
transport = "http"
url = "$3"
TOML
exec "$1" --config "$4/mcp-proxy.toml"
