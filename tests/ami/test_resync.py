"""The truth again after a cut: what Asterisk lists against what we saw."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cti.ami.protocol import Frame
from cti.ami.resync import Difference, Reading, What, differences, infer, read
from cti.ami.tracker import Tracker
from cti.events import CallArrived, CallEnded, CallFailedSafe, EndedBy, Fact, LegAnswered, LegEnded, LegRinging
from tests.ami.replayed import ReplayedAsterisk
from tests.transcripts import recorded

TRUNK = ("from-trunk",)
CALLS = [name for name in recorded.NAMES if recorded.call_of(name)]
NOW = 1_800_000_000.0


def reading_of(asterisk: ReplayedAsterisk) -> Reading:
    """What Asterisk's lists say now."""
    return asyncio.run(read(asterisk))


def resync(tracker: Tracker, asterisk: ReplayedAsterisk) -> list[Fact]:
    """The difference, told; afterwards there must be none."""
    reading = reading_of(asterisk)
    facts = infer(tracker, reading, differences(tracker, reading), NOW)
    assert differences(tracker, reading) == frozenset()
    assert all(fact.inferred for fact in facts)
    return facts


def heard(frames: Sequence[Frame]) -> Tracker:
    """A tracker that heard these events."""
    tracker = Tracker(TRUNK)
    for frame in frames:
        tracker.receive(frame, NOW)
    return tracker


def channel(leg: str, **headers: str) -> dict[str, str]:
    """One line of CoreShowChannels: a caller waiting in the hold loop, unless told otherwise."""
    line = {"Uniqueid": leg, "Linkedid": leg, "Channel": f"PJSIP/trunk-{leg}", "ChannelState": "6", "BridgeId": ""}
    line |= {"CallerIDNum": "0911", "CallerIDName": "Ann", "Context": "offhook-hold", "Exten": "s"}
    return line | headers


def asterisk_with(*lines: dict[str, str]) -> ReplayedAsterisk:
    """An Asterisk with these channels."""
    asterisk = ReplayedAsterisk()
    asterisk.channels = {line["Uniqueid"]: line for line in lines}
    return asterisk


def kinds(facts: Sequence[Fact]) -> list[str]:
    """The names of the Facts."""
    return [type(fact).__name__ for fact in facts]


@given(st.sampled_from(CALLS), st.data())
@settings(max_examples=200, deadline=None)
def test_after_a_gap_the_picture_is_as_if_there_had_been_none(name: str, data: st.DataObject) -> None:
    """Whatever was missed, and whatever is told once more after the list was read, the picture is the uncut one's."""
    frames = recorded.events(name)
    arrival = next(at for at, frame in enumerate(frames) if frame.event == "Newchannel")
    cut = data.draw(st.integers(arrival + 1, len(frames)), "heard until")
    back = data.draw(st.integers(cut, len(frames)), "heard again from")
    listed = data.draw(st.integers(back, len(frames)), "list read at")
    tracker = heard(frames[:cut])
    resync(tracker, ReplayedAsterisk(frames[:listed]))
    assert tracker.picture() == heard(frames[:listed]).picture()
    for frame in frames[back:listed]:
        tracker.receive(frame, NOW)
    assert tracker.picture() == heard(frames[:listed]).picture()
    for frame in frames[listed:]:
        tracker.receive(frame, NOW)
    assert tracker.picture() == heard(frames).picture()


@given(st.sampled_from([name for name in CALLS if name not in ("blind_transfer", "b_answered_redirect")]), st.data())
@settings(max_examples=100, deadline=None)
def test_a_new_daemon_finds_every_caller(name: str, data: st.DataObject) -> None:
    """A daemon that starts in the middle of a call sees what one that was there all along sees.

    (Not after a transfer into a context of the site's own: such a caller can't be told from anybody else's call, unless an
    agent's leg is still there to name it.)
    """
    frames = recorded.events(name)
    start = data.draw(st.integers(0, len(frames)))
    tracker = Tracker(TRUNK)
    resync(tracker, ReplayedAsterisk(frames[:start]))
    assert tracker.picture() == heard(frames[:start]).picture()


@given(st.sampled_from(CALLS), st.data())
@settings(max_examples=100, deadline=None)
def test_no_call_ends_twice_over_a_gap(name: str, data: st.DataObject) -> None:
    """Ended by inference or by Asterisk's own word, never by both."""
    frames = recorded.events(name)
    cut, listed, again = sorted(data.draw(st.tuples(*[st.integers(0, len(frames))] * 3)))
    tracker = Tracker(TRUNK)
    facts = [fact for frame in frames[:cut] for fact in tracker.receive(frame, NOW)]
    facts += resync(tracker, ReplayedAsterisk(frames[:again]))
    facts += [fact for frame in frames[listed:] for fact in tracker.receive(frame, NOW)]
    assert sum(isinstance(fact, CallEnded) for fact in facts) <= 1


def test_a_waiting_caller_is_found() -> None:
    """He has arrived, as long ago as Asterisk says; what he dialled is not known any more in the hold loop."""
    tracker = Tracker(TRUNK)
    (arrived,) = resync(tracker, asterisk_with(channel("1.1")))
    assert isinstance(arrived, CallArrived)
    assert (arrived.at, arrived.call, arrived.ani, arrived.dnis) == (NOW - 60.0, "1.1", "0911", "")
    (arrived,) = resync(Tracker(TRUNK), asterisk_with(channel("1.1", Context="offhook-entry", Exten="1001")))
    assert isinstance(arrived, CallArrived)
    assert arrived.dnis == "1001"


def test_a_talk_is_found_with_both_its_sides() -> None:
    """Caller, agent's leg and their bridge: arrived, answered, connected."""
    agent = channel("offhook-1.1-ann-1", Context="offhook-pick", Linkedid="1.1", BridgeId="b")
    facts = resync(Tracker(TRUNK), asterisk_with(channel("1.1", BridgeId="b"), agent))
    assert sorted(kinds(facts)) == ["CallArrived", "CallConnected", "LegAnswered"]
    assert {fact.call for fact in facts} == {"1.1"}  # type: ignore[attr-defined]


def test_a_caller_named_by_an_agents_leg_is_found_anywhere() -> None:
    """In whatever context of the site he is, the leg of his offer says that he is a caller."""
    agent = channel("offhook-1.1-ann-1", Context="offhook-pick", Linkedid="1.1", BridgeId="b")
    facts = resync(Tracker(TRUNK), asterisk_with(channel("1.1", Context="sites-own", BridgeId="b"), agent))
    assert sorted(kinds(facts)) == ["CallArrived", "CallConnected", "LegAnswered"]


def test_a_local_caller_is_found_at_its_far_half() -> None:
    """Also when the agent's leg bears the near half's name: the near half is the caller's telephone, not his channel."""
    near = channel("1.1", Channel="Local/1001@from-trunk-1;1", Context="sites-callers")
    far = channel("1.2", Channel="Local/1001@from-trunk-1;2", Linkedid="1.1", BridgeId="b")
    agent = channel("offhook-1.1-ann-1", Context="offhook-pick", Linkedid="1.1", BridgeId="b")
    tracker = Tracker(TRUNK)
    resync(tracker, asterisk_with(near, far, agent))
    (call,) = tracker.picture().calls.calls
    assert (call.call, call.legs, call.talks) == ("1.1", ("1.2",), (("1.2", "offhook-1.1-ann-1"),))


def test_a_ringing_phone_is_found_ringing() -> None:
    """The leg of an offer names its call, whatever Linkedid it is under."""
    agent = channel("offhook-1.1-ann-1", Context="from-agent", ChannelState="5")
    facts = resync(Tracker(TRUNK), asterisk_with(agent))
    assert facts == [LegRinging(at=NOW, inferred=True, call=facts[0].call, leg=facts[0].leg)]  # type: ignore[attr-defined]
    assert facts[0].call == "1.1"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "line",
    [
        channel("1.1", Context="from-trunk", ApplicationData="(Outgoing Line)"),
        channel("1.1", Context="from-trunk", ChannelState="0"),
        channel("1.1", Context="from-internal"),
        channel("1.1", Channel="Local/1001@from-trunk-1;1", Context="from-trunk"),
        channel("offhook-1.1-ann-1;2", Context="from-trunk"),
    ],
)
def test_who_did_not_call_from_outside_is_no_caller(line: dict[str, str]) -> None:
    """Calls going out, calls inside and the far ends of Local channels are not customers."""
    assert resync(Tracker(TRUNK), asterisk_with(line)) == []


def test_a_caller_in_the_failsafe_is_found_there() -> None:
    """What the dialplan did while we were away is said."""
    facts = resync(Tracker(TRUNK), asterisk_with(channel("1.1", Context="offhook-failsafe")))
    assert kinds(facts) == ["CallArrived", "CallFailedSafe"]
    assert isinstance(facts[1], CallFailedSafe)


def test_a_call_that_is_gone_ended_by_nobody_in_particular() -> None:
    """How a call ended while we were away is not known, and not guessed."""
    tracker = Tracker(TRUNK)
    resync(tracker, asterisk_with(channel("1.1"), channel("offhook-1.1-ann-1", ChannelState="5")))
    facts = resync(tracker, asterisk_with())
    assert kinds(facts) == ["CallEnded", "LegEnded"]
    assert facts[0] == CallEnded(at=NOW, inferred=True, call=facts[0].call, ended_by=EndedBy.UNKNOWN)  # type: ignore[attr-defined]


def test_a_new_asterisk_has_none_of_the_old_ones_channels() -> None:
    """After a restart everybody is gone, and that is said of everybody once."""
    tracker = Tracker(TRUNK)
    agent = channel("offhook-1.1-ann-1", Context="offhook-pick", BridgeId="b")
    resync(tracker, asterisk_with(channel("1.1", BridgeId="b"), agent, channel("1.2")))
    facts = tracker.restarted(NOW)
    assert sorted(kinds(facts)) == ["CallEnded", "CallEnded", "CallParted", "LegEnded"]
    assert {fact.ended_by for fact in facts if isinstance(fact, CallEnded)} == {EndedBy.PBX_RESTART}
    assert tracker.picture() == Tracker(TRUNK).picture()


def test_a_missed_answer_is_made_up_for() -> None:
    """A leg that was ringing before the cut and is up after it was answered."""
    tracker = Tracker(TRUNK)
    resync(tracker, asterisk_with(channel("offhook-1.1-ann-1", ChannelState="5")))
    (fact,) = resync(tracker, asterisk_with(channel("offhook-1.1-ann-1")))
    assert isinstance(fact, LegAnswered)


def test_only_what_two_readings_say_is_believed() -> None:
    """A claim of one reading that the next one does not repeat is no difference."""
    tracker = Tracker(TRUNK)
    resync(tracker, asterisk_with(channel("1.1"), channel("1.2")))
    first = differences(tracker, reading_of(asterisk_with(channel("1.1"))))
    second = differences(tracker, reading_of(asterisk_with()))
    assert first & second == {Difference(What.GONE, "1.2")}


def test_announcers_in_a_bridge_are_nobody() -> None:
    """Asterisk's own channels in a conference are neither talked to nor missed."""
    announcer = channel("7.7", Channel="CBAnn/room-1", Context="default", BridgeId="b")
    assert kinds(resync(Tracker(TRUNK), asterisk_with(channel("1.1", BridgeId="b"), announcer))) == ["CallArrived"]


def test_an_ended_leg_is_not_found_again() -> None:
    """A list read just before a Hangup that has been heard since revives nobody."""
    asterisk = asterisk_with(channel("1.1"), channel("offhook-1.1-ann-1"))
    tracker = Tracker(TRUNK)
    resync(tracker, asterisk)
    for leg in asterisk.channels:
        raw = f"Event: Hangup\r\nUniqueid: {leg}\r\nLinkedid: 1.1\r\nCause: 16"
        facts = tracker.receive(Frame(raw.encode()), NOW)
        assert isinstance(facts[-1], CallEnded | LegEnded)
    assert differences(tracker, reading_of(asterisk)) == frozenset()
