"""The distributor by example: who is asked, in which order, and what every ending leads to."""

import pytest

from acd.orders import EndLeg, PickUp, Ring
from acd.queue import Waiting
from cti.events import (
    AgentNotReady,
    CallAbandoned,
    CallEnded,
    CallFailedSafe,
    CallOffered,
    CallQueued,
    ConsoleLost,
    EndedBy,
    LegAnswered,
    LegEnded,
    LegRinging,
    OfferAccepted,
    OfferEnded,
    OfferOutcome,
    OfferRinging,
    PbxLost,
    PbxSynced,
    PhoneChanged,
    PhoneState,
    WrapUpEnd,
    WrapUpEnded,
    WrapUpStarted,
)
from cti.floor import Activity, Availability
from cti.ids import CallId, SessionId, leg_of_offer
from cti.requests import (
    AnswerOffer,
    DeclineOffer,
    FinishWrapUp,
    GoNotReady,
    GoReady,
    HangUp,
    SignIn,
    SignOut,
)
from tests.acd.floor import ANN, BOB, CAT, SALES, SUPPORT, Bench, none_of, only, rings


def agent(bench: Bench, name: str):  # type: ignore[no-untyped-def]
    """This agent's line in the picture."""
    return next(line for line in bench.machine.picture(bench.now).agents if line.agent == name)


def test_the_longest_idle_agent_with_the_skills_is_asked_and_the_reason_is_said() -> None:
    """Of those who are free and skilled, the one idle longest gets the contact, with the reason in a sentence."""
    bench = Bench().start(CAT, ANN, BOB)
    offered = only(CallOffered, bench.queue_call("c1"))
    assert offered.agent == ANN
    assert "Ann Archer" in offered.why
    assert "idle for 3 s" in offered.why
    assert "1 other free" in offered.why


def test_the_phone_rings_when_the_pop_is_painted() -> None:
    """The offer is on the screen first; the phone rings on the browser's word."""
    bench = Bench().start(ANN)
    orders = bench.queue_call("c1")
    assert rings(orders) == []
    ring = only(Ring, bench.paint(only(CallOffered, orders)))
    assert (ring.phone, ring.caller_channel) == ("PJSIP/ann", "PJSIP/trunk-c1")


def test_the_phone_waits_150_ms_for_the_screen_and_no_longer() -> None:
    """A browser that never paints delays the ring by 150 ms."""
    bench = Bench().start(ANN)
    bench.queue_call("c1")
    assert rings(bench.pass_time(0.149)) == []
    assert rings(bench.pass_time(0.002)) == ["PJSIP/ann"]


def test_a_pop_painted_twice_rings_once() -> None:
    """The same acknowledgement again changes nothing."""
    bench = Bench().start(ANN)
    offered = only(CallOffered, bench.queue_call("c1"))
    assert len(rings(bench.paint(offered))) == 1
    assert rings(bench.paint(offered)) == []


def test_an_answered_offer_is_a_talk_then_a_wrap_up_then_idle() -> None:
    """Ringing, accepted, talking, wrap-up with its timer, written up, idle: each once and in this order."""
    bench = Bench().start(ANN)
    offered = only(CallOffered, bench.queue_call("c1"))
    bench.pass_time(0.05)
    orders = bench.answer(offered)
    assert only(OfferRinging, orders).agent == ANN
    accepted = only(OfferAccepted, orders)
    assert accepted.waited_s == pytest.approx(0.05)
    assert agent(bench, ANN).activity is Activity.TALKING
    bench.pass_time(60.0)
    wrap_up = only(WrapUpStarted, bench.leg_ends(offered.offer, "c1"))
    assert wrap_up.until == bench.now + 30.0
    assert none_of(WrapUpStarted, bench.caller_hangs_up("c1"))
    ended = only(
        WrapUpEnded, bench.tell(FinishWrapUp(agent=ANN, call=CallId("c1"), disposition="sold", note="2 of it"))
    )
    assert (ended.how, ended.disposition, ended.note) == (WrapUpEnd.FINISHED, "sold", "2 of it")
    assert agent(bench, ANN).activity is Activity.IDLE
    assert agent(bench, ANN).availability is Availability.READY


def test_a_lapsed_offer_makes_the_agent_not_ready_and_the_caller_first() -> None:
    """RONA: the agent is not ready with that reason, the caller keeps the place and goes before older ones."""
    bench = Bench().start(ANN)
    first = only(CallOffered, bench.queue_call("c1"))
    bench.ring(first)
    bench.queue_call("c0")
    orders = bench.pass_time(20.0)
    assert only(OfferEnded, orders).outcome is OfferOutcome.LAPSED
    assert only(AgentNotReady, orders).reason == "rona"
    assert only(EndLeg, orders).leg == leg_of_offer(first.offer)
    assert [line.call for line in bench.machine.picture(bench.now).waiting] == ["c1", "c0"]
    bench.tell(SignIn(agent=BOB))
    assert only(CallOffered, bench.tell(GoReady(agent=BOB))).call == "c1"


def test_a_late_hang_up_of_a_lapsed_leg_changes_nothing() -> None:
    """The PBX's own word about a leg we gave up finds nothing to do."""
    bench = Bench().start(ANN)
    offered = only(CallOffered, bench.queue_call("c1"))
    bench.ring(offered)
    bench.pass_time(21.0)
    assert none_of(OfferEnded, bench.leg_ends(offered.offer, "c1", cause=19))


@pytest.mark.parametrize(
    ("cause", "why", "outcome", "reason"),
    [
        (17, "BUSY", OfferOutcome.FAILED, "phone"),
        (0, "UNREACHABLE", OfferOutcome.FAILED, "phone"),
        (19, "", OfferOutcome.LAPSED, "rona"),
        (21, "", OfferOutcome.DECLINED, "declined"),
    ],
)
def test_every_way_a_phone_can_fail_has_its_own_reason(
    cause: int, why: str, outcome: OfferOutcome, reason: str
) -> None:
    """Busy, unreachable, unanswered and refused are told apart, and the contact goes to the next agent at once."""
    bench = Bench().start(ANN, BOB)
    offered = only(CallOffered, bench.queue_call("c1"))
    bench.ring(offered)
    orders = bench.leg_ends(offered.offer, "c1", cause, why)
    assert only(OfferEnded, orders).outcome is outcome
    assert only(AgentNotReady, orders).reason == reason
    assert only(CallOffered, orders).agent == BOB


def test_a_failed_link_blames_nobody_and_offers_wait_for_the_pbx() -> None:
    """An order that never reached the PBX leaves the agent ready; the next offer waits until the PBX is known again."""
    bench = Bench().start(ANN)
    offered = only(CallOffered, bench.queue_call("c1"))
    bench.paint(offered)
    orders = bench.tell(LegEnded(at=bench.now, call=CallId("c1"), leg=leg_of_offer(offered.offer), why="LINK"))
    assert none_of(AgentNotReady, orders)
    assert none_of(CallOffered, orders)
    again = bench.tell(PbxSynced(at=bench.now, calls=(CallId("c1"),)))
    assert only(CallOffered, again).agent == ANN


def test_a_caller_who_hangs_up_while_an_agent_rings_frees_that_agent_at_once() -> None:
    """Abandonment during the ring: the phone stops, the agent is free and still ready, the next caller is offered."""
    bench = Bench().start(ANN)
    offered = only(CallOffered, bench.queue_call("c1"))
    bench.ring(offered)
    bench.queue_call("c2")
    orders = bench.caller_hangs_up("c1")
    assert only(OfferEnded, orders).outcome is OfferOutcome.RESCINDED
    assert only(EndLeg, orders).leg == leg_of_offer(offered.offer)
    assert only(CallAbandoned, orders).call == "c1"
    assert only(CallOffered, orders).call == "c2"
    assert agent(bench, ANN).availability is Availability.READY


def test_abandonment_before_the_ring_rings_nobody() -> None:
    """A caller who leaves while the pop is being painted never makes the phone ring."""
    bench = Bench().start(ANN)
    offered = only(CallOffered, bench.queue_call("c1"))
    orders = bench.caller_hangs_up("c1")
    assert none_of(EndLeg, orders)
    assert rings(bench.pass_time(1.0)) == []
    assert bench.paint(offered) == []


def test_a_picked_up_phone_that_is_never_connected_is_given_up_without_blame() -> None:
    """After picking up the two must meet within 5 s; else the leg is ended and somebody is asked again."""
    bench = Bench().start(ANN)
    offered = only(CallOffered, bench.queue_call("c1"))
    bench.ring(offered)
    bench.tell(LegAnswered(at=bench.now, call=offered.call, leg=leg_of_offer(offered.offer)))
    orders = bench.pass_time(5.0)
    assert only(OfferEnded, orders).outcome is OfferOutcome.FAILED
    assert only(EndLeg, orders).leg == leg_of_offer(offered.offer)
    assert agent(bench, ANN).availability is Availability.READY


def test_a_queue_without_wrap_up_frees_the_agent_at_once() -> None:
    """Where wrap_up_s is 0 the talk's end is the contact's end."""
    bench = Bench().start(CAT)
    offered = only(CallOffered, bench.queue_call("c1", SUPPORT))
    bench.answer(offered)
    orders = bench.leg_ends(offered.offer, "c1")
    assert none_of(WrapUpStarted, orders)
    assert agent(bench, CAT).activity is Activity.IDLE


def test_the_wrap_up_timer_ends_it_and_the_next_caller_comes() -> None:
    """At the timer's end the contact closes without a disposition and the agent, still ready, gets the next one."""
    bench = Bench().start(ANN)
    offered = only(CallOffered, bench.queue_call("c1"))
    bench.answer(offered)
    bench.caller_hangs_up("c1")
    bench.queue_call("c2")
    orders = bench.pass_time(30.0)
    assert only(WrapUpEnded, orders).how is WrapUpEnd.TIMED_OUT
    assert only(CallOffered, orders).call == "c2"


def test_wrap_up_needs_a_known_disposition() -> None:
    """Without one, or with one the queue does not have, the wrap-up stays open."""
    bench = Bench().start(ANN)
    offered = only(CallOffered, bench.queue_call("c1"))
    bench.answer(offered)
    bench.caller_hangs_up("c1")
    call = CallId("c1")
    assert bench.refused(FinishWrapUp(agent=ANN, call=call, disposition="")) == "disposition-needed"
    assert bench.refused(FinishWrapUp(agent=ANN, call=call, disposition="nonsense")) == "unknown-disposition"
    assert bench.refused(FinishWrapUp(agent=ANN, call=CallId("c9"), disposition="sold")) == "not-in-wrap-up"
    assert agent(bench, ANN).activity is Activity.WRAP_UP


def test_not_ready_while_talking_means_after_this_one() -> None:
    """What the agent wants and what is happening are apart: the talk goes on, the next contact does not come."""
    bench = Bench().start(ANN)
    offered = only(CallOffered, bench.queue_call("c1"))
    bench.answer(offered)
    bench.queue_call("c2")
    bench.tell(GoNotReady(agent=ANN, reason="lunch"))
    assert agent(bench, ANN).activity is Activity.TALKING
    bench.caller_hangs_up("c1")
    orders = bench.tell(FinishWrapUp(agent=ANN, call=CallId("c1"), disposition="sold"))
    assert none_of(CallOffered, orders)


def test_requests_out_of_turn_are_refused_with_a_stable_code() -> None:
    """Each forbidden Request has its code and changes nothing."""
    bench = Bench().start(ANN)
    before = bench.machine.picture(bench.now)
    assert bench.refused(GoReady(agent=BOB)) == "signed-out"
    assert bench.refused(GoReady(agent="nobody")) == "unknown-agent"  # type: ignore[arg-type]
    assert bench.refused(GoNotReady(agent=ANN, reason="golf")) == "unknown-reason"
    assert bench.refused(AnswerOffer(agent=ANN, offer="c1-ann-1")) == "no-such-offer"  # type: ignore[arg-type]
    assert bench.refused(HangUp(agent=ANN, call=CallId("c1"))) == "not-talking"
    assert bench.machine.picture(bench.now) == before


def test_an_agent_cannot_leave_in_the_middle_of_a_contact() -> None:
    """Signing out while a contact is on the desk is refused; idle it is not."""
    bench = Bench().start(ANN)
    bench.queue_call("c1")
    assert bench.refused(SignOut(agent=ANN)) == "busy"
    bench.caller_hangs_up("c1")
    assert bench.refused(SignOut(agent=ANN)) == ""


def test_answer_and_hang_up_from_the_screen() -> None:
    """Answer picks up the ringing phone, Hang up ends the agent's own leg; both only when there is something to do."""
    bench = Bench().start(ANN)
    offered = only(CallOffered, bench.queue_call("c1"))
    assert bench.refused(AnswerOffer(agent=ANN, offer=offered.offer)) == "not-ringing"
    bench.ring(offered)
    assert only(PickUp, bench.tell(AnswerOffer(agent=ANN, offer=offered.offer))).phone == "PJSIP/ann"
    bench.answer(offered)
    assert only(EndLeg, bench.tell(HangUp(agent=ANN, call=CallId("c1")))).leg == leg_of_offer(offered.offer)


def test_a_declined_offer_goes_to_the_next_agent() -> None:
    """Decline: not ready (declined), the contact is offered elsewhere at once."""
    bench = Bench().start(ANN, BOB)
    offered = only(CallOffered, bench.queue_call("c1"))
    orders = bench.tell(DeclineOffer(agent=ANN, offer=offered.offer))
    assert only(AgentNotReady, orders).reason == "declined"
    assert only(CallOffered, orders).agent == BOB


def test_language_is_a_skill_where_somebody_has_it() -> None:
    """A Spanish caller waits for the Spanish speaker; a language nobody speaks is asked of nobody."""
    bench = Bench().start(BOB)
    assert none_of(CallOffered, bench.queue_call("c1", language="es"))
    assert only(CallOffered, bench.queue_call("c2", language="fr")).agent == BOB


def test_higher_priority_goes_first() -> None:
    """Among waiting contacts, priority comes before age."""
    bench = Bench().start()
    bench.queue_call("old")
    bench.pass_time(10.0)
    bench.queue_call("vip", priority=5)
    bench.tell(SignIn(agent=ANN))
    assert only(CallOffered, bench.tell(GoReady(agent=ANN))).call == "vip"


def test_an_agent_whose_phone_is_away_is_passed_over_until_it_is_back() -> None:
    """An unreachable or busy phone gets no offer; when the PBX says it is free again, it does."""
    bench = Bench().start(ANN)
    bench.tell(PhoneChanged(at=bench.now, phone="PJSIP/ann", state=PhoneState.UNREACHABLE))
    assert none_of(CallOffered, bench.queue_call("c1"))
    back = bench.tell(PhoneChanged(at=bench.now, phone="PJSIP/ann", state=PhoneState.FREE))
    assert only(CallOffered, back).agent == ANN


def test_a_lost_browser_makes_not_ready_and_leaves_the_talk_alone() -> None:
    """ConsoleLost: not ready (connection); a talk in progress is not touched."""
    bench = Bench().start(ANN)
    bench.answer(only(CallOffered, bench.queue_call("c1")))
    orders = bench.tell(ConsoleLost(at=bench.now, agent=ANN, session=SessionId("s")))
    assert only(AgentNotReady, orders).reason == "connection"
    assert none_of(EndLeg, orders)
    assert agent(bench, ANN).activity is Activity.TALKING


def test_nothing_is_offered_while_the_pbx_is_away() -> None:
    """Without the PBX no phone can ring, so nobody is asked; afterwards the waiting are."""
    bench = Bench().start(ANN)
    bench.tell(PbxLost(at=bench.now, why="cut"))
    assert none_of(CallOffered, bench.queue_call("c1"))
    assert only(CallOffered, bench.tell(PbxSynced(at=bench.now, calls=(CallId("c1"),)))).call == "c1"


def test_what_the_pbx_does_not_know_is_over() -> None:
    """After a restart of the PBX the waiting are abandoned, talks end, offers are taken back."""
    bench = Bench().start(ANN, BOB)
    bench.answer(only(CallOffered, bench.queue_call("c1")))
    bench.ring(only(CallOffered, bench.queue_call("c2")))
    bench.queue_call("c3")
    orders = bench.tell(PbxSynced(at=bench.now, calls=(), restarted=True))
    assert {one.call for one in orders if isinstance(one, CallAbandoned)} == {"c2", "c3"}
    assert only(WrapUpStarted, orders).call == "c1"
    assert only(OfferEnded, orders).outcome is OfferOutcome.RESCINDED
    assert bench.machine.picture(bench.now).waiting == ()


def test_a_caller_left_to_the_failsafe_queue_is_asked_of_nobody() -> None:
    """CallFailedSafe takes the contact off our line without calling it abandoned."""
    bench = Bench().start()
    bench.queue_call("c1")
    orders = bench.tell(CallFailedSafe(at=bench.now, call=CallId("c1")))
    assert none_of(CallAbandoned, orders)
    assert bench.machine.picture(bench.now).waiting == ()


def test_queued_twice_is_queued_once() -> None:
    """The same CallQueued again (or inferred after a restart) keeps the first place."""
    bench = Bench().start()
    bench.queue_call("c1")
    since = bench.now
    bench.pass_time(40.0)
    bench.tell(CallQueued(at=bench.now, inferred=True, call=CallId("c1"), queue=SALES, channel="x", language="en"))
    assert [line.since for line in bench.machine.picture(bench.now).waiting] == [since]


def test_the_floor_is_taken_up_after_a_crash() -> None:
    """Kept agents and waiting contacts come back in their order; a talk that ended meanwhile becomes a wrap-up."""
    bench = Bench().start(ANN, BOB)
    bench.answer(only(CallOffered, bench.queue_call("c1")))
    offered = only(CallOffered, bench.queue_call("c2"))
    bench.ring(offered)
    bench.pass_time(1.0)
    bench.queue_call("c3")
    floor = bench.machine.floor
    kept: list[Waiting] = list(floor.waiting.values())
    again = Bench()
    again.now = bench.now + 5.0
    again.machine.restore([one.line() for one in floor.agents.values()], kept, again.now)
    assert [line.call for line in again.machine.picture(again.now).waiting] == ["c2", "c3"]
    calls = (CallId("c1"), CallId("c2"), CallId("c3"))
    again.tell(LegRinging(at=again.now, inferred=True, call=CallId("c2"), leg=leg_of_offer(offered.offer)))
    orders = again.tell(PbxSynced(at=again.now, calls=calls, talking=()))
    assert only(WrapUpStarted, orders).call == "c1"
    assert only(OfferEnded, again.leg_ends(offered.offer, "c2", cause=17)).offer == offered.offer


def test_counts_turn_at_midnight() -> None:
    """Offered, answered and abandoned are counted per UTC day."""
    bench = Bench().start()
    bench.queue_call("c1")
    bench.tell(CallEnded(at=bench.now, call=CallId("c1"), ended_by=EndedBy.CALLER))
    sales = bench.machine.picture(bench.now).queues[0]
    assert (sales.offered, sales.abandoned) == (1, 1)
    bench.pass_time(86400.0)
    bench.queue_call("c2")
    sales = bench.machine.picture(bench.now).queues[0]
    assert (sales.offered, sales.abandoned, sales.waiting) == (1, 0, 1)
