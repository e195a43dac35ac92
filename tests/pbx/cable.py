"""A cable that can be cut between the daemon and Asterisk's manager interface, worked from a test that isn't async."""

import asyncio
import threading
from types import TracebackType
from typing import Self

from tests.ami.fault_proxy import FaultProxy, fault_proxy


class Cable:
    """A proxy to `port` of 127.0.0.1 in a loop of its own; the daemon connects to `self.port`."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self._upstream = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._proxy: FaultProxy | None = None
        self._unplug = asyncio.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        plugged = threading.Event()
        self._done = asyncio.run_coroutine_threadsafe(self._serve(plugged), self._loop)
        assert plugged.wait(5)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.mend()
        self._loop.call_soon_threadsafe(self._unplug.set)
        self._done.result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def cut(self) -> None:
        """Nothing goes through any more, either way, and nobody is told so: as a switch that lost its power."""
        self._loop.call_soon_threadsafe(self._cut)

    def mend(self) -> None:
        """New connections work; those of before are reset."""
        self._loop.call_soon_threadsafe(self._mend)

    def _cut(self) -> None:
        assert self._proxy is not None
        self._proxy.up.stall()
        self._proxy.down.stall()

    def _mend(self) -> None:
        assert self._proxy is not None
        stalled = (self._proxy.up, self._proxy.down)
        self._proxy.heal()
        self._proxy.reset()
        for direction in stalled:
            direction.flows.set()  # into connections that are closed: nothing held back arrives late

    async def _serve(self, plugged: threading.Event) -> None:
        async with fault_proxy(self._upstream) as self._proxy:
            self.port = self._proxy.port
            plugged.set()
            await self._unplug.wait()
