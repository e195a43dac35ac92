"""The manager interface kept up for ever: connect, log in, keep alive, come back.

One `Link` at a time. Promises that events are handed over in Asterisk's order, that an action is written at most once in
its life, and that whoever waits for an answer when the link breaks is told Unavailable at once. What the events mean,
and how to read the truth after a cut, is for `on_frames` and `on_up`.
"""

import asyncio
import hashlib
import random
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from cti.ami.action import Action, Header, Verb
from cti.ami.link import ActionFailed, Link
from cti.ami.protocol import Frame, Frames
from cti.clock import Clock
from cti.errors import CtiError, Unavailable
from cti.settings import PbxSettings

log = structlog.get_logger(__name__)

_MISSES = 2
_ANSWER_SHARE = 0.75
"""A ping may take this share of `ping_s`: with two misses a dead peer is found within 2.5 pings, however it died."""

_REFUSALS_OF_A_BOOT = 3
"""An Asterisk that is booting may refuse, before it has read its users, a login that it granted before."""


class LoginRefused(CtiError):
    """Asterisk answered and did not let us in: wrong user, secret or address; waiting will hardly mend it."""


class LinkLost(CtiError):
    """The connection could not be made, or is over."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds between tries: full jitter under a bound that doubles, and a slow pace after a refused login."""

    first_s: float = 0.2
    longest_s: float = 4.0
    refused_s: float = 15.0

    def before(self, tries: int, was_refused: bool, dice: float) -> float:
        """The pause before the next try after `tries` failed ones; `dice` is in [0, 1)."""
        if was_refused:
            return self.refused_s * (1.0 + dice) / 2.0
        return max(0.02, dice * min(self.longest_s, self.first_s * 2.0 ** min(tries, 30)))


class AmiClient:
    """A manager session that comes back.

    `on_frames` gets events in order (never responses, nor rows of a list we asked for), from the login on, also while
    `on_up` still runs; it must not block. `on_up` reads the truth after every login; its CtiError drops the link.
    `on_down` hears the reason, once per change. With `wanted`, other events are dropped unparsed.
    """

    def __init__(
        self,
        settings: PbxSettings,
        secret: str,
        clock: Clock,
        *,
        on_frames: Callable[[list[Frame]], None],
        on_up: Callable[[], Awaitable[None]],
        on_down: Callable[[str], None],
        wanted: frozenset[str] | None = None,
        pauses: Pauses | None = None,
        dice: Callable[[], float] = random.random,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._settings = settings
        self._secret = secret
        self._clock = clock
        self._on_frames = on_frames
        self._on_up = on_up
        self._on_down = on_down
        self._wanted = wanted
        self._pauses = pauses or Pauses()
        self._dice = dice
        self._tls = tls or (ssl.create_default_context() if settings.tls else None)
        self._link: Link | None = None
        self._is_synced = False
        self._tries = 0
        self._refusals = 0
        self._was_up = False
        self._why = "not connected yet"
        self._down_since = clock.now()
        self._told = ""

    @property
    def is_up(self) -> bool:
        """Logged in, and `on_up` has read the truth."""
        return self._is_synced

    @property
    def lag_s(self) -> float:
        """Age of the oldest event read and not handed over, in seconds."""
        return self._link.lag_s if self._link is not None else 0.0

    @property
    def longest_lag_s(self) -> float:
        """The greatest `lag_s` of this connection."""
        return self._link.longest_lag_s if self._link is not None else 0.0

    async def run(self) -> None:
        """Keep the link up until cancelled. Raises only what `on_up` raises beside CtiError."""
        while True:
            was_refused = False
            try:
                await self._one_link()
            except* CtiError as errors:
                was_refused = errors.subgroup(LoginRefused) is not None
                self._lost(_reason(errors))
            self._refusals = self._refusals + 1 if was_refused else 0
            is_booting = self._was_up and self._refusals <= _REFUSALS_OF_A_BOOT
            pause = self._pauses.before(self._tries, was_refused and not is_booting, self._dice())
            self._tries += 1
            log.debug("asterisk again later", pause_s=round(pause, 3), tries=self._tries)
            await asyncio.sleep(pause)

    async def send(self, action: Action, timeout_s: float | None = None) -> Frame:
        """Asterisk's response. Raises Unavailable (not sent, or fate unknown: never resent) or ActionFailed."""
        return await self._up_link(action).ask(action, timeout_s or self._settings.action_timeout_s)

    async def collect(self, action: Action, timeout_s: float | None = None) -> list[Frame]:
        """The rows of a list, without its start and its Complete; [] where Asterisk announced none. Raises as `send`."""
        return await self._up_link(action).ask_list(action, timeout_s or self._settings.action_timeout_s)

    def _up_link(self, action: Action) -> Link:
        if self._link is None:
            raise Unavailable("Asterisk", f"{action.verb} not sent, {self._why}", self._down_since)
        return self._link

    async def _one_link(self) -> None:
        # In a task of its own: a TaskGroup that fails in the turn in which it is cancelled raises the failure only, and
        # a session told to stop would go on.
        live = asyncio.create_task(self._live())
        try:
            await asyncio.wait({live})
        finally:
            live.cancel()
            await asyncio.gather(live, return_exceptions=True)
        live.result()

    async def _live(self) -> None:
        link = await self._connect()
        try:
            await self._log_in(link)
            self._link = link
            async with asyncio.TaskGroup() as group:
                group.create_task(_watch(link))
                group.create_task(self._keep_alive(link))
                await self._on_up()
                self._is_synced = self._was_up = True
                self._tries = 0
                self._told = ""
                log.info("asterisk is up", host=self._settings.host, port=self._settings.port)
        finally:
            self._link = None
            link.end("we closed the connection")

    async def _connect(self) -> Link:
        loop = asyncio.get_running_loop()
        frames = Frames(self._wanted)
        try:
            async with asyncio.timeout(self._settings.action_timeout_s):
                _, link = await loop.create_connection(
                    lambda: Link(frames, self._on_frames, self._clock, self._settings.ping_s * 2.5),
                    self._settings.host,
                    self._settings.port,
                    ssl=self._tls,
                    server_hostname=self._settings.host if self._tls else None,
                )
        except (OSError, TimeoutError) as exc:
            where = f"{self._settings.host}:{self._settings.port}"
            raise LinkLost(f"no connection to {where}: {exc or 'no answer'}") from exc
        return link

    async def _log_in(self, link: Link) -> None:
        user = {Header.USERNAME: self._settings.user, Header.EVENTS: "on"}
        try:
            if self._settings.md5_login:
                challenge = Action(Verb.CHALLENGE, {Header.AUTH_TYPE: "MD5"})
                salt = (await link.ask(challenge, self._settings.action_timeout_s)).get("Challenge")
                # MD5 is the manager interface's own choice; it only keeps the secret off the wire.
                key = hashlib.md5((salt + self._secret).encode(), usedforsecurity=False).hexdigest()
                login = Action(Verb.LOGIN, {Header.AUTH_TYPE: "MD5", **user, Header.KEY: key})
            else:
                login = Action(Verb.LOGIN, {**user, Header.SECRET: self._secret})
            await link.ask(login, self._settings.action_timeout_s)
        except ActionFailed as exc:
            raise LoginRefused(f"login refused: user {self._settings.user!r}: {exc.message}") from exc
        except Unavailable as exc:
            raise LinkLost(f"no login: {exc}") from exc

    async def _keep_alive(self, link: Link) -> None:
        misses = 0
        while misses < _MISSES:
            if not misses:
                await asyncio.sleep(self._settings.ping_s)
            try:
                await link.ask(Action(Verb.PING), self._settings.ping_s * _ANSWER_SHARE)
                misses = 0
            except ActionFailed:
                misses = 0  # A refusal is an answer: it is alive.
            except Unavailable:
                misses += 1
        link.end(f"Asterisk left {_MISSES} pings unanswered")

    def _lost(self, why: str) -> None:
        self._why = why
        if self._is_synced:
            self._down_since = self._clock.now()
        self._is_synced = False
        if why != self._told:
            self._told = why
            log.warning("asterisk is away", why=why)
            self._on_down(why)


async def _watch(link: Link) -> None:
    # Shielded: a watcher that is cancelled would cancel `over` itself, and `end` would take the link for dead already.
    raise LinkLost(await asyncio.shield(link.over))


def _reason(errors: BaseExceptionGroup[CtiError]) -> str:
    # When the link breaks, whoever was asking fails as well; the cause is what happened to the link.
    found: BaseException = errors.subgroup((LinkLost, LoginRefused)) or errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return str(found)
