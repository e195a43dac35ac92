"""The referee: missing, double and wrong contacts are found, and right ones are not accused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.voc.record import CALLS, TRUNK, Record, abandoned, answered, check_call, ivr_only
from voc.backfill import CelLedger
from voc.cel import CelLines
from voc.contact import contact_of
from voc.referee import Claim, Verdict, WrongOutcome, judge

T = 1_800_000_000.0
RECORDED = Path(__file__).parent / "recorded_cel.csv"


def verdict_on(record: Record, *claims: Claim) -> Verdict:
    return judge(record.rows, claims, TRUNK)


@given(st.lists(st.sampled_from(sorted(CALLS)), max_size=6))
def test_true_contacts_are_clean(outcomes: list[str]) -> None:
    """Every kind of call, each with its contact: nothing to complain of, and the counts by outcome are right."""
    record = Record()
    for number, outcome in enumerate(outcomes):
        CALLS[outcome](record, f"{number}.1", T + number)
    check_call(record, "99.9", T)
    verdict = verdict_on(record, *(Claim(f"{number}.1", outcome) for number, outcome in enumerate(outcomes)))
    assert (verdict.is_clean, verdict.linkedids) == (True, len(outcomes))
    assert verdict.outcomes == {outcome: outcomes.count(outcome) for outcome in outcomes}


@given(st.lists(st.sampled_from(sorted(CALLS)), min_size=1, max_size=6))
def test_referee_and_backfill_agree_though_they_read_differently(outcomes: list[str]) -> None:
    """What the backfill concludes from a record, the referee finds right."""
    record, ledger = Record(), CelLedger(TRUNK)
    for number, outcome in enumerate(outcomes):
        CALLS[outcome](record, f"{number}.1", T + number)
    for row in record.rows:
        ledger.receive(row)
    found = [contact_of(call.call, call.facts()) for call in ledger.ended(float("inf"))]
    assert verdict_on(record, *(Claim(contact.call, contact.outcome.value) for contact in found)).is_clean


def test_a_real_record_is_judged() -> None:
    """Two answered calls through Asterisk 22; the agent's own linkedid is nobody's contact."""
    rows = list(CelLines().feed(RECORDED.read_bytes()))
    verdict = judge(rows, [Claim("1795330897.0", "answered")], TRUNK)
    assert (verdict.linkedids, verdict.missing_contacts) == (2, ("1795330904.5",))
    assert verdict.outcomes == {"answered": 2}


def test_a_missing_contact_is_named() -> None:
    """A call without a contact."""
    record = Record()
    abandoned(record, "1.1", T)
    assert verdict_on(record).missing_contacts == ("1.1",)


def test_a_contact_of_an_agents_leg_or_a_check_call_is_one_too_many() -> None:
    """The call has its contact; its agent's leg must not have one, nor the doctor's call."""
    record = Record()
    answered(record, "1.1", T)
    check_call(record, "5.5", T)
    leg = next(row.linkedid for row in record.rows if row.linkedid.startswith("offhook-1.1-ann"))
    verdict = verdict_on(record, Claim("1.1", "answered"), Claim(leg, "ivr_only"), Claim("5.5", "ivr_only"))
    assert set(verdict.duplicate_contacts) == {leg, "5.5"}


@pytest.mark.parametrize("said", ["open", "ivr_only", "answered", "failsafe"])
def test_a_wrong_outcome_is_named_with_the_right_one(said: str) -> None:
    """The record's word counts."""
    record = Record()
    abandoned(record, "1.1", T)
    assert verdict_on(record, Claim("1.1", said)).wrong_outcomes == (WrongOutcome("1.1", said, "abandoned"),)


def test_a_caller_who_leaves_in_the_instant_of_being_queued_is_no_mistake() -> None:
    """We had queued him, the dialplan never got there: both are true within a second, not after."""
    record = Record()
    ivr_only(record, "1.1", T)
    assert verdict_on(record, Claim("1.1", "abandoned", 0.02)).is_clean
    assert not verdict_on(record, Claim("1.1", "abandoned", 4.0)).is_clean


def test_calls_still_up_and_calls_from_before_do_not_count() -> None:
    """No end, no judgement; nor for what began before the given instant."""
    record = Record()
    abandoned(record, "1.1", T)
    record.arrive("2.2", T + 50)
    assert judge(record.rows, [], TRUNK, since=T + 10) == Verdict(0, (), (), ())
