"""The voc room reads Asterisk's own record: what happened while we were down, or was missed, is filled in once and right."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from cti.events import ContactOutcome, EndedBy, PbxSynced
from cti.settings import CelSettings, Settings
from tests.voc.floor import OLDER, Floor, open_floor
from tests.voc.life import ANI, ANN, CALL, T, abandoned_call, arrived, ended, in_the_menu, offered, queued
from tests.voc.record import TRUNK, Record, abandoned, answered, check_call, ivr_only
from voc.catchup import GRACE_S
from voc.cel_source import CelFile
from voc.referee import Claim, judge
from voc.store import step_table


@pytest.mark.asyncio
async def test_what_happened_while_we_were_down_is_filled_in(url: str, tmp_path: Path) -> None:
    """Calls nobody watched, the call that was open when we died, not the doctor's: one contact each, and right."""
    path, record = tmp_path / "offhook.csv", Record()
    async with open_floor(url) as before:
        before.tell([arrived(T), arrived(T + 1, OLDER)])
        await before.rows()
    answered(record, CALL, T)
    record.arrive(OLDER, T + 1)
    record.hold(OLDER, T + 5)
    abandoned(record, "1800000100.1", T + 100)
    ivr_only(record, "1800000200.1", T + 200)
    check_call(record, "1800000300.1", T + 300)
    path.write_bytes(record.as_csv())
    async with open_floor(url) as after:
        after.clock.advance(1000)
        catching = after.catch_up(CelFile(path))
        after.bus.hear(PbxSynced, catching.note_sync)
        after.bus.publish(PbxSynced(at=after.clock.now(), calls=()))
        await catching.catch_up()
        after.wait_out(GRACE_S + 1)
        await catching.catch_up()
        after.wait_out(5)
        await after.closed.wait(4)
        rows = await after.rows()
        await catching.catch_up()
        assert await after.rows() == rows
    verdict = judge(record.rows, [Claim(row.call, row.outcome) for row in rows.values()], TRUNK)
    assert verdict.is_clean
    assert {call: row.outcome for call, row in rows.items()} == {
        CALL: "answered",
        OLDER: "pbx_restart",
        "1800000100.1": "abandoned",
        "1800000200.1": "ivr_only",
    }
    assert rows["1800000100.1"].ani_e164 == ANI


@pytest.mark.asyncio
async def test_what_happened_in_a_cut_is_read_from_the_record(url: str, tmp_path: Path) -> None:
    """Answered and over while the link was cut: the contact is answered, and nothing of it is kept twice."""
    path, record = tmp_path / "offhook.csv", Record()
    record.arrive(CALL, T)
    record.hold(CALL, T + 8)
    offer = record.ring(CALL, ANN, T + 20)
    record.talk(CALL, offer, T + 23, T + 40)
    record.end(CALL, T + 40.1, "offhook-hold")
    path.write_bytes(record.as_csv())
    later = Settings(cel=CelSettings(csv=tmp_path / "not-yet.csv"))
    async with open_floor(url, later) as floor:
        floor.tell([*in_the_menu(), queued(), *offered(ANN, T + 20)[1]])
        floor.tell([replace(ended(T + 50, EndedBy.UNKNOWN), inferred=True)])
        floor.bus.publish(PbxSynced(at=T + 50, calls=()))
        floor.wait_out(GRACE_S)
        assert (await floor.rows())[CALL].closed_at is None
        await floor.catch_up(CelFile(path)).catch_up()
        floor.wait_out(1)
        await floor.closed.wait()
        row = (await floor.rows())[CALL]
        kinds = [step.kind for step in await floor.store.read(select(step_table))]
    assert (row.outcome, row.talk_s, row.queue) == ("answered", pytest.approx(17, abs=1), "sales")
    assert (kinds.count("CallArrived"), kinds.count("CallQueued"), kinds.count("CallConnected")) == (1, 1, 1)


@pytest.mark.asyncio
async def test_live_and_filled_in_race_to_one_contact(floor: Floor, tmp_path: Path) -> None:
    """A call told live and read from the record at once: one row, and what was seen wins."""
    path, record = tmp_path / "offhook.csv", Record()
    abandoned(record, CALL, T)
    path.write_bytes(record.as_csv())
    catching = floor.catch_up(CelFile(path))
    floor.tell(abandoned_call())
    floor.clock.advance(GRACE_S + 5)
    await catching.catch_up()
    floor.room.wake()
    await floor.closed.wait()
    await catching.catch_up()
    rows = await floor.rows()
    assert {call: (row.outcome, row.queue, row.ended_at) for call, row in rows.items()} == {
        CALL: ("abandoned", "sales", T + 25)
    }
    assert len(floor.closed.facts) == 1


@pytest.mark.asyncio
async def test_a_young_end_is_left_to_those_who_watched(floor: Floor, tmp_path: Path) -> None:
    """Within the grace nothing is filled in, and the mark stays before the call; after it, it is."""
    path, record = tmp_path / "offhook.csv", Record()
    ivr_only(record, CALL, T)
    path.write_bytes(record.as_csv())
    catching = floor.catch_up(CelFile(path))
    floor.clock.advance(5)
    assert not await catching.catch_up()
    assert await floor.rows() == {}
    again = floor.catch_up(CelFile(path))
    floor.clock.advance(GRACE_S)
    assert await again.catch_up()
    assert list(await floor.rows()) == [CALL]


@pytest.mark.asyncio
async def test_a_lost_hang_up_is_found_in_the_record(floor: Floor, tmp_path: Path) -> None:
    """The call is open here and over there: it gets its end, and everything seen before stays."""
    path, record = tmp_path / "offhook.csv", Record()
    abandoned(record, CALL, T)
    path.write_bytes(record.as_csv())
    floor.tell([*in_the_menu(), queued()])
    floor.clock.advance(100)
    await floor.catch_up(CelFile(path)).catch_up()
    floor.wait_out(1)
    await floor.closed.wait()
    row = (await floor.rows())[CALL]
    assert (row.outcome, row.queue, row.customer, row.ended_at) == ("abandoned", "sales", "C1", T + 25)


@pytest.mark.asyncio
async def test_without_a_record_a_call_the_pbx_forgot_still_ends(url: str) -> None:
    """No CEL is configured: after the grace the contact closes as far as it came."""
    async with open_floor(url) as floor:
        floor.tell([*in_the_menu(), queued()])
        floor.bus.publish(PbxSynced(at=T + 10, calls=()))
        floor.clock.advance(GRACE_S + 1)
        await floor.room.catch_up.catch_up()
        floor.wait_out(1)
        (told,) = await floor.closed.wait()
    assert told.outcome is ContactOutcome.ABANDONED


@pytest.mark.asyncio
async def test_the_room_itself_reads_the_record_at_start(url: str, tmp_path: Path) -> None:
    """Configured by `cel.csv`, with nobody asking: what was missed is there soon after opening."""
    path, record = tmp_path / "offhook.csv", Record()
    abandoned(record, CALL, T - 100)
    path.write_bytes(record.as_csv())
    async with open_floor(url, Settings(cel=CelSettings(csv=path))) as floor:
        async with asyncio.timeout(10):
            while not (rows := await floor.rows()):
                continue
    assert rows[CALL].outcome == "abandoned"
