"""The manager session on real sockets: logging in, asking, and every way a connection can go wrong."""

import asyncio
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from cti.ami.action import Action, Header, Verb
from cti.ami.client import Pauses
from cti.ami.link import FRAMES_PER_TURN, MAX_BACKLOG_FRAMES, ActionFailed
from cti.ami.protocol import Frame
from cti.errors import PeerError, Unavailable
from tests.ami.fault_proxy import fault_proxy
from tests.ami.scripted_asterisk import Headers, frame, response, scripted_asterisk
from tests.ami.session import attached


def originate() -> Action:
    """An action that must never be sent twice."""
    return Action(Verb.ORIGINATE, {Header.CHANNEL: "PJSIP/a1", Header.CHANNEL_ID: "offhook-1"})


@pytest.mark.asyncio
@pytest.mark.parametrize("md5_login", [True, False])
async def test_login(md5_login: bool) -> None:
    """Both logins get in; by challenge the secret never crosses the wire."""
    async with scripted_asterisk() as asterisk, attached(asterisk.port, md5_login=md5_login) as floor:
        await floor.up()
        assert asterisk.logins == 1
        assert asterisk.named("Login")[0]["Events"] == "on"
        assert ("s3cret" in asterisk.named("Login")[0]["text"]) is not md5_login
        await floor.when(lambda: floor.named("FullyBooted"))


@pytest.mark.asyncio
async def test_a_refused_login_is_said_and_tried_again() -> None:
    """A wrong secret is told once by its name, and mended secrets get in without a restart."""
    async with scripted_asterisk() as asterisk:
        asterisk.secret = "another"
        async with attached(asterisk.port) as floor:
            await asterisk.wait_until(lambda: len(asterisk.named("Login")) >= 3)
            assert floor.downs == ["login refused: user 'offhook': Authentication failed"]
            with pytest.raises(Unavailable, match="login refused"):
                await floor.client.send(Action(Verb.PING))
            asterisk.secret = "s3cret"
            await floor.up()


@pytest.mark.asyncio
async def test_an_asterisk_that_boots_is_asked_again_soon() -> None:
    """A login granted before and refused now is tried again at the ordinary pace, a few times."""
    slow = Pauses(first_s=0.02, longest_s=0.05, refused_s=3600.0)
    async with scripted_asterisk() as asterisk, attached(asterisk.port, pauses=slow) as floor:
        await floor.up()
        asterisk.secret = "not read yet"
        asterisk.connections[-1].close()
        await asterisk.wait_until(lambda: len(asterisk.named("Login")) >= 3)
        asterisk.secret = "s3cret"
        await floor.up(2)


@pytest.mark.asyncio
async def test_answers_reach_their_askers() -> None:
    """Answers out of turn, between events of all sorts, each reach the one who asked."""
    async with scripted_asterisk() as asterisk, attached(asterisk.port) as floor:
        held: list[Headers] = []

        def answer_later(action: Headers) -> list[str] | None:
            held.append(action)
            if len(held) < 5:
                return None
            return [response(one, f"Value: {one['Variable']}") for one in reversed(held)]

        asterisk.replies["Getvar"] = answer_later
        await floor.up()
        names = [f"OFFHOOK_{n}" for n in range(5)]
        asks = [floor.client.send(Action(Verb.GETVAR, {Header.VARIABLE: name})) for name in names]
        assert [found.get("Value") for found in await asyncio.gather(*asks)] == names


@pytest.mark.asyncio
async def test_errors_are_peer_errors_with_asterisks_word() -> None:
    """`Response: Error` is raised with its message; the link stays."""
    async with scripted_asterisk() as asterisk, attached(asterisk.port) as floor:
        asterisk.replies["Hangup"] = lambda action: [response(action, "Message: No such channel", result="Error")]
        await floor.up()
        with pytest.raises(ActionFailed, match="Asterisk refused Hangup: No such channel") as caught:
            await floor.client.send(Action(Verb.HANGUP, {Header.CHANNEL: "x"}))
        assert isinstance(caught.value, PeerError)
        assert (await floor.client.send(Action(Verb.PING))).get("Ping") == "Pong"


@pytest.mark.asyncio
async def test_lists_are_collected() -> None:
    """Rows between start and Complete, none of them taken for an event; other events of that time are handed over."""

    def rows(action: Headers) -> list[str]:
        mine = f"ActionID: {action['ActionID']}"
        return [
            response(action, "EventList: start"),
            *(f"Event: CoreShowChannel\r\n{mine}\r\nUniqueid: {n}" for n in range(3)),
            "Event: Newstate\r\nUniqueid: 9",
            f"Event: CoreShowChannelsComplete\r\n{mine}\r\nEventList: Complete\r\nListItems: 3",
        ]

    async with scripted_asterisk() as asterisk, attached(asterisk.port, wanted=frozenset({"Newstate"})) as floor:
        asterisk.replies["CoreShowChannels"] = rows
        await floor.up()
        found = await floor.client.collect(Action(Verb.CORE_SHOW_CHANNELS))
        assert [row.get("Uniqueid") for row in found] == ["0", "1", "2"]
        assert [event.event for event in floor.events] == ["Newstate"]


@pytest.mark.asyncio
@pytest.mark.parametrize("ending", ["EventList: Cancelled", None])
async def test_broken_lists_are_errors(ending: str | None) -> None:
    """A list that is broken off, or never ends, is no list."""

    def rows(action: Headers) -> list[str]:
        row = f"Event: CoreShowChannel\r\nActionID: {action['ActionID']}"
        return [response(action, "EventList: start"), row, *([f"{row}\r\n{ending}"] if ending else [])]

    async with scripted_asterisk() as asterisk, attached(asterisk.port) as floor:
        asterisk.replies["CoreShowChannels"] = rows
        await floor.up()
        with pytest.raises((PeerError, Unavailable)):
            await floor.client.collect(Action(Verb.CORE_SHOW_CHANNELS), timeout_s=0.3)


@pytest.mark.asyncio
async def test_a_silent_action_is_unavailable_and_sent_once() -> None:
    """No answer by the deadline: fate unknown, never resent; an answer that comes too late harms nobody."""
    async with scripted_asterisk() as asterisk, attached(asterisk.port) as floor:
        asterisk.replies["Originate"] = lambda action: None
        await floor.up()
        with pytest.raises(Unavailable, match=r"fate of Originate is unknown, no answer for 0\.1 s"):
            await floor.client.send(originate(), timeout_s=0.1)
        asterisk.say(frame(response(asterisk.named("Originate")[0])))
        await floor.client.send(Action(Verb.PING))
        assert len(asterisk.named("Originate")) == 1


@pytest.mark.asyncio
async def test_bursts_come_whole_and_in_order_without_holding_the_loop() -> None:
    """A burst many turns long is handed over in order in slices; others get their turn between them."""
    async with scripted_asterisk() as asterisk, attached(asterisk.port) as floor:
        await floor.up()
        burst = b"".join(frame("Event: Newstate", f"Count: {n}") for n in range(20_000))
        asterisk.say(burst)
        await floor.when(lambda: len(floor.named("Newstate")) == 20_000)
        assert [int(found.get("Count")) for found in floor.named("Newstate")] == list(range(20_000))
        assert max(floor.slices) <= FRAMES_PER_TURN
        assert floor.client.lag_s == 0.0


@pytest.mark.asyncio
async def test_a_reader_of_events_that_fails_gets_the_truth_anew() -> None:
    """An error in our own reader drops the link, so that nothing is believed that was only half taken."""
    async with scripted_asterisk() as asterisk, attached(asterisk.port) as floor:
        await floor.up()
        floor.on_frames_fails.append(KeyError("bug"))
        asterisk.say(frame("Event: Newstate"))
        await floor.up(times=2)
        assert floor.downs == ["our own reader of events failed"]


@pytest.mark.asyncio
async def test_a_resync_that_fails_is_tried_again() -> None:
    """When the truth can't be read the session is not up; a new one tries again."""
    async with scripted_asterisk() as asterisk, attached(asterisk.port) as floor:
        floor.on_up_fails.append(Unavailable("Asterisk", "no list"))
        await floor.up()
        assert floor.downs == ["Asterisk is unavailable: no list"]
        assert asterisk.logins == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["reset", "half_close"])
async def test_a_broken_connection_is_said_at_once_and_mended(kind: str) -> None:
    """RST or FIN from Asterisk: whoever waits is told, the reason is heard once, the next session comes up."""
    async with scripted_asterisk() as asterisk, fault_proxy(asterisk.port) as proxy, attached(proxy.port) as floor:
        asterisk.replies["Originate"] = lambda action: None
        await floor.up()
        asked = asyncio.create_task(floor.client.send(originate()))
        await asterisk.wait_until(lambda: len(asterisk.named("Originate")) == 1)
        getattr(proxy, kind)()
        with pytest.raises(Unavailable, match="fate of Originate is unknown"):
            await asked
        await floor.up(times=2)
        assert len(floor.downs) == 1
        assert len(asterisk.named("Originate")) == 1


@pytest.mark.asyncio
async def test_stopping_while_the_connection_breaks() -> None:
    """A session that is stopped in the very moment its connection breaks does stop, whichever is seen first."""
    async with scripted_asterisk() as asterisk:
        for turns in range(12):
            async with attached(asterisk.port) as floor:
                await floor.up()
                asterisk.connections[-1].transport.abort()
                for _ in range(turns):
                    await asyncio.sleep(0)


@pytest.mark.asyncio
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_silent_peer_is_found_by_two_pings(direction: str) -> None:
    """A connection that is open and silent in one direction is dead within two and a half pings."""
    async with (
        scripted_asterisk() as asterisk,
        fault_proxy(asterisk.port) as proxy,
        attached(proxy.port, ping_s=0.2) as floor,
    ):
        await floor.up()
        loop = asyncio.get_running_loop()
        silent_since = loop.time()
        getattr(proxy, direction).stall()
        await floor.when(lambda: floor.downs)
        assert floor.downs == ["Asterisk left 2 pings unanswered"]
        assert loop.time() - silent_since < 2.5 * 0.2 + 0.3
        proxy.heal()
        await floor.up(times=2)


@pytest.mark.asyncio
async def test_a_living_peer_is_left_alone() -> None:
    """Pings answered late but in time, or once not at all, cut nothing."""
    async with scripted_asterisk() as asterisk, attached(asterisk.port, ping_s=0.1) as floor:
        skipped: list[str] = []

        def answer_second(action: Headers) -> list[str] | None:
            skipped.append(action["ActionID"])
            return [response(action, "Ping: Pong")] if len(skipped) % 2 == 0 else None

        asterisk.replies["Ping"] = answer_second
        await floor.up()
        await asterisk.wait_until(lambda: len(skipped) >= 8)
        assert floor.downs == []


@pytest.mark.asyncio
async def test_one_byte_at_a_time_and_late() -> None:
    """A slow network in one-byte segments changes nothing but the time it takes."""
    async with scripted_asterisk() as asterisk, fault_proxy(asterisk.port) as proxy:
        proxy.up.slice_bytes = proxy.down.slice_bytes = 1
        proxy.up.latency_s = proxy.down.latency_s = 0.01
        async with attached(proxy.port) as floor:
            await floor.up()
            assert (await floor.client.send(Action(Verb.PING))).get("Ping") == "Pong"
            asterisk.say(frame("Event: Newchannel", "CallerIDName: Zoë"))
            await floor.when(lambda: floor.named("Newchannel"))
            assert floor.named("Newchannel")[0].get("CallerIDName") == "Zoë"


@pytest.mark.asyncio
@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize("after", range(0, 121, 20))
async def test_an_originate_cut_anywhere_is_never_sent_again(direction: str, after: int) -> None:
    """The link is cut after any number of bytes of an Originate or of its answer: Unavailable, and no second one after
    the reconnect."""
    async with scripted_asterisk() as asterisk, fault_proxy(asterisk.port) as proxy, attached(proxy.port) as floor:
        await floor.up()
        cut = getattr(proxy, direction)
        cut.drop_after_bytes = cut.passed_bytes + after
        sent = await asyncio.gather(floor.client.send(originate()), return_exceptions=True)
        proxy.heal()
        if not isinstance(sent[0], Unavailable):
            assert isinstance(sent[0], Frame)
            proxy.reset()
        await floor.up(times=2)
        await floor.client.send(Action(Verb.PING))
        assert len(asterisk.named("Originate")) <= 1


@pytest.mark.asyncio
async def test_a_peer_that_is_no_asterisk_is_dropped() -> None:
    """A frame without end ends the session, not the memory."""
    async with scripted_asterisk() as asterisk, attached(asterisk.port) as floor:
        await floor.up()
        asterisk.say(b"Event: X\r\nY: " + b"y" * 300_000)
        await floor.up(times=2)
        assert floor.downs == ["Asterisk sent a frame of more than 262144 bytes"]


@pytest.mark.asyncio
async def test_nobody_listening_is_said_once_and_waited_for() -> None:
    """No Asterisk yet: told once, asked again, up when it comes."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        async with attached(place.getsockname()[1]) as floor:
            await floor.when(lambda: floor.downs)
            with pytest.raises(Unavailable, match="Ping not sent, no connection to"):
                await floor.client.send(Action(Verb.PING))
            async with scripted_asterisk(place):
                await floor.up()
                assert len(floor.downs) == 1


@pytest.mark.asyncio
async def test_tls(tmp_path: Path) -> None:
    """Over TLS the same; a certificate nobody vouches for is refused by name."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl program")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    await asyncio.to_thread(subprocess.run, [openssl, *request, *names], check=True, capture_output=True)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(certificate, key)
    async with scripted_asterisk(tls=theirs) as asterisk:
        async with attached(asterisk.port, tls=True) as floor:
            await floor.when(lambda: floor.downs)
            assert "certificate verify failed" in floor.downs[0]
        ours = ssl.create_default_context(cafile=str(certificate))
        async with attached(asterisk.port, tls_context=ours, tls=True) as floor:
            await floor.up()


def test_pauses() -> None:
    """Full jitter under a doubling bound; slow after a refused login."""
    pauses = Pauses()
    assert [pauses.before(n, False, 1.0) for n in range(7)] == [0.2, 0.4, 0.8, 1.6, 3.2, 4.0, 4.0]
    assert pauses.before(10_000, False, 0.5) == 2.0
    assert pauses.before(0, False, 0.0) > 0
    assert pauses.before(0, True, 0.0) == 7.5
    assert MAX_BACKLOG_FRAMES > FRAMES_PER_TURN
