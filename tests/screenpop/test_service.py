"""The screenpop room on the real bus: lookups asked at the match, pops told at the offer, a sick neighbour survived."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
import pytest_asyncio

from cti.agi import AgiSession
from cti.bus.local import LocalBus
from cti.caller import CustomerProfile, MatchKind, PastContact
from cti.errors import Unavailable
from cti.events import CallFact, PopChanged
from cti.health import Health
from cti.pop import Pop, PopPhase
from cti.requests import CurrentPop, DescribeCustomer, RecallOpenCalls, RecentContacts
from cti.rooms import Hall
from cti.settings import Settings
from cti.store.engine import open_store
from cti.testing import HandClock, ScriptedPbx
from screenpop.service import open_room
from tests.screenpop.test_pop import (
    ANI,
    ANN,
    BOB,
    C1,
    CALL,
    SITE,
    T,
    accepted,
    arrived,
    matched,
    offer_to,
    past,
    profile,
    queued,
)


class NoAgi:
    """The screenpop room serves no dialplan script."""

    def serve(self, script: str, handler: Callable[[AgiSession], Awaitable[None]]) -> Callable[[], None]:
        raise AssertionError("screenpop asked for an AGI script")


class Neighbours:
    """The customers and voc rooms' answers; held back until `may_answer` is set."""

    def __init__(self, bus: LocalBus) -> None:
        self.asked: list[object] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.failure: Exception | None = None
        bus.answer(DescribeCustomer, self._describe)
        bus.answer(RecentContacts, self._recent)

    async def _describe(self, request: DescribeCustomer) -> CustomerProfile:
        self.asked.append(request)
        await self.may_answer.wait()
        if self.failure is not None:
            raise self.failure
        return profile(request.customer)

    async def _recent(self, request: RecentContacts) -> tuple[PastContact, ...]:
        self.asked.append(request)
        await self.may_answer.wait()
        return (past(1),)


class Shown:
    """The pops told, and a way to wait for one that satisfies a condition."""

    def __init__(self, bus: LocalBus) -> None:
        self.pops: list[Pop] = []
        self._more = asyncio.Event()
        bus.hear(PopChanged, self._hear)

    def _hear(self, fact: PopChanged) -> None:
        self.pops.append(fact.pop)
        self._more.set()

    async def complete(self) -> Pop:
        """The first pop with nothing pending."""
        async with asyncio.timeout(5):
            while not (found := [pop for pop in self.pops if not pop.pending]):
                self._more.clear()
                await self._more.wait()
        return found[0]


@pytest_asyncio.fixture
async def hall(tmp_path: object) -> AsyncIterator[Hall]:
    async with open_store(f"sqlite:///{tmp_path}/o.db") as store:
        made = Hall(Settings(), SITE, HandClock(), LocalBus(), store, ScriptedPbx(), NoAgi(), Health())
        async with open_room(made):
            yield made


@pytest.mark.asyncio
async def test_the_pop_is_complete_in_the_breath_of_the_offer(hall: Hall) -> None:
    """When publish(CallOffered) returns, the complete pop has been told."""
    neighbours, shown = Neighbours(hall.bus), Shown(hall.bus)
    for fact in (arrived(), matched(), queued(), offer_to(BOB)):
        hall.bus.publish(fact)
    await shown.complete()  # on the screen of another agent: the lookups have been answered
    shown.pops.clear()
    hall.bus.publish(offer_to(ANN, T + 31))
    (pop,) = shown.pops
    assert (pop.profile, pop.history, pop.pending) == (profile(C1), (past(1),), ())
    assert await hall.bus.ask(CurrentPop(agent=ANN)) == pop
    assert DescribeCustomer(customer=C1) in neighbours.asked
    assert RecentContacts(customer=C1, ani_e164=ANI, limit=5, but_not=CALL) in neighbours.asked


@pytest.mark.asyncio
async def test_a_slow_lookup_patches_the_pop(hall: Hall) -> None:
    """The pop is told at once with what is pending, and again when it has come."""
    neighbours, shown = Neighbours(hall.bus), Shown(hall.bus)
    neighbours.may_answer.clear()
    for fact in (arrived(), matched(), queued(), offer_to(ANN)):
        hall.bus.publish(fact)
    assert [pop.pending for pop in shown.pops] == [("profile", "history")]
    neighbours.may_answer.set()
    assert (await shown.complete()).profile == profile(C1)


@pytest.mark.parametrize("failure", [Unavailable("customers"), KeyError("a fault of theirs")])
@pytest.mark.asyncio
async def test_a_neighbour_that_fails_costs_its_part_only(hall: Hall, failure: Exception) -> None:
    """The pop goes on without the record, and the room goes on."""
    neighbours, shown = Neighbours(hall.bus), Shown(hall.bus)
    neighbours.failure = failure
    for fact in (arrived(), matched(), queued(), offer_to(ANN)):
        hall.bus.publish(fact)
    pop = await shown.complete()
    assert (pop.profile, pop.history, pop.match) == (None, (past(1),), MatchKind.KNOWN)


@pytest.mark.asyncio
async def test_without_neighbours_there_is_still_a_pop(hall: Hall) -> None:
    """Nobody answers: the pop says what the network said."""
    shown = Shown(hall.bus)
    for fact in (arrived(), matched(), queued(), offer_to(ANN)):
        hall.bus.publish(fact)
    pop = await shown.complete()
    assert (pop.profile, pop.history, pop.ani) == (None, (), ANI)


@pytest.mark.asyncio
async def test_after_a_restart_the_card_is_back(hall: Hall) -> None:
    """A new process hears again what was told of the open calls: the same pop, looked up anew, on the same screen."""
    facts = (arrived(), matched(), queued(), offer_to(ANN), accepted(offer_to(ANN)))

    async def recall(request: RecallOpenCalls) -> tuple[CallFact, ...]:
        return facts

    neighbours = Neighbours(hall.bus)
    for fact in facts:
        hall.bus.publish(fact)
    before = await hall.bus.ask(CurrentPop(agent=ANN))
    bus = LocalBus()
    bus.answer(RecallOpenCalls, recall)
    Neighbours(bus)
    shown = Shown(bus)
    async with open_room(replace(hall, bus=bus)):
        pop = await shown.complete()
        assert await bus.ask(CurrentPop(agent=ANN)) == pop
    assert neighbours.asked
    assert before is not None
    assert (pop.phase, pop.offer, pop.why) == (PopPhase.ANSWERED, before.offer, before.why)
    assert (pop.profile, pop.history) == (profile(C1), (past(1),))
