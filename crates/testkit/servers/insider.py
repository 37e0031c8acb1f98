"""An MCP server that tries what an upstream must not be able to do, and tells what came of each attempt.

Its one tool, `try`, takes `ours` (files and folders of the gateway), `sockets`, `gateway` (its process id), and `outside`
(a folder of nobody's concern). Every attempt is told as "done" or as the name of the error.
"""

import ctypes
import errno
import json
import os
import resource
import signal
import socket
import subprocess
import sys


def attempt(act):
    try:
        act()
        return "done"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))


def read(path):
    if os.path.isdir(path):
        os.listdir(path)
    else:
        with open(path, "rb") as file:
            file.read(1)


def write(path):
    if os.path.isdir(path):
        with open(os.path.join(path, "planted"), "w"):
            pass
    else:
        with open(path, "ab"):
            pass


def replace(path):
    os.rename(path, path + ".moved")
    os.rename(path + ".moved", path)


def connect(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def trace(pid):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, pid, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def limit(pid):
    resource.prlimit(pid, resource.RLIMIT_NOFILE, resource.prlimit(pid, resource.RLIMIT_NOFILE))


def status():
    with open("/proc/self/status") as lines:
        return dict(line.rstrip("\n").split(":\t", 1) for line in lines if ":\t" in line)


def escalate():
    os.setuid(0)
    with open("/proc/self/status") as lines:
        if "CapEff:\t0000000000000000" in lines.read():
            raise OSError(errno.EPERM, "root without capabilities")


def tried(arguments):
    pid, own = arguments["gateway"], os.environ.get("HOME", "/nonexistent")
    about = status()
    mine = os.path.join(own, "mine")
    inherited = sorted(int(fd) for fd in os.listdir("/proc/self/fd"))
    return {
        "process": os.getpid(),
        "environment": dict(os.environ),
        # The last one is the list's own.
        "descriptors": inherited[:-1],
        "status": {key: about.get(key, "") for key in ("Uid", "Gid", "Groups", "NoNewPrivs", "CapEff", "CapPrm", "CapInh", "CapAmb")},
        "session": os.getsid(0) == os.getpid(),
        "folder": os.getcwd(),
        "core": resource.getrlimit(resource.RLIMIT_CORE)[1],
        "argv": open("/proc/self/cmdline").read().split("\0")[:-1],
        "ours": {
            path: {
                "read": attempt(lambda: read(path)),
                "write": attempt(lambda: write(path)),
                "truncate": attempt(lambda: os.truncate(path, os.path.getsize(path))),
                "chmod": attempt(lambda: os.chmod(path, 0o666)),
                "replace": attempt(lambda: replace(path)),
            }
            for path in arguments["ours"]
        },
        "sockets": {path: attempt(lambda: connect(path)) for path in arguments["sockets"]},
        "gateway": {
            "environ": attempt(lambda: read(f"/proc/{pid}/environ")),
            "memory": attempt(lambda: open(f"/proc/{pid}/mem", "rb").close()),
            "files": attempt(lambda: os.readlink(f"/proc/{pid}/fd/0")),
            "root": attempt(lambda: read(f"/proc/{pid}/root/etc/passwd")),
            "trace": attempt(lambda: trace(pid)),
            "signal": attempt(lambda: os.kill(pid, signal.SIGCONT)),
            "limits": attempt(lambda: limit(pid)),
        },
        "outside": {"read": attempt(lambda: read(arguments["outside"])), "write": attempt(lambda: write(arguments["outside"]))},
        "needed": {
            "home": attempt(lambda: write(own)),
            "mine": attempt(lambda: (open(mine, "w").close(), os.remove(mine))),
            "programs": attempt(lambda: subprocess.run(["/bin/true"], check=True)),
            "names": attempt(lambda: socket.getaddrinfo("localhost", 80)),
            "network": attempt(lambda: socket.create_connection(("127.0.0.1", arguments["port"])).close()),
            "random": attempt(lambda: open("/dev/urandom", "rb").read(1)),
            "null": attempt(lambda: open("/dev/null", "w").close()),
        },
        "escalate": attempt(escalate),
    }


def answer(id, result):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": id, "result": result}) + "\n")
    sys.stdout.flush()


for line in sys.stdin:
    message = json.loads(line)
    method, id = message.get("method"), message.get("id")
    if method == "initialize":
        answer(id, {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "insider", "version": "1"}})
    elif method == "tools/list":
        answer(id, {"tools": [{"name": "try", "description": "Tries.", "inputSchema": {"type": "object"}}]})
    elif method == "tools/call":
        text = json.dumps(tried(message["params"]["arguments"]), sort_keys=True)
        answer(id, {"content": [{"type": "text", "text": text}]})
    elif id is not None:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no such method"}}) + "\n")
        sys.stdout.flush()

while os.environ.get("STAYS"):
    # One that does not care that nobody speaks to it any more.
    signal.pause()
