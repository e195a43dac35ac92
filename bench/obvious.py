"""The obvious build, our peer end to end: panoramisk hears AgentCalled, aiosqlite finds the caller, websockets tells the agent.

What a good afternoon's work with the three best-known packages comes to. `python -m bench.obvious AMI_PORT DATABASE CONSOLES`.
"""

import asyncio
import json
import logging
import sys
import time
from pathlib import PurePath
from typing import Any

import aiosqlite
from panoramisk.manager import Manager
from websockets.asyncio.server import ServerConnection, serve

from bench.loops import heard, probing
from bench.worker import free_port, say

FIND = (
    "select c.customer, c.name, c.tier, c.language, c.email, c.lifetime_value, c.since, c.note from customers_phone p "
    "join customers_customer c on c.customer = p.customer where p.number = ?"
)
FILLER = "x" * 1200
"""What brings a pop to the size of ours, about 2 KB."""


class Build:
    """The agents who are here, and the database."""

    def __init__(self, database: aiosqlite.Connection, expected: int) -> None:
        self._database = database
        self._agents: dict[str, ServerConnection] = {}
        self._expected = expected
        self.everybody = asyncio.Event()

    async def serve(self, connection: ServerConnection) -> None:
        """One agent's console; the path is her name."""
        assert connection.request is not None
        self._agents[PurePath(connection.request.path).name] = connection
        if len(self._agents) == self._expected:
            self.everybody.set()
        await connection.wait_closed()

    async def called(self, manager: Manager, event: Any) -> None:
        """The queue rings this agent: look the caller up and show her."""
        async with self._database.execute(FIND, (event.calleridnum,)) as cursor:
            found = await cursor.fetchone()
        names = ("customer", "name", "tier", "language", "email", "lifetime_value", "since", "note")
        customer = dict(zip(names, found, strict=True)) if found is not None else None
        value = {"call": event.uniqueid, "queue": event.queue, "ani": event.calleridnum, "customer": customer}
        text = json.dumps({"key": "pop", "value": {**value, "filler": FILLER}}, separators=(",", ":"))
        await self._agents[event.membername].send(text)


async def _run(ami_port: int, path: str, consoles: int) -> None:
    logged_in = asyncio.Event()
    manager = Manager(
        host="127.0.0.1",
        port=ami_port,
        username="u",
        secret="s",
        loop=asyncio.get_running_loop(),
        on_login=lambda _: logged_in.set(),
    )
    port = free_port()
    async with aiosqlite.connect(f"file:{path}?mode=ro", uri=True) as database:
        build = Build(database, consoles)
        async with serve(build.serve, "127.0.0.1", port, backlog=1024):
            manager.register_event("AgentCalled", build.called)
            await manager.connect()
            await logged_in.wait()
            say({"console": port})
            await heard()
            await build.everybody.wait()
            say("ready")
            await heard()
            began = time.process_time()
            async with probing() as probe:
                say("measuring")
                await heard()
            say({"cpu_s": time.process_time() - began, "longest_s": probe.longest_s})
            await heard()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(_run(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
