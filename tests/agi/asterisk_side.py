"""Asterisk's side of FastAGI for tests: its way to split a command into words, and a client that plays its part."""

import asyncio
import re
from collections.abc import Callable, Sequence
from types import TracebackType

TOKEN = "s3cret-token"


def split_words(line: str) -> list[str]:
    """The words Asterisk makes of a command line: parse_args() of res_agi.c, rewritten from its rules."""
    words: list[list[str]] = []
    quoted = escaped = False
    between = True
    for letter in line:
        if letter == '"' and not escaped:
            quoted = not quoted
            if quoted and between:
                words.append([])
                between = False
        elif letter in " \t" and not quoted and not escaped:
            between = True
        elif letter == "\\" and not escaped:
            escaped = True
            continue
        else:
            if between:
                words.append([])
                between = False
            words[-1].append(letter)
        escaped = False
    return ["".join(word) for word in words]


def opening(
    script: str = "inbound", token: str = TOKEN, arguments: Sequence[str] = ("1700.1",), **headers: str
) -> bytes:
    """The headers Asterisk sends, with `agi_` keys overridden by `headers` (callerid="...")."""
    fields = {
        "network": "yes",
        "network_script": f"{token}/{script}",
        "request": f"agi://127.0.0.1:4573/{token}/{script}",
        "channel": "PJSIP/trunk-00000001",
        "language": "en",
        "type": "PJSIP",
        "uniqueid": "1700.1",
        "version": "22.0.0",
        "callerid": "+15551234567",
        "calleridname": "Ann Caller",
        "callingpres": "0",
        "callingani2": "0",
        "callington": "0",
        "callingtns": "0",
        "dnid": "1000",
        "rdnis": "unknown",
        "context": "offhook-entry",
        "extension": "1000",
        "priority": "4",
        "enhanced": "0.0",
        "accountcode": "",
        "threadid": "139",
        **{f"arg_{number}": value for number, value in enumerate(arguments, 1)},
        **headers,
    }
    return "".join(f"agi_{key}: {value}\n" for key, value in fields.items()).encode() + b"\n"


class AsteriskSide:
    """A FastAGI client: sends the opening, answers each command as `script` says, keeps what was said."""

    def __init__(self, port: int, head: bytes | None = None) -> None:
        self._port = port
        self._head = opening() if head is None else head
        self.commands: list[str] = []
        self.variables: dict[str, str] = {}
        self.gave_up = False

    async def __aenter__(self) -> "AsteriskSide":
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
        if self._head:
            self.writer.write(self._head)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.writer.close()

    def say(self, text: bytes) -> None:
        """Send these bytes."""
        self.writer.write(text)

    async def hear(self) -> str | None:
        """The next command that is not an arming of the time limit; None when the server closed."""
        while True:
            try:
                line = await self.reader.readline()
            except OSError:
                return None
            if not line or line == b"failure\n":
                self.gave_up = line == b"failure\n"
                return None
            text = line.decode().rstrip("\n")
            self.commands.append(text)
            if '"TIMEOUT(absolute)"' not in text:
                return text
            self.say(b"200 result=1\n")

    async def play_along(self, answer: Callable[[str], bytes | None]) -> None:
        """Answer every command by `answer` (None: hang up) until the server closes; keeps the variables it sets."""
        while (heard := await self.hear()) is not None:
            if heard.startswith("SET VARIABLE "):
                _, _, name, value = split_words(heard)
                self.variables[name] = value
            said = answer(heard)
            if said is None:
                self.say(b"HANGUP\n")
                self.writer.close()
                return
            self.say(said)

    def armed(self) -> list[float]:
        """The limits armed, in seconds, in order."""
        return [
            float(m[1])
            for line in self.commands
            if (m := re.match(r'SET VARIABLE "TIMEOUT\(absolute\)" "([\d.]+)"', line))
        ]
