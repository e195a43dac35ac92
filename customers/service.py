"""The customers room at work: hears a call arrive and says who it may be in the same breath, then knows better.

On SQLite the match is told before the ear returns; on PostgreSQL a round trip later. How often each candidate called before
is asked of voc (500 ms) and may rank them anew. No cache of its own: a point read is a few microseconds, one call's findings
are kept with the call, and a number imported a moment ago must match at once.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import structlog
from prometheus_client import Counter

from cti.alarm import Errands
from cti.caller import CustomerProfile, MatchKind
from cti.errors import CtiError, Refused, Unavailable
from cti.events import (
    CallArrived,
    CallerIdChanged,
    CallerIdentified,
    CallerMatched,
    CallFact,
    CallMerged,
    ContactClosed,
)
from cti.ids import CallId, CustomerId
from cti.phone_number import PhoneNumber, read_number
from cti.requests import ChooseCandidate, CountContacts, DescribeCustomer, FindByAccount, RecallOpenCalls
from cti.rooms import Hall
from customers.customer import keys_of_account
from customers.match import Found, Known, Pick, Proof, match
from customers.store import ask, ask_now, describe, picked, unpicked, who_has, who_is, whose_account

log = structlog.get_logger()

MATCHED = Counter("offhook_callers_matched_total", "Callers matched, by kind", ["kind"])

MOST_CALLS = 20_000
"""Callers kept for a later choice; the oldest goes when there are more (contacts that were never closed)."""
COUNT_WITHIN_S = 0.5
TRIES = 5
PAUSE_S = 1.0
RECALL_WITHIN_S = 10.0
RECALL_EVERY_S = 0.05

GAVE, CHOSEN = "gave ", "chosen by an agent"
"""How the reason of a proof begins."""


@dataclass(slots=True)
class Caller:
    """One call's caller: the number, what is known so far, what was told last, whom an agent chose."""

    call: CallId
    number: PhoneNumber
    known: Known
    told: CallerMatched | None = None
    chosen: CustomerId | None = None


class CustomersRoom:
    """The callers of the calls there are, and the answers to what other rooms ask about customers."""

    def __init__(self, hall: Hall, group: asyncio.TaskGroup) -> None:
        self._hall = hall
        self._callers: OrderedDict[CallId, Caller] = OrderedDict()
        self._errands = Errands(group)

    def open(self) -> list[Callable[[], None]]:
        """Be heard and asked; returns the ways to stop."""
        bus = self._hall.bus
        return [
            bus.hear(CallArrived, self._arrived),
            bus.hear(CallerIdChanged, self._arrived),
            bus.hear(CallerIdentified, self._identified),
            bus.hear(CallMerged, self._merged),
            bus.hear(ContactClosed, self._closed),
            bus.answer(FindByAccount, self._find_by_account),
            bus.answer(DescribeCustomer, self._describe),
            bus.answer(ChooseCandidate, self._choose),
        ]

    def begin(self) -> None:
        """Take up the callers of the calls that were open when a former process ended."""
        self._send(self._recall(), CallId(""))

    def close(self) -> None:
        """Leave the errands that are under way."""
        self._errands.cancel()

    # --- facts ---

    def _arrived(self, fact: CallArrived | CallerIdChanged) -> None:
        caller = self._callers.get(fact.call)
        if caller is not None and caller.number.raw == fact.ani:
            return
        number = read_number(fact.ani, self._hall.settings.caller.region)
        # A proof outlives the number: what the caller or an agent said stays true when the network corrects itself.
        proof = caller.known.proof if caller is not None else None
        caller = Caller(fact.call, number, Known(number.is_withheld, proof=proof))
        self._keep(caller)
        if number.is_withheld:
            self._tell(caller)
            return
        try:
            answer = ask_now(self._hall.store, who_has(number))
        except Unavailable:
            answer = None
        if answer is None:
            self._send(self._match_later(caller), fact.call)
            return
        self._found(caller, *answer[0])

    def _found(self, caller: Caller, found: tuple[Found, ...], picks: dict[CustomerId, Pick]) -> None:
        caller.known = replace(caller.known, found=found, picks=picks)
        self._tell(caller)
        if found and caller.number.e164:
            self._send(self._count(caller), caller.call)

    def _identified(self, fact: CallerIdentified) -> None:
        self._send(self._prove(fact.call, fact.customer, GAVE + fact.by), fact.call)

    def _merged(self, fact: CallMerged) -> None:
        caller = self._callers.pop(fact.call, None)
        if caller is not None and fact.into not in self._callers:
            caller.call = fact.into
            self._keep(caller)
            self._tell(caller)

    def _closed(self, fact: ContactClosed) -> None:
        self._callers.pop(fact.call, None)

    # --- errands ---

    async def _recall(self) -> None:
        """After a restart: what was told of the callers of the open calls stays true, what they proved included."""
        told = await self._recalled()
        for fact in {fact.call: fact for fact in told if isinstance(fact, CallerMatched)}.values():
            await self._take_up(fact)

    async def _recalled(self) -> tuple[CallFact, ...]:
        until = asyncio.get_running_loop().time() + RECALL_WITHIN_S
        while True:
            try:
                return await self._hall.bus.ask(RecallOpenCalls())
            except Unavailable as exc:  # voc opens after us
                if asyncio.get_running_loop().time() > until:
                    log.warning("proofs of open calls not taken up", why=str(exc))
                    return ()
                await asyncio.sleep(RECALL_EVERY_S)

    async def _take_up(self, told: CallerMatched) -> None:
        number = read_number(told.ani, self._hall.settings.caller.region)
        known = Known(number.is_withheld)
        if not number.is_withheld:
            found, picks = await ask(self._hall.store, who_has(number))
            known = replace(known, found=found, picks=picks, is_nobody=bool(found) and told.kind is MatchKind.UNKNOWN)
        first = told.candidates[0] if told.kind is MatchKind.KNOWN else None
        if first is not None and first.reason.startswith((GAVE, CHOSEN)):
            proven = await ask(self._hall.store, who_is(first.customer))
            known = replace(known, proof=Proof(proven, first.reason) if proven is not None else None)
        if told.call not in self._callers:
            chosen = first.customer if first is not None and first.reason == CHOSEN else None
            self._keep(Caller(told.call, number, known, told, chosen))

    async def _match_later(self, caller: Caller) -> None:
        for _ in range(TRIES):
            try:
                found, picks = await ask(self._hall.store, who_has(caller.number))
            except Unavailable as exc:
                log.warning("caller not matched yet", call=caller.call, why=str(exc))
                await asyncio.sleep(PAUSE_S)
                continue
            self._found(caller, found, picks)
            return

    async def _count(self, caller: Caller) -> None:
        customers = tuple(one.customer for one in caller.known.found)
        try:
            calls = await self._hall.bus.ask(
                CountContacts(customers=customers, ani_e164=caller.number.e164), COUNT_WITHIN_S
            )
        except CtiError as exc:
            log.debug("earlier calls not counted", call=caller.call, why=str(exc))
            return
        caller.known = replace(caller.known, calls=calls)
        self._tell(caller)

    async def _prove(self, call: CallId, customer: CustomerId, reason: str) -> None:
        found = await ask(self._hall.store, who_is(customer))
        caller = self._callers.get(call)
        if found is None or caller is None:
            log.warning("a proof of nobody we know", call=call)
            return
        caller.known = replace(caller.known, proof=Proof(found, reason), is_nobody=False)
        self._tell(caller)

    # --- requests ---

    async def _find_by_account(self, request: FindByAccount) -> CustomerId | None:
        account = request.account.strip()
        return await ask(self._hall.store, whose_account(account, keys_of_account(account))) if account else None

    async def _describe(self, request: DescribeCustomer) -> CustomerProfile | None:
        return await ask(self._hall.store, describe(request.customer, self._hall.settings.caller.region))

    async def _choose(self, request: ChooseCandidate) -> None:
        found = None
        if request.customer is not None:
            found = await ask(self._hall.store, who_is(request.customer))
            if found is None:
                raise Refused("no-such-customer", f"nobody has the id {request.customer}")
        caller = self._callers.get(request.call)
        if caller is None:
            raise Refused("no-such-call", f"call {request.call} is not here, or is closed already")
        self._remember(caller, request.customer)
        proof = Proof(found, CHOSEN) if found is not None else None
        caller.known = replace(caller.known, proof=proof, is_nobody=found is None)
        self._tell(caller)

    def _remember(self, caller: Caller, customer: CustomerId | None) -> None:
        """The choice counts once a call; a choice put right takes the earlier one back."""
        number, before = caller.number.key, caller.chosen
        if not number or before == customer:
            return
        now = self._hall.clock.now()
        writes = [unpicked(number, before)] if before is not None else []
        writes += [picked(number, customer, now)] if customer is not None else []
        if writes:
            self._hall.store.write_soon(*writes)
        caller.chosen = customer

    # --- telling ---

    def _tell(self, caller: Caller) -> None:
        kind, candidates = match(caller.known)
        number = caller.number
        fact = CallerMatched(
            at=self._hall.clock.now(),
            call=caller.call,
            kind=kind,
            ani=number.raw,
            ani_e164=number.e164,
            ani_display=number.display,
            candidates=candidates,
            country=number.country,
        )
        told = caller.told
        if told is not None and replace(fact, at=told.at) == told:
            return
        if told is None:
            MATCHED.labels(kind.value).inc()
        caller.told = fact
        self._hall.bus.publish(fact)

    def _keep(self, caller: Caller) -> None:
        self._callers[caller.call] = caller
        while len(self._callers) > MOST_CALLS:
            self._callers.popitem(last=False)

    def _send(self, errand: Coroutine[None, None, None], call: CallId) -> None:
        self._errands.send(self._run(errand, call))

    async def _run(self, errand: Coroutine[None, None, None], call: CallId) -> None:
        """One call's failure is one call's failure."""
        try:
            await errand
        except Exception:
            log.exception("an errand failed", call=call)


@asynccontextmanager
async def open_room(hall: Hall) -> AsyncIterator[None]:
    """The customers room, open until the context is left."""
    async with asyncio.TaskGroup() as group:
        room = CustomersRoom(hall, group)
        stops = room.open()
        room.begin()
        try:
            yield
        finally:
            for stop in stops:
                stop()
            room.close()
