"""The doctor's visit to the PBX: can we log in, may we do what we must, is the dialplan there, does it reach us.

And whether the clock is right, and whether callers have somewhere to go when we are away.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, suppress

from cti.agi import AgiSession
from cti.agi.server import AgiServer
from cti.ami.action import Action, Header, Verb
from cti.ami.client import AmiClient
from cti.ami.protocol import Frame
from cti.clock import SteadyClock
from cti.errors import CtiError, PeerError
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

CHECK_CONTEXT = "offhook-check"
CONTEXTS = ("offhook-entry", "offhook-hold", "offhook-failsafe", CHECK_CONTEXT)
LOGIN_S = 15.0
OLDEST = 18
PRINT = "run `offhook pbx print-config` and put what it prints on the PBX"


async def examine_pbx(settings: Settings) -> list[Result]:
    """Every finding about the PBX; the first that makes the others impossible is the last."""
    visit = _Visit(settings)
    running = asyncio.create_task(visit.client.run())
    try:
        if not await visit.is_in():
            return [_no_login(settings, visit.why)]
        return [result async for result in visit.results()]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class _Visit:
    """One manager session of the doctor's."""

    def __init__(self, settings: Settings) -> None:
        self.why = "no answer"
        self._settings = settings
        self._clock = SteadyClock()
        self._heard = asyncio.Event()
        self._is_in = False
        self._events: asyncio.Queue[Frame] = asyncio.Queue(1000)
        self.client = AmiClient(
            settings.pbx,
            settings.pbx.secret.get_secret_value(),
            self._clock,
            on_frames=self._keep,
            on_up=self._up,
            on_down=self._down,
            wanted=frozenset({"UserEvent"}),
        )

    async def is_in(self) -> bool:
        """Whether we were let in; `why` not."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LOGIN_S):
                await self._heard.wait()
        return self._is_in

    async def results(self) -> AsyncIterator[Result]:
        """What there is to say, once we are in."""
        pbx = self._settings.pbx
        yield good("AMI login", f"{pbx.user}@{pbx.host}:{pbx.port}")
        try:
            rights = await _rights(self.client)
            yield rights
            if rights.is_wrong:
                return
            yield await _version(self.client)
            missing = await _missing_contexts(self.client, (*CONTEXTS, pbx.pick_context))
            yield _dialplan(missing)
            yield await _failsafe(self.client, pbx.failsafe_queue)
            if CHECK_CONTEXT not in missing:
                for result in await _way_back(self.client, self._settings, self._events, self._clock):
                    yield result
        except CtiError as exc:
            yield wrong("AMI", str(exc), "look at Asterisk's log; then check again")

    async def _up(self) -> None:
        self._is_in = True
        self._heard.set()

    def _down(self, why: str) -> None:
        if not self._is_in:
            self.why = why
        self._heard.set()

    def _keep(self, frames: list[Frame]) -> None:
        for frame in frames:
            if not self._events.full():  # a probe's event comes within seconds; a flood beyond that is not ours
                self._events.put_nowait(frame)


def _no_login(settings: Settings, why: str) -> Result:
    where = f"{settings.pbx.host}:{settings.pbx.port}"
    if "refused: " in why:
        mend = (
            f"is [{settings.pbx.user}] in manager.conf (on FreePBX: manager_custom.conf) with this secret, "
            f"and does its `permit` allow our address? Then `manager reload`. {PRINT}"
        )
        return wrong("AMI login", why, mend)
    return wrong("AMI login", why, f"is Asterisk up, and `enabled = yes` in manager.conf? It must listen on {where}")


async def _version(client: AmiClient) -> Result:
    said = (await client.send(Action(Verb.CORE_SETTINGS))).get("AsteriskVersion")
    major = said.removeprefix("certified/").split(".", 1)[0]
    if major.isdigit() and int(major) < OLDEST:
        return wrong("Asterisk version", f"it is {said}", f"use {OLDEST} or later")
    return good("Asterisk version", said)


async def _rights(client: AmiClient) -> Result:
    frame = await client.send(Action(Verb.LIST_COMMANDS))
    allowed = {name for name, _ in frame.items()}
    missing = {action: right for action, right in NEEDED.items() if action not in allowed}
    if missing:
        classes = ", ".join(sorted(set(missing.values())))
        return wrong("AMI rights", f"may not {', '.join(missing)}", f"add {classes} to `write =` of our manager user")
    too_many = [action for action in NOT_WANTED if action in allowed]
    if too_many:
        mend = "write = call,agent,originate,reporting,user and nothing else"
        return warning("AMI rights", f"may also {', '.join(too_many)}: more than we need", mend)
    return good("AMI rights", "all we need, no more")


async def _missing_contexts(client: AmiClient, wanted: Sequence[str]) -> list[str]:
    missing = []
    for context in wanted:
        try:
            await client.collect(Action(Verb.SHOW_DIALPLAN, {Header.CONTEXT: context}))
        except PeerError:  # "Did not find context"
            missing.append(context)
    return missing


def _dialplan(missing: Sequence[str]) -> Result:
    if missing:
        return wrong("dialplan", f"no context {', '.join(missing)}", f"{PRINT}, then `dialplan reload`")
    return good("dialplan", "every context of ours is there")


async def _failsafe(client: AmiClient, queue: str) -> Result:
    """Where callers go without us: a queue, and somebody in it."""
    rows = await client.collect(Action(Verb.QUEUE_STATUS, {Header.QUEUE: queue}))
    events = [row.get("Event") for row in rows]
    if "QueueParams" not in events:
        why = f"Asterisk has no queue {queue}: callers are hung up on when we are away"
        return wrong("failsafe", why, f"{PRINT}, then `queue reload all`")
    members = events.count("QueueMember")
    if not members:
        why = f"nobody is in Asterisk's queue {queue}: callers wait for ever when we are away"
        return warning("failsafe", why, "name phones in queues-offhook.conf: member => PJSIP/201")
    return good("failsafe", f"{members} phones ring when we are away")


async def _way_back(
    client: AmiClient, settings: Settings, events: "asyncio.Queue[Frame]", clock: SteadyClock
) -> list[Result]:
    """Have the dialplan call our FastAGI: the daemon's, or one of our own when no daemon runs."""
    taken, status, at = "", "", ""
    async with AsyncExitStack() as stack:
        agi = AgiServer(settings.agi)
        agi.serve("check", _nod)
        try:
            await stack.enter_async_context(agi.open())
        except OSError as exc:  # by the daemon, as the answer may show
            taken = exc.strerror or str(exc)
        nonce = secrets.token_hex(8)
        headers = {
            Header.CHANNEL: f"Local/s@{CHECK_CONTEXT}/n",
            Header.CONTEXT: CHECK_CONTEXT,
            Header.EXTEN: "done",
            Header.PRIORITY: "1",
            Header.ASYNC: "true",
            Header.TIMEOUT: "10000",
        }
        try:
            await client.send(Action(Verb.ORIGINATE, headers, {"__OFFHOOK_NONCE": nonce}))
            status, at = await _probe(events, nonce)
        except PeerError as exc:
            return [wrong("AGI", f"the dialplan can't be called: {exc}", f"is {CHECK_CONTEXT} current? {PRINT}")]
    return [_reached(status, taken, settings), *_in_time(status, at, clock)]


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


def _reached(status: str, taken: str, settings: Settings) -> Result:
    where = f"{settings.agi.host}:{settings.agi.port}"
    if status == "SUCCESS":
        return good("AGI", f"the dialplan reaches us at {where}")
    if not status:
        mend = f"is {CHECK_CONTEXT} current? {PRINT}; read = must have user"
        return wrong("AGI", "the dialplan never reported back", mend)
    why = f"the dialplan's call of our FastAGI ended {status}"
    if taken:
        mend = (
            f"see what listens there (`ss -ltnp`): another program must go, or set agi.port; a daemon of ours that was "
            f"started with another token must be started anew. {PRINT}"
        )
        return wrong("AGI", f"{why}; {where} can't be listened on: {taken}", mend)
    mend = f"the PBX must reach {where}, agi.permit must hold its address, the token must be the same. {PRINT}"
    return wrong("AGI", why, mend)


def _in_time(status: str, at: str, clock: SteadyClock) -> Iterator[Result]:
    if not at:
        if status:
            yield warning("clock", "events carry no time", "timestampevents = yes in manager.conf's [general]")
        return
    apart = clock.now() - float(at)
    if abs(apart) > 2.0:
        yield warning("clock", f"Asterisk's clock is {apart:+.1f} s from ours", "let both machines keep time by NTP")
    else:
        yield good("clock", f"{abs(apart):.2f} s from Asterisk's")
