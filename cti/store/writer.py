"""The one writer of a SQLite file: a thread that commits in groups.

Whatever is waiting when it looks goes into one BEGIN IMMEDIATE ... COMMIT at synchronous FULL, so durability costs one
fsync for many writes. A locked, full or missing file keeps the group and tries it again, in order; a write the database
refuses (constraint, type) is refused alone, the others of its group are written. One `call_soon_threadsafe` a group.
"""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

import structlog
from prometheus_client import Histogram
from sqlalchemy.exc import DBAPIError

from cti.store.backlog import Backlog, Entry, Tell, runs_of

log = structlog.get_logger()

COMMIT = Histogram(
    "offhook_store_commit_seconds",
    "From BEGIN to durable, one group",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
)

MOST_ROWS = 2_000
"""Rows in one group: bounds how long one COMMIT holds the file and how late the first row is acknowledged."""

_BUSY_S = 0.25  # sqlite3's own wait for a lock, before we call the database away
_FIRST_RETRY_S, _LAST_RETRY_S = 0.02, 0.5

# What a database says when it can't be written now, rather than that this write is wrong.
_AWAY = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    }
)
_WAITS_FOR_A_LOCK = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
# What sqlite3 raises for a row it can't take, beside its own errors.
_REFUSALS = (sqlite3.Error, OverflowError, ValueError, TypeError)


def is_away(error: BaseException) -> bool:
    """True when the database can't be used now; False when it refused this very statement."""
    return isinstance(error, sqlite3.Error) and _code(error) in _AWAY


class SqliteWriter:
    """The thread and its connection."""

    def __init__(self, path: Path, tell: Tell, limit: int, patience_s: float) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._calls: SimpleQueue[None] = SimpleQueue()
        self.backlog = Backlog(lambda: self._calls.put(None), tell, limit, patience_s)
        self._connection = _connect(path)
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._gives_up = False
        # A daemon thread: a program that forgot to close the store still ends.
        self._thread = threading.Thread(target=self._run, name="offhook-store", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    async def close(self, drain_s: float) -> None:
        """Write what is waiting, for at most `drain_s` seconds; what is lost is logged and its askers are told."""
        self.backlog.close()
        try:
            async with asyncio.timeout(drain_s):
                await self._over
        except TimeoutError:
            self._gives_up = True
            self._calls.put(None)
        lost = self.backlog.abandon()
        if lost:
            log.error("writes lost at closing: the database was away", rows=lost)

    # --- the thread ---

    def _run(self) -> None:
        try:
            while not self._gives_up:
                entries = self.backlog.take(MOST_ROWS)
                if entries:
                    self._carry_out(entries)
                elif self.backlog.is_over:
                    break
                else:
                    self._calls.get()
        finally:
            self._connection.close()
            self._tell_loop(self._end)

    def _end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def _carry_out(self, entries: list[Entry]) -> None:
        pause_s = _FIRST_RETRY_S
        while not self._gives_up:
            wanted = self.backlog.begin(entries)
            try:
                errors = self._commit(wanted)
            except sqlite3.Error as exc:
                self._roll_back()
                self.backlog.pause(wanted)
                why = f"{exc} ({getattr(exc, 'sqlite_errorname', '?')})"
                self._tell_loop(partial(self.backlog.say_away, why))
                self._wait(pause_s)
                pause_s = min(pause_s * 2, _LAST_RETRY_S)
                self._open_again(exc)
            else:
                self.backlog.done()
                self._tell_loop(partial(self.backlog.settle, entries, errors))
                return

    def _commit(self, entries: Sequence[Entry]) -> dict[Entry, Exception]:
        """One group; raises sqlite3.Error only when the database is away."""
        if not entries:
            return {}
        began = time.perf_counter()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for text, rows in runs_of(entries):
                self._execute(text, rows)
            self._connection.execute("COMMIT")
            errors: dict[Entry, Exception] = {}
        except _REFUSALS as exc:
            if is_away(exc):
                raise
            self._roll_back()
            errors = self._one_by_one(entries)
        COMMIT.observe(time.perf_counter() - began)
        return errors

    def _one_by_one(self, entries: Sequence[Entry]) -> dict[Entry, Exception]:
        """The group again, each asker's writes behind a savepoint, to find the one that is refused."""
        errors: dict[Entry, Exception] = {}
        self._connection.execute("BEGIN IMMEDIATE")
        for entry in entries:
            self._connection.execute("SAVEPOINT one")
            try:
                for text, rows in entry.runs:
                    self._execute(text, rows)
            except _REFUSALS as exc:
                if is_away(exc):
                    raise
                errors[entry] = _refusal(entry, exc)
                self._connection.execute("ROLLBACK TO one")
            self._connection.execute("RELEASE one")
        self._connection.execute("COMMIT")
        return errors

    def _execute(self, text: str, rows: list[tuple[object, ...]]) -> None:
        if len(rows) == 1:
            self._connection.execute(text, rows[0])
        else:
            self._connection.executemany(text, rows)

    def _roll_back(self) -> None:
        # SQLite rolls back by itself when the disk is full; then there is nothing left to roll back.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _open_again(self, error: sqlite3.Error) -> None:
        if _code(error) in _WAITS_FOR_A_LOCK:
            return
        try:
            fresh = _connect(self._path)
        except sqlite3.Error:
            return
        self._connection.close()
        self._connection = fresh

    def _wait(self, pause_s: float) -> None:
        try:
            self._calls.get(timeout=pause_s)
        except Empty:
            return

    def _tell_loop(self, word: Callable[[], object]) -> None:
        try:
            self._loop.call_soon_threadsafe(word)
        except RuntimeError:
            # The loop is gone: nobody is left to be told, and nothing more will come.
            self._gives_up = True


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _refusal(entry: Entry, error: Exception) -> Exception:
    # The same kinds of error as PostgreSQL's adapter raises, and never the values: they may be numbers and names.
    text = entry.runs[0][0]
    if not isinstance(error, sqlite3.Error):
        error = sqlite3.DataError(str(error))
    return DBAPIError.instance(text, None, error, sqlite3.Error, hide_parameters=True)
