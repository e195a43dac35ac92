"""Row: 5,300 events a second written one by one, as 100 calls a second make them: CPU, time from write to Fact, losses.

The fake Asterisk writes on one core; the client runs in a process of its own on the other: our whole link (login, list,
tracker, bus) against panoramisk with one handler. Each event carries the instant of its write.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
import uvloop
from panoramisk.manager import Manager

from bench import worker
from bench.fake_asterisk import FakeAsterisk
from bench.loops import until_told
from bench.recording import messages
from bench.row import Figures, Goal, Line, Row, Say, Scale, interleaved, lines_of, median_ratio, percentile
from cti.ami.attach import AmiLink
from cti.ami.protocol import Frames
from cti.ami.tracker import Tracker
from cti.bus.local import LocalBus
from cti.clock import SteadyClock
from cti.events import Fact, PbxSynced
from cti.health import Health
from cti.settings import PbxSettings, Settings

PER_S = 5300
OURS, OURS_FAST = "ours, asyncio", "ours, uvloop"
THEIRS, THEIRS_FAST = "panoramisk 1.4, asyncio", "panoramisk 1.4, uvloop"
SUBJECTS = {
    OURS: ("ours", "asyncio"),
    THEIRS: ("panoramisk", "asyncio"),
    OURS_FAST: ("ours", "uvloop"),
    THEIRS_FAST: ("panoramisk", "uvloop"),
}


# --- the measured process ----------------------------------------------------------------------------------------------


class Meter:
    """What a client notes: how many it was told, and how long after its write each was."""

    def __init__(self) -> None:
        self.told = 0
        self.late_s: list[float] = []

    def note(self, written_at: float) -> None:
        """One Fact or event, written at this instant (Unix seconds)."""
        self.told += 1
        self.late_s.append(time.time() - written_at)


async def _ours(port: int, meter: Meter, stay: Callable[[], Awaitable[None]]) -> None:
    bus = LocalBus()
    synced = asyncio.Event()
    settings = Settings(pbx=PbxSettings(port=port, reconcile_s=3600.0, trunk_contexts=("from-trunk",)))
    async with AmiLink(settings, bus, SteadyClock(), Health()).open():
        bus.hear(PbxSynced, lambda fact: synced.set())
        await synced.wait()
        bus.hear(Fact, lambda fact: meter.note(fact.at))
        await stay()


async def _panoramisk(port: int, meter: Meter, stay: Callable[[], Awaitable[None]]) -> None:
    logged_in = asyncio.Event()
    manager = Manager(
        host="127.0.0.1",
        port=port,
        username="u",
        secret="s",
        loop=asyncio.get_running_loop(),
        on_login=lambda _: logged_in.set(),
    )

    def take(_: Manager, event: Any) -> None:
        meter.note(float(event.timestamp))

    manager.register_event("*", take)
    await manager.connect()
    await logged_in.wait()
    await stay()


async def _measured(kind: str, port: int) -> None:
    meter = Meter()

    async def stay() -> None:
        worker.say("ready")
        await until_told("go")
        began = time.process_time()
        await until_told("stop")
        spent = time.process_time() - began
        late_ms = [1000 * late for late in meter.late_s]
        told = {"p50 ms": percentile(late_ms, 0.5), "p99 ms": percentile(late_ms, 0.99), "cpu_s": spent}
        worker.say({**told, "told": meter.told})

    await (_ours if kind == "ours" else _panoramisk)(port, meter, stay)


def _main() -> None:
    kind, loop, port = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    (uvloop.run if loop == "uvloop" else asyncio.run)(_measured(kind, int(port)))


# --- the row -----------------------------------------------------------------------------------------------------------


def _pieces(told: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Each event before and after its timestamp."""
    cut = []
    for message in told:
        before, mark, after = message.partition(b"\r\nTimestamp: ")
        assert mark, message
        cut.append((before + mark, after[after.index(b"\r\n") :]))
    return cut


def _facts_in(told: list[bytes]) -> int:
    tracker = Tracker(("from-trunk",))
    return sum(len(tracker.receive(frame, 1.8e9)) for frame in Frames().feed(b"x\r\n" + b"".join(told)))


def _measure(kind: str, loop: str, told: list[bytes], expected: int) -> Figures:
    server = FakeAsterisk()
    with worker.Worker("ami_paced", kind, loop, server.port, core=worker.MEASURED) as client:
        server.accept()
        pieces = _pieces(told)
        server.serve_until(time.monotonic() + 1.0)
        assert client.hear() == "ready"
        client.say("go")
        began = time.monotonic() + 0.1
        for number, (before, after) in enumerate(pieces):
            server.serve_until(began + number / PER_S)
            server.write(b"%b%.6f%b" % (before, time.time(), after))
        took_s = time.monotonic() - began
        server.serve_until(time.monotonic() + 0.5)
        found = client.ask("stop")
        server.close()
    lost = expected - found["told"]
    return {
        "CPU % of a core": 100 * found["cpu_s"] / took_s,
        "p50 ms": found["p50 ms"],
        "p99 ms": found["p99 ms"],
        "lost": lost,
        "longest write ms": 1000 * server.longest_write_s,
        "events/s": len(told) / took_s,
    }


def run(scale: Scale, say: Say) -> Row:
    """Four subjects: two clients on two loops."""
    worker.pin(worker.LOAD)
    told = messages(scale.of(12, 3))
    told = [message for message in told if b"\r\nTimestamp: " in message]
    facts = _facts_in(told)

    def subject(kind: str, loop: str) -> Callable[[], Figures]:
        return lambda: _measure(kind, loop, told, facts if kind == "ours" else len(told))

    found = interleaved({who: subject(*what) for who, what in SUBJECTS.items()}, scale.of(3, 1), say)
    lines = [Line(line.who, line.figures) for line in lines_of(found)]
    of = {line.who: line.figures for line in lines}
    cpu = "CPU % of a core"
    lost = max(one["lost"] for who in (OURS, OURS_FAST) for one in found[who])
    goals = [
        Goal("CPU beside panoramisk, asyncio", median_ratio(found[OURS], found[THEIRS], cpu), 0.7, True),
        Goal(
            "CPU beside panoramisk on asyncio, ours on uvloop",
            median_ratio(found[OURS_FAST], found[THEIRS], cpu),
            0.5,
            True,
        ),
        Goal("p99 from write to Fact, asyncio", of[OURS]["p99 ms"], 2.0, True, "ms"),
        Goal("p99 from write to Fact, uvloop", of[OURS_FAST]["p99 ms"], 2.0, True, "ms"),
        Goal("Facts lost in any round", lost, 0, True, ""),
    ]
    return Row(
        title="AMI at 5,300 events a second, one write each",
        how=f"{len(told):,} recorded events a round. The time is from the write to the Fact on the bus (ours) or to the "
        "handler (panoramisk); `longest write`: how long the fake Asterisk had to wait for the client to take an event.",
        lines=lines,
        goals=goals,
    )


if __name__ == "__main__":
    _main()
