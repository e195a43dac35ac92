"""A phone number as the network gave it, and every way it may be read: E.164, national, last nine digits, for a person.

Nothing is guessed: what can't be read as a number has no E.164, and what says it is withheld is withheld. The raw text is
always kept. Readings are by Google's numbering plans (package `phonenumbers`).
"""

import re
import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

WITHHELD = frozenset(
    {
        "",
        "anonymous",
        "blocked",
        "hidden",
        "id unavailable",
        "no caller id",
        "not available",
        "private",
        "private number",
        "restricted",
        "s",
        "unavailable",
        "unknown",
        "withheld",
        "<unknown>",
    }
)
"""What stands in place of a number that its owner, or a network on the way, did not give (Asterisk, RFC 3323, trunks)."""

WITHHELD_DISPLAY = "Number withheld"
_LONGEST_RAW = 80
_LONGEST_KEY = 32
_SHORTEST_POSSIBLE = 7  # national digits; anything shorter is an extension or a service code, not E.164
_IDD_PREFIXES = ("00", "011")
_NO_DIGIT = re.compile(r"[^0-9]+")
_PLAIN = re.compile(r"\+?[0-9().\-/ ]*")


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """One number's readings. Every string is "" where there is no such reading."""

    raw: str
    is_withheld: bool
    e164: str = ""  # +12025550123
    national: str = ""  # digits without country code and trunk prefix: 2025550123
    last9: str = ""  # the last nine digits, where there are as many
    digits: str = ""  # bare digits: what an internal extension is known by
    country: str = ""  # two letters
    display: str = ""  # for a person

    @property
    def key(self) -> str:
        """What this number is stored under: E.164, or the bare digits of what can't be read as one."""
        return self.e164 or self.digits


@lru_cache(maxsize=8192)
def read_number(raw: str, region: str) -> PhoneNumber:
    """Every reading of `raw`; `region` (two letters) is the country of numbers written without one."""
    number, parsed = _read(raw, region)
    if parsed is None:
        return number
    country = phonenumbers.region_code_for_number(parsed) or ""
    style = PhoneNumberFormat.NATIONAL if country == region else PhoneNumberFormat.INTERNATIONAL
    return replace(number, country=country, display=phonenumbers.format_number(parsed, style))


def index_number(raw: str, region: str) -> PhoneNumber:
    """What a number is stored and found under: `read_number` without country and display, in a third of the time."""
    return _read(raw, region)[0]


def _read(raw: str, region: str) -> tuple[PhoneNumber, phonenumbers.PhoneNumber | None]:
    text = raw.strip()
    if text.lower() in WITHHELD:
        return PhoneNumber(raw, is_withheld=True, display=WITHHELD_DISPLAY), None
    digits = _digits(text[:_LONGEST_RAW])
    if digits and not digits.strip("0"):
        # Some trunks write zeros for a number that was not given.
        return PhoneNumber(raw, is_withheld=True, display=WITHHELD_DISPLAY), None
    parsed = _parse(text, digits, region)
    if parsed is None:
        bare = digits[:_LONGEST_KEY] if _is_dialled(text) else ""
        last9 = bare[-9:] if len(bare) >= 9 else ""
        return PhoneNumber(raw, False, "", bare.lstrip("0"), last9, bare, display=_shown(text)), None
    e164 = phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
    national = phonenumbers.national_significant_number(parsed)
    return PhoneNumber(raw, False, e164, national, e164[-9:] if len(e164) > 9 else "", digits), parsed


def _digits(text: str) -> str:
    if text.isascii():
        return _NO_DIGIT.sub("", text)
    return "".join(str(unicodedata.decimal(sign)) for sign in text if sign.isdecimal())


def _parse(text: str, digits: str, region: str) -> phonenumbers.PhoneNumber | None:
    """The first reading that is a valid number, else the first that could be one."""
    if len(digits) < _SHORTEST_POSSIBLE or not _is_dialled(text):
        return None
    possible: phonenumbers.PhoneNumber | None = None
    writings = _writings(text, digits, region)
    for writing, country in writings:
        try:
            parsed = phonenumbers.parse(writing, country)
        except NumberParseException:
            continue
        if len(writings) > 1 and phonenumbers.is_valid_number(parsed):
            return parsed
        long_enough = len(phonenumbers.national_significant_number(parsed)) >= _SHORTEST_POSSIBLE
        if possible is None and long_enough and phonenumbers.is_possible_number(parsed):
            possible = parsed
    return possible


def _writings(text: str, digits: str, region: str) -> list[tuple[str, str | None]]:
    if text.lstrip(" (").startswith("+"):
        return [("+" + digits, None)]
    # Trunks differ: national, international without the plus, or with a dialling prefix of another country.
    writings: list[tuple[str, str | None]] = [(digits, region), ("+" + digits, None)]
    writings += [("+" + digits.removeprefix(prefix), None) for prefix in _IDD_PREFIXES if digits.startswith(prefix)]
    return writings


def _is_dialled(text: str) -> bool:
    """True for what looks dialled: digits (they were counted) and signs between them, no letters."""
    if len(text) > _LONGEST_RAW:
        return False
    if _PLAIN.fullmatch(text):
        return True
    return any(sign.isdecimal() for sign in text) and not any(map(str.isalpha, text))


def _shown(text: str) -> str:
    return "".join(sign for sign in text if sign.isprintable())[:40]
