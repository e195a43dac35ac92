"""The ivr room behind a real FastAGI socket: a played Asterisk calls, the bus tells what the others would hear."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from cti.agi.server import AgiServer
from cti.bus.local import LocalBus
from cti.caller import Candidate, MatchKind
from cti.errors import ConfigError, Unavailable
from cti.events import (
    AnswerGiven,
    CallConnected,
    CallEnded,
    CallerIdentified,
    CallerMatched,
    CallFailedSafe,
    CallQueued,
    EndedBy,
    Fact,
    FlowEnded,
    FlowStarted,
    NodeEntered,
)
from cti.health import Health
from cti.ids import CallId, CustomerId, LegId, QueueId
from cti.requests import FindByAccount
from cti.rooms import Hall
from cti.settings import AgiSettings, PathSettings, Settings, SpeechSettings
from cti.site import DnisSpec, QueueSpec, Site
from cti.store import Store
from cti.testing import HandClock, ScriptedPbx, VariableSet
from ivr.service import open_room
from tests.agi.asterisk_side import TOKEN, AsteriskSide, opening

FLOWS = Path(__file__).parents[2] / "config" / "flows"
CALL = CallId("1700.1")
SITE = Site(
    queues=tuple(
        QueueSpec(queue=QueueId(name), name=name, skills=(name,), dispositions=(), music=f"{name}-music")
        for name in ("sales", "support", "billing")
    ),
    agents=(),
    dnis=(
        DnisSpec("1000", "Main"),
        DnisSpec("2000", "Spanish", "default", "es"),
        DnisSpec("3000", "Odd", "no-such-flow"),
    ),
    not_ready_reasons=(),
)


@dataclass
class Opened:
    """The room and what the others would hear of it."""

    agi: AgiServer
    bus: LocalBus
    pbx: ScriptedPbx
    clock: HandClock
    facts: list[Fact]

    def told(self, kind: type[Fact]) -> list[Fact]:
        """The Facts of one kind."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    async def fact(self, kind: type[Fact]) -> Fact:
        """The first Fact of a kind, waiting for it."""
        came: asyncio.Future[Fact] = asyncio.get_running_loop().create_future()
        stop = self.bus.hear(kind, lambda fact: None if came.done() else came.set_result(fact))
        try:
            return (self.told(kind) or [await asyncio.wait_for(came, 5)])[0]
        finally:
            stop()


@asynccontextmanager
async def opened(
    folder: Path, match: MatchKind | None = MatchKind.KNOWN, flows: Path = FLOWS, customers: str = "here"
) -> AsyncIterator[Opened]:
    """The room on a free port, without a voice (stock sounds), the match already in."""
    settings = Settings(
        agi=AgiSettings(token=SecretStr(TOKEN)),
        paths=PathSettings(flows=flows, prompts=folder / "prompts"),
        speech=SpeechSettings(espeak=("no-such-espeak",), sox=("no-such-sox",)),
    )
    agi = AgiServer(settings.agi.model_copy(update={"port": 0}))
    bus, pbx, clock = LocalBus(), ScriptedPbx(), HandClock()
    facts: list[Fact] = []
    bus.hear(Fact, facts.append)

    async def find(request: FindByAccount) -> CustomerId | None:
        if customers == "away":
            raise Unavailable("customers")
        return CustomerId("C1") if request.account == "40001" else None

    bus.answer(FindByAccount, find)
    hall = Hall(settings, SITE, clock, bus, cast(Store, None), pbx, agi, Health())
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(asyncio.timeout(20))
        await stack.enter_async_context(open_room(hall))
        await stack.enter_async_context(agi.open())
        if match is not None:
            bus.publish(matched(match))
        yield Opened(agi, bus, pbx, clock, facts)


def matched(kind: MatchKind) -> CallerMatched:
    """The customers room's word on the caller."""
    known = (Candidate(CustomerId("C1"), "Ann", 1.0, "", "gold"),) if kind is MatchKind.KNOWN else ()
    return CallerMatched(at=0.0, call=CALL, kind=kind, ani="", ani_e164="", ani_display="", candidates=known)


def pressing(*keys: str) -> Callable[[str], bytes]:
    """A caller who presses these keys, one at each prompt or wait ("" lets it pass), then nothing."""
    left = list(keys)

    def answer(command: str) -> bytes:
        if not command.startswith(("STREAM", "WAIT")):
            return b"200 result=1\n"
        key = left.pop(0) if left else ""
        return b"200 result=%d endpos=80\n" % (ord(key) if key else 0)

    return answer


async def call(room: Opened, *keys: str, head: bytes | None = None) -> AsteriskSide:
    """One call walked to the end of the script."""
    async with AsteriskSide(room.agi.port, head) as asterisk:
        await asterisk.play_along(pressing(*keys))
    return asterisk


@pytest.mark.asyncio
async def test_a_known_caller_is_queued(tmp_path: Path) -> None:
    """Greeting, menu key, queue: the others hear each step, the channel carries what a restart needs."""
    async with opened(tmp_path) as room:
        asterisk = await call(room, "", "2")
    now = room.clock.now()
    assert [type(fact).__name__ for fact in room.facts[1:]] == [
        "FlowStarted", "NodeEntered", "NodeEntered", "AnswerGiven", "NodeEntered", "NodeEntered", "NodeEntered",
        "CallQueued", "FlowEnded",
    ]  # fmt: skip
    assert room.told(CallQueued) == [
        CallQueued(
            at=now, call=CALL, queue=QueueId("support"), channel="PJSIP/trunk-00000001", language="en", priority=10,
            reason="support", ani="+15551234567",
        )
    ]  # fmt: skip
    assert asterisk.variables == {
        "OFFHOOK_QUEUE": "support",
        "OFFHOOK_SINCE": f"{now:.3f}",
        "OFFHOOK_LANGUAGE": "en",
        "OFFHOOK_PRIORITY": "10",
        "OFFHOOK_REASON": "support",
        "OFFHOOK_MUSIC": "support-music",
        "OFFHOOK_NEXT": "offhook-hold,s,1",
    }
    assert asterisk.commands[0] == "ANSWER"
    assert not asterisk.gave_up


@pytest.mark.asyncio
async def test_what_the_channel_carries_brings_the_caller_back_after_a_restart(tmp_path: Path) -> None:
    """What one process put on the channel, the next one tells as the same wait in the same place."""
    async with opened(tmp_path / "a") as room:
        carried = (await call(room, "", "1")).variables
    keys = ("QUEUE", "SINCE", "", "LANGUAGE", "PRIORITY", "REASON")
    arguments = (CALL, *(carried[f"OFFHOOK_{key}"] if key else "0" for key in keys))
    head = opening("hold", arguments=arguments, extension="s")
    async with opened(tmp_path / "b") as after:
        after.clock.advance(100)
        for _ in range(2):
            assert (await call(after, head=head)).variables == {"OFFHOOK_NEXT": "offhook-hold,s,1"}
    (before,), (again,) = room.told(CallQueued), after.told(CallQueued)
    assert isinstance(again, CallQueued)
    assert again.inferred
    assert (again.at, again.call) == (before.at, CALL)
    assert (again.queue, again.priority, again.reason) == ("sales", 10, "sales")


@pytest.mark.asyncio
async def test_an_unknown_caller_is_found_by_account(tmp_path: Path) -> None:
    """The digits find the customer, and appear nowhere: not in a Fact, not in the log."""
    with capture_logs() as logs:
        async with opened(tmp_path, MatchKind.UNKNOWN) as room:
            await call(room, "", "1", *"40001#")
    assert [type(fact) for fact in room.facts].count(AnswerGiven) == 2
    (proved,) = room.told(CallerIdentified)
    assert isinstance(proved, CallerIdentified)
    assert (proved.customer, proved.by) == ("C1", "account number")
    assert "40001" not in repr(room.facts) + repr(logs)
    assert len(room.told(CallQueued)) == 1


@pytest.mark.asyncio
async def test_customers_away_costs_nobody_the_queue(tmp_path: Path) -> None:
    """Without the customers room the account is not found, and the caller goes on."""
    async with opened(tmp_path, MatchKind.UNKNOWN, customers="away") as room:
        await call(room, "", "1", *"40001#")
    assert len(room.told(CallQueued)) == 1
    assert room.told(CallerIdentified) == []


@pytest.mark.asyncio
async def test_a_late_match_is_used(tmp_path: Path) -> None:
    """A match that comes while the menu plays is there at the branch; the greeting never waited for it."""
    async with opened(tmp_path, match=None) as room:
        async with AsteriskSide(room.agi.port) as asterisk:
            keys = pressing("", "1")
            for _ in range(3):
                heard = await asterisk.hear() or ""
                if heard.startswith("STREAM") and len(asterisk.commands) > 3:
                    room.bus.publish(matched(MatchKind.KNOWN))
                asterisk.say(keys(heard))
            await asterisk.play_along(keys)
        assert isinstance(room.facts[0], FlowStarted)
    (queued,) = room.told(CallQueued)
    assert isinstance(queued, CallQueued)
    assert queued.priority == 10


@pytest.mark.asyncio
@pytest.mark.parametrize("match", [None, MatchKind.WITHHELD, MatchKind.KNOWN])
async def test_a_caller_nobody_saw_arrive_is_served_and_named_in_the_log(
    tmp_path: Path, match: MatchKind | None
) -> None:
    """A trunk in a context nobody listed costs the match: the log says what to mend. Every matched kind is no reason to."""
    async with opened(tmp_path, match=match) as room:
        with capture_logs() as logs:
            await call(room, "", "0")
        assert len(room.told(CallQueued)) == 1
    said = [line["mend"] for line in logs if line["event"] == "a caller is queued whom nobody matched"]
    assert bool(said) == (match is None)
    assert all("pbx.trunk_contexts" in mend for mend in said)


@pytest.mark.asyncio
async def test_no_match_in_time_goes_on(tmp_path: Path) -> None:
    """A caller nobody has matched yet is not kept waiting, and the limit on the channel outlasts the short wait."""
    async with opened(tmp_path, match=None) as room:
        asterisk = await call(room, "", "1")
    assert [fact.node for fact in room.facts if isinstance(fact, NodeEntered)][-1] == "to_sales"
    assert all(limit >= 2.9 for limit in asterisk.armed())


@pytest.mark.asyncio
async def test_the_number_decides_flow_and_language(tmp_path: Path) -> None:
    """A Spanish number is answered in Spanish; a flow nobody wrote is the default one."""
    async with opened(tmp_path) as room:
        spanish = await call(room, "", "1", head=opening(extension="2000"))
        odd = await call(room, "", "1", head=opening(extension="3000"))
    assert spanish.variables["CHANNEL(language)"] == "es"
    assert spanish.variables["OFFHOOK_LANGUAGE"] == "es"
    assert "CHANNEL(language)" not in odd.variables
    assert odd.variables["OFFHOOK_NEXT"] == "offhook-hold,s,1"


@pytest.mark.asyncio
async def test_without_a_voice_callers_hear_stock_sounds(tmp_path: Path) -> None:
    """A machine without espeak warns once, names the cure, and no call fails for it."""
    with capture_logs() as logs:
        async with opened(tmp_path) as room:
            asterisk = await call(room, "", "1")
    assert [line.split()[2] for line in asterisk.commands if line.startswith("STREAM")] == [
        '"hello-world"', '"vm-enter-num-to-call"', '"queue-thankyou"',
    ]  # fmt: skip
    warned = [entry for entry in logs if entry["event"].startswith("prompts can't be rendered")]
    assert len(warned) == 1
    assert "apt install espeak-ng sox" in warned[0]["why"]


@pytest.mark.asyncio
async def test_a_caller_who_hangs_up_ends_the_walk(tmp_path: Path) -> None:
    """Hung up in the menu: the walk is over, nothing is queued, nothing is logged as an error."""
    with capture_logs() as logs:
        async with opened(tmp_path) as room:
            async with AsteriskSide(room.agi.port) as asterisk:
                await asterisk.play_along(lambda line: None if "enter-num" in line else b"200 result=0\n")
            ended = await room.fact(FlowEnded)
    assert isinstance(ended, FlowEnded)
    assert ended.how == "hung_up"
    assert room.told(CallQueued) == []
    assert [entry for entry in logs if entry["log_level"] in ("error", "critical")] == []


@pytest.mark.asyncio
async def test_a_refused_step_is_one_callers_failure(tmp_path: Path) -> None:
    """A walk that fails is logged, told, and the caller goes to the failsafe; the next one is served."""
    with capture_logs() as logs:
        async with opened(tmp_path) as room:
            async with AsteriskSide(room.agi.port) as asterisk:
                await asterisk.play_along(lambda s: b"510 Invalid\n" if s.startswith("STREAM") else b"200 result=1\n")
            assert asterisk.variables == {"OFFHOOK_NEXT": "offhook-failsafe,s,1"}
            assert len(room.told(CallFailedSafe)) == 1
            assert [fact.how for fact in room.facts if isinstance(fact, FlowEnded)] == ["failed"]
            assert (await call(room, "", "1")).variables["OFFHOOK_NEXT"] == "offhook-hold,s,1"
    assert [entry["call"] for entry in logs if entry["log_level"] == "error"] == [CALL]


@pytest.mark.asyncio
async def test_a_daemon_that_stops_tells_of_callers_in_the_menu(tmp_path: Path) -> None:
    """Callers in the menu when the daemon stops go to the failsafe, and the history knows it."""
    asterisk: AsteriskSide
    async with opened(tmp_path) as room:
        asterisk = AsteriskSide(room.agi.port)
        await asterisk.__aenter__()
        await asterisk.hear()
        asterisk.say(b"200 result=0\n")
        await asterisk.hear()
    assert await asterisk.hear() is None
    assert asterisk.gave_up
    asterisk.writer.close()
    assert len(room.told(CallFailedSafe)) == 1


@pytest.mark.asyncio
async def test_a_waiting_caller_comes_by(tmp_path: Path) -> None:
    """Known to wait: back to the music, and nobody is told again."""
    async with opened(tmp_path) as room:
        await call(room, "", "1")
        head = opening("hold", arguments=(CALL, "sales", "1.5", "", "en", "0", "sales"), extension="s")
        asterisk = await call(room, head=head)
    assert asterisk.variables == {"OFFHOOK_NEXT": "offhook-hold,s,1"}
    assert len(room.told(CallQueued)) == 1


@pytest.mark.asyncio
async def test_after_the_talk_the_flow_says_goodbye(tmp_path: Path) -> None:
    """A caller an agent has served hears the last word and is hung up."""
    async with opened(tmp_path) as room:
        head = opening("hold", arguments=(CALL, "sales", "1.5", "1", "en", "0", "sales"), extension="s")
        asterisk = await call(room, head=head)
    assert asterisk.variables == {"OFFHOOK_NEXT": ""}
    assert asterisk.commands[-1] == 'STREAM FILE "vm-goodbye" ""'
    assert room.told(CallQueued) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("arguments", [(CALL, "no-such-queue", "x", "", "", "inf", ""), (CALL,), ()])
async def test_a_channel_that_carries_nonsense_goes_to_the_failsafe(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """An unknown queue, broken numbers or nothing at all: the dialplan's own queue, not a lost caller."""
    async with opened(tmp_path) as room:
        asterisk = await call(room, head=opening("hold", arguments=arguments, extension="s"))
    assert asterisk.variables == {"OFFHOOK_NEXT": "offhook-failsafe,s,1"}
    assert len(room.told(CallFailedSafe)) == 1


@pytest.mark.asyncio
async def test_a_talk_that_begins_while_the_caller_comes_by_is_not_cut(tmp_path: Path) -> None:
    """The time limit on the caller's leg is cleared when the talk begins near a session of ours, and only then."""
    connected = CallConnected(at=0.0, call=CALL, leg=LegId("1700.1"), peer=LegId("agent"))
    async with opened(tmp_path) as room:
        await call(room, "", "1")
        room.bus.publish(connected)
        order = await room.pbx.wait_for(VariableSet)
        assert (order.leg, order.name, order.value) == ("1700.1", "TIMEOUT(absolute)", "0")
        room.clock.advance(6)
        room.bus.publish(connected)
        room.pbx.fail_next(VariableSet, Unavailable("AMI"))
    assert len(room.pbx.of(VariableSet)) == 1


@pytest.mark.asyncio
async def test_the_doctor_is_answered(tmp_path: Path) -> None:
    """`check` empties OFFHOOK_NEXT, which nobody who merely closes the connection would have done."""
    async with opened(tmp_path) as room:
        asterisk = await call(room, head=opening("check", arguments=(CALL, "nonce")))
    assert (asterisk.commands, asterisk.gave_up) == (['SET VARIABLE "OFFHOOK_NEXT" ""'], False)


@pytest.mark.asyncio
async def test_nothing_is_kept_of_a_call_that_is_over(tmp_path: Path) -> None:
    """After the call's end its match is forgotten: the same name would be a new call."""
    async with opened(tmp_path) as room:
        room.bus.publish(CallEnded(at=0.0, call=CALL, ended_by=EndedBy.CALLER))
        await call(room, "", "1")
    (queued,) = room.told(CallQueued)
    assert isinstance(queued, CallQueued)
    assert queued.priority == 0


@pytest.mark.asyncio
async def test_a_broken_flow_stops_the_opening(tmp_path: Path) -> None:
    """A mistake in a flow is found at start, with its line, not by a caller."""
    (tmp_path / "default.yaml").write_text("start: out\nfallback: out\nnodes:\n  out: {kind: park}\n")
    with pytest.raises(ConfigError, match=re.escape("default.yaml:4")):
        async with opened(tmp_path, flows=tmp_path):
            pass
