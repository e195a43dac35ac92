"""The load of the agi row: callers at once, each opening a FastAGI session, answering its commands, coming again.

Plain epoll: whoever calls must cost less than whoever serves, or the rate would be the caller's. `python -m
bench.agi_callers`; the row says where, how many calls, how many at once; the answer is how it went.
"""

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bench.row import percentile
from bench.worker import hear, say
from tests.agi.asterisk_side import opening

COMMANDS = 5
GIVE_UP_S = 60.0
_SAID = b"200 result=0\n"
_NUISANCES = (b"", b"GET / HTTP/1.1\r\n\r\n", b"agi_network: yes\nagi_req", b"\x00\xff" * 400, b"\n\n")


@dataclass(slots=True)
class _Call:
    link: socket.socket
    began: float
    commands: int = 0


class _Callers:
    """Everybody who calls now, on one epoll."""

    def __init__(self, port: int, heads: Iterator[bytes]) -> None:
        self._port = port
        self._heads = heads
        self._poll = select.epoll()
        self._calls: dict[int, _Call] = {}
        self.took_s: list[float] = []
        self.failed = 0

    def run(self, at_once: int) -> None:
        """Until everybody has called."""
        for _ in range(at_once):
            self._next()
        give_up = time.monotonic() + GIVE_UP_S
        while self._calls and time.monotonic() < give_up:
            for number, _ in self._poll.poll(1.0):
                self._hear(number)
        self.failed += len(self._calls) + sum(1 for _ in self._heads)
        for call in self._calls.values():
            call.link.close()

    def _next(self) -> None:
        head = next(self._heads, None)
        if head is None:
            return
        began = time.monotonic()
        link = socket.create_connection(("127.0.0.1", self._port))
        link.sendall(head)
        self._poll.register(link, select.EPOLLIN)
        self._calls[link.fileno()] = _Call(link, began)

    def _hear(self, number: int) -> None:
        call = self._calls[number]
        try:
            data = call.link.recv(4096, socket.MSG_DONTWAIT)
            if data:
                lines = data.count(b"\n")
                call.commands += lines
                call.link.send(_SAID * lines)
                return
        except OSError:
            call.commands = -1
        self.took_s.append(time.monotonic() - call.began)
        self.failed += call.commands != COMMANDS
        del self._calls[number]
        call.link.close()
        self._next()


def _load(port: int, calls: int, at_once: int, script: str, token: str) -> dict[str, Any]:
    heads = [opening(script, token, arguments=(f"1700.{number}",)) for number in range(calls)]
    callers = _Callers(port, iter(heads))
    began = time.monotonic()
    callers.run(at_once)
    lasted = time.monotonic() - began
    ms = [1000 * one for one in callers.took_s]
    times = {"p50 ms": percentile(ms, 0.5), "p99 ms": percentile(ms, 0.99)}
    return {"calls/s": calls / lasted, **times, "failed": callers.failed}


class _Nuisance(threading.Thread):
    """Port scans, garbage, clients that say half a line and stay: a hundred a second until `stop`."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._over = threading.Event()
        self._kept: list[socket.socket] = []
        self.count = 0

    def run(self) -> None:
        """Come again and again."""
        while not self._over.wait(0.01):
            with suppress(OSError):
                link = socket.create_connection(("127.0.0.1", self._port))
                link.sendall(_NUISANCES[self.count % len(_NUISANCES)])
                self.count += 1
                if self.count % 3:
                    link.close()
                else:
                    self._kept.append(link)  # and never says another word

    def stop(self) -> None:
        """Leave."""
        self._over.set()
        self.join()
        for link in self._kept:
            link.close()


def _disturbed(port: int, calls: int, at_once: int, script: str, token: str) -> dict[str, Any]:
    nuisance = _Nuisance(port)
    nuisance.start()
    time.sleep(0.2)
    found = _load(port, calls, at_once, script, token)
    nuisance.stop()
    return {**found, "probes": nuisance.count}


def _one_probe_then_a_call(port: int, script: str, token: str) -> dict[str, Any]:
    """Whether a server that was connected to and left without a word still serves."""
    socket.create_connection(("127.0.0.1", port)).close()
    time.sleep(0.2)
    with socket.create_connection(("127.0.0.1", port), timeout=3.0) as link:
        link.sendall(opening(script, token))
        try:
            return {"serves": bool(link.recv(4096))}
        except TimeoutError:
            return {"serves": False}


def _main() -> None:
    while True:
        try:
            asked = hear()
        except EOFError:
            return
        match asked.pop("do"):
            case "load":
                say(_load(**asked))
            case "disturbed":
                say(_disturbed(**asked))
            case "probe":
                say(_one_probe_then_a_call(**asked))


if __name__ == "__main__":
    _main()
