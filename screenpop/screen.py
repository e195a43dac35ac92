"""One call as far as it is known, one agent's screen of it, and the pop composed of both.

Every text in a pop is from outside. A record is shown only of the one customer we take the caller to be.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cti.caller import CustomerProfile, MatchKind, PastContact
from cti.events import CallerMatched, CallQueued
from cti.ids import AgentId, CallId, CustomerId, OfferId, QueueId
from cti.pop import IvrAnswer, Pop, PopPhase
from cti.site import Site

WITHHELD = "Number withheld"


@dataclass(slots=True)
class Screen:
    """What one agent's screen shows of a call."""

    agent: AgentId
    offer: OfferId
    phase: PopPhase
    queue: QueueId
    offered_at: float
    waited_s: float
    why: str
    version: int = 0
    ring_until: float | None = None
    answered_at: float | None = None
    wrap_up_until: float | None = None
    gone_at: float | None = None
    pop: Pop | None = None


@dataclass(slots=True)
class Caller:
    """What is known of one call."""

    call: CallId
    ani: str = ""
    name: str = ""
    dnis: str = ""
    match: CallerMatched | None = None
    customer: CustomerId | None = None
    profile: CustomerProfile | None = None
    history: tuple[PastContact, ...] = ()
    pending: dict[str, float] = field(default_factory=dict)  # part: its deadline
    answers: dict[str, IvrAnswer] = field(default_factory=dict)
    queued: CallQueued | None = None
    screens: dict[AgentId, Screen] = field(default_factory=dict)
    past_offers: set[OfferId] = field(default_factory=set)
    given_up: dict[OfferId, float] = field(default_factory=dict)  # offer: when it ended without a talk
    version: int = 0
    is_over: bool = False
    missed: int = 0


class Names:
    """What the operator calls queues and dialed numbers."""

    def __init__(self, site: Site) -> None:
        self.queues: Mapping[str, str] = {spec.queue: spec.name for spec in site.queues}
        self.dnis: Mapping[str, str] = {spec.number: spec.name for spec in site.dnis}


def compose(caller: Caller, screen: Screen, names: Names) -> Pop:
    """The pop as it should read now, under the version the screen has."""
    match, queued = caller.match, caller.queued
    kind = match.kind if match is not None else MatchKind.UNKNOWN if caller.ani else MatchKind.WITHHELD
    return Pop(
        call=caller.call,
        agent=screen.agent,
        offer=screen.offer,
        version=screen.version,
        phase=screen.phase,
        ani=caller.ani,
        ani_display=(match.ani_display if match is not None else "") or caller.ani or WITHHELD,
        caller_name=caller.name,
        dnis=caller.dnis,
        dnis_name=names.dnis.get(caller.dnis, ""),
        queue=screen.queue,
        queue_name=names.queues.get(screen.queue, screen.queue),
        language="" if queued is None else queued.language,
        reason="" if queued is None else queued.reason,
        queued_at=screen.offered_at - screen.waited_s if queued is None else queued.at,
        offered_at=screen.offered_at,
        waited_s=screen.waited_s,
        why=screen.why,
        match=kind,
        candidates=match.candidates if match is not None else (),
        profile=caller.profile,
        history=caller.history,
        answers=tuple(caller.answers.values()),
        pending=tuple(caller.pending),
        wrap_up_until=screen.wrap_up_until,
        ring_until=screen.ring_until,
        answered_at=screen.answered_at,
    )
