"""Row: contacts written so that a power cut loses none (synchronous FULL), 200 tasks waiting for theirs at a time.

Ours commits what is waiting together; beside it aiosqlite as its documentation shows it, each contact its own transaction,
and the same statements by SQLAlchemy's ORM-less async engine. The floor is a bare thread that commits in groups.
"""

import asyncio
import queue
import sqlite3
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import aiosqlite
from sqlalchemy import Column, Float, MetaData, String, Table, insert
from sqlalchemy.schema import CreateIndex, CreateTable

from bench import worker
from bench.row import Figures, Goal, Row, Say, Scale, interleaved, lines_of, median_of, median_ratio, percentile
from cti.store.engine import open_store

_METADATA = MetaData()
TABLE = Table(
    "bench_contact",
    _METADATA,
    Column("call", String(64), primary_key=True),
    *(Column(f"text{number}", String(64)) for number in range(6)),
    Column("ani", String(32), index=True),
    Column("customer", String(64), index=True),
    Column("arrived_at", Float),
    Column("talk_s", Float),
)
INSERT = insert(TABLE)
TEXT = f"insert into bench_contact values ({', '.join('?' * len(TABLE.columns))})"
TASKS = 200

Contact = Mapping[str, Any]
Write = Callable[[Contact], Awaitable[None]]
"""Writes one contact and returns when it is durable."""


def contacts() -> Iterator[Contact]:
    """As many as anybody takes: eleven columns, two of them indexed."""
    for number in count():
        texts = {f"text{column}": f"value {column} of it" for column in range(6)}
        yield {
            "call": f"1700000000.{number}",
            "ani": f"+1202555{number % 9973:04}",
            "customer": f"C{number % 2000}",
            "arrived_at": 1.7e9 + number,
            "talk_s": 12.5,
            **texts,
        }


def _new_database(folder: Path) -> Path:
    path = folder / "contacts.db"
    with closing(sqlite3.connect(path)) as link:
        link.execute("pragma journal_mode = wal")
        link.execute(str(CreateTable(TABLE)))
        for index in sorted(TABLE.indexes, key=lambda one: one.name or ""):
            link.execute(str(CreateIndex(index)))
    return path


async def _written(write: Write, tasks: int, much: int) -> Figures:
    """So many tasks, each writing one after the other, until `much` are written."""
    waiting = contacts()
    made = iter([next(waiting) for _ in range(much)])
    late_s: list[float] = []

    async def work() -> None:
        for contact in made:
            began = time.perf_counter()
            await write(contact)
            late_s.append(time.perf_counter() - began)

    began, spent = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(tasks)))
    lasted, spent = time.perf_counter() - began, time.process_time() - spent
    ms = [1000 * one for one in late_s]
    times = {"p50 ms": percentile(ms, 0.5), "p99 ms": percentile(ms, 0.99)}
    return {"contacts/s": much / lasted, **times, "CPU µs/contact": 1e6 * spent / much}


async def _ours(path: Path, tasks: int, much: int) -> Figures:
    async with open_store(f"sqlite:///{path}") as store:
        return await _written(lambda contact: store.write((INSERT, contact)), tasks, much)


async def _aiosqlite(path: Path, tasks: int, much: int) -> Figures:
    names = TABLE.columns.keys()
    async with aiosqlite.connect(path, isolation_level=None) as link:
        await link.execute("pragma synchronous = full")
        one_at_a_time = asyncio.Lock()  # one connection has one transaction

        async def write(contact: Contact) -> None:
            async with one_at_a_time:
                await link.execute("begin immediate")
                await link.execute(TEXT, tuple(contact[name] for name in names))
                await link.commit()

        return await _written(write, tasks, much)


async def _thread(path: Path, tasks: int, much: int) -> Figures:
    """A thread, a queue, one commit for whatever is there: no order of health, no refusals, nobody who loses patience."""
    loop, names = asyncio.get_running_loop(), TABLE.columns.keys()
    waiting: queue.SimpleQueue[tuple[tuple[Any, ...], asyncio.Future[None]] | None] = queue.SimpleQueue()

    def settle(group: list[tuple[tuple[Any, ...], asyncio.Future[None]]]) -> None:
        for _, future in group:
            future.set_result(None)

    def commit() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as link:
            link.execute("pragma synchronous = full")
            while (first := waiting.get()) is not None:
                group = [first]
                while not waiting.empty() and (more := waiting.get()) is not None:
                    group.append(more)
                link.execute("begin immediate")
                link.executemany(TEXT, [values for values, _ in group])
                link.execute("commit")
                loop.call_soon_threadsafe(settle, group)

    async def write(contact: Contact) -> None:
        future: asyncio.Future[None] = loop.create_future()
        waiting.put((tuple(contact[name] for name in names), future))
        await future

    thread = threading.Thread(target=commit)
    thread.start()
    try:
        return await _written(write, tasks, much)
    finally:
        waiting.put(None)
        thread.join()


def _measure(subject: Callable[[Path, int, int], Any], tasks: int, much: int) -> Figures:
    with tempfile.TemporaryDirectory(dir=worker.RUN_DIR) as folder:
        found: Figures = asyncio.run(subject(_new_database(Path(folder)), tasks, much))
        return found


def run(scale: Scale, say: Say) -> Row:
    """Groups, one by one, and alone."""
    ours, theirs, floor = (
        f"ours, {TASKS} tasks",
        f"aiosqlite, one commit each, {TASKS} tasks",
        f"bare thread, {TASKS} tasks",
    )
    many, few = scale.of(40_000, 4_000), scale.of(2_000, 300)
    subjects: dict[str, Callable[[], Figures]] = {
        ours: lambda: _measure(_ours, TASKS, many),
        theirs: lambda: _measure(_aiosqlite, TASKS, few),
        floor: lambda: _measure(_thread, TASKS, many),
        "ours, alone": lambda: _measure(_ours, 1, few),
    }
    found = interleaved(subjects, scale.of(5, 2), say)
    rate = "contacts/s"
    return Row(
        title="Contacts written at FULL durability",
        how=f"Eleven columns, two indexes, WAL, synchronous FULL; {many:,} contacts a round in groups, {few:,} one by one.",
        lines=lines_of(found),
        goals=[
            Goal("rate beside aiosqlite with one commit each", median_ratio(found[ours], found[theirs], rate), 20),
            Goal("p99 until durable", median_of(found[ours])["p99 ms"], 15, True, "ms"),
            Goal("p50 until durable, alone", median_of(found["ours, alone"])["p50 ms"], 1, True, "ms"),
        ],
    )
