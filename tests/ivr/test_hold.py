"""Callers in the hold loop: nobody is told of twice, nobody forgotten, nobody's talk is cut."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cti.events import CallConnected, CallEnded, CallMerged, CallQueued, EndedBy, PbxSynced
from cti.ids import CallId, LegId, QueueId
from ivr.hold import CameBy, Disarm, FailSafe, Hold, KeepWaiting, SayFarewell, SessionClosed, SessionOpened

CALL = CallId("1700.1")
VISIT = CameBy(
    call=CALL,
    channel="PJSIP/trunk-1",
    queue=QueueId("sales"),
    is_queue_known=True,
    since=950.0,
    is_served=False,
    language="es",
    priority=10,
    reason="order",
    ani="+15551234567",
)
QUEUED = CallQueued(at=950.0, call=CALL, queue=QueueId("sales"), channel="PJSIP/trunk-1", language="es")
CONNECTED = CallConnected(at=1000.0, call=CALL, leg=LegId("1700.1"), peer=LegId("agent"))


def test_a_waiting_caller_goes_back_to_the_music() -> None:
    """Who is known to wait is not told of again."""
    hold = Hold()
    hold.receive(QUEUED, 950.0)
    assert hold.receive(VISIT, 1000.0) == [KeepWaiting()]
    assert hold.receive(VISIT, 1030.0) == [KeepWaiting()]


def test_after_a_restart_the_caller_keeps_the_place() -> None:
    """A waiting caller this process never heard of is told to all with what the channel carries, once."""
    hold = Hold()
    assert hold.receive(VISIT, 1000.0) == [
        CallQueued(
            at=950.0,
            inferred=True,
            call=CALL,
            queue=QueueId("sales"),
            channel="PJSIP/trunk-1",
            language="es",
            priority=10,
            reason="order",
            ani="+15551234567",
        ),
        KeepWaiting(),
    ]
    assert hold.receive(VISIT, 1030.0) == [KeepWaiting()]


@given(st.one_of(st.none(), st.floats(allow_nan=False)))
def test_a_spoilt_time_is_now(since: float | None) -> None:
    """A wait that began in the future, or days ago, begins now."""
    told = Hold().receive(replace(VISIT, since=since), 1_000_000.0)[0]
    assert isinstance(told, CallQueued)
    assert 1_000_000.0 - 86_400.0 <= told.at <= 1_000_000.0


def test_after_the_talk_comes_the_farewell() -> None:
    """The channel says that an agent served the caller, or we saw it ourselves; either is enough."""
    assert Hold().receive(replace(VISIT, is_served=True), 1000.0) == [SayFarewell()]
    hold = Hold()
    hold.receive(QUEUED, 950.0)
    hold.receive(CONNECTED, 1000.0)
    assert hold.receive(VISIT, 1100.0) == [SayFarewell()]
    restarted = Hold()
    restarted.receive(PbxSynced(at=1.0, calls=(CALL,), talking=(CALL,)), 1000.0)
    assert restarted.receive(VISIT, 1100.0) == [SayFarewell()]


def test_a_queue_nobody_knows_is_the_dialplans() -> None:
    """A caller for a queue that was taken out of the site goes to the failsafe."""
    (order,) = Hold().receive(replace(VISIT, is_queue_known=False), 1000.0)
    assert isinstance(order, FailSafe)


def test_a_talk_that_begins_near_a_session_is_not_cut() -> None:
    """The time limit is cleared when the agent's bridge meets an open session, or one that closed just before."""
    hold = Hold()
    hold.receive(SessionOpened(CALL, "1700.1"), 990.0)
    assert hold.receive(CONNECTED, 991.0) == [Disarm("1700.1")]
    hold.receive(SessionClosed(CALL), 992.0)
    assert hold.receive(CONNECTED, 996.0) == [Disarm("1700.1")]
    assert hold.receive(CONNECTED, 998.0) == []


def test_a_call_that_is_over_is_forgotten() -> None:
    """Ends, merges and resyncs leave nothing behind."""
    hold = Hold()
    hold.receive(QUEUED, 950.0)
    hold.receive(CallEnded(at=960.0, call=CALL, ended_by=EndedBy.CALLER), 960.0)
    assert hold.picture().known == 0
    hold.receive(QUEUED, 950.0)
    hold.receive(CallMerged(at=960.0, call=CALL, into=CallId("1600.1")), 960.0)
    assert hold.picture().waiting == ("1600.1",)
    hold.receive(PbxSynced(at=970.0, calls=()), 970.0)
    assert hold.picture().known == 0
    hold.receive(SessionClosed(CALL), 980.0)
    assert hold.picture().known == 0
    assert hold.next_wake() is None
    assert hold.wake(1.0) == []
