"""A whole installation for the tests: private Asterisk, daemon in a process of its own, SIP phones, agents at their consoles.

The referee is Asterisk's record (CEL): `House.verdict` is what `offhook call audit` makes of it.
"""

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from cti.demo.lab import PHONE_ADDRESS, TRUNK_CONTEXTS, AsteriskProgram, Lab, LabPhone, LabPorts, speech_commands
from tests.pbx.desk import PASSWORD, Desk
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


def found_template(folder: Path, database_url: str = "") -> Path:
    """A folder with everything but the addresses: files, database, customers, people who sign in. Made once a session."""
    folder.mkdir()
    (folder / "queues.yaml").write_text(QUEUES)
    (folder / "agents.yaml").write_text(AGENTS)
    (folder / "customers.csv").write_text(CUSTOMERS)
    (folder / "offhook.toml").write_text(f'[database]\nurl = "{database_url}"\n' if database_url else "")
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
{(template / "offhook.toml").read_text()}
[paths]
prompts = "{template / "prompts"}"
[cel]
csv = "{self.lab.cel_csv}"
[speech]
espeak = {json.dumps(espeak)}
sox = {json.dumps(sox)}
"""
        )

    def reach_pbx_through(self, port: int) -> None:
        """Let the daemon find the manager interface at this port: something stands between. Before it starts."""
        file = self.folder / "offhook.toml"
        file.write_text(file.read_text().replace(f"port = {self.lab.ports.ami}\n", f"port = {port}\n", 1))

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
        assert wait_until(lambda: self.is_ready() or None, 60.0), f"not ready:\n{self.daemon_log()[-3000:]}"

    def is_ready(self) -> bool:
        """What /readyz says."""
        assert self._daemon is not None
        assert self._daemon.poll() is None, f"the daemon ended:\n{self.daemon_log()[-3000:]}"
        try:
            answer = httpx.get(f"{self.base_url}/readyz", timeout=2.0)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and answer.json()["parts"].get("pbx", {}).get("is_up", False) is True

    def kill_daemon(self) -> float:
        """kill -9; when it was (Unix seconds)."""
        assert self._daemon is not None
        killed_at = time.time()
        self._daemon.kill()
        self._daemon.wait()
        return killed_at

    def stop_daemon(self) -> float:
        """SIGTERM, as an operator; seconds until it is gone."""
        assert self._daemon is not None
        began = time.monotonic()
        self._daemon.terminate()
        assert self._daemon.wait(30) == 0, self.daemon_log()[-3000:]
        return time.monotonic() - began

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

    def agent(self, name: str, is_ready: bool = True) -> Desk:
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

    def steps(self, kind: str) -> list[dict[str, Any]]:
        """The Facts of this kind in the contacts' steps, oldest first."""

        def found() -> list[dict[str, Any]] | None:
            with sqlite3.connect(f"file:{self.folder / 'offhook.db'}?mode=ro", uri=True) as link:
                rows = link.execute("select body from voc_step where kind = ? order by at", (kind,)).fetchall()
            link.close()
            return [json.loads(row[0])["body"] for row in rows] or None

        seen = wait_until(found, 10.0, every_s=0.05)
        assert seen is not None, f"no {kind} in any contact's steps"
        return seen

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

    def wait_until_waiting(self, supervisor: Desk, count: int, timeout_s: float = 20.0) -> None:
        """Until this many callers wait in queues."""
        supervisor.wait(lambda view: sum(key.startswith("waiting/") for key in view) == count, timeout_s)

    def verdict(self) -> dict[str, Any]:
        """What Asterisk's record says of our contacts."""
        return dict(json.loads(offhook(self.folder, "call", "audit", "--json", may_fail=True).stdout))

    def channels(self) -> list[str]:
        """The channels that are up now."""
        return [line for line in self.lab.console("core show channels concise").splitlines() if "!" in line]

    def rtp_received(self) -> dict[str, int]:
        """How many packets of speech Asterisk has received from each SIP channel that is up."""
        said = self.lab.console("pjsip show channelstats")
        found = re.findall(r"(\S+)\s+\d\d:\d\d:\d\d\s+\S+\s+(\d+)", said)
        return {channel: int(count) for channel, count in found}

    def assert_speech_flows(self, legs: int) -> None:
        """At least this many SIP channels are up, and from each of them speech still comes in."""
        before = self.rtp_received()
        assert len(before) >= legs, before

        def has_grown() -> bool | None:
            now = self.rtp_received()
            return all(now.get(channel, 0) > count for channel, count in before.items()) or None

        assert wait_until(has_grown, 10.0, every_s=0.2), f"{before} and later {self.rtp_received()}"

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


def _tcp_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
