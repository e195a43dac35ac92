"""Consoles by the thousand in one process: they connect, say hello, and note when which call's pop came to their socket.

`python -m bench.consoles`. Three kinds of server: ours, the obvious build (a plain WebSocket) and a raw one that is told a
number and sends framed text. What counts is the moment the bytes are read; nothing is decoded but the call's name.
"""

import asyncio
import base64
import os
import re
import time
from typing import Any

import uvloop

from bench.loops import heard
from bench.worker import say

_CALL = re.compile(rb'"call":"([^"]+)"')
_OFFERED = re.compile(rb'"offer":"([^"]+)","version":(\d+),"phase":"offered"')
_HELLO = b'{"type":"hello","client":"browser","epoch":null,"seq":0}'
_AT_ONCE = 50


def masked_text(text: bytes) -> bytes:
    """A whole text frame as a client sends it, masked with zeros. At most 64 KiB."""
    length = len(text)
    size = bytes([0x80 | length]) if length < 126 else b"\xfe" + length.to_bytes(2)
    return b"\x81" + size + b"\0\0\0\0" + text


class Console(asyncio.Protocol):
    """One console. `arrivals` is everybody's: the call, and when its first pop was read (monotonic seconds)."""

    def __init__(self, number: int, ask: dict[str, Any], arrivals: dict[str, float]) -> None:
        self._number = number
        self._ask = ask
        self._arrivals = arrivals
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._is_up = False

    def connection_made(self, transport: Any) -> None:
        """Knock."""
        self._transport = transport
        if self._ask["kind"] == "raw":
            transport.write(b"%d\n" % self._number)
            self.ready.set_result(None)
            return
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {self._ask['path'].format(self._number)} HTTP/1.1",
            f"Host: 127.0.0.1:{self._ask['port']}",
            f"Cookie: {self._ask['cookie'].format(self._number)}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
        ]
        transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    def data_received(self, data: bytes) -> None:
        """Whatever came: the server's answer to the knock, then frames."""
        now = time.monotonic()
        if not self._is_up and self._ask["kind"] != "raw":
            self._greet(data)
            return
        at = data.find(b'"pop"')
        if at < 0:
            return
        for call in _CALL.finditer(data, at):
            self._arrivals.setdefault(call[1].decode(), now)
        if self._ask["kind"] != "ours":
            return
        for offered in _OFFERED.finditer(data, at):
            if offered[2] == b"1":
                said = b'{"type":"painted","offer":"%b","version":1}' % offered[1]
                self._transport.write(masked_text(said))

    def _greet(self, data: bytes) -> None:
        if not data.startswith(b"HTTP/1.1 101"):
            self.ready.set_exception(ConnectionError(data[:200].decode("ascii", "replace")))
            return
        self._is_up = True
        if self._ask["kind"] == "ours":
            self._transport.write(masked_text(_HELLO))
        self.ready.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """The server is gone."""
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("closed before it was up"))


async def _connect(ask: dict[str, Any], arrivals: dict[str, float]) -> list[Console]:
    loop = asyncio.get_running_loop()
    consoles: list[Console] = []
    for first in range(0, ask["count"], _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, ask["count"]))
        made = [Console(number, ask, arrivals) for number in numbers]
        waiting = iter(made)
        for _ in made:
            await loop.create_connection(lambda: next(waiting), "127.0.0.1", ask["port"])  # noqa: B023 - used at once
        await asyncio.gather(*(console.ready for console in made))
        consoles += made
    return consoles


async def _run() -> None:
    kept: list[Console] = []
    arrivals: dict[str, float] = {}
    while True:
        try:
            asked = await heard()
        except EOFError:
            return
        if asked["do"] == "connect":
            kept += await _connect(asked, arrivals)
            say(len(kept))
        else:
            say(arrivals)
            arrivals.clear()


if __name__ == "__main__":
    uvloop.run(_run())
