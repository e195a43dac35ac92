"""The voc room on the real bus and the real store, on both engines, and killed in the middle."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import Row, select

from cti.agi import AgiSession
from cti.bus.local import LocalBus
from cti.errors import Refused
from cti.events import CallFact, CallMerged, ContactClosed, ContactOutcome, PbxSynced, WrapUpEnd, WrapUpEnded
from cti.health import Health
from cti.ids import CallId, CustomerId
from cti.requests import (
    CountContacts,
    Draft,
    ReadDraft,
    RecallOpenCalls,
    RecentContacts,
    SaveDraft,
    ShowContact,
)
from cti.rooms import Hall
from cti.settings import CelSettings, Settings
from cti.site import Site
from cti.store import Store
from cti.store.engine import open_store
from cti.store.migrate import migrate
from cti.testing import HandClock, ScriptedPbx
from tests.voc.life import ANI, ANN, CALL, T, abandoned_call, answered_call, arrived, ended, in_the_menu, queued
from tests.voc.record import TRUNK, Record, abandoned, answered, check_call, ivr_only
from voc.catchup import GRACE_S, CatchUp
from voc.cel_source import CelFile, CelSource
from voc.referee import Claim, judge
from voc.service import VocRoom
from voc.store import DROP_DRAFTS, contact_table, linkedid_table, step_table

OLDER = CallId("1700000000.1")
NOBODY = Site(queues=(), agents=(), dnis=(), not_ready_reasons=())


class NoAgi:
    """The voc room serves no dialplan script."""

    def serve(self, script: str, handler: Callable[[AgiSession], Awaitable[None]]) -> Callable[[], None]:
        raise AssertionError("voc asked for an AGI script")


class Closed:
    """The contacts the room told to be closed, and a way to wait for them."""

    def __init__(self, bus: LocalBus) -> None:
        self.facts: list[ContactClosed] = []
        self._more = asyncio.Event()
        bus.hear(ContactClosed, self._hear)

    def _hear(self, fact: ContactClosed) -> None:
        self.facts.append(fact)
        self._more.set()

    async def wait(self, count: int = 1) -> list[ContactClosed]:
        async with asyncio.timeout(10):
            while len(self.facts) < count:
                self._more.clear()
                await self._more.wait()
        return self.facts


class Floor:
    """A hall whose clock is moved by hand, and its voc room."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.clock = HandClock(T)
        self.bus = LocalBus()
        self.store = store
        self.closed = Closed(self.bus)
        self.hall = Hall(settings, NOBODY, self.clock, self.bus, store, ScriptedPbx(), NoAgi(), Health())
        self.room = VocRoom(self.hall)

    def tell(self, facts: Sequence[CallFact]) -> None:
        """Tell the bus, each Fact at its instant."""
        for fact in facts:
            self.clock.advance(max(0.0, fact.at - self.clock.now()))
            self.bus.publish(fact)

    def wait_out(self, seconds: float) -> None:
        """Let time pass, and let the room's alarm ring."""
        self.clock.advance(seconds)
        self.room.wake()

    async def rows(self) -> dict[str, Row[Any]]:
        """The contacts as the database has them once all that was told so far is durable."""
        self.room.flush()
        await self.store.write((DROP_DRAFTS, {"of_call": "nobody's"}))
        return {row.call: row for row in await self.store.read(select(contact_table))}

    def catch_up(self, source: CelSource) -> CatchUp:
        """A catching up whose passes the test makes, on the room's own history."""
        return CatchUp(self.room.history, source, TRUNK, self.store, self.clock, self.room.carry_out)


@asynccontextmanager
async def open_floor(url: str, settings: Settings | None = None) -> AsyncIterator[Floor]:
    async with open_store(url) as store:
        floor = Floor(store, settings or Settings())
        async with floor.room.open():
            yield floor


@pytest.fixture
def url(database_url: str) -> str:
    migrate(database_url)
    return database_url


@pytest_asyncio.fixture
async def floor(url: str) -> AsyncIterator[Floor]:
    async with open_floor(url) as opened:
        yield opened


@pytest.mark.asyncio
async def test_a_call_is_in_the_database_from_its_first_ring(floor: Floor) -> None:
    """The row is there while the call is still ringing: open, with who calls."""
    floor.tell([arrived()])
    row = (await floor.rows())[CALL]
    assert (row.outcome, row.ani, row.dnis, row.closed_at) == ("open", ANI, "1000", None)


@pytest.mark.asyncio
async def test_a_finished_contact_is_durable_before_it_is_told(floor: Floor) -> None:
    """ContactClosed comes once, after the row says everything."""
    floor.tell(answered_call())
    floor.wait_out(2)
    (told,) = await floor.closed.wait()
    (row,) = await floor.store.read(select(contact_table))
    assert (told.call, told.outcome, told.customer) == (CALL, ContactOutcome.ANSWERED, CustomerId("C1"))
    assert (row.outcome, row.disposition, row.note, row.customer) == ("answered", "sale", "wants a red one", "C1")
    assert json.loads(row.agents) == ["ann"]
    assert [offer["outcome"] for offer in json.loads(row.offers)] == ["lapsed", "accepted"]
    assert row.closed_at == floor.clock.now()


@pytest.mark.asyncio
async def test_told_twice_is_written_once(floor: Floor) -> None:
    """Every Fact twice, and again after the contact is closed: one row, each step once, told once."""
    floor.tell([fact for fact in abandoned_call() for _ in range(2)])
    floor.wait_out(2)
    await floor.closed.wait()
    floor.tell(abandoned_call())
    await floor.rows()
    steps = await floor.store.read(select(step_table))
    assert (len(steps), len(floor.closed.facts)) == (len(abandoned_call()), 1)


@pytest.mark.asyncio
async def test_the_next_call_sees_the_last_one(floor: Floor) -> None:
    """Past contacts of the customer, newest first, without the call that asks; counts from this number."""
    other = CallId("1800000500.1")
    floor.tell(answered_call())
    floor.tell([replace(fact, at=fact.at + 500, call=other) for fact in in_the_menu()])
    await floor.rows()
    ask = floor.hall.bus.ask
    found = await ask(RecentContacts(customer=CustomerId("C1"), ani_e164=ANI, but_not=other))
    assert [(past.call, past.outcome, past.agent, past.disposition, past.queue) for past in found] == [
        (CALL, "answered", "ann", "sale", "sales")
    ]
    assert await ask(RecentContacts(customer=CustomerId("C2"))) == ()
    counted = await ask(CountContacts(customers=(CustomerId("C1"), CustomerId("C2")), ani_e164=ANI))
    assert counted == {"C1": 1, "C2": 0}


@pytest.mark.asyncio
async def test_an_unknown_callers_contacts_are_found_by_number(floor: Floor) -> None:
    """Nobody was matched, so the number is what remains; customers' contacts from it are not shown for it."""
    facts = [replace(fact, call=OLDER) for fact in (arrived(), ended(T + 5))]
    floor.tell([*facts, *answered_call()])
    floor.wait_out(4)
    await floor.closed.wait(2)
    found = await floor.hall.bus.ask(RecentContacts(ani_e164=ANI))
    assert [past.call for past in found] == [OLDER]


@pytest.mark.asyncio
async def test_a_draft_is_kept_and_becomes_the_note_when_time_runs_out(floor: Floor) -> None:
    """Saved every two seconds, read back after a reload, and in the contact when the timer ended the wrap-up."""
    ask = floor.hall.bus.ask
    floor.tell(answered_call()[:-1])
    await ask(SaveDraft(agent=ANN, call=CALL, draft=Draft("sale", "half\0 a thought")))
    assert (await ask(ReadDraft(agent=ANN, call=CALL))).disposition == "sale"
    floor.tell([WrapUpEnded(at=T + 160, call=CALL, agent=ANN, how=WrapUpEnd.TIMED_OUT)])
    floor.wait_out(2)
    await floor.closed.wait()
    row = (await floor.rows())[CALL]
    assert (row.disposition, row.note) == ("auto-timeout", "half a thought")
    assert await ask(ReadDraft(agent=ANN, call=CALL)) == Draft()
    with pytest.raises(Refused, match="no-such-call"):
        await ask(SaveDraft(agent=ANN, call=CALL, draft=Draft()))


@pytest.mark.asyncio
async def test_a_contact_can_be_shown_open_and_closed_and_reads_the_same(floor: Floor) -> None:
    """From memory while it is open, from the database after."""
    ask = floor.hall.bus.ask
    floor.tell(answered_call())
    open_sheet = await ask(ShowContact(call=CALL))
    floor.wait_out(2)
    await floor.closed.wait()
    assert await ask(ShowContact(call=CALL)) == open_sheet
    assert open_sheet is not None
    assert [step.step for step in open_sheet.steps][:2] == ["CallArrived", "CallerMatched"]
    assert all(step.detail for step in open_sheet.steps)
    assert await ask(ShowContact(call=OLDER)) is None


@pytest.mark.asyncio
async def test_merged_calls_leave_one_row(floor: Floor) -> None:
    """The row of the younger call is gone, its steps and its linkedid belong to the surviving one."""
    floor.tell([arrived(T, OLDER), *in_the_menu(), CallMerged(at=T + 20, call=CALL, into=OLDER), queued(T + 30, OLDER)])
    floor.tell([ended(T + 40, call=OLDER)])
    floor.wait_out(2)
    await floor.closed.wait()
    rows = await floor.rows()
    steps = await floor.store.read(select(step_table.c.call, step_table.c.seq))
    linkedids = await floor.store.read(select(linkedid_table))
    assert {call: row.outcome for call, row in rows.items()} == {OLDER: "abandoned"}
    assert sorted(row.seq for row in steps) == list(range(1 + 5 + 3))
    assert {(row.linkedid, row.call) for row in linkedids} == {(OLDER, OLDER), (CALL, OLDER)}


@pytest.mark.asyncio
async def test_a_contact_merged_after_it_was_closed_leaves_one_row(floor: Floor) -> None:
    """Even then exactly one remains."""
    floor.tell([*in_the_menu(), ended(T + 6)])
    floor.wait_out(1)
    await floor.closed.wait()
    floor.tell([arrived(T, OLDER), CallMerged(at=T + 20, call=CALL, into=OLDER), ended(T + 30, call=OLDER)])
    floor.wait_out(1)
    await floor.closed.wait(2)
    assert list(await floor.rows()) == [OLDER]


@pytest.mark.asyncio
async def test_a_new_process_goes_on_where_the_old_one_was_killed(url: str) -> None:
    """Open contacts, their steps and drafts are taken up; the Facts after the restart complete them."""
    facts = answered_call()
    async with open_floor(url) as before:
        before.tell(facts[:-1])
        await before.hall.bus.ask(SaveDraft(agent=ANN, call=CALL, draft=Draft("", "typed")))
        await before.rows()
    async with open_floor(url) as after:
        assert (await after.hall.bus.ask(ReadDraft(agent=ANN, call=CALL))).note == "typed"
        after.tell([*facts[:3], facts[-1]])
        after.wait_out(2)
        await after.closed.wait()
        row = (await after.rows())[CALL]
        steps = await after.store.read(select(step_table))
    assert (row.outcome, row.disposition, row.talk_s) == ("answered", "sale", pytest.approx(60))
    assert len(steps) == len(facts)


@pytest.mark.asyncio
async def test_the_open_calls_can_be_recalled_after_a_restart(url: str) -> None:
    """Whoever starts anew is told every Fact of the open contacts, in the order they were heard, and of no closed one."""
    facts = answered_call()[:-1]
    async with open_floor(url) as before:
        before.tell(abandoned_call(OLDER))
        before.wait_out(1)
        await before.closed.wait()
        before.tell(facts)
        await before.rows()
    async with open_floor(url) as after:
        assert await after.bus.ask(RecallOpenCalls()) == tuple(facts)


@pytest.mark.asyncio
async def test_a_clean_stop_closes_what_only_lingers(url: str) -> None:
    """The call that ended in the last moment is closed; the one being written up stays open for the next start."""
    async with open_floor(url) as floor:
        floor.tell(abandoned_call(OLDER))
        floor.tell(answered_call()[:-1])
    assert [told.call for told in floor.closed.facts] == [OLDER]
    async with open_floor(url) as after:
        rows = await after.rows()
    assert rows[OLDER].closed_at is not None
    assert (rows[CALL].closed_at, rows[CALL].outcome) == (None, "answered")


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
