"""Row: FastAGI, 1,000 callers at once, each call 23 AGI variables and five commands, against a bare server and panoramisk.

The bare server is asyncio's streams and nothing else: it reads the opening, says its five commands as constants, looks at the
code of each answer. Ours asks for the token, keeps limits and deadlines, minds the dead man's switch, builds and parses.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable

import structlog
import uvloop
from panoramisk.fast_agi import Application, Request
from pydantic import SecretStr

from bench import worker
from bench.loops import until_told
from bench.row import Figures, Goal, Row, Say, Scale, interleaved, lines_of, median_ratio
from cti.agi import AgiSession
from cti.agi.server import AgiServer
from cti.settings import AgiSettings

TOKEN, SCRIPT = "bench-token", "inbound"
SUBJECTS = {
    "ours, asyncio": ("ours", "asyncio"),
    "bare streams, asyncio": ("bare", "asyncio"),
    "panoramisk 1.4, asyncio": ("panoramisk", "asyncio"),
    "ours, uvloop": ("ours", "uvloop"),
    "bare streams, uvloop": ("bare", "uvloop"),
    "panoramisk 1.4, uvloop": ("panoramisk", "uvloop"),
}
COMMANDS = (
    b"ANSWER\n",
    b'SET VARIABLE "OFFHOOK_QUEUE" "sales"\n',
    b'SET VARIABLE "OFFHOOK_SINCE" "1800000000"\n',
    b'GET VARIABLE "CHANNEL(linkedid)"\n',
    b'SET VARIABLE "OFFHOOK_NEXT" "offhook-hold,s,1"\n',
)

Serve = Callable[[Callable[[int], Awaitable[None]]], Awaitable[None]]


# --- the measured process ----------------------------------------------------------------------------------------------


async def _ours(stay: Callable[[int], Awaitable[None]]) -> None:
    async def script(session: AgiSession) -> None:
        await session.answer()
        await session.set_variable("OFFHOOK_QUEUE", "sales")
        await session.set_variable("OFFHOOK_SINCE", "1800000000")
        await session.get_variable("CHANNEL(linkedid)")
        await session.set_variable("OFFHOOK_NEXT", "offhook-hold,s,1")

    port = worker.free_port()
    async with AgiServer(AgiSettings(port=port, token=SecretStr(TOKEN))).open() as server:
        server.serve(SCRIPT, script)
        await stay(server.port)


async def _bare(stay: Callable[[int], Awaitable[None]]) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opening = (await reader.readuntil(b"\n\n")).decode()
        headers = dict(line.split(": ", 1) for line in opening.splitlines() if ": " in line)
        assert headers["agi_network_script"]
        for command in COMMANDS:
            writer.write(command)
            await writer.drain()
            code, result = (await reader.readline()).decode().rstrip().split(" ", 1)
            assert code == "200"
            assert result.startswith("result=")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=2048)
    await stay(server.sockets[0].getsockname()[1])


async def _panoramisk(stay: Callable[[int], Awaitable[None]]) -> None:
    async def script(request: Request) -> None:
        for command in COMMANDS:
            await request.send_command(command.decode().rstrip("\n"))

    app = Application(loop=asyncio.get_running_loop())
    app.add_route(f"{TOKEN}/{SCRIPT}", script)
    server = await asyncio.start_server(app.handler, "127.0.0.1", 0, backlog=2048)
    await stay(server.sockets[0].getsockname()[1])


async def _measured(kind: str) -> None:
    async def stay(port: int) -> None:
        began = time.process_time()
        worker.say(port)
        await until_told("stop")
        worker.say(time.process_time() - began)

    await {"ours": _ours, "bare": _bare, "panoramisk": _panoramisk}[kind](stay)


def _main() -> None:
    kind, loop = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    (uvloop.run if loop == "uvloop" else asyncio.run)(_measured(kind))


# --- the row -----------------------------------------------------------------------------------------------------------


def _measure(subject: tuple[str, str], callers: worker.Worker, do: str, calls: int, at_once: int) -> Figures:
    with worker.Worker("agi", *subject, core=worker.MEASURED) as server:
        asked = {"do": do, "port": server.hear(), "script": SCRIPT, "token": TOKEN}
        found = callers.ask({**asked, "calls": calls, "at_once": at_once})
        spent = server.ask("stop")
    return {**found, "CPU µs/call": 1e6 * spent / calls}


def _survives(subject: tuple[str, str], callers: worker.Worker) -> bool:
    with worker.Worker("agi", *subject, core=worker.MEASURED) as server:
        found = callers.ask({"do": "probe", "port": server.hear(), "script": SCRIPT, "token": TOKEN})
        if found["serves"]:
            server.ask("stop")
        return bool(found["serves"])


def run(scale: Scale, say: Say) -> Row:
    """Six servers undisturbed, then ours among probes and clients that dawdle."""
    calls, at_once = scale.of(6_000, 1_000), scale.of(1_000, 200)
    with worker.Worker("agi_callers", core=worker.LOAD) as callers:

        def subject(what: tuple[str, str], do: str = "load") -> Callable[[], Figures]:
            return lambda: _measure(what, callers, do, calls, at_once)

        subjects = {who: subject(what) for who, what in SUBJECTS.items()}
        subjects["ours, asyncio, among probes and slow clients"] = subject(("ours", "asyncio"), "disturbed")
        found = interleaved(subjects, scale.of(5, 1), say)
        say("one connection that says nothing, then a call")
        serves = {kind: _survives((kind, "asyncio"), callers) for kind in ("ours", "panoramisk")}
    rate = "calls/s"
    ours, fast = found["ours, asyncio"], found["ours, uvloop"]
    failed = max(one["failed"] for who, rounds in found.items() if who.startswith("ours") for one in rounds)
    goals = [
        Goal("rate beside bare streams, asyncio", median_ratio(ours, found["bare streams, asyncio"], rate), 0.9),
        Goal("rate beside bare streams, uvloop", median_ratio(fast, found["bare streams, uvloop"], rate), 0.9),
        Goal("rate beside panoramisk, both asyncio", median_ratio(ours, found["panoramisk 1.4, asyncio"], rate), 1.0),
        Goal("rate on uvloop beside panoramisk", median_ratio(fast, found["panoramisk 1.4, asyncio"], rate), 2.5),
        Goal("calls failed, probes and slow clients included", failed, 0, True, ""),
    ]
    told = "still serves" if serves["panoramisk"] else "serves nobody any more (its loop spins)"
    return Row(
        title=f"FastAGI, {at_once:,} callers at once",
        how=f"{calls:,} calls a round. Among probes: a hundred a second that leave without a word, send garbage, or send half "
        "a line and stay.",
        lines=lines_of(found),
        goals=[*goals, Goal("serves after a connection without a word (1: yes)", float(serves["ours"]), 1, unit="")],
        notes=[f"After one connection that says nothing and leaves, panoramisk's server {told}."],
    )


if __name__ == "__main__":
    _main()
