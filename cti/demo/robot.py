"""A demo agent: a program at the console's own door, doing what a person would do there.

Signs in, goes ready, acknowledges the pop, picks up after a moment, talks until the caller leaves, writes the contact up.
It uses the same HTTP and WebSocket as a browser, so the demo proves that path and no other.
"""

import asyncio
import json
import random
from typing import Any

import httpx
import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from cti.errors import Unavailable

log = structlog.get_logger()

CLIENT = "offhook-demo"
"""How robots call themselves; whoever else connects as their agent is a person."""

CLEARING_TRIES = 20
"""Quarters of a second a robot takes at most to clear its desk."""

NOTES = ("Wanted to know the delivery date.", "Explained the invoice.", "Order taken.", "Will call again next week.")


class Robot:
    """One agent's program. `run` works until `leave` is called or the server goes away."""

    def __init__(self, base_url: str, agent: str, password: str, dice: random.Random) -> None:
        self.agent = agent
        self._base_url = base_url
        self._password = password
        self._dice = dice
        self._view: dict[str, Any] = {}
        self._socket: ClientConnection | None = None
        self._count = 0
        self._done: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._leaving = asyncio.Event()
        self._is_clearing = False
        self.is_resting = False

    async def run(self) -> None:
        """Work. Raises Unavailable when the console can't be reached or won't have us."""
        cookie = await self._sign_in()
        address = self._base_url.replace("http", "ws", 1) + "/ws"
        headers = {"Cookie": cookie, "Origin": self._base_url}
        try:
            async with connect(address, additional_headers=headers, max_size=2**22) as socket:
                self._socket = socket
                await self._send({"type": "hello", "client": CLIENT, "epoch": None, "seq": 0})
                async with asyncio.TaskGroup() as group:
                    listening = group.create_task(self._listen(socket))
                    group.create_task(self._wait_to_leave(listening))
        except* (ConnectionClosed, InvalidHandshake, OSError) as group_of:
            if not self._leaving.is_set():
                raise Unavailable("console", str(group_of.exceptions[0])) from group_of
        finally:
            self._socket = None
            self._leaving.set()
            for task in self._tasks:
                task.cancel()

    async def leave(self) -> None:
        """Hand the desk over clean: not ready, the contact on it brought to its end, then gone."""
        self._is_clearing = True
        for task in self._tasks:
            task.cancel()
        await self.act(name="not_ready", reason="break")
        for _ in range(CLEARING_TRIES):
            pop = self._view.get("pop")
            if pop is None:
                break
            await self._bring_to_an_end(pop)
            await asyncio.sleep(0.25)
        self._leaving.set()

    async def _bring_to_an_end(self, pop: dict[str, Any]) -> None:
        match pop["phase"]:
            case "offered":
                await self.act(name="decline", offer=pop["offer"])
            case "answered":
                await self.act(name="hang_up", call=pop["call"])
            case "wrap_up":
                await self._finish(pop)

    async def rest(self, is_resting: bool) -> None:
        """Take a break, or come back from it."""
        self.is_resting = is_resting
        await (self.act(name="not_ready", reason="break") if is_resting else self.act(name="ready"))

    async def act(self, **action: Any) -> None:
        """Do what a button does; a refusal is the floor's word and no error."""
        self._count += 1
        await self._send({"type": "do", "id": f"{self.agent}{self._count}", "action": action})

    async def _sign_in(self) -> str:
        try:
            async with httpx.AsyncClient(timeout=15.0) as client:
                answer = await client.post(
                    f"{self._base_url}/api/sign-in",
                    json={"name": self.agent, "password": self._password},
                    headers={"Origin": self._base_url},
                )
        except httpx.HTTPError as exc:
            raise Unavailable("console", str(exc)) from exc
        if answer.status_code != 200:
            raise Unavailable("console", f"sign-in of {self.agent} answered {answer.status_code}: {answer.text[:200]}")
        return "; ".join(f"{name}={value}" for name, value in answer.cookies.items())

    async def _wait_to_leave(self, listening: asyncio.Task[None]) -> None:
        await self._leaving.wait()
        if self._socket is not None:
            await self._socket.close()
        listening.cancel()

    async def _send(self, message: dict[str, Any]) -> None:
        if self._socket is not None:
            try:
                await self._socket.send(json.dumps(message))
            except ConnectionClosed:
                self._leaving.set()

    async def _listen(self, socket: ClientConnection) -> None:
        await self.act(name="ready")
        async for text in socket:
            message = json.loads(text)
            match message["type"]:
                case "snapshot":
                    self._view = dict(message["view"])
                case "put":
                    self._view[message["key"]] = message["value"]
                case "drop":
                    self._view.pop(message["key"], None)
                case _:
                    continue
            if message.get("key", "pop") in ("pop", "me"):
                await self._look()

    async def _look(self) -> None:
        """See what is on the screen and do the next thing, each once."""
        if self._is_clearing:
            return
        pop = self._view.get("pop")
        line = (self._view.get("me") or {}).get("line") or {}
        if pop is None:
            if line.get("availability") == "not_ready" and line.get("reason") in ("rona", "phone", "connection"):
                self._once(f"back {line['since']}", self._come_back())
            return
        name = f"{pop['offer']} {pop['phase']}"
        if pop["phase"] == "offered":
            if name not in self._done:
                await self._send({"type": "painted", "offer": pop["offer"], "version": pop["version"]})
            self._once(name, self._pick_up(pop["offer"]))
        elif pop["phase"] == "wrap_up":
            self._once(name, self._write_up(pop))

    def _once(self, name: str, doing: Any) -> None:
        if name in self._done:
            doing.close()
            return
        self._done.add(name)
        task = asyncio.get_running_loop().create_task(doing)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _come_back(self) -> None:
        await asyncio.sleep(self._dice.uniform(2.0, 5.0))
        if not self.is_resting:
            await self.act(name="ready")

    async def _pick_up(self, offer: str) -> None:
        await asyncio.sleep(self._dice.uniform(1.0, 2.5))
        await self.act(name="answer", offer=offer)

    async def _write_up(self, pop: dict[str, Any]) -> None:
        await asyncio.sleep(self._dice.uniform(1.5, 4.0))
        await self._finish(pop)

    async def _finish(self, pop: dict[str, Any]) -> None:
        queues = (self._view.get("choices") or {}).get("queues") or []
        codes = [
            choice["code"] for queue in queues if queue["queue"] == pop["queue"] for choice in queue["dispositions"]
        ]
        code = self._dice.choice(codes) if codes else ""
        await self.act(name="finish", call=pop["call"], disposition=code, note=self._dice.choice(NOTES))
