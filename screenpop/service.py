"""The screenpop room: feeds the pop builder, looks up what it asks for, tells every change of a screen."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog

from cti.alarm import Alarm, Errands
from cti.caller import PastContact
from cti.errors import CtiError
from cti.events import Fact, PopChanged
from cti.ids import CustomerId
from cti.pop import Pop
from cti.requests import CurrentPop, DescribeCustomer, RecallOpenCalls, RecentContacts
from cti.rooms import Hall
from screenpop.lookup import HistoryRead, LookUp, ProfileRead
from screenpop.pop import HEARD, LOOK_UP_S, PopBuilder

log = structlog.get_logger()


class ScreenpopRoom:
    """One pop builder, one alarm, and a short task for each part that is looked up."""

    def __init__(self, hall: Hall, tasks: asyncio.TaskGroup) -> None:
        self._hall = hall
        self._builder = PopBuilder(hall.site)
        self._alarm = Alarm(hall.clock, self._wake)
        self._errands = Errands(tasks)
        self._stops = [hall.bus.hear(HEARD, self._hear), hall.bus.answer(CurrentPop, self._current)]

    async def restore(self) -> None:
        """Hear again what was told of the open calls: who is being talked to has the card back after a restart."""
        try:
            told = await self._hall.bus.ask(RecallOpenCalls())
        except CtiError as exc:
            log.warning("screens begin empty: the open calls are not known", error=str(exc))
            return
        now = self._hall.clock.now()
        lookups = [one for fact in told for one in self._builder.receive(fact, now) if isinstance(one, LookUp)]
        pops = self._builder.picture().pops.values()
        self._carry_out([*lookups, *(PopChanged(at=now, call=pop.call, agent=pop.agent, pop=pop) for pop in pops)])

    def close(self) -> None:
        """Stop hearing and answering; lookups under way are dropped."""
        for stop in self._stops:
            stop()
        self._alarm.cancel()
        self._errands.cancel()

    def _hear(self, fact: Fact) -> None:
        self._carry_out(self._builder.receive(fact, self._hall.clock.now()))

    async def _current(self, request: CurrentPop) -> Pop | None:
        return self._builder.current(request.agent)

    def _carry_out(self, orders: Sequence[LookUp | Fact]) -> None:
        for order in orders:
            if isinstance(order, Fact):
                self._hall.bus.publish(order)
                continue
            if order.customer is not None:
                self._errands.send(self._read_profile(order, order.customer))
            self._errands.send(self._read_history(order))
        self._alarm.set(self._builder.next_wake())

    async def _read_profile(self, order: LookUp, customer: CustomerId) -> None:
        profile = None
        try:
            profile = await self._hall.bus.ask(DescribeCustomer(customer=customer), LOOK_UP_S)
        except CtiError as exc:
            log.warning("profile could not be looked up", call=order.call, error=str(exc))
        except Exception:  # a fault of the room that answers; this pop goes on without
            log.exception("profile could not be looked up", call=order.call)
        now = self._hall.clock.now()
        self._hear(ProfileRead(at=now, call=order.call, customer=customer, profile=profile))

    async def _read_history(self, order: LookUp) -> None:
        history: tuple[PastContact, ...] = ()
        request = RecentContacts(
            customer=order.customer,
            ani_e164=order.ani_e164,
            anyone=order.anyone,
            limit=order.limit,
            but_not=order.call,
        )
        try:
            history = await self._hall.bus.ask(request, LOOK_UP_S)
        except CtiError as exc:
            log.warning("past contacts could not be looked up", call=order.call, error=str(exc))
        except Exception:  # a fault of the room that answers; this pop goes on without
            log.exception("past contacts could not be looked up", call=order.call)
        now = self._hall.clock.now()
        self._hear(HistoryRead(at=now, call=order.call, customer=order.customer, history=history))

    def _wake(self) -> None:
        self._carry_out(self._builder.wake(self._hall.clock.now()))


@asynccontextmanager
async def open_room(hall: Hall) -> AsyncIterator[None]:
    """The room, open while the context lasts."""
    async with asyncio.TaskGroup() as tasks:
        room = ScreenpopRoom(hall, tasks)
        await room.restore()
        try:
            yield
        finally:
            room.close()
