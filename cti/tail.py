"""`offhook tail`: the running daemon's Facts as they are told, for a person or as JSON lines."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from cti.errors import Unavailable

HIDDEN = frozenset({"at", "inferred", "call", "agent"})


async def follow(path: Path, out: Console, as_json: bool, call: str = "") -> None:
    """Print Facts until the daemon ends or the reader does. `call` shows one call's only. Raises Unavailable."""
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=2**22)
    except OSError as exc:
        raise Unavailable("offhook run", f"no daemon listens on {path}; start it, or name its settings") from exc
    try:
        while line := await reader.readline():
            told = json.loads(line)
            if call and "body" in told and told["body"].get("call") != call:
                continue
            if as_json:
                print(line.decode().rstrip(), flush=True)
            else:
                out.print(_sentence(told), soft_wrap=True)
    finally:
        writer.close()


def _sentence(told: dict[str, object]) -> Text:
    """One Fact on one line; everything in it is text, never markup."""
    body = told.get("body")
    if not isinstance(body, dict):
        return Text(f"({told.get('dropped')} facts dropped: this reader was too slow)", style="yellow")
    at = datetime.fromtimestamp(body["at"], UTC).strftime("%H:%M:%S.%f")[:-3]
    rest = " ".join(
        f"{name}={json.dumps(value, ensure_ascii=False, default=str)[:120]}"
        for name, value in body.items()
        if name not in HIDDEN and value not in (None, "", [], ())
    )
    who = " ".join(str(body[name]) for name in ("call", "agent") if body.get(name))
    mark = " (inferred)" if body.get("inferred") else ""
    return Text.assemble((at, "dim"), " ", (str(told["kind"]), "bold"), f"{mark} ", (who, "cyan"), " ", rest)
