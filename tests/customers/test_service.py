"""The customers room on the real bus and the real store, on both engines."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
import pytest_asyncio
from sqlalchemy import insert

from cti.agi import AgiSession
from cti.bus.local import LocalBus
from cti.caller import MatchKind, OpenCase, Purchase
from cti.errors import Refused
from cti.events import CallArrived, CallerIdentified, CallerMatched, CallFact, ContactClosed, ContactOutcome
from cti.health import Health
from cti.ids import AgentId, CallId, CustomerId, LegId
from cti.requests import ChooseCandidate, CountContacts, DescribeCustomer, FindByAccount, RecallOpenCalls
from cti.rooms import Hall
from cti.settings import Settings
from cti.site import Site
from cti.store import Store
from cti.store.engine import open_store
from cti.store.migrate import migrate
from cti.testing import HandClock, ScriptedPbx
from customers.service import open_room
from customers.store import case_table, customer_table, phone_table, purchase_table

CALL = CallId("1700000000.1")
ANN, BOB, EVE = CustomerId("C1"), CustomerId("C2"), CustomerId("C3")
OWN, SHARED, NOBODYS = "2025550101", "+12025550199", "2025550777"


class NoAgi:
    """The customers room serves no dialplan script."""

    def serve(self, script: str, handler: Callable[[AgiSession], Awaitable[None]]) -> Callable[[], None]:
        raise AssertionError("customers asked for an AGI script")


class Told:
    """What the room told, and a way to wait for more."""

    def __init__(self, bus: LocalBus) -> None:
        self.facts: list[CallerMatched] = []
        self._more = asyncio.Event()
        bus.hear(CallerMatched, self._hear)

    def _hear(self, fact: CallerMatched) -> None:
        self.facts.append(fact)
        self._more.set()

    async def nth(self, count: int) -> CallerMatched:
        async with asyncio.timeout(5):
            while len(self.facts) < count:
                self._more.clear()
                await self._more.wait()
        return self.facts[count - 1]


def customer(name: CustomerId, title: str, account: str) -> dict[str, object]:
    words = dict.fromkeys(("tier", "language", "email", "note"), "")
    return {
        **words,
        "customer": name,
        "name": title,
        "account": account,
        "account_keys": "".join(filter(str.isdigit, account)),
        "tier": "gold",
        "lifetime_value": 120.5,
        "since": "2020-02-03",
    }


def phone(number: str, owner: CustomerId) -> dict[str, object]:
    return {"number": number, "customer": owner, "national": number[2:], "last9": number[-9:], "kind": ""}


@pytest_asyncio.fixture
async def hall(database_url: str) -> AsyncIterator[Hall]:
    await asyncio.to_thread(migrate, database_url)
    async with open_store(database_url) as store:
        await _fill(store)
        site = Site(queues=(), agents=(), dnis=(), not_ready_reasons=())
        bus = LocalBus()
        made = Hall(Settings(), site, HandClock(), bus, store, ScriptedPbx(), NoAgi(), Health())
        async with open_room(made):
            yield made


async def _fill(store: Store) -> None:
    await store.write(
        (
            insert(customer_table),
            [customer(ANN, "Ann", "AC-100-1"), customer(BOB, "Bob", "AC-100-2"), customer(EVE, "Eve", "AC-100-3")],
        ),
        (
            insert(phone_table),
            [phone("+12025550101", ANN), phone("+12025550199", ANN), phone("+12025550199", BOB)],
        ),
        (
            insert(purchase_table),
            [
                {"customer": ANN, "purchase": "p1", "at": "2026-01-02", "item": "Router", "amount": 99.5},
                {"customer": ANN, "purchase": "p2", "at": "2026-03-04", "item": "Cable", "amount": 5.0},
            ],
        ),
        (
            insert(case_table),
            [
                {"customer": ANN, "case": "k1", "title": "Old", "opened_at": "2025-01-01", "is_open": False},
                {"customer": ANN, "case": "k2", "title": "No sync", "opened_at": "2026-05-06", "is_open": True},
            ],
        ),
    )


def arrived(ani: str, call: CallId = CALL) -> CallArrived:
    return CallArrived(at=1.0, call=call, leg=LegId(call), channel="PJSIP/trunk-1", ani=ani, caller_name="", dnis="100")


@pytest.mark.asyncio
async def test_a_known_caller(hall: Hall) -> None:
    """The only customer with the number is told as known, with the open case among the reasons."""
    told = Told(hall.bus)
    hall.bus.publish(arrived(OWN))
    fact = await told.nth(1)
    assert (fact.kind, fact.ani, fact.ani_e164, fact.country) == (MatchKind.KNOWN, OWN, "+12025550101", "US")
    (ann,) = fact.candidates
    assert (ann.customer, ann.name, ann.tier) == (ANN, "Ann", "gold")
    assert "open case: No sync" in ann.reason


@pytest.mark.asyncio
async def test_on_sqlite_in_the_same_breath(hall: Hall) -> None:
    """On SQLite the match is told before `publish` of the arrival returns; PostgreSQL is a round trip away."""
    told = Told(hall.bus)
    hall.bus.publish(arrived(OWN))
    assert len(told.facts) == (1 if hall.store.dialect == "sqlite" else 0)
    await told.nth(1)


@pytest.mark.asyncio
async def test_a_number_corrected_by_the_network(hall: Hall) -> None:
    """A number that comes later is matched anew, and what was proved meanwhile stays proved."""
    told = Told(hall.bus)
    hall.bus.publish(arrived(""))
    hall.bus.publish(arrived(OWN))
    assert (await told.nth(2)).candidates[0].customer == ANN
    await hall.bus.ask(ChooseCandidate(agent=AgentId("joe"), call=CALL, customer=EVE))
    await told.nth(3)
    hall.bus.publish(arrived(SHARED))
    fact = await told.nth(4)
    assert (fact.kind, fact.ani_e164, fact.candidates[0].customer) == (MatchKind.KNOWN, SHARED, EVE)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("ani", "kind"), [("", MatchKind.WITHHELD), ("anonymous", MatchKind.WITHHELD), (NOBODYS, MatchKind.UNKNOWN)]
)
async def test_nobody_we_know(hall: Hall, ani: str, kind: MatchKind) -> None:
    """Withheld and unknown callers are told as such, with nobody to choose from."""
    told = Told(hall.bus)
    hall.bus.publish(arrived(ani))
    fact = await told.nth(1)
    assert (fact.kind, fact.candidates) == (kind, ())


@pytest.mark.asyncio
async def test_the_same_arrival_twice(hall: Hall) -> None:
    """An arrival told twice is matched once."""
    told = Told(hall.bus)
    hall.bus.publish(arrived(NOBODYS))
    await told.nth(1)
    hall.bus.publish(arrived(NOBODYS))
    hall.bus.publish(arrived("", CallId("other")))
    assert [fact.call for fact in (await told.nth(2), told.facts[-1])] == [CallId("other")] * 2


@pytest.mark.asyncio
async def test_earlier_calls_rank_anew(hall: Hall) -> None:
    """What voc counted comes later and puts the one who calls from this number first."""
    asked: list[CountContacts] = []

    async def count(request: CountContacts) -> dict[CustomerId, int]:
        asked.append(request)
        return {BOB: 6}

    hall.bus.answer(CountContacts, count)
    told = Told(hall.bus)
    hall.bus.publish(arrived(SHARED))
    first, second = await told.nth(1), await told.nth(2)
    assert first.kind is second.kind is MatchKind.SHARED
    assert {one.customer for one in first.candidates} == {ANN, BOB}
    assert second.candidates[0].customer == BOB
    assert "called from this number 6 times" in second.candidates[0].reason
    assert asked[0].ani_e164 == SHARED


@pytest.mark.asyncio
async def test_an_account_number_proves(hall: Hall) -> None:
    """A caller who gave an account number is known, whatever the number said, withheld ones too."""
    told = Told(hall.bus)
    hall.bus.publish(arrived(""))
    assert await hall.bus.ask(FindByAccount(account="1003")) == EVE
    assert await hall.bus.ask(FindByAccount(account=" AC-100-3 ")) == EVE
    assert await hall.bus.ask(FindByAccount(account="999")) is None
    assert await hall.bus.ask(FindByAccount(account="")) is None
    hall.bus.publish(CallerIdentified(at=2.0, call=CALL, customer=EVE, by="account number"))
    fact = await told.nth(2)
    assert (fact.kind, fact.candidates[0].customer) == (MatchKind.KNOWN, EVE)
    assert fact.candidates[0].reason == "gave account number"


@pytest.mark.asyncio
async def test_a_choice_is_told_and_remembered(hall: Hall) -> None:
    """An agent's choice is told at once, and the next call from the shared number is likely that customer."""
    told = Told(hall.bus)
    hall.bus.publish(arrived(SHARED))
    await told.nth(1)
    await hall.bus.ask(ChooseCandidate(agent=AgentId("joe"), call=CALL, customer=ANN))
    fact = await told.nth(2)
    assert (fact.kind, fact.candidates[0].customer) == (MatchKind.KNOWN, ANN)
    await hall.bus.ask(ChooseCandidate(agent=AgentId("joe"), call=CALL, customer=BOB))
    await told.nth(3)
    await _written(hall.store)
    hall.bus.publish(arrived(SHARED, CallId("next")))
    again = await told.nth(4)
    assert (again.kind, again.candidates[0].customer) == (MatchKind.LIKELY, BOB)
    assert "chosen by an agent last time" in again.candidates[0].reason


async def _written(store: Store) -> None:
    # Writes are carried out in order: once this one is durable, those before it are.
    await store.write((insert(customer_table), customer(CustomerId("C9"), "Last", "AC-9")))


@pytest.mark.asyncio
async def test_a_restart_forgets_no_proof(hall: Hall) -> None:
    """A new process takes up what was told of the open calls: a proof stays, nobody is matched twice, a choice can follow."""
    told = Told(hall.bus)
    hall.bus.publish(arrived(""))
    hall.bus.publish(CallerIdentified(at=2.0, call=CALL, customer=EVE, by="account number"))
    other = CallId("other")
    hall.bus.publish(arrived(SHARED, other))
    await told.nth(3)
    before = tuple(told.facts)
    bus = LocalBus()

    async def recall(request: RecallOpenCalls) -> tuple[CallFact, ...]:
        return before

    bus.answer(RecallOpenCalls, recall)
    again = Told(bus)
    async with open_room(replace(hall, bus=bus)):
        await _written(hall.store)
        async with asyncio.timeout(5):
            while True:
                try:
                    await bus.ask(ChooseCandidate(agent=AgentId("joe"), call=other, customer=BOB))
                    break
                except Refused:
                    await asyncio.sleep(0)
        bus.publish(replace(arrived("", CALL), inferred=True))
        bus.publish(arrived(NOBODYS, CALL))
        chosen, proven = await again.nth(1), await again.nth(2)
    assert (chosen.call, chosen.candidates[0].customer, len(chosen.candidates)) == (other, BOB, 2)
    assert (proven.kind, proven.ani, proven.candidates[0].customer) == (MatchKind.KNOWN, NOBODYS, EVE)


@pytest.mark.asyncio
async def test_none_of_them(hall: Hall) -> None:
    """An agent may say that it is none of the candidates."""
    told = Told(hall.bus)
    hall.bus.publish(arrived(SHARED))
    await told.nth(1)
    await hall.bus.ask(ChooseCandidate(agent=AgentId("joe"), call=CALL, customer=None))
    fact = await told.nth(2)
    assert (fact.kind, fact.candidates) == (MatchKind.UNKNOWN, ())


@pytest.mark.asyncio
async def test_a_choice_that_can_t_be(hall: Hall) -> None:
    """A choice for no call of ours, a closed one, or of nobody is refused with its code."""
    joe = AgentId("joe")
    with pytest.raises(Refused) as caught:
        await hall.bus.ask(ChooseCandidate(agent=joe, call=CallId("none"), customer=ANN))
    assert caught.value.code == "no-such-call"
    hall.bus.publish(arrived(SHARED))
    with pytest.raises(Refused) as caught:
        await hall.bus.ask(ChooseCandidate(agent=joe, call=CALL, customer=CustomerId("none")))
    assert caught.value.code == "no-such-customer"
    hall.bus.publish(ContactClosed(at=3.0, call=CALL, outcome=ContactOutcome.ANSWERED))
    with pytest.raises(Refused):
        await hall.bus.ask(ChooseCandidate(agent=joe, call=CALL, customer=ANN))


@pytest.mark.asyncio
async def test_a_customer_described(hall: Hall) -> None:
    """A profile has the numbers as people write them, purchases newest first, and open cases only."""
    profile = await hall.bus.ask(DescribeCustomer(customer=ANN))
    assert profile is not None
    assert set(profile.phones) == {"(202) 555-0101", "(202) 555-0199"}
    assert profile.purchases == (Purchase("2026-03-04", "Cable", 5.0), Purchase("2026-01-02", "Router", 99.5))
    assert profile.open_cases == (OpenCase("k2", "No sync", "2026-05-06"),)
    assert (profile.account, profile.lifetime_value, profile.since) == ("AC-100-1", 120.5, "2020-02-03")
    assert await hall.bus.ask(DescribeCustomer(customer=CustomerId("none"))) is None
