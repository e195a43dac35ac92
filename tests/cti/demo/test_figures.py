"""What a demo has shown, counted from the Facts."""

from cti.bus.local import LocalBus
from cti.demo.figures import PopFigures, percentile
from cti.demo.show import is_sound
from cti.events import CallOffered, LegRinging, PopPainted
from cti.ids import AgentId, CallId, LegId, QueueId, leg_of_offer, offer_id

CALL, ANN, SALES = CallId("1.1"), AgentId("ann"), QueueId("sales")


def test_a_lead_is_from_the_painted_pop_to_the_ring() -> None:
    """The first version painted and the first ring count; what rang unpainted came too late; other legs are none of ours."""
    bus = LocalBus()
    figures = PopFigures(bus)
    for number, (painted, rang) in enumerate([(10.0, 10.1), (20.0, 20.3), (30.5, 30.4), (None, 40.0), (50.0, None)]):
        offer = offer_id(CALL, ANN, float(number))
        bus.publish(
            CallOffered(at=painted or 0.0, call=CALL, offer=offer, agent=ANN, queue=SALES, waited_s=0.0, why="")
        )
        for at in (painted, painted + 5) if painted else ():
            bus.publish(PopPainted(at=at, call=CALL, agent=ANN, offer=offer, version=1))
        for at in (rang, rang + 5) if rang else ():
            bus.publish(LegRinging(at=at, call=CALL, leg=leg_of_offer(offer)))
    bus.publish(LegRinging(at=1.0, call=CALL, leg=LegId("1.7")))
    assert figures.report() == {
        "shown": 4,
        "before_ring": 2,
        "lead_ms": {"p50": 100.0, "p95": -100.0, "p99": -100.0},
    }


def test_of_nothing_there_is_no_figure() -> None:
    """An invented zero would be a lie."""
    assert PopFigures(LocalBus()).report()["lead_ms"] == {"p50": None, "p95": None, "p99": None}
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 3.0
    assert percentile([1.0], 0.99) == 1.0


def test_a_demo_is_sound_only_without_any_fault() -> None:
    """Each of these alone spoils it; so does a demo in which nobody called."""
    good = {
        "calls": {"placed": 5},
        "cel": {"missing_contacts": 0, "duplicate_contacts": 0, "wrong_outcomes": 0},
        "stuck_agents": 0,
        "left_channels": 0,
    }
    assert is_sound(good)
    for part in ("missing_contacts", "duplicate_contacts", "wrong_outcomes"):
        assert not is_sound({**good, "cel": {**good["cel"], part: 1}})  # type: ignore[dict-item]
    assert not is_sound({**good, "stuck_agents": 1})
    assert not is_sound({**good, "left_channels": 1})
    assert not is_sound({**good, "calls": {"placed": 0}})
