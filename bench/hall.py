"""Our side end to end: the real hall on a fake Asterisk, every room but the IVR, whose place a one-line greeter takes.

A caller who arrives is queued in the same breath, so the time from Asterisk's write to the agent's socket has in it: the
frame, the tracker, the match among all customers, the distributor's choice, the pop, the console; and no waiting.
`python -m bench.hall LOOP AMI_PORT DATABASE_URL CONSOLES`.
"""

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
import uvloop

import acd.service
import agent_console.service
import customers.service
import screenpop.service
import voc.service
from bench.loops import heard, probing
from bench.push import NoAgi, sign_everybody_in
from bench.worker import free_port, say
from cti.ami.attach import AmiLink
from cti.bus.local import LocalBus
from cti.clock import SteadyClock
from cti.daemon import nothing_old_collected
from cti.events import AgentReady, CallArrived, CallQueued, PbxSynced
from cti.health import Health
from cti.ids import AgentId, QueueId
from cti.requests import GoReady
from cti.rooms import Hall
from cti.settings import ConsoleSettings, DatabaseSettings, PbxSettings, Settings
from cti.site import AgentSpec, Disposition, QueueSpec, Site
from cti.store.engine import open_store

WRAP_UP_S = 1.0
SALES = QueueId("sales")


def site_of(agents: int) -> Site:
    """One queue, and so many agents who serve it."""
    queue = QueueSpec(
        queue=SALES, name="Sales", skills=("sales",), wrap_up_s=WRAP_UP_S, dispositions=(Disposition("sold", "Sold"),)
    )
    specs = tuple(
        AgentSpec(agent=AgentId(f"a{n}"), name=f"Agent Number {n}", phone=f"PJSIP/a{n}", skills=("sales",))
        for n in range(agents)
    )
    return Site(queues=(queue,), agents=specs, dnis=(), not_ready_reasons=("break",))


def greet(bus: LocalBus) -> None:
    """The shortest IVR there is: whoever arrives waits for sales."""

    def queue(fact: CallArrived) -> None:
        bus.publish(
            CallQueued(
                at=fact.at, call=fact.call, queue=SALES, channel=fact.channel, language="en", reason="", ani=fact.ani
            )
        )

    bus.hear(CallArrived, queue)


@asynccontextmanager
async def open_hall(ami_port: int, url: str, agents: int) -> AsyncIterator[tuple[Hall, int]]:
    """Everything open, nobody at the consoles yet; the hall and the console's port."""
    port = free_port()
    settings = Settings(
        pbx=PbxSettings(port=ami_port, trunk_contexts=("from-trunk",), reconcile_s=3600.0),
        console=ConsoleSettings(port=port),
        database=DatabaseSettings(url=url),
    )
    bus, clock, health = LocalBus(), SteadyClock(), Health()
    synced = asyncio.Event()
    bus.hear(PbxSynced, lambda fact: synced.set())
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(url))
        await sign_everybody_in(store, agents)
        link = AmiLink(settings, bus, clock, health)
        hall = Hall(settings, site_of(agents), clock, bus, store, link.pbx, NoAgi(), health)
        for room in (customers, voc, acd, screenpop, agent_console):
            await stack.enter_async_context(room.service.open_room(hall))
        greet(bus)
        await stack.enter_async_context(link.open())
        await synced.wait()
        yield hall, port


async def everybody_ready(hall: Hall, agents: int) -> None:
    """Until every agent is at her console and ready."""
    ready: set[str] = set()
    hall.bus.hear(AgentReady, lambda fact: ready.add(fact.agent))
    while len(ready) < agents:
        for number in range(agents):
            if (agent := AgentId(f"a{number}")) not in ready:
                await hall.bus.ask(GoReady(agent=agent))


async def _run(ami_port: int, url: str, agents: int) -> None:
    async with open_hall(ami_port, url, agents) as (hall, port):
        say({"console": port})
        await heard()
        await asyncio.sleep(0.5)  # the last consoles' sign-ins on the floor
        await everybody_ready(hall, agents)
        say("ready")
        await heard()
        with nothing_old_collected():  # as the daemon has it from its start
            began = time.process_time()
            async with probing() as probe:
                say("measuring")
                await heard()
        say({"cpu_s": time.process_time() - began, "longest_s": probe.longest_s})
        await heard()


def _main() -> None:
    loop, ami_port, url, agents = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    (uvloop.run if loop == "uvloop" else asyncio.run)(_run(int(ami_port), url, int(agents)))


if __name__ == "__main__":
    _main()
