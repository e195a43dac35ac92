"""The demo's stage: a folder with everything an installation has (settings, site, company, database), and its Asterisk.

Made once; a second demo on the same folder finds it and starts in seconds. It is a real installation: every `offhook` command
works on it with `--config FOLDER/offhook.toml`, also after the demo has ended.
"""

import fcntl
import json
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from cti.data_folder import find_data_folder
from cti.demo.company import Company, found_company
from cti.demo.lab import TRUNK_CONTEXTS, Lab, LabPhone, LabPorts, find_or_install, speech_commands
from cti.demo.options import DemoOptions
from cti.errors import CtiError, Unavailable
from cti.settings import Settings
from cti.settings_file import load_settings

AGENTS = (
    ("ann", "Ann Archer", ("sales", "support", "lang.en")),
    ("bob", "Bob Baker", ("sales", "billing", "lang.en")),
    ("cat", "Cat Cooper", ("support", "billing", "lang.en", "lang.es")),
    ("dan", "Dan Drake", ("support", "lang.en")),
    ("eve", "Eve Ellis", ("sales", "support", "billing", "lang.en", "lang.es")),
)
NUMBERS = ("1000", "1001", "1002")
OURS_FILE = "this-is-a-demo"
SEED_FILE = "seeded.json"
"""Written last: a folder without it was interrupted in the making and is made anew."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stage:
    """Ready to open: `passwords` by sign-in name, `lab` not started yet."""

    folder: Path
    settings: Settings
    lab: Lab
    company: Company
    passwords: dict[str, str]
    held: TextIO
    """Open while the demo lasts: it keeps the folder from another one."""

    def command(self, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        """Run an `offhook` command on this installation; what it printed is in the result."""
        return _command(self.folder, words, typed)


def set_stage(options: DemoOptions, say: Say) -> Stage:
    """Make or find the stage. Raises Unavailable (busy port, no Asterisk to be had) and what the commands report."""
    folder = options.folder.resolve()
    _check_port("port", options.console_port)
    _check_port("ami-port", options.ami_port)
    _check_port("sip-port", options.sip_port)
    _check_port("agi-port", options.agi_port)
    held = _hold(folder)
    program = find_or_install(say=say)
    espeak, sox = speech_commands(program)
    free = LabPorts.free()
    ports = replace(free, sip=options.sip_port or free.sip, ami=options.ami_port or free.ami)
    agi_port = options.agi_port or _free_port()
    token = secrets.token_urlsafe(16)
    lab = Lab(program, folder / "asterisk", ports, agi_port, token, [LabPhone(agent) for agent, _, _ in AGENTS])
    _write_configuration(folder, lab, options, agi_port, token, espeak, sox)
    passwords = {name: f"{name}-demo" for name in (*(agent for agent, _, _ in AGENTS), "sue", "root")}
    company = _company(folder, options, passwords, say)
    return Stage(folder, load_settings(folder / "offhook.toml"), lab, company, passwords, held)


def _hold(folder: Path) -> TextIO:
    """Keep the folder for this demo; the kernel lets go of it when we die. One that was not finished is emptied.

    Raises Unavailable for a folder that is no demo's, which is never touched, and while another demo runs there.
    """
    mark = folder / OURS_FILE
    if folder.is_dir() and any(folder.iterdir()) and not mark.is_file():
        raise Unavailable("demo", f"{folder} holds something else; choose an empty folder with --dir")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = mark.open("a")
    except OSError as exc:
        raise Unavailable("demo", f"{folder} can't be used ({exc.strerror}); choose another with --dir") from exc
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        held.close()
        raise Unavailable(
            "demo", f"a demo already runs in {folder}; end it, or choose another folder with --dir"
        ) from exc
    if not (folder / SEED_FILE).is_file():
        for left in folder.iterdir():
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            elif left != mark:
                left.unlink()
    return held


def _company(folder: Path, options: DemoOptions, passwords: dict[str, str], say: Say) -> Company:
    """Found the company, or read its files again when the folder has been seeded already."""
    mark = folder / SEED_FILE
    if mark.is_file():
        seeded = json.loads(mark.read_text())
        return found_company(folder / "company", seeded["customers"], seeded["at"], seeded["seed"])
    founded_at = time.time()
    company = found_company(folder / "company", options.customers, founded_at, options.seed)
    say(f"importing {options.customers} customers, what they bought and how they called before")
    further = ("--purchases", str(company.purchases_csv), "--cases", str(company.cases_csv))
    _must(folder, "customers", "import", str(company.customers_csv), *further)
    _must(folder, "call", "import", str(company.history_csv))
    say("adding the people who sign in")
    people = folder / "people.txt"
    people.write_text("".join(_person(name, password) for name, password in passwords.items()))
    _must(folder, "users", "import", str(people))
    people.unlink()
    mark.write_text(json.dumps({"customers": options.customers, "seed": options.seed, "at": founded_at}))
    return company


def _person(name: str, password: str) -> str:
    """A line of `offhook users import`."""
    role = {"sue": "supervisor", "root": "admin"}.get(name, "agent")
    return f"{name} {role} {name if role == 'agent' else '-'} {password}\n"


def _write_configuration(
    folder: Path, lab: Lab, options: DemoOptions, agi_port: int, token: str, espeak: Sequence[str], sox: Sequence[str]
) -> None:
    (folder / "ami.secret").write_text(lab.ami_secret + "\n")
    (folder / "agi.token").write_text(token + "\n")
    for name in ("ami.secret", "agi.token"):
        (folder / name).chmod(0o600)
    given = find_data_folder("config", "queues.yaml")
    shutil.copy(given / "queues.yaml", folder / "queues.yaml")
    shutil.copytree(given / "flows", folder / "flows", dirs_exist_ok=True)
    agents = "".join(
        f"  {agent}: {{name: {name}, phone: {LabPhone(agent).dial}, skills: [{', '.join(skills)}]}}\n"
        for agent, name, skills in AGENTS
    )
    (folder / "agents.yaml").write_text("agents:\n" + agents)
    (folder / "offhook.toml").write_text(_settings_text(lab, options, agi_port, espeak, sox))


def _settings_text(lab: Lab, options: DemoOptions, agi_port: int, espeak: Sequence[str], sox: Sequence[str]) -> str:
    return f"""[pbx]
port = {lab.ports.ami}
user = "offhook"
secret_file = "ami.secret"
trunk_contexts = {_toml_list(TRUNK_CONTEXTS)}

[agi]
port = {agi_port}
token_file = "agi.token"

[console]
port = {options.console_port}

[paths]
prompts = "{lab.prompts_dir}"

[cel]
csv = "{lab.cel_csv}"

[speech]
espeak = {_toml_list(espeak)}
sox = {_toml_list(sox)}

[log]
level = "info"
"""


def _toml_list(words: Sequence[str]) -> str:
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"


def _must(folder: Path, *words: str) -> None:
    done = _command(folder, words, "")
    if done.returncode != 0:
        raise CtiError(f"offhook {' '.join(words)} failed:\n{done.stdout}{done.stderr}")


def _command(folder: Path, words: Sequence[str], typed: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cti.cli", *words, "--config", str(folder / "offhook.toml")],
        input=typed,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def _check_port(option: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as exc:
            why = f"port {port} can't be had ({exc.strerror}); end what uses it or choose another with --{option}"
            raise Unavailable("demo", why) from exc


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
