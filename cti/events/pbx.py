"""Facts of the PBX, told by the hall."""

from dataclasses import dataclass
from enum import StrEnum

from cti.events.fact import CallFact, Fact
from cti.ids import CallId, LegId


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
class CallerIdChanged(CallFact):
    """The PBX knows the caller by another number or name than at first: its dialplan corrected, looked up or hid them.

    `ani` is "" when the number is withheld.
    """

    ani: str
    caller_name: str


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
