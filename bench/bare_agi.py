"""A bare FastAGI server that sends every caller to hold: the floor of the one-leg row.

`python -m bench.bare_agi PORT TOKEN`.
"""

import asyncio
import sys

from bench.loops import heard
from bench.worker import say

_COMMANDS = (
    b"ANSWER\n",
    b'SET VARIABLE "OFFHOOK_QUEUE" "sales"\n',
    b'SET VARIABLE "OFFHOOK_NEXT" "offhook-hold,s,1"\n',
)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    opening = (await reader.readuntil(b"\n\n")).decode()
    assert f"/{sys.argv[2]}/" in opening
    for command in _COMMANDS:
        writer.write(command)
        await reader.readline()
    writer.close()


async def _run() -> None:
    async with await asyncio.start_server(_serve, "127.0.0.1", int(sys.argv[1]), backlog=2048):
        say("listening")
        try:
            await heard()
        except EOFError:
            return


if __name__ == "__main__":
    asyncio.run(_run())
