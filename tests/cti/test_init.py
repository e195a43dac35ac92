"""`offhook init`: a folder to start from, never over what is there."""

from pathlib import Path

import pytest

from cti.daemon import read_site
from cti.errors import ConfigError
from cti.init import write_configuration
from cti.settings_file import load_settings
from cti.store.migrate import newest_revision, revision_of


def test_what_it_writes_can_be_used_as_it_is(tmp_path: Path) -> None:
    """Settings, site, flows, secrets and an empty database of the newest schema."""
    folder = tmp_path / "new" / "house"
    written = {path.relative_to(folder).as_posix() for path in write_configuration(folder)}
    assert written == {
        "offhook.toml", "queues.yaml", "agents.yaml", "flows/default.yaml", "ami.secret", "agi.token",
    }  # fmt: skip
    settings = load_settings(folder / "offhook.toml")
    assert len(read_site(settings).agents) == 3
    assert revision_of(settings.database.url) == newest_revision()
    assert (folder / "offhook.db").is_file()


def test_secrets_are_secret_and_everybodys_own(tmp_path: Path) -> None:
    """Long, different each time, readable by their owner only; they survive a line of shell or AGI URL."""
    secrets = []
    for name in ("one", "two"):
        write_configuration(tmp_path / name)
        for file in ("ami.secret", "agi.token"):
            path = tmp_path / name / file
            assert path.stat().st_mode & 0o777 == 0o600
            secrets.append(path.read_text().strip())
    assert len(set(secrets)) == 4
    assert all(len(secret) >= 24 and secret.replace("-", "").replace("_", "").isalnum() for secret in secrets)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    """What is there stays; what is missing is added; the second time there is nothing left to write."""
    (tmp_path / "queues.yaml").write_text("queues: {mine: {name: Mine, skills: [a], wrap_up_s: 0}}\n")
    (tmp_path / "ami.secret").write_text("kept\n")
    written = write_configuration(tmp_path)
    assert tmp_path / "queues.yaml" not in written
    assert (tmp_path / "ami.secret").read_text() == "kept\n"
    assert read_site(load_settings(tmp_path / "offhook.toml")).queues[0].queue == "mine"
    assert write_configuration(tmp_path) == []


def test_a_folder_that_can_not_be_written_is_a_finding(tmp_path: Path) -> None:
    """A file in the way: said in words."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="choose a folder you may write to"):
        write_configuration(tmp_path / "file")
