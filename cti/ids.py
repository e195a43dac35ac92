"""The names things go by: calls, legs, agents, offers, customers.

An offer's name holds the call, the agent and the millisecond it was made, and the leg that rings for it is named
after the offer; so whoever meets such a leg (a tracker after a restart, a reader of Asterisk's own records) knows
which call it belongs to without asking anybody.
"""

import re
import secrets
from typing import NewType

CallId = NewType("CallId", str)
"""Asterisk's Linkedid of the customer's channel: one per call, from first ring to last hang-up."""

LegId = NewType("LegId", str)
"""Asterisk's Uniqueid of one channel of a call."""

AgentId = NewType("AgentId", str)
"""An agent's short name: letters, digits, dot and underscore (no hyphen; see `offer_id`)."""

QueueId = NewType("QueueId", str)
CustomerId = NewType("CustomerId", str)
OfferId = NewType("OfferId", str)
SessionId = NewType("SessionId", str)

AGENT_NAME = re.compile(r"^[A-Za-z0-9_.]{1,40}$")

_LEG_PREFIX = "offhook-"


def offer_id(call: CallId, agent: AgentId, now: float) -> OfferId:
    """The name of the offer of `call` to `agent` made at `now` (Unix seconds)."""
    return OfferId(f"{call}-{agent}-{int(now * 1000)}")


def call_of_offer(offer: OfferId) -> CallId:
    """The call an offer belongs to."""
    return CallId(offer.rsplit("-", 2)[0])


def agent_of_offer(offer: OfferId) -> AgentId:
    """The agent an offer was made to."""
    return AgentId(offer.rsplit("-", 2)[1])


def leg_of_offer(offer: OfferId) -> LegId:
    """The ChannelId under which the agent's phone rings for this offer."""
    return LegId(_LEG_PREFIX + offer)


def offer_of_leg(leg: str) -> OfferId | None:
    """The offer a leg rings for, or None for a leg that is not ours.

    Asterisk names the far half of a Local channel after ours with `;2` appended; it belongs to the same offer.
    """
    if not leg.startswith(_LEG_PREFIX):
        return None
    name = leg.removeprefix(_LEG_PREFIX).split(";", 1)[0]
    return OfferId(name) if name.count("-") >= 2 else None


def new_token(bytes_of_entropy: int = 32) -> str:
    """A secret nobody can guess: session ids, AGI tokens (URL-safe text)."""
    return secrets.token_urlsafe(bytes_of_entropy)
