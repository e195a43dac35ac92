"""A PBX that obeys, remembers every order, and fails where a test says so. Implements `cti.pbx.Pbx`."""

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TypeVar

from cti.errors import CtiError
from cti.ids import LegId


@dataclass(frozen=True, slots=True)
class PbxOrder:
    """Something a PBX was asked to do."""

    leg: LegId


@dataclass(frozen=True, slots=True)
class Rang(PbxOrder):
    """`Pbx.ring` was asked for."""

    phone: str
    caller_channel: str
    caller_number: str
    caller_name: str
    ring_for_s: float


@dataclass(frozen=True, slots=True)
class HungUp(PbxOrder):
    """`Pbx.hang_up` was asked for."""


@dataclass(frozen=True, slots=True)
class PickedUp(PbxOrder):
    """`Pbx.pick_up` was asked for."""

    phone: str


@dataclass(frozen=True, slots=True)
class VariableSet(PbxOrder):
    """`Pbx.set_variable` was asked for."""

    name: str
    value: str


OrderT = TypeVar("OrderT", bound=PbxOrder)


class ScriptedPbx:
    """Every order in `orders`, failed ones too; what becomes of an order the test tells the room as Facts."""

    def __init__(self) -> None:
        self.orders: list[PbxOrder] = []
        self._failures: defaultdict[type[PbxOrder], deque[CtiError]] = defaultdict(deque)
        self._changed = asyncio.Event()

    def fail_next(self, kind: type[PbxOrder], error: CtiError) -> None:
        """Let the next order of this kind raise `error`; said twice, the next two."""
        self._failures[kind].append(error)

    def of(self, kind: type[OrderT]) -> list[OrderT]:
        """The orders of one kind so far."""
        return [order for order in self.orders if isinstance(order, kind)]

    async def wait_for(self, kind: type[OrderT], count: int = 1, timeout_s: float = 5.0) -> OrderT:
        """The `count`-th order of this kind, waiting until it is given. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while len(self.of(kind)) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.of(kind)[count - 1]

    async def ring(
        self, leg: LegId, phone: str, caller_channel: str, caller_number: str, caller_name: str, ring_for_s: float
    ) -> None:
        """Note it as `Rang`."""
        self._note(Rang(leg, phone, caller_channel, caller_number, caller_name, ring_for_s))

    async def hang_up(self, leg: LegId) -> None:
        """Note it as `HungUp`."""
        self._note(HungUp(leg))

    async def pick_up(self, leg: LegId, phone: str) -> None:
        """Note it as `PickedUp`."""
        self._note(PickedUp(leg, phone))

    async def set_variable(self, leg: LegId, name: str, value: str) -> None:
        """Note it as `VariableSet`."""
        self._note(VariableSet(leg, name, value))

    def _note(self, order: PbxOrder) -> None:
        self.orders.append(order)
        self._changed.set()
        if failures := self._failures[type(order)]:
            raise failures.popleft()
