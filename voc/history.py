"""The history being written: every call that is open, its steps so far, and when its contact is complete.

    unknown --CallArrived--> open --CallEnded--> over --nobody writes it up any more--> closed

A step is kept the moment it is heard, so a daemon that dies leaves an open contact and all its steps; at the next start
they are `restore`d. A contact closes once and never opens again: later Facts are counted and dropped. Facts of a call
nobody has seen arrive wait, a bounded number of them, for its arrival.
"""

import heapq
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from cti.events import (
    CallArrived,
    CallConnected,
    CallEnded,
    CallFact,
    CallMerged,
    CallOffered,
    ContactClosed,
    EndedBy,
    Fact,
    OfferAccepted,
    PbxSynced,
    PopChanged,
    WaitingLineChanged,
    WaitingLineGone,
    WrapUpEnded,
    WrapUpStarted,
)
from cti.ids import AgentId, CallId, LegId, leg_of_offer
from cti.requests import Draft
from voc.contact import Contact, contact_of
from voc.wrapup import Drafts

LINGER_S = 0.5
"""How long after the caller is gone the other rooms may still say what it meant to them."""

WRAP_UP_DUE_S = 3.0
"""How long after the caller is gone we wait for the wrap-up of an agent who talked."""

RECORD_DUE_S = 30.0
"""How long after its end we wait for Asterisk's record of a call we did not watch all the time."""

WRAP_UP_GRACE_S = 30.0
"""How long past its limit a wrap-up may be, before we take it that nobody will end it (a restart)."""

MAX_STEPS = 2000
MAX_EARLY = 64
MAX_EARLY_CALLS = 1000
MAX_CLOSED = 20_000

NO_STEPS: frozenset[type[Fact]] = frozenset((PopChanged, WaitingLineChanged, WaitingLineGone, ContactClosed))
"""What the screens show: it is made of the steps and is none itself."""

_ALWAYS_HEARD = frozenset((CallEnded, WrapUpEnded))


_FOLLOW = frozenset((CallEnded, CallConnected, CallOffered, OfferAccepted, WrapUpStarted, WrapUpEnded))


@dataclass(frozen=True, slots=True)
class KeepStep:
    """Write this step of the call, whose number it is."""

    call: CallId
    seq: int
    fact: CallFact


@dataclass(frozen=True, slots=True)
class KeepContact:
    """Write the contact as it stands."""

    contact: Contact


@dataclass(frozen=True, slots=True)
class KeepLinkedid:
    """Write that Asterisk's records of this linkedid belong to the call."""

    linkedid: str
    call: CallId


@dataclass(frozen=True, slots=True)
class MergeContact:
    """Write that nothing is left under `call`: its steps follow those of `into`, numbered on from `seq`."""

    call: CallId
    into: CallId
    seq: int


@dataclass(frozen=True, slots=True)
class CloseContact:
    """Write the contact for good, and tell when that is durable."""

    contact: Contact


Order = KeepStep | KeepContact | KeepLinkedid | MergeContact | CloseContact


@dataclass(slots=True)
class _Open:
    """One open call."""

    call: CallId
    steps: list[CallFact] = field(default_factory=list)
    seen: set[CallFact] = field(default_factory=set)
    seq: int = 0
    is_over: bool = False
    talked: set[AgentId] = field(default_factory=set)
    wrapping: dict[AgentId, float] = field(default_factory=dict)  # agent: until
    wrapped: dict[AgentId, float] = field(default_factory=dict)  # agent: ended at
    is_talking: bool = False
    is_watched: bool = True  # from where we know of it to its end, without a gap
    close_at: float | None = None

    def contact(self) -> Contact:
        return contact_of(self.call, self.steps)


@dataclass(frozen=True, slots=True)
class HistoryPicture:
    """What the machine holds, for logs and tests."""

    open: tuple[CallId, ...]
    closed: int
    ignored: int


class History:
    """The machine. Feed it every Fact of a call and every PbxSynced; `now` is Unix seconds.

    `has_record`: Asterisk's own record will be read, and told by `fill_in`, of each call with a gap in what we saw.
    """

    def __init__(self, has_record: bool = False) -> None:
        self._has_record = has_record
        self.drafts = Drafts()
        self._open: dict[CallId, _Open] = {}
        self._early: OrderedDict[CallId, deque[CallFact]] = OrderedDict()
        self._closed: OrderedDict[CallId, None] = OrderedDict()
        self._merged: OrderedDict[CallId, CallId] = OrderedDict()
        self._alarms: list[tuple[float, CallId]] = []
        self._ignored = 0

    # --- what happens ---------------------------------------------------------------------------------------------

    def receive(self, fact: Fact, now: float) -> list[Order]:
        """Hear one Fact."""
        if isinstance(fact, CallFact):
            return [] if type(fact) in NO_STEPS else self._hear(fact, now)
        return self._note_sync(fact, now) if isinstance(fact, PbxSynced) else []

    def _hear(self, fact: CallFact, now: float) -> list[Order]:
        if isinstance(fact, CallMerged):
            return self._merge(fact, now)
        call = fact.call
        if call in self._merged:
            call = self._merged[call]
            if isinstance(fact, CallEnded):
                self._ignored += 1  # a channel that was joined into another call is no end of that call
                return []
            fact = replace(fact, call=call)
        known = self._open.get(call)
        if known is not None:
            return self._add(known, fact, now)
        if call in self._closed:
            self._ignored += 1
            return []
        return self._arrive(fact, now) if isinstance(fact, CallArrived) else self._wait(fact)

    def _wait(self, fact: CallFact) -> list[Order]:
        early = self._early.get(fact.call)
        if early is None:
            early = self._early[fact.call] = deque(maxlen=MAX_EARLY)
            if len(self._early) > MAX_EARLY_CALLS:
                _, lost = self._early.popitem(last=False)
                self._ignored += len(lost)
        early.append(fact)
        return []

    def _arrive(self, fact: CallArrived, now: float) -> list[Order]:
        known = self._open[fact.call] = _Open(fact.call)
        orders: list[Order] = [KeepLinkedid(fact.call, fact.call)]
        for each in (fact, *self._early.pop(fact.call, ())):
            orders += self._add(known, each, now)
        orders.insert(1, KeepContact(known.contact()))
        return orders

    def _add(self, known: _Open, fact: CallFact, now: float) -> list[Order]:
        kind = type(fact)
        if fact in known.seen or (len(known.steps) >= MAX_STEPS and kind not in _ALWAYS_HEARD):
            self._ignored += 1
            return []
        known.seen.add(fact)
        if isinstance(fact, WrapUpEnded):
            fact = self.drafts.finish(fact)
        known.steps.append(fact)
        orders: list[Order] = [KeepStep(known.call, known.seq, fact)]
        known.seq += 1
        if kind in _FOLLOW:
            self._follow(known, fact, now)
            if isinstance(fact, CallOffered):
                orders.append(KeepLinkedid(leg_of_offer(fact.offer), known.call))
            elif kind in _ALWAYS_HEARD:
                orders.append(KeepContact(known.contact()))
        return orders

    def _follow(self, known: _Open, fact: CallFact, now: float) -> None:
        """Keep what decides when the contact is complete."""
        match fact:
            case CallEnded(inferred=inferred, ended_by=ended_by):
                known.is_over = True
                if inferred and ended_by is not EndedBy.PBX_RESTART:
                    known.is_watched = False
            case CallConnected():
                known.is_talking = True
            case OfferAccepted(agent=agent):
                known.talked.add(agent)
            case WrapUpStarted(agent=agent, until=until) if known.wrapped.get(agent, -1.0) < fact.at:
                known.wrapping[agent] = until
            case WrapUpEnded(agent=agent):
                known.wrapping.pop(agent, None)
                known.wrapped[agent] = fact.at
            case _:
                return
        if known.is_over:
            self._plan_close(known, now)

    def _plan_close(self, known: _Open, now: float) -> None:
        if known.wrapping:
            close_at = max(*known.wrapping.values(), now) + WRAP_UP_GRACE_S
        elif known.talked - known.wrapped.keys():
            close_at = now + WRAP_UP_DUE_S
        else:
            close_at = now + LINGER_S
        if self._has_record and not known.is_watched:
            close_at = max(close_at, now + RECORD_DUE_S)
        known.close_at = close_at
        heapq.heappush(self._alarms, (close_at, known.call))

    def _merge(self, fact: CallMerged, now: float) -> list[Order]:
        call, into = fact.call, self._merged.get(fact.into, fact.into)
        if call == into or self._merged.get(call) == into:
            self._ignored += 1
            return []
        self._merged[call] = into
        if len(self._merged) > MAX_CLOSED:
            self._merged.popitem(last=False)
        self.drafts.move(call, into)
        known = self._open.pop(call, None)
        orders: list[Order] = []
        if into not in self._open and into not in self._closed and known is not None:
            self._open[into] = _Open(into)
            orders.append(KeepLinkedid(into, into))
        surviving = self._open.get(into)
        orders.append(MergeContact(call, into, surviving.seq if surviving is not None else MAX_STEPS))
        if surviving is not None:
            self._join(surviving, known, now)
            orders += self._add(surviving, fact, now)
            orders.append(KeepContact(surviving.contact()))
        return orders

    def _join(self, surviving: _Open, known: _Open | None, now: float) -> None:
        # The steps of a contact that was closed already are only in the database; room is left for them.
        surviving.seq += known.seq if known is not None else MAX_STEPS
        for fact in known.steps if known is not None else ():
            if not isinstance(fact, CallEnded):
                renamed = replace(fact, call=surviving.call)
                surviving.steps.append(renamed)
                surviving.seen.add(renamed)
                self._follow(surviving, renamed, now)

    def _note_sync(self, fact: PbxSynced, now: float) -> list[Order]:
        for each in self._open.values():
            each.is_watched = each.is_watched and each.is_over
        orders: list[Order] = []
        for call in fact.talking:
            known = self._open.get(call)
            if known is not None and not known.is_talking:
                none = LegId("")
                talk = CallConnected(at=fact.at, inferred=True, call=call, leg=none, peer=none)
                orders += self._add(known, talk, now)
        return orders

    # --- time -----------------------------------------------------------------------------------------------------

    def wake(self, now: float) -> list[Order]:
        """A deadline has come: close what is complete."""
        orders: list[Order] = []
        while self._alarms and self._alarms[0][0] <= now:
            when, call = heapq.heappop(self._alarms)
            known = self._open.get(call)
            if known is not None and known.close_at == when:
                orders.append(self._close(known))
        return orders

    def next_wake(self) -> float | None:
        """When to call `wake`; None when nothing is due."""
        return self._alarms[0][0] if self._alarms else None

    def _close(self, known: _Open) -> Order:
        del self._open[known.call]
        self.drafts.drop(known.call)
        self._closed[known.call] = None
        if len(self._closed) > MAX_CLOSED:
            self._closed.popitem(last=False)
        return CloseContact(known.contact())

    # --- what others ask ------------------------------------------------------------------------------------------

    def restore(self, call: CallId, steps: Iterable[CallFact], seq: int, now: float) -> None:
        """Take an open contact back from the database; `seq` is the next step's number."""
        known = self._open[call] = _Open(call, seq=seq)
        for fact in steps:
            known.steps.append(fact)
            known.seen.add(fact)
            self._follow(known, fact, now)
        known.is_watched = known.is_over and not any(fact.inferred for fact in known.steps)

    def fill_in(self, call: CallId, facts: Iterable[CallFact], now: float) -> list[Order]:
        """Hear what Asterisk's own record says of a call that was missed in part or in whole."""
        orders: list[Order] = []
        for fact in facts:
            orders += self.receive(fact, now)
        filled = self._open.get(self._merged.get(call, call))
        if filled is not None and filled.is_over:
            filled.is_watched = True
            self._plan_close(filled, now)
        return orders

    def give_up(self, call: CallId, ended_by: EndedBy, at: float, now: float) -> list[Order]:
        """The PBX does not know this call any more, and nobody saw it end."""
        known = self._open.get(call)
        if known is None or known.is_over:
            return []
        return self._add(known, CallEnded(at=at, inferred=True, call=call, ended_by=ended_by), now)

    def is_open(self, call: CallId) -> bool:
        """True while this call's contact can still change."""
        return self._merged.get(call, call) in self._open

    def is_over(self, call: CallId) -> bool:
        """True when the caller is gone, whether the contact is closed yet or not."""
        call = self._merged.get(call, call)
        known = self._open.get(call)
        return call in self._closed if known is None else known.is_over

    def is_settled(self, call: CallId) -> bool:
        """True when nothing Asterisk's record may say of this call is news: closed, or watched to its end."""
        call = self._merged.get(call, call)
        known = self._open.get(call)
        return call in self._closed if known is None else known.is_over and known.is_watched

    def awaits_record(self) -> bool:
        """True while a call is over of which only Asterisk's record knows everything."""
        return self._has_record and any(known.is_over and not known.is_watched for known in self._open.values())

    def contact(self, call: CallId) -> tuple[Contact, tuple[CallFact, ...]] | None:
        """An open call's contact and steps."""
        known = self._open.get(self._merged.get(call, call))
        return None if known is None else (known.contact(), tuple(known.steps))

    def recall(self) -> tuple[CallFact, ...]:
        """Every step of the open calls, each call's in the order it was heard."""
        return tuple(fact for known in self._open.values() for fact in known.steps)

    def keep_draft(self, call: CallId, agent: AgentId, draft: Draft) -> CallId | None:
        """Keep what an agent has typed; the call it is kept under, or None when no such call is open."""
        call = self._merged.get(call, call)
        if call not in self._open:
            return None
        self.drafts.keep(call, agent, draft)
        return call

    def not_up(self, synced: PbxSynced) -> tuple[CallId, ...]:
        """The open calls that should be up and are not, as the PBX says."""
        up = set(synced.calls)
        return tuple(known.call for known in self._open.values() if not known.is_over and known.call not in up)

    def picture(self) -> HistoryPicture:
        """What is held now."""
        return HistoryPicture(tuple(self._open), len(self._closed), self._ignored)
