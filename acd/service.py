"""The acd room: feeds the distributor, carries out its orders, arms one alarm."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog

from acd.distributor import Distributor
from acd.offering import LINK
from acd.orders import EndLeg, ForgetWaiting, KeepAgent, KeepWaiting, Order, PickUp, Ring
from acd.store import keeping, kept
from cti.alarm import Alarm, Errands
from cti.errors import CtiError, PeerError, Unavailable
from cti.events import Fact, LegEnded
from cti.floor import FloorPicture
from cti.requests import (
    AnswerOffer,
    DeclineOffer,
    DescribeFloor,
    FinishWrapUp,
    GoNotReady,
    GoReady,
    HangUp,
    Request,
    SignIn,
    SignOut,
)
from cti.rooms import Hall
from cti.store import Write

log = structlog.get_logger()

DESK_REQUESTS = (SignIn, SignOut, GoReady, GoNotReady, AnswerOffer, DeclineOffer, HangUp, FinishWrapUp)


class AcdRoom:
    """One distributor, one task group, one alarm."""

    def __init__(self, hall: Hall, tasks: asyncio.TaskGroup) -> None:
        self._hall = hall
        self._distributor = Distributor(hall.site)
        self._alarm = Alarm(hall.clock, self._wake)
        self._errands = Errands(tasks)
        self._unwritten: list[Write] = []
        self._closers = [hall.bus.hear(self._distributor.heard, self._hear)]
        self._closers += [hall.bus.answer(kind, self._answer) for kind in DESK_REQUESTS]
        self._closers.append(hall.bus.answer(DescribeFloor, self._describe))

    async def restore(self) -> None:
        """Take up the floor where a former process left it."""
        agents, waiting = await kept(self._hall.store)
        self._distributor.restore(agents, waiting, self._hall.clock.now())
        self._alarm.set(self._distributor.next_wake())
        log.info("floor taken up", agents=len(agents), waiting=len(waiting))

    def close(self) -> None:
        """Stop hearing and answering; orders under way are dropped, their fate is known from the PBX."""
        for stop in self._closers:
            stop()
        self._write()
        self._alarm.cancel()
        self._errands.cancel()

    def _hear(self, fact: Fact) -> None:
        self._carry_out(self._distributor.receive(fact, self._hall.clock.now()))

    async def _answer(self, request: Request[Any]) -> None:
        orders = self._distributor.receive(request, self._hall.clock.now())
        self._carry_out([order for order in orders if not isinstance(order, PickUp)])
        for order in orders:
            if isinstance(order, PickUp):  # the asker hears it when the phone can't be answered from here
                await self._hall.pbx.pick_up(order.leg, order.phone)

    async def _describe(self, request: DescribeFloor) -> FloorPicture:
        return self._distributor.picture(self._hall.clock.now())

    def _wake(self) -> None:
        self._carry_out(self._distributor.wake(self._hall.clock.now()))

    def _carry_out(self, orders: Sequence[Order]) -> None:
        writes = keeping(one for one in orders if isinstance(one, KeepAgent | KeepWaiting | ForgetWaiting))
        if writes:
            # At the end of this turn of the loop: an offer does not wait for its own record.
            if not self._unwritten:
                asyncio.get_running_loop().call_soon(self._write)
            self._unwritten += writes
        for order in orders:
            if isinstance(order, Fact):
                self._hall.bus.publish(order)
            elif isinstance(order, Ring | EndLeg):
                self._errands.send(self._ring(order) if isinstance(order, Ring) else self._end(order))
        self._alarm.set(self._distributor.next_wake())

    def _write(self) -> None:
        writes, self._unwritten = self._unwritten, []
        if not writes:
            return
        try:
            self._hall.store.write_soon(*writes)
        except Unavailable as exc:
            log.error("the floor is not kept", writes=len(writes), error=str(exc))

    async def _ring(self, order: Ring) -> None:
        try:
            await self._hall.pbx.ring(
                order.leg,
                order.phone,
                order.caller_channel,
                order.caller_number,
                order.caller_name,
                order.ring_for_s,
            )
        except (Unavailable, PeerError) as exc:
            why = LINK if isinstance(exc, Unavailable) else "REFUSED"
            log.warning("phone could not be rung", call=order.call, leg=order.leg, error=str(exc))
            self._hear(LegEnded(at=self._hall.clock.now(), call=order.call, leg=order.leg, why=why))

    async def _end(self, order: EndLeg) -> None:
        try:
            await self._hall.pbx.hang_up(order.leg)
        except CtiError as exc:
            log.warning("leg could not be ended", call=order.call, leg=order.leg, error=str(exc))


@asynccontextmanager
async def open_room(hall: Hall) -> AsyncIterator[None]:
    """The room, open while the context lasts."""
    async with asyncio.TaskGroup() as tasks:
        room = AcdRoom(hall, tasks)
        await room.restore()
        try:
            yield
        finally:
            room.close()
