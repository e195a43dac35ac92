"""Reads the settings: `offhook.toml`, then the environment over it, then the files that hold secrets.

Every mistake is found at once and comes back in one ConfigError: file, line, key, why, and the mend. Relative paths in the
file are relative to the file.
"""

import difflib
import os
import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from cti.errors import ConfigError, Finding
from cti.settings import PathSettings, Section, Settings

CONFIG_VARIABLE = "OFFHOOK_CONFIG"
DEFAULT_FILE = Path("offhook.toml")


class _Outside(BaseSettings, Settings):
    """The same settings, read from the file and the environment; the environment wins."""

    model_config = SettingsConfigDict(env_prefix="OFFHOOK__", env_nested_delimiter="__", extra="forbid", frozen=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first; the file's values come in as init values."""
        return env_settings, init_settings


def settings_path(path: Path | None = None) -> Path:
    """Which settings file is meant: the given one, $OFFHOOK_CONFIG, or offhook.toml in the working directory."""
    return path or Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_FILE)


def load_settings(path: Path | None = None) -> Settings:
    """The settings. A missing default file means defaults; raises ConfigError with every finding otherwise."""
    file = settings_path(path)
    named = path is not None or CONFIG_VARIABLE in os.environ
    text = _read(file, named)
    try:
        written = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        found = re.search(r"line (\d+)", str(exc))
        line = int(found.group(1)) if found else None
        raise ConfigError([Finding(str(file), "(the file)", str(exc), "write it as TOML", line)]) from exc
    try:
        settings: Settings = _Outside(**written)
    except ValidationError as exc:
        raise ConfigError([_finding(file, text, error) for error in exc.errors(include_url=False)]) from exc
    return _with_secrets(_with_absolute_paths(settings, file.resolve().parent), file)


def _read(file: Path, is_needed: bool) -> str:
    try:
        return file.read_text("utf-8")
    except FileNotFoundError as exc:
        if not is_needed:
            return ""
        why = "there is no such file"
        raise ConfigError([Finding(str(file), "(the file)", why, "`offhook init` writes one to start from")]) from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError([Finding(str(file), "(the file)", str(exc), "make it a readable UTF-8 file")]) from exc


def _finding(file: Path, text: str, error: Any) -> Finding:
    key = ".".join(str(part) for part in error["loc"])
    variable = "OFFHOOK__" + "__".join(str(part).upper() for part in error["loc"])
    where = f"environment {variable}" if variable in os.environ else str(file)
    if error["type"] == "extra_forbidden":
        return Finding(where, key, "there is no such setting", _nearest(error["loc"]), _line_of(text, error["loc"]))
    return Finding(where, key, error["msg"], _meaning(error["loc"]), _line_of(text, error["loc"]))


def _section_of(loc: tuple[Any, ...]) -> type[Section] | None:
    field = Settings.model_fields.get(str(loc[0])) if len(loc) > 1 else None
    section = field.annotation if field is not None else None
    return section if isinstance(section, type) and issubclass(section, Section) else None


def _nearest(loc: tuple[Any, ...]) -> str:
    section = _section_of(loc)
    known = list((section or Settings).model_fields)
    near = difflib.get_close_matches(str(loc[-1]), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"


def _meaning(loc: tuple[Any, ...]) -> str:
    section = _section_of(loc)
    field = section.model_fields.get(str(loc[1])) if section is not None else None
    return (field.description or "") if field is not None else ""


def _line_of(text: str, loc: tuple[Any, ...]) -> int | None:
    """The line a key stands on: `[section]`, then `key =` below it."""
    inside = len(loc) < 2
    wanted = str(loc[0]) if len(loc) < 2 else str(loc[1])
    for number, line in enumerate(text.splitlines(), 1):
        heading = re.match(r"\s*\[([^\]]+)\]", line)
        if heading:
            if heading.group(1).strip() == str(loc[0]) and len(loc) < 2:
                return number
            inside = heading.group(1).strip() == str(loc[0])
        elif inside and re.match(rf"\s*{re.escape(wanted)}\s*=", line):
            return number
    return None


def _with_absolute_paths(settings: Settings, folder: Path) -> Settings:
    paths = PathSettings(**{name: folder / value for name, value in settings.paths})
    database = settings.database
    if database.url.startswith("sqlite:///") and not database.url.startswith("sqlite:////"):
        url = f"sqlite:///{folder / database.url.removeprefix('sqlite:///')}"
        database = database.model_copy(update={"url": url})
    cel = settings.cel
    if cel.csv is not None:
        cel = cel.model_copy(update={"csv": folder / cel.csv})
    daemon = settings.daemon.model_copy(update={"socket": folder / settings.daemon.socket})
    return settings.model_copy(update={"paths": paths, "database": database, "cel": cel, "daemon": daemon})


def _with_secrets(settings: Settings, file: Path) -> Settings:
    """Secrets read from the files that hold them."""
    findings: list[Finding] = []
    changed: dict[str, Any] = {}
    for section, key in (("pbx", "secret"), ("agi", "token")):
        part = getattr(settings, section)
        holder: Path | None = getattr(part, f"{key}_file")
        if holder is None:
            continue
        try:
            first = (file.resolve().parent / holder).read_text("utf-8").split("\n", 1)[0].strip()
        except OSError as exc:
            name = f"{section}.{key}_file"
            findings.append(Finding(str(file), name, str(exc), "make the file readable for the user Offhook runs as"))
            continue
        changed[section] = part.model_copy(update={key: SecretStr(first)})
    if findings:
        raise ConfigError(findings)
    return settings.model_copy(update=changed)
