"""The bus inside one process: one order for everybody, one room's failure stays that room's, one answer to a Request."""

import asyncio

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from cti.bus.local import LocalBus
from cti.errors import Refused, Unavailable
from cti.events import AgentFact, AgentNotReady, AgentReady, CallEnded, EndedBy, Fact
from cti.ids import AgentId, CallId
from cti.requests import FindByAccount, GoReady

ANN, BOB = AgentId("ann"), AgentId("bob")
READY = AgentReady(at=1.0, agent=ANN)
ENDED = CallEnded(at=2.0, call=CallId("1.1"), ended_by=EndedBy.CALLER)


def test_every_ear_hears_the_same_order_also_when_an_ear_publishes() -> None:
    """What an ear publishes is told after the Fact it heard, to everybody, in the order in which it was published."""
    bus = LocalBus()
    first: list[Fact] = []
    last: list[Fact] = []
    answer = AgentNotReady(at=1.1, agent=ANN, reason="lunch")
    after = AgentReady(at=1.2, agent=BOB)

    def chain(fact: AgentReady) -> None:
        if fact is READY:
            bus.publish(answer)
            assert answer not in last  # not re-entered: nobody has heard it yet
            bus.publish(after)

    bus.hear(Fact, first.append)
    bus.hear(AgentReady, chain)
    bus.hear(Fact, last.append)
    bus.publish(READY)
    bus.publish(ENDED)
    assert first == last == [READY, answer, after, ENDED]


def test_the_line_is_empty_when_publish_returns() -> None:
    """Whoever publishes from outside an ear finds everything told, chains included."""
    bus = LocalBus()
    heard: list[float] = []

    def count_down(fact: AgentReady) -> None:
        heard.append(fact.at)
        if fact.at > 0:
            bus.publish(AgentReady(at=fact.at - 1, agent=ANN))

    bus.hear(AgentReady, count_down)
    bus.publish(AgentReady(at=5000.0, agent=ANN))  # deeper than any recursion would go
    assert heard == [float(at) for at in range(5000, -1, -1)]


def test_an_ear_hears_its_kinds_and_their_subclasses_only() -> None:
    """By class, by a group of Facts, by several classes."""
    bus = LocalBus()
    heard: dict[str, list[Fact]] = {"one": [], "group": [], "two": []}
    bus.hear(AgentReady, heard["one"].append)
    bus.hear(AgentFact, heard["group"].append)
    bus.hear((AgentNotReady, CallEnded), heard["two"].append)
    away = AgentNotReady(at=1.0, agent=BOB, reason="break")
    for fact in (READY, away, ENDED):
        bus.publish(fact)
    assert heard == {"one": [READY], "group": [READY, away], "two": [away, ENDED]}


def test_an_ear_that_raises_is_logged_with_the_call_and_the_others_hear() -> None:
    """One room's failure is one room's failure; the line names the call, the counter counts."""
    bus = LocalBus()
    heard: list[Fact] = []

    def fail(fact: Fact) -> None:
        raise RuntimeError("out of order")

    bus.hear(Fact, fail)
    bus.hear(Fact, heard.append)
    before = REGISTRY.get_sample_value("offhook_ears_failed_total", {"kind": "CallEnded"}) or 0.0
    with capture_logs() as lines:
        bus.publish(ENDED)
        bus.publish(READY)
    assert heard == [ENDED, READY]
    assert [(line["log_level"], line["fact"], line["call"]) for line in lines] == [
        ("error", "CallEnded", "1.1"),
        ("error", "AgentReady", None),
    ]
    assert lines[0]["exc_info"]
    assert REGISTRY.get_sample_value("offhook_ears_failed_total", {"kind": "CallEnded"}) == before + 1


def test_an_ear_that_has_stopped_hears_no_more_and_stopping_twice_is_fine() -> None:
    """Also when it stops while a Fact is being told."""
    bus = LocalBus()
    heard: list[Fact] = []
    stop = bus.hear(Fact, heard.append)
    bus.publish(READY)
    stop()
    stop()
    bus.publish(ENDED)
    assert heard == [READY]


def test_an_ear_that_joins_late_hears_from_then_on() -> None:
    """Nothing of the past, everything after."""
    bus = LocalBus()
    heard: list[Fact] = []
    bus.publish(READY)
    bus.hear(Fact, heard.append)
    bus.publish(READY)
    assert heard == [READY]


@pytest.mark.asyncio
async def test_a_request_is_answered_by_its_room() -> None:
    """The answer, or the room's refusal with its code, comes to the asker."""
    bus = LocalBus()

    async def find(request: FindByAccount) -> str:
        if request.account == "0":
            raise Refused("no-such-account", "There is no account 0.")
        await asyncio.sleep(0)
        return f"C{request.account}"

    bus.answer(FindByAccount, find)
    assert await bus.ask(FindByAccount(account="7")) == "C7"
    with pytest.raises(Refused) as refused:
        await bus.ask(FindByAccount(account="0"))
    assert refused.value.code == "no-such-account"


@pytest.mark.asyncio
async def test_a_request_nobody_answers_is_unavailable() -> None:
    """No room, a room that has closed, and a room that takes too long; each says which Request."""
    bus = LocalBus()
    with pytest.raises(Unavailable, match="GoReady"):
        await bus.ask(GoReady(agent=ANN))
    was_cancelled = asyncio.Event()

    async def dawdle(request: GoReady) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            was_cancelled.set()

    stop = bus.answer(GoReady, dawdle)
    with pytest.raises(Unavailable, match=r"no answer within 0\.01 s"):
        await bus.ask(GoReady(agent=ANN), timeout_s=0.01)
    assert was_cancelled.is_set()
    stop()
    stop()
    with pytest.raises(Unavailable, match="no room"):
        await bus.ask(GoReady(agent=ANN))


@pytest.mark.asyncio
async def test_a_requests_failure_is_the_askers() -> None:
    """An answerer that breaks breaks nobody but him who asked."""
    bus = LocalBus()

    async def break_down(request: GoReady) -> None:
        raise ZeroDivisionError

    bus.answer(GoReady, break_down)
    with pytest.raises(ZeroDivisionError):
        await bus.ask(GoReady(agent=ANN))


def test_two_rooms_can_not_answer_the_same() -> None:
    """Exactly one answers; the second is told at once."""
    bus = LocalBus()

    async def answer(request: GoReady) -> None:
        return None

    bus.answer(GoReady, answer)
    with pytest.raises(ValueError, match="GoReady is answered already"):
        bus.answer(GoReady, answer)


def test_a_late_ear_hears_the_same_order_when_nobody_has_anything_to_add() -> None:
    """A late ear hears every Fact in the same order, after the whole chain, and before `publish` returns."""
    bus = LocalBus()
    told: list[tuple[str, Fact]] = []
    answer = AgentNotReady(at=1.1, agent=ANN, reason="lunch")
    bus.hear(Fact, lambda fact: told.append(("late", fact)), late=True)
    bus.hear(AgentReady, lambda fact: bus.publish(answer))
    bus.hear(Fact, lambda fact: told.append(("at once", fact)))
    bus.publish(READY)
    assert told == [("at once", READY), ("at once", answer), ("late", READY), ("late", answer)]


def test_what_a_late_ear_publishes_is_told_to_everybody() -> None:
    """A late ear may publish: everybody hears it, itself too, before `publish` returns."""
    bus = LocalBus()
    late: list[Fact] = []
    heard: list[Fact] = []

    def note(fact: Fact) -> None:
        late.append(fact)
        if fact is READY:
            bus.publish(ENDED)

    bus.hear(Fact, note, late=True)
    bus.hear(Fact, heard.append)
    bus.publish(READY)
    assert late == heard == [READY, ENDED]
