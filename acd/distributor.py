"""The distributor: who answers whom. Facts and Requests in, Facts and Orders out; no clock, no dice, no waiting.

Whenever an agent becomes free or a contact arrives it looks for pairs: contacts in their order of service, for each the
longest idle among the free agents with its skills. A pair becomes an offer: on her screen first, then on her phone.
`agent.py` and `offer.py` hold the tables of what may follow what; a Fact that comes twice, late or out of turn finds
nothing to do here and changes nothing.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from acd.agent import Agent
from acd.desk import Desk
from acd.floor import Floor
from acd.found import talk_found
from acd.offer import Offer, OfferState
from acd.offering import LINK, Offering
from acd.orders import Order
from acd.queue import Waiting
from acd.strategy import needed_skills
from acd.talk import begin_talk, end_talk, end_wrap_up
from cti.events import (
    AgentNotReady,
    CallAbandoned,
    CallArrived,
    CallConnected,
    CallEnded,
    CallerIdChanged,
    CallFailedSafe,
    CallMerged,
    CallQueued,
    ChannelRenamed,
    ConsoleLost,
    Fact,
    LegAnswered,
    LegEnded,
    LegRinging,
    OfferOutcome,
    PbxLost,
    PbxSynced,
    PhoneChanged,
    PopPainted,
    WrapUpEnd,
)
from cti.floor import Activity, AgentLine, Availability, FloorPicture, NotReadyReason
from cti.ids import OfferId, leg_of_offer
from cti.requests import Request
from cti.site import Site


class Distributor:
    """The one machine that decides who answers whom."""

    def __init__(self, site: Site) -> None:
        self.floor = Floor(site)
        self._offering = Offering(self.floor)
        self._desk = Desk(self.floor, site, self._offering.end_offer)
        self._pbx_is_up = False
        self._trusts_talks = True
        self._unseen: set[OfferId] = set()
        self._hears: dict[type[Fact], Callable[[Any, float], list[Order]]] = {
            CallArrived: self._call_arrived,
            CallerIdChanged: self._caller_id_changed,
            ChannelRenamed: self._channel_renamed,
            CallQueued: self._call_queued,
            CallFailedSafe: self._call_failed_safe,
            CallEnded: self._call_ended,
            CallMerged: self._call_merged,
            CallConnected: self._call_connected,
            LegRinging: self._leg_ringing,
            LegAnswered: self._leg_answered,
            LegEnded: self._leg_ended,
            PopPainted: self._offering.pop_painted,
            PhoneChanged: self._phone_changed,
            ConsoleLost: self._console_lost,
            PbxSynced: self._pbx_synced,
            PbxLost: self._pbx_lost,
        }

    @property
    def heard(self) -> tuple[type[Fact], ...]:
        """The kinds of Fact that matter here."""
        return tuple(self._hears)

    def restore(self, agents: Iterable[AgentLine], waiting: Iterable[Waiting], now: float) -> None:
        """Take up the floor as it was kept before a crash; the next PbxSynced says what of it is still true."""
        for line in agents:
            agent = self.floor.agents.get(line.agent)
            if agent is None:
                continue
            agent.phone, agent.availability, agent.reason = line.phone, line.availability, line.reason
            agent.activity, agent.since, agent.idle_since = line.activity, line.since, line.since
            agent.call, agent.offer, agent.queue = line.call, line.offer, line.queue
            agent.wrap_up_until, agent.ani = line.wrap_up_until, line.ani
            if agent.wrap_up_until is not None:
                self.floor.set_deadline(agent.wrap_up_until, agent.id)
            if agent.activity is Activity.TALKING and agent.call is not None:
                self.floor.talks[agent.call] = agent.id
            self.floor.touch(agent)
        for contact in waiting:
            if contact.queue in self.floor.queues:
                self.floor.put(replace(contact, offered_to=None))
        for agent in self.floor.agents.values():
            self._restore_offer(agent, now)
        self.floor.changes(now)
        self._trusts_talks = False

    def _restore_offer(self, agent: Agent, now: float) -> None:
        if agent.activity is not Activity.OFFERED or agent.offer is None or agent.call is None:
            return
        contact = self.floor.waiting.get(agent.call)
        if contact is None:
            agent.move(Activity.IDLE, now)
            self.floor.touch(agent)
            return
        self._unseen.add(agent.offer)
        ring_for_s = self.floor.queues[contact.queue].ring_for_s
        self._offering.set_offer(
            Offer(
                offer=agent.offer,
                call=contact.call,
                agent=agent.id,
                queue=contact.queue,
                made_at=agent.since,
                waited_s=agent.since - contact.since,
                ring_for_s=ring_for_s,
                state=OfferState.RINGING,
                due=now + ring_for_s,
            )
        )
        self.floor.put(replace(contact, offered_to=agent.id))

    def receive(self, word: Fact | Request[Any], now: float) -> list[Order]:
        """What follows from this Fact or Request. Raises Refused for a Request the rules forbid."""
        if isinstance(word, Request):
            orders = self._desk.answer(word, now)
        else:
            hears = self._hears.get(type(word))
            orders = hears(word, now) if hears is not None else []
        orders += self._match(now)
        return orders + self.floor.changes(now)

    def wake(self, now: float) -> list[Order]:
        """What follows from time having passed."""
        orders: list[Order] = []
        for one in self.floor.due(now):
            if isinstance(one, Offer):
                orders += self._offering.offer_due(one, now, self._pbx_is_up)
            else:
                orders += self._wrap_up_due(one, now)
        orders += self._match(now)
        return orders + self.floor.changes(now)

    def next_wake(self) -> float | None:
        """When to be woken next (Unix seconds)."""
        return self.floor.next_deadline()

    def picture(self, now: float) -> FloorPicture:
        """Everything the wallboard shows."""
        return self.floor.picture(now)

    # --- pairs -----------------------------------------------------------------------------------------------------

    def _match(self, now: float) -> list[Order]:
        orders: list[Order] = []
        if not (self._pbx_is_up and self.floor.free and self.floor.waiting):
            return orders
        for contact in self.floor.in_line():
            needed = needed_skills(contact, self.floor.queues[contact.queue], self.floor.languages)
            agent = self.floor.free.longest_idle(needed)
            if agent is not None:
                orders.append(self._offering.make_offer(contact, agent, needed, now))
            if not self.floor.free:
                break
        return orders

    def _wrap_up_due(self, agent: Agent, now: float) -> list[Order]:
        return end_wrap_up(self.floor, agent, WrapUpEnd.TIMED_OUT, "", "", now)

    # --- the caller ------------------------------------------------------------------------------------------------

    def _call_arrived(self, fact: CallArrived, now: float) -> list[Order]:
        self.floor.callers[fact.call] = fact
        return self._channel_is(fact.call, fact.channel)

    def _caller_id_changed(self, fact: CallerIdChanged, now: float) -> list[Order]:
        caller = self.floor.callers.get(fact.call)
        if caller is not None:
            self.floor.callers[fact.call] = replace(caller, ani=fact.ani, caller_name=fact.caller_name)
        return []

    def _channel_renamed(self, fact: ChannelRenamed, now: float) -> list[Order]:
        return self._channel_is(fact.call, fact.channel)

    def _channel_is(self, call: Any, channel: str) -> list[Order]:
        contact = self.floor.waiting.get(call)
        if contact is not None and contact.channel != channel:
            self.floor.put(replace(contact, channel=channel))
        return []

    def _call_queued(self, fact: CallQueued, now: float) -> list[Order]:
        if fact.call in self.floor.waiting or fact.call in self.floor.talks or fact.queue not in self.floor.queues:
            return []
        self.floor.put(
            Waiting(
                call=fact.call,
                queue=fact.queue,
                channel=fact.channel,
                since=fact.at,
                priority=fact.priority,
                language=fact.language,
                skills=fact.skills,
                reason=fact.reason,
                ani=fact.ani,
            )
        )
        self.floor.tally(fact.queue, now).offered += 1
        return []

    def _call_failed_safe(self, fact: CallFailedSafe, now: float) -> list[Order]:
        return self._offering.let_go(fact.call, "the caller was left to the dialplan's own queue", now)

    def _call_ended(self, fact: CallEnded, now: float) -> list[Order]:
        self.floor.callers.pop(fact.call, None)
        orders = self._offering.rescind(fact.call, "the caller hung up", now)
        contact = self.floor.take(fact.call)
        if contact is not None:
            self.floor.tally(contact.queue, now).abandoned += 1
            waited_s = max(0.0, fact.at - contact.since)
            orders.append(
                CallAbandoned(
                    at=fact.at, inferred=fact.inferred, call=fact.call, queue=contact.queue, waited_s=waited_s
                )
            )
        talking = self.floor.talks.get(fact.call)
        if talking is not None:
            orders += end_talk(self.floor, self.floor.agents[talking], now)
        return orders

    def _call_merged(self, fact: CallMerged, now: float) -> list[Order]:
        if fact.call in self.floor.callers:
            self.floor.callers.setdefault(fact.into, self.floor.callers.pop(fact.call))
        if fact.call not in self.floor.talks or fact.into in self.floor.talks:
            return []
        name = self.floor.talks[fact.into] = self.floor.talks.pop(fact.call)
        agent = self.floor.agents[name]
        agent.call = fact.into
        self.floor.touch(agent)
        return []

    # --- the agent's phone -----------------------------------------------------------------------------------------

    def _call_connected(self, fact: CallConnected, now: float) -> list[Order]:
        offer = self._offering.offer_of(fact.peer)
        if offer is None:
            return talk_found(self.floor, self._offering, fact, now)
        return begin_talk(self.floor, offer, fact.at, now)

    def _leg_ringing(self, fact: LegRinging, now: float) -> list[Order]:
        self._seen(fact.leg)
        return self._offering.leg_ringing(fact, now)

    def _leg_answered(self, fact: LegAnswered, now: float) -> list[Order]:
        self._seen(fact.leg)
        return self._offering.leg_answered(fact, now)

    def _seen(self, leg: str) -> None:
        offer = self._offering.offer_of(leg)
        if offer is not None:
            self._unseen.discard(offer.offer)

    def _leg_ended(self, fact: LegEnded, now: float) -> list[Order]:
        offer = self._offering.offer_of(fact.leg)
        if offer is not None:
            self._pbx_is_up = self._pbx_is_up and fact.why != LINK
            return self._offering.offer_leg_ended(offer, fact, now)
        talking = self.floor.talks.get(fact.call)
        if talking is None:
            return []
        agent = self.floor.agents[talking]
        if agent.offer is None or leg_of_offer(agent.offer) != fact.leg:
            return []
        return end_talk(self.floor, agent, now)

    def _phone_changed(self, fact: PhoneChanged, now: float) -> list[Order]:
        for agent in self.floor.at_phone(fact.phone):
            if agent.phone_state is not fact.state:
                agent.phone_state = fact.state
                self.floor.touch(agent)
        return []

    def _console_lost(self, fact: ConsoleLost, now: float) -> list[Order]:
        agent = self.floor.agents.get(fact.agent)
        if agent is None or agent.availability is not Availability.READY:
            return []
        agent.want(Availability.NOT_READY, NotReadyReason.CONNECTION, now)
        self.floor.touch(agent)
        return [AgentNotReady(at=now, agent=agent.id, reason=NotReadyReason.CONNECTION)]

    # --- the PBX ---------------------------------------------------------------------------------------------------

    def _pbx_lost(self, fact: PbxLost, now: float) -> list[Order]:
        self._pbx_is_up = False
        return []

    def _pbx_synced(self, fact: PbxSynced, now: float) -> list[Order]:
        """Whatever the PBX does not know of is over."""
        self._pbx_is_up = True
        up = frozenset(fact.calls)
        orders: list[Order] = []
        for call in [call for call in self.floor.waiting if call not in up]:
            orders += self._offering.rescind(call, "the call is gone", now)
            contact = self.floor.take(call)
            if contact is not None:
                self.floor.tally(contact.queue, now).abandoned += 1
                waited_s = max(0.0, now - contact.since)
                orders.append(CallAbandoned(at=now, inferred=True, call=call, queue=contact.queue, waited_s=waited_s))
        for offer in [self.floor.offers[name] for name in self._unseen if name in self.floor.offers]:
            why = "its phone rings no more after a restart"
            orders += self._offering.end_offer(offer, OfferOutcome.FAILED, why, now, blame=False)
        self._unseen.clear()
        still = up if self._trusts_talks else up & frozenset(fact.talking)
        for agent in [self.floor.agents[name] for call, name in self.floor.talks.items() if call not in still]:
            orders += end_talk(self.floor, agent, now)
        self._trusts_talks = True
        for call in [call for call in self.floor.callers if call not in up]:
            del self.floor.callers[call]
        return orders
