"""The pop builder: what each agent's screen shows of the contact she was offered, complete before her phone rings.

    matched --CallOffered--> offered --OfferAccepted--> answered --WrapUpStarted--> wrap_up --WrapUpEnded--> gone
                                |                          |
                                +--OfferEnded--> gone      +--the call is over and no wrap-up came--> gone

Lookups begin when the caller is matched, so at the offer everything is there; what comes later patches the pop, and what
has not come by its deadline is done without. A record is shown only of the one customer we take the caller to be: a
shared, unknown or withheld number has none.
"""

import heapq
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cti.caller import MatchKind
from cti.events import (
    AnswerGiven,
    CallArrived,
    CallConnected,
    CallEnded,
    CallerIdChanged,
    CallerMatched,
    CallFact,
    CallMerged,
    CallOffered,
    CallQueued,
    EndedBy,
    Fact,
    OfferAccepted,
    OfferEnded,
    OfferRinging,
    PbxSynced,
    PopChanged,
    WrapUpEnded,
    WrapUpStarted,
)
from cti.ids import AgentId, CallId, CustomerId, agent_of_offer, offer_of_leg
from cti.pop import Pop, PopPhase
from cti.site import Site
from screenpop.lookup import HISTORY, HistoryRead, LookUp, ProfileRead
from screenpop.screen import Caller, Names, Screen, compose

LOOK_UP_S = 0.8
"""Seconds a lookup may take; after that the pop goes on without."""

WRAP_UP_DUE_S = 5.0
"""Seconds after the call in which a wrap-up must have begun for the pop to stay."""

WRAP_UP_GRACE_S = 30.0
"""Seconds past its limit after which a wrap-up nobody ended is off the screen."""

MAX_ENDED = 10_000

MATCH_PART, PROFILE_PART, HISTORY_PART = "match", "profile", "history"


@dataclass(frozen=True, slots=True)
class PopPicture:
    """What is held, for logs and tests: pops by agent, calls known, Facts ignored."""

    pops: Mapping[AgentId, Pop]
    calls: int
    ignored: int


class PopBuilder:
    """The machine. Facts and its own LookUp orders come out; `now` is Unix seconds."""

    def __init__(self, site: Site) -> None:
        self._names = Names(site)
        self._calls: dict[CallId, Caller] = {}
        self._at: dict[AgentId, CallId] = {}  # the last pop of each agent belongs to this call
        self._ended: OrderedDict[CallId, None] = OrderedDict()
        self._alarms: list[tuple[float, CallId]] = []
        self._ignored = 0

    def receive(self, fact: Fact, now: float) -> list[LookUp | Fact]:
        """Hear one Fact; what to look up, and how screens change."""
        if isinstance(fact, PbxSynced):
            return self._forget_the_gone(fact)
        hear = _HEAR.get(type(fact))
        if hear is None or not isinstance(fact, CallFact):
            return []
        caller = self._calls.get(fact.call)
        if caller is None:
            if fact.call in self._ended or type(fact) not in _OPENING:
                self._ignored += 1
                return []
            caller = self._calls[fact.call] = Caller(fact.call)
        return hear(self, caller, fact, now)

    def wake(self, now: float) -> list[LookUp | Fact]:
        """A deadline has come: show what we have without what did not come, drop what nobody writes up."""
        out: list[LookUp | Fact] = []
        while self._alarms and self._alarms[0][0] <= now:
            _, call = heapq.heappop(self._alarms)
            caller = self._calls.get(call)
            if caller is None:
                continue
            late = [part for part, due in caller.pending.items() if due <= now]
            for part in late:
                del caller.pending[part]
            if late:
                out += self._show(caller, now)
            for screen in list(caller.screens.values()):
                if screen.gone_at is not None and screen.gone_at <= now:
                    self._take_away(caller, screen.agent)
        return out

    def next_wake(self) -> float | None:
        """When to call `wake`; None when nothing is due."""
        return self._alarms[0][0] if self._alarms else None

    def picture(self) -> PopPicture:
        """What is held now."""
        pops = {agent: pop for agent in self._at if (pop := self.current(agent)) is not None}
        return PopPicture(pops, len(self._calls), self._ignored)

    def current(self, agent: AgentId) -> Pop | None:
        """What this agent's screen should show; None when nothing."""
        call = self._at.get(agent)
        return None if call is None else self._calls[call].screens[agent].pop

    # --- the caller -----------------------------------------------------------------------------------------------

    def _arrive(self, caller: Caller, fact: CallArrived, now: float) -> list[LookUp | Fact]:
        if caller.dnis and fact.inferred:
            return []
        caller.ani, caller.name, caller.dnis = fact.ani, fact.caller_name, fact.dnis
        if caller.match is None:
            self._expect(caller, now, MATCH_PART)
        return self._show(caller, now)

    def _know_as(self, caller: Caller, fact: CallerIdChanged, now: float) -> list[LookUp | Fact]:
        caller.ani, caller.name = fact.ani, fact.caller_name
        return self._show(caller, now)

    def _match(self, caller: Caller, fact: CallerMatched, now: float) -> list[LookUp | Fact]:
        known = caller.match
        if (known is not None and fact.at < known.at) or fact == known:
            self._ignored += 1
            return []
        caller.match = fact
        caller.ani = caller.ani or fact.ani
        is_one = fact.kind in (MatchKind.KNOWN, MatchKind.LIKELY) and bool(fact.candidates)
        customer = fact.candidates[0].customer if is_one else None
        look_up = self._look_up(fact, customer)
        caller.pending.pop(MATCH_PART, None)
        if known is None or customer != caller.customer or fact.kind is not known.kind:
            caller.customer, caller.profile, caller.history = customer, None, ()
            caller.pending = {}
            if look_up is not None:
                parts = (PROFILE_PART, HISTORY_PART) if customer is not None else (HISTORY_PART,)
                self._expect(caller, now, *parts)
                return [look_up, *self._show(caller, now)]
        return self._show(caller, now)

    def _expect(self, caller: Caller, now: float, *parts: str) -> None:
        caller.pending = dict.fromkeys(parts, now + LOOK_UP_S)
        heapq.heappush(self._alarms, (now + LOOK_UP_S, caller.call))

    def _look_up(self, fact: CallerMatched, customer: CustomerId | None) -> LookUp | None:
        match fact.kind:
            case MatchKind.KNOWN if customer is not None:
                # Contacts nobody was matched to, from a number only this customer has, are the customer's.
                return LookUp(fact.call, customer, fact.ani_e164)
            case MatchKind.LIKELY if customer is not None:
                return LookUp(fact.call, customer, "")
            case MatchKind.SHARED if fact.ani_e164:
                return LookUp(fact.call, None, fact.ani_e164, anyone=True)
            case MatchKind.UNKNOWN if fact.ani_e164:
                return LookUp(fact.call, None, fact.ani_e164)
        return None

    def _read_profile(self, caller: Caller, fact: ProfileRead, now: float) -> list[LookUp | Fact]:
        if fact.customer != caller.customer or PROFILE_PART not in caller.pending:
            self._ignored += 1
            return []
        del caller.pending[PROFILE_PART]
        caller.profile = fact.profile
        return self._show(caller, now)

    def _read_history(self, caller: Caller, fact: HistoryRead, now: float) -> list[LookUp | Fact]:
        if fact.customer != caller.customer or HISTORY_PART not in caller.pending:
            self._ignored += 1
            return []
        del caller.pending[HISTORY_PART]
        caller.history = fact.history[:HISTORY]
        return self._show(caller, now)

    def _answer(self, caller: Caller, fact: AnswerGiven, now: float) -> list[LookUp | Fact]:
        if caller.answers.get(fact.answer.name) == fact.answer:
            return []
        caller.answers[fact.answer.name] = fact.answer
        return self._show(caller, now)

    def _queue(self, caller: Caller, fact: CallQueued, now: float) -> list[LookUp | Fact]:
        if caller.queued is not None and fact.at < caller.queued.at:
            return []
        caller.queued = fact
        caller.ani = caller.ani or fact.ani
        return self._show(caller, now)

    # --- the agent ------------------------------------------------------------------------------------------------

    def _offer(self, caller: Caller, fact: CallOffered, now: float) -> list[LookUp | Fact]:
        if fact.offer in caller.past_offers or caller.is_over:
            self._ignored += 1
            return []
        caller.past_offers.add(fact.offer)
        screen = Screen(
            fact.agent, fact.offer, PopPhase.OFFERED, fact.queue, fact.at, fact.waited_s, fact.why, caller.version
        )
        return self._put_up(caller, screen, now)

    def _put_up(self, caller: Caller, screen: Screen, now: float) -> list[LookUp | Fact]:
        before = self._at.get(screen.agent)
        if before is not None:
            self._take_away(self._calls[before], screen.agent)
        self._calls[caller.call] = caller
        caller.screens[screen.agent] = screen
        self._at[screen.agent] = caller.call
        return self._show(caller, now)

    def _ring(self, caller: Caller, fact: OfferRinging, now: float) -> list[LookUp | Fact]:
        screen = caller.screens.get(fact.agent)
        if screen is None or screen.offer != fact.offer or screen.phase is not PopPhase.OFFERED:
            self._ignored += 1
            return []
        screen.ring_until = fact.until
        return self._show(caller, now)

    def _accept(self, caller: Caller, fact: OfferAccepted, now: float) -> list[LookUp | Fact]:
        screen = caller.screens.get(fact.agent)
        if screen is None or screen.offer != fact.offer:
            if fact.offer in caller.past_offers and fact.at <= caller.given_up.get(fact.offer, fact.at):
                self._ignored += 1
                return []
            # Made before our time, or given up while the PBX was out of sight.
            caller.past_offers.add(fact.offer)
            caller.given_up.pop(fact.offer, None)
            screen = Screen(
                fact.agent, fact.offer, PopPhase.ANSWERED, fact.queue, fact.at, fact.waited_s, "", caller.version
            )
            screen.answered_at = fact.at
            return self._put_up(caller, screen, now)
        if screen.phase is not PopPhase.OFFERED:
            self._ignored += 1
            return []
        screen.phase, screen.ring_until = PopPhase.ANSWERED, None
        screen.answered_at = fact.at if screen.answered_at is None else screen.answered_at
        return self._show(caller, now)

    def _connect(self, caller: Caller, fact: CallConnected, now: float) -> list[LookUp | Fact]:
        # Only the instant: that she has accepted is acd's to say.
        offer = offer_of_leg(fact.peer)
        screen = None if offer is None else caller.screens.get(agent_of_offer(offer))
        if screen is not None and screen.offer == offer and screen.answered_at is None:
            screen.answered_at = fact.at
        return []

    def _end_offer(self, caller: Caller, fact: OfferEnded, now: float) -> list[LookUp | Fact]:
        caller.past_offers.add(fact.offer)
        screen = caller.screens.get(fact.agent)
        if screen is None or screen.offer != fact.offer or screen.phase is not PopPhase.OFFERED:
            self._ignored += 1
            return []
        caller.given_up[fact.offer] = fact.at
        self._take_away(caller, fact.agent)
        return []

    def _wrap_up(self, caller: Caller, fact: WrapUpStarted, now: float) -> list[LookUp | Fact]:
        screen = caller.screens.get(fact.agent)
        if screen is None or screen.phase is PopPhase.WRAP_UP:
            self._ignored += 1
            return []
        screen.phase, screen.wrap_up_until = PopPhase.WRAP_UP, fact.until
        self._take_away_at(caller, screen, fact.until + WRAP_UP_GRACE_S)
        return self._show(caller, now)

    def _end_wrap_up(self, caller: Caller, fact: WrapUpEnded, now: float) -> list[LookUp | Fact]:
        screen = caller.screens.get(fact.agent)
        if screen is None or fact.at < screen.offered_at:
            self._ignored += 1
            return []
        self._take_away(caller, fact.agent)
        return []

    # --- the end --------------------------------------------------------------------------------------------------

    def _end(self, caller: Caller, fact: CallEnded, now: float) -> list[LookUp | Fact]:
        caller.is_over = True
        for screen in caller.screens.values():
            if screen.phase is not PopPhase.WRAP_UP and screen.gone_at is None:
                self._take_away_at(caller, screen, now + WRAP_UP_DUE_S)
        self._drop_if_done(caller)
        return []

    def _merge(self, caller: Caller, fact: CallMerged, now: float) -> list[LookUp | Fact]:
        """The call goes on under the older one's name, and so do the screens."""
        into = self._calls.get(fact.into)
        if into is caller:
            return []
        if into is None:
            into = self._calls[fact.into] = replace(caller, call=fact.into, screens={})
        for agent, screen in caller.screens.items():
            screen.version = into.version = max(into.version, screen.version)
            into.screens[agent] = screen
            self._at[agent] = fact.into
        into.past_offers |= caller.past_offers
        caller.screens = {}
        self._forget(caller)
        return self._show(into, now)

    def _forget_the_gone(self, fact: PbxSynced) -> list[LookUp | Fact]:
        """Calls the PBX misses twice, whose end nobody told."""
        up = set(fact.calls)
        for caller in list(self._calls.values()):
            caller.missed = 0 if caller.call in up else caller.missed + 1
            if caller.missed >= 2 and not caller.is_over:
                self._end(caller, CallEnded(at=fact.at, call=caller.call, ended_by=EndedBy.UNKNOWN), fact.at)
        return []

    def _take_away_at(self, caller: Caller, screen: Screen, when: float) -> None:
        screen.gone_at = when
        heapq.heappush(self._alarms, (when, caller.call))

    def _take_away(self, caller: Caller, agent: AgentId) -> None:
        screen = caller.screens.pop(agent, None)
        if screen is not None:
            caller.version = max(caller.version, screen.version)
            del self._at[agent]
        self._drop_if_done(caller)

    def _drop_if_done(self, caller: Caller) -> None:
        if caller.is_over and not caller.screens:
            self._forget(caller)

    def _forget(self, caller: Caller) -> None:
        self._calls.pop(caller.call, None)
        self._ended[caller.call] = None
        if len(self._ended) > MAX_ENDED:
            self._ended.popitem(last=False)

    # --- the screen -----------------------------------------------------------------------------------------------

    def _show(self, caller: Caller, now: float) -> list[LookUp | Fact]:
        """The change of every screen this call is on."""
        out: list[LookUp | Fact] = []
        for screen in caller.screens.values():
            pop = compose(caller, screen, self._names)
            if screen.pop is None or replace(pop, version=screen.pop.version) != screen.pop:
                caller.version = screen.version = max(caller.version, screen.version) + 1
                screen.pop = replace(pop, version=screen.version)
                out.append(PopChanged(at=now, call=caller.call, agent=screen.agent, pop=screen.pop))
        return out


_OPENING = frozenset((CallArrived, CallerMatched, CallQueued))
"""The Facts that make a call known here."""

_HEAR: Mapping[type[Fact], Callable[[PopBuilder, Caller, Any, float], list[LookUp | Fact]]] = {
    CallArrived: PopBuilder._arrive,
    CallerIdChanged: PopBuilder._know_as,
    CallerMatched: PopBuilder._match,
    ProfileRead: PopBuilder._read_profile,
    HistoryRead: PopBuilder._read_history,
    AnswerGiven: PopBuilder._answer,
    CallQueued: PopBuilder._queue,
    CallOffered: PopBuilder._offer,
    OfferRinging: PopBuilder._ring,
    OfferAccepted: PopBuilder._accept,
    OfferEnded: PopBuilder._end_offer,
    CallConnected: PopBuilder._connect,
    WrapUpStarted: PopBuilder._wrap_up,
    WrapUpEnded: PopBuilder._end_wrap_up,
    CallEnded: PopBuilder._end,
    CallMerged: PopBuilder._merge,
}

HEARD: tuple[type[Fact], ...] = (*(kind for kind in _HEAR if kind not in (ProfileRead, HistoryRead)), PbxSynced)
"""What the builder wants to hear from the bus."""
