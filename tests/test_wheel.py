"""The wheel as a stranger installs it, in an empty environment, without Node, beside pyst2: it serves and passes the doctor."""

import json
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from cti.demo.lab import Lab, LabPhone, LabPorts, find_or_install, speech_commands

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[1]
PACKAGES = {"cti", "ivr", "acd", "customers", "screenpop", "voc", "agent_console"}


@dataclass(frozen=True)
class Built:
    """What `python -m build` made."""

    wheel: Path
    sdist: Path


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel and pyst2 in it and nothing else; only its own programs are on PATH."""

    folder: Path

    def run(self, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, away from the checkout."""
        return subprocess.run(
            [str(self.folder / "bin" / words[0]), *words[1:]], capture_output=True, text=True, timeout=120, check=False,
            cwd=cwd or self.folder, env=self.environment,
        )  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        """No Node, no checkout, no settings of ours."""
        return {"PATH": str(self.folder / "bin"), "HOME": str(self.folder)}

    def python(self, code: str) -> str:
        """What the code prints."""
        done = self.run("python", "-c", code)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """An sdist of the checkout, and a wheel made from that sdist."""
    assert (ROOT / "agent_console/static/index.html").is_file(), "the pages are not built: run `make console`"
    out = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)],
        capture_output=True, text=True, timeout=300, check=False, cwd=out,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return Built(wheel, sdist)


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """pyst2 first, so that a wheel which wrote over its package would be seen."""
    folder = tmp_path_factory.mktemp("empty") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--disable-pip-version-check"]
    if shutil.which("uv"):
        pip = ["uv", "pip", "install", "-q", "--python", python]
    for what in ("pyst2", str(built.wheel)):
        done = subprocess.run([*pip, what], capture_output=True, text=True, timeout=400, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
    return Installed(folder)


def test_both_carry_the_pages_and_the_data_folders(built: Built) -> None:
    """Built pages, config/ and asterisk/ are in the wheel and in the sdist; node_modules, databases and runs are in neither."""
    wheel = zipfile.ZipFile(built.wheel).namelist()
    with tarfile.open(built.sdist) as archive:
        sdist = [name.split("/", 1)[1] for name in archive.getnames() if "/" in name]
    for names in (wheel, sdist):
        assert "agent_console/static/index.html" in names
        assert any(re.fullmatch(r"agent_console/static/assets/.*\.js", name) for name in names)
        assert not any(re.search(r"node_modules|\.run/|\.venv|\.db$|__pycache__", name) for name in names)
        for file in ("config/offhook.toml", "config/flows/default.yaml", "asterisk/lab/pjsip.conf"):
            assert any(name.endswith(file) for name in names), file
    assert {"LICENSE", "README.md", "Makefile", "tests/test_wheel.py"} <= set(sdist)
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if ".dist-info" not in top and ".data" not in top} == PACKAGES


def test_an_installed_wheel_is_whole(installed: Installed, tmp_path: Path) -> None:
    """No name of ours but the packages can be imported, pyst2 is as it was, and the data folders are found."""
    spec = "import importlib.util as u; print([n for n in {names!r} if u.find_spec(n) is None])"
    assert installed.python(spec.format(names=["config", "tests", "bench", "docs", "scripts"])) == str(
        ["config", "tests", "bench", "docs", "scripts"]
    )
    assert installed.python("import asterisk, asterisk.manager as m; print(m.Manager.__name__)") == "Manager"
    owners = "from importlib.metadata import packages_distributions as p; print(p()['asterisk'])"
    assert installed.python(owners) == "['pyst2']"
    assert installed.python("import cti.settings, ivr.service, acd.service, voc.service; print('all')") == "all"
    assert installed.run("offhook", "--version").stdout.strip() == "0.1.0"
    written = installed.run("offhook", "init", str(tmp_path / "house"))
    assert written.returncode == 0, written.stderr
    config = ("--config", str(tmp_path / "house" / "offhook.toml"))
    assert installed.run("offhook", "pbx", "print-config", "--write", str(tmp_path / "pbx"), *config).returncode == 0
    assert (tmp_path / "pbx" / "extensions-offhook.conf").is_file()
    assert installed.run("offhook", "users", "list", *config).returncode == 0


def test_it_serves_the_console_and_passes_the_doctor(installed: Installed, tmp_path: Path) -> None:
    """Pages and all they load come from the wheel alone, and `offhook check` against an Asterisk finds nothing wrong."""
    house = tmp_path / "house"
    assert installed.run("offhook", "init", str(house)).returncode == 0
    with lab_for(house, tmp_path / "asterisk") as console, daemon(installed, house, console) as base:
        page = httpx.get(base)
        assert page.headers["content-type"].startswith("text/html")
        loaded = re.findall(r'(?:src|href)="(/[^"]+)"', page.text)
        assert any(path.endswith(".js") for path in loaded)
        assert any(path.endswith(".css") for path in loaded)
        for path in loaded:
            answer = httpx.get(base + path)
            assert (answer.status_code, bool(answer.content)) == (200, True), path
        done = installed.run("offhook", "check", "--json", "--config", str(house / "offhook.toml"))
        said = json.loads(done.stdout)
        assert [each for each in said if each["grade"] == "wrong"] == []
        assert done.returncode == 0
        assert {each["what"] for each in said if each["grade"] == "good"} >= {
            "import names",
            "AMI login",
            "AGI",
            "console",
        }


@contextmanager
def lab_for(house: Path, folder: Path) -> Iterator[int]:
    """An Asterisk for this installation, as print-config would set one up; the console's port."""
    program = find_or_install()
    espeak, sox = speech_commands(program)
    agi, console = free_port(), free_port()
    token = (house / "agi.token").read_text().strip()
    lab = Lab(program, folder, LabPorts.free(), agi, token, [LabPhone(name) for name in ("ann", "bob", "cat")])
    lab.ami_secret = (house / "ami.secret").read_text().strip()
    text = (house / "offhook.toml").read_text()
    for section, line in (
        ("pbx", f"port = {lab.ports.ami}"), ("agi", f"port = {agi}"), ("console", f"port = {console}"),
        ("cel", f'csv = "{lab.cel_csv}"'),
    ):  # fmt: skip
        text = re.sub(rf"^\[{section}\].*$", f"[{section}]\n{line}", text, flags=re.MULTILINE)
    text += f"\n[speech]\nespeak = {json.dumps(espeak)}\nsox = {json.dumps(sox)}\n"
    (house / "offhook.toml").write_text(text)
    lab.start()
    try:
        yield console
    finally:
        lab.stop()


@contextmanager
def daemon(installed: Installed, house: Path, port: int) -> Iterator[str]:
    """`offhook run` of the installed wheel, ready; its address."""
    log = house / "daemon.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(installed.folder / "bin" / "offhook"), "run"],
            stdout=out,
            stderr=out,
            cwd=house,
            env=installed.environment,
        )
    try:
        deadline = time.monotonic() + 60
        while not is_ready(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def is_ready(port: int) -> bool:
    """What /readyz says."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2.0).status_code == 200
    except httpx.HTTPError:
        return False


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
