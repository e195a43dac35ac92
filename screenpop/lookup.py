"""What is looked up for a pop: the order to ask, and the answers as the builder hears them."""

from dataclasses import dataclass

from cti.caller import CustomerProfile, PastContact
from cti.events import CallFact
from cti.ids import CallId, CustomerId

HISTORY = 5
"""Past contacts on a pop."""


@dataclass(frozen=True, slots=True)
class LookUp:
    """Order: ask for the customer's profile and latest contacts; the answers come back as ProfileRead and HistoryRead.

    `customer` None: only the contacts of the number. `ani_e164` "": only those of the customer.
    `anyone`: the contacts of everybody who called from the number.
    """

    call: CallId
    customer: CustomerId | None
    ani_e164: str
    anyone: bool = False
    limit: int = HISTORY


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRead(CallFact):
    """The profile looked up for this customer has come; None where nobody has it, or the lookup failed."""

    customer: CustomerId
    profile: CustomerProfile | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRead(CallFact):
    """The contacts looked up for this customer (None: for the number) have come; empty where there are none, or it failed."""

    customer: CustomerId | None
    history: tuple[PastContact, ...]
