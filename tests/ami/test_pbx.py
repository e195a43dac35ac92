"""The PBX port over a manager session: what each order becomes on the wire, and what each answer becomes for us."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cti.ami.client import AmiClient
from cti.ami.pbx import AmiPbx
from cti.clock import SteadyClock
from cti.errors import PeerError, Refused, Unavailable
from cti.ids import AgentId, CallId, LegId, leg_of_offer, offer_id
from cti.pbx import Pbx
from cti.settings import PbxSettings
from tests.ami.scripted_asterisk import Reply, ScriptedAsterisk, response, scripted_asterisk

LEG = leg_of_offer(offer_id(CallId("1795322658.37"), AgentId("ann"), 1_800_000_000.0))
LOCAL = "Local/ann@offhook-demo-phones/n"


def says(message: str) -> Reply:
    """An answer of `Response: Error` with this message."""
    return lambda action: [response(action, f"Message: {message}", result="Error")]


@asynccontextmanager
async def pbx_over(asterisk: ScriptedAsterisk) -> AsyncIterator[Pbx]:
    """The port, once the session under it is up."""
    settings = PbxSettings(port=asterisk.port, action_timeout_s=1.0)
    up = asyncio.Event()

    async def on_up() -> None:
        up.set()

    client = AmiClient(
        settings,
        "s3cret",
        SteadyClock(),
        on_frames=lambda frames: None,
        on_up=on_up,
        on_down=lambda why: None,
    )
    running = asyncio.create_task(client.run())
    try:
        await asyncio.wait_for(up.wait(), 5)
        yield AmiPbx(client, settings)
    finally:
        running.cancel()
        await asyncio.wait({running})


@pytest.mark.asyncio
async def test_ring() -> None:
    """One asynchronous Originate under our own ChannelId, into the pick context, with the caller's channel and call."""
    async with scripted_asterisk() as asterisk, pbx_over(asterisk) as pbx:
        await pbx.ring(LEG, "PJSIP/ann", "PJSIP/trunk-00000022", "+886911222333", "Zoë Müller", 20.0)
        assert asterisk.named("Originate")[0]["text"].split("\r\n")[2:-2] == [
            "Channel: PJSIP/ann",
            "Context: offhook-pick",
            "Exten: agent",
            "Priority: 1",
            "Timeout: 20000",
            'CallerID: "Zoë Müller" <+886911222333>',
            "Async: true",
            f"ChannelId: {LEG}",
            "Variable: OFFHOOK_CALLER=PJSIP/trunk-00000022",
            "Variable: OFFHOOK_CALL=1795322658.37",
        ]


@pytest.mark.asyncio
async def test_ring_a_local_phone_names_both_halves() -> None:
    """The far half of a Local phone gets a name we know, so that it can be answered for the agent."""
    async with scripted_asterisk() as asterisk, pbx_over(asterisk) as pbx:
        await pbx.ring(LEG, LOCAL, "PJSIP/trunk-1", "", "", 20.0)
        assert asterisk.named("Originate")[0]["OtherChannelId"] == f"{LEG};2"


@given(st.text(max_size=200), st.text(max_size=60))
@example('"><0> \r\nAction: Hangup\r\n\r\n', '"\\,|')
def test_ring_for_a_hostile_caller(name: str, number: str) -> None:
    """Whatever a caller is called, exactly one Originate arrives, with its own lines and no others."""

    async def ring() -> str:
        async with scripted_asterisk() as asterisk, pbx_over(asterisk) as pbx:
            await pbx.ring(LEG, "PJSIP/ann", "PJSIP/trunk-1", number, name, 20.0)
            assert [action["Action"] for action in asterisk.actions] == ["Challenge", "Login", "Originate"]
            return asterisk.actions[-1]["text"]

    assert asyncio.run(ring()).count("\r\n") == 13


@pytest.mark.asyncio
async def test_ring_beside_a_channel_that_cannot_be_passed_on() -> None:
    """A channel name Asterisk would split rings nobody and says so."""
    async with scripted_asterisk() as asterisk, pbx_over(asterisk) as pbx:
        with pytest.raises(PeerError, match="OFFHOOK_CALLER"):
            await pbx.ring(LEG, "PJSIP/ann", "PJSIP/trunk,OFFHOOK_CALL=2", "", "", 20.0)
        assert not asterisk.named("Originate")


@pytest.mark.asyncio
async def test_ring_refused_and_silent() -> None:
    """Asterisk's no is a PeerError; its silence is Unavailable, and the order is not repeated."""
    async with scripted_asterisk() as asterisk, pbx_over(asterisk) as pbx:
        asterisk.replies["Originate"] = says("Extension does not exist.")
        with pytest.raises(PeerError, match="Extension does not exist"):
            await pbx.ring(LEG, "PJSIP/ann", "PJSIP/trunk-1", "", "", 20.0)
        asterisk.replies["Originate"] = lambda action: None
        with pytest.raises(Unavailable):
            await pbx.ring(LEG, "PJSIP/ann", "PJSIP/trunk-1", "", "", 20.0)
        assert len(asterisk.named("Originate")) == 2


@pytest.mark.asyncio
async def test_hang_up() -> None:
    """By Uniqueid, with a cause; a leg that is gone is no error, a right we lack is."""
    async with scripted_asterisk() as asterisk, pbx_over(asterisk) as pbx:
        await pbx.hang_up(LEG)
        assert asterisk.named("Hangup")[0]["text"].split("\r\n")[2:-2] == [f"Channel: {LEG}", "Cause: 16"]
        asterisk.replies["Hangup"] = says("No such channel")
        await pbx.hang_up(LEG)
        asterisk.replies["Hangup"] = says("Permission denied")
        with pytest.raises(PeerError, match="Permission denied"):
            await pbx.hang_up(LEG)


@pytest.mark.asyncio
async def test_pick_up() -> None:
    """A hand-free phone's far half goes to `answered`; one that has stopped ringing says so."""
    async with scripted_asterisk() as asterisk, pbx_over(asterisk) as pbx:
        await pbx.pick_up(LEG, LOCAL)
        assert asterisk.named("Redirect")[0]["text"].split("\r\n")[2:-2] == [
            f"Channel: {LEG};2",
            "Context: offhook-demo-phones",
            "Exten: answered",
            "Priority: 1",
        ]
        asterisk.replies["Redirect"] = says("Channel does not exist: x")
        with pytest.raises(Refused, match="not-ringing"):
            await pbx.pick_up(LEG, LOCAL)


@pytest.mark.asyncio
@pytest.mark.parametrize("phone", ["PJSIP/ann", "Local/ann@another", "Local/ann", "PJSIP/x@offhook-demo-phones"])
async def test_other_phones_are_answered_by_hand(phone: str) -> None:
    """What we can't answer from here is refused, and nothing is sent."""
    async with scripted_asterisk() as asterisk, pbx_over(asterisk) as pbx:
        with pytest.raises(Refused, match="phone-by-hand"):
            await pbx.pick_up(LEG, phone)
        assert not asterisk.named("Redirect")


@pytest.mark.asyncio
async def test_set_variable() -> None:
    """Listed names are set, also on a leg that has just gone; others are refused before they are sent."""
    async with scripted_asterisk() as asterisk, pbx_over(asterisk) as pbx:
        await pbx.set_variable(LegId("1.1"), "TIMEOUT(absolute)", "0")
        sent = asterisk.named("Setvar")[0]
        assert (sent["Channel"], sent["Variable"], sent["Value"]) == ("1.1", "TIMEOUT(absolute)", "0")
        asterisk.replies["Setvar"] = says("No such channel")
        await pbx.set_variable(LegId("1.1"), "OFFHOOK_NEXT", "")
        with pytest.raises(ValueError, match="Variable"):
            await pbx.set_variable(LegId("1.1"), "SHELL(x)", "0")
