"""Row: whose number is this, among a million customers: our match beside the same look-up on raw sqlite3 and aiosqlite.

`point read` is one statement through our store; `whole match` is what a call costs: the number read (libphonenumber), who
has it, what agents picked before, the candidates ranked with their reasons.
"""

import asyncio
import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing

import aiosqlite

from bench import people
from bench.row import Figures, Goal, Row, Say, Scale, interleaved, lines_of, median_of, median_ratio, percentile
from cti.phone_number import read_number
from cti.store import Store
from cti.store.engine import open_store
from cti.store.statement import Prepared
from customers.match import Known, match
from customers.store import BY_NUMBER, ask_now, who_has

READ, MATCH, RAW, AIO = (
    "ours: point read",
    "ours: whole match",
    "raw sqlite3, same statement",
    "aiosqlite, same statement",
)


def _numbers(scale: Scale) -> list[str]:
    customers = people.count_of(scale)
    return [people.ani(random.randrange(customers)) for _ in range(scale.of(5_000, 1_000))]


def _timed(numbers: list[str], look_up: Callable[[str], object]) -> Figures:
    us = []
    for number in numbers:
        began = time.perf_counter()
        found = look_up(number)
        us.append(1e6 * (time.perf_counter() - began))
        assert found
    return _figures(us)


def _figures(us: list[float]) -> Figures:
    return {"p50 µs": percentile(us, 0.5), "p99 µs": percentile(us, 0.99)}


def _match(store: Store, number: str) -> object:
    answer = ask_now(store, who_has(read_number(number, "US")))
    assert answer is not None
    found, picks = answer[0]
    return match(Known(False, found, {}, picks))[1]


async def _on_store(url: str, numbers: list[str], is_whole: bool) -> Figures:
    async with open_store(url) as store:
        if is_whole:
            return _timed(numbers, lambda number: _match(store, number))
        return _timed(numbers, lambda number: store.point_now(BY_NUMBER, {"number": number}))


def _raw(url: str, numbers: list[str]) -> Figures:
    prepared = Prepared(BY_NUMBER, ("number",))
    bound = {number: prepared.bind({"number": number})[1] for number in numbers}
    with closing(sqlite3.connect(_uri(url), uri=True, isolation_level=None)) as link:
        return _timed(numbers, lambda number: link.execute(prepared.sql, bound[number]).fetchall())


async def _aiosqlite(url: str, numbers: list[str]) -> Figures:
    prepared = Prepared(BY_NUMBER, ("number",))
    us = []
    async with aiosqlite.connect(_uri(url), uri=True) as link:
        for number in numbers:
            bound = prepared.bind({"number": number})[1]
            began = time.perf_counter()
            async with link.execute(prepared.sql, bound) as cursor:
                assert await cursor.fetchall()
            us.append(1e6 * (time.perf_counter() - began))
    return _figures(us)


def _uri(url: str) -> str:
    return f"file:{url.removeprefix('sqlite:///')}?mode=ro"


def run(scale: Scale, say: Say) -> Row:
    """Four ways to the same row; every round has its own numbers."""
    url = people.url_of(scale, say)
    for_all: list[list[str]] = []

    def numbers(is_first: bool = False) -> list[str]:
        if is_first:
            for_all.append(_numbers(scale))
        return for_all[-1]

    subjects: dict[str, Callable[[], Figures]] = {
        RAW: lambda: _raw(url, numbers(is_first=True)),
        READ: lambda: asyncio.run(_on_store(url, numbers(), is_whole=False)),
        MATCH: lambda: asyncio.run(_on_store(url, numbers(), is_whole=True)),
        AIO: lambda: asyncio.run(_aiosqlite(url, numbers())),
    }
    _raw(url, numbers(is_first=True))  # warms the page cache for everybody alike
    found = interleaved(subjects, scale.of(5, 2), say)
    p50 = "p50 µs"
    return Row(
        title=f"ANI match among {people.count_of(scale):,} customers",
        how=f"{scale.of(5_000, 1_000):,} random numbers a round, the same for all; the pages warm.",
        lines=lines_of(found),
        goals=[
            Goal("p50 of the look-up beside raw sqlite3", median_ratio(found[READ], found[RAW], p50), 2.0, True),
            Goal("p99 of the look-up", median_of(found[READ])["p99 µs"], 100, True, "µs"),
        ],
    )
