"""Fixtures for tests against the real Asterisk: a private one with two SIP phones and two demo phones."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cti.demo.lab import PHONE_ADDRESS, AsteriskProgram, Lab, LabPhone, LabPorts, find_or_install
from tests.pbx.ami_probe import AmiProbe
from tests.pbx.house import House, found_template
from tests.pbx.scripted_daemon import ScriptedDaemon
from tests.pbx.sipp import free_port, require_sipp

AGI_TOKEN = "lab-token"


@pytest.fixture(scope="session")
def asterisk_program() -> AsteriskProgram:
    """The Asterisk the tests run; found once."""
    return find_or_install()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation without its addresses, made once."""
    return found_template(tmp_path_factory.mktemp("template") / "house")


@pytest.fixture
def found_house(asterisk_program: AsteriskProgram, template: Path, tmp_path: Path) -> Iterator[Callable[[int], House]]:
    """Found a fresh, running installation whose waiting callers come by the daemon every so many seconds."""
    require_sipp()
    with ExitStack() as houses:
        yield lambda music_s: houses.enter_context(House(asterisk_program, template, tmp_path / "house", music_s))


@pytest.fixture
def house(found_house: Callable[[int], House]) -> House:
    """A fresh installation, running; waiting callers come by every 2 s."""
    return found_house(2)


@pytest.fixture
def daemon() -> Iterator[ScriptedDaemon]:
    """What the lab's dialplan asks."""
    with ScriptedDaemon() as scripted:
        yield scripted


@pytest.fixture
def phone_ports() -> dict[str, int]:
    """Where the lab expects its SIP phones, by name."""
    return {name: free_port(PHONE_ADDRESS) for name in ("a1", "a2")}


@pytest.fixture
def lab(
    asterisk_program: AsteriskProgram, tmp_path: Path, daemon: ScriptedDaemon, phone_ports: dict[str, int]
) -> Iterator[Lab]:
    """A fresh private Asterisk whose dialplan asks `daemon`; callers come by it again every 2 s."""
    require_sipp()
    phones = [LabPhone(name, f"sip:{name}@{PHONE_ADDRESS}:{port}") for name, port in phone_ports.items()]
    phones += [LabPhone("ann"), LabPhone("bob")]
    lab = Lab(asterisk_program, tmp_path / "lab", LabPorts.free(), daemon.port, AGI_TOKEN, phones, music_s=2)
    lab.start()
    try:
        yield lab
    finally:
        lab.stop()


@pytest.fixture
def ami(lab: Lab) -> Iterator[AmiProbe]:
    """A witness on the lab's manager interface."""
    with AmiProbe(lab) as probe:
        yield probe
