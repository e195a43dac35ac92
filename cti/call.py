"""A call and its legs: the states they can be in, and which may follow which.

A leg is one channel of the PBX; a call is the customer's leg (more than one after a merge) and whoever joins it. The PBX
may skip states (a phone that answers before it is heard ringing) and repeat itself; it never goes back, except that a
talk can end and another begin.

    leg      DIALLED --> RINGING --> UP --> OVER          (any state --> OVER)
                 \\___________________/

    call     ARRIVED --> ALONE <--> TALKING --> OVER      (any state --> OVER)
                 \\_________________/
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class LegState(StrEnum):
    """How far one channel has come."""

    DIALLED = "dialled"  # it exists; a caller's channel that nobody has answered is here too
    RINGING = "ringing"
    UP = "up"
    OVER = "over"


class CallState(StrEnum):
    """Where the customer is."""

    ARRIVED = "arrived"  # not answered by anybody or anything yet
    ALONE = "alone"  # answered: in a flow, on hold music, in a queue
    TALKING = "talking"  # in a bridge with somebody
    OVER = "over"


LEG_MOVES: Mapping[LegState, frozenset[LegState]] = MappingProxyType(
    {
        LegState.DIALLED: frozenset({LegState.RINGING, LegState.UP, LegState.OVER}),
        LegState.RINGING: frozenset({LegState.UP, LegState.OVER}),
        LegState.UP: frozenset({LegState.OVER}),
        LegState.OVER: frozenset(),
    }
)
"""Which state of a leg may follow which. Anything else came twice or late, and changes nothing."""

CALL_MOVES: Mapping[CallState, frozenset[CallState]] = MappingProxyType(
    {
        CallState.ARRIVED: frozenset({CallState.ALONE, CallState.TALKING, CallState.OVER}),
        CallState.ALONE: frozenset({CallState.TALKING, CallState.OVER}),
        CallState.TALKING: frozenset({CallState.ALONE, CallState.OVER}),
        CallState.OVER: frozenset(),
    }
)
"""Which state of a call may follow which."""
