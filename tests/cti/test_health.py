"""Health: every part's latest word, and since when it says so."""

from cti.health import Health


def test_since_is_when_the_part_went_up_or_down() -> None:
    """The same word again, with another reason, keeps its time; a change has a new one."""
    health = Health()
    health.say("pbx", False, "not connected", 1.0)
    health.say("pbx", False, "login refused", 2.0)
    assert (health.parts["pbx"].since, health.parts["pbx"].why) == (1.0, "login refused")
    health.say("pbx", True, "synced", 3.0)
    assert health.parts["pbx"].since == 3.0


def test_ready_is_when_every_part_that_has_spoken_is_up() -> None:
    """One part that is down is enough not to be ready."""
    health = Health()
    health.say("database", True, "sqlite", 1.0)
    health.say("pbx", False, "away", 1.0)
    assert not health.is_ready()
    health.say("pbx", True, "back", 2.0)
    assert health.is_ready()
