"""The FastAGI port: dialplan scripts by name, each served by one room."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from cti.ids import CallId


class AgiSession(Protocol):
    """One run of one dialplan script. Every command re-arms the channel's absolute time limit (dead man's switch).

    Every method raises `cti.agi.HungUp` when the caller or the PBX ended the session, PeerError on a broken protocol.
    """

    @property
    def call(self) -> CallId:
        """The call's Linkedid, sent by our dialplan as the first argument."""

    @property
    def channel(self) -> str:
        """The customer's channel name."""

    @property
    def leg(self) -> str:
        """The customer's channel Uniqueid."""

    @property
    def ani(self) -> str:
        """The caller's number, "" when unknown or withheld."""

    @property
    def caller_name(self) -> str:
        """The caller's name as the network gave it, "" when none."""

    @property
    def dnis(self) -> str:
        """The number dialed."""

    @property
    def arguments(self) -> Sequence[str]:
        """The script's further arguments (after the Linkedid)."""

    async def answer(self) -> None:
        """Answer the channel."""

    async def play(self, file: str, stop_keys: str = "", longest_s: float = 15.0) -> str:
        """Play a sound file (path without extension) of at most `longest_s`; returns the key that interrupted, or ""."""

    async def wait_for_key(self, timeout_s: float) -> str:
        """The next key, or "" after `timeout_s`."""

    async def expect_silence(self, longest_s: float) -> None:
        """Say before waiting for something else than the channel: no command comes for at most `longest_s`."""

    async def set_variable(self, name: str, value: str) -> None:
        """Set a channel variable. Raises ValueError for a name or value that can't be sent safely."""

    async def get_variable(self, name: str) -> str:
        """A channel variable's value, "" when unset."""

    async def hang_up(self) -> None:
        """Hang the channel up."""


class HungUp(Exception):
    """The session is over: the caller left, or the PBX took the channel elsewhere."""


class LetGo(HungUp):
    """We were silent for too long (stopped, swapping) and the PBX took the caller to its failsafe."""


Script = Callable[[AgiSession], Awaitable[None]]


class AgiRoutes(Protocol):
    """Where rooms register the dialplan scripts they serve."""

    def serve(self, script: str, handler: Script) -> Callable[[], None]:
        """Serve `agi://host:port/TOKEN/script` by `handler`; returns the way to stop. ValueError when taken."""
