"""Who is calling: from a number's readings and what was found under them to ranked candidates, each with its reason.

    withheld ----------------------------> WITHHELD   nobody
    nothing found -----------------------> UNKNOWN    nobody
    one found, by the whole number ------> KNOWN
    one found, by less than that --------> LIKELY     national form, or the last nine digits
    several found, one always picked ----> LIKELY     an agent said so before, and never otherwise
    several found -----------------------> SHARED     household, switchboard: the agent chooses

A weaker reading counts only where a stronger one found nobody. A proof (an account number, an agent's choice) beats them
all. A wrong record is worse than none: the confidence of a guess stays below that of a fact.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from cti.caller import Candidate, MatchKind
from cti.ids import CustomerId


class Reading(IntEnum):
    """By which reading of the number a customer was found; smaller is stronger."""

    WHOLE = 0
    NATIONAL = 1
    LAST_NINE = 2


@dataclass(frozen=True, slots=True)
class Found:
    """One customer found under the number; `open_case` is its newest open case's title, "" for none."""

    customer: CustomerId
    name: str
    tier: str
    reading: Reading
    open_case: str = ""


@dataclass(frozen=True, slots=True)
class Pick:
    """How often agents chose this customer for this number, and when last (Unix seconds)."""

    times: int
    at: float


@dataclass(frozen=True, slots=True)
class Proof:
    """The caller is this customer by something better than the number; `reason` in words an agent can read."""

    found: Found
    reason: str


@dataclass(frozen=True, slots=True)
class Known:
    """Everything known about one caller so far."""

    is_withheld: bool
    found: tuple[Found, ...] = ()
    calls: Mapping[CustomerId, int] = field(default_factory=dict)
    picks: Mapping[CustomerId, Pick] = field(default_factory=dict)
    proof: Proof | None = None
    is_nobody: bool = False  # an agent said: none of these


_ALONE = {Reading.WHOLE: 0.95, Reading.NATIONAL: 0.8, Reading.LAST_NINE: 0.6}
_AMONG_SEVERAL = {Reading.WHOLE: 0.8, Reading.NATIONAL: 0.65, Reading.LAST_NINE: 0.5}
_ALWAYS_PICKED = 0.85
_BEST_READING = {
    Reading.WHOLE: "only customer with this number",
    Reading.NATIONAL: "only customer with this number in its national form",
    Reading.LAST_NINE: "only customer whose number ends in the same nine digits",
}
_SHARED_READING = {
    Reading.WHOLE: "has this number",
    Reading.NATIONAL: "has this number in its national form",
    Reading.LAST_NINE: "has a number that ends in the same nine digits",
}


def match(known: Known) -> tuple[MatchKind, tuple[Candidate, ...]]:
    """What kind of knowledge this is, and the candidates, best first."""
    if known.proof is not None:
        return MatchKind.KNOWN, _with_proof_first(known, known.proof)
    if known.is_nobody:
        return MatchKind.UNKNOWN, ()
    if known.is_withheld:
        return MatchKind.WITHHELD, ()
    return _by_number(known)


def _by_number(known: Known) -> tuple[MatchKind, tuple[Candidate, ...]]:
    found = _strongest(known.found)
    if not found:
        return MatchKind.UNKNOWN, ()
    if len(found) == 1:
        only = found[0]
        kind = MatchKind.KNOWN if only.reading is Reading.WHOLE else MatchKind.LIKELY
        return kind, (_candidate(known, only, _ALONE[only.reading], _BEST_READING[only.reading]),)
    return _among_several(known, found)


def _among_several(known: Known, found: Sequence[Found]) -> tuple[MatchKind, tuple[Candidate, ...]]:
    weights = {one.customer: _weight(known, one) for one in found}
    total = sum(weights.values())
    always = _always_picked(known, found)
    candidates = []
    for one in found:
        confidence = _AMONG_SEVERAL[one.reading] * weights[one.customer] / total
        if always is not None:
            confidence = _ALWAYS_PICKED if one.customer == always else confidence * (1 - _ALWAYS_PICKED)
        candidates.append(_candidate(known, one, confidence, _SHARED_READING[one.reading]))
    kind = MatchKind.SHARED if always is None else MatchKind.LIKELY
    return kind, _ranked(candidates)


def _strongest(found: Sequence[Found]) -> list[Found]:
    """Each customer once, and only those of the strongest reading that found anybody."""
    if not found:
        return []
    best = min(one.reading for one in found)
    return list({one.customer: one for one in found if one.reading is best}.values())


def _weight(known: Known, one: Found) -> float:
    # Calls count by their logarithm: the sixtieth says little that the sixth did not.
    pick = known.picks.get(one.customer)
    weight = 1.0 + 2.0 * math.log1p(max(known.calls.get(one.customer, 0), 0))
    weight += 2.0 * math.log1p(max(pick.times, 0)) if pick else 0.0
    return weight + (1.0 if one.open_case else 0.0)


def _always_picked(known: Known, found: Sequence[Found]) -> CustomerId | None:
    here = {one.customer for one in found}
    picked = [customer for customer, pick in known.picks.items() if pick.times > 0]
    return picked[0] if len(picked) == 1 and picked[0] in here else None


def _candidate(known: Known, one: Found, confidence: float, reading: str) -> Candidate:
    reasons = []
    pick = known.picks.get(one.customer)
    if pick is not None and pick.times > 0:
        last = max((each for each in known.picks.values() if each.times > 0), key=lambda each: each.at)
        reasons.append("chosen by an agent last time" if pick is last else "chosen by an agent before")
    calls = known.calls.get(one.customer, 0)
    if calls > 0:
        reasons.append(f"called from this number {calls} {'time' if calls == 1 else 'times'}")
    if one.open_case:
        reasons.append(f"open case: {one.open_case}")
    reasons.append(reading)
    return Candidate(one.customer, one.name, round(confidence, 3), "; ".join(reasons), one.tier)


def _with_proof_first(known: Known, proof: Proof) -> tuple[Candidate, ...]:
    _, others = _by_number(known)
    reason = proof.reason
    if proof.found.open_case:
        reason += f"; open case: {proof.found.open_case}"
    first = Candidate(proof.found.customer, proof.found.name, 1.0, reason, proof.found.tier)
    # The others stay on the list, so that a wrong choice can be put right; what is left for them is next to nothing.
    rest = [
        Candidate(other.customer, other.name, round(other.confidence * 0.05, 3), other.reason, other.tier)
        for other in others
        if other.customer != first.customer
    ]
    return (first, *rest)


def _ranked(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    return tuple(sorted(candidates, key=lambda one: (-one.confidence, one.name, one.customer)))
