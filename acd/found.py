"""What is found after a time in which nobody looked: the link was cut, or we were away.

Asterisk joins an agent and a caller by itself, so a talk may be going on that no living offer of ours leads to. It is hers
all the same: a talk is never cut, and its caller is never offered to anybody else.
"""

from acd.agent import Agent
from acd.floor import Floor
from acd.offer import Offer, OfferState
from acd.offering import Offering
from acd.orders import Order
from acd.talk import begin_talk, end_wrap_up
from cti.events import AgentReady, CallConnected, OfferOutcome, WrapUpEnd
from cti.floor import Activity, Availability, NotReadyReason
from cti.ids import OfferId, agent_of_offer, offer_of_leg

_NOT_PICKED_UP = frozenset({NotReadyReason.RONA, NotReadyReason.PHONE})


def talk_found(floor: Floor, offering: Offering, fact: CallConnected, now: float) -> list[Order]:
    """A waiting caller talks, and no offer that is alive led to it."""
    name = offer_of_leg(fact.peer)
    if fact.call not in floor.waiting or name in floor.accepted:
        return []
    orders = offering.rescind(fact.call, "the caller talks already", now)
    agent = floor.agents.get(agent_of_offer(name)) if name is not None else None
    if name is None or agent is None or not agent.is_staffed or agent.activity is Activity.TALKING:
        floor.take(fact.call)  # with somebody of whom we know nothing
        return orders
    return orders + _leave_the_rest(floor, offering, agent, now) + _begin(floor, offering, agent, name, fact, now)


def _leave_the_rest(floor: Floor, offering: Offering, agent: Agent, now: float) -> list[Order]:
    """She talks: whatever else we thought her to do is over, and she did pick up."""
    if agent.availability is Availability.NOT_READY and agent.reason in _NOT_PICKED_UP:
        agent.want(Availability.READY, "", now)
        floor.touch(agent)
        return [AgentReady(at=now, agent=agent.id)]
    offer = floor.offer_to(agent)
    if offer is not None:
        return offering.end_offer(offer, OfferOutcome.RESCINDED, "she talks to another caller", now)
    return end_wrap_up(floor, agent, WrapUpEnd.TIMED_OUT, "", "", now)


def _begin(
    floor: Floor, offering: Offering, agent: Agent, name: OfferId, fact: CallConnected, now: float
) -> list[Order]:
    contact = floor.waiting[fact.call]
    agent.call, agent.offer, agent.queue, agent.ani = contact.call, name, contact.queue, contact.ani
    offer = Offer(
        offer=name,
        call=contact.call,
        agent=agent.id,
        queue=contact.queue,
        made_at=now,
        waited_s=max(0.0, fact.at - contact.since),
        ring_for_s=floor.queues[contact.queue].ring_for_s,
        state=OfferState.PICKED_UP,
        due=now,
    )
    offering.set_offer(offer)
    return begin_talk(floor, offer, now, now)
