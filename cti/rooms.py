"""Rooms: how the daemon finds them and what it hands them.

A room is an async context manager made from the Hall: entering opens it (its ears are on the bus, its Requests are
answered), leaving closes it. Rooms are found by entry point `offhook.rooms`, so a third party can add one.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib.metadata import entry_points

from cti.agi import AgiRoutes
from cti.bus import Bus
from cti.clock import Clock
from cti.errors import ConfigError, Finding
from cti.health import Health
from cti.pbx import Pbx
from cti.settings import Settings
from cti.site import Site
from cti.store import Store

GROUP = "offhook.rooms"


@dataclass(frozen=True, slots=True)
class Hall:
    """What every room stands on."""

    settings: Settings
    site: Site
    clock: Clock
    bus: Bus
    store: Store
    pbx: Pbx
    agi: AgiRoutes
    health: Health


Room = Callable[[Hall], AbstractAsyncContextManager[None]]


def find_rooms(names: Sequence[str]) -> dict[str, Room]:
    """The named rooms in the order given. Raises ConfigError for a name nobody offers."""
    offered = {point.name: point for point in entry_points(group=GROUP)}
    findings = [
        Finding("settings", "daemon.rooms", f"no room called {name!r} is installed", f"choose from {sorted(offered)}")
        for name in names
        if name not in offered
    ]
    if findings:
        raise ConfigError(findings)
    return {name: offered[name].load() for name in names}
