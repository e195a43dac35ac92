"""SIPp as customers and as agents' phones, for tests against the real Asterisk.

    with SippPhone("a1", phone_port, work_dir) as phone, SippCaller(lab.ports.sip, "1001", work_dir, ani="0911222333",
            keys=[(2.0, "1")], talk_s=5) as caller:
        phone.wait_for("INVITE")        # it rings
        caller.hang_up()                # now, whatever the scenario says
        caller.wait()                   # until the call is over

Callers live on 127.0.0.2 (that is how the lab knows its trunk), phones on 127.0.0.3. Every one of them sends audio, so
that Asterisk answers without waiting for media and recordings are not empty. What went over the wire is in `messages()`.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVar

from cti.demo.lab import CALLER_ADDRESS, PHONE_ADDRESS

SCENARIOS = Path(__file__).parent / "scenarios"
PCAPS = Path("/usr/share/sip-tester")
_PCAP_NAMES = {"*": "star", "#": "pound"}
# Asterisk takes the next digit only when this one is over; the recorded digits last 0.2 s.
_KEY_MS = 350
_FOREVER_MS = 3_600_000

_EVENTS_MAP = "\n      a=rtpmap:101 telephone-event/8000\n      a=fmtp:101 0-15"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SipMessage:
    """One SIP message as SIPp saw it. `line` is its first line; `at` is Unix seconds."""

    at: float
    is_sent: bool
    call: str
    line: str


class SippMissing(Exception):
    """SIPp is not on this machine."""


def require_sipp() -> None:
    """Raise SippMissing, saying what to install."""
    if shutil.which("sipp") is None or not PCAPS.is_dir():
        raise SippMissing(
            "these tests place real calls with SIPp: `apt-get install sip-tester` (as root or through sudo)"
        )


class _Sipp:
    """A running SIPp with one scenario."""

    def __init__(self, address: str, port: int, work_dir: Path) -> None:
        require_sipp()
        self.address = address
        self.port = port
        self._dir = work_dir / f"sipp-{secrets.token_hex(4)}"
        self._dir.mkdir(parents=True)
        self._audio = self._dir / "audio.al"
        self._audio.write_bytes(_tone())
        self._process: subprocess.Popen[bytes] | None = None

    def _launch(self, scenario: str, arguments: Sequence[str]) -> None:
        file = self._dir / "scenario.xml"
        file.write_text(scenario, encoding="utf-8")
        command = ["sipp", "-sf", str(file), "-i", self.address, "-p", str(self.port), "-mi", self.address]
        command += ["-mp", str(free_port(self.address)), "-nostdin", "-trace_shortmsg", "-trace_err"]
        command += ["-shortmessage_file", str(self._dir / "messages.tsv"), "-error_file", str(self._dir / "errors.log")]
        out = (self._dir / "screen.log").open("wb")
        with out:
            self._process = subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self._dir,
                start_new_session=True,
            )

    def messages(self) -> list[SipMessage]:
        """Every SIP message so far, in order."""
        try:
            text = (self._dir / "messages.tsv").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        lines = text[: text.rfind("\n") + 1].splitlines()
        return [message for line in lines if (message := _message(line)) is not None]

    def errors(self) -> str:
        """What SIPp complained of, "" when nothing."""
        parts = [self._dir / "errors.log", self._dir / "screen.log"]
        return "".join(part.read_text(encoding="utf-8", errors="replace")[-3000:] for part in parts if part.exists())

    def count(self, start: str) -> int:
        """How many messages begin like this (`INVITE`, `SIP/2.0 200`)."""
        return sum(message.line.startswith(start) for message in self.messages())

    def wait_for(self, start: str, nth: int = 1, timeout_s: float = 15.0) -> SipMessage:
        """The `nth` message that begins like this. Raises AssertionError with what was seen instead."""

        def found() -> SipMessage | None:
            matching = [message for message in self.messages() if message.line.startswith(start)]
            return matching[nth - 1] if len(matching) >= nth else None

        seen = wait_until(found, timeout_s)
        if seen is None:
            raise AssertionError(
                f"no {start!r} (number {nth}) within {timeout_s} s; seen {[m.line for m in self.messages()]}; {self.errors()}"
            )
        return seen

    def _nudge(self, call: str) -> None:
        """Tell the scenario to go on now: a NOTIFY from ourselves, which SIPp takes for part of the call by its Call-ID."""
        here = f"{self.address}:{self.port}"
        headers = f"Via: SIP/2.0/UDP {here};branch=z9hG4bK{secrets.token_hex(6)}\r\nFrom: <sip:test@{here}>;tag=1\r\n"
        headers += f"To: <sip:test@{here}>\r\nCall-ID: {call}\r\nCSeq: 1 NOTIFY\r\nContent-Length: 0\r\n\r\n"
        with socket.socket(type=socket.SOCK_DGRAM) as link:
            link.bind((self.address, 0))
            link.sendto(f"NOTIFY sip:test@{here} SIP/2.0\r\n{headers}".encode(), (self.address, self.port))

    def _live_calls(self) -> list[str]:
        """The Call-IDs of calls that began and have not ended."""
        live: dict[str, None] = {}
        for message in self.messages():
            if message.line.startswith("INVITE"):
                live[message.call] = None
            elif message.line.startswith(("BYE", "CANCEL", "SIP/2.0 4", "SIP/2.0 5", "SIP/2.0 6")):
                live.pop(message.call, None)
        return list(live)

    def hang_up(self) -> None:
        """Say BYE now in every call that is answered, whatever the scenario says."""
        for call in self._live_calls():
            self._nudge(call)

    def stop(self) -> None:
        """End SIPp itself, without a word to Asterisk (as a phone whose battery is empty)."""
        if self._process is None:
            return
        self._signal(signal.SIGKILL)
        self._process.wait(10)
        self._process = None

    def _signal(self, which: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, which)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Without a BYE Asterisk would keep the call, and the next test its channels.
        self.hang_up()
        wait_until(lambda: None if self._live_calls() and self._is_running() else True, 1.0)
        self.stop()

    def _is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None


class SippCaller(_Sipp):
    """One call from outside, begun at once.

    `keys`: (seconds to wait, keys to press) one after the other, from the moment the call is answered. `talk_s`: seconds
    the caller stays on after the last key, None to stay until the PBX hangs up. `withheld` hides `ani` as a network does.
    Keys go as telephone events in RTP, which only root can send with SIPp; anybody else's go as SIP INFO.
    """

    def __init__(
        self,
        sip_port: int,
        dnis: str,
        work_dir: Path,
        *,
        ani: str = "0911222333",
        name: str = "",
        withheld: bool = False,
        keys: Sequence[tuple[float, str]] = (),
        talk_s: float | None = None,
        keys_by: Literal["rtp", "info"] = "rtp" if os.geteuid() == 0 else "info",
    ) -> None:
        super().__init__(CALLER_ADDRESS, free_port(CALLER_ADDRESS), work_dir)
        shown = f'"{_quoted(name)}" ' if name else ""
        identity = f"{shown}<sip:{ani}@[local_ip]:[local_port]>"
        privacy = ""
        if withheld:
            privacy = f"\n      P-Asserted-Identity: <sip:{ani}@[local_ip]>\n      Privacy: id"
            identity = '"Anonymous" <sip:anonymous@anonymous.invalid>'
        scenario = _fill(
            "caller.xml",
            DNIS=dnis,
            FROM=identity,
            PRIVACY=privacy,
            AUDIO=str(self._audio),
            STEPS=_fill_in(_steps(keys, talk_s, keys_by), DNIS=dnis),
            EVENTS=" 101" if keys_by == "rtp" else "",
            EVENTS_MAP=_EVENTS_MAP if keys_by == "rtp" else "",
        )
        self._launch(scenario, ["-m", "1", f"127.0.0.1:{sip_port}"])

    def wait(self, timeout_s: float = 30.0) -> None:
        """Until the call is over. Raises AssertionError when it isn't in time."""
        if self._process is None:
            return
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"the call is not over after {timeout_s} s: {[m.line for m in self.messages()]}"
            ) from None

    @property
    def is_over(self) -> bool:
        """Whether the call has ended, by whomever."""
        return not self._is_running()

    @property
    def was_answered(self) -> bool:
        """Whether the PBX answered."""
        return self.count("SIP/2.0 200") > 0 and any(message.line.startswith("ACK") for message in self.messages())

    @property
    def was_hung_up_on(self) -> bool:
        """Whether it was the PBX that said BYE."""
        return any(message.line.startswith("BYE") and not message.is_sent for message in self.messages())


class SippPhone(_Sipp):
    """An agent's phone at `sip:NAME@127.0.0.3:PORT`, for any number of calls.

    `answers`: seconds of ringing before it answers, "busy", "never", or "when told" (see `pick_up`). `hang_up_after_s`:
    seconds it talks before it hangs up itself, None to leave that to others or to `hang_up`.
    """

    def __init__(
        self,
        name: str,
        port: int,
        work_dir: Path,
        answers: float | Literal["busy", "never", "when told"] = 1.0,
        hang_up_after_s: float | None = None,
    ) -> None:
        super().__init__(PHONE_ADDRESS, port, work_dir)
        self.name = name
        if answers in ("busy", "never"):
            scenario = _fill(f"phone_{answers}.xml")
        else:
            ring_ms = _FOREVER_MS if isinstance(answers, str) else max(1, int(answers * 1000))
            scenario = _fill(
                "phone_answers.xml",
                ANSWER_MS=str(ring_ms),
                TALK_MS=str(_FOREVER_MS if hang_up_after_s is None else int(hang_up_after_s * 1000)),
                AUDIO=str(self._audio),
            )
        self._launch(scenario, [])
        if wait_until(lambda: not _is_free(PHONE_ADDRESS, port) or None, 5.0) is None:
            raise AssertionError(f"the phone {name} does not listen on {PHONE_ADDRESS}:{port}: {self.errors()}")

    def pick_up(self) -> None:
        """Answer what rings now."""
        for call in self._live_calls():
            self._nudge(call)


def wait_until(look: Callable[[], T | None], timeout_s: float, every_s: float = 0.02) -> T | None:
    """What `look` returns once it is not None, or None after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while (seen := look()) is None and time.monotonic() < deadline:
        time.sleep(every_s)
    return seen


def free_port(address: str) -> int:
    """A UDP port free on `address`, with the one after it (RTCP), outside the kernel's own range."""
    while True:
        port = 12000 + 2 * secrets.randbelow(10000)
        if _is_free(address, port) and _is_free(address, port + 1):
            return port


def _is_free(address: str, port: int) -> bool:
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def _steps(keys: Sequence[tuple[float, str]], talk_s: float | None, keys_by: Literal["rtp", "info"]) -> str:
    """The middle of a caller's scenario. Each wait also listens for the PBX's BYE."""
    parts: list[str] = []
    for number, (wait_s, pressed) in enumerate(keys):
        parts.append(_listen(int(wait_s * 1000), f"press{number}"))
        for nth, key in enumerate(pressed):
            parts.append(_press(key, 10 + len(parts), keys_by))
            parts.append(_listen(_KEY_MS, f"pressed{number}x{nth}"))
    parts.append(_listen(_FOREVER_MS if talk_s is None else int(talk_s * 1000), "hangup", is_marked=False))
    return "\n".join(parts)


def _press(key: str, cseq: int, keys_by: Literal["rtp", "info"]) -> str:
    if keys_by == "info":
        return _fill("key_info.xml", KEY=key, CSEQ=str(cseq))
    pcap = PCAPS / f"dtmf_2833_{_PCAP_NAMES.get(key, key)}.pcap"
    return f'  <nop><action><exec play_pcap_audio="{pcap}"/></action></nop>'


def _listen(ms: int, then: str, is_marked: bool = True) -> str:
    mark = f'\n  <label id="{then}"/>' if is_marked else ""
    waits = f'timeout="{max(1, ms)}" ontimeout="{then}"'
    return (
        f'  <recv request="BYE" optional="true" {waits} next="bye"/>\n'
        f'  <recv request="NOTIFY" {waits} next="hangup"/>{mark}'
    )


def _fill(file: str, **values: str) -> str:
    return _fill_in((SCENARIOS / file).read_text(encoding="utf-8"), **values)


def _fill_in(text: str, **values: str) -> str:
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def _quoted(name: str) -> str:
    """A display name for a SIP header inside SIPp's CDATA; square brackets would be SIPp's own keywords."""
    return name.replace("\\", "\\\\").replace('"', '\\"').replace("[", "(").replace("]", ")")


def _message(line: str) -> SipMessage | None:
    """One line of SIPp's short message trace: date, time, Unix time, S or R, Call-ID, CSeq, first line."""
    parts = line.split("\t")
    if len(parts) != 7:
        return None
    return SipMessage(at=float(parts[2]), is_sent=parts[3] == "S", call=parts[4], line=parts[6].strip())


def _tone() -> bytes:
    """One second of a quiet 400 Hz square wave as A-law."""
    return (b"\x95" * 10 + b"\x15" * 10) * 400
