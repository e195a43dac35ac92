"""The private Asterisk: it boots, gives its manager user no more than it needs, and leaves nothing behind."""

import os
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from cti.demo.apt_sources import find_origin
from cti.demo.asterisk_program import extracted, extracted_speech
from cti.demo.lab import AsteriskProgram, Lab, LabPhone, LabPorts
from cti.errors import Unavailable
from cti.print_config import render
from cti.settings import Settings
from tests.pbx.ami_probe import AmiProbe
from tests.pbx.conftest import AGI_TOKEN
from tests.pbx.sipp import wait_until

pytestmark = pytest.mark.pbx


def _bare_lab(program: AsteriskProgram, run_dir: Path, ports: LabPorts | None = None) -> Lab:
    return Lab(program, run_dir, ports or LabPorts.free(), 1, AGI_TOKEN, [LabPhone("ann")])


def test_boots_in_seconds_and_leaves_no_process(asterisk_program: AsteriskProgram, tmp_path: Path) -> None:
    """`start` returns with the manager interface ready; after `stop` or `kill` no process is there."""
    lab = _bare_lab(asterisk_program, tmp_path)
    try:
        began = time.monotonic()
        lab.start()
        assert time.monotonic() - began < 20
        first = lab.pid
        with AmiProbe(lab) as ami:
            ami.wait_for("FullyBooted")
        lab.stop()
        lab.start()
        second = lab.pid
        lab.kill()
    finally:
        lab.stop()
    assert first is not None
    assert second is not None
    assert first != second
    assert not psutil.pid_exists(first)
    assert not psutil.pid_exists(second)
    assert lab.pid is None


def test_two_labs_side_by_side(asterisk_program: AsteriskProgram, tmp_path: Path) -> None:
    """Any number of labs run at once."""
    labs = [_bare_lab(asterisk_program, tmp_path / name) for name in ("one", "two")]
    try:
        for lab in labs:
            lab.start()
        assert len({lab.pid for lab in labs}) == 2
    finally:
        for lab in labs:
            lab.stop()


def test_a_busy_port_is_a_clear_message(asterisk_program: AsteriskProgram, tmp_path: Path) -> None:
    """A second lab on the same ports says so, naming its log, and leaves nothing running."""
    first = _bare_lab(asterisk_program, tmp_path / "one")
    first.start()
    second = _bare_lab(asterisk_program, tmp_path / "two", first.ports)
    try:
        with pytest.raises(Unavailable, match=r"in use") as caught:
            second.start()
        assert str(second.log_file) in str(caught.value)
        assert second.pid is None
    finally:
        first.stop()


def test_the_manager_user_has_the_minimum(lab: Lab, ami: AmiProbe) -> None:
    """Calls and reports are allowed; running commands, reloading and changing configuration are not."""
    assert ami.ask(Action="CoreStatus")["Response"] == "Success"
    assert ami.ask(Action="Ping")["Response"] == "Success"
    assert ami.ask(Action="CoreShowChannels")["Response"] == "Success"
    assert ami.ask(Action="Status")["Response"] == "Success"
    for action in ("Command", "Reload", "UpdateConfig", "MixMonitor", "DBPut"):
        answer = ami.ask(Action=action, Command="core show uptime")
        assert (answer["Response"], answer["Message"]) == ("Error", "Permission denied"), action


def test_a_manager_login_from_elsewhere_is_refused(lab: Lab) -> None:
    """A wrong secret gets no session."""
    lab.ami_secret, right = "wrong", lab.ami_secret
    with pytest.raises(AssertionError, match="Authentication failed"):
        AmiProbe(lab)
    lab.ami_secret = right
    AmiProbe(lab).close()


def test_a_frozen_lab_answers_nobody_until_it_thaws(lab: Lab, ami: AmiProbe) -> None:
    """SIGSTOP and SIGCONT, for tests of links that die silently."""
    lab.freeze()
    process = psutil.Process(lab.pid)
    assert wait_until(lambda: process.status() == psutil.STATUS_STOPPED or None, 5)
    lab.thaw()
    assert ami.ask(Action="Ping")["Response"] == "Success"


def test_the_unpacked_programs_run_beside_the_system(tmp_path: Path) -> None:
    """Asterisk, espeak-ng and sox run from the cache, whatever is installed; the second time without a word."""
    said: list[str] = []
    program = extracted(say=said.append)
    version = subprocess.run([*program.command, "-V"], capture_output=True, text=True, check=True).stdout
    assert version.startswith("Asterisk ")
    espeak, sox = extracted_speech(say=said.append)
    spoken, converted = tmp_path / "spoken.wav", tmp_path / "converted.wav"
    subprocess.run([*espeak, "-w", str(spoken), "Please hold the line"], check=True)
    subprocess.run([*sox, str(spoken), "-r", "8000", "-c", "1", "-b", "16", str(converted)], check=True)
    assert converted.stat().st_size > 8000
    said.clear()
    extracted(say=said.append)
    assert said == []


def test_what_cannot_be_fetched_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without apt-get the error says what to do, and the cache holds no half-made folder."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="install Asterisk 18 or later"):
        extracted(tmp_path / "cache", lambda word: None)
    assert [entry.name for entry in (tmp_path / "cache").iterdir() if not entry.name.endswith(".lock")] == []


@pytest.mark.parametrize("kind", ["list", "sources"])
def test_the_mirror_is_the_machines_own(tmp_path: Path, kind: str) -> None:
    """Both forms of apt's configuration are read; security archives are passed over; the key comes along."""
    apt = tmp_path / "apt" / "sources.list.d"
    apt.mkdir(parents=True)
    (tmp_path / "os-release").write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
    if kind == "list":
        text = (
            "deb cdrom:[x]/ bookworm main\ndeb http://security.invalid/x bookworm-security main\n"
            "deb [arch=amd64 signed-by=/k.gpg] http://mirror.invalid/debian bookworm main contrib # ours\n"
        )
    else:
        text = (
            "Types: deb\nURIs: http://security.invalid/x\nSuites: bookworm-security\nComponents: main\n\n"
            "# ours\nTypes: deb deb-src\nURIs: http://mirror.invalid/debian\nSuites: bookworm bookworm-updates\n"
            "Components: main\nSigned-By: /k.gpg\n"
        )
    (apt / f"debian.{kind}").write_text(text)
    origin = find_origin(tmp_path)
    assert (origin.uri, origin.suite, origin.signed_by) == ("http://mirror.invalid/debian", "sid", "/k.gpg")
    assert "Signed-By: /k.gpg\n" in origin.sources_text()


def test_ubuntu_uses_its_own_release(tmp_path: Path) -> None:
    """Ubuntu has Asterisk in universe; a key written into the file itself is kept whole."""
    apt = tmp_path / "apt" / "sources.list.d"
    apt.mkdir(parents=True)
    (tmp_path / "os-release").write_text("ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\nUBUNTU_CODENAME=noble\n")
    (apt / "ubuntu.sources").write_text(
        "Types: deb\nURIs: http://mirror.invalid/ubuntu\nSuites: noble noble-updates\nComponents: main universe\n"
        "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc=\n -----END PGP PUBLIC KEY BLOCK-----\n"
    )
    origin = find_origin(tmp_path)
    assert (origin.suite, origin.components) == ("noble", "main universe")
    assert "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc=\n" in origin.sources_text()


def test_other_systems_are_told_what_to_do(tmp_path: Path) -> None:
    """Neither Debian nor Ubuntu: install it yourself."""
    (tmp_path / "os-release").write_text("ID=fedora\n")
    with pytest.raises(Unavailable, match="install Asterisk 18 or later"):
        find_origin(tmp_path)


def test_the_printed_configuration_carries_the_operators_names() -> None:
    """Every placeholder is filled with the operator's own names and ports, the dialplan's variables stay."""
    settings = Settings.model_validate(
        {
            "agi": {"host": "192.0.2.7", "port": 4999, "token": "t0ken"},
            "pbx": {"user": "desk", "secret": "s3cret", "pick_context": "pick-here"},
        }
    )
    files = render(settings)
    assert "AGI(agi://192.0.2.7:4999/t0ken/inbound,${CHANNEL(linkedid)})" in files["extensions-offhook.conf"]
    assert "[pick-here]" in files["extensions-offhook.conf"]
    assert "[desk]\nsecret = s3cret\n" in files["manager-offhook.conf"]
    assert "permit = 192.0.2.7/255.255.255.255" in files["manager-offhook.conf"]
    assert not any("%%" in text for text in files.values())
    assert {"cel-offhook.conf", "cel_custom-offhook.conf", "queues-offhook.conf", "freepbx.md"} <= set(files)


def test_the_run_folder_keeps_the_secret_to_itself(lab: Lab) -> None:
    """Files with the manager secret and the AGI token are the user's alone."""
    for name in ("manager-offhook.conf", "extensions-offhook.conf"):
        assert os.stat(lab.run_dir / "etc" / name).st_mode & 0o077 == 0
