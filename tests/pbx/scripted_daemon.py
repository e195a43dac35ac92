"""A FastAGI peer that does what a test says: the dialplan's other side, without our daemon.

daemon = ScriptedDaemon()
daemon.scripts["inbound"] = lambda asked: asked.say("ANSWER")
"""

import socket
import socketserver
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from cti.demo.lab import Lab
from tests.pbx.sipp import wait_until


class Asked:
    """One AGI session as the dialplan opened it."""

    def __init__(self, link: socket.socket) -> None:
        self.link = link
        self._lines = link.makefile("rb")
        self.headers: dict[str, str] = {}
        while line := self._lines.readline().decode(errors="replace").rstrip("\n"):
            name, _, value = line.partition(": ")
            self.headers[name.removeprefix("agi_")] = value
        self.at = time.monotonic()
        self.ended_at: float | None = None

    @property
    def script(self) -> str:
        """The script's name, the last part of the URL."""
        return self.headers.get("request", "").rsplit("/", 1)[-1]

    @property
    def token(self) -> str:
        """The part of the URL before it."""
        return self.headers.get("request", "").rsplit("/", 2)[-2]

    @property
    def arguments(self) -> list[str]:
        """AGI()'s arguments after the URL."""
        numbers = range(1, 20)
        return [self.headers[f"arg_{number}"] for number in numbers if f"arg_{number}" in self.headers]

    def say(self, command: str) -> str:
        """Send one command; returns the reply line, "" when Asterisk has let go."""
        try:
            self.link.sendall(command.encode() + b"\n")
            while (reply := self._lines.readline().decode(errors="replace").strip()).startswith("HANGUP"):
                pass
        except OSError:
            return ""
        return reply

    def go_on(self, to: str) -> None:
        """Say where the dialplan goes when the session ends."""
        self.say(f'SET VARIABLE OFFHOOK_NEXT "{to}"')

    def wait_until_let_go(self) -> None:
        """Stay silent until Asterisk closes the socket."""
        try:
            while self._lines.readline():
                pass
        except OSError:
            pass


Script = Callable[[Asked], None]


def _hang_up(asked: Asked) -> None:
    asked.go_on("")


class ScriptedDaemon:
    """Listens for AGI sessions and keeps them in `sessions`, in order."""

    def __init__(self, port: int = 0) -> None:
        self.sessions: list[Asked] = []
        self.scripts: dict[str, Script] = {}
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                asked = Asked(self.request)
                outer.sessions.append(asked)
                outer.scripts.get(asked.script, _hang_up)(asked)
                asked.ended_at = time.monotonic()

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def asked(self, script: str, nth: int = 1, timeout_s: float = 15.0) -> Asked:
        """The `nth` session of this script, waited for."""

        def found() -> Asked | None:
            matching = [session for session in list(self.sessions) if session.script == script]
            return matching[nth - 1] if len(matching) >= nth else None

        session = wait_until(found, timeout_s)
        assert session is not None, f"no {script} (number {nth}); asked were {[s.script for s in self.sessions]}"
        return session

    def close(self) -> None:
        """Stop listening: from now on the dialplan is refused."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def to_hold(asked: Asked) -> None:
    """Answer the caller and send him to the hold loop, as the ivr does."""
    asked.say("SET VARIABLE TIMEOUT(absolute) 0")
    asked.say("ANSWER")
    for name, value in (("QUEUE", "sales"), ("SINCE", "1795322658.5"), ("LANGUAGE", "en"), ("PRIORITY", "7")):
        asked.say(f'SET VARIABLE OFFHOOK_{name} "{value}"')
    asked.say('SET VARIABLE OFFHOOK_REASON "billing, old account"')
    asked.go_on("offhook-hold,s,1")


def keep_holding(asked: Asked) -> None:
    """Send him back to the music."""
    asked.go_on("offhook-hold,s,1")


def let_wait(daemon: ScriptedDaemon) -> None:
    """From now on every caller waits."""
    daemon.scripts.update(inbound=to_hold, hold=keep_holding)


def is_empty(lab: Lab) -> bool:
    """True once no channel is left."""
    return wait_until(lambda: "0 active channels" in lab.console("core show channels") or None, 10, 0.2) is True


def key_of(reply: str) -> str:
    """The key in the reply to WAIT FOR DIGIT."""
    code = reply.partition("result=")[2].split(" ")[0]
    return chr(int(code)) if code.isdigit() and code != "0" else ""
