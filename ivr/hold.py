"""Callers in the dialplan's hold loop: who keeps waiting, who is told to the others again, whose talk is over. A pure decider.

A waiting caller comes by every half minute and after every talk, bringing on the channel what we need to know. So a daemon
that has just started learns of everybody who waits, without having written anything down.
"""

from dataclasses import dataclass

from cti.events import CallConnected, CallEnded, CallFact, CallMerged, CallQueued, Fact, PbxSynced
from cti.ids import CallId, QueueId

DISARM_WITHIN_S = 5.0
"""How long after a dialplan session a time limit may still be armed on the channel of a caller who begins to talk."""

LONGEST_WAIT_S = 86_400.0
"""A wait longer than this is a channel variable gone wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameBy:
    """A caller came by from the hold loop, with what the channel carries. `since` is Unix seconds."""

    call: CallId
    channel: str
    queue: QueueId
    is_queue_known: bool
    since: float | None
    is_served: bool  # an agent's leg was bridged with the caller
    language: str
    priority: int
    reason: str
    ani: str


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """A dialplan session of this call began; `leg` is the caller's."""

    call: CallId
    leg: str


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """It ended."""

    call: CallId


@dataclass(frozen=True, slots=True)
class Order:
    """What to do with the caller who came by."""


@dataclass(frozen=True, slots=True)
class KeepWaiting(Order):
    """Back to the music."""


@dataclass(frozen=True, slots=True)
class SayFarewell(Order):
    """The talk is over: the flow's last word, then hang up."""


@dataclass(frozen=True, slots=True)
class FailSafe(Order):
    """The dialplan's own queue: nobody here knows the queue."""

    why: str


@dataclass(frozen=True, slots=True)
class Disarm(Order):
    """Clear the time limit of this leg: a talk began and would be cut."""

    leg: str


@dataclass(slots=True)
class _Line:
    leg: str = ""
    is_waiting: bool = False
    has_talked: bool = False
    open_sessions: int = 0
    closed_at: float = float("-inf")


@dataclass(frozen=True, slots=True)
class HoldPicture:
    """How many calls are known here, and which of them wait."""

    known: int
    waiting: tuple[CallId, ...]


Heard = Fact | CameBy | SessionOpened | SessionClosed


class Hold:
    """Every call between the menu and its end."""

    def __init__(self) -> None:
        self._lines: dict[CallId, _Line] = {}

    def receive(self, heard: Heard, now: float) -> list[Order | Fact]:
        """What follows from this Fact, visit or session."""
        if isinstance(heard, CameBy):
            return self._came_by(heard, now)
        if isinstance(heard, SessionOpened):
            line = self._lines.setdefault(heard.call, _Line())
            line.leg, line.open_sessions = heard.leg, line.open_sessions + 1
        elif isinstance(heard, SessionClosed):
            if (closing := self._lines.get(heard.call)) is not None:
                closing.open_sessions, closing.closed_at = max(0, closing.open_sessions - 1), now
        elif isinstance(heard, PbxSynced):
            self._synced(heard)
        elif isinstance(heard, CallFact):
            return self._call_fact(heard, now)
        return []

    def wake(self, now: float) -> list[Order | Fact]:
        """Nothing here has a deadline."""
        return []

    def next_wake(self) -> float | None:
        """Never."""
        return None

    def picture(self) -> HoldPicture:
        """Who is here."""
        return HoldPicture(len(self._lines), tuple(call for call, line in self._lines.items() if line.is_waiting))

    def _came_by(self, visit: CameBy, now: float) -> list[Order | Fact]:
        line = self._lines.setdefault(visit.call, _Line())
        if visit.is_served or line.has_talked:
            line.is_waiting = False
            return [SayFarewell()]
        if not visit.is_queue_known:
            return [FailSafe(f"no queue called {visit.queue!r}")]
        if line.is_waiting:
            return [KeepWaiting()]
        line.is_waiting = True
        is_sane = visit.since is not None and now - LONGEST_WAIT_S <= visit.since <= now
        since = visit.since if is_sane and visit.since is not None else now
        queued = CallQueued(
            at=since,
            inferred=True,
            call=visit.call,
            queue=visit.queue,
            channel=visit.channel,
            language=visit.language,
            priority=visit.priority,
            reason=visit.reason,
            ani=visit.ani,
        )
        return [queued, KeepWaiting()]

    def _call_fact(self, fact: CallFact, now: float) -> list[Order | Fact]:
        if isinstance(fact, CallQueued):
            self._lines.setdefault(fact.call, _Line()).is_waiting = True
        elif isinstance(fact, CallEnded):
            self._lines.pop(fact.call, None)
        elif isinstance(fact, CallMerged):
            if (gone := self._lines.pop(fact.call, None)) is not None:
                self._lines.setdefault(fact.into, gone)
        elif isinstance(fact, CallConnected) and (line := self._lines.get(fact.call)) is not None:
            line.is_waiting, line.has_talked = False, True
            if line.open_sessions or now - line.closed_at <= DISARM_WITHIN_S:
                return [Disarm(line.leg)]
        return []

    def _synced(self, fact: PbxSynced) -> None:
        up = set(fact.calls)
        for call in [call for call in self._lines if call not in up]:
            if not self._lines[call].open_sessions:
                del self._lines[call]
        for call in fact.talking:
            line = self._lines.setdefault(call, _Line())
            line.is_waiting, line.has_talked = False, True
