"""The bus port: Facts are broadcast, Requests are asked. Adapters: `local` (one process)."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from cti.events import Fact
from cti.requests import Request

FactT = TypeVar("FactT", bound=Fact)
RequestT = TypeVar("RequestT")
Reply = TypeVar("Reply")


class Bus(Protocol):
    """How rooms hear and ask one another."""

    def publish(self, fact: Fact) -> None:
        """Tell everybody. Never blocks; hearers run before the next Fact is told, in one order for all."""

    def hear(
        self, kinds: type[FactT] | tuple[type[FactT], ...], ear: Callable[[FactT], None], late: bool = False
    ) -> Callable[[], None]:
        """Call `ear` with every Fact of these kinds and their subclasses; returns the way to stop. It never awaits.

        Who only writes down what others act on hears `late`: in the same order, once nobody has anything to add.
        """

    def answer(self, kind: type[RequestT], answerer: Callable[[RequestT], Awaitable[object]]) -> Callable[[], None]:
        """Be the one who answers this kind of Request; returns the way to stop. Raises ValueError when somebody is already."""

    async def ask(self, request: Request[Reply], timeout_s: float = 5.0) -> Reply:
        """The answer. Raises Refused from the answerer, Unavailable when nobody answers in time."""
