"""Our manager session and our PBX port against the real Asterisk."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from cti.ami.action import Action, Header, Verb
from cti.ami.client import AmiClient, Pauses
from cti.ami.link import ActionFailed
from cti.ami.pbx import AmiPbx
from cti.ami.protocol import Frame
from cti.clock import SteadyClock
from cti.demo.lab import AsteriskProgram, Lab, LabPorts
from cti.errors import Refused
from cti.ids import AgentId, CallId, LegId, leg_of_offer, offer_id
from cti.settings import PbxSettings

pytestmark = pytest.mark.pbx

CALLER = "caller-1"
PHONE = "Local/ann@offhook-demo-phones/n"


@pytest.fixture
def lonely_lab(asterisk_program: AsteriskProgram, tmp_path: Path) -> Iterator[Lab]:
    """An Asterisk without daemon and phones: every caller waits in the failsafe queue."""
    lab = Lab(asterisk_program, tmp_path / "lab", LabPorts.free(), 1, "nobody", [])
    lab.start()
    try:
        yield lab
    finally:
        lab.stop()


class Witness:
    """A session, the port over it, and every event it heard."""

    def __init__(self, lab: Lab, secret: str) -> None:
        self.events: list[Frame] = []
        self.ups = 0
        self.downs: list[str] = []
        self._changed = asyncio.Event()
        settings = PbxSettings(port=lab.ports.ami, user="offhook", secret=SecretStr(secret), ping_s=0.5)
        self.client = AmiClient(
            settings,
            secret,
            SteadyClock(),
            on_frames=self._on_frames,
            on_up=self._on_up,
            on_down=self._on_down,
            pauses=Pauses(first_s=0.1, longest_s=0.2, refused_s=0.2),
        )
        self.pbx = AmiPbx(self.client, settings)

    async def when(self, claim: Callable[[], object]) -> None:
        """Until `claim` holds."""
        async with asyncio.timeout(15):
            while not claim():
                self._changed.clear()
                await self._changed.wait()

    async def event(self, name: str, **headers: str) -> Frame:
        """The first event of this name with these headers, now or soon."""

        def found() -> list[Frame]:
            named = (frame for frame in self.events if frame.event == name)
            return [frame for frame in named if all(frame.get(key) == value for key, value in headers.items())]

        await self.when(found)
        return found()[0]

    def _on_frames(self, frames: list[Frame]) -> None:
        self.events += frames
        self._changed.set()

    async def _on_up(self) -> None:
        self.ups += 1
        self._changed.set()

    def _on_down(self, why: str) -> None:
        self.downs.append(why)
        self._changed.set()


@asynccontextmanager
async def witness(lab: Lab, secret: str | None = None) -> AsyncIterator[Witness]:
    """A running session."""
    seen = Witness(lab, lab.ami_secret if secret is None else secret)
    running = asyncio.create_task(seen.client.run())
    try:
        yield seen
    finally:
        running.cancel()
        await asyncio.wait({running})


async def caller_waits(seen: Witness) -> str:
    """A caller from the demo's trunk who waits; the name of the customer's channel."""
    headers = {
        Header.CHANNEL: "Local/1001@offhook-demo-trunk/n",
        Header.CONTEXT: "offhook-demo-caller",
        Header.EXTEN: "s",
        Header.PRIORITY: "1",
        Header.ASYNC: "true",
        Header.CHANNEL_ID: CALLER,
        Header.OTHER_CHANNEL_ID: f"{CALLER};2",
    }
    await seen.client.send(Action(Verb.ORIGINATE, headers, {"DEMO_ANI": "0911222333", "DEMO_PATIENCE": "60"}))
    return (await seen.event("QueueCallerJoin", Uniqueid=f"{CALLER};2")).get("Channel")


def leg(agent: str) -> LegId:
    """A leg as the distributor names it."""
    return leg_of_offer(offer_id(CallId("1795322658.37"), AgentId(agent), 1_800_000_000.0))


@pytest.mark.asyncio
async def test_ring_pick_up_hang_up(lonely_lab: Lab) -> None:
    """The phone rings under our name, is answered from here, Asterisk joins it with the caller, and it ends with 16."""
    async with witness(lonely_lab) as seen:
        await seen.when(lambda: seen.ups)
        caller = await caller_waits(seen)
        ann = leg("ann")
        await seen.pbx.ring(ann, PHONE, caller, "0911222333", 'Zoë "<img src=x>", \\\r\nAction: Logoff', 20.0)
        ringing = await seen.event("Newstate", Uniqueid=ann, ChannelStateDesc="Ringing")
        assert ringing.get("CallerIDNum") == "0911222333"
        assert ringing.get("ConnectedLineNum") == "0911222333"
        assert ringing.get("CallerIDName") == "Zoë img src=x, Action: Logoff"
        far = await seen.event("Newchannel", Uniqueid=f"{ann};2")
        assert far.get("Exten") == "ann"
        await seen.pbx.pick_up(ann, PHONE)
        joined = await seen.event("BridgeEnter", Uniqueid=f"{CALLER};2")
        await seen.event("BridgeEnter", Uniqueid=ann, BridgeUniqueid=joined.get("BridgeUniqueid"))
        await seen.pbx.set_variable(LegId(f"{CALLER};2"), "TIMEOUT(absolute)", "0")
        await seen.pbx.set_variable(LegId(f"{CALLER};2"), "OFFHOOK_NEXT", "a,b")
        told = await seen.client.send(
            Action(Verb.GETVAR, {Header.CHANNEL: f"{CALLER};2", Header.VARIABLE: "OFFHOOK_NEXT"})
        )
        assert told.get("Value") == "a,b"
        await seen.pbx.hang_up(ann)
        assert (await seen.event("Hangup", Uniqueid=ann)).get("Cause") == "16"


@pytest.mark.asyncio
async def test_what_is_gone_is_no_error(lonely_lab: Lab) -> None:
    """Orders for a leg that has gone meanwhile do what is left to do: nothing; answering it is refused."""
    async with witness(lonely_lab) as seen:
        await seen.when(lambda: seen.ups)
        await seen.pbx.hang_up(leg("bob"))
        await seen.pbx.set_variable(leg("bob"), "TIMEOUT(absolute)", "0")
        with pytest.raises(Refused, match="not-ringing"):
            await seen.pbx.pick_up(leg("bob"), PHONE)


@pytest.mark.asyncio
async def test_the_same_leg_never_rings_twice(lonely_lab: Lab) -> None:
    """Our ChannelId is a second guard: Asterisk itself refuses another Originate under it."""
    async with witness(lonely_lab) as seen:
        await seen.when(lambda: seen.ups)
        await seen.pbx.ring(leg("ann"), PHONE, "PJSIP/trunk-1", "", "", 20.0)
        await seen.event("Newchannel", Uniqueid=leg("ann"))
        await seen.pbx.ring(leg("ann"), PHONE, "PJSIP/trunk-1", "", "", 20.0)
        await seen.event("OriginateResponse", Uniqueid=leg("ann"), Response="Failure")
        rows = await seen.client.collect(Action(Verb.CORE_SHOW_CHANNELS))
        assert sorted(row.get("Uniqueid") for row in rows) == [leg("ann"), f"{leg('ann')};2"]
    # Asterisk 22 does not end by itself once it has refused half of a Local channel.
    lonely_lab.kill()


@pytest.mark.asyncio
async def test_login_lists_and_refusals(lonely_lab: Lab) -> None:
    """A wrong secret is named; with the right one lists come whole, and a no is heard as one."""
    async with witness(lonely_lab, "wrong") as seen:
        await seen.when(lambda: seen.downs)
        assert seen.downs == ["login refused: user 'offhook': Authentication failed"]
    async with witness(lonely_lab) as seen:
        await seen.when(lambda: seen.ups)
        assert await seen.client.collect(Action(Verb.CORE_SHOW_CHANNELS)) == []
        assert (await seen.client.send(Action(Verb.CORE_STATUS))).get("CoreStartupDate")
        with pytest.raises(ActionFailed, match="Channel not specified"):
            await seen.client.send(Action(Verb.REDIRECT, {Header.CONTEXT: "x"}))


@pytest.mark.asyncio
async def test_asterisk_freezes_dies_and_comes_back(lonely_lab: Lab) -> None:
    """A frozen Asterisk is found by pings, a killed one by its socket; after each the session is up again."""
    async with witness(lonely_lab) as seen:
        await seen.when(lambda: seen.ups == 1)
        lonely_lab.freeze()
        await seen.when(lambda: seen.downs)
        assert seen.downs == ["Asterisk left 2 pings unanswered"]
        lonely_lab.thaw()
        await seen.when(lambda: seen.ups == 2)
        lonely_lab.kill()
        await seen.when(lambda: len(seen.downs) >= 2)
        await asyncio.to_thread(lonely_lab.start)
        await seen.when(lambda: seen.ups == 3)
