"""A small server made with the package `fastmcp`, on standard input and output."""

from fastmcp import FastMCP

server = FastMCP("fastmcp-fixture")


@server.tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


server.run(transport="stdio", show_banner=False)
