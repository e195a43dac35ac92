"""A whole installation on a private Asterisk for the rows that need a real one: settings, site, customers, people, daemon.

Its one flow queues every caller for sales at once; its agents have SIP phones.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from bench.worker import REPOSITORY, free_port
from cti.demo.lab import PHONE_ADDRESS, TRUNK_CONTEXTS, Lab, LabPhone, LabPorts, find_or_install, speech_commands
from tests.pbx.sipp import free_port as free_udp_port
from tests.pbx.sipp import require_sipp

PASSWORD = "correct horse battery"
TOKEN = "bench-token"
DNIS = "1000"
CUSTOMERS = 1000

_FLOW = """start: to_sales
fallback: to_sales
language: en
voices: {en: en-us}
longest_s: 60
nodes:
  to_sales: {kind: queue, queue: sales, reason: sales}
"""
_QUEUES = """queues:
  sales: {name: Sales, skills: [sales], ring_for_s: 20, wrap_up_s: 1}
numbers:
  "1000": {name: Main line}
not_ready_reasons: [break]
dispositions: {sold: Sold}
"""


class Installation:
    """One installation in `folder`, with agents a0, a1 ... whose SIP phones are expected at `phone_ports`."""

    def __init__(self, folder: Path, agents: int, log_level: str = "warning") -> None:
        require_sipp()
        folder.mkdir(parents=True)
        self.folder = folder
        self.agents = [f"a{number}" for number in range(agents)]
        self.phone_ports = {name: free_udp_port(PHONE_ADDRESS) for name in self.agents}
        self.agi_port, self.console_port = free_port(), free_port()
        program = find_or_install()
        phones = [LabPhone(name, f"sip:{name}@{PHONE_ADDRESS}:{port}") for name, port in self.phone_ports.items()]
        self.lab = Lab(program, folder / "asterisk", LabPorts.free(), self.agi_port, TOKEN, phones)
        self._daemon: subprocess.Popen[bytes] | None = None
        espeak, sox = speech_commands(program)
        self._write(log_level, espeak, sox)

    def _write(self, log_level: str, espeak: tuple[str, ...], sox: tuple[str, ...]) -> None:
        (self.folder / "flows").mkdir()
        (self.folder / "flows" / "default.yaml").write_text(_FLOW)
        (self.folder / "queues.yaml").write_text(_QUEUES)
        agents = (f"  {name}: {{name: Agent {name}, phone: PJSIP/{name}, skills: [sales]}}\n" for name in self.agents)
        (self.folder / "agents.yaml").write_text("agents:\n" + "".join(agents))
        rows = (f"C{n},4{n:04},Customer Number {n},gold,en,+1202{5_550_000 + n}\n" for n in range(CUSTOMERS))
        (self.folder / "customers.csv").write_text("customer,account,name,tier,language,phones\n" + "".join(rows))
        (self.folder / "offhook.toml").write_text(
            f"""[pbx]
port = {self.lab.ports.ami}
secret = "{self.lab.ami_secret}"
trunk_contexts = {json.dumps(TRUNK_CONTEXTS)}
[agi]
port = {self.agi_port}
token = "{TOKEN}"
[console]
port = {self.console_port}
[paths]
prompts = "{self.lab.prompts_dir}"
[cel]
csv = "{self.lab.cel_csv}"
[speech]
espeak = {json.dumps(espeak)}
sox = {json.dumps(sox)}
[log]
level = "{log_level}"
"""
        )

    # --- life ------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.lab.start()
        try:
            self.offhook("customers", "import", str(self.folder / "customers.csv"))
            for name in self.agents:
                self.offhook(
                    "users", "add", name, "--role", "agent", "--agent", name, "--password-stdin", typed=PASSWORD + "\n"
                )
        except BaseException:
            self.lab.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_daemon()
        self.lab.stop()

    @property
    def url(self) -> str:
        """Where the console is."""
        return f"http://127.0.0.1:{self.console_port}"

    def start_daemon(self) -> None:
        """Start it and wait until it says that it is ready."""
        with (self.folder / "daemon.log").open("ab") as log:
            self._daemon = subprocess.Popen(
                [sys.executable, "-m", "cti.cli", "run", "--config", str(self.folder / "offhook.toml")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=REPOSITORY,
            )
        give_up = time.monotonic() + 60
        while not self._is_ready():
            if self._daemon.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"the daemon is not ready; its log is {self.folder / 'daemon.log'}")
            time.sleep(0.1)

    def stop_daemon(self) -> None:
        """SIGTERM, and wait."""
        if self._daemon is None:
            return
        self._daemon.terminate()
        try:
            self._daemon.wait(20)
        except subprocess.TimeoutExpired:
            self._daemon.kill()
            self._daemon.wait()
        self._daemon = None

    def daemon_cpu_s(self) -> float:
        """Processor time the daemon has had, in seconds."""
        assert self._daemon is not None
        fields = Path(f"/proc/{self._daemon.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def offhook(self, *words: str, typed: str = "") -> str:
        """Run a command on this installation; what it printed. Raises RuntimeError when it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "cti.cli", *words, "--config", str(self.folder / "offhook.toml")],
            input=typed, capture_output=True, text=True, timeout=120, check=False, cwd=REPOSITORY,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"offhook {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    def counter(self, line: str) -> float:
        """One of the daemon's own counters: the value of the line of /metrics that begins like this; 0 without it."""
        text = httpx.get(f"{self.url}/metrics", timeout=10).text
        return sum(float(one.rpartition(" ")[2]) for one in text.splitlines() if one.startswith(line))

    def _is_ready(self) -> bool:
        try:
            answer = httpx.get(f"{self.url}/readyz", timeout=2.0)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and answer.json()["parts"].get("pbx", {}).get("is_up", False) is True
