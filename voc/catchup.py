"""Catching up: what was missed while we were down or cut off, from Asterisk's own record into the history.

One pass reads on from where the last one stopped, settles every call that Asterisk says is over, and remembers how far
it came; a call younger than the grace is left to those who watched it live. Passes follow a start, every PbxSynced, and
one another as long as a call is left; a source that is away is tried again.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence

import structlog

from cti.clock import Clock
from cti.errors import Unavailable
from cti.events import CallEnded, CallFact, EndedBy, PbxSynced
from cti.ids import CallId
from cti.store import Store
from voc.backfill import CelCall, CelLedger, unheard
from voc.cel_source import CelMark, CelSource
from voc.history import History, Order
from voc.store import FIND_KNOWN, FIND_MARK, KEEP_MARK

log = structlog.get_logger()

GRACE_S = 10.0
"""Seconds after a call's end before we believe that nobody will tell it live."""

EVERY_S = 60.0
_SLICE = 500
"""Rows taken into account, or calls asked of the database, before the loop may do something else."""

CarryOut = Callable[[Sequence[Order]], None]


class CatchUp:
    """The passes over one source. `carry_out` takes the history's orders."""

    def __init__(
        self,
        history: History,
        source: CelSource | None,
        contexts: tuple[str, ...],
        store: Store,
        clock: Clock,
        carry_out: CarryOut,
        grace_s: float = GRACE_S,
    ) -> None:
        self._history = history
        self._source = source
        self._ledger = CelLedger(contexts)
        self._store = store
        self._clock = clock
        self._carry_out = carry_out
        self._grace_s = grace_s
        self._place: int | None = None
        self._synced: PbxSynced | None = None
        self._suspects: dict[CallId, float] = {}
        self._wanted = asyncio.Event()

    def note_sync(self, synced: PbxSynced) -> None:
        """The PBX has said which calls are up; look at the others when the grace is over, at the record now."""
        self._synced = synced
        due = self._clock.now() + self._grace_s
        self._suspects = {call: self._suspects.get(call, due) for call in self._history.not_up(synced)}
        self._wanted.set()

    def note_end(self, call: CallId) -> None:
        """A call is over; of one we did not watch all the time the record is wanted soon."""
        if not self._history.is_settled(call):
            self._wanted.set()

    async def run(self) -> None:
        """One pass after another, until cancelled."""
        while True:
            self._wanted.clear()
            is_done = True
            try:
                is_done = await self.catch_up()
            except (Unavailable, OSError) as exc:
                log.warning("asterisk's record of calls could not be read", error=str(exc))
            is_done = is_done and not self._suspects and not self._history.awaits_record()
            wait_s = EVERY_S if is_done else self._grace_s + 1.0
            try:
                async with asyncio.timeout(wait_s):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    async def catch_up(self) -> bool:
        """One pass; True when no call is left that a later pass must settle. Raises Unavailable, OSError."""
        young = 0
        if self._source is not None:
            young = await self._read_on(self._source)
        self._give_up_suspects()
        return young == 0

    async def _read_on(self, source: CelSource) -> int:
        if self._place is None:
            marks = await self._store.point(FIND_MARK, {"source": source.name})
            mark = CelMark(marks[0].file, marks[0].place) if marks else CelMark()
            self._place = await asyncio.to_thread(source.go_on_from, mark)
        async for page in source.pages(self._place):
            for number, row in enumerate(page.rows, 1):
                self._ledger.receive(row)
                if number % _SLICE == 0:
                    await asyncio.sleep(0)
            self._place = page.read_to
            await self._settle()
            await self._keep_mark(source)
        await self._settle()
        await self._settle_endless()
        await self._keep_mark(source)
        return len(self._ledger.ended(float("inf")))

    async def _keep_mark(self, source: CelSource) -> None:
        mark = await asyncio.to_thread(source.mark_of, self._ledger.mark(self._place or 0))
        await self._store.write((KEEP_MARK, {"source": source.name, "file": mark.file, "place": mark.place}))

    async def _settle(self) -> None:
        now = self._clock.now()
        ended = self._ledger.ended(now - self._grace_s)
        missed = await self._unknown(call for call in ended if not self._history.is_settled(call.call))
        for call in missed:
            self._fill_in(call, call.facts(), now)
        self._ledger.settle(call.call for call in ended)
        self._ledger.settle_strangers(now - self._grace_s)

    async def _settle_endless(self) -> None:
        """Calls without an end which the PBX does not know: it died with them."""
        if self._synced is None:
            return
        up = set(self._synced.calls)
        silent = [
            call
            for call in self._ledger.endless(self._synced.at - self._grace_s)
            if call.call not in up and not (self._history.is_open(call.call) and not self._history.is_over(call.call))
        ]
        now = self._clock.now()
        for call in await self._unknown(call for call in silent if not self._history.is_over(call.call)):
            end = CallEnded(at=call.last_at, inferred=True, call=call.call, ended_by=EndedBy.PBX_RESTART)
            self._fill_in(call, (*call.facts(), end), now)
        self._ledger.settle(call.call for call in silent)

    async def _unknown(self, calls: Iterable[CelCall]) -> list[CelCall]:
        """Those that are open in the history, or of which the database has no contact."""
        wanted = list(calls)
        asked = [call for call in wanted if not self._history.is_open(call.call)]
        known: set[str] = set()
        for start in range(0, len(asked), _SLICE):
            batch = asked[start : start + _SLICE]
            found = await self._store.read(FIND_KNOWN, {"linkedids": [call.call for call in batch]})
            known.update(row.linkedid for row in found)
        return [call for call in wanted if call.call not in known or self._history.is_open(call.call)]

    def _fill_in(self, call: CelCall, facts: Iterable[CallFact], now: float) -> None:
        log.info("contact filled in from asterisk's record", call=call.call)
        known = self._history.contact(call.call)
        if known is not None:
            facts = unheard(facts, known[1])
        self._carry_out(self._history.fill_in(call.call, facts, now))

    def _give_up_suspects(self) -> None:
        """Calls that were open and that the PBX does not know: their end as recorded, or none because it died."""
        now = self._clock.now()
        for call in [call for call, due in self._suspects.items() if due <= now]:
            del self._suspects[call]
            account = self._ledger.find(call)
            if self._history.is_over(call) or (account is not None and account.ended_at is not None):
                continue
            ended_by = EndedBy.UNKNOWN
            if self._source is not None or (self._synced is not None and self._synced.restarted):
                ended_by = EndedBy.PBX_RESTART
            at = account.last_at if account is not None else now
            if account is not None:
                self._fill_in(account, account.facts(), now)
            log.warning("a call ended unseen", call=call, ended_by=ended_by.value)
            self._carry_out(self._history.give_up(call, ended_by, at, now))
