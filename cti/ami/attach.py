"""Offhook attached to one Asterisk: the manager session, the tracker and the truth after a cut, put on the bus.

While the list is read after a login, events wait; then the difference is told, then what waited, then PbxSynced. Every
`reconcile_s` the list is held against the picture again, and a difference is believed when a second look a moment later
says the same: one look may only be older than an event on its way. Knows no room.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from prometheus_client import Counter, Gauge

from cti.ami.client import AmiClient, Pauses
from cti.ami.pbx import AmiPbx
from cti.ami.picture import TrackerPicture
from cti.ami.protocol import Frame
from cti.ami.resync import Difference, Reading, What, differences, infer, read
from cti.ami.tracker import Tracker
from cti.bus import Bus
from cti.clock import Clock
from cti.errors import CtiError, Unavailable
from cti.events import Fact, PbxLost, PbxSynced
from cti.health import Health
from cti.settings import Settings

MOST_WAITING = 100_000
"""Events that may wait for the list. Past it the link is dropped and the truth read anew."""

PART = "pbx"
"""Under which name Asterisk's health is told."""

EVENTS = Counter("offhook_pbx_events_total", "Events read from Asterisk that may matter")
IGNORED = Gauge("offhook_pbx_events_ignored", "Events that came twice, late, or about channels of no concern")
CALLS = Gauge("offhook_pbx_calls", "Calls of customers that are up")
LAG = Gauge("offhook_pbx_lag_seconds", "Age of the oldest event read and not told yet")
CORRECTED = Counter("offhook_pbx_corrected_total", "Claims in which our picture was wrong, by what", ["what"])

log = structlog.get_logger(__name__)


class AmiLink:
    """While `open` the bus is told what the PBX does; `pbx` is the port to it, to be handed out before.

    Facts are published from the reader's own turn of the loop, in Asterisk's order. Opening does not wait for the
    connection: PbxSynced says when it is there, PbxLost when it is not.
    """

    def __init__(
        self,
        settings: Settings,
        bus: Bus,
        clock: Clock,
        health: Health,
        *,
        pauses: Pauses | None = None,
        second_look_s: float = 1.0,
    ) -> None:
        pbx = settings.pbx
        self._bus = bus
        self._clock = clock
        self._health = health
        self._reconcile_s = pbx.reconcile_s
        self._second_look_s = second_look_s
        self._tracker = Tracker(pbx.trunk_contexts, pbx.failsafe_queue)
        self._waiting: list[Frame] | None = []
        self._started = ""
        self._lost_told = False
        self._client = AmiClient(
            pbx,
            pbx.secret.get_secret_value(),
            clock,
            on_frames=self._hear,
            on_up=self._resync,
            on_down=self._lost,
            wanted=Tracker.WANTED | {"Shutdown"},
            pauses=pauses,
        )
        self.pbx = AmiPbx(self._client, pbx)
        """The port to this Asterisk."""

    @property
    def client(self) -> AmiClient:
        """The manager session itself, for the doctor."""
        return self._client

    @property
    def is_up(self) -> bool:
        """Logged in, and the truth has been read."""
        return self._client.is_up

    def picture(self) -> TrackerPicture:
        """The calls and phones as we see them now; old while the link is down."""
        return self._tracker.picture()

    @asynccontextmanager
    async def open(self) -> AsyncIterator["AmiLink"]:
        """Keep the link up while the context lasts."""
        self._health.say(PART, False, "not connected yet", self._clock.now())
        group = asyncio.TaskGroup()
        await group.__aenter__()
        tasks = [
            group.create_task(self._client.run(), name="ami client"),
            group.create_task(self._reconcile_for_ever(), name="ami reconciliation"),
        ]
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            # Not `async with`: whoever opened us must see his own error, not a group that holds it.
            await group.__aexit__(None, None, None)

    # --- what Asterisk says ----------------------------------------------------------------------------------------

    def _hear(self, frames: list[Frame]) -> None:
        EVENTS.inc(len(frames))
        if self._waiting is None:
            self._tell(frames)
            return
        self._waiting += frames
        if len(self._waiting) > MOST_WAITING:
            raise Unavailable("Asterisk", f"more than {MOST_WAITING} events came while its list was read")

    def _tell(self, frames: list[Frame]) -> None:
        now = self._clock.now()
        receive, publish = self._tracker.receive, self._bus.publish
        for frame in frames:
            if frame.event == "Shutdown":
                self._lost("Asterisk is shutting down")
            for fact in receive(frame, now):
                publish(fact)

    def _publish(self, facts: list[Fact]) -> None:
        for fact in facts:
            self._bus.publish(fact)

    def _lost(self, why: str) -> None:
        now = self._clock.now()
        self._waiting = []
        self._health.say(PART, False, why, now)
        if not self._lost_told:
            self._lost_told = True
            self._bus.publish(PbxLost(at=now, why=why))

    # --- the truth -------------------------------------------------------------------------------------------------

    async def _resync(self) -> None:
        """The link is up: read the list, tell the difference, then what came meanwhile."""
        reading = await read(self._client)
        now = self._clock.now()
        restarted = self._started not in ("", reading.started)
        self._started = reading.started
        if restarted:
            self._publish(self._tracker.restarted(now))
        believed = differences(self._tracker, reading)
        self._publish(infer(self._tracker, reading, believed - self._ending(), now))
        waiting, self._waiting = self._waiting or [], None
        self._tell(waiting)
        calls = self._tracker.calls
        log.info("asterisk's list read", channels=len(reading.channels), differences=len(believed), restarted=restarted)
        self._lost_told = False
        self._health.say(PART, True, "connected", now)
        self._bus.publish(PbxSynced(at=now, calls=calls.call_ids(), talking=calls.talking(), restarted=restarted))
        self._measure()

    def _ending(self) -> frozenset[Difference]:
        """The ends that are about to be told by Asterisk itself, with cause and all: nothing to conclude."""
        hung_up = (frame for frame in self._waiting or [] if frame.event == "Hangup")
        return frozenset(Difference(What.GONE, frame.get("Uniqueid")) for frame in hung_up)

    async def _reconcile_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._reconcile_s)
            self._measure()
            if not self._client.is_up:
                continue
            try:
                await self._reconcile()
            except CtiError as exc:
                log.warning("the picture was not compared with asterisk's list", why=str(exc))

    async def _reconcile(self) -> None:
        first = differences(self._tracker, await read(self._client))
        if not first:
            return
        await asyncio.sleep(self._second_look_s)
        reading: Reading = await read(self._client)
        if self._waiting is not None:
            return  # the link broke meanwhile, and the list will be read anyway
        believed = first & differences(self._tracker, reading)
        for claim in believed:
            CORRECTED.labels(claim.what.name.lower()).inc()
            log.warning("the picture was wrong", what=claim.what.name.lower(), name=claim.name, is_now=claim.value)
        self._publish(infer(self._tracker, reading, believed, self._clock.now()))

    def _measure(self) -> None:
        IGNORED.set(self._tracker.ignored)
        CALLS.set(len(self._tracker.calls.call_ids()))
        LAG.set(self._client.lag_s)
