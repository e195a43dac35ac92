"""One connection to Asterisk's manager interface, from socket to frames and from actions to bytes.

The reader parses and hands over in order, at most a bounded number of frames per turn of the loop, so that a burst or a
slow tracker never leaves Asterisk facing a full socket (it cuts a reader that lags by 100 ms). Matches responses and
the rows of a list to the action that asked. Dies once; `AmiClient` makes the next one.
"""

import asyncio
import secrets
import socket
from collections import deque
from collections.abc import Callable
from typing import TypeVar, cast

import structlog

from cti.ami.action import Action, Verb
from cti.ami.protocol import Frame, Frames
from cti.clock import Clock
from cti.errors import PeerError, Unavailable

FRAMES_PER_TURN = 256
MAX_BACKLOG_FRAMES = 100_000
"""Frames read and not handed over. Past it the link is dropped and the truth read anew: better than a picture with holes."""

MAX_UNSENT_BYTES = 256 * 1024
"""Bytes of actions Asterisk has not taken. Past it actions are refused as Unavailable."""

MAX_LIST_ROWS = 200_000

T = TypeVar("T")

log = structlog.get_logger(__name__)


class ActionFailed(PeerError):
    """Asterisk answered `Response: Error`; `message` is its own word."""

    def __init__(self, verb: Verb, message: str) -> None:
        self.verb = verb
        self.message = message
        super().__init__(f"Asterisk refused {verb}: {message or 'no reason given'}")


class _Rows:
    """The rows of a list on their way."""

    def __init__(self, future: "asyncio.Future[list[Frame]]") -> None:
        self.future = future
        self.rows: list[Frame] = []


def _accepted(action: Action, frame: Frame) -> Frame:
    if frame.response == "Error":
        raise ActionFailed(action.verb, frame.get("Message"))
    return frame


class Link(asyncio.Protocol):
    """One connection. `over` is done, with the reason, when it has ended; nothing is sent or handed over after that."""

    def __init__(
        self, frames: Frames, on_frames: Callable[[list[Frame]], None], clock: Clock, silent_for_s: float
    ) -> None:
        loop = asyncio.get_running_loop()
        self.over: asyncio.Future[str] = loop.create_future()
        self.longest_lag_s = 0.0
        self._loop = loop
        self._frames = frames
        self._on_frames = on_frames
        self._clock = clock
        self._silent_for_s = silent_for_s
        self._transport: asyncio.Transport | None = None
        self._why = ""
        self._backlog: deque[tuple[float, list[Frame]]] = deque()
        self._backlog_frames = 0
        self._answers: dict[str, asyncio.Future[Frame]] = {}
        self._lists: dict[str, _Rows] = {}
        self._prefix = f"offhook-{secrets.token_hex(4)}-"
        self._mark = f"\r\nActionID: {self._prefix}".encode()
        self._count = 0

    # --- asyncio.Protocol ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self._transport = cast(asyncio.Transport, transport)
        if (sock := transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self._silent_for_s * 1000))

    def data_received(self, data: bytes) -> None:
        """Parse and hand over at once, or queue behind what waits already."""
        try:
            frames = self._frames.feed(data)
        except PeerError as exc:
            self.end(str(exc))
            return
        if not frames:
            return
        if not self._backlog and len(frames) <= FRAMES_PER_TURN:
            self._hand_over(frames)
            return
        self._backlog_frames += len(frames)
        if self._backlog_frames > MAX_BACKLOG_FRAMES:
            self.end(f"{self._backlog_frames} frames behind Asterisk")
            return
        if not self._backlog:
            self._loop.call_soon(self._work_off)
        now = self._clock.now()
        slices = range(0, len(frames), FRAMES_PER_TURN)
        self._backlog.extend((now, frames[at : at + FRAMES_PER_TURN]) for at in slices)

    def eof_received(self) -> bool:
        """Asterisk will send no more: a link that cannot answer is over."""
        self.end("Asterisk closed the connection")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone; whoever waits for an answer is told that its fate is unknown."""
        self.end(f"the connection broke: {exc}" if exc else "Asterisk closed the connection")

    # --- asking ----------------------------------------------------------------------------------------------------

    async def ask(self, action: Action, timeout_s: float) -> Frame:
        """Send once and wait for the response. Raises Unavailable (not sent, or fate unknown) or ActionFailed."""
        action_id = self._next_id()
        answer: asyncio.Future[Frame] = self._loop.create_future()
        self._answers[action_id] = answer
        try:
            self._write(action, action_id)
            return _accepted(action, await self._arrived(action, answer, timeout_s))
        finally:
            self._answers.pop(action_id, None)

    async def ask_list(self, action: Action, timeout_s: float) -> list[Frame]:
        """Send once and wait for every row of the list. Raises as `ask` does."""
        action_id = self._next_id()
        answer: asyncio.Future[Frame] = self._loop.create_future()
        rows: asyncio.Future[list[Frame]] = self._loop.create_future()
        self._answers[action_id] = answer
        self._lists[action_id] = _Rows(rows)
        try:
            self._write(action, action_id)
            until = self._loop.time() + timeout_s
            response = _accepted(action, await self._arrived(action, answer, timeout_s))
            if response.get("EventList").lower() != "start":
                return []
            return await self._arrived(action, rows, max(0.0, until - self._loop.time()))
        finally:
            self._answers.pop(action_id, None)
            self._lists.pop(action_id, None)
            rows.cancel()

    def end(self, why: str) -> None:
        """Drop the connection; the first reason given stays."""
        if self.over.done():
            return
        self._why = why
        self._backlog.clear()
        self._backlog_frames = 0
        self.over.set_result(why)
        for answer in self._answers.values():
            answer.cancel()
        for rows in self._lists.values():
            rows.future.cancel()
        if self._transport is not None:
            self._transport.abort()

    @property
    def lag_s(self) -> float:
        """Age of the oldest frame read and not handed over, in seconds; 0 when we are up to date."""
        return self._clock.now() - self._backlog[0][0] if self._backlog else 0.0

    # --- inside ----------------------------------------------------------------------------------------------------

    def _next_id(self) -> str:
        self._count += 1
        return f"{self._prefix}{self._count}"

    def _write(self, action: Action, action_id: str) -> None:
        if self._transport is None or self.over.done():
            raise Unavailable("Asterisk", f"{action.verb} not sent, {self._why or 'not connected'}")
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            raise Unavailable("Asterisk", f"{action.verb} not sent, Asterisk takes no more actions")
        self._transport.write(action.to_bytes(action_id))

    async def _arrived(self, action: Action, future: "asyncio.Future[T]", timeout_s: float) -> T:
        # Not asyncio.timeout: after a stalled loop both are due at once, and the answer that is there must win.
        await asyncio.wait({future}, timeout=timeout_s)
        if future.cancelled():
            raise Unavailable("Asterisk", f"the fate of {action.verb} is unknown, {self._why}")
        if not future.done():
            raise Unavailable("Asterisk", f"the fate of {action.verb} is unknown, no answer for {timeout_s:g} s")
        return future.result()

    def _work_off(self) -> None:
        if not self._backlog:
            return
        self.longest_lag_s = max(self.longest_lag_s, self.lag_s)
        _, frames = self._backlog.popleft()
        self._backlog_frames -= len(frames)
        self._hand_over(frames)
        if self._backlog:
            self._loop.call_soon(self._work_off)

    def _hand_over(self, frames: list[Frame]) -> None:
        events = [frame for frame in frames if frame.event]
        if self._lists:
            events = [frame for frame in events if self._mark not in frame.raw or not self._take_row(frame)]
        if events:
            try:
                self._on_frames(events)
            except Exception:
                log.exception("frames not taken, reading the truth anew", frames=len(events))
                self.end("our own reader of events failed")
                return
        for frame in frames:
            if not frame.event:
                self._take_answer(frame)

    def _take_answer(self, frame: Frame) -> None:
        answer = self._answers.get(frame.get("ActionID"))
        if answer is not None and not answer.done():
            answer.set_result(frame)

    def _take_row(self, frame: Frame) -> bool:
        wanted = self._lists.get(frame.get("ActionID"))
        if wanted is None:
            return False
        ending = frame.get("EventList")
        if wanted.future.done():
            return True
        if ending == "Complete":
            wanted.future.set_result(wanted.rows)
        elif ending:
            wanted.future.set_exception(PeerError(f"Asterisk broke off a list: {ending}"))
        elif len(wanted.rows) >= MAX_LIST_ROWS:
            wanted.future.set_exception(PeerError(f"Asterisk sent a list of more than {MAX_LIST_ROWS} rows"))
        else:
            wanted.rows.append(frame)
        return True
