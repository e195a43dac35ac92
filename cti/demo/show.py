"""The demo itself: the stage, the daemon in this process, robots for agents, callers through Asterisk.

A person who signs in as one of the agents takes that desk over: the robot leaves, the other robots of the same skills
take a short break when she goes ready, and somebody calls. Ended by Ctrl-C or after `--for` seconds, it leaves nothing
running, and says what Asterisk's own record says of its calls.
"""

import asyncio
import json
import random
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from cti.daemon import open_daemon, read_site
from cti.demo.figures import PopFigures
from cti.demo.options import DemoOptions
from cti.demo.robot import CLIENT, Robot
from cti.demo.stage import AGENTS, NUMBERS, Stage
from cti.demo.traffic import Traffic
from cti.errors import CtiError, Unavailable
from cti.events import AgentReady, CallOffered, ConsoleConnected, ConsoleLost, Fact, PbxSynced
from cti.floor import Activity
from cti.ids import AgentId
from cti.requests import DescribeFloor
from cti.rooms import Hall

log = structlog.get_logger()

DRAIN_S = 12.0
"""Seconds before the end of a timed demo in which nobody new calls."""

SETTLE_S = 15.0
"""Seconds a timed demo may take, after its end, until the last wrap-up is written."""

TIMED_PACE = 0.4
"""In a timed demo callers talk shorter by this, and come as much faster."""

HEAD_START_S = 15.0
"""Seconds the robots leave to a person who has just gone ready."""


class Show:
    """One running demo on an open hall."""

    def __init__(self, hall: Hall, stage: Stage, options: DemoOptions) -> None:
        self._hall = hall
        self._stage = stage
        self._options = options
        self._dice = random.Random(options.seed)
        self._robots: dict[str, Robot] = {}
        self._people: dict[AgentId, set[str]] = {}
        self._base_url = f"http://127.0.0.1:{options.console_port}"
        self._group: asyncio.TaskGroup | None = None
        self._errands: set[asyncio.Task[None]] = set()
        self._synced = asyncio.Event()
        self._offered = asyncio.Event()
        self.figures = PopFigures(hall.bus)
        self.traffic = Traffic(hall.settings.pbx, hall.clock, stage.company.people, NUMBERS, self._dice)
        hall.bus.hear(PbxSynced, lambda fact: self._synced.set())
        hall.bus.hear((ConsoleConnected, ConsoleLost, AgentReady, CallOffered), self._hear)

    async def run(self, stop: asyncio.Event) -> None:
        """Play until `stop`; robots and callers are gone afterwards, calls in progress hung up."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            await _first(self._synced, stop)
            robots = [group.create_task(self._keep_robot(agent)) for agent, _, _ in AGENTS]
            for_s = self._options.for_s
            pace = 1.0 if for_s is None else TIMED_PACE
            calling = group.create_task(self.traffic.run(self._options.calls_per_minute / pace, pace))
            if for_s is None:
                await stop.wait()
            else:
                await _either(stop, max(for_s - DRAIN_S, for_s / 2))
                calling.cancel()
                await _either(stop, min(DRAIN_S, for_s / 2))
            calling.cancel()
            await self._empty_the_floor()
            for task in (*robots, *self._errands):
                task.cancel()

    async def _keep_robot(self, agent: str) -> None:
        while True:
            if not self._people.get(AgentId(agent)):
                robot = Robot(self._base_url, agent, self._stage.passwords[agent], self._dice)
                self._robots[agent] = robot
                try:
                    await robot.run()
                except Unavailable as exc:
                    log.warning("demo agent lost the console", agent=agent, why=str(exc))
                self._robots.pop(agent, None)
            await asyncio.sleep(1.0)

    def _hear(self, fact: Fact) -> None:
        match fact:
            case ConsoleConnected(client=client) if client != CLIENT:
                self._people.setdefault(fact.agent, set()).add(fact.session)
                self._start(self._hand_over(fact.agent))
            case ConsoleLost():
                self._people.get(fact.agent, set()).discard(fact.session)
            case AgentReady() if self._people.get(fact.agent):
                self._start(self._serve_first(fact.agent))
            case CallOffered() if self._people.get(fact.agent):
                self._offered.set()

    def _start(self, errand: Coroutine[None, None, None]) -> None:
        if self._group is None:
            errand.close()
            return
        task = self._group.create_task(errand)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def _hand_over(self, agent: str) -> None:
        robot = self._robots.get(agent)
        if robot is not None:
            await robot.leave()

    async def _serve_first(self, agent: AgentId) -> None:
        """Somebody calls for her queue, and the robots who could take it instead have their break now."""
        skills = next(skills for name, _, skills in AGENTS if name == agent)
        queue = next(skill for skill in skills if not skill.startswith("lang."))
        rivals = [
            robot
            for name, _, theirs in AGENTS
            if queue in theirs and (robot := self._robots.get(name)) is not None and not robot.is_resting
        ]
        self._offered.clear()
        for robot in rivals:
            await robot.rest(True)
        await self.traffic.place_for(queue)
        await _either(self._offered, HEAD_START_S)
        for robot in rivals:
            await robot.rest(False)

    async def _empty_the_floor(self) -> None:
        """End what is still going on and wait until the last contact is written up."""
        deadline = self._hall.clock.now() + SETTLE_S
        await asyncio.to_thread(self._stage.lab.console, "channel request hangup all")
        while self._hall.clock.now() < deadline:
            picture = await self._hall.bus.ask(DescribeFloor())
            if not picture.waiting and all(line.activity is Activity.IDLE for line in picture.agents):
                return
            await asyncio.sleep(0.2)

    async def stuck_agents(self) -> list[str]:
        """Agents who are not idle though no call is up."""
        picture = await self._hall.bus.ask(DescribeFloor())
        return [line.agent for line in picture.agents if line.activity is not Activity.IDLE]


async def _first(*events: asyncio.Event) -> None:
    """Wait for any of them."""
    waiting = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()


async def _either(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, `seconds` at most."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


async def play(stage: Stage, options: DemoOptions, tell: Callable[[Hall], None]) -> dict[str, Any]:
    """Open everything, play, close everything; the report. `tell` is called once all is up."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # SIGHUP: the terminal was closed
        loop.add_signal_handler(number, stop.set)
    await asyncio.to_thread(stage.lab.start)
    started_at = 0.0
    try:
        async with open_daemon(stage.settings, read_site(stage.settings)) as hall:
            started_at = hall.clock.now()
            show = Show(hall, stage, options)
            tell(hall)
            await show.run(stop)
            stuck = await show.stuck_agents()
            left = len([line for line in stage.lab.console("core show channels concise").splitlines() if "!" in line])
    finally:
        await asyncio.to_thread(stage.lab.stop)
    audit = await asyncio.to_thread(stage.command, "call", "audit", "--json", "--since", f"{started_at:.3f}")
    try:
        judged = json.loads(audit.stdout)
    except ValueError as exc:
        raise CtiError(f"the audit of the demo's calls failed:\n{audit.stdout}{audit.stderr}") from exc
    return report(judged, show, stuck, left)


def report(judged: dict[str, Any], show: Show, stuck: list[str], left: int) -> dict[str, Any]:
    """One JSON object: what was placed, what Asterisk's record says became of it, what the screens showed."""
    outcomes = judged["outcomes"]
    return {
        "calls": {
            "placed": show.traffic.placed,
            "answered": outcomes.get("answered", 0),
            "abandoned": outcomes.get("abandoned", 0),
            "ivr_only": outcomes.get("ivr_only", 0),
            "failed": show.traffic.refused + outcomes.get("failsafe", 0) + outcomes.get("pbx_restart", 0),
        },
        "cel": {key: judged[key] for key in ("linkedids", "missing_contacts", "duplicate_contacts", "wrong_outcomes")},
        "pops": show.figures.report(),
        "stuck_agents": len(stuck),
        "left_channels": left,
    }


def is_sound(found: dict[str, Any]) -> bool:
    """True when nothing is missing, duplicated, wrong, stuck or left."""
    cel = found["cel"]
    nothing_wrong = not (cel["missing_contacts"] or cel["duplicate_contacts"] or cel["wrong_outcomes"])
    return nothing_wrong and not found["stuck_agents"] and not found["left_channels"] and found["calls"]["placed"] > 0
