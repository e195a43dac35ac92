"""One alarm, and errands: what a room's service has beside its machine."""

import asyncio

import pytest

from cti.alarm import Alarm, Errands
from cti.clock import SteadyClock


@pytest.mark.asyncio
async def test_the_last_deadline_set_is_the_one_that_rings() -> None:
    """A deadline replaces the one before; each rings once."""
    clock, rang = SteadyClock(), asyncio.Queue[float]()
    alarm = Alarm(clock, lambda: rang.put_nowait(clock.now()))
    began = clock.now()
    alarm.set(began + 3600)
    alarm.set(began + 0.02)
    assert await rang.get() >= began + 0.019
    alarm.set(began)
    await rang.get()
    assert rang.empty()


@pytest.mark.asyncio
async def test_none_and_cancel_are_silence() -> None:
    """No deadline, no ring; a cancelled alarm can be set again."""
    clock, rang = SteadyClock(), asyncio.Queue[str]()
    alarm = Alarm(clock, lambda: rang.put_nowait("rang"))
    alarm.set(clock.now() + 0.01)
    alarm.set(None)
    alarm.set(clock.now() + 0.01)
    alarm.cancel()
    await asyncio.sleep(0.03)  # longer than either would have taken
    assert rang.empty()
    alarm.set(clock.now())
    assert await rang.get() == "rang"


@pytest.mark.asyncio
async def test_errands_are_dropped_all_at_once() -> None:
    """A room that closes leaves none of its errands running, and the group ends."""
    dropped: list[str] = []

    async def errand(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            dropped.append(name)

    async with asyncio.TaskGroup() as group:
        errands = Errands(group)
        errands.send(errand("one"))
        errands.send(errand("two"))
        await asyncio.sleep(0)
        errands.cancel()
    assert sorted(dropped) == ["one", "two"]
