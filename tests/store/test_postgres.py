"""What only the PostgreSQL adapter promises: a server that goes away loses no write it had not refused."""

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select

from cti.errors import Unavailable
from cti.store.engine import open_store
from cti.store.migrate import on_connection
from tests.postgres import PrivatePostgres, private_postgres

METADATA = MetaData()
NOTE = Table("note", METADATA, Column("note", Integer, primary_key=True), Column("words", String(40)))
ADD = insert(NOTE)
ALL = select(NOTE.c.note).order_by(NOTE.c.note)

pytestmark = pytest.mark.postgres


@pytest.fixture
def server() -> Iterator[PrivatePostgres]:
    with private_postgres() as running:
        yield running


@pytest.mark.asyncio
async def test_a_server_that_goes_away_and_comes_back(server: PrivatePostgres) -> None:
    """Writes asked for while the server is down are kept and written in order when it is back; askers are told in time."""
    url = server.new_database()
    words: list[bool] = []
    back = asyncio.Event()

    def tell(is_up: bool, why: str) -> None:
        words.append(is_up)
        if is_up:
            back.set()

    await asyncio.to_thread(on_connection, url, METADATA.create_all)
    async with open_store(url, patience_s=0.5, tell=tell) as store:
        await store.write((ADD, {"note": 1, "words": "before"}))
        await asyncio.to_thread(server.stop)
        store.write_soon((ADD, {"note": 2, "words": "kept"}))
        with pytest.raises(Unavailable):
            await store.write((ADD, {"note": 3, "words": "given up"}))
        with pytest.raises(Unavailable):
            await store.read(ALL)
        assert words == [False]
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(20):
            await back.wait()
        await store.write((ADD, {"note": 4, "words": "after"}))
        assert [row.note for row in await store.read(ALL)] == [1, 2, 4]


@pytest.mark.asyncio
async def test_a_server_that_is_not_there() -> None:
    """Opening a store whose server does not answer is Unavailable."""
    with pytest.raises(Unavailable):
        async with open_store("postgresql://offhook@127.0.0.1:1/none"):
            pass
