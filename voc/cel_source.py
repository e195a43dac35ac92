"""Where Asterisk's record is read from: the CSV file as it grows and is rotated, or a `cel` table, page by page.

A page is never more than about a megabyte or a few thousand rows, and is read off the loop. The mark of how far we came
survives a restart: it names the file by what it is, not by what it is called, so a rotated file is read to its end
before the new one, and a file that was cut is begun again.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import bindparam, column, literal_column, select, table
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from cti.errors import Unavailable
from cti.settings import CelSettings
from cti.store.address import read_address
from voc.cel import COLUMNS, CelLines, CelRow, row_of_table

PAGE_BYTES = 1 << 20
PAGE_ROWS = 4000
_HEAD_BYTES = 256
_PACKED = frozenset({".gz", ".bz2", ".xz", ".zst"})


@dataclass(frozen=True, slots=True)
class CelMark:
    """How far the record was read: `file` names the file by what it is ("" for a table), `place` is where to go on."""

    file: str = ""
    place: int = 0


@dataclass(frozen=True, slots=True)
class CelPage:
    """Some rows, and up to where everything has been read now."""

    rows: Sequence[CelRow]
    read_to: int


class CelSource(Protocol):
    """A record of calls that grows."""

    name: str

    def go_on_from(self, mark: CelMark) -> int:
        """Find the marked place again; places are whole numbers that grow with the record."""

    def mark_of(self, place: int) -> CelMark:
        """What to remember, so that the next reading begins at this place."""

    def pages(self, place: int) -> AsyncIterator[CelPage]:
        """All that was recorded from this place on. Raises Unavailable, OSError."""

    async def close(self) -> None:
        """Let go of what was held open."""


@dataclass(slots=True)
class _Segment:
    """One file of the record; `base` is the place of its first byte."""

    identity: str
    path: Path
    base: int
    size: int


class CelFile:
    """The record in cel_custom's CSV file. Places are bytes since the beginning of the oldest file still needed."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self._segments: list[_Segment] = []

    def go_on_from(self, mark: CelMark) -> int:
        """The place of the mark; 0, the beginning of the file as it is now, when the marked one is gone or was cut."""
        path = next((each for each in _siblings(self._path) if _is_file(each, mark.file)), None)
        self._segments = []
        if path is None or path.stat().st_size < mark.place:
            return 0
        self._segments = [_Segment(mark.file, path, 0, path.stat().st_size)]
        return mark.place

    def mark_of(self, place: int) -> CelMark:
        """The file this place is in, and where in it."""
        for segment in reversed(self._segments):
            if segment.base <= place:
                return CelMark(segment.identity, place - segment.base)
        return CelMark()

    async def pages(self, place: int) -> AsyncIterator[CelPage]:
        """All that was written since, a megabyte at a time."""
        await asyncio.to_thread(self._look_again, place)
        for segment in self._segments:
            if place > segment.base + segment.size:
                continue
            lines = CelLines(place=max(place, segment.base))
            while data := await asyncio.to_thread(_read, segment.path, lines.place - segment.base + lines.pending):
                rows = await asyncio.to_thread(_rows, lines, data)
                yield CelPage(rows, lines.place)

    async def close(self) -> None:
        """Nothing is held open between pages."""

    def _look_again(self, place: int) -> None:
        """Find each file under the name it has now, and those that came after."""
        siblings = _siblings(self._path)
        known: list[_Segment] = []
        for segment in self._segments:
            path = next((each for each in siblings if _is_file(each, segment.identity)), None)
            if path is not None and path.stat().st_size >= segment.size:
                siblings.remove(path)
                segment.path, segment.size = path, path.stat().st_size
                known.append(segment)
        since = known[-1].path.stat().st_mtime if known else None
        base = known[-1].base + known[-1].size if known else place
        for path in siblings:
            is_newer = path == self._path or (since is not None and path.stat().st_mtime > since)
            if is_newer:
                known.append(_Segment(_identity(path), path, base, path.stat().st_size))
                base += known[-1].size
        self._segments = known


def _siblings(path: Path) -> list[Path]:
    """The file and what it was rotated to, the one written last at the end."""
    found = [each for each in path.parent.glob(path.name + "*") if each.is_file() and each.suffix not in _PACKED]
    return sorted(found, key=lambda each: (each == path, each.stat().st_mtime))


def _identity(path: Path) -> str:
    """What a file is, whatever it is called: its inode, and a digest of its first bytes, since inodes are used again."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        status = os.fstat(file.fileno())
    return f"{status.st_dev}:{status.st_ino}:{len(head)}:{hashlib.sha256(head).hexdigest()[:32]}"


def _is_file(path: Path, identity: str) -> bool:
    device, _, rest = identity.partition(":")
    inode, _, rest = rest.partition(":")
    length, _, digest = rest.partition(":")
    status = path.stat()
    if f"{device}:{inode}" != f"{status.st_dev}:{status.st_ino}":
        return False
    with path.open("rb") as file:
        head = file.read(int(length or 0))
    return hashlib.sha256(head).hexdigest()[:32] == digest


def _rows(lines: CelLines, data: bytes) -> list[CelRow]:
    return list(lines.feed(data))


def _read(path: Path, at: int) -> bytes:
    with path.open("rb") as file:
        file.seek(at)
        return file.read(PAGE_BYTES)


class CelTable:
    """The record in a `cel` table with a growing `id`, as cel_odbc and cel_pgsql write it. Places are ids."""

    def __init__(self, url: str) -> None:
        address = read_address(url)
        is_sqlite = address.dialect == "sqlite"
        self._engine = create_async_engine(address.url.set(drivername="sqlite+aiosqlite") if is_sqlite else address.url)
        self.name = self._engine.url.render_as_string(hide_password=True)
        cel = table("cel", column("id"), *(column(name) for name in COLUMNS))
        columns = [cel.c.id, *(cel.c[name] for name in COLUMNS if name != "extra")]
        page = select(*columns, literal_column("''").label("extra"))
        full = select(cel.c.id, *(cel.c[name] for name in COLUMNS))
        self._pages = [
            each.where(cel.c.id >= bindparam("place")).order_by(cel.c.id).limit(PAGE_ROWS) for each in (full, page)
        ]

    def go_on_from(self, mark: CelMark) -> int:
        """The place of the mark."""
        return mark.place

    def mark_of(self, place: int) -> CelMark:
        """The place itself: ids only grow."""
        return CelMark("", place)

    async def pages(self, place: int) -> AsyncIterator[CelPage]:
        """All rows since, some thousand at a time."""
        while True:
            found = await self._page(place)
            if not found:
                return
            place = int(found[-1]["id"]) + 1
            yield CelPage([row for row in map(row_of_table, found) if row is not None], place)

    async def _page(self, place: int) -> Sequence[dict[str, Any]]:
        try:
            async with self._engine.connect() as connection:
                found = await connection.execute(self._pages[0], {"place": place})
                return [dict(row) for row in found.mappings()]
        except (SQLAlchemyError, OSError) as exc:
            if len(self._pages) > 1 and "extra" in str(exc.__cause__ or exc):
                # A table without the column `extra`, as Asterisk's own sample makes it.
                self._pages.pop(0)
                return await self._page(place)
            raise Unavailable("the CEL database", str(exc)) from exc

    async def close(self) -> None:
        """Let the connection go."""
        await self._engine.dispose()


def cel_source(settings: CelSettings) -> CelSource | None:
    """The record the settings name, None when they name none. Raises ConfigError."""
    if settings.url:
        return CelTable(settings.url)
    return None if settings.csv is None else CelFile(settings.csv)
