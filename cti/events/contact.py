"""Facts of what remains of a call, told by voc."""

from dataclasses import dataclass
from enum import StrEnum

from cti.events.fact import CallFact
from cti.ids import CustomerId


class ContactOutcome(StrEnum):
    """What became of a contact."""

    OPEN = "open"  # not over yet
    ANSWERED = "answered"  # talked to an agent
    ABANDONED = "abandoned"  # left the queue before an agent answered
    IVR_ONLY = "ivr_only"  # ended in the flow, by the caller or by our goodbye
    FAILSAFE = "failsafe"  # was left to the dialplan's own queue
    PBX_RESTART = "pbx_restart"  # Asterisk went away with it


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactClosed(CallFact):
    """The contact's record is complete and durable."""

    outcome: ContactOutcome
    customer: CustomerId | None = None
