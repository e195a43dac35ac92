"""A manager session under test, with everything it told us."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from cti.ami.client import AmiClient, Pauses
from cti.ami.protocol import Frame
from cti.clock import SteadyClock
from cti.errors import CtiError
from cti.settings import PbxSettings

QUICK = Pauses(first_s=0.02, longest_s=0.05, refused_s=0.05)


class Floor:
    """A client with what it told us; `when` waits for a claim about it."""

    def __init__(
        self,
        port: int,
        *,
        wanted: frozenset[str] | None = None,
        tls_context: ssl.SSLContext | None = None,
        pauses: Pauses | None = None,
        **settings: object,
    ) -> None:
        self.events: list[Frame] = []
        self.slices: list[int] = []
        self.ups = 0
        self.downs: list[str] = []
        self.on_up_fails: list[CtiError] = []
        self.on_frames_fails: list[Exception] = []
        values = {"port": port, "ping_s": 30.0, "action_timeout_s": 2.0, **settings}
        self.client = AmiClient(
            PbxSettings.model_validate(values),
            "s3cret",
            SteadyClock(),
            on_frames=self._on_frames,
            on_up=self._on_up,
            on_down=self._on_down,
            wanted=wanted,
            pauses=pauses or QUICK,
            tls=tls_context,
        )
        self._changed = asyncio.Event()

    async def when(self, claim: Callable[[], object]) -> None:
        """Until `claim` holds."""
        async with asyncio.timeout(10):
            while not claim():
                self._changed.clear()
                await self._changed.wait()

    async def up(self, times: int = 1) -> None:
        """Until the session has come up so many times, and `on_up` has returned."""
        await self.when(lambda: self.ups >= times)
        assert self.client.is_up

    def named(self, event: str) -> list[Frame]:
        """The events of one name so far."""
        return [found for found in self.events if found.event == event]

    def _on_frames(self, frames: list[Frame]) -> None:
        if self.on_frames_fails:
            raise self.on_frames_fails.pop()
        self.slices.append(len(frames))
        self.events += frames
        self._changed.set()

    async def _on_up(self) -> None:
        if self.on_up_fails:
            raise self.on_up_fails.pop()
        self.ups += 1
        self._changed.set()

    def _on_down(self, why: str) -> None:
        self.downs.append(why)
        self._changed.set()


@asynccontextmanager
async def attached(
    port: int,
    *,
    wanted: frozenset[str] | None = None,
    tls_context: ssl.SSLContext | None = None,
    pauses: Pauses | None = None,
    **settings: object,
) -> AsyncIterator[Floor]:
    """A running client, stopped at the end."""
    floor = Floor(port, wanted=wanted, tls_context=tls_context, pauses=pauses, **settings)
    running = asyncio.create_task(floor.client.run())
    try:
        yield floor
    finally:
        running.cancel()
        done, _ = await asyncio.wait({running}, timeout=5)
        assert done, "the session does not stop"
        assert running.cancelled(), running.exception()
