"""A plain blocking manager session for tests: independent of ours, so that it can be the witness of what Asterisk did."""

import itertools
import socket
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from cti.demo.lab import AMI_USER, Lab
from tests.pbx.sipp import wait_until

Frame = Mapping[str, str]


class AmiProbe:
    """Logged in to a lab's manager interface; keeps every event."""

    def __init__(self, lab: Lab) -> None:
        self.events: list[Frame] = []
        self._responses: dict[str, Frame] = {}
        self._numbers = itertools.count(1)
        self._link = socket.create_connection(("127.0.0.1", lab.ports.ami), timeout=10)
        self._link.settimeout(None)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        answer = self.ask(Action="Login", Username=AMI_USER, Secret=lab.ami_secret)
        assert answer["Response"] == "Success", answer

    def ask(self, variables: Mapping[str, str] | None = None, **headers: str) -> Frame:
        """Send one action and return its response."""
        number = f"probe-{next(self._numbers)}"
        lines = [f"{name}: {value}" for name, value in {**headers, "ActionID": number}.items()]
        lines += [f"Variable: {name}={value}" for name, value in (variables or {}).items()]
        self._link.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        answer = wait_until(lambda: self._responses.get(number), 10)
        assert answer is not None, f"no response to {headers}"
        return answer

    def wait_for(self, event: str, timeout_s: float = 10.0, **fields: str) -> Frame:
        """The first event of this kind whose fields begin as given."""

        def found() -> Frame | None:
            return next((frame for frame in list(self.events) if _fits(frame, event, fields)), None)

        seen = wait_until(found, timeout_s)
        assert seen is not None, (
            f"no {event} {fields} within {timeout_s} s; seen {[e.get('Event') for e in self.events]}"
        )
        return seen

    def seen(self, event: str, **fields: str) -> list[Frame]:
        """Every event of this kind so far."""
        return [frame for frame in list(self.events) if _fits(frame, event, fields)]

    def ring(self, phone: str, leg: str, caller_channel: str, timeout_s: float = 10.0) -> None:
        """Ring an agent's phone for a caller, as the daemon does."""
        answer = self.ask(
            {"OFFHOOK_CALLER": caller_channel, "OFFHOOK_CALL": "test"},
            Action="Originate",
            Channel=phone,
            Context="offhook-pick",
            Exten="agent",
            Priority="1",
            Timeout=str(int(timeout_s * 1000)),
            Async="true",
            ChannelId=leg,
        )
        assert answer["Response"] == "Success", answer

    def close(self) -> None:
        """End the session."""
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> None:
        kept = b""
        try:
            while chunk := self._link.recv(65536):
                kept += chunk
                *frames, kept = kept.split(b"\r\n\r\n")
                for frame in frames:
                    self._take(frame.decode(errors="replace"))
        except OSError:
            return

    def _take(self, text: str) -> None:
        lines = (line.partition(": ") for line in text.split("\r\n"))
        frame = {name: value for name, colon, value in lines if colon}
        if "Event" in frame:
            self.events.append(frame)
        elif "Response" in frame:
            self._responses[frame.get("ActionID", "")] = frame


def _fits(frame: Frame, event: str, fields: Mapping[str, str]) -> bool:
    return frame.get("Event") == event and all(frame.get(name, "").startswith(value) for name, value in fields.items())
