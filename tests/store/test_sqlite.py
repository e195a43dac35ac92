"""What only the SQLite adapter promises: no scans in the loop, patience with a lock, a process that ends."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import Column, Integer, MetaData, String, Table, bindparam, func, insert, select

from cti.errors import Unavailable
from cti.store import Store
from cti.store.engine import open_store

METADATA = MetaData()
NOTE = Table("note", METADATA, Column("note", Integer, primary_key=True), Column("words", String(40)))
ADD = insert(NOTE)
ONE = select(NOTE.c.words).where(NOTE.c.note == bindparam("note"))
BY_WORDS = select(NOTE.c.note).where(NOTE.c.words == bindparam("words"))
COUNT = select(func.count()).select_from(NOTE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "odd name %20 ?#.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE note (note INTEGER PRIMARY KEY, words TEXT)")
    connection.close()
    return file


def url_of(path: Path) -> str:
    return "sqlite:///" + str(path).replace("%", "%25").replace("?", "%3F").replace("#", "%23")


@pytest_asyncio.fixture
async def words() -> list[tuple[bool, str]]:
    return []


@pytest_asyncio.fixture
async def store(path: Path, words: list[tuple[bool, str]]) -> AsyncIterator[Store]:
    async with open_store(url_of(path), patience_s=0.6, tell=lambda is_up, why: words.append((is_up, why))) as opened:
        yield opened


@pytest.mark.asyncio
async def test_a_file_with_an_odd_name(store: Store, path: Path) -> None:
    """A path with spaces and signs that mean something in URLs is that file and no other."""
    await store.write((ADD, {"note": 1, "words": "here"}))
    assert (await store.read(ONE, {"note": 1}))[0].words == "here"
    assert sorted(file.name.removeprefix(path.name) for file in path.parent.iterdir()) == ["", "-shm", "-wal"]


@pytest.mark.asyncio
async def test_a_scan_is_refused_in_the_loop(store: Store) -> None:
    """A statement that would scan a table is refused as a point read and carried out as any other read."""
    with pytest.raises(ValueError, match="not a point read"):
        await store.point(BY_WORDS, {"words": "x"})
    assert list(await store.read(BY_WORDS, {"words": "x"})) == []


@pytest.mark.asyncio
async def test_a_point_read_is_done_at_once(store: Store) -> None:
    """A point read gives its rows without handing the loop to anybody else."""
    await store.write((ADD, {"note": 1, "words": "here"}))
    found = store.point_now(ONE, {"note": 1})
    assert found is not None
    assert found[0].words == "here"


@pytest.mark.asyncio
async def test_the_point_connection_can_t_write(store: Store) -> None:
    """The read-only connection is read only by SQLite's own word."""
    connection = store._points  # type: ignore[attr-defined]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("INSERT INTO note VALUES (9, 'x')")


@pytest.mark.asyncio
async def test_full_durability(store: Store) -> None:
    """The writer's connection is in WAL mode at synchronous FULL."""
    connection = store._writer._connection  # type: ignore[attr-defined]
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.asyncio
async def test_a_locked_file_keeps_the_writes(store: Store, path: Path, words: list[tuple[bool, str]]) -> None:
    """While another process holds the file, `write` is Unavailable in time and not written; `write_soon` is kept."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store.write_soon((ADD, {"note": 1, "words": "kept"}))
    with pytest.raises(Unavailable):
        await store.write((ADD, {"note": 2, "words": "given up"}))
    store.write_soon((ADD, {"note": 3, "words": "kept too"}))
    assert words[0][0] is False
    assert "SQLITE_BUSY" in words[0][1]
    other.execute("COMMIT")
    other.close()
    await store.write((ADD, {"note": 4, "words": "after"}))
    assert words[-1] == (True, "")
    rows = await store.read(select(NOTE.c.note).order_by(NOTE.c.note))
    assert [row.note for row in rows] == [1, 3, 4]


@pytest.mark.asyncio
async def test_readers_go_on_while_somebody_writes(store: Store, path: Path) -> None:
    """Point reads answer while another process holds the file for writing."""
    await store.write((ADD, {"note": 1, "words": "here"}))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert (await store.point(ONE, {"note": 1}))[0].words == "here"
    other.close()


@pytest.mark.asyncio
async def test_a_value_sqlite_can_t_hold_is_refused_alone(store: Store) -> None:
    """A number too big for SQLite is the asker's mistake and nobody else's."""
    ends = await asyncio.gather(
        store.write((ADD, {"note": 2**70, "words": "too big"})),
        store.write((ADD, {"note": 5, "words": "fine"})),
        return_exceptions=True,
    )
    assert isinstance(ends[0], Exception)
    assert ends[1] is None
    assert (await store.point(ONE, {"note": 5}))[0].words == "fine"


@pytest.mark.asyncio
async def test_closing_while_locked_ends(path: Path) -> None:
    """Closing gives a locked database `drain_s` seconds, tells who waits, and ends."""
    other = sqlite3.connect(path, isolation_level=None)
    async with open_store(url_of(path), drain_s=0.3) as store:
        other.execute("BEGIN IMMEDIATE")
        asked = asyncio.ensure_future(store.write((ADD, {"note": 1, "words": "lost"})))
        await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await asked
    other.close()


def test_a_forgotten_store_lets_the_process_end(path: Path) -> None:
    """A program that never closes its store still ends: no thread keeps it."""
    program = (
        "import asyncio\n"
        "from sqlalchemy import text, select, literal\n"
        "from cti.store.engine import open_store\n"
        f"keep = open_store({url_of(path)!r})\n"
        "async def main():\n"
        "    store = await keep.__aenter__()\n"
        "    await store.read(select(literal(1)))\n"
        "asyncio.run(main())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], timeout=30, capture_output=True, cwd=Path(__file__).parents[2]
    )
    assert ended.returncode == 0, ended.stderr
