"""The store on a SQLite file: one writer thread, point reads in the loop, everything else through aiosqlite.

A point read takes microseconds where a hop to a thread takes a hundred times that; so it is done on a read-only connection
in the loop, and a statement that would scan a table is refused at its first use.
"""

import asyncio
import sqlite3
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Row, Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from cti.errors import Unavailable
from cti.store import Write
from cti.store.backlog import Run, Tell
from cti.store.statement import Prepared, StatementBook
from cti.store.writer import SqliteWriter, is_away

_POINT_BUSY_S = 0.02
"""The longest a point read may hold the loop for somebody else's lock (WAL readers meet one only during recovery)."""


class SqliteStore:
    """A Store on one file."""

    def __init__(self, path: Path, tell: Tell, limit: int, patience_s: float, read_s: float) -> None:
        self._book = StatementBook()
        self._indexed: set[Prepared] = set()
        self._read_s = read_s
        try:
            self._writer = SqliteWriter(path, tell, limit, patience_s)
            self._points = _open_points(path)
        except sqlite3.Error as exc:
            raise Unavailable("database", f"{path}: {exc}") from exc
        self._reads = _engine_of_reads(path)
        self._writer.start()

    @property
    def dialect(self) -> str:
        """`sqlite`."""
        return "sqlite"

    def write(self, *writes: Write) -> Coroutine[Any, Any, None]:
        """Carry out these writes in one transaction; returns when they are durable."""
        return self._writer.backlog.write(self._runs(writes))

    def write_soon(self, *writes: Write) -> None:
        """The same without waiting."""
        self._writer.backlog.write_soon(self._runs(writes))

    async def point(self, statement: Select[Any], parameters: Mapping[str, Any]) -> Sequence[Row[Any]]:
        """A few rows by key, read in the loop. Raises ValueError for a statement that scans a table."""
        return self.point_now(statement, parameters)

    def point_now(self, statement: Select[Any], parameters: Mapping[str, Any]) -> Sequence[Row[Any]]:
        """`point` without awaiting."""
        prepared = self._book.find(statement, tuple(parameters))
        text, values = prepared.bind(parameters)
        try:
            if prepared not in self._indexed:
                self._refuse_scan(prepared, text, values)
            return prepared.rows(self._points.execute(text, values).fetchall())
        except sqlite3.Error as exc:
            if is_away(exc):
                raise Unavailable("database", str(exc)) from exc
            raise DBAPIError.instance(text, None, exc, sqlite3.Error, hide_parameters=True) from exc

    async def read(self, statement: Select[Any], parameters: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
        """Any other read, in aiosqlite's thread."""
        try:
            async with asyncio.timeout(self._read_s), self._reads.connect() as connection:
                found: Sequence[Row[Any]] = (await connection.execute(statement, dict(parameters or {}))).all()
                return found
        except TimeoutError as exc:
            raise Unavailable("database", f"no answer within {self._read_s:g} s") from exc
        except DBAPIError as exc:
            if exc.orig is not None and is_away(exc.orig):
                raise Unavailable("database", str(exc.orig)) from exc
            raise

    async def close(self, drain_s: float) -> None:
        """Write what is waiting (at most `drain_s` seconds) and let go of the file."""
        try:
            await self._writer.close(drain_s)
        finally:
            self._points.close()
            await self._reads.dispose()

    def _runs(self, writes: Sequence[Write]) -> list[Run]:
        runs: list[Run] = []
        for statement, parameters in writes:
            if type(parameters) is dict or isinstance(parameters, Mapping):
                text, values = self._book.find(statement, tuple(parameters)).bind(parameters)
                runs.append((text, [values]))
                continue
            for row in parameters:
                text, values = self._book.find(statement, tuple(row)).bind(row)
                if runs and runs[-1][0] == text:
                    runs[-1][1].append(values)
                else:
                    runs.append((text, [values]))
        return runs

    def _refuse_scan(self, prepared: Prepared, text: str, values: tuple[Any, ...]) -> None:
        for *_, step in self._points.execute(f"EXPLAIN QUERY PLAN {text}", values):
            if step.startswith("SCAN ") and "CONSTANT ROW" not in step:
                raise ValueError(f"not a point read, use read(): {step} in {text}")
        self._indexed.add(prepared)


def _file_uri(path: Path) -> str:
    return f"file:{quote(str(path))}"


def _open_points(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{_file_uri(path)}?mode=ro", uri=True, timeout=_POINT_BUSY_S, isolation_level=None, cached_statements=512
    )


def _engine_of_reads(path: Path) -> AsyncEngine:
    # `uri` is SQLAlchemy's to take; what else is in the query it hands to SQLite.
    url = URL.create("sqlite+aiosqlite", database=_file_uri(path), query={"mode": "ro", "uri": "true"})
    return create_async_engine(url, pool_size=2, max_overflow=2, hide_parameters=True)
