"""`offhook check` on a real Asterisk: silent about a sound installation, and right about every way to spoil one."""

import json
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cti.demo.lab import TRUNK_CONTEXTS, AsteriskProgram, Lab, LabPhone, LabPorts, speech_commands
from cti.finding import Grade
from cti.init import write_configuration
from tests.pbx.house import House, found_template, offhook
from tests.pbx.installation import TOKEN, Installation
from tests.pbx.sipp import free_port

pytestmark = pytest.mark.pbx


@pytest.fixture(scope="module")
def doctors_lab(asterisk_program: AsteriskProgram, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One Asterisk for all of them."""
    phones = [LabPhone(name) for name in ("ann", "bob", "cat")]
    folder = tmp_path_factory.mktemp("doctor") / "asterisk"
    lab = Lab(asterisk_program, folder, LabPorts.free(), free_port("127.0.0.1"), TOKEN, phones)
    lab.start()
    try:
        yield lab
    finally:
        lab.stop()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `offhook init` writes."""
    folder = tmp_path_factory.mktemp("template") / "house"
    write_configuration(folder)
    return folder


@pytest.fixture
def installation(doctors_lab: Lab, template: Path, tmp_path: Path) -> Installation:
    """A sound one; the daemon does not run."""
    folder = tmp_path / "house"
    shutil.copytree(template, folder)
    (folder / "ami.secret").write_text(doctors_lab.ami_secret + "\n")
    (folder / "agi.token").write_text(TOKEN + "\n")
    agi_port = int(doctors_lab._agi_url.split(":")[2].split("/")[0])
    espeak, sox = speech_commands(doctors_lab.program)
    doctors_lab.cel_csv.touch()
    (folder / "offhook.toml").write_text(
        f"""[pbx]
port = {doctors_lab.ports.ami}
secret_file = "ami.secret"
trunk_contexts = {json.dumps(TRUNK_CONTEXTS)}
action_timeout_s = 2.0
[agi]
port = {agi_port}
token_file = "agi.token"
[console]
port = {free_port("127.0.0.1")}
[cel]
csv = "{doctors_lab.cel_csv}"
[speech]
espeak = {json.dumps(espeak)}
sox = {json.dumps(sox)}
"""
    )
    return Installation(folder, doctors_lab, agi_port)


def test_a_sound_installation_is_good_without_a_daemon(installation: Installation) -> None:
    """Nothing to mend; the doctor stands in for the daemon when the dialplan calls."""
    results = installation.check()
    assert [result for result in results if result.grade is not Grade.GOOD] == []
    assert {result.what for result in results} == {
        "import names", "settings", "queues and agents", "flows", "prompts", "call record", "database", "console",
        "AMI login", "AMI rights", "Asterisk version", "dialplan", "failsafe", "AGI", "clock",
    }  # fmt: skip


def test_a_sound_installation_is_good_beside_a_running_daemon(
    asterisk_program: AsteriskProgram, tmp_path: Path
) -> None:
    """The daemon itself answers the dialplan's call; the command prints JSON and ends with 0."""
    with House(asterisk_program, found_template(tmp_path / "template"), tmp_path / "house") as house:
        (house.folder / "offhook.toml").chmod(0o600)
        house.lab.cel_csv.touch()
        said = json.loads(offhook(house.folder, "check", "--json").stdout)
        ills = [result for result in said if result["grade"] != "good"]
        # The house has no agent for billing, on purpose.
        assert [(ill["what"], ill["grade"]) for ill in ills] == [("queues and agents", "warning")]
        assert "is ready" in next(result["why"] for result in said if result["what"] == "console")
        assert any(result["what"] == "AGI" for result in said)


def test_the_doctor_changes_nothing(installation: Installation) -> None:
    """No file is made, no channel is left."""
    before = sorted(path for path in installation.folder.rglob("*"))
    installation.check()
    assert sorted(path for path in installation.folder.rglob("*")) == before
    assert "0 active channels" in installation.lab.console("core show channels")


# --- our side ----------------------------------------------------------------------------------------------------------

Spoil = Callable[[Installation], object]

OURS: dict[str, tuple[Spoil, str, Grade, str, str]] = {
    "a wrong secret": (
        lambda here: (here.folder / "ami.secret").write_text("nope\n"),
        "AMI login", Grade.WRONG, "Authentication failed", "manager.conf",
    ),
    "a user the PBX does not have": (
        lambda here: here.replace("offhook.toml", "[pbx]", '[pbx]\nuser = "nobody"'),
        "AMI login", Grade.WRONG, "'nobody'", "[nobody] in manager.conf",
    ),
    "a port nobody listens on": (
        lambda here: here.replace("offhook.toml", f"port = {here.lab.ports.ami}", "port = 9"),
        "AMI login", Grade.WRONG, "no connection to 127.0.0.1:9", "is Asterisk up",
    ),
    "a port where another program listens": (
        lambda here: here.replace("offhook.toml", f"port = {here.lab.ports.ami}", f"port = {here.lab.ports.http}"),
        "AMI login", Grade.WRONG, "", "is Asterisk up",
    ),
    "another token than the dialplan's": (
        lambda here: (here.folder / "agi.token").write_text("another\n"),
        "AGI", Grade.WRONG, "ended FAILURE", "the token must be the same",
    ),
    "another AGI port than the dialplan's": (
        lambda here: here.replace("offhook.toml", f"port = {here.agi_port}", f"port = {free_port('127.0.0.1')}"),
        "AGI", Grade.WRONG, "ended FAILURE", "the PBX must reach 127.0.0.1:",
    ),
    "the PBX's address not permitted": (
        lambda here: here.replace("offhook.toml", "[agi]", '[agi]\npermit = ["192.0.2.0/24"]'),
        "AGI", Grade.WRONG, "ended REFUSED", "agi.permit must hold its address",
    ),
    "an AGI address that is not ours": (
        lambda here: here.replace("offhook.toml", "[agi]", '[agi]\nhost = "192.0.2.1"'),
        "AGI", Grade.WRONG, "can't be listened on", "set agi.port",
    ),
    "a setting misspelt": (
        lambda here: here.replace("offhook.toml", "action_timeout_s", "action_timeuot_s"),
        "settings", Grade.WRONG, "offhook.toml:5: pbx.action_timeuot_s", "did you mean 'action_timeout_s'?",
    ),
    "a secret that is not there": (
        lambda here: (here.folder / "ami.secret").unlink(),
        "settings", Grade.WRONG, "pbx.secret_file", "name a file",
    ),
    "a secret others can read": (
        lambda here: (here.folder / "ami.secret").chmod(0o644),
        "manager secret", Grade.WARNING, "can be read by others", "chmod 600",
    ),
    "a secret in settings others can read": (
        lambda here: here.replace("offhook.toml", 'secret_file = "ami.secret"', f'secret = "{here.lab.ami_secret}"'),
        "manager secret", Grade.WARNING, "offhook.toml", "chmod 600",
    ),
    "a queue nobody can serve": (
        lambda here: here.replace("queues.yaml", "skills: [billing]", "skills: [billing, lang.fr]"),
        "queues and agents", Grade.WARNING, "no agent has all of billing, lang.fr", "add one",
    ),
    "an agent without a phone": (
        lambda here: here.replace("agents.yaml", "phone: PJSIP/201, ", ""),
        "queues and agents", Grade.WRONG, "agents.yaml:6: agents.ann.phone", "",
    ),
    "no flow at all": (
        lambda here: (here.folder / "flows" / "default.yaml").unlink(),
        "flows", Grade.WRONG, "there is no default flow", "offhook init",
    ),
    "a number whose flow is not there": (
        lambda here: here.replace("queues.yaml", "{name: Spring catalogue}", "{name: Spring, flow: spring}"),
        "flows", Grade.WRONG, "numbers.1001.flow: there is no flow called 'spring'", "choose from default",
    ),
    "no speech": (
        lambda here: here.replace("offhook.toml", "[speech]\nespeak = ", "[speech]\nespeak = [\"/no/espeak\"]\n#"),
        "prompts", Grade.WARNING, "/no/espeak", "install espeak-ng and sox",
    ),
    "no call record": (
        lambda here: here.replace("offhook.toml", "csv = ", "#"),
        "call record", Grade.WARNING, "neither cel.csv nor cel.url", "set cel.csv",
    ),
    "a database that is away": (
        lambda here: here.replace("offhook.toml", "[cel]", '[database]\nurl = "postgresql://o:pw@127.0.0.1:9/x"\n[cel]'),
        "database", Grade.WRONG, "database", "see that the server runs",
    ),
    "a database in a folder that is not there": (
        lambda here: here.replace("offhook.toml", "[cel]", '[database]\nurl = "sqlite:///nowhere/o.db"\n[cel]'),
        "database", Grade.WRONG, "there is no folder", "make it",
    ),
    "a database without tables": (
        lambda here: (here.folder / "offhook.db").unlink(),
        "database", Grade.WARNING, "no tables yet", "offhook init",
    ),
    "a database of an older release": (
        lambda here: here.replace("offhook.toml", "[cel]", '[database]\nurl = "sqlite:///new.db"\n[cel]'),
        "database", Grade.WARNING, "no tables yet", "the daemon's start makes them",
    ),
}  # fmt: skip


@pytest.mark.parametrize("ill", OURS)
def test_what_is_wrong_here_is_found_with_its_mend(installation: Installation, ill: str) -> None:
    """Each mistake on our side is the one thing the doctor names, and the mend is the right one."""
    spoil, what, grade, why, mend = OURS[ill]
    spoil(installation)
    found = installation.ills()
    assert list(found) == [what], found
    assert found[what].grade is grade
    assert why in found[what].why
    assert mend in found[what].mend
    assert "pw@" not in found[what].why


def test_no_token_lets_nobody_in(installation: Installation) -> None:
    """An empty token is named, and so is what follows from it."""
    installation.replace("offhook.toml", 'token_file = "agi.token"\n', "")
    ills = installation.ills()
    assert list(ills) == ["AGI token", "AGI"]
    assert "offhook init" in ills["AGI token"].mend


def test_a_flow_that_leads_nowhere(installation: Installation) -> None:
    """What the daemon would say of a flow at its start, the doctor says before, with the line."""
    installation.replace("flows/default.yaml", "start: greet", "start: great")
    wrong = [result for result in installation.check() if result.is_wrong]
    assert {result.what for result in wrong} == {"flows"}
    assert any("default.yaml:24: start: no node called 'great'" in result.why for result in wrong), wrong


def test_settings_name_every_mistake_at_once(installation: Installation) -> None:
    """Three mistakes, three findings, each with its line."""
    installation.replace("offhook.toml", "[console]\nport = ", "[console]\nprot = ")
    installation.replace("offhook.toml", "action_timeout_s = 2.0", "action_timeout_s = -1")
    installation.replace("offhook.toml", f"port = {installation.lab.ports.ami}", "port = 70000")
    wrong = [result.why for result in installation.check() if result.what == "settings"]
    lines = sorted(int(why.split(":")[1]) for why in wrong)
    assert lines == [2, 5, 10], wrong


@pytest.mark.parametrize(("key", "what"), [("agi", "AGI"), ("console", "console")])
def test_a_port_held_by_another_program(installation: Installation, key: str, what: str) -> None:
    """Whoever holds one of our ports is told from a daemon of ours; the mend says how to find him."""
    port = (
        installation.agi_port if key == "agi" else int(installation.toml.read_text().split("[console]\nport = ")[1][:5])
    )
    with ExitStack() as stack:
        squatter = stack.enter_context(socket.socket())
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", port))
        squatter.listen()
        ills = installation.ills()
    assert list(ills) == [what]
    assert ills[what].is_wrong
    assert ("ss -ltnp" if key == "agi" else "console.port") in ills[what].mend


# --- the PBX's side ------------------------------------------------------------------------------------------------------

WRITE = "write = call,agent,originate,reporting,user"

THEIRS: dict[str, tuple[str, str, str, str, str, Grade, str, str]] = {
    "may not originate": (
        "manager-offhook.conf", WRITE, "write = call,agent,reporting,user", "manager reload",
        "AMI rights", Grade.WRONG, "may not Originate", "add originate to `write =`",
    ),
    "may do nothing": (
        "manager-offhook.conf", WRITE, "write = ", "manager reload",
        "AMI rights", Grade.WRONG, "may not", "add agent, call, originate, reporting",
    ),
    "may do everything": (
        "manager-offhook.conf", WRITE, "write = all", "manager reload",
        "AMI rights", Grade.WARNING, "Command", "nothing else",
    ),
    "hears no user events": (
        "manager-offhook.conf", "read = call,agent,user,", "read = call,agent,", "manager reload",
        "AGI", Grade.WRONG, "never reported back", "read = must have user",
    ),
    "does not permit our address": (
        "manager-offhook.conf", "permit = 127.0.0.0/255.0.0.0", "permit = 192.0.2.1/255.255.255.255", "manager reload",
        "AMI login", Grade.WRONG, "login", "permit",
    ),
    "has no dialplan of ours": (
        "extensions.conf", "#include extensions-offhook.conf", "", "dialplan reload",
        "dialplan", Grade.WRONG, "no context offhook-entry, offhook-hold, offhook-failsafe, offhook-check, offhook-pick",
        "offhook pbx print-config",
    ),
    "has no context to pick up in": (
        "extensions-offhook.conf", "[offhook-pick]", "[offhook-pickle]", "dialplan reload",
        "dialplan", Grade.WRONG, "no context offhook-pick", "dialplan reload",
    ),
    "has no failsafe queue": (
        "queues-offhook.conf", "[offhook-failsafe]", "[another]", "queue reload all",
        "failsafe", Grade.WRONG, "no queue offhook-failsafe", "queue reload all",
    ),
    "has nobody in the failsafe queue": (
        "queues-offhook.conf", "member", "; member", "queue reload all",
        "failsafe", Grade.WARNING, "nobody is in", "member => PJSIP/201",
    ),
    "tells no time": (
        "manager.conf", "timestampevents = yes", "timestampevents = no", "manager reload",
        "clock", Grade.WARNING, "events carry no time", "timestampevents = yes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("ill", THEIRS)
def test_what_is_wrong_at_the_pbx_is_found_with_its_mend(installation: Installation, ill: str) -> None:
    """Each mistake on Asterisk's side is the one thing the doctor names, and the mend is the right one."""
    file, old, new, reload, what, grade, why, mend = THEIRS[ill]
    with installation.at_the_pbx(file, old, new, reload):
        if ill == "has nobody in the failsafe queue":
            conf = installation.lab.run_dir / "etc" / file
            conf.write_text(conf.read_text().replace("\nmember", "\n; member"))
            installation.lab.console(reload)
        found = installation.ills()
    assert list(found) == [what], found
    assert found[what].grade is grade
    assert why in found[what].why
    assert mend in found[what].mend


def test_an_asterisk_that_is_down_or_frozen(installation: Installation) -> None:
    """Both are the login's finding, with the address to look at; the visit ends in seconds."""
    lab = installation.lab
    lab.freeze()
    try:
        frozen = installation.ills()
    finally:
        lab.thaw()
    lab.stop()
    try:
        down = installation.ills()
    finally:
        lab.start()
    for ills in (frozen, down):
        assert list(ills) == ["AMI login"]
        assert f"127.0.0.1:{lab.ports.ami}" in ills["AMI login"].mend


def test_the_command_says_it_to_a_person(installation: Installation) -> None:
    """A line each with its mend below; the exit status is 1 when something is wrong, 0 when there are warnings only."""
    installation.replace("offhook.toml", "csv = ", "#")
    said = offhook(installation.folder, "check")
    assert "warn" in said.stdout
    assert "mend: set cel.csv" in said.stdout
    (installation.folder / "ami.secret").write_text("wrong\n")
    failed = offhook(installation.folder, "check", may_fail=True)
    assert failed.returncode == 1
    assert "WRONG" in failed.stdout
    assert sys.executable not in failed.stdout
