"""A private PostgreSQL for the tests: its own data folder, loopback, a free port; gone when the tests are.

The programs come from PATH or from Debian's /usr/lib/postgresql/*/bin (apt install postgresql). PostgreSQL refuses to run
as root; as root the server is run by the user `postgres` or `nobody`.
"""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

START_S = 30.0


def find_programs() -> Path | None:
    """The folder of `initdb` and `postgres`, newest version first; None when there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    for folder in ([Path(on_path).resolve().parent] if on_path else []) + found:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    return None


def _user() -> tuple[list[str], str]:
    """How to run the programs, and as whom."""
    if os.geteuid() != 0:
        return [], pwd.getpwuid(os.geteuid()).pw_name
    names = {entry.pw_name for entry in pwd.getpwall()}
    name = "postgres" if "postgres" in names else "nobody"
    return ["runuser", "-u", name, "--"], name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PrivatePostgres:
    """One server; `new_database()` gives the URL of a fresh database in it."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._runner, user = _user()
        if self._runner:
            shutil.chown(folder, user)
        self.port = _free_port()
        self._log = (folder / "server.log").open("wb")
        self._run("initdb", "-D", str(folder / "data"), "-U", "offhook", "-A", "trust", "-E", "UTF8", "--no-sync")
        self._server: subprocess.Popen[bytes] | None = None

    def _run(self, program: str, *arguments: str) -> str:
        command = [*self._runner, str(self._programs / program), *arguments]
        made = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, timeout=120)
        if made.returncode != 0:
            raise RuntimeError(f"{program}: {made.stderr}")
        return made.stdout

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command = [*self._runner, str(self._programs / "postgres"), "-D", str(self._folder / "data")]
        for setting in ("listen_addresses=127.0.0.1", f"port={self.port}", f"unix_socket_directories={self._folder}"):
            command += ["-c", setting]
        self._server = subprocess.Popen(command, cwd=self._folder, stdout=self._log, stderr=self._log)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._server.poll() is None:
            with contextlib.suppress(RuntimeError):
                self._psql("SELECT 1")
                return
            time.sleep(0.1)
        raise RuntimeError((self._folder / "server.log").read_text())

    def stop(self) -> None:
        """Stop the server at once, cutting its connections."""
        if self._server is not None:
            self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "fast", "-w", "stop")
            self._server.wait(START_S)
            self._server = None

    def close(self) -> None:
        """Stop the server and let go of its log."""
        self.stop()
        self._log.close()

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"t{uuid.uuid4().hex}"
        self._psql(f"CREATE DATABASE {name}")
        return f"postgresql://offhook@127.0.0.1:{self.port}/{name}"

    def _psql(self, statement: str) -> None:
        self._run("psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "offhook", "-d", "postgres", "-c", statement)


@contextlib.contextmanager
def private_postgres() -> Iterator[PrivatePostgres]:
    """A running server. Skips the test where the programs are missing."""
    programs = find_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server program on this machine (apt install postgresql)")
    # Not pytest's own folder: the other user may not walk into it.
    folder = Path(tempfile.mkdtemp(prefix="offhook-pg-"))
    server = PrivatePostgres(programs, folder)
    try:
        server.start()
        yield server
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PrivatePostgres]:
    """One private PostgreSQL for all tests of the session."""
    with private_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, once on each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'offhook.db'}"
    server: PrivatePostgres = request.getfixturevalue("postgres")
    return server.new_database()
