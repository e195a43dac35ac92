"""Time that never runs backwards, whatever becomes of the system's clock."""

import time

import pytest

from cti.clock import SteadyClock
from cti.testing import HandClock


def test_a_stepped_system_clock_makes_no_wait_negative(monkeypatch: pytest.MonkeyPatch) -> None:
    """`now` goes on by the monotonic clock; `drift_s` says how far the system's clock was stepped."""
    ticks = iter(float(tick) for tick in range(100, 200))
    wall = [1_800_000_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))
    monkeypatch.setattr(time, "time", lambda: wall[0])
    clock = SteadyClock()
    assert clock.now() == 1_800_000_001.0
    wall[0] -= 3600.0
    assert clock.now() == 1_800_000_002.0
    assert clock.drift_s() == -3603.0


def test_it_is_the_time_of_day() -> None:
    """Anchored at start: within a moment of the system's clock."""
    clock = SteadyClock()
    assert abs(clock.now() - time.time()) < 0.1
    assert abs(clock.drift_s()) < 0.1
    assert clock.now() <= clock.now()


def test_the_hand_clock_moves_forward_only() -> None:
    """Tests can't step back by mistake."""
    clock = HandClock(5.0)
    assert clock.advance(2.5) == clock.now() == 7.5
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-0.1)
