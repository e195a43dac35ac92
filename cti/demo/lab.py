"""A private Asterisk: booted in a folder of its own on free ports, stopped without a trace.

Needs no root and touches nothing of the system's; any number of them run side by side. It promises that `start` returns
only once Asterisk answers its manager interface, and that `stop` leaves no process. What the calls in it mean, it doesn't know.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cti.demo.asterisk_program import AsteriskProgram, find_or_install, speech_commands
from cti.errors import Unavailable
from cti.print_config import fill, find_folder

__all__ = ["AsteriskProgram", "Lab", "LabPhone", "LabPorts", "find_or_install", "speech_commands"]

AMI_USER = "offhook"
TRUNK_CONTEXTS = ("from-trunk", "offhook-demo-trunk", "offhook-entry")
CALLER_ADDRESS = "127.0.0.2"
PHONE_ADDRESS = "127.0.0.3"

# Asterisk complains of each of these when it is missing, and needs nothing in them.
_EMPTY = (
    "acl",
    "aeap",
    "ccss",
    "chan_websocket",
    "cli_aliases",
    "features",
    "indications",
    "pjproject",
    "pjsip_wizard",
    "queuerules",
    "res_fax",
    "res_http_media_cache",
    "udptl",
    "websocket_client",
)

_BOOT_S = 60.0
_STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class LabPorts:
    """Where the private Asterisk listens, all on 127.0.0.1."""

    sip: int
    ami: int
    http: int
    rtp_start: int
    rtp_end: int

    @classmethod
    def free(cls) -> "LabPorts":
        """Ports nobody uses now, chosen by chance so that labs starting together don't choose alike."""
        rtp_start = 10000 + 2 * secrets.randbelow(6000)
        # Below the range from which the kernel serves others; Asterisk passes over RTP ports that are taken.
        return cls(_free_port(), _free_port(), _free_port(), rtp_start, rtp_start + 8000)


@dataclass(frozen=True, slots=True)
class LabPhone:
    """One agent's phone: a SIP phone at `contact` (`sip:a1@127.0.0.3:25071`), or a demo phone without one."""

    name: str
    contact: str = ""

    @property
    def dial(self) -> str:
        """The dial string for `agents.yaml`."""
        return f"PJSIP/{self.name}" if self.contact else f"Local/{self.name}@offhook-demo-phones/n"

    @property
    def member(self) -> str:
        """The dial string by which the failsafe queue rings it; demo phones then answer by themselves."""
        return f"PJSIP/{self.name}" if self.contact else f"Local/{self.name}@offhook-demo-pickup/n"


class Lab:
    """One private Asterisk. `start` and `stop` may be repeated; the folder and the ports stay the same."""

    def __init__(
        self,
        program: AsteriskProgram,
        run_dir: Path,
        ports: LabPorts,
        agi_port: int,
        agi_token: str,
        phones: Sequence[LabPhone],
        music_s: int = 30,
    ) -> None:
        self.program = program
        self.run_dir = run_dir.resolve()
        self.ports = ports
        self.phones = tuple(phones)
        self.ami_secret = secrets.token_hex(16)
        self._agi_url = f"agi://127.0.0.1:{agi_port}/{agi_token}"
        self._music_s = music_s
        self._process: subprocess.Popen[bytes] | None = None
        self._socket_dir: Path | None = None

    @property
    def log_file(self) -> Path:
        """Asterisk's own log, notices and the dialplan's steps included."""
        return self.run_dir / "log" / "messages"

    @property
    def cel_csv(self) -> Path:
        """Asterisk's record of calls; columns as in `asterisk/cel_custom-offhook.conf`."""
        return self.run_dir / "log" / "cel-custom" / "offhook.csv"

    @property
    def prompts_dir(self) -> Path:
        """A folder for rendered prompts, readable by this Asterisk."""
        return self.run_dir / "prompts"

    @property
    def pid(self) -> int | None:
        """The process while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Boot and wait until the manager interface says FullyBooted (about 1 s). Raises Unavailable, naming the log."""
        if self.pid is not None:
            return
        self._end_leftover()
        self._check_ports()
        self._write()
        console = self.run_dir / "log" / "console"
        command = [*self.program.command, "-f", "-C", str(self.run_dir / "etc" / "asterisk.conf")]
        with console.open("ab") as out:
            # A session of its own: a Ctrl-C in the terminal is ours to pass on, so that we stop first.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.run_dir, start_new_session=True
            )
        self._pid_file.write_text(str(self._process.pid))
        try:
            self._wait_until_booted()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it and wait until it is gone; by force when it does not go in time."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGCONT)
                self._process.terminate()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._forget()

    def kill(self) -> None:
        """SIGKILL: as a crash would. `start` boots it again."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._forget()

    def freeze(self) -> None:
        """SIGSTOP: the process stays, and answers nobody."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen one go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def console(self, command: str) -> str:
        """What Asterisk's console says to `command` (`core show channels concise`); for people and tests."""
        asked = [*self.program.command, "-C", str(self.run_dir / "etc" / "asterisk.conf"), "-rx", command]
        return subprocess.run(asked, capture_output=True, text=True, timeout=20, check=False).stdout

    @property
    def _pid_file(self) -> Path:
        return self.run_dir / "asterisk.pid"

    def _end_leftover(self) -> None:
        """End the Asterisk of a run whose program was killed before it could: it would write into our files."""
        try:
            pid = int(self._pid_file.read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return
        if str(self.run_dir / "etc" / "asterisk.conf").encode() not in command:
            return  # the number belongs to somebody else by now
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + _STOP_S
        while Path(f"/proc/{pid}/cmdline").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        self._pid_file.unlink(missing_ok=True)

    def _forget(self) -> None:
        self._process = None
        self._pid_file.unlink(missing_ok=True)
        if self._socket_dir is not None:
            shutil.rmtree(self._socket_dir, ignore_errors=True)
            self._socket_dir = None

    def _write(self) -> None:
        """Lay out the run folder: configuration, and a data folder that points to the program's sounds and documents."""
        run = self.run_dir
        for folder in ("etc", "lib/agi-bin", "lib/keys", "log/cel-custom", "spool", "cache", "prompts", "data/sounds"):
            (run / folder).mkdir(parents=True, exist_ok=True)
        for given in self.program.data_dir.iterdir():
            if given.name != "sounds":
                _link(run / "data" / given.name, given)
        # The dialplan says "en"; the packages call the folder by the speaker's name.
        _link(run / "data/sounds/en", self.program.sounds_dir)
        self._socket_dir = Path(tempfile.mkdtemp(prefix="offhook-lab-"))
        for name in _EMPTY:
            (run / "etc" / f"{name}.conf").touch()
        values = self._values()
        templates = find_folder()
        for file in (*templates.glob("*-offhook.conf"), *(templates / "lab").glob("*.conf")):
            target = run / "etc" / file.name
            target.write_text(fill(file, values), encoding="utf-8")
            target.chmod(0o600)

    def _values(self) -> dict[str, str]:
        sip_phones = "".join(
            f"[{phone.name}](phone)\naors = {phone.name}\n\n[{phone.name}]\ntype = aor\ncontact = {phone.contact}\n\n"
            for phone in self.phones
            if phone.contact
        )
        return {
            "run": str(self.run_dir),
            "etc": str(self.run_dir / "etc"),
            "modules": str(self.program.modules_dir),
            "socket_dir": str(self._socket_dir),
            "moh": str(self.program.moh_dir),
            "sip_port": str(self.ports.sip),
            "ami_port": str(self.ports.ami),
            "http_port": str(self.ports.http),
            "rtp_start": str(self.ports.rtp_start),
            "rtp_end": str(self.ports.rtp_end),
            "music_s": str(self._music_s),
            "agi_url": self._agi_url,
            "pick_context": "offhook-pick",
            "manager_user": AMI_USER,
            "manager_secret": self.ami_secret,
            "manager_permit": "127.0.0.0/255.0.0.0",
            "failsafe_members": "\n".join(f"member => {phone.member},0,{phone.name}" for phone in self.phones),
            "sip_phones": sip_phones,
        }

    def _check_ports(self) -> None:
        # Asterisk itself only grumbles in its log about a port in use, and goes on without it.
        for name, port in (("SIP", self.ports.sip), ("AMI", self.ports.ami), ("HTTP", self.ports.http)):
            if not _is_free(port):
                raise Unavailable(
                    "Asterisk",
                    f"its {name} port 127.0.0.1:{port} is in use; choose another. Its log would be {self.log_file}",
                )

    def _wait_until_booted(self) -> None:
        deadline = time.monotonic() + _BOOT_S
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise self._failed("it ended while booting")
            if self._says_booted():
                return
            time.sleep(0.05)
        raise self._failed(f"it did not answer its manager interface within {_BOOT_S:.0f} s")

    def _says_booted(self) -> bool:
        """Log in to the manager interface and listen for FullyBooted."""
        login = f"Action: Login\r\nUsername: {AMI_USER}\r\nSecret: {self.ami_secret}\r\nEvents: system\r\n\r\n"
        said = b""
        try:
            with socket.create_connection(("127.0.0.1", self.ports.ami), timeout=5) as link:
                link.sendall(login.encode())
                while b"Event: FullyBooted" not in said:
                    chunk = link.recv(4096)
                    if not chunk or b"Response: Error" in said:
                        return False
                    said += chunk
        except OSError:
            return False
        return True

    def _failed(self, why: str) -> Unavailable:
        lines: list[str] = []
        for log in (self.run_dir / "log" / "console", self.log_file):
            with suppress(OSError):
                lines += log.read_text(encoding="utf-8", errors="replace").splitlines()[-200:]
        telling = [line for line in lines if "ERROR" in line or "cannot" in line.lower()] or lines
        return Unavailable("Asterisk", f"{why}. Its log is {self.log_file}; the end of it:\n" + "\n".join(telling[-8:]))


def _link(at: Path, to: Path) -> None:
    with suppress(FileExistsError):
        at.symlink_to(to)


def _free_port() -> int:
    """A port that is free for TCP and UDP on 127.0.0.1, outside the kernel's own range for outgoing connections."""
    for _ in range(200):
        if _is_free(port := 20000 + secrets.randbelow(12000)):
            return port
    raise Unavailable("127.0.0.1", "no free port found")


def _is_free(port: int) -> bool:
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
