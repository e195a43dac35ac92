"""The tap: every Fact as one line of JSON on a Unix socket only its owner may open; `offhook tail` drinks from it.

A follower who reads too slowly is never waited for: lines beyond the bound are dropped and he is told how many.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
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
    """The tap, open while the context lasts. Raises Unavailable when another daemon holds the socket."""
    if path.exists():
        with suppress(OSError):
            _, writer = await asyncio.open_unix_connection(path)
            writer.close()
            raise Unavailable("daemon.socket", f"a daemon already runs on {path}; end it first")
        path.unlink(missing_ok=True)
    tap = Tap(bus)
    server = await asyncio.start_unix_server(tap.accept, path)
    path.chmod(0o600)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)
