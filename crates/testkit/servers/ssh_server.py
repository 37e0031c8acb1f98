"""An SSH server that logs people in as it is told to: the third implementation beside OpenSSH and dropbear.

One argument, an object: `host_key`, `user`, `password`, `methods`, and if wanted `keys` (a file of public keys), `authority` (a
public key), `rounds` (what keyboard-interactive asks: a list of rounds, each a list of [prompt, echo]), `open` (nobody has to
prove anything), `change` (a right password must be changed), `signs_with` (an algorithm, whatever was agreed on), `sticks` (the
number of a session channel, counted over all connections, and what never comes of it: its `open`ing, the `reply` to its command,
the command's `end`, or its `close`), `software` (what it calls itself). Writes what happens, one line each.
"""

import asyncio
import itertools
import json
import sys

import asyncssh


def say(*words):
    print(*words, flush=True)


class Doorkeeper(asyncssh.SSHServer):
    def __init__(self, orders):
        self.orders = orders
        self.right = False
        self.rounds = []

    def connection_made(self, conn):
        say("connection")

    def begin_auth(self, username):
        say("begin", username)
        return not self.orders.get("open", False)

    def password_auth_supported(self):
        return "password" in self.orders["methods"]

    def kbdint_auth_supported(self):
        return "keyboard-interactive" in self.orders["methods"]

    def public_key_auth_supported(self):
        return "publickey" in self.orders["methods"]

    def validate_password(self, username, password):
        right = (username, password) == (self.orders["user"], self.orders["password"])
        say("password", "right" if right else "wrong")
        if right and self.orders.get("change"):
            raise asyncssh.PasswordChangeRequired("it has expired")
        return right

    def get_kbdint_challenge(self, username, lang, submethods):
        self.right = True
        self.rounds = [list(map(tuple, asked)) for asked in self.orders["rounds"]]
        return self.next_round()

    def next_round(self):
        return ("", "", "", self.rounds.pop(0))

    def validate_kbdint_response(self, username, responses):
        self.right = self.right and all(answer == self.orders["password"] for answer in responses)
        say("answers", len(responses), "right" if self.right else "wrong")
        return self.next_round() if self.rounds else self.right

    def validate_public_key(self, username, key):
        known = key.get_fingerprint() in self.orders["known"]
        say("key", key.get_fingerprint(), "known" if known else "unknown")
        return known and username == self.orders["user"]

    def validate_ca_key(self, username, key):
        known = key.get_fingerprint() == self.orders.get("known_authority")
        say("authority", key.get_fingerprint(), "known" if known else "unknown")
        return known


async def serve(process):
    if getattr(process.channel, "hangs", False):
        await asyncio.Event().wait()
    running = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", process.command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await running.communicate()
    process.stdout.write(output)
    process.exit(running.returncode)


def sign_with(algorithm):
    def sign(pair, data):
        say("agreed", pair.sig_algorithm.decode(), "signs with", algorithm)
        return pair._key.sign(data, algorithm.encode())

    asyncssh.public_key.SSHLocalKeyPair.sign = sign


def stick(at, what):
    """One channel never gets any further; all others do as ever."""
    channel = asyncssh.channel.SSHServerChannel
    finish_open, run, close = channel._finish_open_request, channel._process_exec_request, channel._close_send
    numbers = itertools.count(1)

    def sticks(self, *whats):
        if self.number != at or what not in whats:
            return False
        say("sticks", what)
        return True

    async def open_or_not(self, session):
        self.number = next(numbers)
        if sticks(self, "open"):
            await asyncio.Event().wait()
        await finish_open(self, session)

    def run_or_not(self, packet):
        if sticks(self, "reply"):
            return None  # The reply to be given later.
        self.hangs = sticks(self, "end")
        return run(self, packet)

    def close_or_not(self):
        if not sticks(self, "end", "close"):
            close(self)

    channel._finish_open_request = open_or_not
    channel._process_exec_request = run_or_not
    channel._close_send = close_or_not


async def main():
    orders = json.loads(sys.argv[1])
    if "signs_with" in orders:
        sign_with(orders["signs_with"])
    if "sticks" in orders:
        stick(*orders["sticks"])
    keys = asyncssh.read_public_key_list(orders["keys"]) if "keys" in orders else []
    orders["known"] = [key.get_fingerprint() for key in keys]
    if "authority" in orders:
        orders["known_authority"] = asyncssh.read_public_key(orders["authority"]).get_fingerprint()
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=lambda: Doorkeeper(orders),
        server_host_keys=[orders["host_key"]],
        process_factory=serve,
        encoding=None,
        server_version=orders.get("software", ()),
    )
    say("listening", server.get_port())
    await server.wait_closed()


asyncio.run(main())
