"""A whole house on one loop for tests in a browser: every room but the IVR, the real store, bus and web server; the PBX is
scripted, and what it would tell is told by the test as Facts.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from sqlalchemy import insert

import acd.service
import agent_console.service
import customers.service
import screenpop.service
import voc.service
from agent_console.login import hash_password
from agent_console.roles import Role
from agent_console.store import Account, Accounts, User
from cti.agi import AgiSession
from cti.bus.local import LocalBus
from cti.clock import SteadyClock
from cti.events import (
    AnswerGiven,
    CallArrived,
    CallConnected,
    CallEnded,
    CallParted,
    CallQueued,
    ContactClosed,
    EndedBy,
    Fact,
    LegAnswered,
    LegEnded,
    LegRinging,
    PbxSynced,
)
from cti.health import Health
from cti.ids import AgentId, CallId, LegId, QueueId
from cti.pop import IvrAnswer
from cti.rooms import Hall
from cti.settings import ConsoleSettings, DatabaseSettings, Settings
from cti.site import AgentSpec, Disposition, DnisSpec, QueueSpec, Site
from cti.store import Store
from cti.store.engine import open_store
from cti.store.migrate import migrate
from cti.testing import Rang, ScriptedPbx
from customers.store import customer_table, phone_table, purchase_table

PASSWORD = "correct horse battery"
ANN, BEN = AgentId("ann"), AgentId("ben")
KNOWN, SHARED, NOBODYS = "+12025550101", "+12025550199", "+12025550777"
WAIT_S = 5.0

DISPOSITIONS = (
    Disposition("resolved", "Resolved"),
    Disposition("follow_up", "Follow-up promised"),
    Disposition("info", "Information given"),
)
SITE = Site(
    queues=(
        QueueSpec(queue=QueueId("support"), name="Support", skills=("support",), dispositions=DISPOSITIONS),
        QueueSpec(queue=QueueId("sales"), name="Sales", skills=("sales",), dispositions=DISPOSITIONS),
    ),
    agents=(
        AgentSpec(agent=ANN, name="Ann Meyer", phone="Local/ann@offhook-demo-phones/n", skills=("support", "sales")),
        AgentSpec(agent=BEN, name="Ben Okafor", phone="Local/ben@offhook-demo-phones/n", skills=("sales",)),
    ),
    dnis=(DnisSpec("100", "Support hotline"),),
    not_ready_reasons=("break", "lunch", "training"),
)


class NoAgi:
    """No dialplan is there to call us."""

    def serve(self, script: str, handler: Callable[[AgiSession], Awaitable[None]]) -> Callable[[], None]:
        """Take no script."""
        return lambda: None


@dataclass(slots=True)
class TestCall:
    """One caller, from the first ring to the end of the wrap-up; each method tells what the PBX would."""

    __test__ = False
    hall: Hall
    call: CallId
    leg: LegId | None = None

    def _tell(self, *facts: Fact) -> None:
        for fact in facts:
            self.hall.bus.publish(fact)

    def _now(self) -> float:
        return self.hall.clock.now()

    def arrive(self, ani: str, caller_name: str = "", reason: str = "technical_problem", answer: str = "2") -> None:
        """The call comes in, the caller says something by key and waits in Support."""
        at, call, channel = self._now(), self.call, f"PJSIP/trunk-{self.call}"
        leg = LegId(call)
        self._tell(
            CallArrived(at=at, call=call, leg=leg, channel=channel, ani=ani, caller_name=caller_name, dnis="100"),
            AnswerGiven(at=at, call=call, node="menu", answer=IvrAnswer("menu", answer)),
            CallQueued(
                at=at, call=call, queue=QueueId("support"), channel=channel, language="en", reason=reason, ani=ani
            ),
        )

    def ring(self, leg: LegId) -> None:
        """The agent's phone rings."""
        self.leg = leg
        self._tell(LegRinging(at=self._now(), call=self.call, leg=leg))

    def pick_up(self) -> None:
        """The agent's phone is picked up and bridged with the caller."""
        assert self.leg is not None
        at = self._now()
        self._tell(
            LegAnswered(at=at, call=self.call, leg=self.leg),
            CallConnected(at=at, call=self.call, leg=LegId(self.call), peer=self.leg),
        )

    def end(self, by: EndedBy = EndedBy.CALLER) -> None:
        """Everybody hangs up."""
        assert self.leg is not None
        at = self._now()
        self._tell(
            CallParted(at=at, call=self.call, peer=self.leg),
            LegEnded(at=at, call=self.call, leg=self.leg),
            CallEnded(at=at, call=self.call, ended_by=by),
        )


@dataclass(slots=True)
class House:
    """The house while it is open; `heard` is every Fact so far, in order."""

    hall: Hall
    pbx: ScriptedPbx
    url: str
    heard: list[Fact] = field(default_factory=list)
    _calls: "count[int]" = field(default_factory=lambda: count(1))

    def call(self) -> TestCall:
        """A new caller, who has not rung yet."""
        return TestCall(self.hall, CallId(f"1700000000.{next(self._calls)}"))

    async def rung(self, number: int = 1) -> LegId:
        """The leg of the `number`-th order to ring a phone."""
        return (await self.pbx.wait_for(Rang, number, WAIT_S)).leg

    async def closed(self, call: CallId) -> None:
        """Wait until the contact's record is complete."""
        done = asyncio.Event()
        stop = self.hall.bus.hear(ContactClosed, lambda fact: done.set() if fact.call == call else None)
        if not any(isinstance(fact, ContactClosed) and fact.call == call for fact in self.heard):
            await asyncio.wait_for(done.wait(), WAIT_S)
        stop()

    async def told(self, kind: type[Fact]) -> None:
        """Until a Fact of this kind has been told."""
        async with asyncio.timeout(10):
            while not self.of(kind):  # noqa: ASYNC110 - it may have been told already
                await asyncio.sleep(0.01)  # the browser's word is on its way

    def of(self, kind: type[Fact]) -> list[Fact]:
        """The Facts of one kind so far."""
        return [fact for fact in self.heard if isinstance(fact, kind)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _customer(name: str, title: str, **more: object) -> dict[str, object]:
    row: dict[str, object] = dict.fromkeys(("language", "email", "note"), "")
    row |= {"account": name, "account_keys": name}
    return {
        **row,
        "customer": name,
        "name": title,
        "tier": "Gold",
        "lifetime_value": 12.5,
        "since": "2020-02-03",
        **more,
    }


def _phone(number: str, owner: str) -> dict[str, object]:
    return {"number": number, "customer": owner, "national": number[2:], "last9": number[-9:], "kind": ""}


async def _fill(store: Store, hostile: str) -> None:
    await store.write(
        (
            insert(customer_table),
            [
                _customer("C1", "María Fernández"),
                _customer("C2", "Olu Adeyemi"),
                _customer("C3", "Grace Adeyemi"),
                _customer("C4", hostile, tier=hostile, note=hostile),
            ],
        ),
        (
            insert(phone_table),
            [
                _phone(KNOWN, "C1"),
                _phone(SHARED, "C2"),
                _phone(SHARED, "C3"),
                _phone("+12025550166", "C4"),
            ],
        ),
        (
            insert(purchase_table),
            [{"customer": "C1", "purchase": "p1", "at": "2026-01-02", "item": "Router", "amount": 99.5}],
        ),
    )
    password_hash = await asyncio.to_thread(hash_password, PASSWORD)
    await Accounts(store).add(
        Account(User("ann", Role.AGENT, ANN), password_hash), Account(User("sam", Role.SUPERVISOR), password_hash)
    )


@asynccontextmanager
async def open_house(folder: Path, hostile: str = "Nobody") -> AsyncIterator[House]:
    """Every room but the IVR, open on a free port, with four customers, an agent's and a supervisor's sign-in."""
    settings = Settings(
        database=DatabaseSettings(url=f"sqlite:///{folder / 'house.db'}"), console=ConsoleSettings(port=_free_port())
    )
    await asyncio.to_thread(migrate, settings.database.url)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings.database.url))
        await _fill(store, hostile)
        bus, pbx, clock = LocalBus(), ScriptedPbx(), SteadyClock()
        hall = Hall(settings, SITE, clock, bus, store, pbx, NoAgi(), Health())
        house = House(hall, pbx, f"http://127.0.0.1:{settings.console.port}")
        bus.hear(Fact, house.heard.append)
        for room in (customers, voc, acd, screenpop, agent_console):
            await stack.enter_async_context(room.service.open_room(hall))
        bus.publish(PbxSynced(at=clock.now(), calls=()))
        yield house
