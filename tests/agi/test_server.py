"""The FastAGI server on real sockets: friends are served, and one call's failure is one call's failure."""

import asyncio
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from cti.agi import AgiSession, HungUp, LetGo, server
from cti.agi.server import AgiServer
from cti.errors import PeerError
from cti.settings import AgiSettings
from tests.agi.asterisk_side import AsteriskSide, opening
from tests.agi.serving import all_good, is_served, serving


@pytest.mark.asyncio
async def test_a_call_is_served() -> None:
    """A script sees the call, gives its commands one by one and leaves by closing."""
    seen: list[object] = []

    async def script(session: AgiSession) -> None:
        seen.extend([session.call, session.channel, session.leg, session.ani, session.dnis, session.arguments])
        await session.answer()
        seen.append(await session.play("/prompts/a", "12", longest_s=4.0))
        seen.append(await session.wait_for_key(5.0))
        seen.append(await session.get_variable("OFFHOOK_QUEUE"))
        await session.set_variable("OFFHOOK_NEXT", 'a "quoted" \\ thing')

    said = {"STREAM": b"200 result=50 endpos=100\n", "WAIT": b"200 result=0\n", "GET": b"200 result=1 (sales)\n"}
    head = opening(arguments=("1700.1", "x"))
    async with serving(script) as agi, AsteriskSide(agi.port, head) as asterisk:
        await asterisk.play_along(lambda line: said.get(line.split()[0], b"200 result=1\n"))
    assert seen == ["1700.1", "PJSIP/trunk-00000001", "1700.1", "+15551234567", "1000", ("x",), "2", "", "sales"]
    assert asterisk.variables == {"OFFHOOK_NEXT": 'a "quoted" \\ thing'}
    assert not asterisk.gave_up


@pytest.mark.asyncio
async def test_the_limit_is_armed_for_long_steps_only() -> None:
    """A step that may outlast the limit arms it anew to its own time and the grace; cheap commands cost nothing extra."""

    async def script(session: AgiSession) -> None:
        await session.answer()
        await session.set_variable("OFFHOOK_NEXT", "")
        await session.play("/prompts/a", longest_s=20.0)
        await session.set_variable("OFFHOOK_NEXT", "")
        await session.set_variable("OFFHOOK_QUEUE", "sales")
        await session.wait_for_key(1.0)
        await session.wait_for_key(5.0)

    async with serving(script) as agi, AsteriskSide(agi.port) as asterisk:
        await asterisk.play_along(lambda _: b"200 result=0\n")
    assert asterisk.armed() == [20 + server.GRACE_S, server.GRACE_S, 5 + server.GRACE_S]
    assert [line.split()[0] for line in asterisk.commands] == [
        "ANSWER", "SET", "SET", "STREAM", "SET", "SET", "SET", "WAIT", "SET", "WAIT",
    ]  # fmt: skip


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "said", [b"200 result=-1\n", b"HANGUP\n", b"511 Command Not Permitted on a dead channel\n", b""]
)
async def test_a_hang_up_ends_the_script(said: bytes) -> None:
    """However Asterisk says that the caller left, the script learns it at once and every later command too."""
    ends: list[type[Exception]] = []
    over = asyncio.Event()

    async def script(session: AgiSession) -> None:
        for _ in range(3):
            try:
                await session.play("/prompts/a")
            except HungUp as exc:
                ends.append(type(exc))
        over.set()
        await session.answer()

    async with serving(script) as agi, AsteriskSide(agi.port) as asterisk:
        await asterisk.hear()
        asterisk.say(said)
        if not said:
            asterisk.writer.close()
        else:
            assert await asterisk.hear() is None
        await over.wait()
    assert ends == [HungUp] * 3


@pytest.mark.asyncio
async def test_a_frozen_daemon_knows_that_it_lost_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that ends after its limit ran out was let go by the PBX, not hung up by the caller."""
    ends: list[type[Exception]] = []
    wake = asyncio.Event()

    async def script(session: AgiSession) -> None:
        await wake.wait()
        try:
            await session.answer()
        except HungUp as exc:
            ends.append(type(exc))
            raise

    monkeypatch.setattr(server, "FIRST_WORD_S", 0.0)
    async with serving(script) as agi, AsteriskSide(agi.port) as asterisk:
        asterisk.say(b"HANGUP\n")
        asterisk.writer.write_eof()
        wake.set()
        await asterisk.reader.read()
    assert ends == [LetGo]


@pytest.mark.asyncio
async def test_a_daemon_frozen_in_a_command_knows_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a freeze longer than every deadline, what the PBX did meanwhile counts, not that the deadline is over."""
    monkeypatch.setattr(server, "OPENING_S", 0.1)
    monkeypatch.setattr(server, "_SWEEP_S", 0.02)
    ends: list[type[Exception]] = []

    async def script(session: AgiSession) -> None:
        try:
            await session.play("/prompts/a", longest_s=5.0)
        except (HungUp, PeerError) as exc:
            ends.append(type(exc))

    async with serving(script) as agi, AsteriskSide(agi.port) as asterisk:
        assert (await asterisk.hear() or "").startswith("STREAM")
        for session in agi._sessions:  # the step's own time, cut short
            session.deadline = session._armed_until = 0.0
        asterisk.writer.write_eof()
        time.sleep(0.2)  # noqa: ASYNC251 - the freeze
        await asterisk.reader.read()
    assert ends == [LetGo]


@pytest.mark.asyncio
async def test_a_refused_command_leaves_the_session_in_step() -> None:
    """510 and the many lines of 520 are the answer to one command; the next command gets its own."""
    got: list[str] = []

    async def script(session: AgiSession) -> None:
        for _ in range(2):
            with pytest.raises(PeerError):
                await session.answer()
        got.append(await session.get_variable("OFFHOOK_QUEUE"))

    replies = [
        b"510 Invalid or unknown command\n",
        b"520-Invalid command syntax.  Proper usage follows:\n Usage: ANSWER\n200 result=9 (fake)\n520 End of proper usage.\n",
        b"200 result=1 (sales)\n",
    ]
    async with serving(script) as agi, AsteriskSide(agi.port) as asterisk:
        await asterisk.play_along(lambda _: replies.pop(0))
    assert got == ["sales"]


@pytest.mark.asyncio
async def test_a_failing_script_gives_the_caller_to_the_failsafe() -> None:
    """An exception in a script makes AGISTATUS FAILURE for that caller and does nothing to others."""

    async def script(session: AgiSession) -> None:
        await session.answer()
        if session.ani == "666":
            raise RuntimeError("boom")
        await session.set_variable("OFFHOOK_NEXT", "offhook-hold,s,1")

    async with serving(script) as agi, AsteriskSide(agi.port, opening(callerid="666")) as unlucky:
        with capture_logs() as logs:
            await unlucky.play_along(all_good)
        assert unlucky.gave_up
        assert [entry["event"] for entry in logs] == ["AGI script failed"]
        assert await is_served(agi)


@pytest.mark.asyncio
async def test_a_script_that_gives_up_on_a_command_never_reads_anothers_answer() -> None:
    """A command abandoned half way ends the session: the late reply is not taken for the next command's."""
    why: list[str] = []

    async def script(session: AgiSession) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await session.wait_for_key(5)
        try:
            await session.get_variable("OFFHOOK_QUEUE")
        except PeerError as exc:
            why.append(str(exc))
            raise

    async with serving(script) as agi, AsteriskSide(agi.port) as asterisk:
        assert (await asterisk.hear() or "").startswith("WAIT")
        assert await asterisk.hear() is None
    assert why
    assert asterisk.gave_up


@pytest.mark.asyncio
async def test_closing_the_server_gives_callers_to_the_failsafe() -> None:
    """When the daemon stops, a caller in the middle of a menu goes to the failsafe, not to silence."""
    async with serving() as agi:
        asterisk = AsteriskSide(agi.port)
        await asterisk.__aenter__()
        assert await asterisk.hear() == "ANSWER"
    assert await asterisk.hear() is None
    assert asterisk.gave_up
    asterisk.writer.close()


@pytest.mark.asyncio
async def test_scripts_have_one_server() -> None:
    """A script name is served once, and free again when its server stops."""

    async def script(session: AgiSession) -> None:
        return None

    agi = AgiServer(AgiSettings())
    stop = agi.serve("hold", script)
    with pytest.raises(ValueError, match="served already"):
        agi.serve("hold", script)
    stop()
    agi.serve("hold", script)


chunks = st.lists(
    st.one_of(
        st.binary(max_size=80),
        st.sampled_from(
            [opening(), b"200 result=1\n", b"HANGUP\n", b"520-x\n", b"100 x\n", b"200 result=", b"\n", b"\n\n"]
        ),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chunks)
def test_whatever_comes_nobody_else_suffers(pieces: list[bytes]) -> None:
    """Any bytes in any pieces: no exception reaches the log or the loop, and the next call is served."""

    async def attack() -> None:
        unhandled: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        async with serving() as agi:
            async with AsteriskSide(agi.port, b"") as peer:
                for piece in pieces:
                    peer.say(piece)
                    await asyncio.sleep(0)
            assert await is_served(agi)
        assert unhandled == []

    with capture_logs() as logs:
        asyncio.run(attack())
    assert [entry for entry in logs if entry["log_level"] not in ("warning", "info")] == []
