"""The command `offhook`: every error of ours ends in words, answers alone go to standard output, rooms add their commands."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cti.init import write_configuration

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def offhook(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run it as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "cti.cli", *words], capture_output=True, text=True, timeout=60, check=False, cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "COLUMNS": "80"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `offhook init` makes."""
    folder = tmp_path_factory.mktemp("house")
    write_configuration(folder)
    return folder


def test_it_says_what_it_can_do() -> None:
    """Our commands and the rooms', and the version."""
    said = offhook("--help")
    assert said.returncode == 0
    for command in ("run", "demo", "init", "check", "tail", "pbx", "customers", "call", "users"):
        assert f" {command} " in said.stdout
    assert offhook("--version").stdout.strip() == "0.1.0"


@pytest.mark.parametrize(
    "words",
    [
        ("run",), ("tail",), ("pbx", "print-config"), ("customers", "import", "x.csv"), ("call", "show", "1.1"),
        ("call", "audit"), ("users", "list"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_mistakes_in_settings_end_in_words(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Every command names each mistake with its place; the exit status is not 0; nobody sees a traceback."""
    (tmp_path / "offhook.toml").write_text('[pbx]\nhots = "x"\nport = 0\n')
    done = offhook(*words, "--config", str(tmp_path / "offhook.toml"))
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    said = done.stderr.replace("\n", "").replace(" ", "")
    assert "offhook.toml:2:pbx.hots:thereisnosuchsetting" in said
    assert "offhook.toml:3:pbx.port" in said
    assert done.stdout == ""


def test_a_command_line_that_is_wrong_is_2(house: Path) -> None:
    """As every other program."""
    assert offhook("no-such-command").returncode == 2
    assert offhook("check", "--no-such-option").returncode == 2
    assert offhook("call", "show").returncode == 2


def test_init_names_every_file_and_what_comes_next(tmp_path: Path) -> None:
    """Paths are printed as they are, however long or odd; nothing of them is markup."""
    folder = tmp_path / "[bold]odd[/bold]" / ("x" * 60)
    folder.mkdir(parents=True)
    said = offhook("init", str(folder))
    assert said.returncode == 0, said.stderr
    assert f"wrote {folder}/offhook.toml" in said.stdout.splitlines()
    assert "offhook check" in said.stdout


def test_print_config_prints_or_writes(house: Path, tmp_path: Path) -> None:
    """For the operator's own names and ports; the secret is in the files that need it; files are the owner's alone."""
    printed = offhook("pbx", "print-config", "--config", str(house / "offhook.toml"))
    secret = (house / "ami.secret").read_text().strip()
    assert f"secret = {secret}" in printed.stdout.splitlines()
    assert "%%{" not in printed.stdout
    folder = tmp_path / "pbx"
    written = offhook("pbx", "print-config", "--write", str(folder), "--config", str(house / "offhook.toml"))
    assert written.returncode == 0
    assert {path.name for path in folder.iterdir()} >= {"extensions-offhook.conf", "manager-offhook.conf"}
    for path in folder.iterdir():
        assert path.read_text() in printed.stdout
        if secret in path.read_text() or (house / "agi.token").read_text().strip() in path.read_text():
            assert path.stat().st_mode & 0o077 == 0, path.name


def test_answers_alone_are_on_standard_output(house: Path) -> None:
    """What a program reads is JSON and nothing else, also when Asterisk is away and there is much to complain of."""
    done = offhook("check", "--json", "--config", str(house / "offhook.toml"))
    found = json.loads(done.stdout)
    assert {"what", "grade", "why", "mend"} == set(found[0])
    assert done.returncode == 1
    assert any(each["what"] == "AMI login" for each in found)


def test_a_settings_file_can_be_named_by_the_environment(house: Path) -> None:
    """$OFFHOOK_CONFIG stands in for --config, and --config wins."""
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OFFHOOK_CONFIG": str(house / "nowhere.toml")}
    words = [sys.executable, "-m", "cti.cli", "users", "list"]
    by_variable = subprocess.run(words, capture_output=True, text=True, env=env, check=False, timeout=60)
    assert by_variable.returncode != 0
    assert "nowhere.toml" in by_variable.stderr.replace("\n", "")
    named = [*words, "--config", str(house / "offhook.toml")]
    assert subprocess.run(named, capture_output=True, text=True, env=env, check=False, timeout=60).returncode == 0
