"""Recorded sessions in, Facts out; and nothing that comes twice, late or cut does harm."""

from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cti.ami.calls import REMEMBERED
from cti.ami.protocol import Frame
from cti.ami.tracker import Tracker, unescaped
from cti.call import CALL_MOVES, CallState
from cti.events import CallArrived, CallEnded, CallerIdChanged, Fact, LegEnded, PhoneChanged, PhoneState
from cti.ids import CallId
from tests.transcripts import recorded

TRUNK = ("from-trunk", "offhook-demo-trunk")

# One word per Fact: "connected agent" is CallConnected with our agent's leg, "connected 1.67" with another channel.
STORIES = {
    "a_answered_agent_hangup": ["arrived", "connected 8", "parted 8", "ended agent 16"],
    "a_rona_x5": ["arrived", "ended system 0"],
    "appqueue_abandon": ["arrived", "ended caller 0"],
    "appqueue_answered": ["arrived", "connected 78", "parted 78", "ended agent 16"],
    "attended_transfer_middleware": [
        *("arrived", "ringing", "answered", "connected agent", "parted agent"),
        *("connected cti-cons", "leg ended 16", "parted cti-cons", "ended system 16"),
    ],
    "b_abandon_in_moh": ["arrived", "ended caller 0"],
    "b_abandon_while_ringing": ["arrived", "ringing", "ended system 16", "leg ended 0 NOANSWER"],
    "b_answered_bridge": [
        *("arrived", "ringing", "answered", "connected agent", "parted agent", "leg ended 16", "ended system 16"),
    ],
    "b_answered_bridgewait": [
        *("arrived", "ringing", "answered", "connected agent", "parted agent", "leg ended 16", "ended agent 16"),
    ],
    "b_answered_pick": [
        *("arrived", "ringing", "answered", "connected agent", "parted agent", "leg ended 16", "ended system 16"),
    ],
    "b_answered_redirect": [
        *("arrived", "ringing", "answered", "connected agent", "parted agent", "leg ended 16", "ended agent 16"),
    ],
    "blind_transfer": [
        *("arrived", "ringing", "answered", "connected agent", "parted agent", "leg ended 16"),
        *("connected 67", "parted 67", "ended system 16"),
    ],
    "out_answer": [],
    "out_busy": [],
    "out_noanswer": [],
    "webrtc_ns_jssip": ["arrived", "connected 1", "parted 1", "ended agent 16"],
    "webrtc_ns_sipjs": ["arrived", "connected 1", "parted 1", "ended agent 16"],
}
CALLS = [name for name, story in STORIES.items() if story]


def event(name: str, **headers: str) -> Frame:
    """An event as Asterisk would send it."""
    lines = [f"Event: {name}", *(f"{key}: {value}" for key, value in headers.items())]
    return Frame("\r\n".join(lines).encode(), name)


def told(frames: Iterable[Frame], tracker: Tracker | None = None) -> list[Fact]:
    """Every Fact, in order."""
    tracker = tracker or Tracker(TRUNK)
    return [fact for frame in frames for fact in tracker.receive(frame, 5.0)]


def story(facts: Iterable[Fact], name: str) -> list[str]:
    """The Facts about the recorded call as words; phones left out."""
    call, agent = recorded.call_of(name), recorded.agent_leg_of(name)
    words = []
    for fact in facts:
        if isinstance(fact, PhoneChanged):
            continue
        assert fact.call == call  # type: ignore[attr-defined]
        peer = getattr(fact, "peer", getattr(fact, "leg", ""))
        who = "agent" if peer == agent else peer.rpartition(".")[2]
        match type(fact).__name__:
            case "CallArrived":
                words.append("arrived")
            case "LegRinging" | "LegAnswered" as kind:
                assert who == "agent"
                words.append(kind.removeprefix("Leg").lower())
            case "CallConnected" | "CallParted" as kind:
                words.append(f"{kind.removeprefix('Call').lower()} {who}")
            case "LegEnded":
                words.append(f"leg ended {fact.cause} {fact.why}".strip())  # type: ignore[attr-defined]
            case "CallEnded":
                words.append(f"ended {fact.ended_by} {fact.cause}")  # type: ignore[attr-defined]
            case other:
                words.append(other)
    return words


def test_every_recording_has_its_story() -> None:
    """No recorded session lies unread in the folder."""
    assert set(STORIES) == set(recorded.NAMES)


@pytest.mark.parametrize("name", sorted(STORIES))
def test_a_recorded_session_tells_its_story(name: str) -> None:
    """What happened on the PBX is said once each, in order, and nothing else is said; at the end nobody is left."""
    tracker = Tracker(TRUNK)
    facts = told(recorded.events(name), tracker)
    assert story(facts, name) == STORIES[name]
    picture = tracker.picture().calls
    assert (picture.calls, picture.legs, picture.bridges) == ((), (), ())


@pytest.mark.parametrize("name", CALLS)
def test_facts_carry_asterisks_own_time(name: str) -> None:
    """`at` is the event's Timestamp: it never runs back by more than Asterisk's own threads do, and starts with the call."""
    facts = told(recorded.events(name))
    arrived = next(fact for fact in facts if isinstance(fact, CallArrived))
    assert 0 <= arrived.at - float(arrived.call.split(".")[0]) < 1.0
    assert all(abs(fact.at - arrived.at) < 60.0 for fact in facts)


def test_an_event_without_a_time_takes_the_readers() -> None:
    """Without `timestampevents` in manager.conf, a Fact happened when it was read."""
    (fact,) = told([event("DeviceStateChange", Device="PJSIP/ann", State="INUSE")])
    assert fact == PhoneChanged(at=5.0, phone="PJSIP/ann", state=PhoneState.IN_USE)
    (fact,) = told([event("DeviceStateChange", Timestamp="soon", Device="PJSIP/ann", State="RINGING")])
    assert fact == PhoneChanged(at=5.0, phone="PJSIP/ann", state=PhoneState.RINGING)


def test_what_arrived_says_who_calls_whom() -> None:
    """The caller's number, name, the number dialled and the channel's name are as the network gave them."""
    arrived = told(recorded.events("b_answered_pick"))[0]
    assert arrived == CallArrived(
        at=1795322658.578101,
        call=recorded.call_of("b_answered_pick"),
        leg=arrived.leg,  # type: ignore[attr-defined]
        channel="PJSIP/trunk-00000022",
        ani="0911222333",
        caller_name="Caller",
        dnis="1001",
        context="from-trunk",
    )


@pytest.mark.parametrize("word", ["<unknown>", "", "Anonymous", "anonymous", "Restricted", "unavailable"])
def test_a_withheld_number_is_no_number(word: str) -> None:
    """The words networks write in place of a number or a name are not numbers or names."""
    (arrived,) = told([newchannel("1.1", CallerIDNum=word, CallerIDName=word)])
    assert isinstance(arrived, CallArrived)
    assert (arrived.ani, arrived.caller_name) == ("", "")


def test_a_number_the_dialplan_finds_out_is_told() -> None:
    """A number set, or withheld, after the channel appeared is news once; of somebody else's channel it is none."""
    allowed, prohibited = "0 (Presentation Allowed, Not Screened)", "32 (Presentation Prohibited, Not Screened)"
    named = {"CallerIDNum": "0999", "CallerIDName": "Bob", "CID-CallingPres": allowed}
    frames = [
        newchannel("1.1"),
        event("NewCallerid", Uniqueid="1.1", **named),
        event("NewCallerid", Uniqueid="1.1", **named),
        event("NewCallerid", Uniqueid="9.9", **named),
        event("NewCallerid", Uniqueid="1.1", **named | {"CID-CallingPres": prohibited}),
    ]
    told_of = [(fact.ani, fact.caller_name) for fact in told(frames) if isinstance(fact, CallArrived | CallerIdChanged)]
    assert told_of == [("0911", "Ann"), ("0999", "Bob"), ("", "")]


def newchannel(leg: str, **headers: str) -> Frame:
    """A call from outside."""
    known = {"Channel": f"PJSIP/trunk-{leg}", "ChannelState": "4", "CallerIDNum": "0911", "CallerIDName": "Ann"}
    known |= {"Context": "from-trunk", "Exten": "1001", "Uniqueid": leg, "Linkedid": leg}
    return event("Newchannel", **(known | headers))


def bridge(name: str, leg: str, linkedid: str, room: str = "b1", technology: str = "simple_bridge") -> Frame:
    """A channel goes into a bridge, or out of it."""
    headers = {"BridgeUniqueid": room, "BridgeTechnology": technology, "Channel": f"PJSIP/x-{leg}"}
    return event(name, **headers, Uniqueid=leg, Linkedid=linkedid)


def test_the_caller_of_a_local_channel_is_its_far_half() -> None:
    """Both halves are in the trunk context; the one that runs the dialplan is the customer, under the shared Linkedid."""
    near = newchannel(
        "1.1", Channel="Local/1001@offhook-demo-trunk-1;1", ChannelState="0", Context="offhook-demo-trunk"
    )
    far = newchannel("1.2", Channel="Local/1001@offhook-demo-trunk-1;2", Context="offhook-demo-trunk", Linkedid="1.1")
    (arrived,) = told([near, far])
    assert isinstance(arrived, CallArrived)
    assert (arrived.call, arrived.leg) == ("1.1", "1.2")


def test_a_local_phone_is_heard_ringing_and_answering() -> None:
    """A Local channel does not change its own state to Ringing; the dial says it. Its far half is not a phone."""
    leg = "offhook-1.1-ann-1000"
    frames = [
        newchannel(leg, Channel="Local/ann@phones-1;1", ChannelState="0", Context="phones"),
        newchannel(f"{leg};2", Channel="Local/ann@phones-1;2", Context="phones", Linkedid=leg),
        event("Newstate", Uniqueid=f"{leg};2", ChannelState="6", Linkedid=leg),
        event("DialState", DestUniqueid=leg, DialStatus="RINGING"),
        event("DialEnd", DestUniqueid=leg, DialStatus="ANSWER"),
        event("Newstate", Uniqueid=leg, ChannelState="6", Linkedid=leg),
        event("Hangup", Uniqueid=f"{leg};2", Cause="16", Linkedid=leg),
        event("Hangup", Uniqueid=leg, Cause="16", Linkedid=leg),
    ]
    facts = told(frames)
    assert [type(fact).__name__ for fact in facts] == ["LegRinging", "LegAnswered", "LegEnded"]
    assert {fact.call for fact in facts} == {"1.1"}  # type: ignore[attr-defined]


BUSY = [
    event("DialEnd", DestUniqueid="offhook-1.1-ann-1", DialStatus="BUSY"),
    event("Hangup", Uniqueid="offhook-1.1-ann-1", Cause="17"),
    event("OriginateResponse", Response="Failure", Uniqueid="offhook-1.1-ann-1", Reason="0"),
]
NO_ANSWER = [
    event("OriginateResponse", Response="Failure", Uniqueid="offhook-1.1-ann-1", Reason="3"),
    event("Hangup", Uniqueid="offhook-1.1-ann-1", Cause="19"),
]
NO_CONTACT = [
    event("Hangup", Uniqueid="offhook-1.1-ann-1", Cause="20"),
    event("OriginateResponse", Response="Failure", Uniqueid="offhook-1.1-ann-1", Reason="0"),
]


@pytest.mark.parametrize(
    ("frames", "cause", "why"), [(BUSY, 17, "BUSY"), (NO_ANSWER, 19, "NOANSWER"), (NO_CONTACT, 20, "UNREACHABLE")]
)
def test_a_phone_that_did_not_answer_says_why(frames: list[Frame], cause: int, why: str) -> None:
    """Busy, no answer and away are told apart, once, though OriginateResponse says 0 for two of them."""
    facts = told([newchannel("offhook-1.1-ann-1", ChannelState="0", Context="from-agent"), *frames])
    assert facts == [LegEnded(at=5.0, call=CallId("1.1"), leg=facts[0].leg, cause=cause, why=why)]  # type: ignore[attr-defined]


def test_a_phone_that_does_not_exist_is_unreachable() -> None:
    """When Asterisk could not even make a channel, the failed Originate is the leg's end."""
    failed = event(
        "OriginateResponse", Response="Failure", Uniqueid="offhook-1.1-ann-1", Reason="0", Channel="PJSIP/no"
    )
    (fact,) = told([failed, failed])
    assert isinstance(fact, LegEnded)
    assert (fact.call, fact.why) == ("1.1", "UNREACHABLE")


def test_nobody_talks_in_a_holding_bridge() -> None:
    """Two callers parked in one holding bridge are not connected."""
    frames = [newchannel("1.1"), newchannel("1.2")]
    frames += [bridge("BridgeEnter", leg, leg, technology="holding_bridge") for leg in ("1.1", "1.2")]
    frames += [bridge("BridgeLeave", leg, leg, technology="holding_bridge") for leg in ("1.1", "1.2")]
    assert [type(fact).__name__ for fact in told(frames)] == ["CallArrived", "CallArrived"]


def test_two_bridges_poured_together_part_nobody() -> None:
    """BridgeMerge moves people who talk; the leaves and enters that follow it say nothing new."""
    frames = [newchannel("1.1"), bridge("BridgeEnter", "1.1", "1.1"), bridge("BridgeEnter", "9.9", "1.1")]
    merge = [event("BridgeMerge", FromBridgeUniqueid="b1", ToBridgeUniqueid="b2")]
    for leg in ("1.1", "9.9"):
        merge += [bridge("BridgeLeave", leg, "1.1"), bridge("BridgeEnter", leg, "1.1", "b2")]
    merge += [event("BridgeDestroy", BridgeUniqueid="b1")]
    tracker = Tracker(TRUNK)
    assert [type(fact).__name__ for fact in told(frames, tracker)] == ["CallArrived", "CallConnected"]
    assert told(merge, tracker) == []
    (parted,) = told([bridge("BridgeLeave", "9.9", "1.1", "b2")], tracker)
    assert type(parted).__name__ == "CallParted"


def test_two_calls_drawn_together_go_on_as_the_older() -> None:
    """When two customers are put through to one another, the younger call is merged, and the older ends once."""
    frames = [
        newchannel("1.1"),
        newchannel("2.1"),
        bridge("BridgeEnter", "1.1", "1.1"),
        bridge("BridgeEnter", "2.1", "1.1"),
        event("Hangup", Uniqueid="1.1", Linkedid="1.1", Cause="16"),
        event("Hangup", Uniqueid="2.1", Linkedid="1.1", Cause="16"),
    ]
    facts = told(frames)
    kinds = [type(fact).__name__ for fact in facts]
    assert kinds == ["CallArrived", "CallArrived", "CallMerged", "CallConnected", "CallParted", "CallEnded"]
    assert (facts[2].call, facts[2].into) == ("2.1", "1.1")  # type: ignore[attr-defined]
    assert {fact.call for fact in facts[3:]} == {"1.1"}  # type: ignore[attr-defined]


def test_a_masqueraded_customer_stays_the_customer() -> None:
    """The channel that takes over the customer's name is his leg from then on; the zombie's end is not the call's."""
    name = "PJSIP/trunk-1"
    frames = [
        newchannel("1.1", Channel=name),
        event("Rename", Uniqueid="1.1", Channel=name, Newname=f"{name}<MASQ>"),
        event("Rename", Uniqueid="1.2", Channel=f"AsyncGoto/{name}", Newname=name),
        event("Rename", Uniqueid="1.1", Channel=f"{name}<MASQ>", Newname=f"AsyncGoto/{name}<ZOMBIE>"),
        event("Hangup", Uniqueid="1.1", Linkedid="1.1", Cause="16"),
        event("Hangup", Uniqueid="1.2", Linkedid="1.1", Cause="16"),
    ]
    facts = told(frames)
    assert [type(fact).__name__ for fact in facts] == ["CallArrived", "ChannelRenamed", "CallEnded"]
    assert (facts[1].leg, facts[1].channel) == ("1.2", name)  # type: ignore[attr-defined]


def test_hold_is_said_when_it_begins_and_when_it_ends() -> None:
    """Hold twice is one hold, and the Unhold Asterisk sends before a transfer is nothing."""
    names = ("Unhold", "Hold", "Hold", "Unhold", "Unhold")
    facts = told([newchannel("1.1"), *(event(name, Uniqueid="1.1", Linkedid="1.1") for name in names)])
    assert [type(fact).__name__ for fact in facts[1:]] == ["CallHeld", "CallRetrieved"]


def test_a_caller_in_the_failsafe_queue_is_known() -> None:
    """Joining the dialplan's own queue is said once; joining somebody else's queue is not."""
    joins = [event("QueueCallerJoin", Queue=queue, Uniqueid="1.1") for queue in ("support", *["offhook-failsafe"] * 2)]
    facts = told([newchannel("1.1"), *joins])
    assert [type(fact).__name__ for fact in facts[1:]] == ["CallFailedSafe"]


def test_queues_and_lamps_are_no_phones() -> None:
    """Only devices with a technology are phones, and a state that did not change is not news."""
    devices = ["Queue:support", "Custom:night", "PJSIP/ann", "PJSIP/ann"]
    facts = told(event("DeviceStateChange", Device=device, State="UNAVAILABLE") for device in devices)
    assert facts == [PhoneChanged(at=5.0, phone="PJSIP/ann", state=PhoneState.UNREACHABLE)]


@given(st.sampled_from(CALLS), st.data())
@settings(max_examples=150, deadline=None)
def test_repeats_and_cuts_do_no_harm(name: str, data: st.DataObject) -> None:
    """From any point on, with any events repeated any distance later, no call ends twice and none goes an illegal way."""
    frames = [frame for frame in recorded.events(name) if frame.event in Tracker.WANTED]
    start = data.draw(st.integers(0, len(frames)))
    heard = list(enumerate(frames[start:]))
    again = data.draw(st.lists(st.sampled_from(heard or [(0, Frame(b""))]), max_size=20))
    for index, frame in again:
        heard.insert(data.draw(st.integers(min(index, len(heard)), len(heard))), (index, frame))
    tracker = Tracker(TRUNK)
    before: dict[CallId, CallState] = {}
    ended: Counter[CallId] = Counter()
    for _, frame in heard:
        for fact in tracker.receive(frame, 5.0):
            if isinstance(fact, CallEnded):
                ended[fact.call] += 1
        now = {call.call: call.state for call in tracker.picture().calls.calls}
        assert all(now[call] is was or now[call] in CALL_MOVES[was] for call, was in before.items() if call in now)
        before = now
    assert not ended or max(ended.values()) == 1


def test_ten_thousand_calls_leave_nothing_behind() -> None:
    """Memory is bounded by the calls that are up, also when their last words are lost now and then."""
    tracker = Tracker(TRUNK)
    frames = [frame for frame in recorded.messages("b_answered_pick") if frame[7:].split(b"\r\n")[0].decode() in WANTED]
    leg, agent = recorded.call_of("b_answered_pick").encode(), recorded.agent_leg_of("b_answered_pick").encode()
    ended = 0
    for number in range(10_000):
        call = b"17%08d.1" % number
        for raw in frames:
            frame = Frame(raw[:-4].replace(agent, b"offhook-%s-a1-1" % call).replace(leg, call).replace(b"3f48", call))
            ended += sum(isinstance(fact, CallEnded) for fact in tracker.receive(frame, 5.0))
    assert ended == 10_000
    assert tracker.picture().calls == type(tracker.picture().calls)()
    held = {name: len(value) for name, value in vars(tracker.calls).items() if hasattr(value, "__len__")}
    assert max(held.values()) <= REMEMBERED
    assert sum(held.values()) <= 2 * REMEMBERED


WANTED = Tracker.WANTED


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (r"Hugo D\'Angelo", "Hugo D'Angelo"),
        (r"\"Zo\\e\" \?", '"Zo\\e" ?'),
        (r"one\r\nAction: Logoff", "one  Action: Logoff"),
        ("Søren", "Søren"),
    ],
)
def test_a_name_is_read_as_it_was_before_asterisk_escaped_it(written: str, name: str) -> None:
    """Asterisk writes callers' names as C strings; on the screen they are names again, and never more than one line."""
    assert unescaped(written) == name
