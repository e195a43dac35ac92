"""One browser's dialogue: greeting, live, behind, and back again, or closed.

              hello                      socket full
    GREETING -------> LIVE <---------------------------> BEHIND
                        ^   socket drained: the backlog,    |
                        |   or a snapshot when it is over   |  behind for SLOW_FOR_S
                        +-----------------------------------+--------> close 1013

Pure: it says what to send and when to close, it sends nothing. A browser that is behind costs at most `max_backlog` changes
(each key once, the latest) and is never waited for. Ahead of any change it gets what it missed before, so its numbers only
grow.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from agent_console.snapshot import Audience, Board, Change

SLOW_FOR_S = 10.0  # a browser this long behind is told to come again later
HELLO_WITHIN_S = 10.0  # a browser that says nothing is not kept
RATE_PER_S = 200.0  # messages a browser may send, in the long run
BURST = 1000.0  # and at once
ACK_COSTS = 0.1  # of a message: a busy wallboard is acknowledged often

MALFORMED = 1008
TOO_SLOW = 1013
SIGNED_OUT = 4401


@dataclass(frozen=True, slots=True)
class Close:
    """End this dialogue with this WebSocket close code; `why` is at most 123 bytes of ASCII."""

    code: int
    why: str


class State(StrEnum):
    """Where the dialogue is."""

    GREETING = "greeting"
    LIVE = "live"
    BEHIND = "behind"
    CLOSED = "closed"


class Session:
    """The dialogue with one browser. Times are Unix seconds."""

    def __init__(self, audience: Audience, max_backlog: int, now: float) -> None:
        self.audience = audience
        self.state = State.GREETING
        self.sent = 0
        self.acked = 0
        self._told = 0  # the highest change sent or kept
        self._max_backlog = max_backlog
        self._backlog: dict[str, Change] = {}
        self._is_over = False  # the backlog held too much: a snapshot will say it all
        self._replies: list[bytes] = []
        self._deadline: float | None = now + HELLO_WITHIN_S
        self._allowance = BURST
        self._heard_at = now

    # --- what the browser says ---

    def heard(self, now: float, costs: float = 1.0) -> Close | None:
        """The browser sent a message; Close when it sends too many."""
        self._allowance = min(BURST, self._allowance + (now - self._heard_at) * RATE_PER_S) - costs
        self._heard_at = now
        return self._close(MALFORMED, "too many messages") if self._allowance < 0 else None

    def hello(self, epoch: str | None, seq: int, board: Board, now: float) -> list[bytes] | Close:
        """What the browser missed since `seq` of `epoch`, or a snapshot when that can't be told."""
        if self.state is not State.GREETING:
            return self._close(MALFORMED, "hello twice")
        self.state, self._deadline = State.LIVE, None
        missed = board.since(seq, self.audience) if epoch == board.epoch else None
        if missed is None or len(missed) > self._max_backlog:
            return [self._snapshot(board, now)]
        self.sent = self._told = board.seq
        return [*(change.frame for change in missed), board.resumed(now)]

    def ack(self, seq: int) -> Close | None:
        """The browser has taken in everything up to `seq`; Close when it was never sent that."""
        if seq > self.sent:
            return self._close(MALFORMED, "ack of what was never sent")
        self.acked = max(self.acked, seq)
        return None

    @property
    def has_greeted(self) -> bool:
        """True after hello, until the end."""
        return self.state in (State.LIVE, State.BEHIND)

    # --- what there is to say ---

    def tell(self, changes: Sequence[Change], can_write: bool, now: float) -> list[bytes]:
        """The frames to send at once for these changes; [] when it may not see them, has them, or is behind."""
        if not self.has_greeted:
            return []
        news = [change for change in changes if change.seq > self._told and change.is_for(self.audience)]
        if not news:
            return []
        self._told = news[-1].seq
        if self.state is State.LIVE and can_write:
            self.sent = self._told
            return [change.frame for change in news]
        self._fall_behind(now)
        self._keep(news)
        return []

    def reply(self, frame: bytes, can_write: bool, now: float) -> list[bytes]:
        """The frames to send at once for an answer to the browser's own wish; kept in order while behind."""
        if not self.has_greeted:
            return []
        if self.state is State.LIVE and can_write:
            return [frame]
        self._fall_behind(now)
        if len(self._replies) < self._max_backlog:
            self._replies.append(frame)
        return []

    def drained(self, board: Board, now: float) -> list[bytes]:
        """The socket takes bytes again: everything missed, or a snapshot when that was too much."""
        if self.state is not State.BEHIND:
            return []
        self.state, self._deadline = State.LIVE, None
        replies, self._replies = self._replies, []
        backlog, self._backlog = self._backlog, {}
        if self._is_over:
            self._is_over = False
            return [self._snapshot(board, now), *replies]
        self.sent = self._told
        return [*(change.frame for change in backlog.values()), *replies]

    # --- time ---

    def next_wake(self) -> float | None:
        """When patience ends: with a browser that says no hello, or stays behind."""
        return self._deadline

    def wake(self, now: float) -> Close | None:
        """Close when patience has ended."""
        if self._deadline is None or now < self._deadline:
            return None
        if self.state is State.GREETING:
            return self._close(MALFORMED, "no hello")
        return self._close(TOO_SLOW, "too slow, come again later")

    def end(self) -> None:
        """The socket is gone."""
        self.state, self._deadline = State.CLOSED, None
        self._backlog.clear()
        self._replies.clear()

    def _close(self, code: int, why: str) -> Close:
        self.end()
        return Close(code, why)

    def _snapshot(self, board: Board, now: float) -> bytes:
        self.sent = self._told = board.seq
        return board.snapshot(self.audience, now)

    def _fall_behind(self, now: float) -> None:
        if self.state is State.LIVE:
            self.state, self._deadline = State.BEHIND, now + SLOW_FOR_S

    def _keep(self, news: Sequence[Change]) -> None:
        if self._is_over:
            return
        for change in news:
            self._backlog.pop(change.key, None)
            self._backlog[change.key] = change
        if len(self._backlog) > self._max_backlog:
            self._backlog.clear()
            self._is_over = True
