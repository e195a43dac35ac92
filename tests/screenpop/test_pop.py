"""The pop builder: the right record, in time, on the right screen, and gone when it is over."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.caller import Candidate, CustomerProfile, MatchKind, PastContact
from cti.events import (
    AnswerGiven,
    CallArrived,
    CallEnded,
    CallerMatched,
    CallFact,
    CallMerged,
    CallOffered,
    CallQueued,
    EndedBy,
    Fact,
    OfferAccepted,
    OfferEnded,
    OfferOutcome,
    OfferRinging,
    PbxSynced,
    PopChanged,
    WrapUpEnd,
    WrapUpEnded,
    WrapUpStarted,
)
from cti.ids import AgentId, CallId, CustomerId, LegId, OfferId, QueueId, offer_id
from cti.pop import IvrAnswer, Pop, PopPhase
from cti.site import DnisSpec, QueueSpec, Site
from screenpop.lookup import HistoryRead, LookUp, ProfileRead
from screenpop.pop import LOOK_UP_S, WRAP_UP_DUE_S, WRAP_UP_GRACE_S, PopBuilder

T = 1_800_000_000.0
CALL, OTHER = CallId("1800000000.7"), CallId("1800000000.1")
ANN, BOB = AgentId("ann"), AgentId("bob")
SALES = QueueId("sales")
C1, C2 = CustomerId("C1"), CustomerId("C2")
ANI = "+12025550101"
SITE = Site(
    queues=(QueueSpec(queue=SALES, name="Sales", skills=(), dispositions=()),),
    agents=(),
    dnis=(DnisSpec("1000", "Main line"),),
    not_ready_reasons=(),
)
CANDIDATES = {
    C1: Candidate(C1, "Cal One", 0.95, "called from this number 6 times", "gold"),
    C2: Candidate(C2, "Cat Two", 0.5, "open case"),
}


def profile(customer: CustomerId) -> CustomerProfile:
    return CustomerProfile(customer, CANDIDATES[customer].name, "gold", "en")


def past(number: int) -> PastContact:
    return PastContact(f"past.{number}", T - number, "inbound", "sales", "answered", "bob", "sale", "", 60)


def arrived(ani: str = ANI, call: CallId = CALL) -> CallArrived:
    return CallArrived(at=T, call=call, leg=LegId(call), channel="PJSIP/t-1", ani=ani, caller_name="Cal", dnis="1000")


def matched(kind: MatchKind = MatchKind.KNOWN, *customers: CustomerId, at: float = T + 0.01) -> CallerMatched:
    names = customers or ((C1,) if kind in (MatchKind.KNOWN, MatchKind.LIKELY) else ())
    return CallerMatched(
        at=at,
        call=CALL,
        kind=kind,
        ani=ANI,
        ani_e164=ANI,
        ani_display="(202) 555-0101",
        candidates=tuple(CANDIDATES[customer] for customer in names),
    )


def read(customer: CustomerId = C1, at: float = T + 0.02) -> list[CallFact]:
    history = tuple(past(number) for number in range(7))
    return [
        ProfileRead(at=at, call=CALL, customer=customer, profile=profile(customer)),
        HistoryRead(at=at, call=CALL, customer=customer, history=history),
    ]


def queued(at: float = T + 5) -> CallQueued:
    return CallQueued(
        at=at, call=CALL, queue=SALES, channel="PJSIP/t-1", language="en", reason="order", priority=1, ani=ANI
    )


def offer_to(agent: AgentId, at: float = T + 10) -> CallOffered:
    offer = offer_id(CALL, agent, at)
    return CallOffered(at=at, call=CALL, offer=offer, agent=agent, queue=SALES, waited_s=at - T - 5, why="longest idle")


def accepted(made: CallOffered) -> OfferAccepted:
    at = made.at + 3
    return OfferAccepted(at=at, call=CALL, offer=made.offer, agent=made.agent, queue=SALES, waited_s=at - T - 5)


def lapsed(made: CallOffered) -> OfferEnded:
    return OfferEnded(
        at=made.at + 20, call=CALL, offer=made.offer, agent=made.agent, outcome=OfferOutcome.LAPSED, why="RONA"
    )


def wrap_up(agent: AgentId = ANN, at: float = T + 40) -> WrapUpStarted:
    return WrapUpStarted(at=at, call=CALL, agent=agent, queue=SALES, until=at + 60)


def wrapped_up(agent: AgentId = ANN, at: float = T + 50) -> WrapUpEnded:
    return WrapUpEnded(at=at, call=CALL, agent=agent, how=WrapUpEnd.FINISHED, disposition="sale")


def ended(at: float = T + 39, call: CallId = CALL) -> CallEnded:
    return CallEnded(at=at, call=call, ended_by=EndedBy.CALLER)


ANSWER = AnswerGiven(at=T + 3, call=CALL, node="menu", answer=IvrAnswer("topic", "sales"))


def tell(builder: PopBuilder, *facts: Fact) -> list[LookUp | Fact]:
    return [out for fact in facts for out in builder.receive(fact, fact.at)]


def pops(out: list[LookUp | Fact]) -> list[Pop]:
    return [each.pop for each in out if isinstance(each, PopChanged)]


def lookups(out: list[LookUp | Fact]) -> list[LookUp]:
    return [each for each in out if isinstance(each, LookUp)]


def test_at_the_offer_everything_is_there() -> None:
    """One PopChanged in answer to the offer, complete, with nothing pending."""
    builder = PopBuilder(SITE)
    tell(builder, arrived(), matched(), *read(), ANSWER, queued())
    (pop,) = pops(tell(builder, offer_to(ANN)))
    assert (pop.phase, pop.version, pop.agent, pop.pending) == (PopPhase.OFFERED, 1, ANN, ())
    assert (pop.profile, pop.match, pop.candidates) == (profile(C1), MatchKind.KNOWN, (CANDIDATES[C1],))
    assert [line.call for line in pop.history] == [f"past.{number}" for number in range(5)]
    assert (pop.ani, pop.ani_display, pop.caller_name) == (ANI, "(202) 555-0101", "Cal")
    assert (pop.dnis_name, pop.queue_name, pop.reason, pop.language) == ("Main line", "Sales", "order", "en")
    assert (pop.queued_at, pop.offered_at, pop.waited_s, pop.why) == (T + 5, T + 10, 5, "longest idle")
    assert pop.answers == (IvrAnswer("topic", "sales"),)


def test_lookups_start_with_the_match_not_with_the_offer() -> None:
    """Long before an agent is found; an only owner of a number also gets what nobody was matched to."""
    builder = PopBuilder(SITE)
    assert lookups(tell(builder, arrived(), matched())) == [LookUp(CALL, C1, ANI)]
    assert lookups(tell(builder, queued(), offer_to(ANN))) == []


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (matched(MatchKind.LIKELY), [LookUp(CALL, C1, "")]),
        (matched(MatchKind.UNKNOWN), [LookUp(CALL, None, ANI)]),
        (matched(MatchKind.SHARED, C1, C2), [LookUp(CALL, None, ANI, anyone=True)]),
        (replace(matched(MatchKind.WITHHELD), ani="", ani_e164=""), []),
    ],
)
def test_nothing_is_looked_up_that_could_be_somebody_elses(match: CallerMatched, expected: list[LookUp]) -> None:
    """A likely customer's own, a number's own (a shared one's of everybody, each told whose), nothing withheld."""
    assert lookups(tell(PopBuilder(SITE), arrived(), match)) == expected


@pytest.mark.parametrize("kind", [MatchKind.SHARED, MatchKind.UNKNOWN, MatchKind.WITHHELD])
def test_never_a_wrong_record(kind: MatchKind) -> None:
    """No profile unless it is one customer; the candidates of a shared number are shown as what they are."""
    builder = PopBuilder(SITE)
    customers = (C1, C2) if kind is MatchKind.SHARED else ()
    tell(builder, arrived(), matched(kind, *customers), *read(), queued())
    (pop,) = pops(tell(builder, offer_to(ANN)))
    assert (pop.profile, pop.match) == (None, kind)
    assert [candidate.customer for candidate in pop.candidates] == list(customers)


def test_a_withheld_number_has_an_honest_pop_even_before_the_match() -> None:
    """No number, no name of a customer, and it says so."""
    builder = PopBuilder(SITE)
    tell(builder, arrived(ani=""), replace(queued(), ani=""))
    (pop,) = pops(tell(builder, offer_to(ANN)))
    assert (pop.match, pop.ani, pop.ani_display, pop.profile) == (MatchKind.WITHHELD, "", "Number withheld", None)


def test_late_data_patches_the_pop() -> None:
    """What was pending at the offer comes as a new version, and `pending` says what is missing meanwhile."""
    builder = PopBuilder(SITE)
    tell(builder, arrived(), matched(at=T + 9.9), queued())
    (pop,) = pops(tell(builder, offer_to(ANN)))
    assert (pop.pending, pop.profile, pop.version) == (("profile", "history"), None, 1)
    patched = pops(tell(builder, *read(at=T + 10.2)))
    assert [(each.version, each.pending) for each in patched] == [(2, ("history",)), (3, ())]
    assert patched[-1].profile == profile(C1)
    assert builder.current(ANN) == patched[-1]


def test_after_the_deadline_the_pop_goes_on_without() -> None:
    """800 ms after the lookup began nothing is pending any more; an answer that comes then is ignored."""
    builder = PopBuilder(SITE)
    tell(builder, arrived(), matched(at=T + 9.9), queued(), offer_to(ANN))
    assert builder.next_wake() is not None
    (pop,) = pops(builder.wake(T + 9.9 + LOOK_UP_S))
    assert (pop.pending, pop.profile, pop.version) == ((), None, 2)
    assert pops(tell(builder, *read(at=T + 11))) == []


def test_a_lookup_that_found_nothing_is_not_pending() -> None:
    """A customer nobody describes leaves the pop with the candidate."""
    builder = PopBuilder(SITE)
    tell(builder, arrived(), matched(), ProfileRead(at=T, call=CALL, customer=C1, profile=None), read()[1], queued())
    (pop,) = pops(tell(builder, offer_to(ANN)))
    assert (pop.profile, pop.pending, pop.candidates) == (None, (), (CANDIDATES[C1],))


def test_one_payload_grows_with_the_contact() -> None:
    """Offered, ringing, answered, wrap-up: the same pop with rising versions; then it is gone."""
    builder, made = PopBuilder(SITE), offer_to(ANN)
    tell(builder, arrived(), matched(), *read(), queued())
    ringing = OfferRinging(at=T + 10.1, call=CALL, offer=made.offer, agent=ANN, until=T + 30)
    shown = pops(tell(builder, made, ringing, accepted(made), ended(), wrap_up()))
    assert [(pop.phase, pop.version) for pop in shown] == [
        (PopPhase.OFFERED, 1),
        (PopPhase.OFFERED, 2),
        (PopPhase.ANSWERED, 3),
        (PopPhase.WRAP_UP, 4),
    ]
    assert [pop.ring_until for pop in shown] == [None, T + 30, None, None]
    assert (shown[-1].answered_at, shown[-1].wrap_up_until) == (T + 13, T + 100)
    tell(builder, wrapped_up())
    assert builder.current(ANN) is None
    assert builder.picture().calls == 0


def test_an_offer_that_ended_is_off_the_screen_and_the_next_agent_sees_it() -> None:
    """After RONA the first agent has no pop; the second has it, with a higher version."""
    builder, first, second = PopBuilder(SITE), offer_to(ANN), offer_to(BOB, T + 31)
    tell(builder, arrived(), matched(), *read(), queued(), first, lapsed(first))
    assert builder.current(ANN) is None
    (pop,) = pops(tell(builder, second))
    assert (pop.agent, pop.offer, pop.version) == (BOB, second.offer, 2)
    assert tell(builder, first, accepted(first)) == []


def test_an_agents_choice_changes_the_record_on_her_screen() -> None:
    """She says who it is: a new lookup, the old record gone at once, the new one when it comes."""
    builder, made = PopBuilder(SITE), offer_to(ANN)
    tell(builder, arrived(), matched(MatchKind.SHARED, C1, C2), queued(), made, accepted(made))
    out = tell(builder, matched(MatchKind.LIKELY, C2, C1, at=T + 15))
    assert lookups(out) == [LookUp(CALL, C2, "")]
    assert [pop.profile for pop in pops(out)] == [None]
    late = pops(tell(builder, *read(C1, at=T + 15.1), *read(C2, at=T + 15.2)))
    assert [pop.profile for pop in late] == [profile(C2), profile(C2)]


def test_none_of_them_takes_the_record_away() -> None:
    """A record that turned out to be somebody else's is not shown a moment longer."""
    builder, made = PopBuilder(SITE), offer_to(ANN)
    tell(builder, arrived(), matched(), *read(), queued(), made, accepted(made))
    (pop,) = pops(tell(builder, replace(matched(MatchKind.UNKNOWN, at=T + 20), ani_e164="")))
    assert (pop.profile, pop.history, pop.match) == (None, (), MatchKind.UNKNOWN)


def test_a_talk_without_a_wrap_up_leaves_the_screen() -> None:
    """When the call is over and nobody wraps up, the pop goes; a wrap-up nobody ends goes after its limit."""
    builder, made = PopBuilder(SITE), offer_to(ANN)
    tell(builder, arrived(), matched(), *read(), queued(), made, accepted(made), ended())
    builder.wake(T + 39 + WRAP_UP_DUE_S)
    assert builder.picture().calls == 0
    builder = PopBuilder(SITE)
    tell(builder, arrived(), matched(), queued(), made, accepted(made), ended(), wrap_up())
    builder.wake(T + 39 + WRAP_UP_DUE_S)
    assert builder.current(ANN) is not None
    builder.wake(T + 100 + WRAP_UP_GRACE_S)
    assert builder.picture().calls == 0


def test_an_agent_has_only_her_last_pop() -> None:
    """A new offer replaces whatever was left on her screen."""
    builder = PopBuilder(SITE)
    tell(builder, arrived(), queued(), offer_to(ANN))
    call = CallId("1800000000.9")
    made = replace(offer_to(ANN, T + 60), call=call, offer=offer_id(call, ANN, T + 60))
    tell(builder, arrived(call=call), made)
    assert {agent: pop.call for agent, pop in builder.picture().pops.items()} == {ANN: call}


def test_an_offer_from_before_our_time_still_gets_its_pop() -> None:
    """After a restart acd says who talks with whom; her screen shows the caller."""
    builder = PopBuilder(SITE)
    tell(builder, replace(arrived(), inferred=True), matched(), *read())
    (pop,) = pops(tell(builder, accepted(offer_to(ANN))))
    assert (pop.phase, pop.profile) == (PopPhase.ANSWERED, profile(C1))


def test_a_talk_found_after_its_offer_was_given_up_has_its_card() -> None:
    """She had picked up while the PBX was out of sight: the card is back, once."""
    builder, made = PopBuilder(SITE), offer_to(ANN)
    tell(builder, arrived(), matched(), *read(), queued(), made, lapsed(made))
    found = replace(accepted(made), at=T + 35)
    (pop,) = pops(tell(builder, found))
    assert (pop.phase, pop.offer, pop.profile) == (PopPhase.ANSWERED, made.offer, profile(C1))
    tell(builder, wrap_up(), wrapped_up())
    assert pops(tell(builder, found)) == []


def test_a_merged_call_keeps_its_screen() -> None:
    """The pop goes on under the surviving call."""
    builder, made = PopBuilder(SITE), offer_to(ANN)
    tell(builder, arrived(call=OTHER), arrived(), matched(), *read(), queued(), made, accepted(made))
    shown = pops(tell(builder, CallMerged(at=T + 20, call=CALL, into=OTHER)))
    assert [(pop.call, pop.agent, pop.offer) for pop in shown] == [(OTHER, ANN, made.offer)]
    shown = pops(tell(builder, replace(wrap_up(), call=OTHER)))
    assert [pop.phase for pop in shown] == [PopPhase.WRAP_UP]


def test_calls_the_pbx_misses_twice_are_forgotten() -> None:
    """A lost hang-up takes no memory for ever; one miss may be a race with a new call."""
    builder = PopBuilder(SITE)
    tell(builder, arrived(), matched())
    tell(builder, PbxSynced(at=T + 30, calls=()))
    assert builder.picture().calls == 1
    tell(builder, PbxSynced(at=T + 60, calls=()))
    assert builder.picture().calls == 0


def a_life(kind: MatchKind) -> list[Fact]:
    customers = (C1, C2) if kind is MatchKind.SHARED else ()
    first, second = offer_to(ANN), offer_to(BOB, T + 31)
    facts: list[Fact] = [arrived(), matched(kind, *customers), *read(), ANSWER, queued(), first, lapsed(first), second]
    facts += [accepted(second), ended(T + 60), wrap_up(BOB, T + 60.1), wrapped_up(BOB, T + 70)]
    return facts


@given(st.sampled_from(list(MatchKind)), st.data())
def test_repeated_facts_show_nothing_new(kind: MatchKind, data: st.DataObject) -> None:
    """A Fact told again at any later time changes no screen."""
    facts = a_life(kind)
    builder, plain = PopBuilder(SITE), PopBuilder(SITE)
    shown, expected = [], []
    for place, fact in enumerate(facts):
        expected += pops(plain.receive(fact, fact.at))
        shown += pops(builder.receive(fact, fact.at))
        for again in data.draw(st.lists(st.integers(0, place), max_size=2)):
            shown += pops(builder.receive(facts[again], fact.at))
    assert shown == expected


@given(st.sampled_from(list(MatchKind)), st.data())
def test_in_any_order_no_screen_shows_a_record_that_is_not_the_callers(kind: MatchKind, data: st.DataObject) -> None:
    """Whatever comes late or twice: versions rise, a record only for the one customer, and all is let go in the end."""
    facts = a_life(kind)
    told = data.draw(st.permutations([*facts, *data.draw(st.lists(st.sampled_from(facts), max_size=6))]))
    builder = PopBuilder(SITE)
    versions: dict[OfferId, int] = {}
    for fact in told:
        for pop in pops(builder.receive(fact, T + 60)):
            assert pop.version > versions.get(pop.offer, 0)
            versions[pop.offer] = pop.version
            is_one = pop.match in (MatchKind.KNOWN, MatchKind.LIKELY)
            assert (pop.profile is None) or (is_one and pop.profile.customer == pop.candidates[0].customer)
    builder.receive(ended(T + 61), T + 61)
    builder.wake(T + 10_000)
    assert builder.picture().pops == {}
    assert builder.picture().calls == 0
