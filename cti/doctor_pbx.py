"""The doctor's visit to the PBX: can we log in, may we do what we must, does the dialplan reach us, is the clock right."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress

from cti.agi import AgiSession
from cti.agi.server import AgiServer
from cti.ami.action import Action, Header, Verb
from cti.ami.client import AmiClient
from cti.ami.protocol import Frame
from cti.clock import SteadyClock
from cti.errors import CtiError
from cti.finding import Result, good, warning, wrong
from cti.settings import Settings

NEEDED = {
    "Originate": "originate",
    "Hangup": "call",
    "Redirect": "call",
    "Setvar": "call",
    "Bridge": "call",
    "CoreShowChannels": "reporting",
    "CoreStatus": "reporting",
    "DeviceStateList": "reporting",
    "UserEvent": "user",
    "QueuePause": "agent",
}
"""What we must be allowed to do, and the class of `write=` that allows it."""

NOT_WANTED = ("Command", "UpdateConfig", "ModuleLoad")
"""What nobody should be able to do through our user."""

CONTEXTS = ("offhook-entry", "offhook-hold", "offhook-failsafe", "offhook-check")
OLDEST = 18
PRINT = "run `offhook pbx print-config` and put what it prints on the PBX"


async def examine_pbx(settings: Settings) -> AsyncIterator[Result]:
    """Every finding about the PBX; the first that makes the others impossible is the last."""
    clock = SteadyClock()
    up, down = asyncio.Event(), asyncio.Event()
    reasons: list[str] = []
    events: asyncio.Queue[Frame] = asyncio.Queue(1000)

    async def is_up() -> None:
        up.set()

    def is_down(why: str) -> None:
        reasons.append(why)
        down.set()

    def keep(frames: list[Frame]) -> None:
        for frame in frames:
            if not events.full():  # a probe's event comes within seconds; a flood beyond that is not ours
                events.put_nowait(frame)

    client = AmiClient(
        settings.pbx,
        settings.pbx.secret.get_secret_value(),
        clock,
        on_frames=keep,
        on_up=is_up,
        on_down=is_down,
        wanted=frozenset({"UserEvent"}),
    )
    running = asyncio.create_task(client.run())
    try:
        await asyncio.wait(
            [asyncio.ensure_future(up.wait()), asyncio.ensure_future(down.wait())],
            return_when=asyncio.FIRST_COMPLETED,
            timeout=15.0,
        )
        if not up.is_set():
            yield _no_login(settings, reasons[0] if reasons else "no answer")
            return
        yield good("AMI login", f"{settings.pbx.user}@{settings.pbx.host}:{settings.pbx.port}")
        for part in (_version, _rights, _dialplan):
            for result in await part(client):
                yield result
        for result in await _way_back(client, settings, events, clock):
            yield result
    except CtiError as exc:
        yield wrong("AMI", str(exc), "look at Asterisk's log; then check again")
    finally:
        running.cancel()


def _no_login(settings: Settings, why: str) -> Result:
    where = f"{settings.pbx.host}:{settings.pbx.port}"
    if "refused: " in why:
        mend = (
            f"is [{settings.pbx.user}] in manager.conf (on FreePBX: manager_custom.conf) with this secret, "
            f"and does its `permit` allow our address? Then `manager reload`. {PRINT}"
        )
        return wrong("AMI login", why, mend)
    return wrong("AMI login", why, f"is Asterisk up, and `enabled = yes` in manager.conf? It must listen on {where}")


async def _version(client: AmiClient) -> list[Result]:
    said = (await client.send(Action(Verb.CORE_SETTINGS))).get("AsteriskVersion")
    major = said.removeprefix("certified/").split(".", 1)[0]
    if major.isdigit() and int(major) < OLDEST:
        return [wrong("Asterisk version", f"it is {said}", f"use {OLDEST} or later")]
    return [good("Asterisk version", said)]


async def _rights(client: AmiClient) -> list[Result]:
    frame = await client.send(Action(Verb.LIST_COMMANDS))
    allowed = {name for name, _ in frame.items()}
    missing = {action: right for action, right in NEEDED.items() if action not in allowed}
    if missing:
        classes = ", ".join(sorted(set(missing.values())))
        return [wrong("AMI rights", f"may not {', '.join(missing)}", f"add {classes} to `write =` of our manager user")]
    too_many = [action for action in NOT_WANTED if action in allowed]
    if too_many:
        mend = "write = call,agent,originate,reporting,user and nothing else"
        return [warning("AMI rights", f"may also {', '.join(too_many)}: more than we need", mend)]
    return [good("AMI rights", "all we need, no more")]


async def _dialplan(client: AmiClient) -> list[Result]:
    missing = []
    for context in CONTEXTS:
        try:
            await client.collect(Action(Verb.SHOW_DIALPLAN, {Header.CONTEXT: context}))
        except CtiError:
            missing.append(context)
    if missing:
        return [wrong("dialplan", f"no context {', '.join(missing)}", f"{PRINT}, then `dialplan reload`")]
    return [good("dialplan", "every context of ours is there")]


async def _way_back(
    client: AmiClient, settings: Settings, events: "asyncio.Queue[Frame]", clock: SteadyClock
) -> list[Result]:
    """Have the dialplan call our FastAGI: the daemon's, or one of our own when no daemon runs."""
    async with AsyncExitStack() as stack:
        agi = AgiServer(settings.agi)
        agi.serve("check", _nod)
        with suppress(OSError):  # the port is taken: by the daemon, as the answer will show
            await stack.enter_async_context(agi.open())
        nonce = secrets.token_hex(8)
        headers = {
            Header.CHANNEL: "Local/s@offhook-check/n",
            Header.CONTEXT: "offhook-check",
            Header.EXTEN: "done",
            Header.PRIORITY: "1",
            Header.ASYNC: "true",
            Header.TIMEOUT: "10000",
        }
        await client.send(Action(Verb.ORIGINATE, headers, {"__OFFHOOK_NONCE": nonce}))
        status, at = await _probe(events, nonce)
    return list(_judge(status, at, clock, settings))


async def _nod(session: AgiSession) -> None:
    await session.set_variable("OFFHOOK_NEXT", "")


async def _probe(events: "asyncio.Queue[Frame]", nonce: str) -> tuple[str, str]:
    """What the dialplan said of our probe, and Asterisk's clock when it did."""
    try:
        async with asyncio.timeout(8.0):
            while True:
                frame = await events.get()
                if frame.get("UserEvent") == "OffhookCheck" and frame.get("Nonce") == nonce:
                    return frame.get("Status"), frame.get("Timestamp")
    except TimeoutError:
        return "", ""


def _judge(status: str, at: str, clock: SteadyClock, settings: Settings) -> Iterator[Result]:
    where = f"{settings.agi.host}:{settings.agi.port}"
    if status == "SUCCESS":
        yield good("AGI", f"the dialplan reaches us at {where}")
    elif not status:
        yield wrong(
            "AGI", "the dialplan never reported back", f"is offhook-check current? {PRINT}; read = must have user"
        )
    else:
        mend = f"the PBX must reach {where}, agi.permit must hold its address, the token must be the same. {PRINT}"
        yield wrong("AGI", f"the dialplan's call of our FastAGI ended {status}", mend)
    if not at:
        if status:
            yield warning("clock", "events carry no time", "timestampevents = yes in manager.conf's [general]")
        return
    apart = clock.now() - float(at)
    if abs(apart) > 2.0:
        yield warning("clock", f"Asterisk's clock is {apart:+.1f} s from ours", "let both machines keep time by NTP")
    else:
        yield good("clock", f"{abs(apart):.2f} s from Asterisk's")
