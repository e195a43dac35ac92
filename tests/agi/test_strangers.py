"""Whoever else comes to the FastAGI port: no stranger can stall, spin or crash the server."""

import asyncio

import pytest
from structlog.testing import capture_logs

from cti.agi import AgiSession, server
from cti.errors import PeerError
from tests.agi.asterisk_side import AsteriskSide, opening
from tests.agi.serving import all_good, is_served, serving


async def drip(peer: AsteriskSide, line: bytes, times: int) -> None:
    """Send a line many times, as fast as it is taken."""
    for _ in range(times):
        peer.say(line)
        await peer.writer.drain()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "head",
    [
        opening(token="wrong"),
        opening(token=""),
        opening("no-such-script"),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\n\n",
        b"\n\n",
        b"agi_network: yes\n\n",
        b"agi_x: 1\n" * 300 + b"\n",
        b"\xff\xfe\x00" * 2000 + b"\n\n",
        b"a" * 200_000,
    ],
    ids=["token", "no token", "script", "http", "empty", "no script", "lines", "binary", "endless line"],
)
async def test_strangers_are_shown_out(head: bytes) -> None:
    """Whoever does not bring an opening of ours gets no command and a closed socket, and the next call is served."""
    async with serving() as agi:
        async with AsteriskSide(agi.port, head) as stranger:
            assert await stranger.hear() is None
        assert stranger.commands == []
        assert await is_served(agi)


@pytest.mark.asyncio
async def test_connect_and_close_costs_nothing() -> None:
    """Port scans and health checks leave no session, no spinning loop, no line in the log."""
    async with serving() as agi:
        with capture_logs() as logs:
            for _ in range(100):
                async with AsteriskSide(agi.port, b""):
                    pass
            assert await is_served(agi)
        assert logs == []
        assert not agi._sessions


@pytest.mark.asyncio
async def test_ten_megabytes_of_header_are_not_read() -> None:
    """A peer that never ends its opening is cut off after the cap, not after its last byte."""
    async with serving() as agi:
        async with AsteriskSide(agi.port, b"") as flood:
            with pytest.raises(OSError):  # noqa: PT011 - reset or broken pipe, as the kernel likes
                await drip(flood, b"agi_x: " + b"y" * 1000 + b"\n", 10_000)
        assert await is_served(agi)


@pytest.mark.asyncio
async def test_slow_openings_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that drips its opening has its few seconds in all, and others are served meanwhile."""
    monkeypatch.setattr(server, "OPENING_S", 0.3)
    monkeypatch.setattr(server, "_SWEEP_S", 0.02)
    async with serving() as agi, asyncio.timeout(5):
        async with AsteriskSide(agi.port, b"agi_network: yes\n") as slow:
            assert await is_served(agi)
            dripping = True
            while dripping:
                slow.say(b"a")
                try:
                    dripping = bool(await asyncio.wait_for(slow.reader.read(100), 0.05))
                except TimeoutError:
                    continue
                except OSError:
                    break
        assert not agi._sessions


@pytest.mark.asyncio
async def test_a_half_open_peer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that never answers a command is cut off once the command's own time and a grace are over."""
    monkeypatch.setattr(server, "_SWEEP_S", 0.02)
    failures: list[str] = []

    async def script(session: AgiSession) -> None:
        monkeypatch.setattr(server, "OPENING_S", 0.2)
        try:
            await session.answer()
        except PeerError as exc:
            failures.append(str(exc))
            raise

    monkeypatch.setattr(server, "ANSWER_S", 0.1)
    async with serving(script) as agi, AsteriskSide(agi.port) as silent:
        assert await silent.hear() == "ANSWER"
        assert await silent.hear() is None
    assert failures == ["no reply to an AGI command in time"]


@pytest.mark.asyncio
async def test_endless_replies_are_cut_off() -> None:
    """A reply has a bounded size, in one line or in many."""
    for flood in (b"520-x\n" + b"y\n" * 500, b"100 Trying\n" * 500, b"200 " + b"z" * 100_000):
        async with serving() as agi:
            async with AsteriskSide(agi.port) as peer:
                await peer.hear()
                peer.say(flood)
                assert await peer.hear() is None
            assert await is_served(agi)


@pytest.mark.asyncio
async def test_sessions_at_once_are_capped() -> None:
    """The call past the cap is closed at once, so that the dialplan takes it to the failsafe; a free place is used again."""
    async with serving(max_sessions=2) as agi, AsteriskSide(agi.port) as one, AsteriskSide(agi.port) as two:
        assert await one.hear() == await two.hear() == "ANSWER"
        async with AsteriskSide(agi.port) as three:
            assert await three.hear() is None
        assert three.commands == []
        one.say(b"200 result=0\n")
        await one.play_along(all_good)
        assert await is_served(agi)


@pytest.mark.asyncio
async def test_only_permitted_networks_get_in() -> None:
    """An address outside the permit list is closed before a byte is read."""
    async with serving(permit=("10.0.0.0/8",)) as agi:
        async with AsteriskSide(agi.port) as stranger:
            assert await stranger.hear() is None
        assert not agi._sessions
