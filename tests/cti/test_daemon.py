"""The daemon as a process: it opens, says how it is, refuses to stand in another's place, and leaves when told."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from cti.init import write_configuration

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """An installation on free ports, without an Asterisk."""
    write_configuration(tmp_path)
    ami, agi, console = free_ports(3)
    (tmp_path / "offhook.toml").write_text(
        f'[pbx]\nport = {ami}\nsecret_file = "ami.secret"\n[agi]\nport = {agi}\ntoken_file = "agi.token"\n'
        f'[console]\nport = {console}\n[speech]\nespeak = ["/no/espeak"]\n'
    )
    return tmp_path


def port_of(house: Path, section: str) -> int:
    """A port of its settings."""
    return int((house / "offhook.toml").read_text().split(f"[{section}]\nport = ")[1].split("\n")[0])


@contextmanager
def running(house: Path) -> Iterator[subprocess.Popen[str]]:
    """`offhook run`, until it has said that it is up; ended by force at the end if nobody has."""
    log = house / "daemon.log"
    with log.open("w") as err:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "cti.cli", "run", "--config", str(house / "offhook.toml")],
            stdout=subprocess.PIPE, stderr=err, stdin=subprocess.DEVNULL, text=True, cwd=ROOT,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while '"offhook is up"' not in log.read_text():
            assert daemon.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield daemon
    finally:
        daemon.kill()
        daemon.communicate()


def run_and_fail(house: Path) -> tuple[int, str]:
    """`offhook run` where it can't: the exit status and what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "cti.cli", "run", "--config", str(house / "offhook.toml")],
        capture_output=True, text=True, timeout=30, check=False, cwd=ROOT,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, " ".join(done.stderr.split())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_without_an_asterisk_and_ends_when_told(house: Path, number: signal.Signals) -> None:
    """Alive but not ready while the PBX is away; a signal ends it with 0; its socket is gone, its log JSON without secrets."""
    with running(house) as daemon:
        base = f"http://127.0.0.1:{port_of(house, 'console')}"
        assert httpx.get(f"{base}/healthz").status_code == 200
        ready = httpx.get(f"{base}/readyz")
        assert ready.status_code == 503
        parts = ready.json()["parts"]
        assert [name for name, part in parts.items() if not part["is_up"]] == ["pbx"]
        assert {"database", "agi", "room acd", "room voc", "room agent_console"} <= set(parts)
        assert "offhook_facts_total" in httpx.get(f"{base}/metrics").text
        assert (house / "offhook.sock").stat().st_mode & 0o777 == 0o600
        daemon.send_signal(number)
        out, _ = daemon.communicate(timeout=20)
        assert daemon.returncode == 0
    assert out == ""
    assert not (house / "offhook.sock").exists()
    said = (house / "daemon.log").read_text()
    events = [json.loads(line)["event"] for line in said.splitlines()]
    assert "offhook stops" in events
    for secret in ("ami.secret", "agi.token"):
        assert (house / secret).read_text().strip() not in said


def test_a_second_daemon_on_the_same_installation_is_refused(house: Path) -> None:
    """Whatever ports it is told; the first goes on."""
    with running(house) as daemon:
        text = (house / "offhook.toml").read_text()
        (house / "second.toml").write_text(text.replace(str(port_of(house, "console")), str(free_ports(1)[0])))
        done = subprocess.run(
            [sys.executable, "-m", "cti.cli", "run", "--config", str(house / "second.toml")],
            capture_output=True, text=True, timeout=30, check=False, cwd=ROOT,
        )  # fmt: skip
        assert done.returncode == 1
        assert "a daemon already runs on" in " ".join(done.stderr.split())
        assert daemon.poll() is None
        assert (house / "offhook.sock").is_socket()


@pytest.mark.parametrize("section", ["agi", "console"])
def test_a_port_that_is_taken_is_a_clear_message(house: Path, section: str) -> None:
    """Which port, whose setting, what to do; no traceback, and the exit status is not 0."""
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", port_of(house, section)))
        squatter.listen()
        status, said = run_and_fail(house)
    assert status in (1, 2)
    assert str(port_of(house, section)) in said
    assert f"{section}.port" in said


@pytest.mark.parametrize(
    ("file", "old", "new", "wanted"),
    [
        ("offhook.toml", "[console]", "[consoel]", "offhook.toml:7: consoel: there is no such setting"),
        ("queues.yaml", "skills: [sales]", "skils: [sales]", "queues.yaml:7: queues.sales.skils"),
        ("flows/default.yaml", "start: greet", "start: great", "no node called 'great'"),
        ("offhook.toml", "[speech]", '[daemon]\nrooms = ["cellar"]\n[speech]', "no room called 'cellar'"),
        ("offhook.toml", "[speech]", '[database]\nurl = "sqlite:///no/folder/x.db"\n[speech]', "database"),
    ],
)
def test_mistakes_are_named_before_anything_opens(house: Path, file: str, old: str, new: str, wanted: str) -> None:
    """Settings, site, flows, rooms, database: in words, with the place, and the process ends."""
    path = house / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    status, said = run_and_fail(house)
    assert status in (1, 2)
    assert wanted in said
    assert not (house / "offhook.sock").exists()


def test_a_killed_daemon_leaves_nothing_in_the_way(house: Path) -> None:
    """After kill -9 the next one starts on the same socket, ports and database."""
    with running(house) as daemon:
        os.kill(daemon.pid, signal.SIGKILL)
        daemon.wait()
        assert (house / "offhook.sock").is_socket()
    with running(house) as daemon:
        assert daemon.poll() is None
