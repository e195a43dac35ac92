"""What the distributor makes of what it finds after a cut, a restart or a stop of our own."""

from acd.offer import LATE_S
from acd.orders import EndLeg
from acd.queue import Waiting
from cti.events import (
    AgentNotReady,
    AgentReady,
    CallAbandoned,
    CallConnected,
    CallEnded,
    CallFailedSafe,
    CallOffered,
    EndedBy,
    LegAnswered,
    LegEnded,
    LegRinging,
    OfferAccepted,
    OfferEnded,
    OfferOutcome,
    PbxLost,
    PbxSynced,
    WrapUpStarted,
)
from cti.floor import Activity, Availability
from cti.ids import AgentId, CallId, LegId, OfferId, leg_of_offer
from tests.acd.floor import ANN, BOB, CAT, Bench, none_of, only

C1, C2 = CallId("c1"), CallId("c2")


def connected(bench: Bench, offer: OfferId, call: CallId = C1) -> CallConnected:
    """The caller and the leg of this offer are in one bridge."""
    return CallConnected(at=bench.now, call=call, leg=LegId(call), peer=leg_of_offer(offer))


def activity(bench: Bench, agent: AgentId) -> Activity:
    """What is happening to her."""
    return bench.machine.floor.agents[agent].activity


def test_while_the_pbx_is_out_of_sight_no_offer_lapses() -> None:
    """She may have picked up: nobody is blamed and nothing hung up until the PBX says; then they talk."""
    bench = Bench().start(ANN, BOB)
    offered = only(CallOffered, bench.queue_call("c1"))
    bench.ring(offered)
    bench.tell(PbxLost(at=bench.now, why="cut"))
    assert none_of(OfferEnded, bench.pass_time(120.0))
    accepted = only(OfferAccepted, bench.tell(connected(bench, offered.offer)))
    assert (accepted.agent, accepted.offer) == (ANN, offered.offer)
    assert none_of(CallOffered, bench.tell(PbxSynced(at=bench.now, calls=(C1,), talking=(C1,))))


def test_a_phone_that_rang_through_the_cut_lapses_soon_after() -> None:
    """The offer outlives the cut, not its time."""
    bench = Bench().start(ANN)
    bench.ring(only(CallOffered, bench.queue_call("c1")))
    bench.tell(PbxLost(at=bench.now, why="cut"))
    bench.pass_time(60.0)
    bench.tell(PbxSynced(at=bench.now, calls=(C1,)))
    assert only(OfferEnded, bench.pass_time(1.0)).outcome is OfferOutcome.LAPSED


def test_after_a_stop_of_our_own_the_pbx_is_heard_first() -> None:
    """A process that was frozen finds deadlines long past; what it missed may say that she picked up."""
    bench = Bench().start(ANN)
    offered = only(CallOffered, bench.queue_call("c1"))
    bench.ring(offered)
    bench.now += 20.0 + LATE_S + 5.0
    assert none_of(OfferEnded, bench.machine.wake(bench.now))
    assert only(OfferAccepted, bench.tell(connected(bench, offered.offer))).offer == offered.offer


def test_a_leg_that_went_unseen_blames_nobody() -> None:
    """A leg missing from the list after a cut went for a reason nobody knows: she stays ready."""
    bench = Bench().start(ANN)
    offered = only(CallOffered, bench.queue_call("c1"))
    bench.ring(offered)
    bench.tell(PbxLost(at=bench.now, why="cut"))
    gone = LegEnded(at=bench.now, inferred=True, call=C1, leg=leg_of_offer(offered.offer))
    orders = bench.tell(gone)
    assert only(OfferEnded, orders).outcome is OfferOutcome.FAILED
    assert none_of(AgentNotReady, orders)


def test_a_talk_that_no_living_offer_led_to_is_hers_all_the_same() -> None:
    """Our order was thought lost and came through: the caller is asked of nobody else, and she is talking, then writes up."""
    bench = Bench().start(ANN, BOB)
    first = only(CallOffered, bench.queue_call("c1"))
    bench.ring(first)
    second = only(CallOffered, bench.leg_ends(first.offer, "c1", cause=0, why="LINK") + sync(bench, C1))
    orders = bench.tell(connected(bench, first.offer))
    assert only(OfferEnded, orders).offer == second.offer
    assert only(OfferAccepted, orders).agent == first.agent
    assert activity(bench, first.agent) is Activity.TALKING
    assert none_of(OfferAccepted, bench.tell(connected(bench, first.offer)))
    bench.caller_hangs_up("c1")
    assert activity(bench, first.agent) is Activity.WRAP_UP


def sync(bench: Bench, *calls: CallId) -> list[object]:
    """The PBX's list has been read."""
    return list(bench.tell(PbxSynced(at=bench.now, calls=calls)))


def test_she_is_taken_off_what_she_was_thought_to_do() -> None:
    """Found talking with one caller while the phone was to ring for another: that one goes to somebody else."""
    bench = Bench().start(ANN)
    lost = only(CallOffered, bench.queue_call("c1"))
    bench.ring(lost)
    bench.leg_ends(lost.offer, "c1", cause=0, why="LINK")
    bench.caller_hangs_up("c2")
    bench.queue_call("c2", priority=9)
    other = only(CallOffered, bench.tell(PbxSynced(at=bench.now, calls=(C1, C2))))
    assert other.call == C2
    orders = bench.tell(connected(bench, lost.offer))
    assert only(OfferEnded, orders).offer == other.offer
    assert only(OfferAccepted, orders).call == C1
    assert [line.call for line in bench.machine.picture(bench.now).waiting] == [C2]


def test_she_did_pick_up() -> None:
    """The offer lapsed before anybody knew that the link was cut; she had picked up, so she is ready again."""
    bench = Bench().start(ANN, BOB)
    offered = only(CallOffered, bench.queue_call("c1"))
    bench.ring(offered)
    assert only(AgentNotReady, bench.pass_time(20.5)).reason == "rona"
    orders = bench.tell(connected(bench, offered.offer))
    assert only(AgentReady, orders).agent == only(OfferAccepted, orders).agent == ANN
    assert bench.machine.floor.agents[BOB].is_free


def test_a_caller_who_talks_to_a_stranger_is_asked_of_nobody() -> None:
    """Somebody of whom we know nothing took the call: offering it would cut their talk."""
    bench = Bench().start()
    bench.queue_call("c1")
    bench.tell(CallConnected(at=bench.now, call=C1, leg=LegId("c1"), peer=LegId("1.99")))
    assert bench.machine.picture(bench.now).waiting == ()
    assert none_of(CallAbandoned, bench.caller_hangs_up("c1"))


def test_a_phone_that_rings_for_an_offer_that_is_over_is_stopped() -> None:
    """An order that came through late makes a phone ring for nothing."""
    bench = Bench().start(ANN)
    offered = only(CallOffered, bench.queue_call("c1"))
    bench.paint(offered)
    bench.leg_ends(offered.offer, "c1", cause=0, why="LINK")
    leg = leg_of_offer(offered.offer)
    assert only(EndLeg, bench.tell(LegRinging(at=bench.now, call=C1, leg=leg))).leg == leg


def test_a_late_ring_never_ends_a_talk() -> None:
    """LegRinging told twice, the second time when they talk."""
    bench = Bench().start(ANN)
    offered = only(CallOffered, bench.queue_call("c1"))
    bench.answer(offered)
    assert none_of(EndLeg, bench.tell(LegRinging(at=bench.now, call=C1, leg=leg_of_offer(offered.offer))))


def test_a_phone_may_be_picked_up_for_a_caller_in_the_failsafe() -> None:
    """Left to the PBX's queue while her phone rings: it rings on, she picks up, they talk."""
    bench = Bench().start(ANN, BOB)
    offered = only(CallOffered, bench.queue_call("c1"))
    bench.ring(offered)
    orders = bench.tell(CallFailedSafe(at=bench.now, call=C1))
    assert none_of(OfferEnded, orders)
    bench.tell(LegAnswered(at=bench.now, call=C1, leg=leg_of_offer(offered.offer)))
    assert only(OfferAccepted, bench.tell(connected(bench, offered.offer))).agent == ANN
    assert only(WrapUpStarted, bench.caller_hangs_up("c1")).agent == ANN


def test_a_caller_in_the_failsafe_is_not_offered_again() -> None:
    """Nobody picked up: the PBX's queue has the caller, not we; leaving it is no abandonment of ours."""
    bench = Bench().start(ANN, BOB)
    bench.ring(only(CallOffered, bench.queue_call("c1")))
    bench.tell(CallFailedSafe(at=bench.now, call=C1))
    orders = bench.pass_time(25.0)
    assert only(OfferEnded, orders).outcome is OfferOutcome.LAPSED
    assert none_of(CallOffered, orders)
    assert bench.machine.picture(bench.now).waiting == ()
    gone = CallEnded(at=bench.now, call=C1, ended_by=EndedBy.CALLER)
    assert none_of(CallAbandoned, bench.tell(gone))


def test_an_offer_whose_phone_is_gone_after_a_restart_is_taken_back_without_blame() -> None:
    """Kept as ringing, and the PBX's list has no such leg: she is free again and the caller is offered at once."""
    bench = Bench().start(ANN)
    offered = only(CallOffered, bench.queue_call("c1"))
    bench.ring(offered)
    floor = bench.machine.floor
    kept: list[Waiting] = list(floor.waiting.values())
    again = Bench()
    again.now = bench.now + 5.0
    again.machine.restore([one.line() for one in floor.agents.values()], kept, again.now)
    orders = again.tell(PbxSynced(at=again.now, calls=(C1,)))
    assert only(OfferEnded, orders).outcome is OfferOutcome.FAILED
    assert only(CallOffered, orders).agent == ANN
    assert again.machine.floor.agents[ANN].availability is Availability.READY


def test_a_signed_out_agent_is_never_said_to_talk() -> None:
    """A leg named after somebody who is not here: the caller is left alone, her line stays empty."""
    bench = Bench().start(ANN)
    offered = only(CallOffered, bench.queue_call("c1"))
    bench.ring(offered)
    bench.leg_ends(offered.offer, "c1", cause=0, why="LINK")
    bench.tell(connected(bench, OfferId(f"c1-{CAT}-7")))
    assert activity(bench, CAT) is Activity.IDLE
    assert bench.machine.picture(bench.now).waiting == ()
