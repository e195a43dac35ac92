"""One WebSocket from the handshake to its end: who it is, hello, what the browser says, what it asks to be done.

Painted and ack are taken in at once; wishes are carried out one after the other by a worker of this socket, so a slow answer
delays nobody's ring. A malformed message ends the dialogue with a reason.
"""

import asyncio
from typing import Any, Protocol

import structlog
from pydantic import TypeAdapter, ValidationError
from starlette.requests import cookie_parser
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from agent_console.actions import request_for
from agent_console.api.messages import Ack, ClientMessage, Do, Done, Hello, Painted
from agent_console.api.messages import Refused as RefusedMessage
from agent_console.api.problem import problem
from agent_console.fanout import Browser, Fanout
from agent_console.login import COOKIE, Login
from agent_console.push import DOOR
from agent_console.roles import Action, may
from agent_console.session import ACK_COSTS, MALFORMED, Close, Session
from agent_console.snapshot import Audience, Board
from agent_console.store import SignedIn
from cti.clock import Clock
from cti.errors import CtiError, Refused
from cti.requests import Request

log = structlog.get_logger()

MAX_WISHES = 32  # wishes of one browser waiting to be carried out; one more is refused "busy"
LAST_WISHES_S = 5.0  # what was asked just before leaving is still carried out, within this

_MESSAGE: TypeAdapter[ClientMessage] = TypeAdapter(ClientMessage)


class Floor(Protocol):
    """What the room does for a browser."""

    async def carry_out(self, browser: Browser, request: Request[Any]) -> None:
        """Ask whoever answers. Raises CtiError."""

    def greeted(self, browser: Browser, client: str) -> None:
        """This browser said hello and has its view."""

    def painted(self, browser: Browser, offer: str, version: int) -> None:
        """This browser has the pop on its screen."""

    def left(self, browser: Browser, had_greeted: bool) -> None:
        """This browser is gone."""


class Reception:
    """The WebSocket endpoint."""

    def __init__(
        self, login: Login, board: Board, fanout: Fanout, floor: Floor, clock: Clock, max_backlog: int
    ) -> None:
        self._login = login
        self._board = board
        self._fanout = fanout
        self._floor = floor
        self._clock = clock
        self._max_backlog = max_backlog

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        websocket = WebSocket(scope, receive, send)
        cookies = cookie_parser(websocket.headers.get("cookie", ""))
        signed_in = await self._who(cookies.get(COOKIE, ""))
        if signed_in is None:
            await problem(401, "Sign in first.", "not-signed-in")(scope, receive, send)
        elif not may(signed_in.user.role, Action.WATCH_OWN):
            await problem(403, "Your role does not allow this.", "forbidden")(scope, receive, send)
        else:
            try:
                await websocket.accept()
            except WebSocketDisconnect:
                return  # gone before we could say yes
            await self._talk(websocket, signed_in)

    async def _who(self, token: str) -> SignedIn | None:
        try:
            return await self._login.who(token)
        except CtiError as exc:
            log.warning("sign-in could not be looked up", error=str(exc))
            return None

    async def _talk(self, websocket: WebSocket, signed_in: SignedIn) -> None:
        socket = websocket.scope["extensions"][DOOR]
        audience = Audience(signed_in.user.role, signed_in.user.agent)
        browser = Browser(signed_in, Session(audience, self._max_backlog, self._clock.now()), socket)
        socket.on_drained = lambda: self._fanout.drained(browser)
        self._fanout.add(browser)
        wishes: asyncio.Queue[Do | None] = asyncio.Queue(MAX_WISHES + 1)
        worker = asyncio.create_task(self._carry_out(browser, wishes))
        had_greeted = False
        try:
            while (text := await _next_text(websocket)) is not None:
                close = self._take(browser, text, wishes)
                if close is not None:
                    self._fanout.close(browser, close)
                    break
                had_greeted = True  # whatever comes before hello ends the dialogue
        finally:
            self._fanout.remove(browser)
            self._floor.left(browser, had_greeted)
            await _let_end(worker, wishes)

    def _take(self, browser: Browser, text: str, wishes: asyncio.Queue[Do | None]) -> Close | None:
        now = self._clock.now()
        try:
            message = _MESSAGE.validate_json(text)
        except ValidationError as exc:
            where = ".".join(str(part) for part in exc.errors()[0]["loc"])
            return Close(MALFORMED, f"malformed message: {where}".encode("ascii", "replace").decode()[:120])
        close = browser.session.heard(now, ACK_COSTS if isinstance(message, Ack) else 1.0)
        if close is not None or isinstance(message, Hello):
            return close or self._greet(browser, message, now)
        if not browser.session.has_greeted:
            return Close(MALFORMED, "say hello first")
        if isinstance(message, Ack):
            return browser.session.ack(message.seq)
        if isinstance(message, Painted):
            self._floor.painted(browser, message.offer, message.version)
        elif wishes.qsize() >= MAX_WISHES:
            self._refuse(browser, message.id, "busy", "Too many wishes at once.")
        else:
            wishes.put_nowait(message)
        return None

    def _greet(self, browser: Browser, hello: Any, now: float) -> Close | None:
        self._board.admit(browser.session.audience)
        frames = browser.session.hello(hello.epoch, hello.seq, self._board, now)
        if isinstance(frames, Close):
            return frames
        self._fanout.greet(browser, frames)
        self._floor.greeted(browser, hello.client)
        return None

    async def _carry_out(self, browser: Browser, wishes: asyncio.Queue[Do | None]) -> None:
        while (wish := await wishes.get()) is not None:
            try:
                await self._floor.carry_out(browser, request_for(wish.action, browser.session.audience))
            except Refused as exc:
                self._refuse(browser, wish.id, exc.code, exc.why)
            except CtiError as exc:
                self._refuse(browser, wish.id, "unavailable", str(exc))
            except Exception:  # the asker must hear that it failed; the log line wakes a person
                log.exception("a wish failed", action=wish.action.name)
                self._refuse(browser, wish.id, "internal", "The server made a mistake; its log says which.")
            else:
                self._fanout.reply(browser, Done(type="done", id=wish.id).model_dump_json().encode())

    def _refuse(self, browser: Browser, wish: str, code: str, why: str) -> None:
        refused = RefusedMessage(type="refused", id=wish, code=code, why=why)
        self._fanout.reply(browser, refused.model_dump_json().encode())


async def _let_end(worker: asyncio.Task[None], wishes: asyncio.Queue[Do | None]) -> None:
    """Let the worker carry out what it still has, for a while."""
    try:
        wishes.put_nowait(None)
        await asyncio.wait([worker], timeout=LAST_WISHES_S)
    finally:
        worker.cancel()


async def _next_text(websocket: WebSocket) -> str | None:
    """The next text message; "" for a binary one, None when the browser is gone."""
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        return None
    text = message.get("text")
    return text if isinstance(text, str) else ""
