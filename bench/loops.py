"""What a measured process needs inside its event loop: words from the row, and how long the loop was held."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.worker import hear

EVERY_S = 0.001


async def until_told(word: str) -> None:
    """Until the row says this word. Raises EOFError when it ends instead."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[object] = loop.create_future()

    def listen() -> None:
        try:
            said = hear()
        except EOFError as exc:
            told.set_exception(exc)
            return
        told.set_result(said)

    loop.add_reader(sys.stdin, lambda: None if told.done() else listen())
    try:
        said = await told
    finally:
        loop.remove_reader(sys.stdin)
    if said != word:
        raise RuntimeError(f"told {said!r} instead of {word!r}")


class LoopProbe:
    """How long the loop was held: by how much a sleep of a millisecond was late, in seconds."""

    def __init__(self) -> None:
        self.holds_s: list[float] = []

    @property
    def longest_s(self) -> float:
        """The longest so far."""
        return max(self.holds_s, default=0.0)

    async def run(self) -> None:
        """Look for ever."""
        loop = asyncio.get_running_loop()
        while True:
            asked_at = loop.time()
            await asyncio.sleep(EVERY_S)
            self.holds_s.append(loop.time() - asked_at - EVERY_S)


@asynccontextmanager
async def probing() -> AsyncIterator[LoopProbe]:
    """A probe at work while the context lasts."""
    probe = LoopProbe()
    task = asyncio.create_task(probe.run())
    try:
        yield probe
    finally:
        task.cancel()
