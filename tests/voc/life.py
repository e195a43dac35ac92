"""Whole calls as the rooms tell them, for tests of what is remembered of them."""

from hypothesis import strategies as st

from cti.caller import Candidate, MatchKind
from cti.events import (
    AnswerGiven,
    CallAbandoned,
    CallArrived,
    CallConnected,
    CallEnded,
    CallerMatched,
    CallFact,
    CallHeld,
    CallOffered,
    CallParted,
    CallQueued,
    CallRetrieved,
    EndedBy,
    FlowEnded,
    FlowStarted,
    LegRinging,
    NodeEntered,
    OfferAccepted,
    OfferEnded,
    OfferOutcome,
    OfferRinging,
    PopPainted,
    WrapUpEnd,
    WrapUpEnded,
    WrapUpStarted,
)
from cti.ids import AgentId, CallId, CustomerId, LegId, OfferId, QueueId, leg_of_offer, offer_id
from cti.pop import IvrAnswer

T = 1_800_000_000.0
CALL = CallId("1800000000.7")
ANN, BOB = AgentId("ann"), AgentId("bob")
SALES = QueueId("sales")
ANI = "+12025550101"


def arrived(at: float = T, call: CallId = CALL, ani: str = ANI) -> CallArrived:
    """A call at the trunk."""
    return CallArrived(
        at=at, call=call, leg=LegId(call), channel="PJSIP/trunk-1", ani=ani, caller_name="Cal", dnis="1000"
    )


def matched(at: float = T + 0.01, call: CallId = CALL, kind: MatchKind = MatchKind.KNOWN) -> CallerMatched:
    """The number told who calls."""
    candidates = (Candidate(CustomerId("C1"), "Cal Customer", 0.95, "this number is on file", "gold"),)
    none = kind in (MatchKind.UNKNOWN, MatchKind.WITHHELD)
    return CallerMatched(
        at=at, call=call, kind=kind, ani=ANI, ani_e164=ANI, ani_display=ANI, candidates=() if none else candidates
    )


def queued(at: float = T + 8, call: CallId = CALL) -> CallQueued:
    """The caller waits for sales."""
    return CallQueued(at=at, call=call, queue=SALES, channel="PJSIP/trunk-1", language="en", reason="order", ani=ANI)


def in_the_menu(call: CallId = CALL) -> list[CallFact]:
    """From the first ring through the menu."""
    return [
        arrived(call=call),
        matched(call=call),
        FlowStarted(at=T + 0.1, call=call, flow="default", version="abc"),
        NodeEntered(at=T + 0.2, call=call, node="greeting"),
        AnswerGiven(at=T + 5, call=call, node="menu", answer=IvrAnswer("topic", "sales")),
    ]


def offered(agent: AgentId, at: float, call: CallId = CALL) -> tuple[OfferId, list[CallFact]]:
    """The contact on an agent's screen and her phone ringing."""
    offer = offer_id(call, agent, at)
    return offer, [
        CallOffered(at=at, call=call, offer=offer, agent=agent, queue=SALES, waited_s=at - T - 8, why="longest idle"),
        PopPainted(at=at + 0.05, call=call, agent=agent, offer=offer, version=1),
        OfferRinging(at=at + 0.1, call=call, offer=offer, agent=agent, until=at + 20),
        LegRinging(at=at + 0.11, call=call, leg=leg_of_offer(offer)),
    ]


def rona(agent: AgentId, at: float, call: CallId = CALL) -> list[CallFact]:
    """An offer nobody picked up."""
    offer, facts = offered(agent, at, call)
    ended = OfferEnded(
        at=at + 20, call=call, offer=offer, agent=agent, outcome=OfferOutcome.LAPSED, why="not picked up"
    )
    return [*facts, ended]


def talk(agent: AgentId, at: float, talk_s: float, held_s: float = 0.0, call: CallId = CALL) -> list[CallFact]:
    """An offer that was picked up, and the talk."""
    offer, facts = offered(agent, at, call)
    leg, start = leg_of_offer(offer), at + 3
    facts += [
        CallConnected(at=start, call=call, leg=LegId(call), peer=leg),
        OfferAccepted(at=start, call=call, offer=offer, agent=agent, queue=SALES, waited_s=start - T - 8),
    ]
    if held_s:
        facts += [
            CallHeld(at=start + 1, call=call, leg=leg),
            CallRetrieved(at=start + 1 + held_s, call=call, leg=leg),
        ]
    return [*facts, CallParted(at=start + talk_s, call=call, peer=leg)]


def wrap_up(
    agent: AgentId, at: float, seconds: float, call: CallId = CALL, disposition: str = "sale"
) -> list[CallFact]:
    """The agent writes it up and finishes."""
    return [
        WrapUpStarted(at=at, call=call, agent=agent, queue=SALES, until=at + 60),
        WrapUpEnded(
            at=at + seconds,
            call=call,
            agent=agent,
            how=WrapUpEnd.FINISHED,
            disposition=disposition,
            note="wants a red one",
        ),
    ]


def ended(at: float, by: EndedBy = EndedBy.CALLER, call: CallId = CALL) -> CallEnded:
    """The caller is gone."""
    return CallEnded(at=at, call=call, ended_by=by, cause=16)


def answered_call(call: CallId = CALL) -> list[CallFact]:
    """Menu, queue, an offer that lapses, a talk with a hold, wrap-up."""
    return [
        *in_the_menu(call),
        FlowEnded(at=T + 8, call=call, how="queued"),
        queued(call=call),
        *rona(BOB, T + 9, call),
        *talk(ANN, T + 30, 60.0, 10.0, call),
        ended(T + 93.1, EndedBy.AGENT, call),
        *wrap_up(ANN, T + 93.2, 15.0, call),
    ]


def abandoned_call(call: CallId = CALL) -> list[CallFact]:
    """Menu, queue, and away while an agent rings."""
    offer, facts = offered(ANN, T + 20, call)
    return [
        *in_the_menu(call),
        queued(call=call),
        *facts,
        ended(T + 25, call=call),
        CallAbandoned(at=T + 25, call=call, queue=SALES, waited_s=17),
        OfferEnded(at=T + 25, call=call, offer=offer, agent=ANN, outcome=OfferOutcome.RESCINDED, why="the caller left"),
    ]


@st.composite
def lives(draw: st.DrawFn) -> list[CallFact]:
    """One call's Facts in their order, whatever became of it; no two at the same instant."""
    facts = in_the_menu()
    if draw(st.booleans()):
        facts.append(queued())
        at = T + 10
        for agent in draw(st.lists(st.sampled_from([ANN, BOB]), max_size=3)):
            facts += rona(agent, at)
            at += 25
        if draw(st.booleans()):
            facts += talk(ANN, at, draw(st.floats(1, 600)), draw(st.sampled_from([0.0, 0.5])))
        at = facts[-1].at + 1
        facts.append(ended(at, draw(st.sampled_from(list(EndedBy)))))
        if isinstance(facts[-2], CallParted) and draw(st.booleans()):
            facts += wrap_up(ANN, at + 0.1, draw(st.floats(1, 100)))
    elif draw(st.booleans()):
        facts.append(ended(T + 7))
    return facts
