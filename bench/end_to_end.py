"""Row: from Asterisk's write of an event to the bytes of the pop at the agent's socket, at 100 calls a second.

1,000 consoles, 1,000,000 customers, 53 events a call. Ours is the real hall (bench.hall); beside it the obvious build
(bench.obvious), which routes nothing, keeps nothing and is told by the queue whom it rings.
"""

import time
from collections.abc import Callable

from bench import people, worker
from bench.row import Figures, Goal, Row, Say, Scale, interleaved, lines_of, median_of, median_ratio, percentile

PER_S = 100
SKIPPED_S = 1.0
"""The first calls warm everybody up and do not count."""

OURS, FAST, OBVIOUS = "ours, asyncio", "ours, uvloop", "the obvious build, asyncio"
CONSOLES = {
    "ours": {"kind": "ours", "path": "/ws", "cookie": "offhook_session=t{}"},
    "obvious": {"kind": "obvious", "path": "/a{}", "cookie": "a=b"},
}


def _measure(kind: str, loop: str, url: str, agents: int, customers: int, count: int) -> Figures:
    with (
        worker.Worker("calls", kind, agents, customers, core=worker.LOAD) as calls,
        worker.Worker("consoles", core=worker.LOAD) as consoles,
    ):
        ami_port = calls.hear()
        ours, obvious = ("hall", loop, ami_port, url), ("obvious", ami_port, url.removeprefix("sqlite:///"))
        with worker.Worker(*(ours if kind == "ours" else obvious), agents, core=worker.MEASURED) as server:
            port = server.hear()["console"]
            consoles.ask({"do": "connect", "port": port, "count": agents, **CONSOLES[kind]})
            server.ask("everybody knocked")
            server.ask("measure")
            began = time.monotonic()
            told = calls.ask({"per_s": PER_S, "count": count})
            lasted = time.monotonic() - began
            said = server.ask("stop")
            arrived: dict[str, float] = consoles.ask({"do": "report"})
            server.say("leave")
    return _figures(told["written_at"], arrived, said["cpu_s"] / lasted, said["longest_s"], told["longest_write_s"])


def _figures(
    written_at: dict[str, float], arrived: dict[str, float], cpu: float, longest_hold_s: float, longest_write_s: float
) -> Figures:
    first = min(written_at.values())
    counted = {call: at for call, at in written_at.items() if at >= first + SKIPPED_S}
    ms = [1000 * (arrived[call] - at) for call, at in counted.items() if call in arrived]
    return {
        "p50 ms": percentile(ms, 0.5),
        "p99 ms": percentile(ms, 0.99),
        "CPU % of a core": 100 * cpu,
        "pops missing": len(counted) - len(ms),
        "longest hold ms": 1000 * longest_hold_s,
        "longest write ms": 1000 * longest_write_s,
    }


def run(scale: Scale, say: Say) -> Row:
    """Ours on both loops, and the obvious build."""
    url, customers = people.url_of(scale, say), people.count_of(scale)
    agents, count = scale.of(1000, 400), scale.of(700, 300)

    def subject(kind: str, loop: str) -> Callable[[], Figures]:
        def measure() -> Figures:
            people.url_of(scale, say)  # what the last round wrote is gone
            return _measure(kind, loop, url, agents, customers, count)

        return measure

    subjects = {
        OURS: subject("ours", "asyncio"),
        OBVIOUS: subject("obvious", "asyncio"),
        FAST: subject("ours", "uvloop"),
    }
    found = interleaved(subjects, scale.of(3, 1), say)
    ours = median_of(found[OURS])
    goals = [
        Goal("p50, asyncio", ours["p50 ms"], 1.0, True, "ms"),
        Goal("p99, asyncio", ours["p99 ms"], 5.0, True, "ms"),
        Goal("p50 beside the obvious build", median_ratio(found[OURS], found[OBVIOUS], "p50 ms"), 0.6, True),
        Goal("longest hold of the loop", max(one["longest hold ms"] for one in found[OURS]), 50, True, "ms"),
        Goal("pops missing", max(one["pops missing"] for one in found[OURS] + found[FAST]), 0, True, ""),
    ]
    return Row(
        title="AMI event to the console's socket",
        how=f"{PER_S} calls a second, {agents:,} consoles, {customers:,} customers in SQLite. Ours: from the caller's "
        "Newchannel (match, choice of the agent, pop, history written at FULL durability). The obvious build: from "
        "AgentCalled (look-up, JSON, send).",
        lines=lines_of(found),
        goals=goals,
    )
