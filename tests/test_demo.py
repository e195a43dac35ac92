"""`offhook demo` as a newcomer runs it: works unattended, starts again in seconds, leaves nothing behind however it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[1]
STARTS_S = 10.0
"""Seconds of processor a second start may take; it takes about 3, and by the clock the same on a machine that is idle."""


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str], int]:
    """A demo's folder after its first, unattended run: what it printed, and its port."""
    folder, port = tmp_path_factory.mktemp("demo") / "demo", free_port()
    done = subprocess.run(
        [*command(folder, port), "--for", "35", "--json", "--rate", "20"],
        capture_output=True, text=True, timeout=240, check=False, cwd=ROOT,
    )  # fmt: skip
    return folder, done, port


@pytest.fixture
def folder(founded: tuple[Path, subprocess.CompletedProcess[str], int]) -> Iterator[Path]:
    """A folder that has been a demo's before; whatever a test left running there is ended."""
    yield founded[0]
    for process in running_in(founded[0]):
        process.kill()


def command(folder: Path, port: int) -> list[str]:
    """The demo with a small company."""
    return [sys.executable, "-m", "cti.cli", "demo", "--dir", str(folder), "--port", str(port), "--customers", "200"]


@contextmanager
def demo(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The demo until Ctrl-C, once its daemon is ready."""
    with (folder.parent / "printed").open("wb") as out:
        process = subprocess.Popen(command(folder, port), stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=ROOT)
    try:
        wait_until(lambda: is_ready(port) or process.poll() is not None, 60)
        assert process.poll() is None, (folder.parent / "printed").read_text()
        yield process
    finally:
        process.kill()
        process.wait()


def is_ready(port: int) -> bool:
    """What /readyz says."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2.0).status_code == 200
    except httpx.HTTPError:
        return False


def wait_until(is_so: Callable[[], bool], seconds: float) -> None:
    """Until it is so."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def running_in(folder: Path) -> list[psutil.Process]:
    """Processes that have to do with this folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in word for word in process.info["cmdline"] or ()):
            found.append(process)
    return found


def asterisk_of(folder: Path) -> psutil.Process:
    """Its private Asterisk."""
    (found,) = [process for process in running_in(folder) if "asterisk.conf" in " ".join(process.cmdline())]
    return found


def assert_nothing_is_left(folder: Path, port: int) -> None:
    """No process, no port."""
    assert [process.cmdline() for process in running_in(folder)] == []
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def test_unattended_it_prints_one_json_object_and_leaves_nothing(
    founded: tuple[Path, subprocess.CompletedProcess[str], int],
) -> None:
    """Calls were placed and answered, pops came before their rings, nothing is missing, doubled, wrong, stuck or left."""
    folder, done, port = founded
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert {key: set(value) if isinstance(value, dict) else int for key, value in found.items()} == {
        "calls": {"placed", "answered", "abandoned", "ivr_only", "failed"},
        "cel": {"linkedids", "missing_contacts", "duplicate_contacts", "wrong_outcomes"},
        "pops": {"shown", "before_ring", "lead_ms"},
        "stuck_agents": int,
        "left_channels": int,
    }
    assert set(found["pops"]["lead_ms"]) == {"p50", "p95", "p99"}
    calls, cel = found["calls"], found["cel"]
    assert calls["answered"] >= 1
    assert calls["failed"] == 0
    assert calls["placed"] == cel["linkedids"] == calls["answered"] + calls["abandoned"] + calls["ivr_only"]
    assert (cel["missing_contacts"], cel["duplicate_contacts"], cel["wrong_outcomes"]) == (0, 0, 0)
    assert (found["stuck_agents"], found["left_channels"]) == (0, 0)
    assert 1 <= found["pops"]["before_ring"] <= found["pops"]["shown"]
    assert found["pops"]["lead_ms"]["p50"] > 0
    assert_nothing_is_left(folder, port)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_second_start_takes_seconds_and_a_signal_ends_everything(folder: Path, number: signal.Signals) -> None:
    """Ctrl-C, a service's stop, a terminal that is closed: Asterisk, daemon and ports are gone, and the status is 0."""
    port = free_port()
    with demo(folder, port) as process:
        assert sum(psutil.Process(process.pid).cpu_times()[:4]) < STARTS_S
        assert (folder / "offhook.sock").is_socket()
        process.send_signal(number)
        assert process.wait(45) == 0
    assert "ann-demo" in (folder.parent / "printed").read_text()
    assert_nothing_is_left(folder, port)


def test_a_busy_port_is_a_clear_message(folder: Path) -> None:
    """Which port, and how to choose another; the status is not 0, and nothing was started."""
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        port = squatter.getsockname()[1]
        done = subprocess.run(command(folder, port), capture_output=True, text=True, timeout=30, check=False, cwd=ROOT)
    assert done.returncode not in (0, None)
    said = " ".join(done.stderr.split())
    assert str(port) in said
    assert "--port" in said
    assert "Traceback" not in said
    assert running_in(folder) == []


def test_a_demo_that_was_killed_is_no_obstacle(folder: Path) -> None:
    """kill -9 leaves an Asterisk behind; the next demo on the folder ends it, works, and leaves nothing itself."""
    first, second = free_port(), free_port()
    with demo(folder, first) as process:
        left = asterisk_of(folder)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert left.is_running()
    with demo(folder, second) as process:
        assert not psutil.pid_exists(left.pid) or left.status() == psutil.STATUS_ZOMBIE
        assert asterisk_of(folder).pid != left.pid
        process.send_signal(signal.SIGINT)
        assert process.wait(45) == 0
    assert_nothing_is_left(folder, second)


def test_two_demos_never_share_a_folder(folder: Path) -> None:
    """The second is told; the first goes on undisturbed."""
    port = free_port()
    with demo(folder, port) as process:
        asterisk = asterisk_of(folder).pid
        done = subprocess.run(
            command(folder, free_port()), capture_output=True, text=True, timeout=30, check=False, cwd=ROOT
        )
        assert done.returncode == 1
        assert "a demo already runs in" in " ".join(done.stderr.split())
        assert is_ready(port)
        assert asterisk_of(folder).pid == asterisk
        process.send_signal(signal.SIGINT)
        assert process.wait(45) == 0


def test_a_folder_of_something_else_is_never_touched(tmp_path: Path) -> None:
    """A demo told to live in somebody's home makes nothing there."""
    (tmp_path / "thesis.tex").write_text("precious")
    done = subprocess.run(
        command(tmp_path, free_port()), capture_output=True, text=True, timeout=30, check=False, cwd=ROOT
    )
    assert done.returncode == 1
    assert "holds something else" in " ".join(done.stderr.split())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_it_is_a_real_installation(folder: Path) -> None:
    """Every command works on it, also after the demo has ended."""
    config = str(folder / "offhook.toml")

    def offhook(*words: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "cti.cli", *words, "--config", config]
        return subprocess.run(program, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)

    assert "ann" in offhook("users", "list").stdout
    assert offhook("call", "audit").returncode == 0
    assert offhook("pbx", "print-config").returncode == 0
