"""The floor as everybody sees it: agents, queues and waiting contacts, as frozen values.

acd's distributor paints this picture; the console shows it and keeps its own copy true by the same Facts.
"""

from dataclasses import dataclass
from enum import StrEnum

from cti.ids import AgentId, CallId, OfferId, QueueId


class Availability(StrEnum):
    """What the agent wants."""

    SIGNED_OUT = "signed_out"
    NOT_READY = "not_ready"
    READY = "ready"


class Activity(StrEnum):
    """What is happening to the agent."""

    IDLE = "idle"
    OFFERED = "offered"  # a contact is on the screen, the phone rings or is about to
    TALKING = "talking"
    WRAP_UP = "wrap_up"


class NotReadyReason(StrEnum):
    """Reasons the system gives; agents choose theirs from the configured list."""

    SIGN_IN = "sign_in"  # just signed in
    RONA = "rona"  # did not answer an offer
    DECLINED = "declined"  # refused an offer
    PHONE = "phone"  # the phone was busy or could not be reached
    CONNECTION = "connection"  # the browser went away
    SUPERVISOR = "supervisor"


@dataclass(frozen=True, slots=True)
class AgentLine:
    """One agent now. `since` is when what she is in now began: the activity, or idle the availability (Unix seconds)."""

    agent: AgentId
    name: str
    phone: str
    skills: tuple[str, ...]
    availability: Availability
    activity: Activity
    reason: str  # of not ready; "" otherwise
    since: float
    call: CallId | None = None
    offer: OfferId | None = None
    queue: QueueId | None = None
    wrap_up_until: float | None = None
    ani: str = ""  # of the contact the agent is busy with, as the network gave it


@dataclass(frozen=True, slots=True)
class WaitingLine:
    """One contact waiting, in the order it will be served. `since` is when it was queued (Unix seconds)."""

    call: CallId
    queue: QueueId
    since: float
    priority: int
    language: str
    reason: str
    ani: str
    offered_to: AgentId | None = None


@dataclass(frozen=True, slots=True)
class QueueLine:
    """One queue now, and its counts since midnight UTC or the daemon's start, whichever is later."""

    queue: QueueId
    name: str
    waiting: int
    longest_wait_since: float | None
    agents_ready: int  # could take a contact of this queue at once
    agents_staffed: int  # signed in with the skills for it
    offered: int
    answered: int
    abandoned: int


@dataclass(frozen=True, slots=True)
class FloorPicture:
    """Everything the wallboard shows, at one instant."""

    at: float
    agents: tuple[AgentLine, ...]
    queues: tuple[QueueLine, ...]
    waiting: tuple[WaitingLine, ...]
