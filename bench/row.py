"""The words of the bench: a row, its lines, its goals; and how a row process says how far it is.

A row is a function `run(scale, say)` of a module of this package; it returns its Row. Figures are plain floats whose
unit is in their name; a goal is a figure, a bound, and on which side of it we want to be.
"""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

Say = Callable[[str], None]
"""Tells whoever watches what is being done now."""

Figures = Mapping[str, float]
"""From a name with its unit (`p50 ms`, `events/s`) to the value."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of it: the whole measurement, or `is_quick` to see that every part works."""

    is_quick: bool = False

    def of(self, whole: int, quick: int) -> int:
        """The count to use."""
        return quick if self.is_quick else whole


@dataclass(frozen=True, slots=True)
class Line:
    """One subject of a row: `who` it is and its figures, medians over the rounds."""

    who: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class Goal:
    """What we promised: `measured` at least (or, with `is_most`, at most) `bound`."""

    what: str
    measured: float
    bound: float
    is_most: bool = False
    unit: str = "x"

    @property
    def is_met(self) -> bool:
        """Whether we are on the right side of the bound."""
        return self.measured <= self.bound if self.is_most else self.measured >= self.bound


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement: what was done, the lines side by side, and what it says of our goals."""

    title: str
    how: str
    lines: Sequence[Line]
    goals: Sequence[Goal]
    notes: Sequence[str] = field(default_factory=tuple)

    def to_json(self) -> dict[str, Any]:
        """As kept in results.json."""
        told = asdict(self)
        told["goals"] = [{**asdict(goal), "is_met": goal.is_met} for goal in self.goals]
        return told


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie; NaN of nothing."""
    if not values:
        return float("nan")
    in_order = sorted(values)
    return in_order[min(len(in_order) - 1, int(share * len(in_order)))]


def median_of(rounds: Iterable[Figures]) -> dict[str, float]:
    """The median of each figure over the rounds."""
    columns: dict[str, list[float]] = {}
    for one in rounds:
        for name, value in one.items():
            columns.setdefault(name, []).append(value)
    return {name: statistics.median(values) for name, values in columns.items()}


def median_ratio(ours: Sequence[Figures], theirs: Sequence[Figures], figure: str) -> float:
    """The median over the rounds of our figure divided by theirs of the same round."""
    return statistics.median(mine[figure] / other[figure] for mine, other in zip(ours, theirs, strict=True))


def interleaved(subjects: Mapping[str, Callable[[], Figures]], rounds: int, say: Say) -> dict[str, list[Figures]]:
    """Every subject once, then all again: A, B, A, B ... so that what the machine does meanwhile hits all alike."""
    found: dict[str, list[Figures]] = {who: [] for who in subjects}
    for number in range(1, rounds + 1):
        for who, measure in subjects.items():
            say(f"round {number} of {rounds}: {who}")
            found[who].append(measure())
    return found


def lines_of(found: Mapping[str, Sequence[Figures]]) -> list[Line]:
    """A line for each subject: its medians."""
    return [Line(who, median_of(rounds)) for who, rounds in found.items()]
