"""The daemon: opens the store, the rooms and the links to Asterisk in the order that loses nothing, and closes them again.

Rooms hear before the PBX is read, and Asterisk is let in (FastAGI) only when the rooms that serve it are open: until then
callers are refused at once and the dialplan's failsafe takes them. On leaving, new callers are refused first.
Conversations never pass through here, so none ends with us.
"""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import structlog

from cti.agi.server import AgiServer
from cti.ami.attach import AmiLink
from cti.bus.local import LocalBus
from cti.clock import SteadyClock
from cti.errors import Unavailable
from cti.health import Health
from cti.rooms import Hall, find_rooms
from cti.settings import Settings
from cti.site import Site
from cti.site_file import load_site
from cti.store.engine import open_store
from cti.store.migrate import migrate
from cti.tap import open_tap

log = structlog.get_logger()


def read_site(settings: Settings) -> Site:
    """The site these settings point to. Raises ConfigError with every finding."""
    return load_site(settings.paths.queues, settings.paths.agents)


@asynccontextmanager
async def open_daemon(settings: Settings, site: Site) -> AsyncIterator[Hall]:
    """Everything, open while the context lasts. Raises ConfigError, Unavailable (database away, port busy)."""
    clock = SteadyClock()
    health = Health()
    bus = LocalBus()
    rooms = find_rooms(settings.daemon.rooms)
    await asyncio.to_thread(migrate, settings.database.url)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(
            open_store(
                settings.database.url,
                tell=lambda is_up, why: health.say("database", is_up, why, clock.now()),
            )
        )
        health.say("database", True, store.dialect, clock.now())
        agi = AgiServer(settings.agi)
        link = AmiLink(settings, bus, clock, health)
        hall = Hall(settings, site, clock, bus, store, link.pbx, agi, health)
        await stack.enter_async_context(open_tap(bus, settings.daemon.socket))
        for name, open_room in rooms.items():
            await stack.enter_async_context(open_room(hall))
            health.say(f"room {name}", True, "open", clock.now())
        await stack.enter_async_context(link.open())
        await stack.enter_async_context(_listening(agi, settings))
        health.say("agi", True, f"listening on {settings.agi.host}:{agi.port}", clock.now())
        log.info("offhook is up", rooms=list(rooms), agi_port=agi.port, console_port=settings.console.port)
        try:
            with nothing_old_collected():
                yield hall
        finally:
            health.say("daemon", False, "stopping", clock.now())
            log.info("offhook stops")


@contextmanager
def nothing_old_collected() -> Iterator[None]:
    """Leave what is there now out of garbage collection: walking it would hold the loop for 100 ms and more each time."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@asynccontextmanager
async def _listening(agi: AgiServer, settings: Settings) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(agi.open())
        except OSError as exc:
            why = f"port {settings.agi.port} can't be listened on ({exc.strerror}); set agi.port or end what uses it"
            raise Unavailable("FastAGI", why) from exc
        yield


async def run_daemon(settings: Settings, site: Site) -> None:
    """Run until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with open_daemon(settings, site):
        await stop.wait()
