"""The agent_console room: hears Facts for the board, shows it to browsers, carries their wishes to the other rooms.

A pop is on its way to the browser before the Fact that brought it has reached the next ear. Broadcasts use at most a tenth
of the loop's time, in chunks.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog

from agent_console.api.messages import DraftKept
from agent_console.api.routes import Desk
from agent_console.fanout import Browser, Fanout
from agent_console.login import Login
from agent_console.pages import Pages
from agent_console.presence import Presence
from agent_console.reception import Reception
from agent_console.server import build_app, build_server, listen
from agent_console.session import SIGNED_OUT, Close
from agent_console.snapshot import Board
from agent_console.store import Accounts
from cti.errors import CtiError
from cti.events import AgentFact, AgentReady, AgentSignedIn, Fact, PopChanged, PopPainted
from cti.floor import Activity, Availability
from cti.ids import AgentId, CallId, OfferId, SessionId, new_token
from cti.requests import CurrentPop, DescribeFloor, ReadDraft, Request, SaveDraft, SignIn
from cti.rooms import Hall

log = structlog.get_logger()

TICK_S = 0.25  # how often patience and grace are looked at
RECHECK_S = 10.0  # how often open sockets' sign-ins are looked up again: a revoked one ends within this
REST = 9.0  # a broadcast that took t s is followed by REST * t s without one
LONGEST_REST_S = 2.0


class ConsoleRoom:
    """One board, its browsers, and what they set off."""

    def __init__(self, hall: Hall, tasks: asyncio.TaskGroup) -> None:
        self._hall = hall
        self._tasks = tasks
        self.board = Board(hall.site, new_token(9), hall.clock.now())
        self.fanout = Fanout(self.board, hall.clock)
        self.accounts = Accounts(hall.store)
        self.login = Login(self.accounts, hall.clock, hall.settings.console.session_hours * 3600)
        self._presence = Presence(hall.settings.console.grace_s)
        self._is_dirty = asyncio.Event()
        self._heard_while_loading: list[Fact] | None = []
        self._closers: list[Callable[[], None]] = [
            hall.bus.hear(Board.heard, self._hear),
            # Lines after pops: what happens to the contact is shown before what that makes of the wallboard.
            hall.bus.hear(Board.heard_late, self._hear, late=True),
            hall.bus.hear((AgentSignedIn, AgentReady), self._hear_work),
        ]

    def close(self) -> None:
        """Stop hearing."""
        for stop in self._closers:
            stop()

    # --- Facts in ---

    def _hear(self, fact: Fact) -> None:
        if self._heard_while_loading is not None:
            self._heard_while_loading.append(fact)
        self.fanout.tell(self.board.receive(fact))
        if self.board.next_wake() is not None:
            self._is_dirty.set()

    def _hear_work(self, fact: AgentFact) -> None:
        if not self._presence.has_screen(fact.agent):
            self._presence.excuse(fact.agent)

    async def load(self) -> None:
        """Take over acd's picture, once acd is there; what was heard while asking is heard again after it."""
        while True:
            try:
                picture = await self._hall.bus.ask(DescribeFloor())
                break
            except CtiError as exc:
                log.warning("the floor is not known yet", error=str(exc))
                await asyncio.sleep(1.0)
        changes = self.board.load(picture)
        heard, self._heard_while_loading = self._heard_while_loading or [], None
        self.fanout.tell(changes)
        for fact in heard:
            self._hear(fact)
        self._is_dirty.set()
        for browser in self.fanout.browsers():
            if browser.session.has_greeted and browser.signed_in.user.agent is not None:
                self._tasks.create_task(self._settle(browser.signed_in.user.agent))
        await self._miss_those_who_had_a_screen()

    async def _miss_those_who_had_a_screen(self) -> None:
        now = self._hall.clock.now()
        for agent, token_sha256 in await self.accounts.agents_signed_in(now):
            line = self.board.line(agent)
            if line is not None and line.availability is not Availability.SIGNED_OUT:
                self._presence.miss(agent, _session(token_sha256), now)

    # --- what a browser sets off (reception.Floor) ---

    async def carry_out(self, browser: Browser, request: Request[Any]) -> None:
        """Ask whoever answers; a kept draft shows on every screen of its agent."""
        await self._hall.bus.ask(request)
        if isinstance(request, SaveDraft):
            draft = DraftKept(call=request.call, disposition=request.draft.disposition, note=request.draft.note)
            self.fanout.tell(self.board.keep_draft(request.agent, draft, self._hall.clock.now()))

    def greeted(self, browser: Browser, client: str) -> None:
        """A browser of an agent: she is here, and on the floor if she was not."""
        user = browser.signed_in.user
        log.info("browser connected", user=user.name, role=user.role, client=client)
        if user.agent is None:
            return
        session = _session(browser.signed_in.token_sha256)
        for fact in self._presence.came(user.agent, session, client, self._hall.clock.now()):
            self._hall.bus.publish(fact)
        self._tasks.create_task(self._settle(user.agent))

    def painted(self, browser: Browser, offer: str, version: int) -> None:
        """Tell acd that the pop is on the screen; one that is there no more is nobody's concern."""
        agent = browser.signed_in.user.agent
        pop = self.board.pop(agent) if agent is not None else None
        if agent is None or pop is None or pop.offer != offer or version > pop.version:
            return
        at = self._hall.clock.now()
        self._hall.bus.publish(PopPainted(at=at, call=pop.call, agent=agent, offer=OfferId(offer), version=version))

    def left(self, browser: Browser, had_greeted: bool) -> None:
        """A browser is gone; its agent is lost only after the grace time."""
        user = browser.signed_in.user
        if had_greeted and user.agent is not None:
            self._presence.went(user.agent, _session(browser.signed_in.token_sha256), self._hall.clock.now())
            log.info("browser gone", user=user.name)

    def signed_out(self, token_sha256: str) -> None:
        """This sign-in was revoked: its browsers see nothing more."""
        for browser in self.fanout.browsers():
            if browser.signed_in.token_sha256 == token_sha256:
                self.fanout.close(browser, Close(SIGNED_OUT, "signed out"))

    async def _settle(self, agent: AgentId) -> None:
        """Sign the agent in on the floor, and fetch what the board does not know of her (after a restart)."""
        try:
            line = self.board.line(agent)
            if line is not None and line.availability is Availability.SIGNED_OUT:
                await self._hall.bus.ask(SignIn(agent=agent))
            if line is not None and line.activity is not Activity.IDLE and self.board.pop(agent) is None:
                pop = await self._hall.bus.ask(CurrentPop(agent=agent))
                if pop is not None:
                    self._hear(PopChanged(at=self._hall.clock.now(), call=pop.call, agent=agent, pop=pop))
            await self._fetch_draft(agent)
        except CtiError as exc:
            log.warning("an agent's screen could not be completed", agent=agent, error=str(exc))
        except Exception:  # one agent's screen is one agent's screen; the log line wakes a person
            log.exception("an agent's screen could not be completed", agent=agent)

    async def _fetch_draft(self, agent: AgentId) -> None:
        pop = self.board.pop(agent)
        if pop is None or self.board.has_draft(agent):
            return
        kept = await self._hall.bus.ask(ReadDraft(agent=agent, call=pop.call))
        if (kept.disposition or kept.note) and not self.board.has_draft(agent):
            draft = DraftKept(call=CallId(pop.call), disposition=kept.disposition, note=kept.note)
            self.fanout.tell(self.board.keep_draft(agent, draft, self._hall.clock.now()))

    # --- time ---

    async def pace(self) -> None:
        """Broadcast what has changed for everybody, and rest nine times as long as that took."""
        clock = self._hall.clock
        while True:
            await self._is_dirty.wait()
            self._is_dirty.clear()
            due = self.board.next_wake()
            if due is None:
                continue
            await asyncio.sleep(max(0.0, due - clock.now()))
            began = clock.now()
            await self.fanout.broadcast(self.board.wake(began))
            await asyncio.sleep(min(LONGEST_REST_S, REST * (clock.now() - began)))

    async def tick(self) -> None:
        """Look at patience, grace, and now and then at the sign-ins of open sockets."""
        recheck_at = self._hall.clock.now() + RECHECK_S
        while True:
            await asyncio.sleep(TICK_S)
            now = self._hall.clock.now()
            self.fanout.wake(now)
            for fact in self._presence.wake(now):
                self._hall.bus.publish(fact)
            if now >= recheck_at:
                recheck_at = now + RECHECK_S
                await self.recheck()

    async def recheck(self) -> None:
        """Close the browsers whose sign-in is over, revoked, or not what it was."""
        for browser in self.fanout.browsers():
            try:
                is_in_force = await self.login.still(browser.signed_in)
            except CtiError as exc:
                log.warning("sign-ins could not be looked up", error=str(exc))
                return
            if not is_in_force:
                self.fanout.close(browser, Close(SIGNED_OUT, "not signed in any more"))
            await asyncio.sleep(0)


def _session(token_sha256: str) -> SessionId:
    """A sign-in's name for logs and Facts: it opens nothing."""
    return SessionId(token_sha256[:16])


@asynccontextmanager
async def open_room(hall: Hall) -> AsyncIterator[None]:
    """The room, open while the context lasts. Raises ConfigError when the port is taken."""
    settings = hall.settings.console
    listener = listen(settings.host, settings.port)
    async with asyncio.TaskGroup() as tasks:
        room = ConsoleRoom(hall, tasks)
        desk = Desk(room.login, hall.bus, hall.health, settings.session_hours * 3600, room.signed_out)
        reception = Reception(room.login, room.board, room.fanout, room, hall.clock, settings.max_backlog)
        server = build_server(build_app(desk, reception, settings.origins, Pages()))
        serving = tasks.create_task(server.serve(sockets=[listener]))
        background = [tasks.create_task(work()) for work in (room.load, room.pace, room.tick)]
        hall.health.say("console", True, f"listening on {settings.host}:{settings.port}", hall.clock.now())
        log.info("console open", host=settings.host, port=settings.port)
        try:
            yield
        finally:
            server.should_exit = True
            await asyncio.wait([serving])
            room.close()
            for task in background:
                task.cancel()
