"""The history being written: what is kept, and when a contact is complete."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cti.events import (
    CallConnected,
    CallFact,
    CallMerged,
    CallParted,
    ContactOutcome,
    EndedBy,
    PbxSynced,
    WrapUpEnd,
    WrapUpEnded,
)
from cti.ids import CallId, LegId, leg_of_offer, offer_id
from cti.requests import Draft
from tests.voc.life import (
    ANN,
    CALL,
    T,
    abandoned_call,
    answered_call,
    arrived,
    ended,
    in_the_menu,
    lives,
    offered,
    queued,
    talk,
)
from voc.contact import Contact, contact_of
from voc.history import (
    LINGER_S,
    MAX_EARLY_CALLS,
    MAX_STEPS,
    RECORD_DUE_S,
    WRAP_UP_DUE_S,
    WRAP_UP_GRACE_S,
    CloseContact,
    History,
    KeepContact,
    KeepLinkedid,
    KeepStep,
    MergeContact,
    Order,
)

OLDER = CallId("1700000000.1")


def tell(history: History, facts: list[CallFact]) -> list[Order]:
    return [order for fact in facts for order in history.receive(fact, fact.at)]


def closed(orders: list[Order]) -> list[Contact]:
    return [order.contact for order in orders if isinstance(order, CloseContact)]


def steps(orders: list[Order]) -> list[KeepStep]:
    return [order for order in orders if isinstance(order, KeepStep)]


def test_a_call_is_kept_from_its_first_ring() -> None:
    """The arrival alone gives a row and a step, so a daemon that dies then leaves an open contact."""
    orders = History().receive(arrived(), T)
    kept = [order.contact for order in orders if isinstance(order, KeepContact)]
    assert [contact.outcome for contact in kept] == [ContactOutcome.OPEN]
    assert [(step.call, step.seq) for step in steps(orders)] == [(CALL, 0)]
    assert KeepLinkedid(CALL, CALL) in orders


def test_every_leg_of_an_agent_leads_to_the_call() -> None:
    """The linkedid under which an agent's phone rings is written down with the offer."""
    orders = tell(History(), answered_call())
    legs = {order.linkedid for order in orders if isinstance(order, KeepLinkedid)}
    assert leg_of_offer(offer_id(CALL, ANN, T + 30)) in legs


def test_an_abandoned_call_closes_after_the_rooms_have_spoken() -> None:
    """The contact closes a moment after the hang-up, with what acd said of it meanwhile."""
    history = History()
    tell(history, abandoned_call())
    assert closed(history.wake(T + 25 + LINGER_S - 0.01)) == []
    assert history.next_wake() == T + 25 + LINGER_S
    (contact,) = closed(history.wake(T + 25 + LINGER_S))
    assert (contact.outcome, contact.offers[0].outcome) == (ContactOutcome.ABANDONED, "rescinded")
    assert history.picture().open == ()


def test_a_contact_waits_for_its_wrap_up() -> None:
    """While the agent writes, the contact stays open; when she is done, it closes with what she wrote."""
    history, facts = History(), answered_call()
    tell(history, facts[:-1])
    assert closed(history.wake(T + 93.2 + 59)) == []
    history.receive(facts[-1], facts[-1].at)
    (contact,) = closed(history.wake(facts[-1].at + LINGER_S))
    assert (contact.disposition, contact.note) == ("sale", "wants a red one")


def test_an_agent_who_talked_is_given_time_to_begin_her_wrap_up() -> None:
    """Between the hang-up and the wrap-up the contact does not slip away; without a wrap-up it closes."""
    history = History()
    tell(history, answered_call()[:-2])
    assert closed(history.wake(T + 93.1 + WRAP_UP_DUE_S - 0.1)) == []
    assert len(closed(history.wake(T + 93.1 + WRAP_UP_DUE_S))) == 1


def test_a_wrap_up_nobody_ends_does_not_keep_a_contact_for_ever() -> None:
    """After the wrap-up's own limit and a grace the contact closes."""
    history = History()
    tell(history, answered_call()[:-1])
    assert len(closed(history.wake(T + 93.2 + 60 + WRAP_UP_GRACE_S))) == 1


def test_a_survey_after_the_talk_holds_the_contact_open() -> None:
    """A wrap-up that is over before the caller is gone closes nothing."""
    history, facts = History(), answered_call()
    tell(history, [fact for fact in facts if fact.at != T + 93.1])
    assert history.next_wake() is None
    history.receive(ended(T + 120), T + 120)
    assert len(closed(history.wake(T + 121))) == 1


def test_a_closed_contact_never_opens_again() -> None:
    """Late Facts, the arrival included, are counted and change nothing."""
    history = History()
    tell(history, abandoned_call())
    history.wake(T + 30)
    assert tell(history, abandoned_call()) == []
    assert history.picture().ignored == len(abandoned_call())


def test_facts_before_the_arrival_wait_for_it() -> None:
    """A match told before its call arrived is in the contact all the same."""
    history = History()
    first, match, *rest = in_the_menu()
    assert history.receive(match, T) == []
    kept = steps([*history.receive(first, T), *tell(history, rest)])
    assert {step.fact for step in kept} == set(in_the_menu())


def test_strays_are_bounded() -> None:
    """Facts of calls that never arrive do not pile up."""
    history = History()
    for number in range(MAX_EARLY_CALLS + 50):
        history.receive(ended(T, call=CallId(f"stray.{number}")), T)
    assert history.picture().ignored == 50


def test_a_call_that_says_too_much_still_ends() -> None:
    """Beyond the bound steps are dropped, but the end is heard and the contact closes."""
    history = History()
    history.receive(arrived(), T)
    for number in range(MAX_STEPS + 10):
        history.receive(queued(T + number / 1000), T)
    orders = history.receive(ended(T + 50), T + 50)
    assert len(steps(orders)) == 1
    assert len(closed(history.wake(T + 51))) == 1


def test_a_timed_out_wrap_up_takes_the_drafts_note() -> None:
    """What the agent had typed when the timer ended her wrap-up is the contact's note, also in the step."""
    history = History()
    tell(history, answered_call()[:-1])
    assert history.keep_draft(CALL, ANN, Draft("sale", "half a thought")) == CALL
    out = WrapUpEnded(at=T + 153, call=CALL, agent=ANN, how=WrapUpEnd.TIMED_OUT)
    (step,) = steps(history.receive(out, T + 153))
    assert isinstance(step.fact, WrapUpEnded)
    assert step.fact.note == "half a thought"
    (contact,) = closed(history.wake(T + 154))
    assert (contact.disposition, contact.note) == ("auto-timeout", "half a thought")
    assert history.keep_draft(CALL, ANN, Draft()) is None


def test_a_merged_call_goes_on_under_the_surviving_one() -> None:
    """Two calls that the PBX joined are one contact, with the steps of both; the other's end is not its end."""
    history = History()
    tell(history, [arrived(T - 50, OLDER)])
    tell(history, [*in_the_menu(), queued(), *talk(ANN, T + 9, 5)])
    merged = CallMerged(at=T + 20, call=CALL, into=OLDER)
    orders = history.receive(merged, T + 20)
    assert MergeContact(CALL, OLDER, 1) in orders
    assert history.receive(merged, T + 20) == []
    assert history.receive(ended(T + 20.5, call=CALL), T + 21) == []
    assert history.picture().open == (OLDER,)
    history.receive(ended(T + 40, call=OLDER), T + 40)
    (contact,) = closed(history.wake(T + 44))
    assert (contact.call, contact.outcome, contact.arrived_at) == (OLDER, ContactOutcome.ANSWERED, T - 50)
    assert contact.agents == (ANN,)


def test_facts_told_under_the_old_name_still_count() -> None:
    """A Fact of a merged call belongs to the surviving one."""
    history = History()
    tell(history, [arrived(T - 50, OLDER), arrived(), CallMerged(at=T + 1, call=CALL, into=OLDER)])
    assert [step.call for step in steps(history.receive(queued(), T + 8))] == [OLDER]


def test_a_resync_that_finds_them_talking_counts_as_a_talk() -> None:
    """Who was connected while the link was down is answered, although nobody saw it."""
    history = History()
    tell(history, [*in_the_menu(), queued()])
    history.receive(PbxSynced(at=T + 60, calls=(CALL,), talking=(CALL,)), T + 60)
    history.receive(ended(T + 70), T + 70)
    (contact,) = closed(history.wake(T + 71))
    assert (contact.outcome, contact.talk_s) == (ContactOutcome.ANSWERED, 10)


def test_calls_the_pbx_does_not_know_are_named() -> None:
    """Open calls that are not up are suspects; those that are over are not."""
    history, other = History(), CallId("1800000000.9")
    tell(history, [arrived(), arrived(call=other), arrived(call=OLDER), ended(T + 1, call=OLDER)])
    assert history.not_up(PbxSynced(at=T + 2, calls=(CALL,))) == (other,)
    (contact,) = closed([*history.give_up(other, EndedBy.PBX_RESTART, T + 2, T + 2), *history.wake(T + 3)])[-1:]
    assert contact.outcome in (ContactOutcome.PBX_RESTART, ContactOutcome.IVR_ONLY)


def cut_while_it_rang(history: History) -> None:
    """The link is cut while an agent's phone rings; afterwards the PBX does not know the call any more."""
    tell(history, [*in_the_menu(), queued(), *offered(ANN, T + 20)[1]])
    history.receive(replace(ended(T + 50, EndedBy.UNKNOWN), inferred=True), T + 50)
    history.receive(PbxSynced(at=T + 50, calls=()), T + 50)


def test_a_call_that_ended_in_a_gap_waits_for_the_record() -> None:
    """It was answered and over while the link was cut: the contact closes when the record has told, and is right."""
    history = History(has_record=True)
    cut_while_it_rang(history)
    assert closed(history.wake(T + 60)) == []
    assert history.awaits_record()
    assert not history.is_settled(CALL)
    leg = leg_of_offer(offer_id(CALL, ANN, T + 20))
    told = [
        CallConnected(at=T + 23, inferred=True, call=CALL, leg=LegId(CALL), peer=leg),
        CallParted(at=T + 40, inferred=True, call=CALL, peer=leg),
        replace(ended(T + 40.1, EndedBy.AGENT), inferred=True),
    ]
    history.fill_in(CALL, told, T + 61)
    assert history.is_settled(CALL)
    (contact,) = closed(history.wake(T + 61 + LINGER_S))
    assert (contact.outcome, contact.ended_at, contact.ended_by) == (
        ContactOutcome.ANSWERED,
        T + 40.1,
        EndedBy.AGENT,
    )
    assert round(contact.talk_s) == 17


def test_a_record_that_says_nothing_is_not_waited_for_for_ever() -> None:
    """No row of the call comes: the contact closes with what was seen."""
    history = History(has_record=True)
    cut_while_it_rang(history)
    assert len(closed(history.wake(T + 50 + RECORD_DUE_S))) == 1


def test_without_a_record_nothing_is_waited_for() -> None:
    """Nobody will ever know more."""
    history = History()
    cut_while_it_rang(history)
    assert len(closed(history.wake(T + 50 + LINGER_S))) == 1


def test_a_call_taken_up_after_a_restart_waits_for_the_record() -> None:
    """Seen to end, but not watched before: something may have happened while nobody looked."""
    history = History(has_record=True)
    history.restore(CALL, [*in_the_menu(), queued()], 10, T + 20)
    history.receive(ended(T + 30), T + 30)
    assert closed(history.wake(T + 30 + LINGER_S)) == []
    assert history.awaits_record()


@given(lives(), st.data())
def test_any_order_and_repetition_closes_one_true_contact(facts: list[CallFact], data: st.DataObject) -> None:
    """Duplicates and disorder among one call's Facts: one contact, closed once, the sum of the Facts."""
    told = data.draw(st.permutations([*facts, *data.draw(st.lists(st.sampled_from(facts), max_size=5))]))
    history = History()
    orders = [order for fact in told for order in history.receive(fact, T)]
    orders += history.wake(T + 10_000)
    contacts = closed(orders)
    assert contacts == ([contact_of(CALL, facts)] if contact_of(CALL, facts).is_over else [])
    kept = steps(orders)
    assert [step.seq for step in kept] == list(range(len(facts)))
    assert {step.fact for step in kept} == set(facts)


@given(lives(), st.data())
def test_a_restart_anywhere_gives_the_same_contact(facts: list[CallFact], data: st.DataObject) -> None:
    """Steps taken back from the database and the Facts after the restart add up as if nothing had happened."""
    cut = data.draw(st.integers(1, len(facts)))
    before, after = History(), History()
    kept = steps(tell(before, facts[:cut]))
    after.restore(CALL, [step.fact for step in kept], len(kept), facts[cut - 1].at)
    orders = tell(after, facts[cut:]) + after.wake(T + 10_000)
    whole = contact_of(CALL, facts)
    assert closed(orders) == ([whole] if whole.is_over else [])
    assert [step.seq for step in steps(orders)] == list(range(cut, len(facts)))


def test_a_fact_told_again_after_a_restart_is_no_second_step() -> None:
    """Facts travel at least once; the restored steps know what was heard."""
    history = History()
    history.restore(CALL, in_the_menu(), 5, T)
    assert tell(history, in_the_menu()) == []
    assert history.receive(replace(in_the_menu()[2], at=T + 3), T) != []
