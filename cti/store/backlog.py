"""Writes on their way to the disk: kept in order, bounded, withdrawn when their asker has lost patience.

The loop submits and settles, a writer (a thread for SQLite, an asyncio task for PostgreSQL) takes. A write is either
settled (durable, or refused by the database) or withdrawn before it was begun: an asker told Unavailable knows that
nothing was written. When `limit` rows are outstanding, `write` waits for room and `write_soon` is refused.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import structlog
from prometheus_client import Counter, Gauge

from cti.errors import Unavailable

log = structlog.get_logger()

ROWS = Counter("offhook_store_rows_total", "Rows written and durable")
REFUSED = Counter("offhook_store_refused_total", "Writes the database refused (constraint, type)")
TURNED_AWAY = Counter("offhook_store_turned_away_total", "Writes not taken because too many were outstanding")
OUTSTANDING = Gauge("offhook_store_outstanding_rows", "Rows waiting to become durable")

Run = tuple[Any, list[Any]]
"""What is the same for all the rows (text or statement), and the rows."""

Tell = Callable[[bool, str], None]
"""How health hears: is the database up, and why (not)."""

_CHECK_S = 0.25


class Entry:
    """One transaction of one asker: its runs in order and, where somebody waits for it, the future."""

    __slots__ = ("at", "is_running", "is_withdrawn", "rows", "runs", "waiter")

    def __init__(self, runs: list[Run], at: float, waiter: asyncio.Future[None] | None) -> None:
        self.runs = runs
        self.rows = len(runs[0][1]) if len(runs) == 1 else sum(len(rows) for _, rows in runs)
        self.at = at
        self.waiter = waiter
        self.is_running = False
        self.is_withdrawn = False


class Backlog:
    """The writes of one store. Methods of the loop and of the writer are marked."""

    def __init__(self, wake: Callable[[], None], tell: Tell, limit: int, patience_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._wake = wake
        self._tell = tell
        self._limit = limit
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._fresh: list[Entry] = []  # of this turn of the loop; the writer does not see them yet
        self._waiting: deque[Entry] = deque()
        self._held: Sequence[Entry] = ()
        self._is_idle = True
        self._is_closed = False
        self._outstanding = 0
        self._room: deque[asyncio.Future[None]] = deque()
        self._away_since: float | None = None

    # --- the loop ---

    async def write(self, runs: list[Run]) -> None:
        """Loop: submit and wait until durable. Raises Unavailable, or the database's refusal."""
        if self._outstanding >= self._limit:
            await self._wait_for_room()
        if runs:
            waiter = self._loop.create_future()
            self._submit(Entry(runs, self._loop.time(), waiter))
            await waiter

    def write_soon(self, runs: list[Run]) -> None:
        """Loop: submit and go on. Raises Unavailable when `limit` rows are outstanding already."""
        if self._outstanding >= self._limit:
            TURNED_AWAY.inc()
            raise Unavailable("database", f"{self._outstanding} rows are waiting to be written", self._away_since)
        if runs:
            self._submit(Entry(runs, self._loop.time(), None))

    def settle(self, entries: Sequence[Entry], errors: dict[Entry, Exception]) -> None:
        """Loop: these entries are done: durable, or refused with the error given."""
        self.say_back()
        written = 0
        for entry in entries:
            self._outstanding -= entry.rows
            waiter = entry.waiter
            if errors and entry in errors:
                _refuse(entry, errors[entry])
            elif not entry.is_withdrawn:
                written += entry.rows
                if waiter is not None and not waiter.done():
                    waiter.set_result(None)
        ROWS.inc(written)
        REFUSED.inc(len(errors))
        OUTSTANDING.set(self._outstanding)
        if self._room and self._outstanding < self._limit:
            self._open_room()

    def say_away(self, why: str) -> None:
        """Loop: the database can't be written now; what is waiting is kept, askers lose patience in time."""
        if self._away_since is None:
            self._away_since = self._loop.time()
            log.warning("database away, writes are kept", why=why, outstanding=self._outstanding)
            self._tell(False, why)
            self._loop.call_later(_CHECK_S, self._lose_patience)

    def say_back(self) -> None:
        """Loop: the database can be written again."""
        if self._away_since is not None:
            log.info("database back", away_s=round(self._loop.time() - self._away_since, 3))
            self._away_since = None
            self._tell(True, "")

    def close(self) -> None:
        """Loop: nothing more is taken; the writer finishes what is waiting and then sees `is_over`."""
        self._hand_over()
        with self._lock:
            self._is_closed = True
        self._wake()

    def abandon(self) -> int:
        """Loop: the writer is gone; everybody who still waits is told. Returns how many rows are lost."""
        with self._lock:
            left = [*self._held, *self._waiting]
            self._held = ()
            self._waiting.clear()
        for entry in left:
            _refuse(entry, Unavailable("database", "the store was closed before this was written"))
        self._open_room()
        return sum(entry.rows for entry in left if not entry.is_withdrawn)

    def _submit(self, entry: Entry) -> None:
        if self._is_closed:
            raise Unavailable("database", "the store is closed")
        if not self._fresh:
            # At the end of this turn of the loop: who else writes in this turn shares the group.
            self._loop.call_soon(self._hand_over)
        self._fresh.append(entry)
        self._outstanding += entry.rows

    def _hand_over(self) -> None:
        with self._lock:
            self._waiting.extend(self._fresh)
            wakes, self._is_idle = self._is_idle, False
        self._fresh.clear()
        if wakes:
            self._wake()

    async def _wait_for_room(self) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                while self._outstanding >= self._limit and not self._is_closed:
                    waiter = self._loop.create_future()
                    self._room.append(waiter)
                    await waiter
        except TimeoutError as exc:
            TURNED_AWAY.inc()
            raise Unavailable("database", f"{self._outstanding} rows are waiting to be written") from exc

    def _open_room(self) -> None:
        # Everybody wakes and looks again; who finds it full once more waits on, within the same deadline.
        while self._room:
            waiter = self._room.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def _lose_patience(self) -> None:
        if self._away_since is None:
            return
        given_up = self._loop.time() - self._patience_s
        with self._lock:
            late = [
                entry
                for entry in (*self._held, *self._waiting)
                if entry.waiter and not entry.is_running and not entry.is_withdrawn and entry.at < given_up
            ]
            for entry in late:
                entry.is_withdrawn = True
        for entry in late:
            _refuse(entry, Unavailable("database", f"could not be written within {self._patience_s:g} s"))
        self._loop.call_later(_CHECK_S, self._lose_patience)

    # --- the writer ---

    def take(self, most: int) -> list[Entry]:
        """Writer: the next entries, about `most` rows; empty when there are none, and then `wake` will be called."""
        taken: list[Entry] = []
        with self._lock:
            rows = 0
            while self._waiting and rows < most:
                entry = self._waiting.popleft()
                rows += entry.rows
                taken.append(entry)
            self._is_idle = not taken
            self._held = taken
        return taken

    def begin(self, entries: Sequence[Entry]) -> list[Entry]:
        """Writer: those of the entries that are still wanted; from now on they can't be withdrawn."""
        with self._lock:
            wanted = [entry for entry in entries if not entry.is_withdrawn]
            for entry in wanted:
                entry.is_running = True
        return wanted

    def pause(self, entries: Sequence[Entry]) -> None:
        """Writer: the attempt failed and nothing was written; they may be withdrawn until the next one."""
        with self._lock:
            for entry in entries:
                entry.is_running = False

    def done(self) -> None:
        """Writer: what was taken last is written or refused."""
        with self._lock:
            self._held = ()

    @property
    def is_over(self) -> bool:
        """Writer: closed, and nothing is waiting."""
        with self._lock:
            return self._is_closed and not self._waiting


def runs_of(entries: Sequence[Entry]) -> Iterator[Run]:
    """The runs of these entries in order; neighbours with the same text become one."""
    key: Any = None
    rows: list[Any] = []
    for entry in entries:
        for run_key, run_rows in entry.runs:
            if rows and run_key == key:
                rows.extend(run_rows)
                continue
            if rows:
                yield key, rows
            key, rows = run_key, list(run_rows)
    if rows:
        yield key, rows


def _refuse(entry: Entry, error: Exception) -> None:
    if entry.waiter is None:
        log.error("a write nobody waits for failed", rows=entry.rows, error=str(error))
    elif not entry.waiter.done():
        entry.waiter.set_exception(error)
