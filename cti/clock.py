"""Time that never runs backwards.

`SteadyClock.now()` is Unix seconds anchored once at start and carried on by the monotonic clock, so a stepped system
clock can't make a wait negative. Deciders never see a clock at all: `now` is an argument.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Where services get `now` from."""

    def now(self) -> float:
        """Unix seconds, never smaller than before."""


class SteadyClock:
    """The system's clock as read at start, carried on by the monotonic clock."""

    def __init__(self) -> None:
        self._anchor = time.time() - time.monotonic()

    def now(self) -> float:
        """Unix seconds, never smaller than before."""
        return self._anchor + time.monotonic()

    def drift_s(self) -> float:
        """How far the system's clock has been stepped away since start, in seconds."""
        return time.time() - self.now()
