"""A manager interface on a real socket that does as a test tells it; keeps every action it was sent."""

import asyncio
import hashlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

Headers = dict[str, str]
Reply = Callable[[Headers], list[str] | None]
"""From an action to the lines of each frame to send back; None for silence."""

BANNER = b"Asterisk Call Manager/9.0.0\r\n"


def frame(*lines: str) -> bytes:
    """One frame as Asterisk writes it."""
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def response(action: Headers, *lines: str, result: str = "Success") -> str:
    """A response to `action`, as one text."""
    return "\r\n".join([f"Response: {result}", f"ActionID: {action['ActionID']}", *lines])


class ScriptedAsterisk:
    """Answers Challenge, Login and Ping by itself, everything else as `replies` says (by default: Success)."""

    def __init__(self, user: str = "offhook", secret: str = "s3cret") -> None:
        self.user = user
        self.secret = secret
        self.actions: list[Headers] = []
        self.logins = 0
        self.connections: list[asyncio.StreamWriter] = []
        self.replies: dict[str, Reply] = {}
        self.port = 0
        self.serving: set[asyncio.Task[None] | None] = set()
        self._changed = asyncio.Event()

    def named(self, verb: str) -> list[Headers]:
        """The actions of one name, over all connections."""
        return [action for action in self.actions if action["Action"] == verb]

    async def wait_until(self, claim: Callable[[], bool]) -> None:
        """Until `claim` holds, looked at after every action and every connection."""
        async with asyncio.timeout(10):
            while not claim():
                self._changed.clear()
                await self._changed.wait()

    def say(self, data: bytes) -> None:
        """Send bytes down the latest connection."""
        self.connections[-1].write(data)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections.append(writer)
        self.serving.add(asyncio.current_task())
        writer.write(BANNER)
        self._changed.set()
        try:
            while text := (await reader.readuntil(b"\r\n\r\n")).decode():
                action = dict(line.split(": ", 1) for line in text.strip("\r\n").split("\r\n"))
                action["text"] = text
                self.actions.append(action)
                for reply in self._reply(action) or []:
                    writer.write(frame(reply))
                self._changed.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _reply(self, action: Headers) -> list[str] | None:
        if action["Action"] in self.replies:
            return self.replies[action["Action"]](action)
        if action["Action"] == "Challenge":
            return [response(action, "Challenge: 123456789")]
        if action["Action"] == "Login":
            return self._log_in(action)
        if action["Action"] == "Ping":
            return [response(action, "Ping: Pong", "Timestamp: 1800000000.000000")]
        return [response(action)]

    def _log_in(self, action: Headers) -> list[str]:
        digest = hashlib.md5(f"123456789{self.secret}".encode(), usedforsecurity=False).hexdigest()
        proof = action.get("Key") == digest if "Key" in action else action.get("Secret") == self.secret
        if action["Username"] != self.user or not proof:
            return [response(action, "Message: Authentication failed", result="Error")]
        self.logins += 1
        return [response(action, "Message: Authentication accepted"), "Event: FullyBooted\r\nStatus: Fully Booted"]


@asynccontextmanager
async def scripted_asterisk(
    place: socket.socket | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ScriptedAsterisk]:
    """A scripted Asterisk listening on `place`, a bound socket, or on a free port of 127.0.0.1."""
    asterisk = ScriptedAsterisk()
    if place is None:
        server = await asyncio.start_server(asterisk.serve, "127.0.0.1", 0, ssl=tls)
    else:
        server = await asyncio.start_server(asterisk.serve, sock=place, ssl=tls)
    asterisk.port = server.sockets[0].getsockname()[1]
    try:
        yield asterisk
    finally:
        server.close()
        for writer in asterisk.connections:
            writer.transport.abort()
        await asyncio.gather(*filter(None, asterisk.serving))
