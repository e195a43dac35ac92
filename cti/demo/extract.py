"""Debian packages unpacked into a folder of our own, beside the system and without root.

Uses apt-get and dpkg-deb with a private configuration: the machine's own mirror, proxy and keys, but its own package
lists and an empty record of what is installed. Signatures stay checked; the system is neither read beyond apt's own
configuration nor written to. It knows nothing of Asterisk.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cti.demo.apt_sources import Origin, find_origin
from cti.errors import Unavailable

Say = Callable[[str], None]

# The shape of what we keep; a new number leaves old folders alone and makes new ones.
_LAYOUT = 1

_APT_CONF = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Pre-Install-Pkgs;
#clear DPkg::Post-Invoke;
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{work}/sources.list.d";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "-";
Dir::State "{work}/state";
Dir::State::status "{work}/status";
Dir::Cache "{work}/cache";
Dir::Log "{work}/log";
APT::Install-Recommends "false";
APT::Sandbox::User "";
APT::Status-Fd "1";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
Acquire::Retries "3";
Debug::NoLocking "1";
"""


def cache_home() -> Path:
    """Where unpacked programs are kept between runs: `$XDG_CACHE_HOME/offhook`, or `~/.cache/offhook`."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(configured) if configured.startswith("/") else Path.home() / ".cache") / "offhook"


def extract(name: str, packages: Sequence[str], cache_dir: Path | None = None, say: Say = print) -> Path:
    """The folder in which `packages` and all they depend on lie unpacked; made at the first call, found at later ones.

    `name` is the folder's name in the cache. The folder appears whole or not at all; of several processes asking at once
    one does the work and the others wait. Raises Unavailable, saying what to do, when it can't be had.
    """
    origin = find_origin()
    home = cache_dir or cache_home()
    root = home / f"{name}-{origin.suite}-{_LAYOUT}"
    if root.is_dir():
        return root
    home.mkdir(parents=True, exist_ok=True)
    with _only_one(home / f".{root.name}.lock", lambda: say(f"Waiting for another Offhook that is fetching {name}")):
        if root.is_dir():
            return root
        for leftover in home.glob(f".{root.name}.new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=f".{root.name}.new-", dir=home))
        try:
            _fill(work, origin, name, packages, say)
            (work / "root").rename(root)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return root


def program(root: Path, binary: str) -> tuple[str, ...]:
    """The command that runs `binary` (`usr/sbin/asterisk`) of an extracted folder with that folder's own C library."""
    loaders = sorted(root.glob("usr/lib*/**/ld-linux*.so.*")) + sorted(root.glob("lib*/**/ld-linux*.so.*"))
    if not loaders or not (root / binary).exists():
        raise Unavailable(binary, f"it is not in {root}; delete that folder and try again")
    return (str(loaders[0]), "--library-path", ":".join(library_dirs(root)), str(root / binary))


def library_dirs(root: Path) -> list[str]:
    """The folders of an extracted tree in which shared libraries lie."""
    patterns = ("usr/lib/*-linux-gnu*", "usr/lib/*-linux-gnu*/*", "lib/*-linux-gnu*", "usr/lib", "lib")
    found = [path for pattern in patterns for path in sorted(root.glob(pattern)) if path.is_dir()]
    return [str(path) for path in found if any(path.glob("lib*.so*"))]


def _fill(work: Path, origin: Origin, name: str, packages: Sequence[str], say: Say) -> None:
    """Fetch and unpack into `work`/root."""
    for folder in ("state/lists/partial", "cache/archives/partial", "log", "root", "sources.list.d"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()
    (work / "sources.list.d/offhook.sources").write_text(origin.sources_text(), encoding="utf-8")
    (work / "apt.conf").write_text(_APT_CONF.format(work=work), encoding="utf-8")
    say(f"Fetching the package list of {origin.suite}")
    _apt(work, ["update"], lambda percent: None)
    say(f"Downloading {name} and what it depends on")
    _apt(work, ["install", "--download-only", "-y", *packages], lambda percent: say(f"Downloading {name}: {percent} %"))
    archives = sorted((work / "cache/archives").glob("*.deb"))
    for done, archive in enumerate(archives, 1):
        if done % 40 == 1 or done == len(archives):
            say(f"Unpacking {name}: {done} of {len(archives)} packages")
        _run(["dpkg-deb", "-x", str(archive), str(work / "root")])


def _apt(work: Path, arguments: Sequence[str], tell: Callable[[int], None]) -> None:
    """Run apt-get with our private configuration; `tell` hears every tenth percent downloaded."""
    command = ["apt-get", "-q", "-c", str(work / "apt.conf"), *arguments]
    output: list[str] = []
    told = 0
    try:
        apt = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=_environment(),
        )
    except FileNotFoundError as exc:
        raise _missing("apt-get") from exc
    with apt:
        try:
            for line in apt.stdout or ():
                if not line.startswith("dlstatus:"):
                    output.append(line)
                elif (percent := int(float(line.split(":")[2])) // 10 * 10) > told:
                    told = percent
                    tell(percent)
        except BaseException:
            apt.terminate()
            raise
    # A mirror that can't be reached is only a warning to `apt-get update`.
    if apt.returncode or any(line.startswith(("E:", "Err:", "W: Failed")) for line in output):
        why = "".join(line for line in output if line.startswith(("E:", "W:", "Err:"))) or "".join(output[-10:])
        raise Unavailable("the package mirror", f"`apt-get {arguments[0]}` said:\n{why}\n{_advice()}")


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except FileNotFoundError as exc:
        raise _missing(command[0]) from exc
    if done.returncode:
        raise Unavailable(command[0], f"`{' '.join(command)}` said: {done.stderr.strip()}")


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}


def _missing(program_name: str) -> Unavailable:
    return Unavailable(program_name, f"it is not on PATH, and without it nothing can be fetched. {_advice()}")


def _advice() -> str:
    return (
        "Check the network and `apt-get update`, or install Asterisk 18 or later (and espeak-ng and sox) "
        "so that they are on PATH; then nothing needs to be fetched."
    )


@contextmanager
def _only_one(lock: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a file lock; the kernel lets go of it when we die."""
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
