"""A step of a contact as a sentence a person reads: what happened, to whom, and why."""

from collections.abc import Callable, Mapping
from typing import Any

from cti.events import (
    AnswerGiven,
    CallAbandoned,
    CallArrived,
    CallConnected,
    CallEnded,
    CallerIdChanged,
    CallerIdentified,
    CallerMatched,
    CallFact,
    CallFailedSafe,
    CallHeld,
    CallMerged,
    CallOffered,
    CallParted,
    CallQueued,
    CallRetrieved,
    ChannelRenamed,
    EndedBy,
    FlowEnded,
    FlowStarted,
    LegAnswered,
    LegEnded,
    LegRinging,
    NodeEntered,
    OfferAccepted,
    OfferEnded,
    OfferRinging,
    PopPainted,
    WrapUpEnd,
    WrapUpEnded,
    WrapUpStarted,
)
from cti.ids import AgentId, agent_of_offer, offer_of_leg
from cti.requests import ContactStep

_ENDED_BY: Mapping[EndedBy, str] = {
    EndedBy.CALLER: "The caller hung up",
    EndedBy.AGENT: "The agent hung up",
    EndedBy.SYSTEM: "The flow ended the call",
    EndedBy.PBX_RESTART: "Asterisk went away with the call",
    EndedBy.UNKNOWN: "The call ended",
}


UNTOLD: frozenset[type[CallFact]] = frozenset((ChannelRenamed,))
"""What is kept for the record and means nothing to a person."""


def tells(kind: type[CallFact]) -> bool:
    """True when there is a sentence for this kind of step."""
    return kind in _TELL


def step_of(fact: CallFact) -> ContactStep:
    """The step as a page shows it."""
    tell = _TELL.get(type(fact))
    detail = "" if tell is None else tell(fact)
    if fact.inferred:
        detail = f"{detail} (concluded later)" if detail else "Concluded later"
    return ContactStep(at=fact.at, step=type(fact).__name__, agent=_agent_of(fact), detail=detail)


def _agent_of(fact: CallFact) -> AgentId | None:
    agent = getattr(fact, "agent", None)
    return agent if agent is not None else _agent_of_leg(getattr(fact, "peer", ""))


def _agent_of_leg(leg: str) -> AgentId | None:
    offer = offer_of_leg(leg)
    return None if offer is None else agent_of_offer(offer)


def _who(leg: str) -> str:
    return _agent_of_leg(leg) or leg or "somebody"


def _arrived(fact: CallArrived) -> str:
    name = f" ({fact.caller_name})" if fact.caller_name else ""
    return f"A call from {fact.ani or 'a withheld number'}{name} to {fact.dnis}"


def _matched(fact: CallerMatched) -> str:
    names = ", ".join(f"{candidate.name} ({candidate.reason})" for candidate in fact.candidates[:3])
    return f"The caller is {fact.kind.value}{': ' + names if names else ''}"


def _queued(fact: CallQueued) -> str:
    reason = f", reason {fact.reason}" if fact.reason else ""
    priority = f", priority {fact.priority}" if fact.priority else ""
    return f"Waits in {fact.queue or 'a queue'}{reason}{priority}"


def _offer_ended(fact: OfferEnded) -> str:
    return f"The offer to {fact.agent} ended: {fact.outcome.value}{', ' + fact.why if fact.why else ''}"


def _leg_ended(fact: LegEnded) -> str:
    why = " ".join(filter(None, (fact.why.lower(), f"cause {fact.cause}" if fact.cause else "")))
    return f"The leg of {_who(fact.leg)} ended{': ' + why if why else ''}"


def _wrap_up_ended(fact: WrapUpEnded) -> str:
    how = "finished the wrap-up" if fact.how is WrapUpEnd.FINISHED else "ran out of wrap-up time"
    said = f": {fact.disposition}" if fact.disposition else ""
    return f"{fact.agent} {how}{said}{', note: ' + fact.note if fact.note else ''}"


_TELL: Mapping[type[CallFact], Callable[[Any], str]] = {
    CallArrived: _arrived,
    CallerIdChanged: lambda fact: f"The PBX now says {fact.ani or 'a withheld number'} {fact.caller_name}".rstrip(),
    CallerMatched: _matched,
    CallerIdentified: lambda fact: f"The caller proved to be customer {fact.customer} by {fact.by}",
    FlowStarted: lambda fact: f"Walks the flow {fact.flow} (version {fact.version})",
    NodeEntered: lambda fact: f"Came to {fact.node}",
    AnswerGiven: lambda fact: f"Answered {fact.answer.name} = {fact.answer.value}",
    FlowEnded: lambda fact: f"The walk ended: {fact.how}",
    CallQueued: _queued,
    CallFailedSafe: lambda fact: f"Left to the failsafe queue{': ' + fact.why if fact.why else ''}",
    CallOffered: lambda fact: f"Offered to {fact.agent} after {fact.waited_s:.1f} s: {fact.why}",
    PopPainted: lambda fact: f"On the screen of {fact.agent} (version {fact.version})",
    OfferRinging: lambda fact: f"The phone of {fact.agent} rings",
    OfferAccepted: lambda fact: f"{fact.agent} picked up after {fact.waited_s:.1f} s",
    OfferEnded: _offer_ended,
    LegRinging: lambda fact: f"The leg of {_who(fact.leg)} rings",
    LegAnswered: lambda fact: f"The leg of {_who(fact.leg)} answered",
    LegEnded: _leg_ended,
    CallConnected: lambda fact: f"Talks with {_who(fact.peer)}",
    CallParted: lambda fact: f"Parted from {_who(fact.peer)}",
    CallHeld: lambda fact: f"Put on hold by {_who(fact.leg)}",
    CallRetrieved: lambda fact: f"Taken back from hold by {_who(fact.leg)}",
    CallAbandoned: lambda fact: f"Left the queue {fact.queue} after {fact.waited_s:.1f} s",
    CallMerged: lambda fact: f"{fact.call} goes on as {fact.into}",
    CallEnded: lambda fact: f"{_ENDED_BY[fact.ended_by]}{f' (cause {fact.cause})' if fact.cause else ''}",
    WrapUpStarted: lambda fact: f"{fact.agent} writes it up",
    WrapUpEnded: _wrap_up_ended,
}
