"""What a process of the bench needs inside its event loop: words from the row, and how long the loop was held."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bench.worker import hear

EVERY_S = 0.001


async def heard() -> Any:
    """The row's next word, the loop going on meanwhile. Raises EOFError when it ends instead."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[Any] = loop.create_future()

    def listen() -> None:
        loop.remove_reader(sys.stdin)
        try:
            told.set_result(hear())
        except EOFError as exc:
            told.set_exception(exc)

    loop.add_reader(sys.stdin, listen)
    return await told


async def until_told(word: str) -> None:
    """Until the row says this word. Raises EOFError when it ends instead."""
    said = await heard()
    if said != word:
        raise RuntimeError(f"told {said!r} instead of {word!r}")


class LoopProbe:
    """How long the loop was held: by how much a sleep of a millisecond was late, in seconds."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def run(self) -> None:
        """Look for ever."""
        loop = asyncio.get_running_loop()
        while True:
            asked_at = loop.time()
            await asyncio.sleep(EVERY_S)
            self.longest_s = max(self.longest_s, loop.time() - asked_at - EVERY_S)


@asynccontextmanager
async def probing() -> AsyncIterator[LoopProbe]:
    """A probe at work while the context lasts."""
    probe = LoopProbe()
    task = asyncio.create_task(probe.run())
    try:
        yield probe
    finally:
        task.cancel()
