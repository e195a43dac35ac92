"""The console as browsers meet it: a real server, real sockets, the other rooms played by scripts."""

import asyncio
import dataclasses
from pathlib import Path

import httpx
import pytest

from agent_console import push, session
from agent_console.server import listen
from cti.errors import ConfigError, Refused
from cti.events import (
    ConsoleConnected,
    ConsoleLost,
    Fact,
    OfferEnded,
    OfferOutcome,
    PbxLost,
    PbxSynced,
    PopPainted,
    WaitingLineChanged,
)
from cti.floor import Availability
from cti.ids import CallId
from cti.requests import ChooseCandidate, Draft, FinishWrapUp, GoNotReady, GoReady, SaveDraft, SignIn
from tests.agent_console.floor import ANN, NOW, later, pop, shown, waiting_line
from tests.agent_console.running import Browser, Running, running, to_the_end


async def heard(run: Running, kind: type[Fact], count: int = 1) -> Fact:
    """The `count`-th Fact of this kind, waiting until it is told."""
    told = asyncio.Event()
    stop = run.bus.hear(kind, lambda fact: told.set())
    try:
        async with asyncio.timeout(5):
            while len(found := [fact for fact in run.facts if isinstance(fact, kind)]) < count:
                told.clear()
                await told.wait()
    finally:
        stop()
    return found[count - 1]


@pytest.mark.asyncio
async def test_an_agent_who_opens_the_page_is_on_the_floor(database: Path) -> None:
    """Hello brings the view, says that she is here, and signs her in, not ready; ready is a click away."""
    async with running(database) as run, run.browser("ann") as ann:
        await ann.until("put", key="me")
        assert ann.view["me"]["role"] == "agent"
        assert ann.view["me"]["line"]["availability"] == "not_ready"
        assert ann.view["choices"]["not_ready_reasons"] == ["break", "lunch"]
        assert run.rooms.asked == [SignIn(agent=ANN)]
        connected = await heard(run, ConsoleConnected)
        assert isinstance(connected, ConsoleConnected)
        assert (connected.agent, connected.client) == (ANN, "test")
        assert (await ann.do(name="ready"))["type"] == "done"
        assert ann.view["me"]["line"]["availability"] == "ready"


@pytest.mark.asyncio
async def test_a_pop_is_pushed_painted_and_dropped(database: Path) -> None:
    """PopChanged reaches the agent and nobody else; painted becomes PopPainted; the offer's end takes it away."""
    async with running(database) as run, run.browser("ann") as ann, run.browser("ben") as ben:
        offered = pop("17.1")
        run.bus.publish(shown(offered))
        message = await ann.until("put", key="pop")
        assert message["value"]["offer"] == offered.offer
        await ann.say(type="painted", offer="some-other-1", version=1)
        await ann.say(type="painted", offer=offered.offer, version=1)
        painted = await heard(run, PopPainted)
        assert isinstance(painted, PopPainted)
        assert (painted.agent, painted.offer, painted.call, painted.version) == (ANN, offered.offer, "17.1", 1)
        run.bus.publish(
            OfferEnded(at=NOW, call=offered.call, offer=offered.offer, agent=ANN, outcome=OfferOutcome.LAPSED)
        )
        await ann.until("drop", key="pop")
        assert (await ben.do(name="ready"))["type"] == "done"
        assert not [said for said in ben.said if said.get("key") == "pop"]


@pytest.mark.asyncio
async def test_ben_cannot_paint_anns_pop(database: Path) -> None:
    """A browser's word counts for its own agent's screen only."""
    async with running(database) as run, run.browser("ann"), run.browser("ben") as ben:
        offered = pop("17.1")
        run.bus.publish(shown(offered))
        await ben.say(type="painted", offer=offered.offer, version=1)
        await ben.do(name="ready")  # in order behind it
        assert not [fact for fact in run.facts if isinstance(fact, PopPainted)]


@pytest.mark.asyncio
async def test_hostile_text_goes_through_as_text(database: Path) -> None:
    """What a caller calls himself comes to the browser letter for letter, as a JSON string."""
    name = "<img src=x onerror=alert(1)>\u2028\"'\\"
    async with running(database) as run, run.browser("ann") as ann:
        run.bus.publish(shown(pop("17.1", name=name)))
        assert (await ann.until("put", key="pop"))["value"]["caller_name"] == name


@pytest.mark.asyncio
async def test_wishes_become_requests_and_refusals_come_back(database: Path) -> None:
    """Each action asks the room that answers it for the asker's own agent; a refusal keeps its code and words."""
    async with running(database) as run, run.browser("ann") as ann:
        await ann.do(name="not_ready", reason="lunch")
        await ann.do(name="finish", call="17.1", disposition="sold", note="two lines\nof text")
        await ann.do(name="choose", call="17.1", customer=None)
        run.rooms.refuse = Refused("signed-out", "Sign in first.")
        refused = await ann.do(name="ready")
        assert (refused["type"], refused["code"], refused["why"]) == ("refused", "signed-out", "Sign in first.")
        run.rooms.refuse = None
        unanswered = await ann.do(name="hang_up", call="17.1")
        assert unanswered["code"] == "unavailable"
        asked = [request for request in run.rooms.asked if not isinstance(request, SignIn)]
        assert asked == [
            GoNotReady(agent=ANN, reason="lunch"),
            FinishWrapUp(agent=ANN, call=CallId("17.1"), disposition="sold", note="two lines\nof text"),
            ChooseCandidate(agent=ANN, call=CallId("17.1"), customer=None),
        ]


@pytest.mark.asyncio
async def test_a_supervisor_sees_the_floor_and_takes_no_contacts(database: Path) -> None:
    """Agents and waiting contacts are hers to see; ready is not hers to ask."""
    async with running(database) as run, run.browser("sue") as sue:
        if "agents/ann" not in sue.view:
            await sue.until("put", key="agents/ann")
        run.bus.publish(WaitingLineChanged(at=NOW, call=CallId("17.1"), line=waiting_line(CallId("17.1"))))
        await sue.until("put", key="waiting/17.1")
        run.bus.publish(PbxSynced(at=NOW, calls=()))
        await sue.until("put", key="pbx")
        assert sue.view["pbx"]["is_up"]
        run.bus.publish(PbxLost(at=NOW, why="cut"))
        await sue.until("put", key="pbx")
        assert sue.view["pbx"] == {"is_up": False, "why": "cut", "since": NOW}
        assert (await sue.do(name="ready"))["code"] == "not-an-agent"
        assert not [request for request in run.rooms.asked if isinstance(request, GoReady)]


@pytest.mark.asyncio
async def test_a_draft_is_kept_shown_in_every_tab_and_there_after_a_reload(database: Path) -> None:
    """Two tabs are two views of one agent: what is typed in one is in the other, and in a third opened later."""
    async with running(database) as run:
        cookie = await run.sign_in("ann")
        async with run.browser("ann", cookie) as one, run.browser("ann", cookie) as two:
            run.bus.publish(shown(pop("17.1")))
            await one.do(name="draft", call="17.1", disposition="", note="half a sen")
            await two.until("put", key="draft")
            assert two.view["draft"] == {"call": "17.1", "disposition": "", "note": "half a sen"}
            assert SaveDraft(agent=ANN, call=CallId("17.1"), draft=Draft("", "half a sen")) in run.rooms.asked
        async with run.browser("ann", cookie) as three:
            assert three.view["draft"]["note"] == "half a sen"


@pytest.mark.asyncio
async def test_a_draft_kept_by_voc_comes_back_after_a_restart(database: Path) -> None:
    """A console that knows of no draft asks voc for that of the contact on screen."""
    async with running(database) as run:
        run.rooms.drafts["17.1"] = Draft("sold", "before the restart")
        run.bus.publish(shown(pop("17.1")))
        async with run.browser("ann") as ann:
            if "draft" not in ann.view:
                await ann.until("put", key="draft")
            assert ann.view["draft"]["note"] == "before the restart"


@pytest.mark.asyncio
async def test_a_reconnect_resumes_where_it_was(database: Path) -> None:
    """The browser says what it has: only what it missed comes; with another epoch a snapshot."""
    async with running(database) as run:
        cookie = await run.sign_in("ann")
        async with run.browser("ann", cookie) as before:
            first = pop("17.1")
            run.bus.publish(shown(first))
            await before.until("put", key="pop")
        run.bus.publish(shown(later(first, caller_name="Eve Adams")))
        async with run.connect(cookie) as link:
            after = Browser(link)
            assert await after.hello(before.epoch, before.seq) == "resumed"
            assert [said["key"] for said in after.said if said["type"] == "put"].count("pop") == 1
            assert after.view["pop"]["caller_name"] == "Eve Adams"
        async with run.connect(cookie) as link:
            assert await Browser(link).hello("another-run", before.seq) == "snapshot"


@pytest.mark.asyncio
async def test_the_last_browser_gone_for_the_grace_loses_the_agent(database: Path) -> None:
    """A closed browser is missed after grace_s, not before; a second tab keeps her."""
    async with running(database, grace_s=0.3) as run:
        cookie = await run.sign_in("ann")
        async with run.browser("ann", cookie):
            async with run.browser("ann", cookie):
                pass
            async with run.browser("ann", cookie) as again:
                await again.do(name="ready")
        lost = await heard(run, ConsoleLost)
        assert isinstance(lost, ConsoleLost)
        assert lost.agent == ANN
        assert len([fact for fact in run.facts if isinstance(fact, ConsoleLost)]) == 1


@pytest.mark.asyncio
async def test_an_agent_whose_browser_never_came_back_after_a_restart_is_lost(database: Path) -> None:
    """Signed in before the restart, ready on the floor, and no browser within the grace: she is gone."""
    async with running(database, grace_s=0.3) as run:
        await run.sign_in("ann")
        run.rooms.want(ANN, Availability.READY)
        lines = dict(run.rooms.lines)
    async with running(database, lines, grace_s=0.3) as again:
        lost = await heard(again, ConsoleLost)
        assert isinstance(lost, ConsoleLost)
        assert lost.agent == ANN


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("no json", "malformed"),
        ('{"type":"nonsense"}', "malformed"),
        ('{"type":"hello","client":"x","extra":1}', "malformed"),
        ('{"type":"ack","seq":0}', "hello"),
        ('{"type":"do","id":"1","action":{"name":"ready"}}', "hello"),
        (b"\x00\x01", "malformed"),
    ],
)
async def test_a_malformed_message_ends_the_dialogue_with_a_reason(
    database: Path, frame: str | bytes, reason: str
) -> None:
    """1008 and words a programmer can use; the server and the others go on."""
    async with running(database) as run:
        async with run.connect(await run.sign_in("ann")) as link:
            await link.send(frame)
            code, said = await to_the_end(link)
            assert code == 1008
            assert reason in str(said)
        async with run.browser("ben") as ben:
            assert (await ben.do(name="ready"))["type"] == "done"


async def flood(run: Running, root: Browser, rounds: int) -> None:
    """Some 3 MB of wallboard a round, until the one who reads has it: more in all than any kernel keeps for a reader."""
    for n in range(1, rounds + 1):
        for caller in range(30):
            call = CallId(f"17.{caller}")
            line = dataclasses.replace(waiting_line(call, priority=n), reason="x" * 100_000)
            run.bus.publish(WaitingLineChanged(at=NOW, call=call, line=line))
        while root.view.get("waiting/17.29", {}).get("priority") != n:
            await root.next()


@pytest.mark.asyncio
async def test_a_reader_that_stopped_slows_nobody_and_gets_a_snapshot(database: Path) -> None:
    """A browser that reads nothing is behind in bounded memory; when it reads again one snapshot has the newest state."""
    async with (
        running(database, max_backlog=8) as run,
        run.browser("root") as root,
        run.connect(await run.sign_in("sue"), max_queue=1, max_size=None) as link,
    ):
        sue = Browser(link)
        await sue.hello()
        await flood(run, root, rounds=12)
        snapshots = 0
        while sue.view.get("waiting/17.29", {}).get("priority") != 12:
            snapshots += (await sue.next())["type"] == "snapshot"
        assert snapshots == 1
        assert all(sue.view[f"waiting/17.{caller}"]["priority"] == 12 for caller in range(30))


@pytest.mark.asyncio
async def test_a_reader_that_stays_stopped_is_closed(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind for longer than patience: 1013, come again later; who reads goes on."""
    monkeypatch.setattr(session, "SLOW_FOR_S", 0.2)
    monkeypatch.setattr(push, "CLOSE_WITHIN_S", 60.0)
    async with running(database, max_backlog=8) as run, run.browser("root") as root:
        async with run.connect(await run.sign_in("sue"), max_queue=1, max_size=None, ping_interval=None) as link:
            await Browser(link).hello()
            await flood(run, root, rounds=12)
            async with httpx.AsyncClient(base_url=run.url) as client, asyncio.timeout(10):
                while 'closed_total{code="1013"}' not in (await client.get("/metrics")).text:
                    pass
            assert (await to_the_end(link))[0] == 1013
        assert (await root.do(name="ready"))["code"] == "not-an-agent"


@pytest.mark.asyncio
async def test_a_busy_port_is_a_clear_mistake(database: Path) -> None:
    """The operator reads which port, and which setting to change."""
    async with running(database) as run:
        with pytest.raises(ConfigError) as busy:
            listen("127.0.0.1", run.port)
    (finding,) = busy.value.findings
    assert finding.key == "console.port"
    assert str(run.port) in finding.why
