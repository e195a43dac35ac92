"""What must have happened to a call nobody watched, concluded from Asterisk's own record (CEL).

Feed it the rows in order; it keeps a short account of every call that is not settled yet, and gives the Facts, all
marked inferred, that make the contact. The legs our agents' phones rang on have linkedids of their own and belong to the
call they rang for; a call that never was in a context for calls from outside is none of ours (the doctor's check calls).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from cti.events import (
    CallArrived,
    CallConnected,
    CallEnded,
    CallFact,
    CallFailedSafe,
    CallParted,
    CallQueued,
    EndedBy,
)
from cti.ids import CallId, LegId, QueueId, call_of_offer, offer_of_leg
from voc.cel import CelRow

ENTRY = "offhook-entry"
HOLD = "offhook-hold"
FAILSAFE = "offhook-failsafe"

HOLDING = "holding_bridge"
NOBODY = ("CBAnn/", "CBRec/", "Announcer/", "Recorder/")

AT_ONCE_S = 1.0
"""Two legs that go within this time went together: the one whose hang-up caused it ended the call."""


@dataclass(slots=True)
class CelCall:
    """The account of one call, as far as the rows go."""

    call: CallId
    place: int  # of its first row
    first_at: float
    last_at: float
    customer: str = ""  # the customer's leg; "" while no leg of it was in a context for calls from outside
    channel: str = ""
    context: str = ""
    dnis: str = ""
    ani: str = ""
    name: str = ""
    held_at: float | None = None
    failsafe_at: float | None = None
    bridges: dict[str, set[str]] = field(default_factory=dict)
    talks: list[tuple[str, float, float | None]] = field(default_factory=list)  # peer, from, until
    cause: int = 0
    source: str = ""  # the channel whose side hung up
    hung_up_at: float | None = None
    ended_at: float | None = None  # LINKEDID_END

    @property
    def is_from_outside(self) -> bool:
        """True when it is a customer's call."""
        return bool(self.customer)

    def facts(self) -> tuple[CallFact, ...]:
        """Its contact as Facts, oldest first; CallEnded is among them when Asterisk saw the end."""
        return tuple(_facts_of(self))


class CelLedger:
    """The calls that are not settled yet. `contexts` are those in which calls from outside begin."""

    def __init__(self, contexts: tuple[str, ...]) -> None:
        self._outside = frozenset((*contexts, ENTRY, HOLD, FAILSAFE))
        self._calls: dict[str, CelCall] = {}
        self._call_of_leg: dict[str, str] = {}
        self._merged: dict[str, str] = {}

    def receive(self, row: CelRow) -> None:
        """Take one row into account."""
        name = self._call_named(row)
        call = self._calls.get(name)
        if call is None:
            if row.kind == "LINKEDID_END":
                return  # of an agent's leg whose call is settled, or the tail of something before our time
            call = self._calls[name] = CelCall(CallId(name), row.place, row.at, row.at)
        call.last_at = max(call.last_at, row.at)
        if row.kind == "LINKEDID_END":
            if row.linkedid == name:
                call.ended_at = row.at
            return
        self._find_customer(call, row)
        _follow(call, row)

    def _call_named(self, row: CelRow) -> str:
        offer = offer_of_leg(row.linkedid)
        name = row.linkedid if offer is None else call_of_offer(offer)
        name = self._merged.get(name, name)
        if offer is not None or row.kind == "LINKEDID_END" or offer_of_leg(row.leg) is not None:
            return name
        before = self._call_of_leg.get(row.leg)
        if before is not None and before != name:
            self._merge(before, name)
        self._call_of_leg[row.leg] = name
        return name

    def _merge(self, name: str, into: str) -> None:
        """A leg goes on under an older call's linkedid, and all that was its call with it."""
        self._merged[name] = into
        for leg, owner in self._call_of_leg.items():
            if owner == name:
                self._call_of_leg[leg] = into
        call = self._calls.pop(name, None)
        if call is None:
            return
        other = self._calls.setdefault(into, CelCall(CallId(into), call.place, call.first_at, call.last_at))
        other.place = min(other.place, call.place)
        other.first_at = min(other.first_at, call.first_at)
        if not other.customer:
            other.customer, other.channel, other.context = call.customer, call.channel, call.context
            other.dnis, other.ani, other.name = call.dnis, call.ani, call.name
        other.talks += call.talks
        other.held_at = call.held_at if other.held_at is None else other.held_at
        other.failsafe_at = call.failsafe_at if other.failsafe_at is None else other.failsafe_at

    def _find_customer(self, call: CelCall, row: CelRow) -> None:
        if not call.customer and row.context in self._outside and offer_of_leg(row.leg) is None:
            if is_near_half(row.channel):
                return
            call.customer, call.context, call.dnis = row.leg, row.context, row.exten
        if row.leg == call.customer:
            # The last word counts: our dialplan clears the number of a caller who withholds it.
            call.channel, call.ani, call.name = row.channel, row.number, row.name

    def ended(self, before: float) -> list[CelCall]:
        """The customers' calls that Asterisk saw end before this instant."""
        calls = self._calls.values()
        return [call for call in calls if call.is_from_outside and call.ended_at is not None and call.ended_at < before]

    def endless(self, before: float) -> list[CelCall]:
        """The customers' calls without an end of which nothing was recorded since this instant."""
        calls = self._calls.values()
        return [call for call in calls if call.is_from_outside and call.ended_at is None and call.last_at < before]

    def find(self, call: CallId) -> CelCall | None:
        """The account of this call, None when the rows said nothing of it."""
        return self._calls.get(self._merged.get(call, call))

    def settle(self, calls: Iterable[CallId]) -> None:
        """Forget these calls: their contacts are in order."""
        names = set(calls)
        for name in names:
            self._calls.pop(name, None)
        self._call_of_leg = {leg: call for leg, call in self._call_of_leg.items() if call not in names}
        self._merged = {name: into for name, into in self._merged.items() if into not in names}

    def settle_strangers(self, before: float) -> None:
        """Forget what is over or silent since this instant and never was a customer's call."""
        self.settle(
            [
                call.call
                for call in self._calls.values()
                if not call.is_from_outside and (call.ended_at or call.last_at) < before
            ]
        )

    def mark(self, read_to: int) -> int:
        """From where the next reading must begin, so that no unsettled call is cut."""
        return min((call.place for call in self._calls.values()), default=read_to)


def unheard(facts: Iterable[CallFact], steps: Sequence[CallFact]) -> tuple[CallFact, ...]:
    """Those of the record's Facts that say something the steps of the contact don't: a talk nobody saw begin, an end."""
    return tuple(fact for fact in facts if not any(_is_same(fact, step) for step in steps))


def _is_same(fact: CallFact, step: CallFact) -> bool:
    if type(fact) is not type(step):
        return False
    if isinstance(fact, CallConnected | CallParted) and isinstance(step, CallConnected | CallParted):
        return fact.peer == step.peer and abs(fact.at - step.at) < AT_ONCE_S
    return not (isinstance(fact, CallEnded) and step.inferred)


def is_near_half(channel: str) -> bool:
    """True for the half of a Local channel that only begins in the dialed context; the other half walks through it."""
    return channel.startswith("Local/") and channel.endswith(";1")


def _follow(call: CelCall, row: CelRow) -> None:
    if row.kind == "BRIDGE_ENTER" and _can_talk(row):
        bridge = row.extra_value("bridge_id")
        legs = call.bridges.setdefault(bridge, set())
        legs.add(row.leg)
        if call.customer in legs:
            talking = {peer for peer, _, until in call.talks if until is None}
            call.talks += [(peer, row.at, None) for peer in sorted(legs - {call.customer} - talking)]
    elif row.kind in ("BRIDGE_EXIT", "CHAN_END"):
        _leave(call, row)
    if row.leg != call.customer:
        return
    if row.context == HOLD and call.held_at is None:
        call.held_at = row.at
    if row.context == FAILSAFE and call.failsafe_at is None:
        call.failsafe_at = row.at
    if row.kind == "HANGUP":
        call.hung_up_at = row.at
        call.source = row.extra_value("hangupsource")
        cause = row.extra_value("hangupcause")
        call.cause = int(cause) if cause.isdecimal() else 0


def _can_talk(row: CelRow) -> bool:
    """False in bridges in which people only wait, and for Asterisk's own announcers and recorders."""
    return row.extra_value("bridge_technology") != HOLDING and not row.channel.startswith(NOBODY)


def _leave(call: CelCall, row: CelRow) -> None:
    for legs in call.bridges.values():
        legs.discard(row.leg)
    for place, (peer, since, until) in enumerate(call.talks):
        if until is None and row.leg in (peer, call.customer):
            call.talks[place] = (peer, since, row.at)


def _facts_of(call: CelCall) -> Iterator[CallFact]:
    name, leg = call.call, LegId(call.customer)
    yield CallArrived(
        at=call.first_at,
        inferred=True,
        call=name,
        leg=leg,
        channel=call.channel,
        ani=call.ani,
        caller_name=call.name,
        dnis=call.dnis,
        context=call.context,
    )
    if call.held_at is not None:
        # Asterisk does not record which queue it was.
        yield CallQueued(
            at=call.held_at,
            inferred=True,
            call=name,
            queue=QueueId(""),
            channel=call.channel,
            language="",
            ani=call.ani,
        )
    if call.failsafe_at is not None:
        yield CallFailedSafe(at=call.failsafe_at, inferred=True, call=name, why="read from Asterisk's record")
    for peer, since, until in call.talks:
        yield CallConnected(at=since, inferred=True, call=name, leg=leg, peer=LegId(peer))
        if until is not None:
            yield CallParted(at=until, inferred=True, call=name, peer=LegId(peer))
    if call.ended_at is not None:
        at = call.ended_at if call.hung_up_at is None else call.hung_up_at
        yield CallEnded(at=at, inferred=True, call=name, ended_by=_ended_by(call, at), cause=call.cause)


def _ended_by(call: CelCall, at: float) -> EndedBy:
    if call.source and call.source == call.channel:
        return EndedBy.CALLER
    if call.source.startswith("dialplan"):
        return EndedBy.SYSTEM
    parted = max((until for _, _, until in call.talks if until is not None), default=None)
    if call.source and parted is not None and at - parted < AT_ONCE_S:
        return EndedBy.AGENT
    return EndedBy.UNKNOWN
