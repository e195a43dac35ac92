"""One agent on the floor: what she wants (availability) and what is happening to her (activity), kept apart.

                    offer                    picked up, connected
        IDLE ----------------> OFFERED ---------------------------> TALKING
         ^  <----------------     |                                    |
         |    lapsed, declined,   |                                    | the talk is over
         |    rescinded, failed                                        v
         +<-------------------------------------------------------- WRAP_UP
              written up, or the timer ended it       (straight to IDLE where the queue has no wrap-up)

Availability changes at any moment and only decides whether the next contact may come: READY while TALKING means
"ready after this one". Mutable, owned by the distributor alone; everybody else sees `line()`.
"""

from dataclasses import dataclass

from cti.events import PhoneState
from cti.floor import Activity, AgentLine, Availability
from cti.ids import AgentId, CallId, OfferId, QueueId
from cti.site import AgentSpec

MOVES: dict[Activity, frozenset[Activity]] = {
    Activity.IDLE: frozenset({Activity.OFFERED, Activity.TALKING}),
    Activity.OFFERED: frozenset({Activity.IDLE, Activity.TALKING}),
    Activity.TALKING: frozenset({Activity.WRAP_UP, Activity.IDLE}),
    Activity.WRAP_UP: frozenset({Activity.IDLE}),
}
"""IDLE to TALKING happens only when a restart finds a talk already going on."""

PHONE_CAN_RING = frozenset({PhoneState.FREE, PhoneState.UNKNOWN})


@dataclass(slots=True)
class Agent:
    """One agent; `idle_since` orders the line of those waiting for a contact (Unix seconds)."""

    spec: AgentSpec
    phone: str
    queues: tuple[QueueId, ...]
    availability: Availability = Availability.SIGNED_OUT
    activity: Activity = Activity.IDLE
    reason: str = ""
    since: float = 0.0
    idle_since: float = 0.0
    phone_state: PhoneState = PhoneState.UNKNOWN
    call: CallId | None = None
    offer: OfferId | None = None
    queue: QueueId | None = None
    wrap_up_until: float | None = None
    ani: str = ""

    @property
    def id(self) -> AgentId:
        """The agent's name."""
        return self.spec.agent

    @property
    def is_free(self) -> bool:
        """True when a contact may be offered at once."""
        return (
            self.availability is Availability.READY
            and self.activity is Activity.IDLE
            and self.phone_state in PHONE_CAN_RING
        )

    @property
    def is_staffed(self) -> bool:
        """True when she is here: ready, busy, or away for a moment."""
        return self.availability is not Availability.SIGNED_OUT

    def want(self, availability: Availability, reason: str, now: float) -> None:
        """Note what the agent wants from now on."""
        if availability is Availability.READY and self.activity is Activity.IDLE:
            self.idle_since = now
        self.availability, self.reason = availability, reason
        if self.activity is Activity.IDLE:  # while busy, what is happening is what the time is told of
            self.since = now

    def move(self, activity: Activity, now: float) -> None:
        """Note what is happening now. Raises ValueError for a move the table does not have."""
        if activity not in MOVES[self.activity]:
            raise ValueError(f"agent {self.id}: no way from {self.activity} to {activity}")
        self.activity, self.since = activity, now
        if activity is Activity.IDLE:
            self.idle_since = now
            self.call = self.offer = self.queue = self.wrap_up_until = None
            self.ani = ""

    def line(self) -> AgentLine:
        """The wallboard's line of this agent."""
        return AgentLine(
            agent=self.id,
            name=self.spec.name,
            phone=self.phone,
            skills=self.spec.skills,
            availability=self.availability,
            activity=self.activity,
            reason=self.reason,
            since=self.since,
            call=self.call,
            offer=self.offer,
            queue=self.queue,
            wrap_up_until=self.wrap_up_until,
            ani=self.ani,
        )
