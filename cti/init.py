"""`offhook init`: a folder to start from: settings, queues, agents, flows, secrets nobody has seen, an empty database."""

import shutil
from pathlib import Path

from cti.data_folder import find_data_folder
from cti.errors import ConfigError, Finding
from cti.ids import new_token
from cti.settings_file import load_settings
from cti.store.migrate import migrate


def write_configuration(folder: Path) -> list[Path]:
    """Write what is missing, never over what is there; the files written. Raises ConfigError when nothing can be."""
    given = find_data_folder("config", "offhook.toml")
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(path for path in given.rglob("*") if path.is_file()):
            target = folder / file.relative_to(given)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
                written.append(target)
        for name in ("ami.secret", "agi.token"):
            secret = folder / name
            if not secret.exists():
                secret.touch(mode=0o600)
                secret.write_text(new_token(24) + "\n")
                written.append(secret)
    except OSError as exc:
        mend = "choose a folder you may write to"
        raise ConfigError([Finding(str(folder), "(the folder)", str(exc), mend)]) from exc
    migrate(load_settings(folder / "offhook.toml").database.url)
    return written
