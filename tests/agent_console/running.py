"""The console room running on a free port, with an acd that does as it is told: real HTTP, real WebSockets, a real store."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from argon2 import PasswordHasher
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from agent_console.login import COOKIE, hash_password
from agent_console.roles import Role
from agent_console.service import open_room
from agent_console.store import Account, Accounts, User
from cti.agi import Script
from cti.bus.local import LocalBus
from cti.clock import SteadyClock
from cti.errors import Refused
from cti.events import AgentLineChanged, Fact
from cti.floor import AgentLine, Availability, FloorPicture
from cti.health import Health
from cti.ids import AgentId
from cti.requests import (
    ChooseCandidate,
    ContactSheet,
    CurrentPop,
    DescribeFloor,
    Draft,
    FinishWrapUp,
    GoNotReady,
    GoReady,
    ReadDraft,
    Request,
    SaveDraft,
    ShowContact,
    SignIn,
)
from cti.rooms import Hall
from cti.settings import ConsoleSettings, Settings
from cti.store.engine import open_store
from cti.testing import ScriptedPbx
from tests.agent_console.floor import ANN, BEN, NOW, SALES, SITE, agent_line, queue_line

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "right horse"
PEOPLE = {
    "ann": User("ann", Role.AGENT, ANN),
    "ben": User("ben", Role.AGENT, BEN),
    "sue": User("sue", Role.SUPERVISOR),
    "root": User("root", Role.ADMIN),
}


class NoAgi:
    """AGI routes for a room that serves none."""

    def serve(self, script: str, handler: Script) -> Callable[[], None]:
        """Nothing is served."""
        return lambda: None


class OtherRooms:
    """acd, voc and customers as far as the console asks them: they note what was asked and answer by the book."""

    def __init__(self, bus: LocalBus, lines: dict[AgentId, AgentLine] | None = None) -> None:
        self._bus = bus
        self.asked: list[Request[Any]] = []
        self.lines = lines or {agent: agent_line(agent) for agent in (ANN, BEN)}
        self.drafts: dict[str, Draft] = {}
        self.sheets: dict[str, ContactSheet] = {}
        self.refuse: Refused | None = None
        for kind in (GoReady, GoNotReady, SignIn, FinishWrapUp, ChooseCandidate, SaveDraft):
            bus.answer(kind, self._do)
        bus.answer(DescribeFloor, self._describe)
        bus.answer(CurrentPop, self._no_pop)
        bus.answer(ReadDraft, self._read_draft)
        bus.answer(ShowContact, self._show)

    async def _do(self, request: Any) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.asked.append(request)
        if isinstance(request, SaveDraft):
            self.drafts[request.call] = request.draft
        if isinstance(request, SignIn | GoNotReady):
            self.want(request.agent, Availability.NOT_READY)
        if isinstance(request, GoReady):
            self.want(request.agent, Availability.READY)

    def want(self, agent: AgentId, availability: Availability) -> None:
        """This agent's line changes, as acd would say it."""
        self.lines[agent] = replace(self.lines[agent], availability=availability)
        self._bus.publish(AgentLineChanged(at=NOW, agent=agent, line=self.lines[agent]))

    async def _describe(self, request: DescribeFloor) -> FloorPicture:
        return FloorPicture(NOW, tuple(self.lines.values()), (queue_line(SALES),), ())

    async def _no_pop(self, request: CurrentPop) -> None:
        return None

    async def _read_draft(self, request: ReadDraft) -> Draft:
        return self.drafts.get(request.call, Draft())

    async def _show(self, request: ShowContact) -> ContactSheet | None:
        return self.sheets.get(request.call)


class Browser:
    """One WebSocket as a browser has it: the map, and what else was said."""

    def __init__(self, link: ClientConnection) -> None:
        self.link = link
        self.view: dict[str, Any] = {}
        self.seq = 0
        self.epoch = ""
        self.said: list[dict[str, Any]] = []

    async def say(self, **message: Any) -> None:
        """Send a message."""
        await self.link.send(json.dumps(message))

    async def hello(self, epoch: str | None = None, seq: int = 0) -> str:
        """Greet, and take everything up to the snapshot or the word that the map is true again; returns which."""
        await self.say(type="hello", client="test", epoch=epoch, seq=seq)
        while (message := await self.next())["type"] not in ("snapshot", "resumed"):
            pass
        return str(message["type"])

    async def next(self, timeout_s: float = 5.0) -> dict[str, Any]:
        """The next message, taken into the map."""
        async with asyncio.timeout(timeout_s):
            message: dict[str, Any] = json.loads(await self.link.recv())
        self.said.append(message)
        self.seq = max(self.seq, message.get("seq", 0))
        if message["type"] == "snapshot":
            self.view, self.epoch = message["view"], message["epoch"]
        elif message["type"] == "put":
            self.view[message["key"]] = message["value"]
        elif message["type"] == "drop":
            self.view.pop(message["key"], None)
        return message

    async def until(self, type: str, **fields: Any) -> dict[str, Any]:
        """Take messages until one of this type with these fields comes."""
        while True:
            message = await self.next()
            if message["type"] == type and all(message.get(name) == value for name, value in fields.items()):
                return message

    async def do(self, **action: Any) -> dict[str, Any]:
        """Ask for an action and take messages until its answer."""
        wish = f"w{len(self.said)}"
        await self.say(type="do", id=wish, action=action)
        while True:
            message = await self.next()
            if message.get("id") == wish:
                return message


@dataclass
class Running:
    """The room, and all around it."""

    hall: Hall
    bus: LocalBus
    port: int
    rooms: OtherRooms
    accounts: Accounts
    facts: list[Fact] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def sign_in(self, name: str) -> str:
        """The Cookie header of somebody who signed in."""
        async with httpx.AsyncClient(base_url=self.url) as client:
            reply = await client.post("/api/sign-in", json={"name": name, "password": PASSWORD})
            assert reply.status_code == 200, reply.text
            return f"{COOKIE}={client.cookies[COOKIE]}"

    def connect(self, cookie: str, origin: str | None = None, **options: Any) -> Any:
        """A WebSocket with this cookie."""
        return connect(
            f"ws://127.0.0.1:{self.port}/ws",
            additional_headers={"Cookie": cookie} if cookie else {},
            origin=origin,  # type: ignore[arg-type]
            compression=None,
            **options,
        )

    @contextlib.asynccontextmanager
    async def browser(self, name: str, cookie: str = "") -> AsyncIterator[Browser]:
        """A browser of this person that has said hello."""
        async with self.connect(cookie or await self.sign_in(name)) as link:
            made = Browser(link)
            await made.hello()
            yield made


async def to_the_end(link: ClientConnection) -> tuple[int | None, str | None]:
    """Read until the server closes; returns its code and reason."""

    async def read() -> None:
        async for _ in link:
            pass

    with contextlib.suppress(ConnectionClosedError):
        await read()
    return link.close_code, link.close_reason


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def running(
    database: Path, lines: dict[AgentId, AgentLine] | None = None, **console: Any
) -> AsyncIterator[Running]:
    """The console on a migrated database, with everybody of PEOPLE in it; `lines` are acd's agents at the start."""
    bus, port = LocalBus(), free_port()
    settings = Settings(console=ConsoleSettings(port=port, **console))
    async with open_store(f"sqlite:///{database}") as store:
        accounts = Accounts(store)
        if not await accounts.users():
            password_hash = hash_password(PASSWORD, QUICK)
            await accounts.add(*[Account(user, password_hash) for user in PEOPLE.values()])
        hall = Hall(settings, SITE, SteadyClock(), bus, store, ScriptedPbx(), NoAgi(), Health())
        run = Running(hall, bus, port, OtherRooms(bus, lines), accounts)
        bus.hear(Fact, run.facts.append)
        async with open_room(hall):
            yield run
