"""The settings: file, environment and secrets become one, and every mistake is named at once with its place and mend."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cti.errors import ConfigError, Finding
from cti.settings import Section, Settings
from cti.settings_file import load_settings, settings_path

Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in os.environ:
        if variable.upper().startswith("OFFHOOK"):
            monkeypatch.delenv(variable)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a settings file; its path."""

    def put(text: str) -> Path:
        (tmp_path / "offhook.toml").write_text(text, encoding="utf-8")
        return tmp_path / "offhook.toml"

    return put


def findings(file: Path | None) -> tuple[Finding, ...]:
    """What is wrong with it."""
    with pytest.raises(ConfigError) as caught:
        load_settings(file)
    return caught.value.findings


def test_every_mistake_comes_at_once_with_line_key_and_mend(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Misspelt keys and sections, wrong types, values out of range, unreadable secrets and variables, in one go."""
    file = write(
        """# mine
[pbx]
hots = "pbx.example"
port = "many"
secret_file = "nowhere"

[agi]
permit = ["10.0.0.0/8", "everybody"]
max_sessions = 0

[consoel]
port = 1

[log]
level = "loud"
"""
    )
    monkeypatch.setenv("OFFHOOK__CONSOLE__PORT", "0")
    monkeypatch.setenv("OFFHOOK__DATABSE__URL", "sqlite:///x.db")
    found = {finding.key: finding for finding in findings(file)}
    assert {key: (finding.file, finding.line) for key, finding in found.items()} == {
        "pbx.hots": (str(file), 3),
        "pbx.port": (str(file), 4),
        "pbx.secret_file": (str(file), 5),
        "agi.permit.1": (str(file), 8),
        "agi.max_sessions": (str(file), 9),
        "consoel": (str(file), 11),
        "log.level": (str(file), 15),
        "console.port": ("environment OFFHOOK__CONSOLE__PORT", None),
        "databse": ("environment OFFHOOK__DATABSE__URL", None),
    }
    assert found["pbx.hots"].mend == "did you mean 'host'?"
    assert found["consoel"].mend == "did you mean 'console'?"
    assert found["databse"].mend == "did you mean 'database'?"
    assert all(finding.mend for finding in found.values())
    assert f"{file}:3: pbx.hots" in str(found["pbx.hots"])


def test_a_mistake_never_repeats_a_secret(write: Write) -> None:
    """A secret of the wrong kind, beside other mistakes, is not quoted back."""
    file = write('[pbx]\nsecret = ["s3cr3t-value"]\nport = 0\n[agi]\ntoken = 77001\n')
    assert "s3cr3t-value" not in "\n".join(str(finding) for finding in findings(file))
    good = load_settings(write('[pbx]\nsecret = "s3cr3t-value"\n[database]\nurl = "sqlite:///x.db"\n'))
    assert "s3cr3t-value" not in repr(good)
    assert "s3cr3t-value" not in good.model_dump_json()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[pbx]\nport = 0\n", 2),
        ("pbx.port = 0\n", 1),
        ("\npbx = {host = 'x', port = 0}\n", 2),
        ("[agi]\nport = 1\n[pbx]\n\n 'port' = 0\n", 5),
        ("[ pbx ]\nport=0 # zero\n", 2),
    ],
)
def test_the_line_is_found_however_the_file_is_written(write: Write, text: str, line: int) -> None:
    """Tables, dotted keys, inline tables, quotes: TOML has many ways."""
    (finding,) = findings(write(text))
    assert (finding.key, finding.line) == ("pbx.port", line)


@pytest.mark.parametrize("text", ["[pbx", "port = \n", "[pbx]\nport = 1\nport = 2\n", "\x00"])
def test_what_is_no_toml_is_one_finding_with_its_line(write: Write, text: str) -> None:
    """The parser's word and line, not a traceback."""
    (finding,) = findings(write(text))
    assert finding.key == "(the file)"
    assert finding.line is not None
    assert finding.mend


def test_a_file_that_is_not_there_or_not_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named and missing is a mistake; the default one missing means defaults; a folder or other encodings are mistakes."""
    monkeypatch.chdir(tmp_path)
    assert load_settings().pbx == Settings().pbx
    (missing,) = findings(tmp_path / "other.toml")
    assert "offhook init" in missing.mend
    monkeypatch.setenv("OFFHOOK_CONFIG", str(tmp_path / "third.toml"))
    assert settings_path() == tmp_path / "third.toml"
    assert "third.toml" in findings(None)[0].file
    (tmp_path / "latin.toml").write_bytes("[pbx]\nuser = 'jos\xe9'\n".encode("latin-1"))
    for odd in (tmp_path, tmp_path / "latin.toml"):
        (finding,) = findings(odd)
        assert finding.mend == "make it a readable UTF-8 file"


def test_the_environment_wins_over_the_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Key by key: what the environment does not name stays as the file says, what neither names is the default."""
    file = write('[pbx]\nhost = "from-file"\nport = 5039\n[agi]\npermit = ["10.0.0.0/8"]\n')
    monkeypatch.setenv("OFFHOOK__PBX__HOST", "from-environment")
    monkeypatch.setenv("offhook__pbx__ping_s", "0.5")
    monkeypatch.setenv("OFFHOOK__CEL__CSV", "")
    read = load_settings(file)
    assert (read.pbx.host, read.pbx.port, read.pbx.ping_s, read.pbx.user) == ("from-environment", 5039, 0.5, "offhook")
    assert read.agi.permit == ("10.0.0.0/8",)
    assert read.cel.csv is None


@pytest.mark.parametrize(
    ("value", "permit"),
    [
        ('["10.0.0.0/8"]', ("10.0.0.0/8",)),
        ("10.0.0.0/8", ("10.0.0.0/8",)),
        ("10.0.0.0/8, ::1/128", ("10.0.0.0/8", "::1/128")),
    ],
)
def test_lists_in_the_environment(write: Write, monkeypatch: pytest.MonkeyPatch, value: str, permit: object) -> None:
    """As JSON, or words with commas between."""
    monkeypatch.setenv("OFFHOOK__AGI__PERMIT", value)
    assert load_settings(write("")).agi.permit == permit


def test_a_whole_section_in_the_environment(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A section may be one JSON object, with single keys over it; what is no object is a finding."""
    monkeypatch.setenv("OFFHOOK__PBX", '{"host": "a", "port": 1}')
    monkeypatch.setenv("OFFHOOK__PBX__PORT", "2")
    read = load_settings(write(""))
    assert (read.pbx.host, read.pbx.port) == ("a", 2)
    monkeypatch.delenv("OFFHOOK__PBX__PORT")
    monkeypatch.setenv("OFFHOOK__PBX", "nonsense")
    (finding,) = findings(write(""))
    assert (finding.file, finding.key) == ("environment OFFHOOK__PBX", "pbx")


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(Settings.model_fields)), st.text(st.characters(codec="ascii", categories=["L", "N", "P"]))
)
@example("daemon", "[")
@example("agi", "{}")
def test_no_variable_breaks_the_reader(write: Write, monkeypatch: pytest.MonkeyPatch, section: str, value: str) -> None:
    """Whatever the environment holds, it is settings or findings, never another error."""
    file = write("")
    with monkeypatch.context() as environment:
        kind = Settings.model_fields[section].annotation
        assert isinstance(kind, type)
        assert issubclass(kind, Section)
        for key in kind.model_fields:
            environment.setenv(f"OFFHOOK__{section}__{key}".upper(), value)
        with contextlib.suppress(ConfigError):
            assert load_settings(file) is not None


def test_secrets_come_from_files(write: Write, tmp_path: Path) -> None:
    """The first line of the file, without its end; a file wins over a value; the path is relative to the settings file."""
    (tmp_path / "ami.secret").write_text("first line \nsecond line\n")
    (tmp_path / "agi.token").write_bytes(b"no newline")
    read = load_settings(write('[pbx]\nsecret = "x"\nsecret_file = "ami.secret"\n[agi]\ntoken_file = "agi.token"\n'))
    assert read.pbx.secret.get_secret_value() == "first line"
    assert read.agi.token.get_secret_value() == "no newline"
    assert read.pbx.secret_file == tmp_path / "ami.secret"


def test_secrets_that_can_not_be_used(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty, not text, a folder: each file is its own finding, with the line or the variable that names it."""
    (tmp_path / "empty").write_text("\nsecond\n")
    (tmp_path / "noise").write_bytes(b"\xff\xfe\x00")
    file = write('[pbx]\nsecret_file = "empty"\n[agi]\ntoken_file = "noise"\n')
    pbx, agi = findings(file)
    assert (pbx.key, pbx.line, agi.key, agi.line) == ("pbx.secret_file", 2, "agi.token_file", 4)
    assert "first line is empty" in pbx.why
    monkeypatch.setenv("OFFHOOK__PBX__SECRET_FILE", str(tmp_path))
    assert findings(file)[0].file == "environment OFFHOOK__PBX__SECRET_FILE"


def test_relative_paths_are_relative_to_the_file(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the working directory, and also where the environment gives them; absolute ones stay."""
    monkeypatch.chdir("/")
    monkeypatch.setenv("OFFHOOK__PATHS__FLOWS", "my-flows")
    read = load_settings(write('[paths]\nqueues = "q.yaml"\nagents = "/etc/agents.yaml"\n[cel]\ncsv = "cel.csv"\n'))
    assert read.paths.queues == tmp_path / "q.yaml"
    assert read.paths.agents == Path("/etc/agents.yaml")
    assert read.paths.flows == tmp_path / "my-flows"
    assert read.paths.prompts == tmp_path / "prompts"
    assert read.cel.csv == tmp_path / "cel.csv"
    assert read.daemon.socket == tmp_path / "offhook.sock"
    assert read.database.url == f"sqlite:///{tmp_path / 'offhook.db'}"
    assert load_settings(write('[database]\nurl = "sqlite:////var/o.db"\n')).database.url == "sqlite:////var/o.db"


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://x/y", "sqlite://", "sqlite:///:memory:"])
def test_a_database_address_nobody_can_open(write: Write, url: str) -> None:
    """Said at start, with the line, together with the rest."""
    found = findings(write(f'[database]\n\nurl = "{url}"\n'))
    assert [(finding.key, finding.line) for finding in found] == [("database.url", 3)]
    assert "sqlite:///path" in found[0].mend


def test_every_setting_says_what_it_is() -> None:
    """Each has a description: it is the mend of a mistake and the line of the reference."""
    for name, field in Settings.model_fields.items():
        section = field.annotation
        assert isinstance(section, type)
        assert issubclass(section, Section)
        for key, setting in section.model_fields.items():
            assert setting.description, f"{name}.{key}"
