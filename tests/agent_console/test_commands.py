"""`offhook users`."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent_console.commands import app

RUN = CliRunner()


@pytest.fixture
def config(database: Path) -> Path:
    """A settings file with a migrated database."""
    path = database.parent / "offhook.toml"
    path.write_text(f'[database]\nurl = "sqlite:///{database}"\n')
    return path


def test_people_come_and_go(config: Path, tmp_path: Path) -> None:
    """Added, listed, given a new password, removed; each mistake is said in a sentence and fails."""
    last = ["--config", str(config)]
    added = RUN.invoke(app, ["add", "ann", "--agent", "ann", "--password-stdin", *last], input="right horse\n")
    assert (added.exit_code, added.output) == (0, "ann may sign in as agent.\n")
    again = RUN.invoke(app, ["add", "ann", "--agent", "ann", "--password-stdin", *last], input="right horse\n")
    assert again.exit_code == 1
    assert "name-taken" in again.output
    people = tmp_path / "people"
    people.write_text("ann agent ann another-one\nsue supervisor - right-horse\n")
    assert RUN.invoke(app, ["import", str(people), *last]).output == "1 people added.\n"
    listed = RUN.invoke(app, ["list", *last]).output
    assert "sue" in listed
    assert "supervisor" in listed
    assert RUN.invoke(app, ["password", "ann", "--password-stdin", *last], input="left  horse\n").exit_code == 0
    assert RUN.invoke(app, ["remove", "ann", *last]).exit_code == 0
    gone = RUN.invoke(app, ["remove", "ann", *last])
    assert gone.exit_code == 1
    assert "no-such-user" in gone.output


@pytest.mark.parametrize(
    ("words", "secret", "why"),
    [
        (["add", "ann"], "right horse", "--agent"),
        (["add", "a n", "--agent", "ann"], "right horse", "without spaces"),
        (["add", "ann", "--agent", "a-n"], "right horse", "letters, digits"),
        (["add", "ann", "--agent", "ann"], "short", "at least 8"),
    ],
)
def test_a_mistake_is_said_before_anything_is_written(config: Path, words: list[str], secret: str, why: str) -> None:
    """The command names the rule that was broken and adds nobody."""
    failed = RUN.invoke(app, [*words, "--password-stdin", "--config", str(config)], input=f"{secret}\n")
    assert failed.exit_code == 1
    assert why in failed.output
    assert "ann" not in RUN.invoke(app, ["list", "--config", str(config)]).output
