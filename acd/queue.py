"""The contacts that wait, in the order they will be served.

Higher priority first, then the longest wait; a contact whose offer came to nothing goes before everybody of its
priority, because it has been promised an agent once already. A contact being offered keeps its place.
"""

from dataclasses import dataclass

from cti.floor import WaitingLine
from cti.ids import AgentId, CallId, QueueId


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One waiting contact. `since` is when its wait began; `channel` is what the agent's phone will be bridged with."""

    call: CallId
    queue: QueueId
    channel: str
    since: float
    priority: int = 0
    goes_first: bool = False
    language: str = ""
    skills: tuple[str, ...] = ()
    reason: str = ""
    ani: str = ""
    offered_to: AgentId | None = None
    is_out: bool = False
    """In the dialplan's own queue by now; only the agent whose phone rings already may still take the call."""

    def place(self) -> tuple[int, bool, float, str]:
        """Sorts contacts into the order of service; the call's name breaks ties so that a replay gives the same order."""
        return (-self.priority, not self.goes_first, self.since, self.call)

    def line(self) -> WaitingLine:
        """The wallboard's line of this contact."""
        return WaitingLine(
            call=self.call,
            queue=self.queue,
            since=self.since,
            priority=self.priority,
            language=self.language,
            reason=self.reason,
            ani=self.ani,
            offered_to=self.offered_to,
        )


@dataclass(slots=True)
class Tally:
    """What happened in one queue on one UTC day."""

    day: int = 0
    offered: int = 0
    answered: int = 0
    abandoned: int = 0

    def turn(self, now: float) -> None:
        """Start again from nothing when a new UTC day has come."""
        day = int(now // 86400)
        if day != self.day:
            self.day, self.offered, self.answered, self.abandoned = day, 0, 0, 0
