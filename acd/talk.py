"""From the first word to the written-up contact: an accepted offer becomes a talk, a talk becomes a wrap-up."""

from acd.agent import Agent
from acd.floor import Floor
from acd.offer import Offer
from acd.orders import Order
from cti.events import OfferAccepted, WrapUpEnd, WrapUpEnded, WrapUpStarted
from cti.floor import Activity


def begin_talk(floor: Floor, offer: Offer, at: float, now: float) -> list[Order]:
    """The two are in one bridge since `at`: the offer is accepted and the contact waits no more."""
    floor.accept(offer.offer)
    floor.take(offer.call)
    agent = floor.agents[offer.agent]
    agent.move(Activity.TALKING, now)
    floor.touch(agent)
    floor.talks[offer.call] = agent.id
    floor.tally(offer.queue, now).answered += 1
    return [
        OfferAccepted(
            at=at,
            call=offer.call,
            offer=offer.offer,
            agent=agent.id,
            queue=offer.queue,
            waited_s=max(0.0, at - offer.made_at + offer.waited_s),
        )
    ]


def end_talk(floor: Floor, agent: Agent, now: float) -> list[Order]:
    """The talk is over: the agent writes it up, where the queue gives time for that."""
    call, queue = agent.call, agent.queue
    if call is None or agent.activity is not Activity.TALKING:
        return []
    floor.talks.pop(call, None)
    spec = floor.queues.get(queue) if queue is not None else None
    if spec is None or spec.wrap_up_s <= 0:
        agent.move(Activity.IDLE, now)
        floor.touch(agent)
        return []
    agent.move(Activity.WRAP_UP, now)
    agent.wrap_up_until = now + spec.wrap_up_s
    floor.set_deadline(agent.wrap_up_until, agent.id)
    floor.touch(agent)
    return [WrapUpStarted(at=now, call=call, agent=agent.id, queue=spec.queue, until=agent.wrap_up_until)]


def end_wrap_up(floor: Floor, agent: Agent, how: WrapUpEnd, disposition: str, note: str, now: float) -> list[Order]:
    """The contact is written up, or the timer ended it."""
    call = agent.call
    if call is None or agent.activity is not Activity.WRAP_UP:
        return []
    agent.move(Activity.IDLE, now)
    floor.touch(agent)
    return [WrapUpEnded(at=now, call=call, agent=agent.id, how=how, disposition=disposition, note=note)]
