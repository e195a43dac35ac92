"""The tap: every Fact to every follower, none of them waited for, nobody else let in."""

import asyncio
import json
import os
import socket
from pathlib import Path

import pytest

from cti import tap
from cti.bus.local import LocalBus
from cti.errors import Unavailable
from cti.events import AgentNotReady, AgentReady, Fact
from cti.ids import AgentId
from cti.tap import open_tap
from cti.wire import fact_from_json

READY = AgentReady(at=1.0, agent=AgentId("ann"))


async def follow(path: Path, bus: LocalBus) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A follower the tap has noticed: what is told from here on, he hears."""
    reader, writer = await asyncio.open_unix_connection(path)
    while not bus.ears_for(Fact):  # noqa: ASYNC110 - the tap tells nobody that a follower came
        await asyncio.sleep(0)
    return reader, writer


async def hears(reader: asyncio.StreamReader, bus: LocalBus) -> Fact:
    """The first Fact this follower hears, told as often as it takes until the tap has noticed him."""
    line = asyncio.create_task(reader.readline())
    while not line.done():
        bus.publish(READY)
        await asyncio.sleep(0)
    return fact_from_json(line.result())


@pytest.mark.asyncio
async def test_facts_are_poured_as_they_are_told(tmp_path: Path) -> None:
    """Every follower gets each Fact as one line, from the moment he came; the first may leave without the second noticing."""
    bus, path = LocalBus(), tmp_path / "offhook.sock"
    async with asyncio.timeout(10), open_tap(bus, path):
        bus.publish(READY)
        one, leaving = await follow(path, bus)
        bus.publish(AgentNotReady(at=2.0, agent=AgentId("ann"), reason="lunch"))
        assert fact_from_json(await one.readline()) == AgentNotReady(at=2.0, agent=AgentId("ann"), reason="lunch")
        two, _ = await asyncio.open_unix_connection(path)
        assert await hears(two, bus) == READY
        leaving.close()
        assert await hears(two, bus) == READY


@pytest.mark.asyncio
async def test_without_followers_the_tap_hears_nothing(tmp_path: Path) -> None:
    """Nobody pays for JSON that nobody reads."""
    bus, path = LocalBus(), tmp_path / "offhook.sock"
    async with asyncio.timeout(10), open_tap(bus, path):
        assert bus.ears_for(AgentReady) == 0
        reader, writer = await follow(path, bus)
        assert bus.ears_for(AgentReady) == 1
        writer.close()
        while bus.ears_for(AgentReady):  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert reader is not None


@pytest.mark.asyncio
async def test_a_slow_follower_is_never_waited_for_and_is_told_what_he_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines beyond the bound are dropped; when he reads again he learns how many, in the place where they would have been."""
    monkeypatch.setattr(tap, "MAX_BEHIND_BYTES", 50_000)
    bus, path = LocalBus(), tmp_path / "offhook.sock"
    async with asyncio.timeout(20), open_tap(bus, path):
        reader, writer = await follow(path, bus)
        writer.transport.pause_reading()  # type: ignore[attr-defined] - a stream's transport reads
        count = 20_000
        for number in range(count):
            bus.publish(AgentReady(at=float(number), agent=AgentId("ann")))
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        heard: list[float] = []
        dropped = 0
        while not dropped:
            if heard and heard[-1] < count:
                bus.publish(AgentReady(at=float(count), agent=AgentId("ann")))
            line = json.loads(await reader.readline())
            if "dropped" in line:
                dropped = line["dropped"]
            else:
                heard.append(line["body"]["at"])
        assert heard == [float(number) for number in range(len(heard))]
        assert dropped > 1000
        after = json.loads(await reader.readline())["body"]["at"]
        assert after == float(count)
        assert len(heard) + dropped >= count


@pytest.mark.asyncio
async def test_only_its_owner_may_open_it(tmp_path: Path) -> None:
    """The socket is 0600 from the moment it is there, whatever the umask."""
    old = os.umask(0)
    try:
        async with open_tap(LocalBus(), tmp_path / "offhook.sock"):
            assert (tmp_path / "offhook.sock").stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(old)
    assert not (tmp_path / "offhook.sock").exists()


@pytest.mark.asyncio
async def test_a_second_daemon_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    """Two daemons on one installation would write to one database."""
    bus, path = LocalBus(), tmp_path / "offhook.sock"
    async with asyncio.timeout(10), open_tap(bus, path):
        with pytest.raises(Unavailable, match="a daemon already runs"):
            async with open_tap(LocalBus(), path):
                pass
        reader, _ = await asyncio.open_unix_connection(path)
        assert await hears(reader, bus) == READY


@pytest.mark.asyncio
async def test_what_a_killed_daemon_left_is_swept_away(tmp_path: Path) -> None:
    """A socket nobody listens on any more is no daemon."""
    path = tmp_path / "offhook.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.is_socket()
    async with open_tap(LocalBus(), path):
        assert path.is_socket()


@pytest.mark.asyncio
async def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    """A wrong daemon.socket must not cost the operator a database."""
    path = tmp_path / "offhook.db"
    path.write_text("precious")
    with pytest.raises(Unavailable, match="is no socket"):
        async with open_tap(LocalBus(), path):
            pass
    assert path.read_text() == "precious"


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["no-such-folder/offhook.sock", "x" * 200])
async def test_a_path_that_can_not_be_a_socket_says_so(tmp_path: Path, path: str) -> None:
    """Too long, or in a folder that is not there: a sentence with the mend."""
    with pytest.raises(Unavailable, match=r"set daemon\.socket"):
        async with open_tap(LocalBus(), tmp_path / path):
            pass


@pytest.mark.asyncio
async def test_followers_are_parted_from_when_the_daemon_ends(tmp_path: Path) -> None:
    """Whoever follows reads what was told, then the end."""
    bus, path = LocalBus(), tmp_path / "offhook.sock"
    async with asyncio.timeout(10):
        async with open_tap(bus, path):
            reader, _ = await follow(path, bus)
            bus.publish(READY)
        assert fact_from_json(await reader.readline()) == READY
        assert await reader.readline() == b""
