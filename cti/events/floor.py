"""Facts of who answers whom, told by acd."""

from dataclasses import dataclass
from enum import StrEnum

from cti.events.fact import AgentFact, CallFact, Fact
from cti.floor import AgentLine, QueueLine, WaitingLine
from cti.ids import AgentId, OfferId, QueueId


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSignedIn(AgentFact):
    """The agent is here, at this phone, not ready yet."""

    phone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSignedOut(AgentFact):
    """The agent left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReady(AgentFact):
    """The agent wants contacts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentNotReady(AgentFact):
    """The agent wants no contacts. `reason` from the configured list, or one of the system's."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOffered(CallFact):
    """One contact, one agent: it goes on her screen now and her phone rings next. `why`: why this agent, a sentence."""

    offer: OfferId
    agent: AgentId
    queue: QueueId
    waited_s: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRinging(CallFact):
    """The agent's phone rings for this offer, until `until`."""

    offer: OfferId
    agent: AgentId
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferAccepted(CallFact):
    """The agent picked up."""

    offer: OfferId
    agent: AgentId
    queue: QueueId
    waited_s: float


class OfferOutcome(StrEnum):
    """How an offer that was not accepted ended."""

    LAPSED = "lapsed"  # nobody picked up in time (RONA)
    DECLINED = "declined"  # the agent said no
    RESCINDED = "rescinded"  # the caller left, or we took it back
    FAILED = "failed"  # the phone was busy or could not be reached


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferEnded(CallFact):
    """An offer ended without a talk; `why` in words."""

    offer: OfferId
    agent: AgentId
    outcome: OfferOutcome
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAbandoned(CallFact):
    """The caller left the queue before an agent answered."""

    queue: QueueId
    waited_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WrapUpStarted(CallFact):
    """The talk is over and the agent writes it up, until `until` at the latest."""

    agent: AgentId
    queue: QueueId
    until: float


class WrapUpEnd(StrEnum):
    """How a wrap-up ended."""

    FINISHED = "finished"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrapUpEnded(CallFact):
    """The wrap-up is over. `disposition` is "" when the timer ended it before the agent chose one."""

    agent: AgentId
    how: WrapUpEnd
    disposition: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentLineChanged(AgentFact):
    """The wallboard's line of this agent reads so now."""

    line: AgentLine


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLineChanged(Fact):
    """The wallboard's line of this queue reads so now."""

    line: QueueLine


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingLineChanged(CallFact):
    """The wallboard's line of this waiting contact reads so now."""

    line: WaitingLine


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingLineGone(CallFact):
    """This contact waits no more: answered, abandoned or elsewhere."""
