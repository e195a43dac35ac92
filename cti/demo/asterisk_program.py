"""Which Asterisk the private one runs, and which programs speak its prompts.

One that is on PATH and recent enough is used; otherwise Debian's or Ubuntu's is unpacked into the cache beside the system.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cti.demo.extract import extract, program
from cti.errors import Unavailable

OLDEST = 18

_PACKAGES = ("asterisk", "asterisk-core-sounds-en-gsm", "asterisk-moh-opsound-gsm")
_SPEECH_PACKAGES = ("espeak-ng", "sox")


@dataclass(frozen=True, slots=True)
class AsteriskProgram:
    """How to run an Asterisk and where its parts lie."""

    command: tuple[str, ...]
    version: str
    modules_dir: Path
    data_dir: Path
    sounds_dir: Path  # English prompts
    moh_dir: Path


def find_or_install(cache_dir: Path | None = None, say: Callable[[str], None] = print) -> AsteriskProgram:
    """An Asterisk of 18 or later: the one on PATH, else one unpacked into the cache.

    Raises Unavailable, saying what to do, when neither can be had.
    """
    installed = _on_path(say)
    return installed or extracted(cache_dir, say)


def extracted(cache_dir: Path | None = None, say: Callable[[str], None] = print) -> AsteriskProgram:
    """The Asterisk unpacked into the cache, whatever is on PATH; unpacked at the first call."""
    root = extract("asterisk", _PACKAGES, cache_dir, say)
    command = program(root, "usr/sbin/asterisk")
    modules = sorted(root.glob("usr/lib/**/asterisk/modules"))
    found = _described(command, modules, [root / "usr/share/asterisk"])
    if found is None:
        raise Unavailable("Asterisk", f"the one unpacked in {root} is not whole; delete that folder and try again")
    return found


def speech_commands(
    asterisk: AsteriskProgram, cache_dir: Path | None = None, say: Callable[[str], None] = print
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The commands of espeak-ng and sox: from PATH, else unpacked beside `asterisk`."""
    espeak, sox = shutil.which("espeak-ng"), shutil.which("sox")
    if espeak and sox:
        return (espeak,), (sox,)
    return extracted_speech(cache_dir, say)


def extracted_speech(
    cache_dir: Path | None = None, say: Callable[[str], None] = print
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The commands of espeak-ng and sox unpacked into the cache, whatever is on PATH."""
    root = extract("speech", _SPEECH_PACKAGES, cache_dir, say)
    voices = sorted(root.glob("usr/**/espeak-ng-data"))
    if not voices:
        raise Unavailable("espeak-ng", f"its voices are not in {root}; delete that folder and try again")
    espeak = (*program(root, "usr/bin/espeak-ng"), f"--path={voices[0].parent}")
    return espeak, program(root, "usr/bin/sox")


def _on_path(say: Callable[[str], None]) -> AsteriskProgram | None:
    path = shutil.which("asterisk") or shutil.which("asterisk", path="/usr/sbin:/usr/local/sbin")
    if path is None:
        return None
    modules = _configured("astmoddir") + sorted(Path("/usr").glob("lib*/**/asterisk/modules"))
    data = [*_configured("astdatadir"), Path("/usr/share/asterisk"), Path("/var/lib/asterisk")]
    found = _described((path,), modules, data)
    if found is None:
        say(f"The asterisk on PATH ({path}) is older than {OLDEST} or not whole; using one of our own")
    return found


def _described(command: tuple[str, ...], modules: Sequence[Path], data: Sequence[Path]) -> AsteriskProgram | None:
    """The program with its folders, or None when it is too old or a part is missing."""
    told = subprocess.run([*command, "-V"], capture_output=True, text=True, check=False).stdout
    number = re.search(r"Asterisk (?:certified/)?(\d+)[\w.]*", told)
    modules_dir = next((path for path in modules if (path / "chan_pjsip.so").is_file()), None)
    data_dir = next((path for path in data if (path / "documentation").is_dir()), None)
    sounds = next((path for folder in data for path in _english(folder)), None)
    music = next((folder / "moh" for folder in data if any((folder / "moh").glob("*.*"))), None)
    if not (number and int(number[1]) >= OLDEST and modules_dir and data_dir and sounds and music):
        return None
    return AsteriskProgram(command, number[0].removeprefix("Asterisk "), modules_dir, data_dir, sounds, music)


def _english(data_dir: Path) -> list[Path]:
    """Folders of English prompts, the one Asterisk itself would take first."""
    folders = sorted((data_dir / "sounds").glob("en*"), key=lambda path: (len(path.name), path.name))
    return [folder for folder in folders if any(folder.glob("vm-goodbye.*"))]


def _configured(key: str) -> list[Path]:
    """The folder the system's own asterisk.conf names for `key`."""
    try:
        text = Path("/etc/asterisk/asterisk.conf").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    match = re.search(rf"^\s*{key}\s*=>?\s*(\S+)", text, re.MULTILINE)
    return [Path(match[1])] if match else []
