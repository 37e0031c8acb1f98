"""FastMCP's own proxy before a server over HTTP: PORT URL."""

import sys

from fastmcp.server import create_proxy

port, url = int(sys.argv[1]), sys.argv[2]
create_proxy(url).run(
    transport="http", host="127.0.0.1", port=port, path="/mcp", show_banner=False, log_level="error", stateless_http=True
)
