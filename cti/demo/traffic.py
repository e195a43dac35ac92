"""The demo's callers: placed through Asterisk itself, one after another, at a given rate, by a manager session of their own."""

import asyncio
import random
from collections.abc import Sequence

import structlog

from cti.ami.action import Action, Header, Verb
from cti.ami.client import AmiClient
from cti.clock import Clock
from cti.demo.caller import Caller, draw_caller
from cti.demo.company import Person
from cti.errors import CtiError
from cti.settings import PbxSettings

log = structlog.get_logger()


class Traffic:
    """Places callers. `placed` counts those Asterisk took, `refused` those it did not."""

    def __init__(
        self, settings: PbxSettings, clock: Clock, people: Sequence[Person], numbers: Sequence[str], dice: random.Random
    ) -> None:
        secret = settings.secret.get_secret_value()
        self._client = AmiClient(
            settings, secret, clock, on_frames=lambda frames: None, on_up=self._up, on_down=lambda why: None,
            wanted=frozenset(),
        )  # fmt: skip
        self._people = people
        self._numbers = numbers
        self._dice = dice
        self._is_up = asyncio.Event()
        self._clock = clock
        self.placed = 0
        self.refused = 0

    async def _up(self) -> None:
        self._is_up.set()

    async def run(self, calls_per_minute: float, pace: float) -> None:
        """Keep the session, and place callers for ever at about this rate (exponential pauses)."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._client.run())
            await self._is_up.wait()
            while True:
                await self.place(draw_caller(self._dice, self._people, self._numbers, pace=pace))
                await asyncio.sleep(min(20.0, self._dice.expovariate(calls_per_minute / 60.0)))

    async def place_for(self, queue: str) -> None:
        """One known caller who wants this queue, now."""
        await self.place(draw_caller(self._dice, self._people, self._numbers, queue=queue))

    async def place(self, caller: Caller) -> None:
        """Let this caller call."""
        name = f"demo-{int(self._clock.now() * 1000)}"
        headers = {
            Header.CHANNEL: f"Local/{caller.dnis}@offhook-demo-trunk/n",
            Header.CONTEXT: "offhook-demo-caller",
            Header.EXTEN: "s",
            Header.PRIORITY: "1",
            Header.TIMEOUT: "20000",
            Header.ASYNC: "true",
            Header.CHANNEL_ID: name,
            Header.OTHER_CHANNEL_ID: f"{name};2",
        }
        variables = {
            "__DEMO_ANI": caller.ani,
            "__DEMO_NAME": caller.name,
            "__DEMO_WITHHELD": "1" if caller.kind == "withheld" else "0",
            "DEMO_KEYS": caller.keys,
            "DEMO_PATIENCE": str(caller.patience_s),
            "DEMO_TALK": str(caller.talk_s),
        }
        try:
            await self._client.send(Action(Verb.ORIGINATE, headers, variables))
            self.placed += 1
        except CtiError as exc:
            self.refused += 1
            log.warning("caller could not be placed", why=str(exc))
