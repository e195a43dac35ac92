"""The life of an offer, from the screen to the phone to the talk (the table is in `offer.py`).

Every way an offer can end is here, with its consequence for the agent (not ready, with the reason) and for the contact
(back in its place, and first of its priority when an agent had been promised).
"""

from dataclasses import replace

from acd.agent import Agent
from acd.floor import Floor
from acd.offer import CONNECT_WAIT_S, LATE_S, LOOK_AGAIN_S, PAINT_WAIT_S, Offer, OfferState
from acd.orders import EndLeg, Order, Ring
from acd.queue import Waiting
from acd.strategy import why_her
from cti.events import (
    AgentNotReady,
    CallOffered,
    LegAnswered,
    LegEnded,
    LegRinging,
    OfferEnded,
    OfferOutcome,
    OfferRinging,
    PopPainted,
)
from cti.floor import Activity, Availability, NotReadyReason
from cti.ids import CallId, OfferId, agent_of_offer, leg_of_offer, offer_id, offer_of_leg

RING_GRACE_S = 3.0
"""The PBX's own limit on ringing lies this much behind ours, for the case that we are gone by then."""

NO_ANSWER, BUSY, REFUSED = 19, 17, 21
"""Q.850 causes."""

LINK = "LINK"
"""Why of a LegEnded that has nothing to do with the agent or her phone: our order never reached the PBX."""

_REASON_AFTER = {
    OfferOutcome.LAPSED: NotReadyReason.RONA,
    OfferOutcome.DECLINED: NotReadyReason.DECLINED,
    OfferOutcome.FAILED: NotReadyReason.PHONE,
}


class Offering:
    """Makes, rings and ends the offers on one floor."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._named_until = 0.0

    def _new_name(self, contact: Waiting, agent: Agent, now: float) -> OfferId:
        """Never the same name twice, also when the same two meet again in the same millisecond."""
        self._named_until = max(now, self._named_until + 0.001)
        return offer_id(contact.call, agent.id, self._named_until)

    def make_offer(self, contact: Waiting, agent: Agent, needed: frozenset[str], now: float) -> CallOffered:
        """Ask this agent to take this contact."""
        others = self._floor.free.count(needed) - 1
        why = why_her(agent, needed, others, now)
        offer = Offer(
            offer=self._new_name(contact, agent, now),
            call=contact.call,
            agent=agent.id,
            queue=contact.queue,
            made_at=now,
            waited_s=max(0.0, now - contact.since),
            ring_for_s=self._floor.queues[contact.queue].ring_for_s,
            state=OfferState.MADE,
            due=now + PAINT_WAIT_S,
        )
        self.set_offer(offer)
        agent.move(Activity.OFFERED, now)
        agent.call, agent.offer, agent.queue, agent.ani = contact.call, offer.offer, contact.queue, contact.ani
        self._floor.touch(agent)
        self._floor.put(replace(contact, offered_to=agent.id))
        return CallOffered(
            at=now,
            call=offer.call,
            offer=offer.offer,
            agent=agent.id,
            queue=offer.queue,
            waited_s=offer.waited_s,
            why=why,
        )

    def set_offer(self, offer: Offer) -> None:
        """Note how far the offer has come, and its next deadline."""
        self._floor.offers[offer.offer] = offer
        self._floor.set_deadline(offer.due, offer.offer)

    def ring(self, offer: Offer, now: float) -> list[Order]:
        """The screen has had its time: ring the phone."""
        self.set_offer(replace(offer, state=OfferState.RINGING, due=now + offer.ring_for_s))
        contact = self._floor.waiting[offer.call]
        caller = self._floor.callers.get(offer.call)
        return [
            Ring(
                call=offer.call,
                leg=leg_of_offer(offer.offer),
                phone=self._floor.agents[offer.agent].phone,
                caller_channel=contact.channel,
                caller_number=contact.ani,
                caller_name=caller.caller_name if caller is not None else "",
                ring_for_s=offer.ring_for_s + RING_GRACE_S,
            )
        ]

    def end_offer(self, offer: Offer, outcome: OfferOutcome, why: str, now: float, blame: bool = True) -> list[Order]:
        """The offer is over: the agent is free (or not ready, with the reason), the contact is back in its place."""
        del self._floor.offers[offer.offer]
        orders: list[Order] = [
            OfferEnded(at=now, call=offer.call, offer=offer.offer, agent=offer.agent, outcome=outcome, why=why)
        ]
        if offer.state is not OfferState.MADE and outcome is not OfferOutcome.FAILED:
            orders.append(EndLeg(offer.call, leg_of_offer(offer.offer)))
        agent = self._floor.agents[offer.agent]
        agent.move(Activity.IDLE, now)
        reason = _REASON_AFTER.get(outcome) if blame else None
        if reason is not None and agent.availability is Availability.READY:
            agent.want(Availability.NOT_READY, reason, now)
            orders.append(AgentNotReady(at=now, agent=agent.id, reason=reason))
        self._floor.touch(agent)
        contact = self._floor.waiting.get(offer.call)
        if contact is not None and contact.is_out:
            self._floor.take(offer.call)
        elif contact is not None:
            goes_first = contact.goes_first or outcome is not OfferOutcome.RESCINDED
            self._floor.put(replace(contact, offered_to=None, goes_first=goes_first))
        return orders

    def offer_due(self, offer: Offer, now: float, sees_phones: bool) -> list[Order]:
        """An offer's deadline has come. `sees_phones`: the PBX tells us what they do."""
        if offer.state is OfferState.MADE:
            return self.ring(offer, now)
        if not sees_phones or now - offer.due > LATE_S:
            self.set_offer(replace(offer, due=now + LOOK_AGAIN_S))
            return []
        if offer.state is OfferState.RINGING:
            return self.end_offer(offer, OfferOutcome.LAPSED, f"not answered in {offer.ring_for_s:g} s", now)
        orders = self.end_offer(offer, OfferOutcome.FAILED, "picked up, but never connected", now, blame=False)
        return [*orders, EndLeg(offer.call, leg_of_offer(offer.offer))]

    def let_go(self, call: CallId, why: str, now: float) -> list[Order]:
        """The caller was left to the PBX's own queue; a phone that rings for him may still be picked up."""
        contact = self._floor.waiting.get(call)
        if contact is not None and contact.offered_to is not None:
            offer = self._floor.offer_to(self._floor.agents[contact.offered_to])
            if offer is not None and offer.state is not OfferState.MADE:
                self._floor.put(replace(contact, is_out=True))
                return []
        orders = self.rescind(call, why, now)
        self._floor.take(call)
        return orders

    def rescind(self, call: CallId, why: str, now: float) -> list[Order]:
        """Take back the offer of this call, if there is one."""
        contact = self._floor.waiting.get(call)
        if contact is None or contact.offered_to is None:
            return []
        offer = self._floor.offer_to(self._floor.agents[contact.offered_to])
        return self.end_offer(offer, OfferOutcome.RESCINDED, why, now) if offer is not None else []

    def offer_of(self, leg: str) -> Offer | None:
        """The live offer this leg rings for."""
        name = offer_of_leg(leg)
        return self._floor.offers.get(name) if name is not None else None

    def pop_painted(self, fact: PopPainted, now: float) -> list[Order]:
        """The pop is on her screen."""
        offer = self._floor.offers.get(fact.offer)
        if offer is None or offer.state is not OfferState.MADE or fact.agent != offer.agent:
            return []
        return self.ring(offer, now)

    def leg_ringing(self, fact: LegRinging, now: float) -> list[Order]:
        """The PBX says the phone rings."""
        offer = self.offer_of(fact.leg)
        if offer is None:
            return self._stop_ringing(fact)
        if offer.state is not OfferState.RINGING:
            return []
        return [OfferRinging(at=fact.at, call=offer.call, offer=offer.offer, agent=offer.agent, until=offer.due)]

    def _stop_ringing(self, fact: LegRinging) -> list[Order]:
        """A phone rings for an offer that is over: our order came late, or was thought lost."""
        name = offer_of_leg(fact.leg)
        agent = self._floor.agents.get(agent_of_offer(name)) if name is not None else None
        return [EndLeg(fact.call, fact.leg)] if agent is not None and agent.offer != name else []

    def leg_answered(self, fact: LegAnswered, now: float) -> list[Order]:
        """She picked up; now the PBX connects the two."""
        offer = self.offer_of(fact.leg)
        if offer is not None and offer.state is OfferState.RINGING:
            self.set_offer(replace(offer, state=OfferState.PICKED_UP, due=now + CONNECT_WAIT_S))
        return []

    def offer_leg_ended(self, offer: Offer, fact: LegEnded, now: float) -> list[Order]:
        """The leg of a live offer is gone, with the PBX's reason."""
        if fact.why == LINK:
            return self.end_offer(offer, OfferOutcome.FAILED, "the link to the PBX failed", now, blame=False)
        if fact.inferred and not fact.cause and not fact.why:
            return self.end_offer(offer, OfferOutcome.FAILED, "ended while the PBX was out of sight", now, blame=False)
        if offer.state is OfferState.PICKED_UP:
            why = "picked up and hung up before being connected"
            return self.end_offer(offer, OfferOutcome.FAILED, why, now, blame=False)
        if fact.cause == NO_ANSWER or fact.why == "NOANSWER":
            return self.end_offer(offer, OfferOutcome.LAPSED, "not answered", now)
        if fact.cause == REFUSED:
            return self.end_offer(offer, OfferOutcome.DECLINED, "refused at the phone", now)
        why = "the phone is busy" if fact.cause == BUSY or fact.why == "BUSY" else "the phone could not be reached"
        return self.end_offer(offer, OfferOutcome.FAILED, why, now)
