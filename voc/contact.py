"""A contact: everything that is known of one call, from first ring to wrap-up, as one value.

A contact is what its Facts add up to, and nothing else: `contact_of` sorts them by when they happened and adds them up,
so a Fact twice, late or out of turn gives the same contact, and the steps kept in the database give it again. A Fact
concluded later from Asterisk's own record (`inferred`) fills in what was missed and overrules nothing that was seen.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cti.caller import MatchKind
from cti.events import (
    AnswerGiven,
    CallArrived,
    CallConnected,
    CallEnded,
    CallerIdChanged,
    CallerIdentified,
    CallerMatched,
    CallFact,
    CallFailedSafe,
    CallHeld,
    CallOffered,
    CallParted,
    CallQueued,
    CallRetrieved,
    ContactOutcome,
    EndedBy,
    FlowStarted,
    OfferAccepted,
    OfferEnded,
    OfferRinging,
    WrapUpEnd,
    WrapUpEnded,
    WrapUpStarted,
)
from cti.ids import AgentId, CallId, CustomerId, OfferId, QueueId, agent_of_offer, offer_of_leg
from cti.pop import IvrAnswer

AUTO_TIMEOUT = "auto-timeout"
"""The disposition of a wrap-up that the timer ended before the agent chose one."""

_NO_QUEUE = QueueId("")


@dataclass(frozen=True, slots=True)
class OfferLine:
    """One agent this contact was offered to, why her, and how it ended: "accepted", an OfferOutcome, or "" while open."""

    offer: OfferId
    agent: AgentId
    queue: QueueId
    at: float
    why: str
    ringing_at: float | None = None
    ended_at: float | None = None
    outcome: str = ""
    ended_why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """One call as it is remembered. Instants are Unix seconds, None where it never came to that; `_s` are seconds."""

    call: CallId
    outcome: ContactOutcome
    ended_by: EndedBy
    is_inferred: bool  # nobody watched it arrive: it was read from Asterisk's own record
    arrived_at: float
    queued_at: float | None
    answered_at: float | None
    ended_at: float | None
    ani: str
    ani_e164: str
    caller_name: str
    dnis: str
    match: MatchKind | None
    customer: CustomerId | None
    flow: str
    flow_version: str
    answers: tuple[IvrAnswer, ...]
    queue: QueueId
    language: str
    reason: str
    offers: tuple[OfferLine, ...]
    agents: tuple[AgentId, ...]  # who talked with the caller, in order
    waited_s: float
    talk_s: float
    hold_s: float
    wrap_up_s: float
    disposition: str
    note: str

    @property
    def is_over(self) -> bool:
        """True when the caller is gone; the wrap-up may still go on."""
        return self.ended_at is not None


def contact_of(call: CallId, facts: Iterable[CallFact]) -> Contact:
    """What these Facts of one call add up to, in whatever order they are given."""
    adding = _Adding(call)
    first: float | None = None
    for fact in sorted(facts, key=_turn_of):
        first = fact.at if first is None else first
        add = _ADD.get(type(fact))
        if add is not None:
            add(adding, fact)
    return adding.contact(first or 0.0)


@dataclass(slots=True)
class _Spans:
    """Stretches of time during which at least one of several things was so; a second start or end changes nothing."""

    total_s: float = 0.0
    open: set[str] = field(default_factory=set)
    since: float = 0.0
    first: float | None = None

    def start(self, name: str, at: float) -> None:
        if self.first is None:
            self.first = at
        if not self.open:
            self.since = at
        self.open.add(name)

    def end(self, name: str, at: float) -> None:
        # "" was concluded from a resync that could not say who: whoever parts was it.
        was_open = bool(self.open)
        self.open -= {name, ""}
        if was_open and not self.open:
            self.total_s += max(0.0, at - self.since)

    def seconds(self, end: float | None) -> float:
        still = max(0.0, end - self.since) if self.open and end is not None else 0.0
        return self.total_s + still


class _Adding:
    """The sum so far. One method for each kind of Fact that changes a contact."""

    __slots__ = (
        "agents",
        "answers",
        "arrived",
        "call",
        "customer",
        "ended",
        "failed_safe_at",
        "flow",
        "held",
        "known_as",
        "matched",
        "offers",
        "queued",
        "queued_at",
        "talk",
        "wrap_ended",
        "wrap_ups",
    )

    def __init__(self, call: CallId) -> None:
        self.call = call
        self.arrived: CallArrived | None = None
        self.known_as: CallerIdChanged | None = None
        self.ended: CallEnded | None = None
        self.flow: FlowStarted | None = None
        self.matched: CallerMatched | None = None
        self.customer: CustomerId | None = None
        self.answers: dict[str, IvrAnswer] = {}
        self.queued: CallQueued | None = None
        self.queued_at: float | None = None
        self.failed_safe_at: float | None = None
        self.offers: dict[OfferId, _OpenOffer] = {}
        self.agents: dict[AgentId, None] = {}
        self.talk = _Spans()
        self.held = _Spans()
        self.wrap_ups: dict[AgentId, list[float | None]] = {}  # agent: start, end
        self.wrap_ended: WrapUpEnded | None = None

    def arrive(self, fact: CallArrived) -> None:
        if self.arrived is None or (self.arrived.inferred and not fact.inferred):
            self.arrived = fact

    def know_as(self, fact: CallerIdChanged) -> None:
        self.known_as = fact

    def match(self, fact: CallerMatched) -> None:
        self.matched = fact
        one = fact.kind in (MatchKind.KNOWN, MatchKind.LIKELY) and fact.candidates
        self.customer = fact.candidates[0].customer if one else None

    def identify(self, fact: CallerIdentified) -> None:
        self.customer = fact.customer

    def start_flow(self, fact: FlowStarted) -> None:
        self.flow = fact

    def answer(self, fact: AnswerGiven) -> None:
        self.answers[fact.answer.name] = fact.answer

    def queue(self, fact: CallQueued) -> None:
        seen = self.queued
        if seen is not None and fact.inferred and not seen.inferred:
            return
        if seen is None or (seen.inferred and not fact.inferred):
            self.queued_at = fact.at
        self.queued = fact

    def fail_safe(self, fact: CallFailedSafe) -> None:
        if self.failed_safe_at is None:
            self.failed_safe_at = fact.at

    def offer(self, fact: CallOffered) -> None:
        line = self._offer(fact.offer, fact.agent, fact.at)
        line.at, line.queue, line.why = fact.at, fact.queue, fact.why

    def ring(self, fact: OfferRinging) -> None:
        line = self._offer(fact.offer, fact.agent, fact.at)
        if line.ringing_at is None:
            line.ringing_at = fact.at

    def accept(self, fact: OfferAccepted) -> None:
        self._accept(self._offer(fact.offer, fact.agent, fact.at), fact.at)

    def _accept(self, line: "_OpenOffer", at: float) -> None:
        if line.outcome != "accepted":
            line.outcome, line.ended_at, line.ended_why = "accepted", at, ""

    def end_offer(self, fact: OfferEnded) -> None:
        line = self._offer(fact.offer, fact.agent, fact.at)
        if line.outcome != "accepted":
            line.outcome, line.ended_at, line.ended_why = fact.outcome.value, fact.at, fact.why

    def _offer(self, offer: OfferId, agent: AgentId, at: float) -> "_OpenOffer":
        line = self.offers.get(offer)
        if line is None:
            line = self.offers[offer] = _OpenOffer(agent, at)
        return line

    def connect(self, fact: CallConnected) -> None:
        self.talk.start(fact.peer, fact.at)
        offer = offer_of_leg(fact.peer)
        if offer is not None:
            agent = agent_of_offer(offer)
            self.agents[agent] = None
            self._accept(self._offer(offer, agent, fact.at), fact.at)

    def part(self, fact: CallParted) -> None:
        self.talk.end(fact.peer, fact.at)
        if not self.talk.open:
            self._retrieve_all(fact.at)

    def hold(self, fact: CallHeld) -> None:
        self.held.start(fact.leg, fact.at)

    def retrieve(self, fact: CallRetrieved) -> None:
        self.held.end(fact.leg, fact.at)

    def _retrieve_all(self, at: float) -> None:
        for leg in tuple(self.held.open):
            self.held.end(leg, at)

    def end(self, fact: CallEnded) -> None:
        if self.ended is None or (self.ended.inferred and not fact.inferred):
            self.ended = fact

    def start_wrap_up(self, fact: WrapUpStarted) -> None:
        self.wrap_ups.setdefault(fact.agent, [None, None])[0] = fact.at

    def end_wrap_up(self, fact: WrapUpEnded) -> None:
        self.wrap_ups.setdefault(fact.agent, [None, None])[1] = fact.at
        self.wrap_ended = fact

    def contact(self, first: float) -> Contact:
        """The value. `first` is when the earliest Fact happened."""
        caller_id = self.known_as or self.arrived
        arrived, ended, matched, flow, queued = self.arrived, self.ended, self.matched, self.flow, self.queued
        ended_at = None if ended is None else ended.at
        last = self.wrap_ended
        return Contact(
            call=self.call,
            outcome=self._outcome(),
            ended_by=EndedBy.UNKNOWN if ended is None else ended.ended_by,
            is_inferred=arrived is None or arrived.inferred,
            arrived_at=first if arrived is None else arrived.at,
            queued_at=self.queued_at,
            answered_at=self.talk.first,
            ended_at=ended_at,
            ani="" if caller_id is None else caller_id.ani,
            ani_e164="" if matched is None else matched.ani_e164,
            caller_name="" if caller_id is None else caller_id.caller_name,
            dnis="" if arrived is None else arrived.dnis,
            match=None if matched is None else matched.kind,
            customer=self.customer,
            flow="" if flow is None else flow.flow,
            flow_version="" if flow is None else flow.version,
            answers=tuple(self.answers.values()),
            queue=_NO_QUEUE if queued is None else queued.queue,
            language="" if queued is None else queued.language,
            reason="" if queued is None else queued.reason,
            offers=tuple(line.value(offer) for offer, line in self.offers.items()),
            agents=tuple(self.agents),
            waited_s=self._waited_s(ended_at),
            talk_s=self.talk.seconds(ended_at),
            hold_s=self.held.seconds(ended_at),
            wrap_up_s=sum(_seconds_between(*times) for times in self.wrap_ups.values()),
            disposition="" if last is None else last.disposition or _without_choice(last),
            note="" if last is None else last.note,
        )

    def _outcome(self) -> ContactOutcome:
        if self.ended is None:
            return ContactOutcome.OPEN
        if self.ended.ended_by is EndedBy.PBX_RESTART:
            return ContactOutcome.PBX_RESTART
        if self.talk.first is not None:
            return ContactOutcome.ANSWERED
        if self.failed_safe_at is not None:
            return ContactOutcome.FAILSAFE
        return ContactOutcome.IVR_ONLY if self.queued is None else ContactOutcome.ABANDONED

    def _waited_s(self, ended_at: float | None) -> float:
        """From the queue to the first word with an agent, or to where the wait ended without one."""
        if self.queued_at is None:
            return 0.0
        ends = (self.talk.first, self.failed_safe_at, ended_at)
        return max(0.0, min((end for end in ends if end is not None), default=self.queued_at) - self.queued_at)


@dataclass(slots=True)
class _OpenOffer:
    agent: AgentId
    at: float
    queue: QueueId = _NO_QUEUE
    why: str = ""
    ringing_at: float | None = None
    ended_at: float | None = None
    outcome: str = ""
    ended_why: str = ""

    def value(self, offer: OfferId) -> OfferLine:
        return OfferLine(
            offer,
            self.agent,
            self.queue,
            self.at,
            self.why,
            self.ringing_at,
            self.ended_at,
            self.outcome,
            self.ended_why,
        )


def _seconds_between(start: float | None, end: float | None) -> float:
    return 0.0 if start is None or end is None else max(0.0, end - start)


def _without_choice(ended: WrapUpEnded) -> str:
    return AUTO_TIMEOUT if ended.how is WrapUpEnd.TIMED_OUT else ""


# In the order in which they follow one another where the clock can't tell.
_ADD: Mapping[type[CallFact], Callable[[_Adding, Any], None]] = {
    CallArrived: _Adding.arrive,
    CallerIdChanged: _Adding.know_as,
    FlowStarted: _Adding.start_flow,
    CallerIdentified: _Adding.identify,
    CallerMatched: _Adding.match,
    AnswerGiven: _Adding.answer,
    CallQueued: _Adding.queue,
    CallFailedSafe: _Adding.fail_safe,
    CallOffered: _Adding.offer,
    OfferRinging: _Adding.ring,
    CallConnected: _Adding.connect,
    OfferAccepted: _Adding.accept,
    CallHeld: _Adding.hold,
    CallRetrieved: _Adding.retrieve,
    CallParted: _Adding.part,
    OfferEnded: _Adding.end_offer,
    CallEnded: _Adding.end,
    WrapUpStarted: _Adding.start_wrap_up,
    WrapUpEnded: _Adding.end_wrap_up,
}
_RANK: Mapping[type[CallFact], int] = {kind: rank for rank, kind in enumerate(_ADD)}


def _turn_of(fact: CallFact) -> tuple[float, int]:
    return fact.at, _RANK.get(type(fact), 0)
