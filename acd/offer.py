"""One offer: one agent, one contact, one deadline; it ends exactly once.

        MADE ---- painted, or PAINT_WAIT_S ----> RINGING ---- picked up ----> PICKED_UP ---- connected: accepted
         |                                          |                             |
         +-- rescinded, declined                    +-- lapsed (RONA), declined,  +-- failed: never connected
                                                        rescinded, failed

The screen comes first: an offer rings the phone when the browser has painted the pop, or after PAINT_WAIT_S, whichever
is sooner.
"""

from dataclasses import dataclass
from enum import StrEnum

from cti.ids import AgentId, CallId, OfferId, QueueId

PAINT_WAIT_S = 0.150
"""How long the phone waits for the screen."""

CONNECT_WAIT_S = 5.0
"""How long after picking up the two must be in one bridge; the dialplan itself waits up to 4 s for a busy caller channel."""

LATE_S = 1.0
"""A deadline found this long past was missed because we were stopped; what the PBX said meanwhile is heard first."""

LOOK_AGAIN_S = 0.5
"""How long a deadline is put off while nobody can know whether she has picked up."""


class OfferState(StrEnum):
    """How far an offer has come."""

    MADE = "made"
    RINGING = "ringing"
    PICKED_UP = "picked_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A live offer. `due` is its next deadline (Unix seconds): ring the phone, lapse, or give up connecting."""

    offer: OfferId
    call: CallId
    agent: AgentId
    queue: QueueId
    made_at: float
    waited_s: float
    ring_for_s: float
    state: OfferState
    due: float
