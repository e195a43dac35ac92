"""Our FastAGI server: one asyncio task per dialplan script, every wait bounded, nothing a peer sends can stall the rest.

A session is let in by network, token and script name, in that order; whoever does not get in costs us one closed socket.
The dead man's switch: before a command that may outlast the channel's TIMEOUT(absolute), or leave it armed for too long, the
limit is armed anew, so that a frozen daemon loses the caller to the dialplan's failsafe within GRACE_S of the step's own
time. It stays armed to the very end, for a daemon may freeze there too: the dialplan clears it after AGI(). Commands are
never sent two at once: Asterisk waits on the socket while the second one lies in its own buffer (res_agi.c: run_agi).
"""

import asyncio
import ipaddress
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache

import structlog
from prometheus_client import Counter, Gauge

from cti.agi import HungUp, LetGo, Script, protocol
from cti.agi.protocol import Opening, Reply
from cti.errors import CtiError, PeerError
from cti.ids import CallId
from cti.settings import AgiSettings

log = structlog.get_logger()

OPENING_S = 5.0
"""Seconds a peer has for its opening headers."""

GRACE_S = 2.9
"""Seconds past a step's longest time after which the PBX takes the caller back from us."""

FIRST_WORD_S = 3.0
"""Seconds the dialplan arms before it calls us."""

SLACK_S = 1.0
"""Least time that must be left after a step's longest time, else the limit is armed anew."""

ANSWER_S = 1.0
"""Longest ANSWER: Asterisk waits up to half a second for the first media."""

_NEVER = float("inf")
_SWEEP_S = 0.25
_BACKLOG = 2048

SESSIONS = Counter("offhook_agi_sessions_total", "FastAGI sessions by how they ended", ["how"])
_ENDED = {
    how: SESSIONS.labels(how)
    for how in ("done", "hung_up", "probe", "bad_peer", "failed", "cancelled", "too_many", "not_permitted")
}
OPEN = Gauge("offhook_agi_sessions_open", "FastAGI sessions open now")


class _Session:
    """One connection: the AgiSession our rooms see, and what the server needs to end it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._transport = writer.transport
        self._is_busy = False
        self._is_over = False
        self._is_overdue = False
        now = time.monotonic()
        self._armed_until = now + FIRST_WORD_S
        self.deadline = now + OPENING_S  # when the sweep ends us; infinite while we owe the peer a command
        self.task: asyncio.Task[None] | None = None
        self.opening: Opening = _NO_OPENING

    @property
    def call(self) -> CallId:
        """The call's Linkedid."""
        return CallId(self.opening.arguments[0] if self.opening.arguments else self.opening.leg)

    @property
    def channel(self) -> str:
        """The customer's channel name."""
        return self.opening.channel

    @property
    def leg(self) -> str:
        """The customer's channel Uniqueid."""
        return self.opening.leg

    @property
    def ani(self) -> str:
        """The caller's number, "" when unknown or withheld."""
        return self.opening.ani

    @property
    def caller_name(self) -> str:
        """The caller's name, "" when none."""
        return self.opening.caller_name

    @property
    def dnis(self) -> str:
        """The number dialed."""
        return self.opening.dnis

    @property
    def arguments(self) -> Sequence[str]:
        """The script's further arguments."""
        return self.opening.arguments[1:]

    async def answer(self) -> None:
        """Answer the channel."""
        await self._ask(b"ANSWER\n", ANSWER_S)

    async def play(self, file: str, stop_keys: str = "", longest_s: float = 15.0) -> str:
        """Play a sound file; returns the key that interrupted, or ""."""
        return (await self._ask(protocol.play(file, stop_keys), longest_s)).key

    async def wait_for_key(self, timeout_s: float) -> str:
        """The next key, or ""."""
        return (await self._ask(protocol.wait_for_key(timeout_s), timeout_s)).key

    async def expect_silence(self, longest_s: float) -> None:
        """Let the limit outlast a wait for something else than the channel."""
        if not self._is_fit(longest_s):
            await self._arm(longest_s)

    async def set_variable(self, name: str, value: str) -> None:
        """Set a channel variable of our list."""
        await self._ask(protocol.set_variable(name, value), 0.0)

    async def get_variable(self, name: str) -> str:
        """A channel variable's value, "" when unset."""
        return (await self._ask(protocol.get_variable(name), 0.0)).text

    async def hang_up(self) -> None:
        """Hang the channel up; the session is over then."""
        await self._ask(b"HANGUP\n", 0.0)
        self._is_over = True

    async def read_opening(self) -> Opening | None:
        """The opening, None when the peer left without a word. Raises PeerError on garbage, too much, too late."""
        try:
            block = await self._reader.readuntil(b"\n\n")
        except asyncio.IncompleteReadError as exc:
            if self._is_overdue:
                raise PeerError(f"no complete AGI opening within {OPENING_S:g} s") from exc
            if exc.partial:
                raise PeerError("AGI opening cut off") from exc
            return None
        except asyncio.LimitOverrunError as exc:
            raise PeerError(f"AGI opening of more than {protocol.HEADER_BYTES} bytes") from exc
        except OSError:
            return None
        self.deadline = _NEVER
        self.opening = protocol.read_opening(block)
        return self.opening

    def _is_fit(self, longest_s: float) -> bool:
        """False where the limit on the channel would end a step of `longest_s`, or not end it soon enough."""
        return longest_s + SLACK_S <= self._armed_until - time.monotonic() <= longest_s + FIRST_WORD_S

    async def _arm(self, longest_s: float) -> None:
        until = time.monotonic() + longest_s + GRACE_S
        await self._ask(protocol.arm(longest_s + GRACE_S), 0.0, is_fit=True)
        self._armed_until = until

    async def _ask(self, line: bytes, longest_s: float, is_fit: bool = False) -> Reply:
        """One command and its reply, behind an arming where the limit on the channel does not fit the step."""
        # One coroutine for it all: every frame between a room and the reader costs on each of five commands a call.
        if not is_fit and not self._is_fit(longest_s):
            await self._arm(longest_s)
        if self._is_over or self._reader.at_eof():
            raise self._gone()
        if self._is_busy:
            raise PeerError("the AGI session was left in the middle of a command")
        self._is_busy = True
        self._transport.write(line)
        self.deadline = time.monotonic() + longest_s + OPENING_S
        try:
            first = await self._reader.readuntil(b"\n")
            reply = protocol.BARE_REPLIES.get(first) or await self._whole_reply(first)
        except (asyncio.IncompleteReadError, OSError) as exc:
            self._is_over = True
            if self._is_overdue:
                raise PeerError("no reply to an AGI command in time") from exc
            raise self._gone() from exc
        except asyncio.LimitOverrunError as exc:
            raise PeerError(f"AGI reply of more than {protocol.REPLY_BYTES} bytes") from exc
        self.deadline = _NEVER
        self._is_busy = False
        if reply.code == 200 and reply.result != "-1":
            return reply
        if reply is protocol.HANGUP or reply.code in (200, 511):
            self._is_over = True
            raise self._gone()
        raise PeerError(f"Asterisk refused an AGI command: {reply.code} {reply.text[:80]}")

    async def _whole_reply(self, first: bytes) -> Reply:
        lines = [first]
        size = len(first)
        while (reply := protocol.read_reply(lines)) is None:
            lines.append(await self._reader.readuntil(b"\n"))
            size += len(lines[-1])
            if size > protocol.REPLY_BYTES:
                raise PeerError(f"AGI reply of more than {protocol.REPLY_BYTES} bytes")
        return reply

    def _gone(self) -> HungUp:
        if time.monotonic() > self._armed_until:
            return LetGo("the PBX took the caller back after we were silent for too long")
        return HungUp("the caller left or the PBX took the channel elsewhere")

    def close(self, last_word: bytes = b"") -> None:
        """End the connection, with a last word where somebody may still be listening."""
        if last_word and not self._transport.is_closing() and not self._reader.at_eof():
            self._transport.write(last_word)
        self._transport.close()
        if self._transport.get_write_buffer_size():  # a peer that reads nothing would keep the socket for ever
            asyncio.get_running_loop().call_later(OPENING_S, self._transport.abort)

    def abort(self) -> None:
        """End the connection now; whoever reads from it learns it at once."""
        self._is_overdue = True
        self._transport.abort()


_NO_OPENING = Opening("", "", (), {})


class AgiServer:
    """The dialplan's scripts, by name, on one listening socket. Implements `cti.agi.AgiRoutes`."""

    def __init__(self, settings: AgiSettings) -> None:
        self._settings = settings
        self._token = settings.token.get_secret_value()
        self._networks = tuple(ipaddress.ip_network(network) for network in settings.permit)
        self._is_permitted = lru_cache(maxsize=256)(self._look_up_permit)
        self._scripts: dict[str, Script] = {}
        self._sessions: set[_Session] = set()
        self._group: asyncio.TaskGroup | None = None
        self.port = settings.port

    def serve(self, script: str, handler: Script) -> Callable[[], None]:
        """Serve `agi://host:port/TOKEN/script` by `handler`; returns the way to stop."""
        if script in self._scripts:
            raise ValueError(f"AGI script {script!r} is served already")
        self._scripts[script] = handler

        def stop() -> None:
            self._scripts.pop(script, None)

        return stop

    @asynccontextmanager
    async def open(self) -> AsyncIterator["AgiServer"]:
        """Listen while inside; `port` is the real one. On leaving, callers still with us go to the dialplan's failsafe."""
        if not self._token:
            log.warning("AGI token is empty: no call is let in", mend="set agi.token_file")
        # Before the group: a port that is taken is an OSError, not a group of one.
        server = await asyncio.start_server(
            self._accept, self._settings.host, self._settings.port, limit=protocol.HEADER_BYTES, backlog=_BACKLOG
        )
        self.port = server.sockets[0].getsockname()[1]
        async with asyncio.TaskGroup() as group:
            self._group = group
            OPEN.set_function(lambda: len(self._sessions))
            sweep = group.create_task(self._sweep())
            try:
                yield self
            finally:
                server.close()
                sweep.cancel()
                for session in self._sessions:
                    if session.task is not None:
                        session.task.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        session = _Session(reader, writer)
        if peer is None or not self._is_permitted(peer[0]):
            _ENDED["not_permitted"].inc()
            log.warning("AGI connection refused: address not permitted", peer=peer and peer[0])
            session.abort()
        elif len(self._sessions) >= self._settings.max_sessions or self._group is None:
            _ENDED["too_many"].inc()
            session.close(protocol.GIVE_UP)
        else:
            self._sessions.add(session)
            session.task = self._group.create_task(self._run(session))

    def _look_up_permit(self, address: str) -> bool:
        ip = ipaddress.ip_address(address.partition("%")[0])
        mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
        return any((mapped or ip) in network for network in self._networks)

    async def _run(self, session: _Session) -> None:
        how = "failed"
        last_word = protocol.GIVE_UP
        try:
            how = await self._serve(session)
            last_word = b""
        except HungUp:
            how, last_word = "hung_up", b""
        except PeerError as exc:
            how = "bad_peer"
            log.warning("AGI session ended", why=str(exc), call=session.call, script=session.opening.script)
        except CtiError as exc:
            log.error("AGI script failed", why=str(exc), call=session.call, script=session.opening.script)
        except asyncio.CancelledError:
            how = "cancelled"
            raise
        except Exception:  # one call's failure is one call's failure; the caller goes to the failsafe
            log.exception("AGI script failed", call=session.call, script=session.opening.script)
        finally:
            session.close(last_word)
            self._sessions.discard(session)
            _ENDED[how].inc()

    async def _serve(self, session: _Session) -> str:
        opening = await session.read_opening()
        if opening is None:
            return "probe"  # connect and close: a health check, a port scan
        if not protocol.is_right_token(opening.token, self._token):
            raise PeerError("wrong token in the AGI URL")
        handler = self._scripts.get(opening.script)
        if handler is None:
            raise PeerError(f"no AGI script called {opening.script[:40]!r}")
        await handler(session)
        return "done"

    async def _sweep(self) -> None:
        """End sessions past their deadline: slow openings, half-open peers. One timer for all instead of one per command."""
        last = time.monotonic()
        while True:
            await asyncio.sleep(_SWEEP_S)
            now, before = time.monotonic(), last
            last = now
            if now - before > 4 * _SWEEP_S:
                continue  # we were frozen ourselves: what peers said meanwhile is heard first
            for session in self._sessions:
                if now >= session.deadline:
                    session.abort()
