"""One customer as written down, and the text that may be written: bounded, without control characters, never markup.

Everything here comes from outside. A value stays the text it was, apart from signs that no name or note has.
"""

import re
import unicodedata
from dataclasses import dataclass

from cti.ids import CustomerId

_BIDI_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_BLANKS = re.compile(r"[ \t\r\n\u2028\u2029\u0085]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """One row of customers_customer. `since` is an ISO date or ""."""

    customer: CustomerId
    name: str
    account: str = ""
    tier: str = ""
    language: str = ""
    email: str = ""
    lifetime_value: float = 0.0
    since: str = ""
    note: str = ""


def clean_text(text: str, longest: int) -> str:
    """The text in one line: control characters and direction overrides gone, blanks joined, at most `longest` signs."""
    if not text.isprintable():
        text = _BLANKS.sub(" ", text)
        text = "".join(sign for sign in text if not _is_unwanted(sign))
    return text.strip()[:longest].rstrip()


def _is_unwanted(sign: str) -> bool:
    return sign in _BIDI_OVERRIDES or unicodedata.category(sign) in ("Cc", "Cs")


def keys_of_account(account: str) -> str:
    """The account's digits, as a caller can key them in; at most 32."""
    return "".join(sign for sign in account if sign in "0123456789")[:32]
