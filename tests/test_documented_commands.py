"""Every command the documentation shows is run: `$ ...` lines of ```console blocks, each on a fresh installation.

What needs a PBX, root, or the whole repository is on a list, with the test that covers it; a command that is neither run
nor on the list fails here.
"""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from cti.init import write_configuration

ROOT = Path(__file__).parents[1]

ELSEWHERE = {
    r"make demo( DEMO=.*)?": "tests/test_demo.py::test_the_second_start_takes_seconds_and_a_signal_ends_everything",
    r"make (test|check|bench|wheel|console)": "tests/test_documented_commands.py::test_make_has_what_is_documented",
    r"offhook check( --json)?": "tests/pbx/test_doctor.py::test_the_command_says_it_to_a_person",
    r"offhook run": "tests/cti/test_daemon.py::test_it_runs_without_an_asterisk_and_ends_when_told",
    r"offhook tail( --json)?( --call \S+)?": "tests/cti/test_tail.py::test_one_call_can_be_followed",
    r"offhook demo( --\w+ \S+| --json)*": "tests/test_demo.py::test_unattended_it_prints_one_json_object_and_leaves_nothing",
    r"\.venv/bin/python scripts/reference\.py": "tests/test_floors.py::test_the_reference_is_what_the_code_says",
    r"(\.venv/bin/)?pytest .*": "tests/test_documented_commands.py::test_pytest_finds_what_is_documented",
    r"sudo -u offhook /opt/offhook/bin/offhook init .*": "tests/test_wheel.py::test_an_installed_wheel_is_whole",
    r"sudo (/opt/offhook/bin/pip|python3 -m venv) .*": "tests/test_wheel.py::test_an_installed_wheel_is_whole",
}
"""What another test covers: the command, and that test's name."""

THE_SYSTEMS_OWN = re.compile(
    r"sudo (-u offhook )?(useradd|install|systemctl|journalctl|asterisk|fwconsole|sqlite3|cp|chown) .*"
)
"""What the operator's own system does: nothing of ours to try."""

CALLS = ("1700000000.12", "demo-1795333307228")
CUSTOMERS = "customer,account,name,tier,language,phones\nC1,40001,Grace Novak,gold,en,+12025550101\n"
PURCHASES = "customer,at,item,amount\nC1,2026-05-01,City bike,649.00\n"
CASES = "customer,case,title,opened_at\nC1,CASE-1,Brake squeals,2026-05-02\n"
HISTORY = "call,at,ani,customer,queue,outcome,agent,disposition,note,talk_s\n" + "".join(
    f"{call},1700000000,+12025550101,C1,sales,answered,ann,sold,Note,60\n" for call in CALLS
)


@dataclass(frozen=True)
class Shown:
    """One command as a page shows it."""

    page: str
    line: int
    command: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line} {self.command}"


def shown_in(page: Path) -> list[Shown]:
    """Every command in the page's console blocks."""
    found: list[Shown] = []
    is_console = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip().startswith("```"):
            is_console = line.strip() == "```console"
        elif is_console and found and found[-1].command.endswith("\\"):
            found[-1] = Shown(found[-1].page, found[-1].line, found[-1].command[:-1] + line.strip())
        elif is_console and line.strip().startswith("$ "):
            found.append(Shown(page.relative_to(ROOT).as_posix(), number, line.strip()[2:]))
    return found


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHOWN = [shown for page in PAGES if page.is_file() for shown in shown_in(page)]
RUN_HERE = [shown for shown in SHOWN if re.match(r"(\.venv/bin/)?offhook ", shown.command)]


def covering_test(command: str) -> str | None:
    """The name of the test that covers this command, if one does."""
    return next((test for pattern, test in ELSEWHERE.items() if re.fullmatch(pattern, command)), None)


def plain(shown: Shown) -> str:
    """The command without where the demo's clone has it."""
    return shown.command.removeprefix(".venv/bin/").replace(" --config .run/demo/offhook.toml", "")


@pytest.mark.parametrize("shown", SHOWN, ids=str)
def test_nothing_is_shown_that_nobody_tries(shown: Shown) -> None:
    """A command of ours is run below or covered by the test that is named; the rest is the operator's own system."""
    if THE_SYSTEMS_OWN.fullmatch(shown.command) or shown in RUN_HERE:
        return
    assert covering_test(shown.command), f"{shown}: neither run nor covered"


@pytest.mark.parametrize("test", sorted(set(ELSEWHERE.values())))
def test_the_covering_tests_are_there(test: str) -> None:
    """A list that names tests which are gone covers nothing."""
    file, name = test.split("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages assume: an installation with files to import, and a history in it."""
    folder = tmp_path_factory.mktemp("documented") / "house"
    write_configuration(folder)
    (folder / "cel.csv").touch()
    text = (folder / "offhook.toml").read_text()
    (folder / "offhook.toml").write_text(text.replace("[cel]", '[cel]\ncsv = "cel.csv"', 1))
    for name, content in (("customers", CUSTOMERS), ("purchases", PURCHASES), ("cases", CASES), ("history", HISTORY)):
        (folder / f"{name}.csv").write_text(content)
    done = run("offhook call import history.csv", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Type it in this folder; a password is typed where one is asked for."""
    words = shlex.split(command)
    env = {**os.environ, "OFFHOOK_CONFIG": str(folder / "offhook.toml"), "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "cti.cli", *words[1:]], input="long enough\nlong enough\n", capture_output=True, text=True,
        timeout=60, check=False, cwd=folder, env=env, start_new_session=True,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("shown", [shown for shown in RUN_HERE if not covering_test(plain(shown))], ids=str)
def test_what_is_shown_works(shown: Shown, template: Path, tmp_path: Path) -> None:
    """As it is written, it ends with 0."""
    folder = tmp_path / "house"
    shutil.copytree(template, folder)
    if "Kundennr" in shown.command:
        (folder / "customers.csv").write_text(CUSTOMERS.replace("customer,", "Kundennr,", 1))
    done = run(plain(shown), folder)
    assert done.returncode == 0, f"{shown}\n{done.stdout}{done.stderr}"


def test_make_has_what_is_documented() -> None:
    """Every target a page names is one of the Makefile's; `make test` is what .ci/run runs."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = {shown.command.split()[1] for shown in SHOWN if shown.command.startswith("make ")}
    assert {"demo", "test"} <= named <= targets
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_pytest_finds_what_is_documented() -> None:
    """Files and folders that a page hands to pytest are there."""
    for shown in SHOWN:
        if re.match(r"(\.venv/bin/)?pytest ", shown.command):
            paths = [word.split("::")[0] for word in shlex.split(shown.command)[1:] if word.startswith("tests")]
            assert all((ROOT / path).exists() for path in paths), shown
