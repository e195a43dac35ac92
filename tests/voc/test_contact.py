"""The contact: what a call's Facts add up to."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.caller import MatchKind
from cti.events import (
    CallArrived,
    CallConnected,
    CallEnded,
    CallerIdentified,
    CallFact,
    CallFailedSafe,
    CallQueued,
    ContactOutcome,
    EndedBy,
    OfferEnded,
    OfferOutcome,
    WrapUpEnd,
    WrapUpEnded,
)
from cti.ids import CustomerId, LegId, QueueId, leg_of_offer
from cti.pop import IvrAnswer
from cti.wire import fact_from_json, to_json
from tests.voc.life import (
    ANI,
    ANN,
    BOB,
    CALL,
    SALES,
    T,
    abandoned_call,
    answered_call,
    arrived,
    ended,
    in_the_menu,
    lives,
    matched,
    offered,
    queued,
    talk,
    wrap_up,
)
from voc.contact import AUTO_TIMEOUT, contact_of


def test_an_answered_call_is_remembered_in_full() -> None:
    """Numbers, customer, answers, queue, waits, offers, talk, hold, wrap-up, disposition and note are all there."""
    contact = contact_of(CALL, answered_call())
    assert (contact.outcome, contact.ended_by) == (ContactOutcome.ANSWERED, EndedBy.AGENT)
    assert (contact.ani, contact.ani_e164, contact.dnis, contact.caller_name) == (ANI, ANI, "1000", "Cal")
    assert (contact.match, contact.customer) == (MatchKind.KNOWN, CustomerId("C1"))
    assert (contact.flow, contact.flow_version, contact.answers) == ("default", "abc", (IvrAnswer("topic", "sales"),))
    assert (contact.queue, contact.language, contact.reason) == (SALES, "en", "order")
    assert (contact.arrived_at, contact.queued_at, contact.answered_at) == (T, T + 8, T + 33)
    assert contact.waited_s == pytest.approx(25)
    assert contact.talk_s == pytest.approx(60)
    assert contact.hold_s == pytest.approx(10)
    assert contact.wrap_up_s == pytest.approx(15)
    assert (contact.disposition, contact.note, contact.agents) == ("sale", "wants a red one", (ANN,))


def test_every_offer_says_why_and_how_it_ended() -> None:
    """Who was offered the contact, why, when her phone rang, and what came of it."""
    bob, ann = contact_of(CALL, answered_call()).offers
    assert (bob.agent, bob.outcome, bob.ended_at, bob.ended_why) == (BOB, "lapsed", T + 29, "not picked up")
    assert (ann.agent, ann.outcome, ann.why, ann.queue) == (ANN, "accepted", "longest idle", SALES)
    assert ann.ringing_at == pytest.approx(T + 30.1)


@pytest.mark.parametrize(
    ("facts", "outcome"),
    [
        (in_the_menu(), ContactOutcome.OPEN),
        ([*in_the_menu(), ended(T + 6)], ContactOutcome.IVR_ONLY),
        (abandoned_call(), ContactOutcome.ABANDONED),
        ([*in_the_menu(), queued(), CallFailedSafe(at=T + 9, call=CALL), ended(T + 50)], ContactOutcome.FAILSAFE),
        ([*in_the_menu(), queued(), ended(T + 9, EndedBy.PBX_RESTART)], ContactOutcome.PBX_RESTART),
        ([*in_the_menu(), queued(), *talk(ANN, T + 9, 5), ended(T + 20)], ContactOutcome.ANSWERED),
    ],
)
def test_the_outcome_is_the_furthest_the_call_came(facts: list[CallFact], outcome: ContactOutcome) -> None:
    """Talked, left to the failsafe, left waiting, or never queued; open until the caller is gone."""
    assert contact_of(CALL, facts).outcome is outcome


def test_a_wait_ends_where_the_caller_leaves() -> None:
    """An abandoned caller waited from the queue to the hang-up."""
    assert contact_of(CALL, abandoned_call()).waited_s == pytest.approx(17)


def test_a_wrap_up_that_ran_out_is_auto_timeout() -> None:
    """The timer's wrap-up has a disposition of its own, and the note that was there."""
    out = WrapUpEnded(at=T + 99, call=CALL, agent=ANN, how=WrapUpEnd.TIMED_OUT, note="half a th")
    contact = contact_of(CALL, [*answered_call()[:-1], out])
    assert (contact.disposition, contact.note) == (AUTO_TIMEOUT, "half a th")


def test_who_it_is_follows_the_last_word() -> None:
    """A proof overrules a shared number; an agent's "none of them" leaves nobody."""
    shared = matched(kind=MatchKind.SHARED)
    proof = CallerIdentified(at=T + 6, call=CALL, customer=CustomerId("C9"), by="account number")
    assert contact_of(CALL, [arrived(), shared]).customer is None
    assert contact_of(CALL, [arrived(), shared, proof]).customer == "C9"
    assert contact_of(CALL, [arrived(), shared, proof, matched(T + 7, kind=MatchKind.UNKNOWN)]).customer is None


def test_what_was_seen_is_not_overruled_by_what_was_concluded() -> None:
    """Facts from Asterisk's own record fill gaps; numbers, queue and end that were seen stay."""
    later: list[CallFact] = [
        replace(arrived(T - 0.2), inferred=True, ani="999"),
        CallQueued(at=T + 7.9, inferred=True, call=CALL, queue=QueueId(""), channel="x", language=""),
        CallEnded(at=T + 24.9, inferred=True, call=CALL, ended_by=EndedBy.UNKNOWN),
    ]
    seen = contact_of(CALL, abandoned_call())
    assert contact_of(CALL, [*abandoned_call(), *later]) == seen


def test_a_talk_known_only_from_the_record_is_a_talk() -> None:
    """A call whose middle was missed is answered, with the record's talk time."""
    leg = LegId(f"offhook-{CALL}-ann-1800000010000")
    missed: list[CallFact] = [
        CallConnected(at=T + 20, inferred=True, call=CALL, leg=LegId(CALL), peer=leg),
        CallEnded(at=T + 30, inferred=True, call=CALL, ended_by=EndedBy.CALLER),
    ]
    contact = contact_of(CALL, [*in_the_menu(), queued(), *missed])
    assert (contact.outcome, contact.talk_s, contact.agents) == (ContactOutcome.ANSWERED, 10, (ANN,))


def test_whoever_talked_has_accepted() -> None:
    """We died while her phone rang; that she picked up is only in the record, and what we concluded first is put right."""
    offer, rings = offered(ANN, T + 20)
    gone = OfferEnded(
        at=T + 60, call=CALL, offer=offer, agent=ANN, outcome=OfferOutcome.RESCINDED, why="the call is gone"
    )
    told = CallConnected(at=T + 23, inferred=True, call=CALL, leg=LegId(CALL), peer=leg_of_offer(offer))
    contact = contact_of(CALL, [*in_the_menu(), queued(), *rings, gone, told, replace(ended(T + 40), inferred=True)])
    (line,) = contact.offers
    assert (line.agent, line.outcome, line.ended_at, line.ended_why) == (ANN, "accepted", T + 23, "")
    assert contact.agents == (ANN,)


@given(lives(), st.data())
def test_order_and_repetition_change_nothing(facts: list[CallFact], data: st.DataObject) -> None:
    """The same Facts in any order and any of them twice are the same contact: when they happened is in them."""
    again = data.draw(st.lists(st.sampled_from(facts), max_size=10))
    shuffled = data.draw(st.permutations([*facts, *again]))
    assert contact_of(CALL, shuffled) == contact_of(CALL, facts)


@given(lives())
def test_the_kept_steps_give_the_contact_again(facts: list[CallFact]) -> None:
    """Steps written as JSON and read back add up to the same contact."""
    replayed = [fact_from_json(to_json(fact)) for fact in facts]
    assert contact_of(CALL, [fact for fact in replayed if isinstance(fact, CallFact)]) == contact_of(CALL, facts)


@given(lives(), st.data())
def test_figures_are_sane_however_much_is_missing(facts: list[CallFact], data: st.DataObject) -> None:
    """Whatever part of the Facts got lost, no duration is negative, and only an end ends the contact."""
    left = data.draw(st.lists(st.sampled_from(facts), unique=True))
    contact = contact_of(CALL, left)
    assert min(contact.waited_s, contact.talk_s, contact.hold_s, contact.wrap_up_s) >= 0
    assert (contact.outcome is ContactOutcome.OPEN) == (not any(isinstance(fact, CallEnded) for fact in left))


def test_a_contact_of_two_agents_remembers_both() -> None:
    """After a second talk both agents are there, in order, and the talks add up."""
    facts = [arrived(), queued(), *talk(ANN, T + 10, 20), *talk(BOB, T + 40, 5), ended(T + 60)]
    contact = contact_of(CALL, [*facts, *wrap_up(ANN, T + 61, 2), *wrap_up(BOB, T + 61, 3)])
    assert (contact.agents, contact.wrap_up_s) == ((ANN, BOB), pytest.approx(5))
    assert contact.talk_s == pytest.approx(25)


def test_an_arrival_that_was_seen_wins_over_one_concluded_before() -> None:
    """After a restart the call is told as inferred; the real arrival decides."""
    inferred = CallArrived(
        at=T, inferred=True, call=CALL, leg=LegId(CALL), channel="c", ani="1", caller_name="", dnis="2"
    )
    assert contact_of(CALL, [inferred, arrived(T + 1)]).dnis == "1000"
