"""One browser's dialogue: resume, falling behind, patience."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent_console.roles import Role
from agent_console.session import BURST, HELLO_WITHIN_S, SLOW_FOR_S, Close, Session, State
from agent_console.snapshot import Audience, Board, Change
from cti.events import QueueLineChanged, WaitingLineChanged, WaitingLineGone
from cti.ids import CallId
from tests.agent_console.floor import ANN, NOW, SALES, SITE, pop, queue_line, shown, waiting_line

SUPERVISOR = Audience(Role.SUPERVISOR)


def board() -> Board:
    return Board(SITE, "this-run", NOW)


def waits(on: Board, *numbers: int) -> list[Change]:
    """These contacts wait now."""
    for n in numbers:
        call = CallId(f"17.{n}")
        on.receive(WaitingLineChanged(at=NOW, call=call, line=waiting_line(call)))
    return on.wake(NOW)


def live(on: Board, audience: Audience = SUPERVISOR, max_backlog: int = 8) -> Session:
    session = Session(audience, max_backlog, NOW)
    frames = session.hello(None, 0, on, NOW)
    assert isinstance(frames, list)
    assert json.loads(frames[0])["type"] == "snapshot"
    return session


class Screen:
    """What a browser makes of the messages it gets."""

    def __init__(self) -> None:
        self.view: dict[str, Any] = {}
        self.seq = 0

    def take(self, frames: list[bytes]) -> None:
        for frame in frames:
            message = json.loads(frame)
            if message["type"] == "snapshot":
                self.view = message["view"]
            elif message["type"] == "put":
                assert message["seq"] > self.seq
                self.view[message["key"]] = message["value"]
            elif message["type"] == "drop":
                assert message["seq"] > self.seq
                self.view.pop(message["key"], None)
            self.seq = max(self.seq, message.get("seq", 0))


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["come", "go", "drain", "again"]), st.integers(0, 20), st.booleans()), max_size=60
    ),
    max_backlog=st.integers(1, 12),
)
def test_a_browser_that_stalls_at_will_shows_the_truth_in_the_end(
    steps: list[tuple[str, int, bool]], max_backlog: int
) -> None:
    """However the socket stalls and drains, the screen ends as a fresh snapshot, with numbers that only grow."""
    on, screen = board(), Screen()
    session = Session(SUPERVISOR, max_backlog, NOW)
    frames = session.hello(None, 0, on, NOW)
    assert isinstance(frames, list)
    screen.take(frames)
    last: list[Change] = []
    for what, n, can_write in steps:
        call = CallId(f"17.{n}")
        if what == "drain":
            screen.take(session.drained(on, NOW))
            continue
        if what == "come":
            on.receive(WaitingLineChanged(at=NOW, call=call, line=waiting_line(call)))
        elif what == "go":
            on.receive(WaitingLineGone(at=NOW, call=call))
        changes = last if what == "again" else on.wake(NOW)  # a broadcast may reach a session twice
        last = changes
        screen.take(session.tell(changes, can_write, NOW))
        assert len(session._backlog) <= max_backlog
    screen.take(session.drained(on, NOW))
    assert screen.view == {key: json.loads(value) for key, value in on.picture(SUPERVISOR).items()}


def test_a_reconnect_in_the_same_run_replays_what_was_missed() -> None:
    """The browser keeps its map: only what it missed comes, and then the word that it is true again."""
    on = board()
    waits(on, 1, 2)
    seq = on.seq
    waits(on, 3)
    frames = Session(SUPERVISOR, 8, NOW).hello("this-run", seq, on, NOW)
    assert isinstance(frames, list)
    assert [json.loads(frame)["type"] for frame in frames] == ["put", "resumed"]
    assert json.loads(frames[0])["key"] == "waiting/17.3"


def test_another_run_or_a_number_never_given_gets_a_snapshot() -> None:
    """A sequence number means nothing after a restart, and none is believed that was never given."""
    on = board()
    waits(on, 1)
    for epoch, seq in (("former-run", 1), ("this-run", on.seq + 1), (None, 0)):
        frames = Session(SUPERVISOR, 8, NOW).hello(epoch, seq, on, NOW)
        assert isinstance(frames, list)
        assert [json.loads(frame)["type"] for frame in frames] == ["snapshot"]


def test_too_far_behind_gets_a_snapshot() -> None:
    """More missed than one browser's backlog may hold is said by a snapshot."""
    on = board()
    waits(on, *range(9))
    frames = Session(SUPERVISOR, 8, NOW).hello("this-run", 0, on, NOW)
    assert isinstance(frames, list)
    assert json.loads(frames[0])["type"] == "snapshot"


def test_behind_one_key_is_kept_once() -> None:
    """A browser behind costs its keys, not the changes: it gets the last of each."""
    on = board()
    session = live(on)
    for waiting in range(100):
        on.receive(QueueLineChanged(at=NOW, line=queue_line(SALES, waiting)))
        assert session.tell(on.wake(NOW), False, NOW) == []
    (frame,) = session.drained(on, NOW)
    assert json.loads(frame)["value"]["waiting"] == 99


def test_a_backlog_that_overflows_becomes_a_snapshot() -> None:
    """Past max_backlog nothing more is kept; the socket drains into one snapshot, answers after it."""
    on = board()
    session = live(on)
    session.tell(waits(on, *range(20)), False, NOW)
    session.reply(b'{"type":"done","id":"1"}', False, NOW)
    frames = session.drained(on, NOW)
    assert [json.loads(frame)["type"] for frame in frames] == ["snapshot", "done"]
    assert session.state is State.LIVE


def test_a_browser_that_stays_slow_is_closed() -> None:
    """Behind for the whole patience: told to come again later; drained in time: nothing happens."""
    on = board()
    slow, quick = live(on), live(on)
    changes = waits(on, 1)
    slow.tell(changes, False, NOW)
    quick.tell(changes, False, NOW)
    quick.drained(on, NOW + 1)
    assert slow.wake(NOW + SLOW_FOR_S - 0.1) is None
    assert slow.wake(NOW + SLOW_FOR_S) == Close(1013, "too slow, come again later")
    assert quick.wake(NOW + SLOW_FOR_S) is None
    assert slow.tell(waits(on, 2), True, NOW) == []


def test_silence_hello_twice_and_a_false_ack_end_it() -> None:
    """A browser that says nothing, greets twice, or acknowledges what it never got is closed as malformed."""
    on = board()
    silent = Session(SUPERVISOR, 8, NOW)
    silenced = silent.wake(NOW + HELLO_WITHIN_S)
    assert silenced is not None
    assert silenced.code == 1008
    twice = live(on).hello(None, 0, on, NOW)
    assert isinstance(twice, Close)
    assert twice.code == 1008
    session = live(on)
    assert session.ack(on.seq) is None
    false_ack = session.ack(on.seq + 1)
    assert false_ack is not None
    assert false_ack.code == 1008


def test_messages_are_rationed() -> None:
    """A burst is taken, a flood is closed, and the ration comes back with time."""
    session = live(board())
    assert all(session.heard(NOW) is None for _ in range(int(BURST)))
    assert session.heard(NOW + 1) is None
    closes = [session.heard(NOW + 1) for _ in range(int(BURST))]
    assert Close(1008, "too many messages") in closes


def test_nothing_is_told_before_hello() -> None:
    """A socket that has not greeted sees nothing."""
    on = board()
    on.admit(Audience(Role.AGENT, ANN))
    session = Session(Audience(Role.AGENT, ANN), 8, NOW)
    assert session.tell(on.receive(shown(pop("17.1"))), True, NOW) == []
    assert session.reply(b"{}", True, NOW) == []
