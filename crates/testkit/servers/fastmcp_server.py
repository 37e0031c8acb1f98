"""A small server made with the package `fastmcp`: on standard input and output, or with `http PORT` over HTTP, with `sse PORT` as in 2024-11-05."""

import sys

from fastmcp import FastMCP

server = FastMCP("fastmcp-fixture")


@server.tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.resource("note://one")
def note() -> str:
    """A text."""
    return "noted"


@server.resource("shelf://{place}/book")
def book(place: str) -> str:
    """A book."""
    return f"the book at {place}"


@server.prompt
def greet(name: str) -> str:
    """Greets somebody."""
    return f"Hello, {name}!"


if sys.argv[1:2] in (["http"], ["sse"]):
    server.run(transport=sys.argv[1], host="127.0.0.1", port=int(sys.argv[2]), show_banner=False)
else:
    server.run(transport="stdio", show_banner=False)
