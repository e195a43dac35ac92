"""What a connection's bytes become, however they were cut."""

import itertools
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.ami.protocol import Frame, Frames
from cti.errors import PeerError

STREAM = (
    "Asterisk Call Manager/9.0.0\r\n"
    "Response: Success\r\nActionID: a1\r\nMessage: Authentication accepted\r\n\r\n"
    "Event: Newchannel\r\nPrivilege: call,all\r\nChannel: PJSIP/trunk-00000022\r\nAccountCode: \r\n"
    "CallerIDName: Zoë: Müller \r\nUniqueid: 1795322658.37\r\n\r\n"
    "Event: Newstate\r\nChanVariable: A=1\r\nChanVariable: B=x: y\r\nNoSpace:here\r\n\r\n"
    "Event: CoreShowChannel\r\nActionID: a2\r\nUniqueid: 1.1\r\n\r\n"
    "Response: Success\r\nActionID: a3\r\nMessage: Command output follows\r\nOutput: one\r\nOutput: \r\n"
    "Output: two: three\r\n\r\n"
).encode() + b"Event: VarSet\r\nValue: a\xff\xe9b\r\n\r\n"


def cut(data: bytes, at: list[int]) -> list[bytes]:
    """`data` in pieces ending at these places."""
    places = [0, *sorted(at), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]


def read(pieces: list[bytes], wanted: frozenset[str] | None = None) -> list[Frame]:
    """Every frame of a connection that arrived in these pieces."""
    reader = Frames(wanted)
    return [frame for piece in pieces for frame in reader.feed(piece)]


def test_frames_of_a_stream() -> None:
    """Banner, empty values, colons in values, repeated headers, no space, bad UTF-8: nothing is lost or altered."""
    reader = Frames()
    login, newchannel, newstate, _, command, varset = reader.feed(STREAM)
    assert reader.banner == "Asterisk Call Manager/9.0.0"
    assert (login.event, login.response, login.get("ActionID")) == ("", "Success", "a1")
    assert newchannel.event == "Newchannel"
    assert newchannel.get("AccountCode", "none") == ""
    assert newchannel.get("CallerIDName") == "Zoë: Müller "
    assert newchannel.get("Nothing", "none") == "none"
    assert newstate.all("ChanVariable") == ["A=1", "B=x: y"]
    assert newstate.get("ChanVariable") == "A=1"
    assert newstate.get("NoSpace") == "here"
    assert command.all("Output") == ["one", "", "two: three"]
    assert varset.get("Value") == "a��b"
    assert varset.items() == [("Event", "VarSet"), ("Value", "a��b")]


@given(st.lists(st.integers(0, len(STREAM)), max_size=40))
def test_any_chunking_gives_the_same_frames(at: list[int]) -> None:
    """Where the network cuts, also inside a character or a CRLF, changes no frame."""
    assert read(cut(STREAM, at)) == read([STREAM])


def test_byte_by_byte() -> None:
    """One byte at a time is one more chunking."""
    assert read([bytes([byte]) for byte in STREAM]) == read([STREAM])


@given(st.lists(st.binary(max_size=60), max_size=30))
def test_no_bytes_break_the_reader(pieces: list[bytes]) -> None:
    """Whatever the peer sends, the reader answers with frames that can be read, the same ones for any chunking."""
    frames = read(pieces)
    assert frames == read([b"".join(pieces)])
    for frame in frames:
        assert frame.get("X", "none") is not None
        assert isinstance(frame.event + frame.response, str)


@given(
    st.lists(
        st.sampled_from([b"Event", b"A", b"a", b"AA", b":", b" ", b"x", b"\r\n", b"\xc3", b"\xa9", b"\r"]), max_size=25
    )
)
def test_one_header_and_all_headers_agree(pieces: list[bytes]) -> None:
    """Asking for one header finds what going through all of them finds first, whatever the bytes."""
    whole = Frame(b"".join(pieces), "")
    items = whole.items()
    for key in ("Event", "A", "a", "AA", "x", ""):
        assert whole.get(key, "none") == next((value for name, value in items if name == key), "none")
        assert whole.all(key) == [value for name, value in items if name == key]


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n:"), min_size=1, max_size=20)
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=40)


@given(st.lists(st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=8), max_size=6))
def test_what_was_written_is_read(messages: list[list[tuple[str, str]]]) -> None:
    """Headers come back in order with their values, untouched, spaces at the ends included."""
    stream = b"Banner/1\r\n" + b"".join(
        "".join(f"{name}: {value}\r\n" for name, value in message).encode() + b"\r\n" for message in messages
    )
    assert [frame.items() for frame in read([stream])] == messages


def test_unwanted_events_are_dropped_unread() -> None:
    """With names given, only those events come, and everything that answers somebody: responses and rows of lists."""
    names = [frame.event for frame in read([STREAM], frozenset({"Newchannel"}))]
    assert names == ["", "Newchannel", "CoreShowChannel", ""]


def test_a_stream_without_banner() -> None:
    """A proxy that greets with nothing loses no frame."""
    assert [frame.event for frame in read([b"Event: A\r\n", b"\r\n\r\n\r\nEvent: B\r\nX: 1\r\n\r\n"])] == ["A", "B"]


@pytest.mark.parametrize("size", [1, 7, 4096, 100_000])
@pytest.mark.parametrize("ending", [b"", b"\r\n\r\nEvent: B\r\n\r\n"])
def test_oversized_frames_are_refused(size: int, ending: bytes) -> None:
    """A frame past the bound ends the link, whether or not its end ever comes and however it arrives."""
    stream = b"Event: A\r\nX: " + b"x" * 3000 + ending
    reader = Frames(max_frame_bytes=1000)
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    with pytest.raises(PeerError, match="1000 bytes"):
        deque(map(reader.feed, pieces), maxlen=0)


def test_many_small_frames_in_one_read_are_no_oversized_frame() -> None:
    """The bound is on one frame, not on a burst."""
    assert len(Frames(max_frame_bytes=100).feed(b"Event: A\r\n\r\n" * 1000)) == 1000
