"""FastAGI as bytes: Asterisk's opening headers to an `Opening`, our commands to lines, its lines to `Reply`. No I/O here.

Everything from the socket is hostile until it has passed: sizes are capped, malformed lines raise PeerError. Everything we
send is built here and nowhere else: an argument can't break out of its quotes and a name outside the list is refused.
Source: Asterisk's res_agi.c (setup_env, parse_args, agi_handle_command).
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from cti.errors import PeerError

HEADER_BYTES = 64 * 1024
"""Longest opening we read, in bytes."""

HEADER_LINES = 200
"""Most lines of an opening; Asterisk sends about 25 and one more per argument."""

REPLY_BYTES = 64 * 1024
"""Longest single line of a reply, in bytes: a channel variable's value."""

REPLY_LINES = 200
"""Most lines of one reply; a 520 carries a command's whole usage text."""

COMMAND_BYTES = 2000
"""Longest command we send, in bytes: Asterisk cuts lines at 2048."""

KEYS = "0123456789*#ABCD"
"""Every key a telephone can send."""

GIVE_UP = b"failure\n"
"""What makes Asterisk end AGI() with AGISTATUS=FAILURE, so that the dialplan goes to its failsafe (res_agi.c: run_agi)."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SETTABLE = re.compile(
    r"_{0,2}OFFHOOK_[A-Z0-9_]{1,40}|SHARED\(OFFHOOK_[A-Z0-9_]{1,40}\)|TIMEOUT\(absolute\)|CHANNEL\((?:language|musicclass)\)"
)
# SHELL(), FILE() and their like run or read things on the PBX, so functions are named one by one.
_GETTABLE = re.compile(
    r"[A-Za-z_][A-Za-z0-9_]{0,79}|SHARED\(OFFHOOK_[A-Z0-9_]{1,40}\)|(?:CHANNEL|CALLERID|TIMEOUT)\([a-z]{1,30}\)"
)
# One header a line; the last line has no newline of its own. Read in one go: this is the hot path of every call.
_HEADER = re.compile(r"^(agi_[a-z0-9_]*): ?([^\n]*)$", re.MULTILINE)
_REPLY = re.compile(r"(\d{3})([ -])(.*)", re.DOTALL)
_RESULT = re.compile(r"result=([^\s(]*)(?: \((.*)\))?(?: ?endpos=(\d+))?\s*", re.DOTALL)
_WITHHELD_NAMES = frozenset(
    {"", "unknown", "anonymous", "restricted", "private", "unavailable", "withheld", "asterisk"}
)
_SPECIAL_EXTENSIONS = frozenset({"s", "h", "i", "t", "o", "a", "e", "T", "fax"})


@dataclass(frozen=True, slots=True)
class Opening:
    """What Asterisk says when it connects: `token` and `script` of the URL, the arguments of AGI(), every header."""

    token: str
    script: str
    arguments: tuple[str, ...]
    headers: Mapping[str, str]

    @property
    def channel(self) -> str:
        """The channel's name."""
        return self.headers.get("agi_channel", "")

    @property
    def leg(self) -> str:
        """The channel's Uniqueid."""
        return self.headers.get("agi_uniqueid", "")

    @property
    def ani(self) -> str:
        """The caller's number, "" when unknown or when the network says it must not be shown."""
        pres = self.headers.get("agi_callingpres", "")
        # Octet 3a of Q.931: bits 6-7 are 01 for "presentation restricted", 10 for "number not available".
        if pres.isascii() and pres.isdigit() and int(pres[:4]) & 0x60:
            return ""
        number = self.headers.get("agi_callerid", "")
        return "" if number.lower() in _WITHHELD_NAMES else number

    @property
    def caller_name(self) -> str:
        """The caller's name as the network gave it, "" when none."""
        name = self.headers.get("agi_calleridname", "")
        return "" if name.lower() in _WITHHELD_NAMES else name

    @property
    def dnis(self) -> str:
        """The number dialed: the extension where it is one, else what the channel driver kept."""
        extension = self.headers.get("agi_extension", "")
        if extension and extension not in _SPECIAL_EXTENSIONS:
            return extension
        dialed = self.headers.get("agi_dnid", "")
        return "" if dialed == "unknown" else dialed


def read_opening(block: bytes) -> Opening:
    """The opening in `block` (everything up to the empty line). Raises PeerError when it is none."""
    if len(block) > HEADER_BYTES:
        raise PeerError(f"AGI opening of {len(block)} bytes")
    text = block.decode("utf-8", "replace").rstrip("\n")
    lines = text.count("\n") + 1
    if lines > HEADER_LINES:
        raise PeerError(f"AGI opening of {lines} lines")
    found = _HEADER.findall(text)
    if len(found) != lines:
        raise PeerError("AGI opening with a line that is no agi_ header")
    headers: dict[str, str] = dict(found)
    path = headers.get("agi_network_script")
    if path is None:
        raise PeerError("AGI opening without agi_network_script")
    token, _, script = path.partition("?")[0].strip("/").partition("/")
    return Opening(token, script, _arguments(headers), MappingProxyType(headers))


def _arguments(headers: Mapping[str, str]) -> tuple[str, ...]:
    found: list[str] = []
    while (value := headers.get(f"agi_arg_{len(found) + 1}")) is not None:
        found.append(value)
    return tuple(found)


def is_right_token(given: str, right: str) -> bool:
    """True when `given` is the token, compared in constant time; an empty token is nobody's."""
    return bool(right) and hmac.compare_digest(given.encode(), right.encode())


# --- what we say ---------------------------------------------------------------------------------------------------


def quote(argument: str) -> str:
    """`argument` as exactly one word of an AGI command. Raises ValueError for control characters."""
    if _CONTROL.search(argument):
        raise ValueError("a control character can't be sent in an AGI command")
    return '"' + argument.replace("\\", "\\\\").replace('"', '\\"') + '"'


def command(verb: str, *arguments: str) -> bytes:
    """One command line. `verb` is ours (`STREAM FILE`); raises ValueError for what can't be sent safely."""
    line = f"{verb} {' '.join(map(quote, arguments))}\n".encode()
    if len(line) > COMMAND_BYTES:
        raise ValueError(f"an AGI command of {len(line)} bytes; Asterisk cuts at 2048")
    return line


def play(file: str, stop_keys: str) -> bytes:
    """STREAM FILE: play `file` (no extension) until its end or one of `stop_keys`."""
    return command("STREAM FILE", file, keys(stop_keys))


def wait_for_key(timeout_s: float) -> bytes:
    """WAIT FOR DIGIT: the next key within `timeout_s`."""
    return b"WAIT FOR DIGIT %d\n" % max(1, round(timeout_s * 1000))


def set_variable(name: str, value: str) -> bytes:
    """SET VARIABLE of a name on our list. Raises ValueError for any other."""
    return command(_set(name), value)


@lru_cache(maxsize=256)
def _set(name: str) -> str:
    if _SETTABLE.fullmatch(name) is None:
        raise ValueError(f"not a variable Offhook sets: {name!r}")
    return f"SET VARIABLE {quote(name)}"


@lru_cache(maxsize=256)
def get_variable(name: str) -> bytes:
    """GET VARIABLE of a plain name or a harmless function. Raises ValueError for any other."""
    if _GETTABLE.fullmatch(name) is None:
        raise ValueError(f"not a variable Offhook reads: {name!r}")
    return command("GET VARIABLE", name)


def arm(limit_s: float) -> bytes:
    """Let the PBX take the channel away from us `limit_s` from now (the dead man's switch)."""
    return b'SET VARIABLE "TIMEOUT(absolute)" "%.3f"\n' % limit_s


@lru_cache(maxsize=256)
def keys(wanted: str) -> str:
    """`wanted` when every character is a key of a telephone. Raises ValueError otherwise."""
    if set(wanted) - set(KEYS):
        raise ValueError(f"not keys of a telephone: {wanted!r}")
    return wanted


# --- what we hear --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole reply: its code, its result ("" when it has none), the text in parentheses, the last sample played."""

    code: int
    result: str = ""
    text: str = ""
    endpos: int | None = None

    @property
    def key(self) -> str:
        """The key a result stands for, "" when none was pressed."""
        is_code = self.result.isascii() and self.result.isdigit() and len(self.result) <= 3
        letter = chr(int(self.result)) if is_code else ""
        return letter if letter and letter in KEYS else ""


BARE_REPLIES = {b"200 result=%d\n" % result: Reply(200, str(result)) for result in range(-1, 128)}
"""The replies that say nothing but a number, which are nearly all."""

HANGUP = Reply(0)
"""Not a reply: the line HANGUP, with which Asterisk says that the channel is gone."""


def read_reply(lines: Sequence[bytes]) -> Reply | None:
    """The reply in `lines` (each with its newline), None when it goes on. Raises PeerError on what is no reply.

    A 520 may go on over many lines until `520 End of proper usage.`; a 1xx announces that the reply follows.
    """
    first, last = lines[0], lines[-1]
    if len(lines) == 1 and first in BARE_REPLIES:
        return BARE_REPLIES[first]
    if len(lines) == 1 and first.startswith(b"200 result="):
        return _result(200, first[4:].decode("utf-8", "replace"))
    if len(lines) > REPLY_LINES:
        raise PeerError(f"AGI reply of more than {REPLY_LINES} lines")
    if last.rstrip() == b"HANGUP":
        return HANGUP
    opened = _split(first)
    if opened[1] == "-":
        return Reply(opened[0], text=opened[2]) if last.startswith(first[:3] + b" ") else None
    if opened[0] >= 200:
        return _result(*opened[::2])
    if len(lines) == 1:
        return None
    return read_reply(lines[1:])


def _split(line: bytes) -> tuple[int, str, str]:
    match = _REPLY.fullmatch(line.decode("utf-8", "replace").rstrip("\r\n"))
    if match is None:
        raise PeerError("AGI line that is no reply")
    return int(match[1]), match[2], match[3]


def _result(code: int, rest: str) -> Reply:
    match = _RESULT.fullmatch(rest)
    if match is None:
        if code == 200:
            raise PeerError("AGI reply 200 without a result")
        return Reply(code, text=rest.strip())
    return Reply(code, match[1], match[2] or "", None if match[3] is None else int(match[3]))
