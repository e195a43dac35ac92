"""Who is calling: every kind of knowledge, the reasons given, and what must hold for any of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.caller import MatchKind
from cti.ids import CustomerId
from customers.match import Found, Known, Pick, Proof, Reading, match

ANN, BOB, EVE = CustomerId("ann"), CustomerId("bob"), CustomerId("eve")


def found(customer: CustomerId, reading: Reading = Reading.WHOLE, open_case: str = "") -> Found:
    return Found(customer, customer.title(), "gold", reading, open_case)


def test_withheld_is_nobody() -> None:
    """A withheld number matches nobody."""
    assert match(Known(is_withheld=True)) == (MatchKind.WITHHELD, ())


def test_unknown_is_nobody() -> None:
    """A number nobody has matches nobody."""
    assert match(Known(is_withheld=False)) == (MatchKind.UNKNOWN, ())


def test_the_only_one_with_the_number() -> None:
    """Exactly one customer with the whole number is known, and the reason says so."""
    kind, (ann,) = match(Known(False, (found(ANN),)))
    assert (kind, ann.customer, ann.reason) == (MatchKind.KNOWN, ANN, "only customer with this number")
    assert ann.confidence >= 0.9


@pytest.mark.parametrize("reading", [Reading.NATIONAL, Reading.LAST_NINE])
def test_less_than_the_whole_number_is_likely(reading: Reading) -> None:
    """A match by the national form or the last nine digits is likely, with less confidence than the whole number."""
    kind, (ann,) = match(Known(False, (found(ANN, reading),)))
    _, (whole,) = match(Known(False, (found(ANN),)))
    assert kind is MatchKind.LIKELY
    assert ann.confidence < whole.confidence


def test_a_stronger_reading_silences_the_weaker() -> None:
    """Who has only the same last digits is no candidate while somebody has the whole number."""
    kind, candidates = match(Known(False, (found(BOB, Reading.LAST_NINE), found(ANN))))
    assert (kind, [one.customer for one in candidates]) == (MatchKind.KNOWN, [ANN])


def test_a_household_is_shared() -> None:
    """Several customers with one number are a kind of their own, ranked by what speaks for each."""
    calls = {BOB: 6}
    kind, candidates = match(Known(False, (found(ANN, open_case="Router broken"), found(BOB), found(EVE)), calls))
    assert kind is MatchKind.SHARED
    assert [one.customer for one in candidates] == [BOB, ANN, EVE]
    assert candidates[0].reason == "called from this number 6 times; has this number"
    assert candidates[1].reason == "open case: Router broken; has this number"
    assert all(one.confidence < 0.8 for one in candidates)


def test_one_call_is_one_time() -> None:
    """The reason is written as a person would say it."""
    _, (ann,) = match(Known(False, (found(ANN),), {ANN: 1}))
    assert ann.reason == "called from this number 1 time; only customer with this number"


def test_a_pick_is_remembered() -> None:
    """A shared number for which agents always chose the same customer is likely that customer, and says why."""
    kind, candidates = match(Known(False, (found(ANN), found(BOB)), {ANN: 9}, {BOB: Pick(2, 50.0)}))
    assert kind is MatchKind.LIKELY
    assert candidates[0].customer == BOB
    assert "chosen by an agent last time" in candidates[0].reason


def test_picks_that_differ_leave_it_shared() -> None:
    """Where agents chose now one and now another, the number stays shared and the latest pick is named."""
    picks = {ANN: Pick(1, 10.0), BOB: Pick(1, 20.0)}
    kind, candidates = match(Known(False, (found(ANN), found(BOB)), {}, picks))
    assert kind is MatchKind.SHARED
    reasons = {one.customer: one.reason for one in candidates}
    assert "chosen by an agent before" in reasons[ANN]
    assert "chosen by an agent last time" in reasons[BOB]


def test_a_proof_beats_the_number() -> None:
    """Who gave an account number is known, first and certain; the others stay on the list to choose from."""
    proof = Proof(found(EVE), "gave account number")
    kind, candidates = match(Known(False, (found(ANN), found(BOB)), proof=proof))
    assert kind is MatchKind.KNOWN
    assert (candidates[0].customer, candidates[0].confidence, candidates[0].reason) == (EVE, 1.0, "gave account number")
    assert {one.customer for one in candidates[1:]} == {ANN, BOB}
    assert match(Known(True, proof=proof))[0] is MatchKind.KNOWN


def test_none_of_them() -> None:
    """When the agent says it is none of them, nobody is shown."""
    assert match(Known(False, (found(ANN),), is_nobody=True)) == (MatchKind.UNKNOWN, ())


customers = st.sampled_from([ANN, BOB, EVE, CustomerId("joe")])
knowns = st.builds(
    Known,
    is_withheld=st.booleans(),
    found=st.lists(
        st.builds(Found, customers, st.text(max_size=5), st.just(""), st.sampled_from(Reading), st.text(max_size=5)),
        max_size=8,
    ).map(tuple),
    calls=st.dictionaries(customers, st.integers(-1, 500)),
    picks=st.dictionaries(customers, st.builds(Pick, st.integers(0, 9), st.floats(0, 1e9))),
    proof=st.none() | st.builds(Proof, customers.map(found), st.just("gave account number")),
    is_nobody=st.booleans(),
)


@given(knowns)
def test_what_holds_for_every_match(known: Known) -> None:
    """Best first, each once, each with a reason, sure only with proof; nobody for nobody's number."""
    kind, candidates = match(known)
    confidences = [one.confidence for one in candidates]
    assert confidences == sorted(confidences, reverse=True)
    assert all(0 <= confidence <= 1 for confidence in confidences)
    assert len({one.customer for one in candidates}) == len(candidates)
    assert all(one.reason for one in candidates)
    assert (1.0 in confidences) == (known.proof is not None)
    assert (not candidates) == (kind in (MatchKind.UNKNOWN, MatchKind.WITHHELD))
    if kind is MatchKind.SHARED:
        assert len(candidates) > 1
    assert {one.customer for one in candidates} <= {one.customer for one in known.found} | (
        {known.proof.found.customer} if known.proof else set()
    )
