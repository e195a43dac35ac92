"""A clock that moves only when a test moves it."""


class HandClock:
    """`cti.clock.Clock` for tests; starts at a fixed instant so that a failing example can be read again."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        """Unix seconds, as the test has set them."""
        return self._now

    def advance(self, seconds: float) -> float:
        """Move on and return the new instant. Raises ValueError for a step back."""
        if seconds < 0:
            raise ValueError("time does not run backwards")
        self._now += seconds
        return self._now
