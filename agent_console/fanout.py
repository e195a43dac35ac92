"""Every connected browser, and how changes reach them: one agent's at once, everybody's in chunks with the loop let go between.

It holds sockets and sessions, and no rule: what to send is the session's to say, who may see what the board's.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import Counter, Gauge

from agent_console.session import Close, Session
from agent_console.snapshot import Board, Change
from agent_console.store import SignedIn
from cti.clock import Clock
from cti.ids import AgentId

CHUNK = 50  # sockets written between two turns of the loop: about a millisecond

BROWSERS = Gauge("offhook_console_browsers", "Browsers connected")
PUSHES = Counter("offhook_console_frames_total", "Messages pushed to browsers")
CLOSED = Counter("offhook_console_closed_total", "Browsers closed by us", ["code"])


class Socket(Protocol):
    """The way out to one browser (`push.PushProtocol`)."""

    @property
    def can_write(self) -> bool:
        """True while it takes more without piling up."""

    def push(self, frames: Sequence[bytes]) -> None:
        """Write at once."""

    def shut(self, code: int, why: str) -> None:
        """Close."""


@dataclass(eq=False, slots=True)
class Browser:
    """One connected browser: who signed in, the dialogue, the socket."""

    signed_in: SignedIn
    session: Session
    socket: Socket


class Fanout:
    """All browsers of this process."""

    def __init__(self, board: Board, clock: Clock) -> None:
        self._board = board
        self._clock = clock
        self._browsers: dict[Browser, None] = {}
        self._of_agent: dict[AgentId, list[Browser]] = {}
        self._broadcast: dict[bool, Sequence[Change]] = {
            False: (),
            True: (),
        }  # under way, by whether one sees the floor
        self._pushed = 0  # since the last wake; a counter is dear on the way of a pop

    def browsers(self) -> list[Browser]:
        """Everybody who is here now."""
        return list(self._browsers)

    def add(self, browser: Browser) -> None:
        """This browser is here."""
        self._browsers[browser] = None
        agent = browser.signed_in.user.agent
        if agent is not None:
            self._of_agent.setdefault(agent, []).append(browser)
        BROWSERS.set(len(self._browsers))

    def remove(self, browser: Browser) -> None:
        """This browser is gone."""
        self._browsers.pop(browser, None)
        browser.session.end()
        agent = browser.signed_in.user.agent
        if agent is not None and browser in self._of_agent.get(agent, ()):
            self._of_agent[agent].remove(browser)
            if not self._of_agent[agent]:
                del self._of_agent[agent]
        BROWSERS.set(len(self._browsers))

    def tell(self, changes: Sequence[Change]) -> None:
        """Changes that concern one agent: to her screens, at once."""
        for change in changes:
            for browser in self._of_agent.get(change.agent, ()) if change.agent is not None else ():
                self._tell(browser, [*self._broadcast[browser.session.audience.sees_floor], change])

    async def broadcast(self, changes: Sequence[Change]) -> None:
        """Changes for everybody, a chunk of browsers at a time.

        A browser that is told something else meanwhile gets these first, so its numbers only grow.
        """
        # Split once, not for each of a thousand browsers: most changes of a busy floor are for the few who see it.
        for_all = [change for change in changes if not change.is_floor]
        self._broadcast = {False: for_all, True: changes}
        for n, browser in enumerate(self.browsers(), start=1):
            if news := self._broadcast[browser.session.audience.sees_floor]:
                self._tell(browser, news)
            if n % CHUNK == 0:
                await asyncio.sleep(0)
        self._broadcast = {False: (), True: ()}

    def drained(self, browser: Browser) -> None:
        """This browser's socket takes bytes again."""
        self._push(browser, browser.session.drained(self._board, self._clock.now()))

    def reply(self, browser: Browser, frame: bytes) -> None:
        """Answer this browser."""
        self._push(browser, browser.session.reply(frame, browser.socket.can_write, self._clock.now()))

    def greet(self, browser: Browser, frames: Sequence[bytes]) -> None:
        """The first frames of a dialogue."""
        self._push(browser, frames)

    def close(self, browser: Browser, close: Close) -> None:
        """End this browser's dialogue."""
        CLOSED.labels(str(close.code)).inc()
        browser.session.end()
        browser.socket.shut(close.code, close.why)

    def wake(self, now: float) -> None:
        """Close those patience has ended with."""
        PUSHES.inc(self._pushed)
        self._pushed = 0
        for browser in self.browsers():
            close = browser.session.wake(now)
            if close is not None:
                self.close(browser, close)

    def _tell(self, browser: Browser, changes: Sequence[Change]) -> None:
        self._push(browser, browser.session.tell(changes, browser.socket.can_write, self._clock.now()))

    def _push(self, browser: Browser, frames: Sequence[bytes]) -> None:
        if frames:
            self._pushed += len(frames)
            browser.socket.push(frames)
