"""The screen pop: what an agent's screen shows of one contact, as a value.

One payload that grows: `phase` moves matched > offered > answered > wrap_up and `version` counts every change, so a
screen shows the highest version it has and an acknowledgement names the one it painted.
"""

from dataclasses import dataclass
from enum import StrEnum

from cti.caller import Candidate, CustomerProfile, MatchKind, PastContact
from cti.ids import AgentId, CallId, OfferId, QueueId


class PopPhase(StrEnum):
    """How far the contact has come."""

    MATCHED = "matched"
    OFFERED = "offered"
    ANSWERED = "answered"
    WRAP_UP = "wrap_up"


@dataclass(frozen=True, slots=True)
class IvrAnswer:
    """Something the caller said by key before being queued; `value` is masked where the flow marked it sensitive."""

    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pop:
    """What the agent sees. Every string in it is text from outside: to be shown as text, never as markup."""

    call: CallId
    agent: AgentId
    offer: OfferId
    version: int
    phase: PopPhase
    ani: str  # as the network gave it; "" when withheld
    ani_display: str  # formatted for a person, or "Number withheld"
    caller_name: str  # as the network gave it
    dnis: str
    dnis_name: str
    queue: QueueId
    queue_name: str
    language: str
    reason: str  # why the caller calls, as chosen in the IVR
    queued_at: float  # Unix seconds
    offered_at: float
    waited_s: float
    why: str  # why this agent, in a sentence
    match: MatchKind
    candidates: tuple[Candidate, ...] = ()
    profile: CustomerProfile | None = None  # of the one customer we take it to be; None is honest
    history: tuple[PastContact, ...] = ()  # last five
    answers: tuple[IvrAnswer, ...] = ()
    pending: tuple[str, ...] = ()  # parts still being looked up: "profile", "history"
    wrap_up_until: float | None = None
    ring_until: float | None = None  # while the phone rings: when the offer lapses
    answered_at: float | None = None  # when the talk began
