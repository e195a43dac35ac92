"""Every Request one room may ask of another. Exactly one room answers each, or says `Refused(code, why)`.

`Request[Reply]` names the type of its answer, so `await bus.ask(GoReady(agent=...))` is typed. Who answers is written in
each docstring.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from cti.caller import CustomerProfile, PastContact
from cti.events import CallFact
from cti.floor import FloorPicture
from cti.ids import AgentId, CallId, CustomerId, OfferId
from cti.pop import IvrAnswer, Pop

Reply = TypeVar("Reply")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Generic[Reply]):
    """Somebody asks."""


# --- answered by acd -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn(Request[None]):
    """acd: the agent is here. `phone` "" means the configured one. Refused: unknown-agent."""

    agent: AgentId
    phone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOut(Request[None]):
    """acd: the agent leaves; a talk in progress goes on. Refused: unknown-agent, busy."""

    agent: AgentId


@dataclass(frozen=True, slots=True, kw_only=True)
class GoReady(Request[None]):
    """acd: the agent wants contacts (at once, or after what she is doing). Refused: unknown-agent, signed-out."""

    agent: AgentId


@dataclass(frozen=True, slots=True, kw_only=True)
class GoNotReady(Request[None]):
    """acd: no more contacts (at once, or after what she is doing). Refused: unknown-agent, signed-out, unknown-reason."""

    agent: AgentId
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerOffer(Request[None]):
    """acd: pick up the agent's phone for her, where the phone allows it. Refused: no-such-offer, phone-by-hand."""

    agent: AgentId
    offer: OfferId


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclineOffer(Request[None]):
    """acd: the agent refuses this contact; it goes to somebody else, first in line. Refused: no-such-offer."""

    agent: AgentId
    offer: OfferId


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp(Request[None]):
    """acd: end the agent's side of this call. Refused: not-talking."""

    agent: AgentId
    call: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishWrapUp(Request[None]):
    """acd: the contact is written up. Refused: not-in-wrap-up, disposition-needed, unknown-disposition."""

    agent: AgentId
    call: CallId
    disposition: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeFloor(Request[FloorPicture]):
    """acd: everything the wallboard shows, now."""


# --- answered by customers -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FindByAccount(Request[CustomerId | None]):
    """customers: whose account number is this? None when nobody's."""

    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeCustomer(Request[CustomerProfile | None]):
    """customers: what we know of this person. None when nobody has this id (any more)."""

    customer: CustomerId


@dataclass(frozen=True, slots=True, kw_only=True)
class ChooseCandidate(Request[None]):
    """customers: the agent says who this caller is; remembered for the number. None: none of them.

    Refused: no-such-call, no-such-customer.
    """

    agent: AgentId
    call: CallId
    customer: CustomerId | None


# --- answered by screenpop -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentPop(Request[Pop | None]):
    """screenpop: what this agent's screen should show now; None when nothing."""

    agent: AgentId


# --- answered by voc -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Draft:
    """An unfinished wrap-up as the server keeps it."""

    disposition: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveDraft(Request[None]):
    """voc: keep what the agent has typed so far. Refused: no-such-call."""

    agent: AgentId
    call: CallId
    draft: Draft


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDraft(Request[Draft]):
    """voc: what was typed so far for this call; empty when nothing."""

    agent: AgentId
    call: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentContacts(Request[tuple[PastContact, ...]]):
    """voc: this customer's latest contacts, newest first, at most `limit`; `ani_e164` adds those of nobody from the number.

    With `anyone` those of every customer who called from the number, for a number several share.
    """

    customer: CustomerId | None = None
    ani_e164: str = ""
    anyone: bool = False
    limit: int = 5
    but_not: CallId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CountContacts(Request[dict[CustomerId, int]]):
    """voc: how often each of these customers called from this number (E.164)."""

    customers: tuple[CustomerId, ...]
    ani_e164: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallOpenCalls(Request[tuple[CallFact, ...]]):
    """voc: every Fact kept of the contacts that are still open, each contact's in the order it was heard.

    For a room that has just started: what it must hear to know again what it knew.
    """


@dataclass(frozen=True, slots=True)
class ContactStep:
    """One thing that happened to a contact. `at` is Unix seconds; `step` a Fact's name; `detail` in words."""

    at: float
    step: str
    agent: AgentId | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactSheet:
    """One contact as voc keeps it, from first ring to wrap-up. Instants are Unix seconds, `_s` are seconds."""

    call: CallId
    direction: str
    started_at: float
    ended_at: float | None
    ani: str
    caller_name: str
    dnis: str
    customer: CustomerId | None
    queue: str
    language: str
    reason: str
    outcome: str
    answers: tuple[IvrAnswer, ...] = ()
    wait_s: float = 0.0
    talk_s: float = 0.0
    hold_s: float = 0.0
    wrap_up_s: float = 0.0
    agents: tuple[AgentId, ...] = ()  # who talked with the caller, in order
    disposition: str = ""
    note: str = ""
    steps: tuple[ContactStep, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowContact(Request[ContactSheet | None]):
    """voc: everything kept of this contact. None when there is none of this id."""

    call: CallId
