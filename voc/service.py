"""The voc room: hears every Fact of a call, writes it down as it happens, closes contacts, answers for the past."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from typing import Any

import structlog
from prometheus_client import Counter

from cti.alarm import Alarm
from cti.caller import PastContact
from cti.errors import PeerError, Refused, Unavailable
from cti.events import CallEnded, CallFact, ContactClosed, Fact, PbxSynced
from cti.ids import AgentId, CallId, CustomerId
from cti.phone_number import read_number
from cti.requests import (
    ContactSheet,
    CountContacts,
    Draft,
    ReadDraft,
    RecallOpenCalls,
    RecentContacts,
    SaveDraft,
    ShowContact,
)
from cti.rooms import Hall
from cti.store import Store, Write
from voc.catchup import CatchUp
from voc.cel_source import cel_source
from voc.contact import Contact
from voc.history import LINGER_S, History, KeepContact, KeepLinkedid, KeepStep, MergeContact, Order
from voc.sentence import step_of
from voc.store import (
    COUNT_FROM_NUMBER,
    DROP_CONTACT,
    DROP_DRAFTS,
    FIND_CONTACT,
    FIND_OPEN,
    FIND_OPEN_DRAFTS,
    FIND_STEPS,
    KEEP_CONTACT,
    KEEP_DRAFT,
    KEEP_LINKEDID,
    KEEP_STEP,
    MOVE_LINKEDIDS,
    MOVE_STEPS,
    RECENT_OF_ANYONE,
    RECENT_OF_CUSTOMER,
    RECENT_OF_NUMBER,
    clean,
    fact_of,
    past_contact,
    row_of,
    sheet_of,
    step_row,
)

log = structlog.get_logger()

CONTACTS = Counter("offhook_contacts_total", "Contacts closed", ["outcome"])
STEPS_LOST = Counter("offhook_steps_lost_total", "Steps turned away because the database was away for too long")
UNREADABLE = Counter("offhook_steps_unreadable_total", "Steps a newer version wrote, passed over")

FLUSH_S = 0.005
"""Seconds for which what is to be written is gathered: one hand-over for the Facts of a burst."""

RETRY_S = 1.0
"""Seconds between tries to close contacts while the database is away; they wait in memory meanwhile."""


class VocRoom:
    """One history, one alarm, one task that closes contacts and one that catches up with Asterisk's record."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self._store = hall.store
        self._alarm = Alarm(hall.clock, self.wake)
        self._steps: list[dict[str, Any]] = []
        self._rows: dict[CallId, Contact] = {}
        self._linkedids: list[dict[str, Any]] = []
        self._flush_at: asyncio.TimerHandle | None = None
        self._closing: deque[Contact] = deque()
        self._to_close = asyncio.Event()
        self._source = cel_source(hall.settings.cel)
        self.history = History(has_record=self._source is not None)
        self.catch_up = CatchUp(
            self.history,
            self._source,
            hall.settings.pbx.trunk_contexts,
            hall.store,
            hall.clock,
            self.carry_out,
        )

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """The room, hearing and answering while the context lasts."""
        await self._restore()
        bus = self._hall.bus
        stops = [
            bus.hear((CallFact, PbxSynced), self._hear, late=True),
            bus.answer(RecentContacts, self._recent),
            bus.answer(CountContacts, self._count),
            bus.answer(SaveDraft, self._save_draft),
            bus.answer(ReadDraft, self._read_draft),
            bus.answer(ShowContact, self._show),
            bus.answer(RecallOpenCalls, self._recall),
        ]
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(self._close_contacts()), tasks.create_task(self.catch_up.run())]
                yield
                for task in running:
                    task.cancel()
        finally:
            for stop in stops:
                stop()
            await self._finish()
            if self._source is not None:
                await self._source.close()

    async def _finish(self) -> None:
        """Close what only lingers; contacts still being written up are taken up again at the next start."""
        self.carry_out(self.history.wake(self._hall.clock.now() + LINGER_S))
        self.flush()
        self._alarm.cancel()
        try:
            await self._close_waiting()
        except Unavailable as exc:
            log.error("contacts stay open until the next start", waiting=len(self._closing), error=str(exc))

    async def _restore(self) -> None:
        """Take up the contacts a former process left open."""
        now = self._hall.clock.now()
        rows = await self._store.read(FIND_OPEN)
        for call, steps in groupby(rows, key=lambda row: CallId(row.call)):
            facts, seq = [], 0
            for row in steps:
                seq = row.seq + 1
                try:
                    fact = fact_of(row.body)
                except PeerError as exc:
                    UNREADABLE.inc()
                    log.warning("a step can't be read", call=call, error=str(exc))
                    continue
                if isinstance(fact, CallFact):
                    facts.append(fact)
            self.history.restore(call, facts, seq, now)
        for row in await self._store.read(FIND_OPEN_DRAFTS):
            self.history.keep_draft(CallId(row.call), AgentId(row.agent), Draft(row.disposition, row.note))
        self._alarm.set(self.history.next_wake())
        log.info("history taken up", open=len(self.history.picture().open))

    # --- hearing and writing --------------------------------------------------------------------------------------

    def _hear(self, fact: Fact) -> None:
        orders = self.history.receive(fact, self._hall.clock.now())
        if orders:
            self.carry_out(orders)
        if isinstance(fact, PbxSynced):
            self.catch_up.note_sync(fact)
        elif isinstance(fact, CallEnded):
            self.catch_up.note_end(fact.call)

    def carry_out(self, orders: Sequence[Order]) -> None:
        """Note what is to be written, and look when the history wants to be woken."""
        for order in orders:
            if isinstance(order, KeepStep):
                self._steps.append(step_row(order.call, order.seq, order.fact))
            elif isinstance(order, KeepContact):
                self._rows[order.contact.call] = order.contact
            elif isinstance(order, KeepLinkedid):
                self._linkedids.append({"linkedid": order.linkedid, "call": order.call})
            elif isinstance(order, MergeContact):
                self.flush()
                self._store.write_soon(*_merging(order))
            else:
                self._closing.append(order.contact)
                self._to_close.set()
        if orders and self._flush_at is None:
            self._flush_at = asyncio.get_running_loop().call_later(FLUSH_S, self.flush)
        self._alarm.set(self.history.next_wake())

    def flush(self) -> None:
        """Hand everything noted so far to the store."""
        if self._flush_at is not None:
            self._flush_at.cancel()
            self._flush_at = None
        writes: list[Write] = []
        if self._linkedids:
            writes.append((KEEP_LINKEDID, self._linkedids))
        if self._rows:
            writes.append((KEEP_CONTACT, [row_of(contact) for contact in self._rows.values()]))
        if self._steps:
            writes.append((KEEP_STEP, self._steps))
        steps, self._linkedids, self._rows, self._steps = len(self._steps), [], {}, []
        if not writes:
            return
        try:
            self._store.write_soon(*writes)
        except Unavailable as exc:
            # The database has been away for so long that its backlog is full. Contacts are closed from memory later.
            STEPS_LOST.inc(steps)
            log.error("steps lost", steps=steps, error=str(exc))

    def wake(self) -> None:
        """The alarm has rung."""
        self.carry_out(self.history.wake(self._hall.clock.now()))

    async def _close_contacts(self) -> None:
        while True:
            await self._to_close.wait()
            self._to_close.clear()
            try:
                await self._close_waiting()
            except Unavailable as exc:
                log.error("contacts can't be closed", waiting=len(self._closing), error=str(exc))
                self._to_close.set()
                await asyncio.sleep(RETRY_S)

    async def _close_waiting(self) -> None:
        """Write what is complete, and tell once it is durable; all that are waiting in one transaction."""
        while self._closing:
            contacts = tuple(self._closing)
            self.flush()
            await self._store.write(*(write for contact in contacts for write in self._closing_of(contact)))
            for contact in contacts:
                self._closing.popleft()
                self._tell_closed(contact)

    def _closing_of(self, contact: Contact) -> tuple[Write, ...]:
        row = row_of(contact, closed_at=self._hall.clock.now())
        if contact.ani and not contact.ani_e164:
            # Nobody matched this caller while it lasted; by the number the next pop finds it.
            row["ani_e164"] = read_number(contact.ani, self._hall.settings.caller.region).e164
        return (KEEP_CONTACT, row), (DROP_DRAFTS, {"of_call": contact.call})

    def _tell_closed(self, contact: Contact) -> None:
        CONTACTS.labels(contact.outcome.value).inc()
        log.info("contact closed", call=contact.call, outcome=contact.outcome.value)
        now = self._hall.clock.now()
        self._hall.bus.publish(
            ContactClosed(at=now, call=contact.call, outcome=contact.outcome, customer=contact.customer)
        )

    # --- answering ------------------------------------------------------------------------------------------------

    async def _recent(self, request: RecentContacts) -> tuple[PastContact, ...]:
        """Those of the customer, and those of nobody yet from the number, newest first."""
        found: list[PastContact] = []
        most = {"but_not": request.but_not or "", "most": request.limit}
        if request.customer is not None:
            rows = await self._store.point(RECENT_OF_CUSTOMER, {"customer": request.customer, **most})
            found += map(past_contact, rows)
        if request.ani_e164:
            whose = RECENT_OF_ANYONE if request.anyone else RECENT_OF_NUMBER
            rows = await self._store.point(whose, {"ani_e164": request.ani_e164, **most})
            found += map(past_contact, rows)
        found.sort(key=lambda contact: contact.at, reverse=True)
        return tuple(found[: request.limit])

    async def _count(self, request: CountContacts) -> dict[CustomerId, int]:
        counts = dict.fromkeys(request.customers, 0)
        if request.ani_e164 and counts:
            for row in await self._store.point(COUNT_FROM_NUMBER, {"ani_e164": request.ani_e164}):
                if row.customer in counts:
                    counts[CustomerId(row.customer)] = row.times
        return counts

    async def _save_draft(self, request: SaveDraft) -> None:
        call = self.history.keep_draft(request.call, request.agent, request.draft)
        if call is None:
            raise Refused("no-such-call", "this call's contact is not open")
        row = {"disposition": clean(request.draft.disposition), "note": clean(request.draft.note)}
        self._store.write_soon((KEEP_DRAFT, {"call": call, "agent": request.agent, **row}))

    async def _read_draft(self, request: ReadDraft) -> Draft:
        return self.history.drafts.read(request.call, request.agent)

    async def _recall(self, request: RecallOpenCalls) -> tuple[CallFact, ...]:
        return self.history.recall()

    async def _show(self, request: ShowContact) -> ContactSheet | None:
        now = self.history.contact(request.call)
        if now is not None:
            contact, steps = now
            ordered = sorted(steps, key=lambda fact: fact.at)
            return sheet_of(row_of(contact), [step_of(fact) for fact in ordered])
        return await kept_sheet(self._store, request.call)


def _merging(order: MergeContact) -> list[Write]:
    moved = {"of_call": order.call, "into": order.into}
    return [
        (DROP_CONTACT, {"of_call": order.call}),
        (MOVE_STEPS, {**moved, "behind": order.seq}),
        (MOVE_LINKEDIDS, moved),
        (KEEP_LINKEDID, {"linkedid": order.call, "call": order.into}),
    ]


async def kept_sheet(store: Store, call: CallId) -> ContactSheet | None:
    """The contact as the database has it, None when there is none. Raises Unavailable."""
    rows = await store.point(FIND_CONTACT, {"call": call})
    if not rows:
        return None
    steps = []
    for row in await store.point(FIND_STEPS, {"call": call}):
        try:
            fact = fact_of(row.body)
        except PeerError:
            UNREADABLE.inc()
            continue
        if isinstance(fact, CallFact):
            steps.append(step_of(fact))
    steps.sort(key=lambda step: step.at)
    return sheet_of(rows[0]._asdict(), steps)


@asynccontextmanager
async def open_room(hall: Hall) -> AsyncIterator[None]:
    """The room, open while the context lasts."""
    async with VocRoom(hall).open():
        yield
