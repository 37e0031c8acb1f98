"""Lists tools and calls one, with the `mcp` package.

usage: python_client.py [--key KEY] [--call TOOL ARGUMENTS] http URL
       python_client.py [--call TOOL ARGUMENTS] stdio COMMAND...

Prints one line of JSON: version, tools, answer. Exit status 4: the server answered 401.
"""

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client


async def main(words):
    key = call = None
    while words[0].startswith("--"):
        option = words.pop(0)
        if option == "--key":
            key = words.pop(0)
        elif option == "--call":
            call = (words.pop(0), json.loads(words.pop(0)))
        else:
            sys.exit(f"no option `{option}`")
    kind, *rest = words
    seen = []

    async def note(response):
        seen.append(response.status_code)

    try:
        async with AsyncExitStack() as stack:
            if kind == "http":
                headers = {"X-API-Key": key} if key else {}
                http = await stack.enter_async_context(
                    httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False, event_hooks={"response": [note]})
                )
                server = streamable_http_client(rest[0], http_client=http)
            else:
                server = StdioServerParameters(command=rest[0], args=rest[1:], env=dict(os.environ))
            client = await stack.enter_async_context(Client(server, read_timeout_seconds=30))
            said = {"version": client.protocol_version, "tools": [tool.name for tool in (await client.list_tools()).tools]}
            if call:
                answer = await client.call_tool(*call)
                said["answer"] = answer.model_dump(mode="json", by_alias=True, exclude_none=True)
            print(json.dumps(said), flush=True)
    except BaseException:
        if 401 in seen:
            print("401", file=sys.stderr)
            sys.exit(4)
        raise


asyncio.run(main(sys.argv[1:]))
