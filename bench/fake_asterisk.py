"""Asterisk's side of the manager interface for the load: writes events when they are due, answers actions meanwhile.

One connection, blocking writes, one write an event, as Asterisk does it. It notes how long a write had to wait: the real
one cuts a client that makes it wait 100 ms.
"""

import select
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from bench.worker import hear

Headers = dict[str, str]

_LISTS = {"CoreShowChannels": "CoreShowChannelsComplete", "BridgeList": "BridgeListComplete"}
_LISTS["DeviceStateList"] = "DeviceStateListComplete"
_LOOK_S = 0.01
_SPIN_S = 0.0001
"""The last moment before an event is due is spun away: sleeping is no more exact than this."""


class FakeAsterisk:
    """Listens on a free port of 127.0.0.1 and serves the one client that comes."""

    def __init__(self, on_action: Callable[[Headers], None] = lambda action: None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._on_action = on_action
        self._rest = b""
        self._looked_at = 0.0
        self.longest_write_s = 0.0
        self.bytes_written = 0

    @property
    def port(self) -> int:
        """Where to connect."""
        return int(self._listener.getsockname()[1])

    def accept(self) -> None:
        """Wait for the client and greet it."""
        self._link, _ = self._listener.accept()
        self._link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._link.sendall(b"Asterisk Call Manager/9.0.0\r\n")

    def write(self, event: bytes) -> None:
        """One event, in one write."""
        began = time.monotonic()
        self._link.sendall(event)
        self.longest_write_s = max(self.longest_write_s, time.monotonic() - began)
        self.bytes_written += len(event)

    def serve_until(self, due: float) -> None:
        """Answer actions until `due` (monotonic seconds); now and then also when that has passed: a ping must not wait."""
        now = time.monotonic()
        while (left := due - now) > 0 or now - self._looked_at > _LOOK_S:
            self._looked_at = now
            ready, _, _ = select.select([self._link], [], [], max(0.0, left - _SPIN_S))
            if ready:
                self._read()
            now = time.monotonic()

    def serve_until_asked(self) -> Any:
        """Answer actions until the row says something (a worker's standard input); None when it, or the client, has left."""
        while True:
            ready, _, _ = select.select([self._link, sys.stdin], [], [])
            try:
                if sys.stdin in ready:
                    return hear()
                self._read()
            except (EOFError, ConnectionError):
                return None

    def close(self) -> None:
        """Hang up."""
        self._link.close()
        self._listener.close()

    def _read(self) -> None:
        data = self._link.recv(65536)
        if not data:
            raise ConnectionError("the manager client left")
        *whole, self._rest = (self._rest + data).split(b"\r\n\r\n")
        for text in whole:
            lines = text.decode("utf-8", "replace").split("\r\n")
            action = dict(line.split(": ", 1) for line in lines if ": " in line)
            # An Originate has several Variable headers; the first two are all that matter here.
            self._answer({key.strip(): value for key, value in action.items()})

    def _answer(self, action: Headers) -> None:
        verb, name = action.get("Action", ""), action.get("ActionID", "")
        if verb in _LISTS:
            head = f"Response: Success\r\nActionID: {name}\r\nEventList: start\r\n\r\n"
            tail = f"Event: {_LISTS[verb]}\r\nActionID: {name}\r\nEventList: Complete\r\nListItems: 0\r\n\r\n"
            self._link.sendall((head + tail).encode())
            return
        said = {
            "Challenge": "Challenge: 123456789\r\n",
            "CoreStatus": "CoreStartupDate: 2026-11-22\r\nCoreStartupTime: 08:00:00\r\n",
        }.get(verb, "Message: Done\r\n")
        self._link.sendall(f"Response: Success\r\nActionID: {name}\r\n{said}\r\n".encode())
        self._on_action(action)
