"""The bus inside one process: Facts are told in the order they were published, to every ear, before the next one.

An ear that publishes adds to the end of the line; nothing is re-entered. Late ears hear the same Facts in the same order, when
that line is empty: a pop does not wait for its own history to be written. An ear that raises is logged and counted, and the
others still hear. There is no queue to overflow: both lines are empty again before `publish` returns to its first caller.
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
        self._ears: list[tuple[tuple[type[Fact], ...], Ear, bool]] = []
        self._ears_of: dict[type[Fact], tuple[tuple[Ear, ...], tuple[Ear, ...]]] = {}
        self._answerers: dict[type[object], Callable[[Any], Awaitable[object]]] = {}
        self._counts: dict[type[Fact], Counter] = {}
        self._line: deque[Fact] = deque()
        self._late_line: deque[Fact] = deque()
        self._telling = False

    def publish(self, fact: Fact) -> None:
        """Tell everybody, after whatever is being told now."""
        self._line.append(fact)
        if self._telling:
            return
        self._telling = True
        try:
            while True:
                if self._line:
                    self._tell_first(self._line.popleft())
                elif self._late_line:
                    fact = self._late_line.popleft()
                    self._tell(fact, self._who_hears(type(fact))[1])
                else:
                    return
        finally:
            self._telling = False

    def _tell_first(self, fact: Fact) -> None:
        kind = type(fact)
        self._count(kind)
        ears, late_ears = self._who_hears(kind)
        if late_ears:
            self._late_line.append(fact)
        self._tell(fact, ears)

    def _tell(self, fact: Fact, ears: tuple[Ear, ...]) -> None:
        for ear in ears:
            try:
                ear(fact)
            except Exception:  # one room's failure is one room's failure; the log line wakes a person
                kind = type(fact).__name__
                EARS_FAILED.labels(kind).inc()
                log.exception("an ear failed", fact=kind, call=getattr(fact, "call", None))

    def _who_hears(self, kind: type[Fact]) -> tuple[tuple[Ear, ...], tuple[Ear, ...]]:
        """Who hears this kind at once, and who late."""
        ears = self._ears_of.get(kind)
        if ears is None:
            hear = [(ear, late) for kinds, ear, late in self._ears if issubclass(kind, kinds)]
            ears = tuple(ear for ear, late in hear if not late), tuple(ear for ear, late in hear if late)
            self._ears_of[kind] = ears
        return ears

    def ears_for(self, kind: type[Fact]) -> int:
        """How many hear this kind of Fact, at once or late."""
        return sum(map(len, self._who_hears(kind)))

    def _count(self, kind: type[Fact]) -> None:
        count = self._counts.get(kind)
        if count is None:  # looking a label up costs more than telling
            count = self._counts[kind] = FACTS.labels(kind.__name__)
        count.inc()

    def hear(
        self, kinds: type[FactT] | tuple[type[FactT], ...], ear: Callable[[FactT], None], late: bool = False
    ) -> Callable[[], None]:
        """Call `ear` with every Fact of these kinds from now on."""
        entry = (kinds if isinstance(kinds, tuple) else (kinds,), cast(Ear, ear), late)
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
