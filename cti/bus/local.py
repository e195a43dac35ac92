"""The bus inside one process: Facts are told in the order they were published, to every ear, before the next one.

An ear that publishes adds to the end of the line; nothing is re-entered. An ear that raises is logged and counted, and the
others still hear. There is no queue to overflow: the line is empty again before `publish` returns to its first caller.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, cast

import structlog
from prometheus_client import Counter

from cti.bus import FactT, Reply, RequestT
from cti.errors import Unavailable
from cti.events import Fact
from cti.requests import Request

log = structlog.get_logger()

FACTS = Counter("offhook_facts_total", "Facts told on the bus", ["kind"])
EARS_FAILED = Counter("offhook_ears_failed_total", "Ears that raised on a Fact", ["kind"])

Ear = Callable[[Any], None]


class LocalBus:
    """One process, one order, no waiting."""

    def __init__(self) -> None:
        self._ears: list[tuple[tuple[type[Fact], ...], Ear]] = []
        self._ears_of: dict[type[Fact], tuple[Ear, ...]] = {}
        self._answerers: dict[type[object], Callable[[Any], Awaitable[object]]] = {}
        self._counts: dict[type[Fact], Counter] = {}
        self._line: deque[Fact] = deque()
        self._telling = False

    def publish(self, fact: Fact) -> None:
        """Tell everybody, after whatever is being told now."""
        self._line.append(fact)
        if self._telling:
            return
        self._telling = True
        try:
            while self._line:
                self._tell(self._line.popleft())
        finally:
            self._telling = False

    def _tell(self, fact: Fact) -> None:
        kind = type(fact)
        self._count(kind)
        for ear in self._who_hears(kind):
            try:
                ear(fact)
            except Exception:  # one room's failure is one room's failure; the log line wakes a person
                EARS_FAILED.labels(kind.__name__).inc()
                log.exception("an ear failed", fact=kind.__name__, call=getattr(fact, "call", None))

    def _who_hears(self, kind: type[Fact]) -> tuple[Ear, ...]:
        ears = self._ears_of.get(kind)
        if ears is None:
            ears = tuple(ear for kinds, ear in self._ears if issubclass(kind, kinds))
            self._ears_of[kind] = ears
        return ears

    def _count(self, kind: type[Fact]) -> None:
        count = self._counts.get(kind)
        if count is None:  # looking a label up costs more than telling
            count = self._counts[kind] = FACTS.labels(kind.__name__)
        count.inc()

    def hear(self, kinds: type[FactT] | tuple[type[FactT], ...], ear: Callable[[FactT], None]) -> Callable[[], None]:
        """Call `ear` with every Fact of these kinds from now on."""
        entry = (kinds if isinstance(kinds, tuple) else (kinds,), cast(Ear, ear))
        self._ears.append(entry)
        self._ears_of.clear()

        def stop() -> None:
            if entry in self._ears:
                self._ears.remove(entry)
                self._ears_of.clear()

        return stop

    def answer(self, kind: type[RequestT], answerer: Callable[[RequestT], Awaitable[object]]) -> Callable[[], None]:
        """Be the one who answers this kind of Request."""
        if kind in self._answerers:
            raise ValueError(f"{kind.__name__} is answered already")
        self._answerers[kind] = answerer

        def stop() -> None:
            self._answerers.pop(kind, None)

        return stop

    async def ask(self, request: Request[Reply], timeout_s: float = 5.0) -> Reply:
        """The answer, within `timeout_s`."""
        kind = type(request)
        answerer = self._answerers.get(kind)
        if answerer is None:
            raise Unavailable(kind.__name__, "no room that answers it is open")
        try:
            async with asyncio.timeout(timeout_s):
                return cast(Reply, await answerer(request))
        except TimeoutError as exc:
            raise Unavailable(kind.__name__, f"no answer within {timeout_s:g} s") from exc
