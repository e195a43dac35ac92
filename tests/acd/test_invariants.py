"""The distributor's promises under random facts: repeated, late, out of turn."""

from collections import Counter
from contextlib import suppress
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from acd.orders import Order, Ring
from cti.errors import Refused
from cti.events import (
    CallAbandoned,
    CallConnected,
    CallEnded,
    CallFailedSafe,
    CallOffered,
    CallQueued,
    ConsoleLost,
    EndedBy,
    Fact,
    LegAnswered,
    LegEnded,
    LegRinging,
    OfferAccepted,
    OfferEnded,
    PbxLost,
    PbxSynced,
    PhoneChanged,
    PhoneState,
    PopPainted,
)
from cti.floor import Activity, Availability
from cti.ids import CallId, LegId, OfferId, SessionId, leg_of_offer
from cti.requests import DeclineOffer, FinishWrapUp, GoNotReady, GoReady, Request, SignIn, SignOut
from tests.acd.floor import ANN, BOB, CAT, SALES, SUPPORT, Bench

AGENTS = st.sampled_from([ANN, BOB, CAT])
CALLS = st.sampled_from([CallId(f"c{n}") for n in range(6)])


class FloorMachine(RuleBasedStateMachine):
    """Throws anything at the floor and looks at the picture after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.facts: list[Fact] = []
        self.offers: list[OfferId] = [OfferId("c0-ann-1")]
        self.out: Counter[str] = Counter()
        self.ended: Counter[OfferId] = Counter()
        self.accepted: Counter[OfferId] = Counter()
        self.rung: Counter[LegId] = Counter()

    def take(self, orders: list[Order]) -> None:
        for order in orders:
            self.out[type(order).__name__] += 1
            if isinstance(order, CallOffered):
                self.offers.append(order.offer)
            elif isinstance(order, OfferEnded):
                self.ended[order.offer] += 1
            elif isinstance(order, OfferAccepted):
                self.accepted[order.offer] += 1
            elif isinstance(order, Ring):
                self.rung[order.leg] += 1

    def tell(self, word: Fact | Request[Any]) -> None:
        if isinstance(word, Fact):
            self.facts.append(word)
        with suppress(Refused):
            self.take(self.bench.tell(word))

    @rule(seconds=st.sampled_from([0.01, 0.2, 1.0, 6.0, 21.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self.take(self.bench.pass_time(seconds))

    @rule(agent=AGENTS, what=st.sampled_from(["in", "ready", "break", "out"]))
    def agent_wants(self, agent: Any, what: str) -> None:
        words: dict[str, Request[Any]] = {
            "in": SignIn(agent=agent),
            "ready": GoReady(agent=agent),
            "break": GoNotReady(agent=agent, reason="break"),
            "out": SignOut(agent=agent),
        }
        self.tell(SignIn(agent=agent))
        self.tell(words[what])

    @rule(call=CALLS, queue=st.sampled_from([SALES, SUPPORT]), priority=st.integers(0, 2))
    def call_waits(self, call: CallId, queue: Any, priority: int) -> None:
        self.tell(
            CallQueued(at=self.bench.now, call=call, queue=queue, channel=f"T/{call}", language="en", priority=priority)
        )

    @rule(data=st.data(), what=st.sampled_from(["paint", "ring", "answer", "connect", "gone", "busy", "decline"]))
    def something_happens_to_an_offer(self, data: st.DataObject, what: str) -> None:
        offer = data.draw(st.sampled_from(self.offers))
        call, leg, at = CallId(offer.split("-")[0]), leg_of_offer(offer), self.bench.now
        agent: Any = offer.split("-")[1]
        words: dict[str, Fact | Request[Any]] = {
            "paint": PopPainted(at=at, call=call, agent=agent, offer=offer, version=1),
            "ring": LegRinging(at=at, call=call, leg=leg),
            "answer": LegAnswered(at=at, call=call, leg=leg),
            "connect": CallConnected(at=at, call=call, leg=LegId(call), peer=leg),
            "gone": LegEnded(at=at, call=call, leg=leg, cause=16),
            "busy": LegEnded(at=at, call=call, leg=leg, cause=17, why="BUSY"),
            "decline": DeclineOffer(agent=agent, offer=offer),
        }
        self.tell(words[what])

    @rule(call=CALLS, safe=st.booleans())
    def call_leaves(self, call: CallId, safe: bool) -> None:
        self.tell(
            CallFailedSafe(at=self.bench.now, call=call)
            if safe
            else CallEnded(at=self.bench.now, call=call, ended_by=EndedBy.CALLER)
        )

    @rule(agent=AGENTS, call=CALLS)
    def agent_writes_up(self, agent: Any, call: CallId) -> None:
        self.tell(FinishWrapUp(agent=agent, call=call, disposition="sold"))

    @rule(calls=st.sets(CALLS), talking=st.sets(CALLS), restarted=st.booleans())
    def pbx_says_what_is_up(self, calls: set[CallId], talking: set[CallId], restarted: bool) -> None:
        self.tell(PbxSynced(at=self.bench.now, calls=tuple(calls), talking=tuple(talking), restarted=restarted))

    @rule()
    def pbx_is_lost(self) -> None:
        self.tell(PbxLost(at=self.bench.now, why="cut"))

    @rule(agent=AGENTS, state=st.sampled_from(list(PhoneState)))
    def phone_changes(self, agent: str, state: PhoneState) -> None:
        self.tell(PhoneChanged(at=self.bench.now, phone=f"PJSIP/{agent}", state=state))

    @rule(agent=AGENTS)
    def browser_is_lost(self, agent: Any) -> None:
        self.tell(ConsoleLost(at=self.bench.now, agent=agent, session=SessionId("s")))

    @rule(data=st.data())
    def a_fact_comes_again(self, data: st.DataObject) -> None:
        if self.facts:
            self.tell(data.draw(st.sampled_from(self.facts)))

    @invariant()
    def an_agent_is_in_exactly_one_place(self) -> None:
        floor = self.bench.machine.floor
        for agent in floor.agents.values():
            offer = floor.offer_to(agent)
            assert (agent.activity is Activity.OFFERED) == (offer is not None)
            assert (agent.activity is Activity.TALKING) == (agent.id in floor.talks.values())
            assert (agent.activity is Activity.IDLE) == (agent.call is None)
            assert (agent.wrap_up_until is not None) == (agent.activity is Activity.WRAP_UP)
            assert (agent.id in floor.free) == agent.is_free

    @invariant()
    def a_contact_is_in_exactly_one_place(self) -> None:
        floor = self.bench.machine.floor
        assert not floor.waiting.keys() & floor.talks.keys()
        assert len(set(floor.talks.values())) == len(floor.talks)
        offered = {one.call: one.agent for one in floor.offers.values()}
        assert len(offered) == len(floor.offers)
        assert {call: one.offered_to for call, one in floor.waiting.items() if one.offered_to} == offered

    @invariant()
    def an_offer_ends_and_rings_at_most_once(self) -> None:
        assert all(count == 1 for count in self.ended.values())
        assert all(count == 1 for count in self.accepted.values())
        assert all(count == 1 for count in self.rung.values())
        live = set(self.bench.machine.floor.offers)
        over = self.ended.keys() | self.accepted.keys()
        # The first one was never made: a talk of which only the PBX knew.
        assert live | over | {self.offers[0]} == set(self.offers)
        assert not live & over

    @invariant()
    def nobody_waits_while_a_fitting_agent_is_free(self) -> None:
        machine = self.bench.machine
        if not machine._pbx_is_up:
            return
        for contact in machine.floor.in_line():
            skills = set(machine.floor.queues[contact.queue].skills)
            assert not any(skills <= set(one.spec.skills) for one in machine.floor.free.values())

    @invariant()
    def what_was_offered_is_accounted_for(self) -> None:
        floor = self.bench.machine.floor
        assert self.out["OfferAccepted"] + self.out[CallAbandoned.__name__] + len(floor.waiting) <= sum(
            isinstance(fact, CallQueued) for fact in self.facts
        )

    @invariant()
    def a_signed_out_agent_has_nothing_on_the_desk(self) -> None:
        for agent in self.bench.machine.floor.agents.values():
            assert agent.availability is not Availability.SIGNED_OUT or agent.activity is Activity.IDLE

    @invariant()
    def the_wallboard_tells_the_floor(self) -> None:
        picture = self.bench.machine.picture(self.bench.now)
        for queue in picture.queues:
            mine = [one for one in self.bench.machine.floor.agents.values() if queue.queue in one.queues]
            assert queue.agents_ready == sum(one.is_free for one in mine)
            assert queue.agents_staffed == sum(one.is_staffed for one in mine)


TestFloor = FloorMachine.TestCase
TestFloor.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
