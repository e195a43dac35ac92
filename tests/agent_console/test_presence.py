"""Which agents have a screen."""

from hypothesis import given
from hypothesis import strategies as st

from agent_console.presence import Presence
from cti.events import ConsoleLost
from cti.ids import SessionId
from tests.agent_console.floor import ANN, BEN, NOW

S = SessionId("s")


def test_a_reload_within_the_grace_changes_nothing() -> None:
    """The last tab goes and comes back in time: nobody is lost."""
    presence = Presence(15.0)
    presence.came(ANN, S, "browser", NOW)
    presence.went(ANN, S, NOW + 1)
    presence.came(ANN, S, "browser", NOW + 10)
    assert presence.wake(NOW + 100) == []
    assert presence.next_wake() is None


def test_the_last_tab_counts() -> None:
    """One of two tabs closed is nothing; the second one closed for the grace time is."""
    presence = Presence(15.0)
    presence.came(ANN, S, "browser", NOW)
    presence.came(ANN, S, "browser", NOW)
    presence.went(ANN, S, NOW)
    assert presence.wake(NOW + 100) == []
    presence.went(ANN, S, NOW + 100)
    assert presence.wake(NOW + 114.9) == []
    assert presence.wake(NOW + 115) == [ConsoleLost(at=NOW + 115, agent=ANN, session=S)]
    assert presence.wake(NOW + 200) == []


def test_who_was_here_before_the_restart_is_missed_unless_excused() -> None:
    """After a restart a browser has the grace time to come back; an agent at work without one is left alone."""
    presence = Presence(15.0)
    presence.miss(ANN, S, NOW)
    presence.miss(BEN, S, NOW)
    presence.excuse(BEN)
    assert presence.wake(NOW + 15) == [ConsoleLost(at=NOW + 15, agent=ANN, session=S)]


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 20)), max_size=30))
def test_lost_exactly_when_no_tab_was_there_for_the_grace(steps: list[tuple[bool, float]]) -> None:
    """For any coming and going of tabs: lost once for every gap of at least the grace time, else never."""
    presence, now, tabs, gone_since, lost, expected = Presence(15.0), NOW, 0, None, 0, 0
    for comes, pause in [*steps, (True, 100.0)]:
        now += pause
        lost += len(presence.wake(now))
        if gone_since is not None and now - gone_since >= 15.0:
            expected, gone_since = expected + 1, None
        if comes:
            presence.came(ANN, S, "browser", now)
            tabs, gone_since = tabs + 1, None
        elif tabs:
            presence.went(ANN, S, now)
            tabs -= 1
            gone_since = now if tabs == 0 else None
    assert lost == expected
