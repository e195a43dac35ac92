"""Attached to an Asterisk on a real socket: what is on the bus after logins, cuts, restarts and wrong pictures."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from cti.ami.action import Verb
from cti.ami.attach import AmiLink
from cti.ami.client import Pauses
from cti.bus.local import LocalBus
from cti.clock import SteadyClock
from cti.errors import Unavailable
from cti.events import CallArrived, CallEnded, EndedBy, Fact, PbxLost, PbxSynced
from cti.health import Health
from cti.settings import PbxSettings, Settings
from tests.ami.replayed import ReplayedAsterisk
from tests.ami.scripted_asterisk import Headers, ScriptedAsterisk, frame, response, scripted_asterisk

QUICK = Pauses(first_s=0.02, longest_s=0.05, refused_s=0.05)


class Attached:
    """A link with everything it published, and the lists its Asterisk answers with."""

    def __init__(self, asterisk: ScriptedAsterisk, reconcile_s: float = 60.0) -> None:
        self.asterisk = asterisk
        self.lists = ReplayedAsterisk()
        self.facts: list[Fact] = []
        self.health = Health()
        pbx = PbxSettings.model_validate({"port": asterisk.port, "secret": "s3cret", "reconcile_s": reconcile_s})
        self.bus = LocalBus()
        self.bus.hear(Fact, self._hear)
        self.link = AmiLink(Settings(pbx=pbx), self.bus, SteadyClock(), self.health, pauses=QUICK, second_look_s=0.05)
        self._changed = asyncio.Event()
        asterisk.replies["CoreStatus"] = lambda action: [response(action, self.lists.status())]
        for verb in (Verb.CORE_SHOW_CHANNELS, Verb.BRIDGE_LIST, Verb.DEVICE_STATE_LIST):
            asterisk.replies[verb] = self.list_of(verb)

    def list_of(self, verb: Verb) -> Callable[[Headers], list[str]]:
        """The reply to a list action: what the lists say at the moment it is asked for."""

        def reply(action: Headers) -> list[str]:
            mark = f"ActionID: {action['ActionID']}"
            rows = [f"{row}\r\n{mark}" for row in self.lists.rows(verb)]
            return [
                response(action, "EventList: start"),
                *rows,
                f"Event: {verb}Complete\r\n{mark}\r\nEventList: Complete",
            ]

        return reply

    def _hear(self, fact: Fact) -> None:
        self.facts.append(fact)
        self._changed.set()

    def kinds(self) -> list[str]:
        """The names of the Facts so far."""
        return [type(fact).__name__ for fact in self.facts]

    def ended(self) -> list[CallEnded]:
        """The ends so far."""
        return [fact for fact in self.facts if isinstance(fact, CallEnded)]

    async def until(self, claim: Callable[[], object]) -> None:
        """Until `claim` holds, looked at after every Fact."""
        async with asyncio.timeout(10):
            while not claim():
                self._changed.clear()
                await self._changed.wait()

    async def synced(self, times: int = 1) -> None:
        """Until the list has been read so many times."""
        await self.until(lambda: self.kinds().count("PbxSynced") >= times)

    def cut(self) -> None:
        """The connection breaks."""
        self.asterisk.connections[-1].transport.abort()


@asynccontextmanager
async def attached(reconcile_s: float = 60.0) -> AsyncIterator[Attached]:
    """A link not yet open, to a scripted Asterisk."""
    async with scripted_asterisk() as asterisk:
        yield Attached(asterisk, reconcile_s)


def caller(leg: str, context: str = "offhook-hold") -> dict[str, str]:
    """A caller's channel, as listed."""
    line = {"Uniqueid": leg, "Linkedid": leg, "Channel": f"PJSIP/trunk-{leg}", "ChannelState": "6", "BridgeId": ""}
    return line | {"CallerIDNum": "0911", "CallerIDName": "Ann", "Context": context, "Exten": "s"}


def happened(event: str, leg: str, *lines: str) -> bytes:
    """An event about a caller's channel."""
    headers = [f"{key}: {value}" for key, value in caller(leg, "from-trunk").items()]
    return frame(f"Event: {event}", *lines, *headers)


@pytest.mark.asyncio
async def test_the_list_is_told_before_the_pbx_is_synced() -> None:
    """Who was there before us arrives inferred; PbxSynced follows and names every call."""
    async with attached() as here:
        here.lists.channels["1.1"] = caller("1.1")
        assert not here.health.parts
        async with here.link.open():
            assert not here.health.parts["pbx"].is_up
            await here.synced()
            assert here.health.parts["pbx"].is_up
        arrived, synced = here.facts
        assert isinstance(arrived, CallArrived)
        assert arrived.inferred
        assert isinstance(synced, PbxSynced)
        assert (synced.calls, synced.talking, synced.restarted) == (("1.1",), (), False)


@pytest.mark.asyncio
async def test_events_are_told_as_they_come() -> None:
    """A call after the sync arrives and ends by Asterisk's own words."""
    async with attached() as here, here.link.open():
        await here.synced()
        here.asterisk.say(happened("Newchannel", "1.1") + happened("HangupRequest", "1.1"))
        here.asterisk.say(happened("Hangup", "1.1", "Cause: 16"))
        await here.until(here.ended)
        assert here.kinds() == ["PbxSynced", "CallArrived", "CallEnded"]
        assert here.ended()[0].ended_by is EndedBy.CALLER
        assert not any(fact.inferred for fact in here.facts)


@pytest.mark.asyncio
async def test_events_wait_while_the_list_is_read() -> None:
    """What happens during the reading is told after the difference, and before PbxSynced."""
    async with attached() as here:
        here.lists.channels["1.1"] = caller("1.1")
        rooms = here.list_of(Verb.BRIDGE_LIST)

        def meanwhile(action: Headers) -> list[str]:
            here.asterisk.say(happened("Newchannel", "2.1") + happened("Hangup", "1.1", "Cause: 16"))
            return rooms(action)

        here.asterisk.replies["BridgeList"] = meanwhile
        async with here.link.open():
            await here.synced()
        told = [(type(fact).__name__, getattr(fact, "call", ""), fact.inferred) for fact in here.facts]
        assert told[:3] == [("CallArrived", "1.1", True), ("CallArrived", "2.1", False), ("CallEnded", "1.1", False)]
        assert isinstance(here.facts[3], PbxSynced)
        assert here.facts[3].calls == ("2.1",)


@pytest.mark.asyncio
async def test_a_cut_is_told_once_and_made_good() -> None:
    """PbxLost, then back by ourselves: a call that went meanwhile has ended, one that stayed goes on."""
    async with attached() as here:
        here.lists.channels = {"1.1": caller("1.1"), "2.1": caller("2.1")}
        async with here.link.open():
            await here.synced()
            del here.lists.channels["1.1"]
            here.cut()
            await here.synced(2)
        assert here.kinds().count("PbxLost") == 1
        (ended,) = here.ended()
        assert (ended.call, ended.ended_by, ended.inferred) == ("1.1", EndedBy.UNKNOWN, True)
        assert isinstance(here.facts[-1], PbxSynced)
        assert (here.facts[-1].calls, here.facts[-1].restarted) == (("2.1",), False)


@pytest.mark.asyncio
async def test_an_end_on_its_way_is_not_guessed() -> None:
    """A channel missing from the list whose Hangup came while it was read ends with Asterisk's own cause."""
    async with attached() as here:
        here.lists.channels["1.1"] = caller("1.1")
        async with here.link.open():
            await here.synced()
            del here.lists.channels["1.1"]
            rooms = here.list_of(Verb.BRIDGE_LIST)

            def meanwhile(action: Headers) -> list[str]:
                here.asterisk.say(happened("HangupRequest", "1.1") + happened("Hangup", "1.1", "Cause: 16"))
                return rooms(action)

            here.asterisk.replies["BridgeList"] = meanwhile
            here.cut()
            await here.synced(2)
        (ended,) = here.ended()
        assert (ended.ended_by, ended.cause, ended.inferred) == (EndedBy.CALLER, 16, False)


@pytest.mark.asyncio
async def test_a_restarted_asterisk_is_recognised() -> None:
    """Another start time: whatever was up is over, whoever is listed now is new."""
    async with attached() as here:
        here.lists.channels["1.1"] = caller("1.1")
        async with here.link.open():
            await here.synced()
            here.lists.started = "09:30:00"
            here.lists.channels = {"3.1": caller("3.1")}
            here.cut()
            await here.synced(2)
        assert here.kinds() == ["CallArrived", "PbxSynced", "PbxLost", "CallEnded", "CallArrived", "PbxSynced"]
        assert here.ended()[0].ended_by is EndedBy.PBX_RESTART
        assert isinstance(here.facts[-1], PbxSynced)
        assert (here.facts[-1].calls, here.facts[-1].restarted) == (("3.1",), True)


@pytest.mark.asyncio
async def test_a_shutdown_is_told_before_the_socket_breaks() -> None:
    """Asterisk's own word that it goes is the loss; the broken socket after it is no second one."""
    async with attached() as here, here.link.open():
        await here.synced()
        here.asterisk.say(frame("Event: Shutdown", "Shutdown: Cleanly", "Restart: False"))
        await here.until(lambda: "PbxLost" in here.kinds())
        assert isinstance(here.facts[-1], PbxLost)
        assert here.facts[-1].why == "Asterisk is shutting down"
        assert not here.health.parts["pbx"].is_up
        here.cut()
        await here.synced(2)
        assert here.kinds() == ["PbxSynced", "PbxLost", "PbxSynced"]


@pytest.mark.asyncio
async def test_a_wrong_picture_is_corrected_after_two_looks() -> None:
    """A call whose Hangup was never heard is closed by the periodic comparison, and the one beside it is not."""
    async with attached(reconcile_s=0.05) as here:
        here.lists.channels = {"1.1": caller("1.1"), "2.1": caller("2.1")}
        async with here.link.open():
            await here.synced()
            del here.lists.channels["1.1"]
            await here.until(here.ended)
            looked = len(here.asterisk.named("CoreStatus"))
            await here.asterisk.wait_until(lambda: len(here.asterisk.named("CoreStatus")) >= looked + 3)
        (ended,) = here.ended()
        assert (ended.call, ended.ended_by, ended.inferred) == ("1.1", EndedBy.UNKNOWN, True)
        assert here.kinds().count("PbxSynced") == 1


@pytest.mark.asyncio
async def test_one_look_is_not_believed() -> None:
    """A list that misses a channel once, as one read while an event is on its way does, ends no call."""
    async with attached(reconcile_s=0.05) as here:
        here.lists.channels["1.1"] = caller("1.1")
        async with here.link.open():
            await here.synced()
            looks = 0
            whole = here.list_of(Verb.CORE_SHOW_CHANNELS)

            def blink(action: Headers) -> list[str]:
                nonlocal looks
                looks += 1
                line = here.lists.channels.pop("1.1")
                without = whole(action) if looks == 1 else None
                here.lists.channels["1.1"] = line
                return without or whole(action)

            here.asterisk.replies["CoreShowChannels"] = blink
            await here.asterisk.wait_until(lambda: looks >= 4)
        assert here.kinds() == ["CallArrived", "PbxSynced"]


@pytest.mark.asyncio
async def test_an_unreadable_list_drops_the_link() -> None:
    """Without the right to read the list there is no truth: the link is not up, and says why."""
    async with attached() as here:
        here.asterisk.replies["CoreShowChannels"] = lambda action: [
            response(action, "Message: Permission denied", result="Error")
        ]
        async with here.link.open():
            await here.until(lambda: "PbxLost" in here.kinds())
            assert not here.link.is_up
            assert "Permission denied" in here.health.parts["pbx"].why


@pytest.mark.asyncio
async def test_a_link_given_up_is_closed() -> None:
    """After a list that could not be read, the next link is the only one: nothing is heard twice."""
    async with attached() as here:
        readable = here.asterisk.replies["DeviceStateList"]

        def at_first_not(action: Headers) -> list[str] | None:
            here.asterisk.replies["DeviceStateList"] = readable
            return [response(action, "Message: Invalid/unknown command", result="Error")]

        here.asterisk.replies["DeviceStateList"] = at_first_not
        async with here.link.open():
            await here.synced()
            first, second = here.asterisk.connections
            async with asyncio.timeout(5):
                await first.wait_closed()
            second.write(happened("Newchannel", "2.1"))
            await here.until(lambda: "CallArrived" in here.kinds())
        assert here.kinds() == ["PbxLost", "PbxSynced", "CallArrived"]


@pytest.mark.asyncio
async def test_whoever_opened_the_link_sees_his_own_error() -> None:
    """An error inside the context comes out as it is, and nothing of the link is left running."""
    before = asyncio.all_tasks()
    async with attached() as here:
        with pytest.raises(Unavailable, match="a port is busy"):
            async with here.link.open():
                raise Unavailable("FastAGI", "a port is busy")
    await asyncio.sleep(0)
    assert {task for task in asyncio.all_tasks() - before if "ami" in task.get_name()} == set()
