"""A whole installation for the tests: private Asterisk, daemon in a process of its own, SIP phones, agents at their consoles.

The referee is Asterisk's record (CEL): `House.verdict` is what `offhook call audit` makes of it.
"""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from websockets.sync.client import ClientConnection, connect

from cti.demo.lab import PHONE_ADDRESS, TRUNK_CONTEXTS, AsteriskProgram, Lab, LabPhone, LabPorts, speech_commands
from tests.pbx.sipp import SippCaller, SippPhone, free_port, wait_until

REPOSITORY = Path(__file__).parents[2]

CUSTOMERS = """customer,account,name,tier,language,phones
C1,40001,Grace Novak,gold,en,+12025550101
C2,40002,Hugo Rossi,standard,en,+12025550102
C3,40003,Irene Rossi,standard,en,+12025550102
"""

QUEUES = """
queues:
  sales: {name: Sales, skills: [sales], ring_for_s: 3, wrap_up_s: 20}
  support: {name: Support, skills: [support], ring_for_s: 3, wrap_up_s: 20}
  billing: {name: Billing, skills: [billing], ring_for_s: 3, wrap_up_s: 20}
numbers:
  "1000": {name: Main line}
not_ready_reasons: [break, lunch]
dispositions: {sold: Sold, resolved: Resolved}
"""

AGENTS = """
agents:
  ann: {name: Ann Archer, phone: PJSIP/a1, skills: [sales]}
  bob: {name: Bob Baker, phone: PJSIP/a2, skills: [sales, support]}
"""

PASSWORD = "correct horse"


def found_template(folder: Path) -> Path:
    """A folder with everything but the addresses: files, database, customers, people who sign in. Made once a session."""
    folder.mkdir()
    (folder / "queues.yaml").write_text(QUEUES)
    (folder / "agents.yaml").write_text(AGENTS)
    (folder / "customers.csv").write_text(CUSTOMERS)
    (folder / "offhook.toml").write_text("")
    shutil.copytree(REPOSITORY / "config" / "flows", folder / "flows")
    offhook(folder, "customers", "import", str(folder / "customers.csv"))
    for name, role in (("ann", "agent"), ("bob", "agent"), ("sue", "supervisor")):
        agent = ("--agent", name) if role == "agent" else ()
        offhook(folder, "users", "add", name, "--role", role, *agent, "--password-stdin", typed=PASSWORD + "\n")
    return folder


def offhook(folder: Path, *words: str, typed: str = "", may_fail: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a command on the installation in `folder`."""
    done = subprocess.run(
        [sys.executable, "-m", "cti.cli", *words, "--config", str(folder / "offhook.toml")],
        input=typed, capture_output=True, text=True, timeout=60, check=False, cwd=REPOSITORY,
    )  # fmt: skip
    assert may_fail or done.returncode == 0, f"offhook {words}: {done.stdout}{done.stderr}"
    return done


class House:
    """One installation. `folder` holds its files and `daemon.log`; `callers` and phones are SIPp."""

    def __init__(self, program: AsteriskProgram, template: Path, folder: Path, music_s: int = 2) -> None:
        self.folder = folder
        shutil.copytree(template, folder)
        self.phone_ports = {name: free_port(PHONE_ADDRESS) for name in ("a1", "a2")}
        phones = [LabPhone(name, f"sip:{name}@{PHONE_ADDRESS}:{port}") for name, port in self.phone_ports.items()]
        agi_port, self.console_port = _tcp_port(), _tcp_port()
        self.lab = Lab(program, folder / "asterisk", LabPorts.free(), agi_port, "house-token", phones, music_s=music_s)
        self._daemon: subprocess.Popen[bytes] | None = None
        self._count = 0
        self._open: list[Any] = []
        espeak, sox = speech_commands(program)
        (folder / "offhook.toml").write_text(
            f"""[pbx]
port = {self.lab.ports.ami}
secret = "{self.lab.ami_secret}"
trunk_contexts = {json.dumps(TRUNK_CONTEXTS)}
reconcile_s = 3.0
[agi]
port = {agi_port}
token = "house-token"
[console]
port = {self.console_port}
grace_s = 3.0
[paths]
prompts = "{template / "prompts"}"
[cel]
csv = "{self.lab.cel_csv}"
[speech]
espeak = {json.dumps(espeak)}
sox = {json.dumps(sox)}
"""
        )

    # --- life ------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.lab.start()
        self.start_daemon()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in reversed(self._open):
            one.__exit__(None, None, None)
        if self._daemon is not None:
            self.thaw_daemon()
            self._daemon.terminate()
            self._daemon.wait(20)
        self.lab.stop()

    def start_daemon(self) -> None:
        """Start it and wait until it is ready: rooms open, PBX read."""
        with (self.folder / "daemon.log").open("ab") as log:
            self._daemon = subprocess.Popen(
                [sys.executable, "-m", "cti.cli", "run", "--config", str(self.folder / "offhook.toml")],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=REPOSITORY,
            )  # fmt: skip
        assert wait_until(lambda: self.is_ready() or None, 30.0), f"not ready:\n{self.daemon_log()[-3000:]}"

    def is_ready(self) -> bool:
        """What /readyz says."""
        assert self._daemon is not None
        assert self._daemon.poll() is None, f"the daemon ended:\n{self.daemon_log()[-3000:]}"
        try:
            answer = httpx.get(f"{self.base_url}/readyz", timeout=2.0)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and answer.json()["parts"].get("pbx", {}).get("is_up", False) is True

    def kill_daemon(self) -> None:
        """kill -9."""
        assert self._daemon is not None
        self._daemon.kill()
        self._daemon.wait()

    def freeze_daemon(self) -> None:
        """SIGSTOP: accepts connections, answers nothing."""
        assert self._daemon is not None
        os.kill(self._daemon.pid, signal.SIGSTOP)

    def thaw_daemon(self) -> None:
        """Let a frozen one go on."""
        if self._daemon is not None and self._daemon.poll() is None:
            os.kill(self._daemon.pid, signal.SIGCONT)

    def daemon_log(self) -> str:
        """Everything the daemon has logged."""
        return (self.folder / "daemon.log").read_text(errors="replace")

    @property
    def base_url(self) -> str:
        """Where the console is."""
        return f"http://127.0.0.1:{self.console_port}"

    # --- people ----------------------------------------------------------------------------------------------------

    def agent(self, name: str, is_ready: bool = True) -> "Desk":
        """An agent at her console, signed in and ready."""
        desk = Desk(self.base_url, name)
        self._open.append(desk)
        if is_ready:
            desk.do(name="ready")
            desk.wait(lambda view: view["me"]["line"]["availability"] == "ready")
        return desk

    def phone(self, name: str, answers: Any = 0.5, hang_up_after_s: float | None = None) -> SippPhone:
        """A SIP phone."""
        phone = SippPhone(name, self.phone_ports[name], self._dir(), answers, hang_up_after_s)
        self._open.append(phone)
        return phone

    def caller(self, ani: str = "+12025550101", dnis: str = "1000", **more: Any) -> SippCaller:
        """A caller; see SippCaller."""
        caller = SippCaller(self.lab.ports.sip, dnis, self._dir(), ani=ani, **more)
        self._open.append(caller)
        return caller

    def _dir(self) -> Path:
        self._count += 1
        folder = self.folder / f"sipp{self._count}"
        folder.mkdir()
        return folder

    # --- what is known afterwards -----------------------------------------------------------------------------------

    def contacts(self) -> list[Mapping[str, Any]]:
        """The rows of voc_contact, oldest first; JSON columns read."""
        with sqlite3.connect(f"file:{self.folder / 'offhook.db'}?mode=ro", uri=True) as link:
            link.row_factory = sqlite3.Row
            rows = link.execute("select * from voc_contact order by arrived_at").fetchall()
        link.close()
        return [
            {key: json.loads(row[key]) if key in ("answers", "offers", "agents") else row[key] for key in row.keys()}  # noqa: SIM118 - a sqlite3.Row iterates over values
            for row in rows
        ]

    def contact(self, nth: int = -1, closed: bool = True, timeout_s: float = 15.0) -> Mapping[str, Any]:
        """One contact, when it is closed."""

        def found() -> Mapping[str, Any] | None:
            rows = self.contacts()
            if len(rows) < (nth + 1 if nth >= 0 else -nth):
                return None
            return rows[nth] if not closed or rows[nth]["closed_at"] is not None else None

        row = wait_until(found, timeout_s, every_s=0.1)
        assert row is not None, f"no closed contact: {[(r['call'], r['outcome']) for r in self.contacts()]}"
        return row

    def wait_for_calls(self, count: int, timeout_s: float = 15.0) -> None:
        """Until this many contacts exist, open or closed."""
        seen = wait_until(lambda: len(self.contacts()) >= count or None, timeout_s, every_s=0.05)
        assert seen, f"{len(self.contacts())} contacts instead of {count}"

    def wait_until_waiting(self, supervisor: "Desk", count: int, timeout_s: float = 20.0) -> None:
        """Until this many callers wait in queues."""
        supervisor.wait(lambda view: sum(key.startswith("waiting/") for key in view) == count, timeout_s)

    def verdict(self) -> dict[str, Any]:
        """What Asterisk's record says of our contacts."""
        return dict(json.loads(offhook(self.folder, "call", "audit", "--json", may_fail=True).stdout))

    def channels(self) -> list[str]:
        """The channels that are up now."""
        return [line for line in self.lab.console("core show channels concise").splitlines() if "!" in line]

    def assert_sound(self, contacts: int) -> None:
        """Exactly this many contacts, one for every call in Asterisk's record, each right; no channel left."""
        assert wait_until(lambda: not self.channels() or None, 10.0), f"channels left: {self.channels()}"

        def sound() -> dict[str, Any] | None:
            said = self.verdict()
            wrong = said["missing_contacts"] + said["duplicate_contacts"] + said["wrong_outcomes"]
            return said if not wrong and len(self.contacts()) == contacts else None

        assert wait_until(sound, 20.0, every_s=1.0), (
            f"{self.verdict()} {[(r['call'], r['outcome'], r['closed_at']) for r in self.contacts()]}"
        )


class Desk:
    """Somebody at a console, over the real HTTP and WebSocket; paints every pop at once. `view` is the flat map."""

    def __init__(self, base_url: str, name: str, client: str = "browser") -> None:
        self.name = name
        self.view: dict[str, Any] = {}
        self.pops: list[dict[str, Any]] = []
        self.answers: dict[str, dict[str, Any]] = {}
        self.painted_at: dict[str, float] = {}
        self._base_url = base_url
        self._client = client
        self._number = 0
        answer = httpx.post(
            f"{base_url}/api/sign-in",
            json={"name": name, "password": PASSWORD},
            headers={"Origin": base_url},
            timeout=10,
        )
        assert answer.status_code == 200, answer.text
        self._cookie = "; ".join(f"{key}={value}" for key, value in answer.cookies.items())
        self._socket: ClientConnection | None = None
        self._sockets = ExitStack()
        self.connect()

    def connect(self) -> None:
        """Open the socket (again) and wait for the snapshot."""
        headers = {"Cookie": self._cookie, "Origin": self._base_url}
        self.view = {}
        address = self._base_url.replace("http", "ws", 1) + "/ws"
        self._socket = self._sockets.enter_context(connect(address, additional_headers=headers))
        self._send({"type": "hello", "client": self._client, "epoch": None, "seq": 0})
        threading.Thread(target=self._listen, args=(self._socket,), daemon=True).start()
        self.wait(lambda view: "me" in view)

    def do(self, **action: Any) -> dict[str, Any]:
        """Press a button and wait for the answer."""
        self._number += 1
        number = str(self._number)
        self._send({"type": "do", "id": number, "action": action})
        answer = wait_until(lambda: self.answers.get(number), 10.0)
        assert answer is not None, f"no answer to {action}"
        return answer

    def wait(self, wanted: Callable[[dict[str, Any]], bool], timeout_s: float = 20.0) -> dict[str, Any]:
        """Until the view is as wanted."""

        def is_so() -> bool | None:
            try:
                return wanted(self.view) or None
            except (KeyError, TypeError):
                return None

        assert wait_until(is_so, timeout_s), f"{self.name} sees {json.dumps(self.view)[:3000]}"
        return self.view

    def wait_phase(self, phase: str, timeout_s: float = 20.0) -> dict[str, Any]:
        """Until the pop on screen is in this phase; the pop."""
        return dict(self.wait(lambda view: view["pop"]["phase"] == phase, timeout_s)["pop"])

    def wait_idle(self, timeout_s: float = 20.0) -> None:
        """Until nothing is on the desk."""
        self.wait(lambda view: view["me"]["line"]["activity"] == "idle", timeout_s)

    def finish(self, disposition: str = "resolved", note: str = "") -> None:
        """Write the contact up."""
        pop = self.wait_phase("wrap_up")
        answer = self.do(name="finish", call=pop["call"], disposition=disposition, note=note)
        assert answer["type"] == "done", answer

    def disconnect(self) -> None:
        """Close the socket, as a browser that is closed."""
        if self._socket is not None:
            self._socket.close()

    def __exit__(self, *whatever: object) -> None:
        self._sockets.close()

    def _send(self, message: dict[str, Any]) -> None:
        assert self._socket is not None
        self._socket.send(json.dumps(message))

    def _listen(self, link: ClientConnection) -> None:
        try:
            for text in link:
                self._take(json.loads(text))
        except Exception:  # noqa: BLE001 - a closed socket ends the thread, whoever closed it
            return

    def _take(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "snapshot":
                self.view = dict(message["view"])
            case "put":
                self.view[message["key"]] = message["value"]
            case "drop":
                self.view.pop(message["key"], None)
            case "done" | "refused":
                self.answers[message["id"]] = message
        pop = self.view.get("pop")
        if pop is not None and (not self.pops or self.pops[-1] != pop):
            self.pops.append(pop)
            if pop["phase"] == "offered":
                self.painted_at.setdefault(pop["offer"], time.time())
                self._send({"type": "painted", "offer": pop["offer"], "version": pop["version"]})


def _tcp_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
