"""`offhook tail`: what the daemon tells, for a person or a program."""

import asyncio
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from cti.bus.local import LocalBus
from cti.errors import Unavailable
from cti.events import AgentReady, CallArrived, CallEnded, EndedBy, Fact
from cti.ids import AgentId, CallId, LegId
from cti.tail import follow
from cti.tap import open_tap

ARRIVED = CallArrived(
    at=1.5, call=CallId("1.1"), leg=LegId("1.1"), channel="PJSIP/x", ani="+1202", caller_name="[bold red]Zoë[/]", dnis="1000"
)  # fmt: skip
ENDED = CallEnded(at=61.25, call=CallId("1.2"), ended_by=EndedBy.CALLER, inferred=True)
READY = AgentReady(at=3.0, agent=AgentId("ann"))


async def tail(path: Path, facts: list[Fact], as_json: bool = False, call: str = "") -> str:
    """What `follow` prints of these Facts, as a person at a terminal of 80 columns sees it."""
    out, bus = Console(file=io.StringIO(), width=80), LocalBus()
    async with asyncio.timeout(10):
        async with open_tap(bus, path):
            following = asyncio.create_task(follow(path, out, as_json, call))
            while not bus.ears_for(Fact):  # noqa: ASYNC110 - the tap tells nobody that a follower came
                await asyncio.sleep(0)
            for fact in facts:
                bus.publish(fact)
        await following
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


@pytest.mark.asyncio
async def test_a_person_reads_one_line_a_fact(tmp_path: Path) -> None:
    """Time, kind, call, what is in it; inferred ones say so; text from outside is text; no line is broken in two."""
    lines = (await tail(tmp_path / "s", [ARRIVED, ENDED, READY])).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("00:00:01.500 CallArrived 1.1 ")
    assert "[bold red]Zoë[/]" in lines[0]
    assert lines[1].startswith("00:01:01.250 CallEnded (inferred) 1.2 ")
    assert 'ended_by="caller"' in lines[1]
    assert lines[2].startswith("00:00:03.000 AgentReady ann")


@pytest.mark.asyncio
@pytest.mark.parametrize("as_json", [False, True])
async def test_one_call_can_be_followed(tmp_path: Path, as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Only that call's, for a person and for a program alike."""
    printed = await tail(tmp_path / "s", [ARRIVED, ENDED, READY], as_json, call="1.2")
    said = capsys.readouterr().out if as_json else printed
    assert said.count("CallEnded") == 1
    assert "CallArrived" not in said
    assert "AgentReady" not in said


@pytest.mark.asyncio
async def test_a_program_reads_json_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One object a line, as the tap pours it."""
    await tail(tmp_path / "s", [ARRIVED, READY], as_json=True)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["kind"], each["body"]["at"]) for each in told] == [("CallArrived", 1.5), ("AgentReady", 3.0)]


@pytest.mark.asyncio
async def test_a_reader_who_was_too_slow_is_told(tmp_path: Path) -> None:
    """The tap's own word about what it dropped is shown too, also when one call is followed."""

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'{"dropped":7}\n')
        writer.close()

    out = Console(file=io.StringIO(), width=80)
    async with asyncio.timeout(10), await asyncio.start_unix_server(pour, tmp_path / "s"):
        await follow(tmp_path / "s", out, as_json=False, call="1.1")
    assert isinstance(out.file, io.StringIO)
    assert "(7 facts dropped: this reader was too slow)" in out.file.getvalue()


@pytest.mark.asyncio
async def test_without_a_daemon_it_says_so(tmp_path: Path) -> None:
    """The mend: start it, or name its settings."""
    with pytest.raises(Unavailable, match="no daemon listens"):
        await follow(tmp_path / "nobody", Console(file=io.StringIO()), as_json=False)
