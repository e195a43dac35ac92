"""A hall with a hand clock and its voc room, on a real bus and a real store."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Row, select

from cti.agi import AgiSession
from cti.bus.local import LocalBus
from cti.events import CallFact, ContactClosed
from cti.health import Health
from cti.ids import CallId
from cti.rooms import Hall
from cti.settings import Settings
from cti.site import Site
from cti.store import Store
from cti.store.engine import open_store
from cti.testing import HandClock, ScriptedPbx
from tests.voc.life import T
from tests.voc.record import TRUNK
from voc.catchup import CatchUp
from voc.cel_source import CelSource
from voc.service import VocRoom
from voc.store import DROP_DRAFTS, contact_table

OLDER = CallId("1700000000.1")
NOBODY = Site(queues=(), agents=(), dnis=(), not_ready_reasons=())


class NoAgi:
    """The voc room serves no dialplan script."""

    def serve(self, script: str, handler: Callable[[AgiSession], Awaitable[None]]) -> Callable[[], None]:
        raise AssertionError("voc asked for an AGI script")


class Closed:
    """The contacts the room told to be closed, and a way to wait for them."""

    def __init__(self, bus: LocalBus) -> None:
        self.facts: list[ContactClosed] = []
        self._more = asyncio.Event()
        bus.hear(ContactClosed, self._hear)

    def _hear(self, fact: ContactClosed) -> None:
        self.facts.append(fact)
        self._more.set()

    async def wait(self, count: int = 1) -> list[ContactClosed]:
        async with asyncio.timeout(10):
            while len(self.facts) < count:
                self._more.clear()
                await self._more.wait()
        return self.facts


class Floor:
    """A hall whose clock is moved by hand, and its voc room."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.clock = HandClock(T)
        self.bus = LocalBus()
        self.store = store
        self.closed = Closed(self.bus)
        self.hall = Hall(settings, NOBODY, self.clock, self.bus, store, ScriptedPbx(), NoAgi(), Health())
        self.room = VocRoom(self.hall)

    def tell(self, facts: Sequence[CallFact]) -> None:
        """Tell the bus, each Fact at its instant."""
        for fact in facts:
            self.clock.advance(max(0.0, fact.at - self.clock.now()))
            self.bus.publish(fact)

    def wait_out(self, seconds: float) -> None:
        """Let time pass, and let the room's alarm ring."""
        self.clock.advance(seconds)
        self.room.wake()

    async def rows(self) -> dict[str, Row[Any]]:
        """The contacts as the database has them once all that was told so far is durable."""
        self.room.flush()
        await self.store.write((DROP_DRAFTS, {"of_call": "nobody's"}))
        return {row.call: row for row in await self.store.read(select(contact_table))}

    def catch_up(self, source: CelSource) -> CatchUp:
        """A catching up whose passes the test makes, on the room's own history."""
        return CatchUp(self.room.history, source, TRUNK, self.store, self.clock, self.room.carry_out)


@asynccontextmanager
async def open_floor(url: str, settings: Settings | None = None) -> AsyncIterator[Floor]:
    """The room, open on the database at `url`."""
    async with open_store(url) as store:
        floor = Floor(store, settings or Settings())
        async with floor.room.open():
            yield floor
