"""Every Fact one room may tell another. A Fact is past tense: it happened, and nobody can refuse it.

Facts travel at least once: a Fact twice, late or out of turn must do no harm to whoever hears it. `at` is Unix seconds
of when it happened; `inferred` marks what was concluded from a resync instead of seen. JSON is made in `cti.wire`.
"""

from dataclasses import dataclass
from enum import StrEnum

from cti.caller import Candidate, MatchKind
from cti.floor import AgentLine, QueueLine, WaitingLine
from cti.ids import AgentId, CallId, CustomerId, LegId, OfferId, QueueId, SessionId
from cti.pop import IvrAnswer, Pop


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened."""

    at: float
    inferred: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFact(Fact):
    """Something that happened to one call."""

    call: CallId


# --- the PBX, told by the hall -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxSynced(Fact):
    """The PBX's own list has been read: `calls` are up, every other call is over. `restarted`: it is a new Asterisk.

    `talking` are those of `calls` whose customer is in a bridge with somebody now.
    """

    calls: tuple[CallId, ...]
    talking: tuple[CallId, ...] = ()
    restarted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PbxLost(Fact):
    """The link to the PBX is gone; calls go on without us and what we know of them is old."""

    why: str


class PhoneState(StrEnum):
    """What the PBX says of a phone."""

    FREE = "free"
    RINGING = "ringing"
    IN_USE = "in_use"
    UNREACHABLE = "unreachable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneChanged(Fact):
    """A phone's state changed. `phone` as the PBX names the device: `PJSIP/ann`."""

    phone: str
    state: PhoneState


@dataclass(frozen=True, slots=True, kw_only=True)
class CallArrived(CallFact):
    """A call from outside reached the PBX. `ani` is raw as the network gave it, "" when there was none."""

    leg: LegId
    channel: str  # the PBX's name of the customer's channel, e.g. PJSIP/trunk-00000022
    ani: str
    caller_name: str
    dnis: str
    context: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRenamed(CallFact):
    """The customer's channel has another name now (masquerade)."""

    leg: LegId
    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LegRinging(CallFact):
    """A phone of this call rings. For an agent's leg, `leg` is `leg_of_offer(offer)`."""

    leg: LegId


@dataclass(frozen=True, slots=True, kw_only=True)
class LegAnswered(CallFact):
    """A phone of this call was picked up."""

    leg: LegId


@dataclass(frozen=True, slots=True, kw_only=True)
class LegEnded(CallFact):
    """A leg that is not the customer's is gone. `cause` is the Q.850 number (17 busy, 19 no answer), 0 unknown.

    `why` is the PBX's word: BUSY, NOANSWER, CANCEL, UNREACHABLE ... or "" after an ordinary hang-up.
    """

    leg: LegId
    cause: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallConnected(CallFact):
    """The customer and `peer` are in one bridge: they can talk."""

    leg: LegId
    peer: LegId


@dataclass(frozen=True, slots=True, kw_only=True)
class CallParted(CallFact):
    """The talk is over; the customer may still be on the line. `peer` is the leg he talked to."""

    peer: LegId


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHeld(CallFact):
    """`leg` put the other side on hold."""

    leg: LegId


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRetrieved(CallFact):
    """`leg` took the other side back from hold."""

    leg: LegId


@dataclass(frozen=True, slots=True, kw_only=True)
class CallMerged(CallFact):
    """The PBX joined `call` into the older `into`: what was said of the one is true of the other."""

    into: CallId


class EndedBy(StrEnum):
    """Who ended the call."""

    CALLER = "caller"
    AGENT = "agent"
    SYSTEM = "system"  # our flow said goodbye, or the PBX gave up
    PBX_RESTART = "pbx_restart"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded(CallFact):
    """The customer's channel is gone: for the customer the call is over. `cause` is the Q.850 number, 0 unknown."""

    ended_by: EndedBy
    cause: int = 0


# --- the caller's walk, told by ivr --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStarted(CallFact):
    """The call began to walk this flow; `version` is the flow text's fingerprint."""

    flow: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEntered(CallFact):
    """The call reached this node of its flow."""

    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerGiven(CallFact):
    """The caller answered by key. `value` is masked where the flow says it is sensitive."""

    node: str
    answer: IvrAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerIdentified(CallFact):
    """The caller proved to be this customer by something other than the number. `by` says by what: "account number"."""

    customer: CustomerId
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallQueued(CallFact):
    """The caller waits for an agent of this queue. `at` is when the wait began; higher `priority` goes first."""

    queue: QueueId
    channel: str
    language: str
    skills: tuple[str, ...] = ()
    priority: int = 0
    reason: str = ""
    ani: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFailedSafe(CallFact):
    """The caller was left to the dialplan's own queue, because we were away or silent."""

    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowEnded(CallFact):
    """The walk is over. `how`: queued, goodbye, hung_up, failed."""

    how: str


# --- who is calling, told by customers -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerMatched(CallFact):
    """What the number (or a later proof, or an agent's pick) says about who calls: candidates best first."""

    kind: MatchKind
    ani: str  # raw, as the network gave it
    ani_e164: str  # "" where the number can't be read as one
    ani_display: str
    candidates: tuple[Candidate, ...] = ()
    country: str = ""


# --- who answers whom, told by acd ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFact(Fact):
    """Something that happened to one agent."""

    agent: AgentId


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


# --- the screen, told by screenpop and agent_console ---------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PopChanged(CallFact):
    """What the agent's screen should show of this contact now."""

    agent: AgentId
    pop: Pop


@dataclass(frozen=True, slots=True, kw_only=True)
class PopPainted(CallFact):
    """The agent's browser has painted this version of the pop of this offer."""

    agent: AgentId
    offer: OfferId
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleConnected(AgentFact):
    """A browser (or program) of this agent is connected. `client` is what it calls itself."""

    session: SessionId
    client: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleLost(AgentFact):
    """The last connection of this agent's session is gone."""

    session: SessionId


# --- what remains, told by voc -------------------------------------------------------------------------------------


class ContactOutcome(StrEnum):
    """What became of a contact."""

    OPEN = "open"  # not over yet
    ANSWERED = "answered"  # talked to an agent
    ABANDONED = "abandoned"  # left the queue before an agent answered
    IVR_ONLY = "ivr_only"  # ended in the flow, by the caller or by our goodbye
    FAILSAFE = "failsafe"  # was left to the dialplan's own queue
    PBX_RESTART = "pbx_restart"  # Asterisk went away with it


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactClosed(CallFact):
    """The contact's record is complete and durable."""

    outcome: ContactOutcome
    customer: CustomerId | None = None
