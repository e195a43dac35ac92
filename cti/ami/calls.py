"""The calls on the PBX, put together from what its channels do.

Customers' legs, the legs that ring for our offers, and who shares a bridge with whom go in, one happening at a time; Facts
come out. A happening twice, late, or about somebody unknown changes nothing and is counted. Memory is bounded by the
channels that are up, and a short list of those just gone. Knows neither frames nor clocks.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from cti.ami.bridges import Bridges
from cti.ami.picture import CallPicture, CallsPicture, LegPicture
from cti.ami.recent import Recent
from cti.call import LEG_MOVES, CallState, LegState
from cti.events import (
    CallArrived,
    CallConnected,
    CallEnded,
    CallerIdChanged,
    CallFailedSafe,
    CallHeld,
    CallMerged,
    CallParted,
    CallRetrieved,
    ChannelRenamed,
    EndedBy,
    Fact,
    LegAnswered,
    LegEnded,
    LegRinging,
)
from cti.ids import CallId, LegId, OfferId, call_of_offer, offer_of_leg

BREATH_S = 1.0
"""A customer who goes within this many seconds after the other side ended the talk was let go by the agent."""

REMEMBERED = 4096
"""How many ended channels and bridges are remembered, so that what comes late about them revives nobody."""

_NO_ANSWER_CAUSES = {17: "BUSY", 18: "NOANSWER", 19: "NOANSWER", 21: "REJECTED"}
_UNREACHABLE_CAUSES = frozenset({1, 2, 3, 20, 27, 28, 34, 38, 41, 42, 44, 50, 58, 88})


@dataclass(slots=True, eq=False)
class _Leg:
    leg: LegId
    call: CallId
    is_customer: bool
    channel: str = ""
    state: LegState = LegState.DIALLED
    caller_id: tuple[str, str] = ("", "")
    why: str = ""
    hung_up: bool = False
    holds: bool = False


@dataclass(slots=True, eq=False)
class _Call:
    call: CallId
    legs: list[LegId] = field(default_factory=list)
    talks: dict[tuple[LegId, LegId], None] = field(default_factory=dict)
    let_go_at: float | None = None
    failed_safe: bool = False


class Calls:
    """The machine. Every method takes the Uniqueid of a channel and when it happened (Unix seconds)."""

    def __init__(self, offer_of: Callable[[str], OfferId | None] = offer_of_leg) -> None:
        self.ignored = 0
        """Happenings that were twice, late, or about somebody unknown."""
        self._offer_of = offer_of
        self._calls: dict[CallId, _Call] = {}
        self._legs: dict[str, _Leg] = {}
        self._bridges = Bridges()
        self._merged: dict[CallId, CallId] = {}
        self._vacated: dict[str, LegId] = {}
        self._over = Recent(REMEMBERED)
        self._calls_over = Recent(REMEMBERED)

    # --- legs come -------------------------------------------------------------------------------------------------

    def arrived(self, fact: CallArrived, is_up: bool = False) -> list[Fact]:
        """A customer's channel appeared; `fact` is what to say if it is news."""
        if fact.leg in self._legs or fact.leg in self._over or fact.call in self._calls_over:
            return self._ignore()
        if fact.call in self._calls:
            # A forwarding loop through a trunk context: another channel of a call whose customer we have.
            return self._ignore()
        self._calls[fact.call] = _Call(fact.call, [fact.leg])
        state = LegState.UP if is_up else LegState.DIALLED
        self._legs[fact.leg] = _Leg(fact.leg, fact.call, True, fact.channel, state, (fact.ani, fact.caller_name))
        return [fact]

    def known_as(self, leg: str, ani: str, name: str, at: float) -> list[Fact]:
        """The PBX knows a customer by this number and name."""
        known = self._legs.get(leg)
        if known is None or not known.is_customer or known.caller_id == (ani, name):
            return []
        known.caller_id = (ani, name)
        return [CallerIdChanged(at=at, call=known.call, ani=ani, caller_name=name)]

    def dialled(self, leg: str) -> None:
        """A leg that rings for one of our offers appeared."""
        offer = self._offer_of(leg)
        if offer is None or leg in self._legs or leg in self._over:
            self.ignored += 1
            return
        call = call_of_offer(offer)
        self._legs[leg] = _Leg(LegId(leg), self._merged.get(call, call), False)

    def ringing(self, leg: str, at: float) -> list[Fact]:
        """The leg's phone rings."""
        known = self._move(leg, LegState.RINGING)
        if known is None or known.is_customer:
            return []
        return [LegRinging(at=at, call=known.call, leg=known.leg)]

    def answered(self, leg: str, at: float) -> list[Fact]:
        """The leg is up. Of a customer's leg there is nothing to say: it is answered by a dialplan, not by a person."""
        known = self._move(leg, LegState.UP)
        if known is None or known.is_customer:
            return []
        return [LegAnswered(at=at, call=known.call, leg=known.leg)]

    # --- bridges ---------------------------------------------------------------------------------------------------

    def entered(self, bridge: str, leg: str, at: float) -> list[Fact]:
        """The channel, whoever's it is, went into a bridge in which people talk."""
        uid = LegId(leg)
        if uid in self._over or bridge in self._over or self._bridges.of(uid) == bridge:
            return self._ignore()
        facts = self._part(uid, self._bridges.leave(uid), at)
        for other in self._bridges.enter(bridge, uid):
            facts += self._meet(uid, other, at)
        return facts

    def left(self, bridge: str, leg: str, at: float) -> list[Fact]:
        """The channel left the bridge."""
        uid = LegId(leg)
        if self._bridges.of(uid) != bridge:
            return self._ignore()
        return self._part(uid, self._bridges.leave(uid), at)

    def left_all(self, leg: str, at: float) -> list[Fact]:
        """The channel is in no bridge."""
        return self._part(LegId(leg), self._bridges.leave(LegId(leg)), at)

    def dissolved(self, bridge: str, at: float) -> list[Fact]:
        """The bridge is gone and everybody is out of it."""
        self._over.add(bridge)
        facts: list[Fact] = []
        for uid in self._bridges.members(bridge):
            facts += self._part(uid, self._bridges.leave(uid), at)
        return facts

    def poured(self, source: str, target: str, at: float) -> list[Fact]:
        """Everybody in bridge `source` is in `target` now; those who talked talk on."""
        facts: list[Fact] = []
        for uid, other in self._bridges.pour(source, target):
            facts += self._meet(uid, other, at)
        return facts

    def _meet(self, one: LegId, other: LegId, at: float) -> list[Fact]:
        facts: list[Fact] = []
        for uid, peer in ((one, other), (other, one)):
            leg = self._legs.get(uid)
            if leg is None or not leg.is_customer:
                continue
            talks = self._calls[leg.call].talks
            if (uid, peer) not in talks and (peer, uid) not in talks:
                talks[uid, peer] = None
                facts.append(CallConnected(at=at, call=leg.call, leg=uid, peer=peer))
        return facts

    def _part(self, leaver: LegId, behind: tuple[LegId, ...], at: float) -> list[Fact]:
        facts: list[Fact] = []
        for other in behind:
            for uid, peer in ((leaver, other), (other, leaver)):
                leg = self._legs.get(uid)
                call = self._calls[leg.call] if leg is not None and leg.is_customer else None
                if call is not None and (uid, peer) in call.talks:
                    del call.talks[uid, peer]
                    call.let_go_at = at if peer == leaver else None
                    facts.append(CallParted(at=at, call=call.call, peer=peer))
        return facts

    # --- on the way ------------------------------------------------------------------------------------------------

    def held(self, leg: str, at: float) -> list[Fact]:
        """The leg put the other side on hold."""
        known = self._legs.get(leg)
        if known is None or known.holds:
            return self._ignore()
        known.holds = True
        return [CallHeld(at=at, call=known.call, leg=known.leg)]

    def retrieved(self, leg: str, at: float) -> list[Fact]:
        """The leg took the other side back. Asterisk also says so before a transfer, when nobody was on hold."""
        known = self._legs.get(leg)
        if known is None or not known.holds:
            return self._ignore()
        known.holds = False
        return [CallRetrieved(at=at, call=known.call, leg=known.leg)]

    def renamed(self, leg: str, channel: str, at: float) -> list[Fact]:
        """The channel has another name; one that takes the name a customer's channel had to give up takes its place."""
        known = self._legs.get(leg)
        if known is None:
            heir_of = self._vacated.pop(channel, None)
            return self._ignore() if heir_of is None else self._succeed(heir_of, LegId(leg), at)
        if channel.endswith("<MASQ>"):
            self._vacated[known.channel] = known.leg
        elif known.is_customer and known.channel != channel and not channel.endswith("<ZOMBIE>"):
            known.channel = channel
            return [ChannelRenamed(at=at, call=known.call, leg=known.leg, channel=channel)]
        return []

    def _succeed(self, old: LegId, new: LegId, at: float) -> list[Fact]:
        known = self._legs.get(old)
        if known is None or not known.is_customer or new in self._over:
            return self._ignore()
        facts = self._part(old, self._bridges.leave(old), at)
        del self._legs[old]
        self._legs[new] = known
        known.leg = new
        legs = self._calls[known.call].legs
        legs[legs.index(old)] = new
        self._over.add(old)
        return [*facts, ChannelRenamed(at=at, call=known.call, leg=new, channel=known.channel)]

    def seen_under(self, leg: str, linkedid: str, at: float) -> list[Fact]:
        """The channel says it belongs to this Linkedid; for a customer's leg another one than before is a merge.

        The leg of an offer is drawn under its caller's Linkedid at the bridge: its name has said so before.
        """
        known = self._legs.get(leg)
        if known is None or known.call == linkedid or not known.is_customer or not self.is_merge(known.call, linkedid):
            return []
        old, into = self._calls.pop(known.call), CallId(linkedid)
        target = self._calls.setdefault(into, _Call(into))
        target.legs += old.legs
        target.talks.update(old.talks)
        for other in self._legs.values():
            if other.call == old.call:
                other.call = into
        self._merged = {call: into if to == old.call else to for call, to in self._merged.items()}
        self._merged[old.call] = into
        return [CallMerged(at=at, call=old.call, into=into)]

    def is_merge(self, call: CallId, linkedid: str) -> bool:
        """Whether a customer's leg of `call` that is under this Linkedid now has been drawn into another call."""
        return linkedid not in ("", call) and linkedid not in self._calls_over and self._offer_of(linkedid) is None

    def failed_safe(self, leg: str, why: str, at: float) -> list[Fact]:
        """The customer is in the dialplan's own queue."""
        known = self._legs.get(leg)
        call = self._calls.get(known.call) if known is not None and known.is_customer else None
        if call is None or call.failed_safe:
            return self._ignore()
        call.failed_safe = True
        return [CallFailedSafe(at=at, call=call.call, why=why)]

    # --- legs go ---------------------------------------------------------------------------------------------------

    def hung_up(self, leg: str) -> None:
        """The far end of the channel hung up; its end follows."""
        known = self._legs.get(leg)
        if known is None:
            self.ignored += 1
        else:
            known.hung_up = True

    def not_answered(self, leg: str, why: str) -> None:
        """The PBX's word for why the leg was not answered; the first one stays."""
        known = self._legs.get(leg)
        if known is not None and known.state is not LegState.UP and not known.why:
            known.why = why

    def never_was(self, leg: str, at: float) -> list[Fact]:
        """The PBX could not even make a channel for an offer."""
        offer = self._offer_of(leg)
        if offer is None or leg in self._legs or leg in self._over:
            return self._ignore()
        self._over.add(leg)
        call = call_of_offer(offer)
        return [LegEnded(at=at, call=self._merged.get(call, call), leg=LegId(leg), why="UNREACHABLE")]

    def ended(self, leg: str, cause: int, at: float, by: EndedBy | None = None) -> list[Fact]:
        """The channel is gone. `by` says who ended it, unless the caller is known to have hung up."""
        uid = LegId(leg)
        facts = self._part(uid, self._bridges.leave(uid), at)
        self._over.add(leg)
        known = self._legs.pop(leg, None)
        if known is None:
            self.ignored += 1
            return facts
        if not known.is_customer:
            facts.append(LegEnded(at=at, call=known.call, leg=known.leg, cause=cause, why=_why(known, cause)))
            return facts
        self._vacated.pop(known.channel, None)
        call = self._calls[known.call]
        call.legs.remove(uid)
        if not call.legs:
            ended_by = EndedBy.CALLER if known.hung_up else by or _ended_by(call, at)
            facts.append(CallEnded(at=at, call=call.call, ended_by=ended_by, cause=cause))
            self._forget(call.call)
        return facts

    def everything_ended(self, by: EndedBy, at: float) -> list[Fact]:
        """The PBX is another one now: whoever was up is gone."""
        facts: list[Fact] = []
        for bridge in self._bridges.names():
            facts += self.dissolved(bridge, at)
        for leg in tuple(self._legs):
            facts += self.ended(leg, 0, at, by)
        return facts

    def _forget(self, call: CallId) -> None:
        del self._calls[call]
        self._calls_over.add(call)
        if self._merged:
            self._merged = {old: into for old, into in self._merged.items() if into != call}

    # --- what is ---------------------------------------------------------------------------------------------------

    def is_over(self, leg: str) -> bool:
        """True for a channel that ended not long ago."""
        return leg in self._over

    def call_ids(self) -> tuple[CallId, ...]:
        """The calls that are up, oldest first."""
        return tuple(self._calls)

    def talking(self) -> tuple[CallId, ...]:
        """Those of them whose customer is in a bridge with somebody."""
        return tuple(call.call for call in self._calls.values() if call.talks)

    def picture(self) -> CallsPicture:
        """Everything, as it is now."""
        legs = (LegPicture(x.leg, x.call, x.state, x.is_customer, x.channel) for x in self._legs.values())
        return CallsPicture(
            tuple(sorted(map(self._call_picture, self._calls.values()), key=lambda call: call.call)),
            tuple(sorted(legs, key=lambda leg: leg.leg)),
            self._bridges.picture(),
        )

    def _call_picture(self, call: _Call) -> CallPicture:
        is_up = any(self._legs[leg].state is LegState.UP for leg in call.legs)
        state = CallState.TALKING if call.talks else CallState.ALONE if is_up else CallState.ARRIVED
        return CallPicture(call.call, state, tuple(sorted(call.legs)), tuple(sorted(call.talks)), call.failed_safe)

    # --- inside ----------------------------------------------------------------------------------------------------

    def _move(self, leg: str, state: LegState) -> _Leg | None:
        known = self._legs.get(leg)
        if known is None or state not in LEG_MOVES[known.state]:
            self.ignored += 1
            return None
        known.state = state
        return known

    def _ignore(self) -> list[Fact]:
        self.ignored += 1
        return []


def _ended_by(call: _Call, at: float) -> EndedBy:
    if call.let_go_at is not None and at - call.let_go_at <= BREATH_S:
        return EndedBy.AGENT
    return EndedBy.SYSTEM


def _why(leg: _Leg, cause: int) -> str:
    if leg.state is LegState.UP:
        return ""
    if leg.why:
        return leg.why
    return "UNREACHABLE" if cause in _UNREACHABLE_CAUSES else _NO_ANSWER_CAUSES.get(cause, "")
