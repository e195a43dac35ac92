"""The one builder of manager actions: headers by name from a list, values that cannot start another line.

Everything that leaves for Asterisk passes `Action`; what it refuses raises ValueError naming the header, before a byte
is sent. Knows the manager interface's own limits (a line of 1024 bytes, variables split at commas) and nothing of calls.
"""

import re
from collections.abc import Mapping
from enum import StrEnum

MAX_LINE_BYTES = 1000
"""Longest line sent, in bytes; Asterisk throws lines of 1024 away (`manager.c`, `inbuf`)."""


class Verb(StrEnum):
    """The actions Offhook may send."""

    BRIDGE = "Bridge"
    BRIDGE_INFO = "BridgeInfo"
    BRIDGE_LIST = "BridgeList"
    CHALLENGE = "Challenge"
    CORE_SETTINGS = "CoreSettings"
    CORE_SHOW_CHANNELS = "CoreShowChannels"
    CORE_STATUS = "CoreStatus"
    DEVICE_STATE_LIST = "DeviceStateList"
    EVENTS = "Events"
    EXTENSION_STATE_LIST = "ExtensionStateList"
    GETVAR = "Getvar"
    HANGUP = "Hangup"
    LIST_COMMANDS = "ListCommands"
    LOGIN = "Login"
    LOGOFF = "Logoff"
    ORIGINATE = "Originate"
    PING = "Ping"
    QUEUE_ADD = "QueueAdd"
    QUEUE_PAUSE = "QueuePause"
    QUEUE_REMOVE = "QueueRemove"
    QUEUE_STATUS = "QueueStatus"
    REDIRECT = "Redirect"
    SETVAR = "Setvar"
    SHOW_DIALPLAN = "ShowDialPlan"
    STATUS = "Status"
    USER_EVENT = "UserEvent"


class Header(StrEnum):
    """The headers an action may carry; `Variable` also many times, see `Action`."""

    ALL_VARIABLES = "AllVariables"
    ASYNC = "Async"
    AUTH_TYPE = "AuthType"
    BRIDGE_UNIQUEID = "BridgeUniqueid"
    CALLER_ID = "CallerID"
    CAUSE = "Cause"
    CHANNEL = "Channel"
    CHANNEL_1 = "Channel1"
    CHANNEL_2 = "Channel2"
    CHANNEL_ID = "ChannelId"
    CONTEXT = "Context"
    EVENT_MASK = "EventMask"
    EVENTS = "Events"
    EXTEN = "Exten"
    EXTENSION = "Extension"
    EXTRA_CHANNEL = "ExtraChannel"
    EXTRA_CONTEXT = "ExtraContext"
    EXTRA_EXTEN = "ExtraExten"
    EXTRA_PRIORITY = "ExtraPriority"
    INTERFACE = "Interface"
    KEY = "Key"
    MEMBER_NAME = "MemberName"
    OTHER_CHANNEL_ID = "OtherChannelId"
    PAUSED = "Paused"
    PENALTY = "Penalty"
    PRIORITY = "Priority"
    QUEUE = "Queue"
    REASON = "Reason"
    SECRET = "Secret"
    TIMEOUT = "Timeout"
    TONE = "Tone"
    USER_EVENT = "UserEvent"
    USERNAME = "Username"
    VALUE = "Value"
    VARIABLE = "Variable"


_SETTABLE = re.compile(r"_{0,2}(OFFHOOK|DEMO)_[A-Z0-9_]{1,60}|SHARED\(OFFHOOK_[A-Z0-9_]{1,60}\)|TIMEOUT\(absolute\)")
_READABLE = re.compile(_SETTABLE.pattern + r"|CHANNEL\((linkedid|language|context)\)|CALLERID\((num|name)\)")
_BREAKS_LINE = re.compile(r"[\r\n\0]")
# Asterisk cuts an Originate's `Variable` as it cuts an application's arguments: at commas, minding quotes, brackets and
# backslashes. `$` and braces would be evaluated by a dialplan that uses the value twice.
_SPLITS_VARIABLE = re.compile(r"[,|\"\\()\[\]{}$]")
_CHANNELS = frozenset({Header.CHANNEL, Header.CHANNEL_1, Header.CHANNEL_2, Header.EXTRA_CHANNEL})


class Action:
    """One action: a verb, headers in order, and for Originate the variables of the new channel.

        Action(Verb.HANGUP, {Header.CHANNEL: leg, Header.CAUSE: "16"})

    Raises ValueError naming the header for CR, LF or NUL, a header or variable outside the list, a line too long, text
    that is no Unicode, and variable values Asterisk would split. The text of an Action never shows its values.
    """

    __slots__ = ("_lines", "verb")

    def __init__(
        self, verb: Verb, headers: Mapping[Header, str] | None = None, variables: Mapping[str, str] | None = None
    ) -> None:
        self.verb = Verb(verb)
        lines = [_line(Header(header), value) for header, value in (headers or {}).items()]
        if headers and Header.VARIABLE in headers:
            _check_variable(headers[Header.VARIABLE], _READABLE if self.verb is Verb.GETVAR else _SETTABLE)
        lines += [_variable_line(name, value) for name, value in (variables or {}).items()]
        self._lines = b"".join(lines)

    def to_bytes(self, action_id: str) -> bytes:
        """The action as sent, under the id its response will carry."""
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", action_id):
            raise ValueError(f"ActionID: {action_id!r} is not an id")
        return f"Action: {self.verb}\r\nActionID: {action_id}\r\n".encode() + self._lines + b"\r\n"

    def __repr__(self) -> str:
        return f"Action({self.verb.value})"


def display_name(name: str, longest: int = 80) -> str:
    """A caller's name fit to stand between quotes in a `CallerID` header; whatever could end the quotes is left out."""
    clean = "".join(" " if char.isspace() else char for char in name if char not in '"\\<>')
    return " ".join("".join(char for char in clean if char.isprintable())[:longest].split())


def caller_id(number: str, name: str) -> str:
    """The value of a `CallerID` header: `"Ann Lee" <+15550100>`. Never raises, whatever the caller called herself."""
    digits = "".join(char for char in number if char.isascii() and (char.isalnum() or char in "+*#._-"))[:40]
    return f'"{display_name(name)}" <{digits}>'


def _line(header: Header, value: str) -> bytes:
    if _BREAKS_LINE.search(value):
        raise ValueError(f"{header}: CR, LF and NUL are refused")
    if header in _CHANNELS and value.startswith("/"):
        # Hangup takes `/.../` for a regular expression and would end every channel that fits.
        raise ValueError(f"{header}: a channel name does not begin with a slash")
    try:
        line = f"{header}: {value}\r\n".encode()
    except UnicodeEncodeError as exc:
        raise ValueError(f"{header}: not Unicode text") from exc
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"{header}: {len(line)} bytes, more than the {MAX_LINE_BYTES} Asterisk reads")
    return line


def _variable_line(name: str, value: str) -> bytes:
    _check_variable(name, _SETTABLE)
    if found := _SPLITS_VARIABLE.search(value):
        raise ValueError(f"Variable {name}: {found.group()!r} in its value would be split or evaluated by Asterisk")
    return _line(Header.VARIABLE, f"{name}={value}")


def _check_variable(name: str, allowed: re.Pattern[str]) -> None:
    if not allowed.fullmatch(name):
        raise ValueError(f"Variable: {name[:60]!r} is not on the list")
