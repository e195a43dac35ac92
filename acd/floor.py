"""What the distributor knows: agents, waiting contacts, live offers, deadlines, and the wallboard's lines of them.

Holds and finds, decides nothing. Whoever changes an agent, a contact or a tally touches it, and `changes()` says once
which lines read differently now and what must survive a crash.
"""

import heapq
from collections.abc import Iterator

from acd.agent import Agent
from acd.free import Free
from acd.offer import Offer
from acd.orders import ForgetWaiting, KeepAgent, KeepWaiting, Order
from acd.queue import Tally, Waiting
from acd.strategy import LANGUAGE_SKILL
from cti.events import (
    AgentLineChanged,
    CallArrived,
    QueueLineChanged,
    WaitingLineChanged,
    WaitingLineGone,
)
from cti.floor import AgentLine, FloorPicture, QueueLine
from cti.ids import AgentId, CallId, OfferId, QueueId
from cti.site import Site

MOST_ACCEPTED = 10_000
"""Accepted offers remembered, so that what comes late about them begins no second talk."""


class Floor:
    """The floor's state; one distributor owns it."""

    def __init__(self, site: Site) -> None:
        self.queues = {spec.queue: spec for spec in site.queues}
        self.agents = {
            spec.agent: Agent(
                spec=spec,
                phone=spec.phone,
                queues=tuple(q.queue for q in site.queues if set(q.skills) <= set(spec.skills)),
            )
            for spec in site.agents
        }
        self.languages = frozenset(
            skill.removeprefix(LANGUAGE_SKILL)
            for spec in site.agents
            for skill in spec.skills
            if skill.startswith(LANGUAGE_SKILL)
        )
        self.callers: dict[CallId, CallArrived] = {}
        self.waiting: dict[CallId, Waiting] = {}
        self.offers: dict[OfferId, Offer] = {}
        self.talks: dict[CallId, AgentId] = {}
        self.accepted: dict[OfferId, None] = {}
        self.tallies = {queue: Tally() for queue in self.queues}
        self.free = Free(self.agents.values())
        self._phones: dict[AgentId, str] = {}
        self._at_phone: dict[str, dict[AgentId, Agent]] = {}
        self._deadlines: list[tuple[float, str]] = []
        self._ready_in: dict[QueueId, int] = dict.fromkeys(self.queues, 0)
        self._staffed_in: dict[QueueId, int] = dict.fromkeys(self.queues, 0)
        self._counted: dict[AgentId, tuple[bool, bool]] = {}
        self._touched_agents: dict[AgentId, None] = {}
        self._touched_queues: dict[QueueId, None] = {}
        self._touched_contacts: dict[CallId, None] = {}
        self._told_agents: dict[AgentId, AgentLine] = {}
        self._told_queues: dict[QueueId, QueueLine] = {}
        for agent in self.agents.values():
            self._note_phone(agent)

    def touch(self, agent: Agent) -> None:
        """This agent has changed."""
        self._touched_agents[agent.id] = None
        if self._phones.get(agent.id) != agent.phone:
            self._note_phone(agent)
        if agent.is_free:
            self.free.put(agent)
        else:
            self.free.drop(agent.id)
        now_counted = (agent.is_free, agent.is_staffed)
        was_free, was_staffed = self._counted.get(agent.id, (False, False))
        if now_counted == (was_free, was_staffed):
            return
        self._counted[agent.id] = now_counted
        for queue in agent.queues:
            self._ready_in[queue] += now_counted[0] - was_free
            self._staffed_in[queue] += now_counted[1] - was_staffed
            self._touched_queues[queue] = None

    def at_phone(self, phone: str) -> list[Agent]:
        """The agents whose phone this is."""
        return list(self._at_phone.get(phone, {}).values())

    def _note_phone(self, agent: Agent) -> None:
        self._at_phone.get(self._phones.get(agent.id, ""), {}).pop(agent.id, None)
        self._phones[agent.id] = agent.phone
        self._at_phone.setdefault(agent.phone, {})[agent.id] = agent

    def put(self, contact: Waiting) -> None:
        """This contact waits, or waits differently."""
        self.waiting[contact.call] = contact
        self._touched_contacts[contact.call] = None
        self._touched_queues[contact.queue] = None

    def take(self, call: CallId) -> Waiting | None:
        """This contact waits no more."""
        contact = self.waiting.pop(call, None)
        if contact is not None:
            self._touched_contacts[call] = None
            self._touched_queues[contact.queue] = None
        return contact

    def tally(self, queue: QueueId, now: float) -> Tally:
        """Today's tally of this queue."""
        tally = self.tallies[queue]
        tally.turn(now)
        self._touched_queues[queue] = None
        return tally

    def in_line(self) -> list[Waiting]:
        """The contacts nobody is being asked to take, in order of service."""
        return sorted((one for one in self.waiting.values() if one.offered_to is None), key=Waiting.place)

    def offer_to(self, agent: Agent) -> Offer | None:
        """The live offer this agent is being asked to take."""
        return self.offers.get(agent.offer) if agent.offer is not None else None

    def accept(self, offer: OfferId) -> None:
        """This offer led to a talk; it is live no more."""
        del self.offers[offer]
        self.accepted[offer] = None
        if len(self.accepted) > MOST_ACCEPTED:
            del self.accepted[next(iter(self.accepted))]

    def set_deadline(self, due: float, name: str) -> None:
        """Wake the distributor at `due` for the offer or agent of this name."""
        heapq.heappush(self._deadlines, (due, name))

    def next_deadline(self) -> float | None:
        """When something is due next (Unix seconds)."""
        while self._deadlines and not self._is_due_at(*self._deadlines[0]):
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def due(self, now: float) -> Iterator[Offer | Agent]:
        """Whatever is due by now, each once."""
        while self._deadlines and self._deadlines[0][0] <= now:
            due, name = heapq.heappop(self._deadlines)
            if self._is_due_at(due, name):
                yield self.offers[OfferId(name)] if name in self.offers else self.agents[AgentId(name)]

    def _is_due_at(self, due: float, name: str) -> bool:
        offer = self.offers.get(OfferId(name))
        if offer is not None:
            return offer.due == due
        agent = self.agents.get(AgentId(name))
        return agent is not None and agent.wrap_up_until == due

    def queue_line(self, queue: QueueId) -> QueueLine:
        """The wallboard's line of this queue."""
        contacts = [one for one in self.waiting.values() if one.queue == queue]
        tally = self.tallies[queue]
        return QueueLine(
            queue=queue,
            name=self.queues[queue].name,
            waiting=len(contacts),
            longest_wait_since=min((one.since for one in contacts), default=None),
            agents_ready=self._ready_in[queue],
            agents_staffed=self._staffed_in[queue],
            offered=tally.offered,
            answered=tally.answered,
            abandoned=tally.abandoned,
        )

    def picture(self, now: float) -> FloorPicture:
        """Everything the wallboard shows."""
        return FloorPicture(
            at=now,
            agents=tuple(agent.line() for agent in self.agents.values()),
            queues=tuple(self.queue_line(queue) for queue in self.queues),
            waiting=tuple(one.line() for one in sorted(self.waiting.values(), key=Waiting.place)),
        )

    def changes(self, now: float) -> list[Order]:
        """The lines that read differently since the last call, and what to keep or forget of them."""
        orders: list[Order] = []
        for agent in self._touched_agents:
            line = self.agents[agent].line()
            if line != self._told_agents.get(agent):
                self._told_agents[agent] = line
                orders += [KeepAgent(line), AgentLineChanged(at=now, agent=agent, line=line)]
        for call in self._touched_contacts:
            contact = self.waiting.get(call)
            if contact is None:
                orders += [ForgetWaiting(call), WaitingLineGone(at=now, call=call)]
            else:
                orders += [KeepWaiting(contact), WaitingLineChanged(at=now, call=call, line=contact.line())]
        for queue in self._touched_queues:
            line_of_queue = self.queue_line(queue)
            if line_of_queue != self._told_queues.get(queue):
                self._told_queues[queue] = line_of_queue
                orders.append(QueueLineChanged(at=now, line=line_of_queue))
        self._touched_agents.clear()
        self._touched_contacts.clear()
        self._touched_queues.clear()
        return orders
