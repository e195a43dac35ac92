"""A FastAGI server for tests, on a free port."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from pydantic import SecretStr

from cti.agi import AgiSession
from cti.agi.server import AgiServer
from cti.settings import AgiSettings
from tests.agi.asterisk_side import TOKEN, AsteriskSide


@asynccontextmanager
async def serving(
    handler: Callable[[AgiSession], Awaitable[None]] | None = None, **changes: object
) -> AsyncIterator[AgiServer]:
    """A server on a free port with one script, `inbound`."""
    wanted = AgiSettings.model_validate({"token": SecretStr(TOKEN), **changes})
    agi = AgiServer(wanted.model_copy(update={"port": 0}))

    async def greet(session: AgiSession) -> None:
        await session.answer()
        await session.set_variable("OFFHOOK_NEXT", "offhook-hold,s,1")

    agi.serve("inbound", handler or greet)
    async with asyncio.timeout(20), agi.open():
        yield agi


def all_good(command: str) -> bytes:
    """An Asterisk that does everything it is told."""
    return b"200 result=0 endpos=800\n" if command.startswith("STREAM") else b"200 result=1\n"


async def is_served(agi: AgiServer) -> bool:
    """True when a well-behaved call is served to its end, right now."""
    async with asyncio.timeout(2), AsteriskSide(agi.port) as asterisk:
        await asterisk.play_along(all_good)
    return asterisk.variables == {"OFFHOOK_NEXT": "offhook-hold,s,1"}
