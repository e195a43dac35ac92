"""The voc room on the real bus and the real store, on both engines, and killed in the middle."""

import json
from dataclasses import replace

import pytest
from sqlalchemy import select

from cti.errors import Refused
from cti.events import CallMerged, ContactOutcome, WrapUpEnd, WrapUpEnded
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
from tests.voc.floor import OLDER, Floor, open_floor
from tests.voc.life import ANI, ANN, CALL, T, abandoned_call, answered_call, arrived, ended, in_the_menu, queued
from voc.store import contact_table, linkedid_table, step_table


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
