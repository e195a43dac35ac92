"""The store on PostgreSQL through asyncpg: one writer task that commits in groups, a small pool for reads.

A lost connection keeps the group and tries it again, in order. When it is lost inside COMMIT nobody knows whether the group
was written, so it may be written twice: statements that are upserts (`cti.store.upsert`) do no harm then.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy import URL, Row, Select, text
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from cti.errors import ConfigError, Finding, Unavailable
from cti.store import Write
from cti.store.backlog import Backlog, Entry, Run, Tell, runs_of

try:
    import asyncpg

    _RAW_ERRORS: tuple[type[Exception], ...] = (asyncpg.PostgresError, asyncpg.InterfaceError)
except ImportError:  # the extra `postgres` is not installed; SQLite needs nothing of it
    asyncpg = None
    _RAW_ERRORS = ()

log = structlog.get_logger()

MOST_ROWS = 2_000
_CONNECT_S = 5.0
_COMMAND_S = 10.0
_FIRST_RETRY_S, _LAST_RETRY_S = 0.05, 1.0

# Classes of SQLSTATE that say "not now": connection, resources, operator intervention, system, rolled back by the
# server (https://www.postgresql.org/docs/current/errcodes-appendix.html); 25006 is a standby that is read only.
_AWAY_CLASSES = ("08", "40", "53", "57", "58")
_AWAY_STATES = frozenset({"25006", "3D000"})
_ERRORS: tuple[type[Exception], ...] = (DBAPIError, OSError, TimeoutError, *_RAW_ERRORS)


def _is_away(error: BaseException) -> bool:
    if isinstance(error, OSError | TimeoutError):
        return True
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        error = error.orig or error
    state = getattr(error, "sqlstate", None)
    if not isinstance(state, str):
        return type(error).__name__ in ("InterfaceError", "OperationalError", "ConnectionDoesNotExistError")
    return state.startswith(_AWAY_CLASSES) or state in _AWAY_STATES


class PostgresStore:
    """A Store on one PostgreSQL database."""

    def __init__(self, url: URL, tell: Tell, limit: int, patience_s: float, read_s: float) -> None:
        if asyncpg is None:
            raise ConfigError(
                [Finding("settings", "database.url", "PostgreSQL needs asyncpg", "pip install 'offhook[postgres]'")]
            )
        self._engine = _engine(url)
        # One statement is its own transaction: no BEGIN and ROLLBACK around a read, two round trips less.
        self._reads = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._called = asyncio.Event()
        self._backlog = Backlog(self._called.set, tell, limit, patience_s)
        self._read_s = read_s
        self._writer: asyncio.Task[None] | None = None

    @property
    def dialect(self) -> str:
        """`postgresql`."""
        return "postgresql"

    async def start(self) -> None:
        """Look whether the server is there, and begin to write. Raises Unavailable."""
        try:
            async with asyncio.timeout(_CONNECT_S), self._reads.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except _ERRORS as exc:
            await self._engine.dispose()
            raise Unavailable("database", str(exc)) from exc
        self._writer = asyncio.create_task(self._run(), name="offhook-store")

    async def write(self, *writes: Write) -> None:
        """Carry out these writes in one transaction; returns when they are durable."""
        await self._backlog.write(_runs(writes))

    def write_soon(self, *writes: Write) -> None:
        """The same without waiting."""
        self._backlog.write_soon(_runs(writes))

    async def point(self, statement: Select[Any], parameters: Mapping[str, Any]) -> Sequence[Row[Any]]:
        """A few rows by key."""
        return await self.read(statement, parameters)

    def point_now(self, statement: Select[Any], parameters: Mapping[str, Any]) -> Sequence[Row[Any]] | None:
        """None: the server is a round trip away."""
        return None

    async def read(self, statement: Select[Any], parameters: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
        """Any read."""
        try:
            async with asyncio.timeout(self._read_s), self._reads.connect() as connection:
                found: Sequence[Row[Any]] = (await connection.execute(statement, dict(parameters or {}))).all()
                return found
        except _ERRORS as exc:
            if _is_away(exc):
                raise Unavailable("database", str(exc)) from exc
            raise

    async def close(self, drain_s: float) -> None:
        """Write what is waiting (at most `drain_s` seconds) and let go of the connections."""
        self._backlog.close()
        try:
            if self._writer is not None:
                await asyncio.wait((self._writer,), timeout=drain_s)
                self._writer.cancel()
                await asyncio.wait((self._writer,))
        finally:
            lost = self._backlog.abandon()
            if lost:
                log.error("writes lost at closing: the database was away", rows=lost)
            await self._engine.dispose()

    async def _run(self) -> None:
        while True:
            self._called.clear()
            entries = self._backlog.take(MOST_ROWS)
            if entries:
                await self._carry_out(entries)
            elif self._backlog.is_over:
                return
            else:
                await self._called.wait()

    async def _carry_out(self, entries: list[Entry]) -> None:
        pause_s = _FIRST_RETRY_S
        while True:
            wanted = self._backlog.begin(entries)
            try:
                errors = await self._commit(wanted)
            except _ERRORS as exc:
                self._backlog.pause(wanted)
                self._backlog.say_away(str(exc))
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LAST_RETRY_S)
            else:
                self._backlog.done()
                self._backlog.settle(entries, errors)
                return

    async def _commit(self, entries: Sequence[Entry]) -> dict[Entry, Exception]:
        """One group; raises only when the database is away."""
        if not entries:
            return {}
        try:
            async with asyncio.timeout(_COMMAND_S), self._engine.begin() as connection:
                for run in runs_of(entries):
                    await _execute(connection, run)
        except StatementError as exc:  # DBAPIError is one; others are values SQLAlchemy itself can't bind
            if _is_away(exc):
                raise
        else:
            return {}
        return await self._one_by_one(entries)

    async def _one_by_one(self, entries: Sequence[Entry]) -> dict[Entry, Exception]:
        errors: dict[Entry, Exception] = {}
        async with asyncio.timeout(_COMMAND_S * 6), self._engine.begin() as connection:
            for entry in entries:
                try:
                    async with connection.begin_nested():
                        for run in entry.runs:
                            await _execute(connection, run)
                except StatementError as exc:
                    if _is_away(exc):
                        raise
                    errors[entry] = exc
        return errors


async def _execute(connection: AsyncConnection, run: Run) -> None:
    (statement, _), rows = run
    await connection.execute(statement, rows if len(rows) > 1 else rows[0])


def _runs(writes: Sequence[Write]) -> list[Run]:
    runs: list[Run] = []
    for statement, parameters in writes:
        rows = [parameters] if isinstance(parameters, Mapping) else parameters
        for row in rows:
            values = dict(row)
            key = (statement, frozenset(values))
            if runs and runs[-1][0] == key:
                runs[-1][1].append(values)
            else:
                runs.append((key, [values]))
    return runs


def _engine(url: URL) -> AsyncEngine:
    return create_async_engine(
        url,
        pool_size=5,
        max_overflow=5,
        pool_timeout=_CONNECT_S,
        hide_parameters=True,
        connect_args={"timeout": _CONNECT_S, "command_timeout": _COMMAND_S},
    )
