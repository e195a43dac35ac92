"""Where the record is read from: a file that grows, is rotated, is cut; a table that grows."""

import os
import sqlite3
from pathlib import Path

import pytest

from cti.errors import Unavailable
from tests.voc.record import Record, abandoned, csv_line
from voc.cel import COLUMNS, CelRow
from voc.cel_source import PAGE_BYTES, PAGE_ROWS, CelFile, CelMark, CelSource, CelTable

T = 1_800_000_000.0


def record_of(first: int, calls: int) -> Record:
    record = Record()
    for number in range(first, first + calls):
        abandoned(record, f"{number}.1", T + number)
    return record


def write(path: Path, record: Record, mode: str = "ab", at: float | None = None) -> None:
    with path.open(mode) as file:
        file.write(record.as_csv())
    if at is not None:
        os.utime(path, (at, at))


async def read(source: CelSource, mark: CelMark) -> tuple[list[CelRow], CelMark]:
    """Everything since the mark, and the new mark."""
    place, rows = source.go_on_from(mark), []
    async for page in source.pages(place):
        rows += page.rows
        place = page.read_to
    return rows, source.mark_of(place)


def calls_in(rows: list[CelRow]) -> list[str]:
    return list(dict.fromkeys(row.linkedid for row in rows))


@pytest.mark.asyncio
async def test_reading_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """What was read is not read again by a new process, and half a line waits for its end."""
    path = tmp_path / "offhook.csv"
    write(path, record_of(0, 3))
    rows, mark = await read(CelFile(path), CelMark())
    assert calls_in(rows) == ["0.1", "1.1", "2.1"]
    line = csv_line(rows[0])
    with path.open("ab") as file:
        file.write(line[:20])
    assert await read(CelFile(path), mark) == ([], mark)
    with path.open("ab") as file:
        file.write(line[20:])
    rows, _ = await read(CelFile(path), mark)
    assert len(rows) == 1


@pytest.mark.asyncio
async def test_a_file_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    """Asterisk has written nothing so far."""
    rows, mark = await read(CelFile(tmp_path / "offhook.csv"), CelMark())
    assert (rows, mark) == ([], CelMark())


@pytest.mark.asyncio
async def test_a_rotated_file_is_read_to_its_end_first(tmp_path: Path) -> None:
    """Rows written between the last reading and the rotation, then another rotation, then the new file: all, in order."""
    path = tmp_path / "offhook.csv"
    write(path, record_of(0, 2))
    _, mark = await read(CelFile(path), CelMark())
    write(path, record_of(2, 1), at=T)
    path.rename(tmp_path / "offhook.csv.2")
    write(path, record_of(3, 1), at=T + 10)
    path.rename(tmp_path / "offhook.csv.1")
    write(path, record_of(4, 1), at=T + 20)
    rows, mark = await read(CelFile(path), mark)
    assert calls_in(rows) == ["2.1", "3.1", "4.1"]
    assert await read(CelFile(path), mark) == ([], mark)


@pytest.mark.asyncio
async def test_a_rotation_while_we_run_loses_nothing(tmp_path: Path) -> None:
    """The same source, a rotation between two passes: places go on growing."""
    path = tmp_path / "offhook.csv"
    source = CelFile(path)
    write(path, record_of(0, 1), at=T)
    _, mark = await read(source, CelMark())
    place = source.go_on_from(mark)
    write(path, record_of(1, 1), at=T + 1)
    path.rename(tmp_path / "offhook.csv.1")
    write(path, record_of(2, 1), at=T + 2)
    pages = [page async for page in source.pages(place)]
    assert calls_in([row for page in pages for row in page.rows]) == ["1.1", "2.1"]
    assert [page.read_to for page in pages] == sorted(page.read_to for page in pages)


@pytest.mark.parametrize("size", [0, 1, 3])
@pytest.mark.asyncio
async def test_a_file_that_was_cut_is_begun_again(tmp_path: Path, size: int) -> None:
    """copytruncate: the inode stays, the rows are new, whether the file is shorter or longer than before."""
    path = tmp_path / "offhook.csv"
    write(path, record_of(0, 2))
    _, mark = await read(CelFile(path), CelMark())
    write(path, record_of(10, size), mode="wb")
    rows, _ = await read(CelFile(path), mark)
    assert calls_in(rows) == [f"{10 + number}.1" for number in range(size)]


@pytest.mark.asyncio
async def test_a_long_file_is_read_in_pages(tmp_path: Path) -> None:
    """No page holds more than about a megabyte."""
    path = tmp_path / "offhook.csv"
    record = record_of(0, 2500)
    write(path, record)
    source = CelFile(path)
    pages = [page async for page in source.pages(source.go_on_from(CelMark()))]
    assert len(pages) >= path.stat().st_size // PAGE_BYTES
    assert [row for page in pages for row in page.rows] == record.rows
    assert pages[-1].read_to == path.stat().st_size


def table_of(path: Path, record: Record, extra: bool = True) -> str:
    names = COLUMNS if extra else COLUMNS[:-1]
    with sqlite3.connect(path) as database:
        database.execute(f"CREATE TABLE IF NOT EXISTS cel (id INTEGER PRIMARY KEY, {', '.join(names)})")
        for row in record.rows:
            values = [row.kind, f"{row.at:.6f}", row.number, row.name, row.exten, row.context, row.channel]
            values += [row.app, row.app_data, row.leg, row.linkedid, row.peer, *([row.extra] if extra else [])]
            marks = ",".join("?" * len(values))
            database.execute(f"INSERT INTO cel ({', '.join(names)}) VALUES ({marks})", values)
    return f"sqlite:///{path}"


@pytest.mark.parametrize("extra", [True, False])
@pytest.mark.asyncio
async def test_a_table_is_read_in_pages_and_on_from_its_mark(tmp_path: Path, extra: bool) -> None:
    """With the column `extra` or without, as different samples of Asterisk's make the table."""
    record = record_of(0, PAGE_ROWS // 5 + 10)
    url = table_of(tmp_path / "cel.db", record, extra)
    source = CelTable(url)
    rows, mark = await read(source, CelMark())
    assert [(row.kind, row.leg, row.at) for row in rows] == [(row.kind, row.leg, row.at) for row in record.rows]
    assert all(bool(row.extra) == (extra and row.kind == "HANGUP") for row in rows)
    table_of(tmp_path / "cel.db", record_of(9000, 1), extra)
    rows, _ = await read(source, mark)
    await source.close()
    assert calls_in(rows) == ["9000.1"]


@pytest.mark.asyncio
async def test_a_table_that_is_not_there_is_said_to_be_away(tmp_path: Path) -> None:
    """A missing table or database is Unavailable, for the next pass to try again."""
    source = CelTable(f"sqlite:///{tmp_path / 'none.db'}")
    with pytest.raises(Unavailable):
        await read(source, CelMark())
    await source.close()
