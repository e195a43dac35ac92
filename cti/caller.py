"""Who is calling: the words for it.

A match is honest: it says what kind of knowledge it is and why each candidate is one. A number shared by several
customers is a kind of its own, never a guess; a withheld number matches nobody.
"""

from dataclasses import dataclass
from enum import StrEnum

from cti.ids import CustomerId


class MatchKind(StrEnum):
    """What the caller's number told us."""

    KNOWN = "known"  # exactly one customer has this number
    LIKELY = "likely"  # one customer, but only by national form, last digits, or a remembered pick on a shared number
    SHARED = "shared"  # several customers have this number: household, company switchboard
    UNKNOWN = "unknown"  # a number nobody has
    WITHHELD = "withheld"  # no number, or hidden by the caller


@dataclass(frozen=True, slots=True)
class Candidate:
    """One customer the caller may be, with how sure we are (0..1) and why, in words an agent can read."""

    customer: CustomerId
    name: str
    confidence: float
    reason: str
    tier: str = ""


@dataclass(frozen=True, slots=True)
class Purchase:
    """Something the customer bought. `at` is an ISO date, `amount` in the company's currency."""

    at: str
    item: str
    amount: float


@dataclass(frozen=True, slots=True)
class OpenCase:
    """A matter the customer is waiting on."""

    case: str
    title: str
    opened_at: str


@dataclass(frozen=True, slots=True)
class CustomerProfile:
    """What we know of one customer: the customers room's answer to DescribeCustomer."""

    customer: CustomerId
    name: str
    tier: str
    language: str
    phones: tuple[str, ...] = ()
    email: str = ""
    account: str = ""
    lifetime_value: float = 0.0
    since: str = ""
    open_cases: tuple[OpenCase, ...] = ()
    purchases: tuple[Purchase, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class PastContact:
    """One line of a customer's history, newest first in lists. `at` is Unix seconds."""

    call: str
    at: float
    direction: str
    queue: str
    outcome: str
    agent: str
    disposition: str
    note: str
    talk_s: float
    csat: int | None = None
    customer: CustomerId | None = None
