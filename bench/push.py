"""Row: a pop to one of a thousand consoles, against a raw asyncio.Protocol that writes the same bytes; and broadcasts.

Both servers live in one process on one loop and are pushed to in turn, so that whatever disturbs the one disturbs the
other. Ours is the real console room: Fact, board, JSON, session, socket. The time is from publishing to the client's read.
"""

import asyncio
import hashlib
import logging
import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import structlog
import uvloop

from agent_console.push import text_header
from agent_console.roles import Role
from agent_console.service import open_room
from agent_console.store import Account, Accounts, User
from bench import worker
from bench.loops import heard, probing
from bench.row import Figures, Goal, Line, Row, Say, Scale, lines_of, median_ratio, percentile
from cti.agi import Script
from cti.bus.local import LocalBus
from cti.clock import SteadyClock
from cti.events import ConsoleConnected, PopChanged, QueueLineChanged
from cti.floor import Activity, AgentLine, Availability, FloorPicture
from cti.health import Health
from cti.ids import AgentId, QueueId
from cti.requests import DescribeFloor, Draft, ReadDraft
from cti.rooms import Hall
from cti.settings import ConsoleSettings, Settings
from cti.store import Store
from cti.store.engine import open_store
from cti.store.migrate import migrate
from cti.testing import ScriptedPbx
from tests.agent_console.floor import NOW, SITE, pop, queue_line

PER_S = 500
FILLER = "x" * 1200
"""What brings a pop to about 2 KB."""

BROADCAST_QUEUES = 10


# --- the measured process ----------------------------------------------------------------------------------------------


class NoAgi:
    """AGI routes for rooms that serve none here."""

    def serve(self, script: str, handler: Script) -> Callable[[], None]:
        """Nothing is served."""
        return lambda: None


async def sign_everybody_in(store: Store, count: int) -> None:
    """Agents a0, a1 ... with a session whose token is t0, t1 ..."""
    accounts, now = Accounts(store), time.time()
    await accounts.add(*(Account(User(f"u{n}", Role.AGENT, AgentId(f"a{n}")), "x") for n in range(count)))
    opened = (
        accounts.open_session(f"u{n}", hashlib.sha256(b"t%d" % n).hexdigest(), now, now + 86_400) for n in range(count)
    )
    await asyncio.gather(*opened)


class _Floor:
    """acd and voc as far as the console asks them."""

    def __init__(self, bus: LocalBus, count: int) -> None:
        now = time.time()
        self._lines = tuple(
            AgentLine(AgentId(f"a{n}"), f"Agent {n}", f"PJSIP/a{n}", (), Availability.READY, Activity.IDLE, "", now)
            for n in range(count)
        )
        bus.answer(DescribeFloor, self._describe)
        bus.answer(ReadDraft, self._draft)

    async def _describe(self, request: DescribeFloor) -> FloorPicture:
        return FloorPicture(time.time(), self._lines, (), ())

    async def _draft(self, request: ReadDraft) -> Draft:
        return Draft()


class _Raw(asyncio.Protocol):
    """The floor: a socket that is written to."""

    def __init__(self, clients: dict[int, asyncio.Transport]) -> None:
        self._clients = clients

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._clients[int(data)] = self._transport


class Pushers:
    """Both servers, and what is sent through them."""

    def __init__(self, bus: LocalBus, raw: dict[int, asyncio.Transport], count: int) -> None:
        self._bus = bus
        self._raw = raw
        self._count = count
        self._number = 0
        self.sent_at: dict[str, dict[str, float]] = {"ours": {}, "raw": {}}

    async def one_by_one(self, count: int) -> None:
        """Pops to random consoles at PER_S, ours and raw in turn."""
        begin = time.monotonic()
        for step in range(count):
            await asyncio.sleep(max(0.0, begin + step / PER_S - time.monotonic()))
            self._number += 1
            (self._ours if step % 2 else self._raw_push)(random.randrange(self._count))

    def _ours(self, agent: int) -> None:
        call = f"1700000000.{self._number}"
        shown = replace(pop(call, AgentId(f"a{agent}"), offered_at=NOW + self._number), why=FILLER)
        self.sent_at["ours"][call] = time.monotonic()
        self._bus.publish(PopChanged(at=NOW, call=shown.call, agent=shown.agent, pop=shown))

    def _raw_push(self, agent: int) -> None:
        call = f"1700000000.{self._number}"
        self.sent_at["raw"][call] = time.monotonic()
        text = b'{"key":"pop","value":{"call":"%b","why":"%b"}}' % (call.encode(), FILLER.encode() + b"x" * 700)
        self._raw[agent].write(text_header(len(text)) + text)

    async def broadcast_ours(self, lasting_s: float) -> None:
        """Every queue's line changes twenty times a second, for everybody; pops go on meanwhile."""
        end = time.monotonic() + lasting_s
        while time.monotonic() < end:
            for number in range(BROADCAST_QUEUES):
                self._number += 1
                line = queue_line(QueueId(f"q{number}"), self._number)
                self._bus.publish(QueueLineChanged(at=NOW, line=line))
            self._ours(random.randrange(self._count))
            await asyncio.sleep(0.05)

    async def broadcast_raw(self, lasting_s: float) -> None:
        """The same number of bytes to every raw client in one go, ten times a second."""
        text = b"x" * 200 * BROADCAST_QUEUES
        frame = text_header(len(text)) + text
        end = time.monotonic() + lasting_s
        while time.monotonic() < end:
            for transport in self._raw.values():
                transport.write(frame)
            await asyncio.sleep(0.1)


@asynccontextmanager
async def _open(count: int) -> AsyncIterator[tuple[Pushers, int, int, asyncio.Event]]:
    path = worker.RUN_DIR / "push.db"
    for left in worker.RUN_DIR.glob("push.db*"):
        left.unlink()
    url = f"sqlite:///{path}"
    await asyncio.to_thread(migrate, url)
    raw: dict[int, asyncio.Transport] = {}
    everybody = asyncio.Event()
    connected: list[ConsoleConnected] = []

    def note(fact: ConsoleConnected) -> None:
        connected.append(fact)
        if len(connected) == count:
            everybody.set()

    async with open_store(url) as store:
        await sign_everybody_in(store, count)
        bus, port = LocalBus(), worker.free_port()
        _Floor(bus, count)
        bus.hear(ConsoleConnected, note)
        settings = Settings(console=ConsoleSettings(port=port))
        hall = Hall(settings, SITE, SteadyClock(), bus, store, ScriptedPbx(), NoAgi(), Health())
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Raw(raw), "127.0.0.1", 0, backlog=1024)
        async with open_room(hall):
            yield Pushers(bus, raw, count), port, server.sockets[0].getsockname()[1], everybody
        server.close()


async def _measured(count: int) -> None:
    async with _open(count) as (pushers, port, raw_port, everybody):
        worker.say({"ours": port, "raw": raw_port})
        await heard()
        await everybody.wait()
        worker.say("everybody is here")
        while True:
            try:
                asked = await heard()
            except EOFError:
                return
            pushers.sent_at = {"ours": {}, "raw": {}}
            began = time.process_time()
            async with probing() as probe:
                await getattr(pushers, asked["do"])(asked["much"])
            told = {"sent_at": pushers.sent_at, "cpu_s": time.process_time() - began}
            worker.say({**told, "longest_s": probe.longest_s})


def _main() -> None:
    loop, count = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    (uvloop.run if loop == "uvloop" else asyncio.run)(_measured(int(count)))


# --- the row -----------------------------------------------------------------------------------------------------------


class _Floors:
    """The server, its thousand consoles of each kind, and what was measured on them."""

    def __init__(self, server: worker.Worker, consoles: worker.Worker, count: int) -> None:
        self._server = server
        self._consoles = consoles
        ports = server.hear()
        for kind in ("raw", "ours"):
            asked = {"do": "connect", "kind": kind, "port": ports[kind], "count": count, "path": "/ws"}
            consoles.ask({**asked, "cookie": "offhook_session=t{}"})
        server.ask("everybody knocked")

    def measure(self, do: str, much: float) -> tuple[Figures, dict[str, list[float]]]:
        """What the server says of itself, and the times to the sockets in ms, by kind."""
        told = self._server.ask({"do": do, "much": much})
        time.sleep(0.3)
        arrived: dict[str, float] = self._consoles.ask({"do": "report"})
        times = {
            kind: [1000 * (arrived[call] - at) for call, at in sent.items() if call in arrived]
            for kind, sent in told["sent_at"].items()
        }
        lost = sum(len(sent) for sent in told["sent_at"].values()) - sum(map(len, times.values()))
        return {"longest hold ms": 1000 * told["longest_s"], "lost": lost}, times


def _rounds(loop: str, scale: Scale, say: Say) -> tuple[dict[str, list[Figures]], Figures]:
    """Rounds of pushes by kind, and the holds of the loop under broadcasts (ours, raw), on one loop."""
    count, pushes, lasting = scale.of(1000, 100), scale.of(2000, 500), scale.of(4, 1)
    found: dict[str, list[Figures]] = {"ours": [], "raw": []}
    with (
        worker.Worker("consoles", core=worker.LOAD) as consoles,
        worker.Worker("push", loop, count, core=worker.MEASURED) as server,
    ):
        floors = _Floors(server, consoles, count)
        for number in range(scale.of(5, 1)):
            say(f"{loop}: {pushes} pushes, round {number + 1}")
            about, times = floors.measure("one_by_one", pushes)
            for kind, ms in times.items():
                figures = {"p50 µs": 1000 * percentile(ms, 0.5), "p99 µs": 1000 * percentile(ms, 0.99)}
                found[kind].append({**figures, "lost": about["lost"]})
        say(f"{loop}: broadcasts")
        ours, under = floors.measure("broadcast_ours", lasting)
        raw, _ = floors.measure("broadcast_raw", lasting)
    holds = {"ours": ours["longest hold ms"], "raw": raw["longest hold ms"]}
    return found, {**holds, "p99 µs": 1000 * percentile(under["ours"], 0.99)}


def run(scale: Scale, say: Say) -> Row:
    """Both loops; the goals are for asyncio's own."""
    lines: list[Line] = []
    goals: list[Goal] = []
    for loop in ("asyncio", "uvloop"):
        found, under = _rounds(loop, scale, say)
        for line in lines_of({f"{kind}, {loop}": rounds for kind, rounds in found.items()}):
            kind = line.who.partition(",")[0]
            lines.append(Line(line.who, {**line.figures, "longest hold in broadcasts ms": under[kind]}))
        lines.append(Line(f"ours amid broadcasts, {loop}", {"p99 µs": under["p99 µs"]}))
        p50, p99 = (median_ratio(found["ours"], found["raw"], name) for name in ("p50 µs", "p99 µs"))
        goals += [
            Goal(f"p50 beside a raw Protocol, {loop}", p50, 1.6, True),
            Goal(f"p99 beside a raw Protocol, {loop}", p99, 2.0, True),
            Goal(f"longest hold of the loop under broadcasts, {loop}", under["ours"], 50, True, "ms"),
        ]
    return Row(
        title=f"A pop to one of {scale.of(1000, 100):,} consoles",
        how=f"{PER_S} pushes a second of 2 KB to random consoles, ours and raw in turn. Broadcasts: {BROADCAST_QUEUES} queues' "
        "lines changing 20 times a second for everybody, with pops between; raw writes to everybody in one go.",
        lines=lines,
        goals=goals,
    )


if __name__ == "__main__":
    _main()
