"""What other tests stand on does what it says."""

import asyncio

import pytest

from cti.clock import Clock
from cti.errors import Unavailable
from cti.ids import LegId
from cti.pbx import Pbx
from cti.testing import HandClock, HungUp, Rang, ScriptedPbx

LEG = LegId("offhook-1.1-ann-1")


@pytest.mark.asyncio
async def test_orders_are_kept_and_fail_where_told() -> None:
    """Every order is kept in turn; one told to fail fails once, and is kept too."""
    scripted = ScriptedPbx()
    pbx: Pbx = scripted
    scripted.fail_next(HungUp, Unavailable("Asterisk"))
    await pbx.ring(LEG, "PJSIP/ann", "PJSIP/trunk-1", "0911", "Zoë", 20.0)
    with pytest.raises(Unavailable):
        await pbx.hang_up(LEG)
    await pbx.hang_up(LEG)
    assert scripted.orders == [Rang(LEG, "PJSIP/ann", "PJSIP/trunk-1", "0911", "Zoë", 20.0), HungUp(LEG), HungUp(LEG)]
    assert scripted.of(HungUp) == [HungUp(LEG), HungUp(LEG)]


@pytest.mark.asyncio
async def test_an_order_can_be_waited_for() -> None:
    """A test goes on when the room has given the order, and fails when it never does."""
    scripted = ScriptedPbx()
    waiting = asyncio.create_task(scripted.wait_for(HungUp, count=2))
    await scripted.hang_up(LEG)
    await asyncio.sleep(0)
    assert not waiting.done()
    await scripted.hang_up(LEG)
    assert await waiting == HungUp(LEG)
    with pytest.raises(TimeoutError):
        await scripted.wait_for(Rang, timeout_s=0.01)


def test_the_hand_clock_moves_by_hand_and_never_back() -> None:
    """Time passes when a test says so."""
    hand = HandClock(100.0)
    clock: Clock = hand
    assert clock.now() == clock.now() == 100.0
    assert hand.advance(2.5) == clock.now() == 102.5
    with pytest.raises(ValueError, match="backwards"):
        hand.advance(-1.0)
