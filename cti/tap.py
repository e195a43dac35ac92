"""The tap: every Fact as one line of JSON on a Unix socket only its owner may open; `offhook tail` drinks from it.

A follower who reads too slowly is never waited for: lines beyond the bound are dropped and he is told how many.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from cti.bus import Bus
from cti.errors import Unavailable
from cti.events import Fact
from cti.wire import to_json

log = structlog.get_logger()

MAX_BEHIND_BYTES = 1_000_000


class Tap:
    """Hands every Fact to every follower."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._followers: dict[asyncio.StreamWriter, int] = {}
        self._stop: Callable[[], None] = lambda: None

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one follower until he leaves."""
        if not self._followers:
            self._stop = self._bus.hear(Fact, self._pour)
        self._followers[writer] = 0
        try:
            await reader.read(1)
        finally:
            self._followers.pop(writer, None)
            if not self._followers:
                self._stop()
            writer.close()

    def close(self) -> None:
        """Part from every follower: their reading ends."""
        for writer in self._followers:
            writer.close()

    def _pour(self, fact: Fact) -> None:
        line = to_json(fact) + b"\n"
        for writer, dropped in self._followers.items():
            if writer.transport.get_write_buffer_size() > MAX_BEHIND_BYTES:
                self._followers[writer] = dropped + 1
                continue
            if dropped:
                writer.write(b'{"dropped":%d}\n' % dropped)
                self._followers[writer] = 0
            writer.write(line)


@asynccontextmanager
async def open_tap(bus: Bus, path: Path) -> AsyncIterator[None]:
    """The tap, open while the context lasts. Raises Unavailable when another daemon holds the socket, or it can't be made."""
    await _make_room(path)
    tap = Tap(bus)
    server = await asyncio.start_unix_server(tap.accept, sock=_listen(path))
    try:
        yield
    finally:
        server.close()
        tap.close()
        path.unlink(missing_ok=True)


async def _make_room(path: Path) -> None:
    """Remove what a daemon that died has left there."""
    if not path.is_socket():
        if path.exists():
            raise Unavailable("daemon.socket", f"{path} is there and is no socket; set daemon.socket to another path")
        return
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        path.unlink(missing_ok=True)
        return
    writer.close()
    raise Unavailable("daemon.socket", f"a daemon already runs on {path}; end it first")


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listener.fileno(), 0o600)  # before bind: the path is never there with other rights
        listener.bind(str(path))
    except OSError as exc:
        listener.close()
        mend = "set daemon.socket to a short path (at most 107 bytes) in a folder we may write to"
        raise Unavailable("daemon.socket", f"{path}: {exc.strerror or exc}; {mend}") from exc
    listener.setblocking(False)
    return listener
