"""The promises of the Store port, one suite for SQLite and PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from cti.errors import Unavailable
from cti.store import Store
from cti.store.engine import open_store
from cti.store.migrate import on_connection
from cti.store.upsert import upsert

METADATA = MetaData()
STEP = Table(
    "contract_step",
    METADATA,
    Column("call", String(32), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("what", String(80), nullable=False),
    Column("is_open", Boolean, nullable=False, default=True),
    Column("at", Float, nullable=True),
)

ADD = insert(STEP)
COUNT = select(func.count()).select_from(STEP)
OF_CALL = select(STEP).where(STEP.c.call == bindparam("call")).order_by(STEP.c.place)
OF_CALLS = select(STEP.c.call).where(STEP.c.call.in_(bindparam("calls", expanding=True))).distinct()
CLOSE = update(STEP).where(STEP.c.call == bindparam("of")).values(is_open=False)
FORGET = delete(STEP).where(STEP.c.call == bindparam("call"))
PUT = upsert(STEP, ["what", "is_open"])


def step(call: str, place: int, what: str = "arrived", at: float | None = 1.5) -> dict[str, object]:
    return {"call": call, "place": place, "what": what, "at": at}


@pytest_asyncio.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    def create(connection: Connection) -> None:
        METADATA.create_all(connection)

    await asyncio.to_thread(on_connection, database_url, create)
    async with open_store(database_url) as opened:
        yield opened


async def count(store: Store) -> int:
    return int((await store.read(COUNT))[0][0])


@pytest.mark.asyncio
async def test_what_is_written_is_read(store: Store) -> None:
    """A write that returned is seen by point reads and by other reads, with Python's own types."""
    await store.write((ADD, step("a", 1)), (ADD, {**step("a", 2, at=None), "is_open": False}))
    for rows in (await store.point(OF_CALL, {"call": "a"}), await store.read(OF_CALL, {"call": "a"})):
        assert [(row.place, row.what, row.is_open, row.at) for row in rows] == [
            (1, "arrived", True, 1.5),
            (2, "arrived", False, None),
        ]
        assert rows[1].is_open is False
        assert rows[0]._mapping[STEP.c.call] == "a"


@pytest.mark.asyncio
async def test_nobody_home(store: Store) -> None:
    """A read that finds nothing is an empty sequence."""
    assert list(await store.point(OF_CALL, {"call": "none"})) == []


@pytest.mark.asyncio
async def test_text_from_outside_is_kept_as_it_is(store: Store) -> None:
    """Quotes, markup, other alphabets and statements in a value are only a value."""
    hostile = "'); DROP TABLE contract_step; -- <img src=x onerror=alert(1)> 名前 \u202e %s ? :x"
    await store.write((ADD, step("h", 1, hostile)))
    assert (await store.point(OF_CALL, {"call": "h"}))[0].what == hostile


@pytest.mark.asyncio
async def test_update_delete_and_lists(store: Store) -> None:
    """Updates and deletes by parameter work, and so does IN with a list."""
    await store.write((ADD, [step("a", 1), step("a", 2), step("b", 1)]))
    await store.write((CLOSE, {"of": "a"}))
    assert [row.is_open for row in await store.point(OF_CALL, {"call": "a"})] == [False, False]
    assert {row.call for row in await store.point(OF_CALLS, {"calls": ["a", "b", "c"]})} == {"a", "b"}
    assert {row.call for row in await store.point(OF_CALLS, {"calls": ["b"]})} == {"b"}
    await store.write((FORGET, {"call": "a"}))
    assert await count(store) == 1


@pytest.mark.asyncio
async def test_upsert(store: Store) -> None:
    """An upsert inserts once and changes afterwards, on both engines by the same statement."""
    await store.write((PUT, {**step("a", 1), "is_open": True}))
    await store.write((PUT, {**step("a", 1, "ended"), "is_open": False}))
    (row,) = await store.point(OF_CALL, {"call": "a"})
    assert (row.what, row.is_open) == ("ended", False)
    await store.write((upsert(STEP, []), step("a", 1, "ignored")))
    assert (await store.point(OF_CALL, {"call": "a"}))[0].what == "ended"


@pytest.mark.asyncio
async def test_one_write_is_one_transaction(store: Store) -> None:
    """When one of a write's statements is refused, none of them is written, and the asker is told."""
    await store.write((ADD, step("a", 1)))
    with pytest.raises(IntegrityError):
        await store.write((ADD, step("b", 1)), (ADD, step("a", 1)))
    assert await count(store) == 1


@pytest.mark.asyncio
async def test_one_asker_s_mistake_is_his_alone(store: Store) -> None:
    """Writes that share a group with a refused one are written; only the refused asker hears of it."""
    await store.write((ADD, step("taken", 1)))
    rows = [step(f"c{n}", 1) for n in range(40)] + [step("taken", 1)] + [step(f"d{n}", 1) for n in range(40)]
    ends = await asyncio.gather(*[store.write((ADD, row)) for row in rows], return_exceptions=True)
    assert [type(end) for end in ends if end is not None] == [IntegrityError]
    assert ends[40] is not None
    assert await count(store) == 81


@pytest.mark.asyncio
async def test_the_error_holds_no_values(store: Store) -> None:
    """The text of a refusal names the constraint, never the values: they may be numbers and names of people."""
    secret = step("a", 1, "+12025550123 Ann Smith")
    await store.write((ADD, secret))
    with pytest.raises(IntegrityError) as caught:
        await store.write((ADD, secret))
    assert "Ann Smith" not in str(caught.value)


@pytest.mark.asyncio
async def test_order_is_kept(store: Store) -> None:
    """Writes take effect in the order they were asked for, awaited or not."""
    store.write_soon((ADD, step("a", 1, "first")))
    for n in range(50):
        store.write_soon((PUT, {**step("a", 1, f"change {n}"), "is_open": True}))
        store.write_soon((ADD, step(f"x{n}", 1)))
    await store.write((PUT, {**step("a", 1, "last"), "is_open": True}))
    assert (await store.point(OF_CALL, {"call": "a"}))[0].what == "last"
    assert await count(store) == 51


@pytest.mark.asyncio
async def test_a_write_nobody_waits_for_may_be_refused(store: Store) -> None:
    """A refused `write_soon` is logged; what comes after it is written."""
    await store.write((ADD, step("a", 1)))
    store.write_soon((ADD, step("a", 1)))
    await store.write((ADD, step("b", 1)))
    assert await count(store) == 2


@pytest.mark.asyncio
async def test_two_hundred_askers(store: Store) -> None:
    """Two hundred tasks writing at once lose nothing and double nothing."""

    async def asker(name: int) -> None:
        for place in range(10):
            await store.write((ADD, step(f"t{name}", place)))

    await asyncio.gather(*[asker(name) for name in range(200)])
    assert await count(store) == 2000


@pytest.mark.asyncio
async def test_a_cancelled_asker_hurts_nobody(store: Store) -> None:
    """An asker cancelled while waiting leaves the others their answers."""
    asked = [asyncio.ensure_future(store.write((ADD, step(f"c{n}", 1)))) for n in range(20)]
    await asyncio.sleep(0)
    asked[3].cancel()
    ends = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(end) for end in ends if end is not None] == [asyncio.CancelledError]
    await store.write((ADD, step("after", 1)))


@pytest.mark.asyncio
async def test_leaving_writes_what_is_waiting(database_url: str) -> None:
    """What was asked for by `write_soon` before leaving is there afterwards; later writes are Unavailable."""
    await asyncio.to_thread(on_connection, database_url, METADATA.create_all)
    async with open_store(database_url) as store:
        for n in range(5000):
            store.write_soon((ADD, step(f"c{n}", 1)))
    with pytest.raises(Unavailable):
        store.write_soon((ADD, step("late", 1)))
    async with open_store(database_url) as again:
        assert await count(again) == 5000


@pytest.mark.asyncio
async def test_too_much_is_turned_away(database_url: str) -> None:
    """With `limit` rows outstanding `write_soon` is Unavailable at once, `write` waits for room, nothing taken is lost."""
    await asyncio.to_thread(on_connection, database_url, METADATA.create_all)
    async with open_store(database_url, limit=10) as store:
        for n in range(10):
            store.write_soon((ADD, step(f"c{n}", 1)))
        with pytest.raises(Unavailable):
            store.write_soon((ADD, step("one too many", 1)))
        await asyncio.gather(*[store.write((ADD, step(f"w{n}", 1))) for n in range(30)])
        assert await count(store) == 40


@pytest.mark.asyncio
async def test_nothing_to_write(store: Store) -> None:
    """A write of nothing returns."""
    await store.write()
    store.write_soon()
    await store.write((ADD, []))
    assert await count(store) == 0
