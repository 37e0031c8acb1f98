"""A small server made with the `mcp` package, against which the test kit's own clients are tested.

usage: reference_server.py stdio
       reference_server.py http PORT KEY
"""

import sys

from mcp.server import MCPServer

server = MCPServer("reference")


@server.tool()
def whoami() -> dict[str, str]:
    """Says who is asking."""
    return {"principal": "everybody"}


@server.tool()
def echo(text: str) -> str:
    """Says it again."""
    return text


def keyed(app, key):
    async def checked(scope, receive, send):
        if scope["type"] != "http" or (b"x-api-key", key.encode()) in scope["headers"]:
            return await app(scope, receive, send)
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": b'{"error":"unauthorized"}'})

    return checked


match sys.argv[1:]:
    case ["stdio"]:
        server.run("stdio")
    case ["http", port, key]:
        import uvicorn

        uvicorn.run(keyed(server.streamable_http_app(), key), host="127.0.0.1", port=int(port), log_level="warning")
    case _:
        sys.exit(__doc__)
