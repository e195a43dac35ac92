"""Reads the settings: `offhook.toml`, then the environment over it, then the files that hold secrets.

Every mistake is found at once and comes back in one ConfigError: file (or variable), line, key, why, and the mend. Relative
paths are relative to the file, wherever they are given.
"""

import difflib
import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_origin

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from cti.errors import ConfigError, Finding
from cti.settings import PathSettings, Section, Settings
from cti.store.address import read_address

CONFIG_VARIABLE = "OFFHOOK_CONFIG"
DEFAULT_FILE = Path("offhook.toml")
PREFIX = "OFFHOOK__"
SECRETS = (("pbx", "secret"), ("agi", "token"))


class _Environment(PydanticBaseSettingsSource):
    """`OFFHOOK__SECTION__KEY=value`; a list is JSON or words with commas between. An empty variable counts as not set.

    Unlike the source of pydantic's own, it keeps what it doesn't know, so that a misspelt section is a finding.
    """

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not used: the variables are read as a whole."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """The variables as sections."""
        found: dict[str, Any] = {}
        for variable, text in os.environ.items():
            if not variable.upper().startswith(PREFIX) or not text:
                continue
            loc = tuple(variable[len(PREFIX) :].lower().split("__"))
            value = _read_value(loc, text)
            if len(loc) == 1:
                found[loc[0]] = {**value, **found.get(loc[0], {})} if isinstance(value, dict) else value
                continue
            section = found.setdefault(loc[0], {})
            if isinstance(section, dict):
                section["__".join(loc[1:])] = value
        return found


def _read_value(loc: tuple[str, ...], text: str) -> Any:
    field = _field_of(loc)
    is_list = field is not None and get_origin(field.annotation) is tuple
    if is_list or len(loc) == 1:
        try:
            return json.loads(text)
        except ValueError:
            return [word.strip() for word in text.split(",")] if is_list else text
    return text


class _Outside(BaseSettings, Settings):
    """The same settings, read from the file and the environment; the environment wins."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

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
        return _Environment(settings_cls), init_settings


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
        line = int(found.group(1)) if found else text.count("\n") + 1  # "at end of document"
        raise ConfigError([Finding(str(file), "(the file)", str(exc), "write it as TOML", line)]) from exc
    folder = file.resolve().parent
    try:
        settings: Settings = _Outside(**written)
    except ValidationError as exc:
        findings = [_finding(file, text, error) for error in exc.errors(include_url=False)]
        raise ConfigError([*findings, *_unreadable_secrets(file, text, written)]) from exc
    settings = _with_absolute_paths(settings, folder)
    findings = [*_database_findings(file, text, settings), *_secret_findings(file, text, settings)]
    if findings:
        raise ConfigError(findings)
    return _with_secrets(settings)


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
    loc = error["loc"]
    if error["type"] == "extra_forbidden":
        return _at(file, text, loc, "there is no such setting", _nearest(loc))
    field = _field_of(loc)
    name = ".".join(str(part) for part in loc[:2])
    mend = f"set {name}: {field.description}" if field is not None else f"write [{name}] and its settings below it"
    return _at(file, text, loc, error["msg"].removeprefix("Value error, "), mend)


def _at(file: Path, text: str, loc: tuple[Any, ...], why: str, mend: str) -> Finding:
    """A finding where the value came from: the variable when the environment gave it, else the file and its line."""
    key = ".".join(str(part) for part in loc)
    given = {variable.upper(): variable for variable, text in os.environ.items() if text}
    for parts in (loc[:2], loc[:1]):
        variable = PREFIX + "__".join(str(part) for part in parts).upper()
        if variable in given:
            return Finding(f"environment {given[variable]}", key, why, mend)
    line = _line_of(text, loc)
    below = [given[name] for name in sorted(given) if name.startswith(f"{PREFIX}{key.upper()}__")]
    if line is None and below:
        return Finding(f"environment {below[0]}", key, why, mend)
    return Finding(str(file), key, why, mend, line)


def _section_of(loc: tuple[Any, ...]) -> type[Section] | None:
    field = Settings.model_fields.get(str(loc[0])) if len(loc) > 1 else None
    section = field.annotation if field is not None else None
    return section if isinstance(section, type) and issubclass(section, Section) else None


def _field_of(loc: tuple[Any, ...]) -> FieldInfo | None:
    section = _section_of(loc)
    return section.model_fields.get(str(loc[1])) if section is not None else None


def _nearest(loc: tuple[Any, ...]) -> str:
    known = list((_section_of(loc) or Settings).model_fields)
    near = difflib.get_close_matches(str(loc[-1]), known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"


def _line_of(text: str, loc: tuple[Any, ...]) -> int | None:
    """The line a key stands on: under its `[section]`, as `section.key`, or in `section = {...}`; else the section's."""
    section, wanted = str(loc[0]), ".".join(str(part) for part in loc[:2])
    here, section_line = "", None
    for number, line in enumerate(text.splitlines(), 1):
        heading = re.match(r"\s*\[([^\]]+)\]", line)
        written = re.match(r"\s*([\w\"'. -]+?)\s*=", line)
        if heading:
            here = heading.group(1).strip()
            name = here
        elif written:
            key = re.sub(r"[\s\"']", "", written.group(1))
            name = f"{here}.{key}" if here else key
        else:
            continue
        if name == wanted:
            return number
        if name == section and section_line is None:
            section_line = number
    return section_line


def _with_absolute_paths(settings: Settings, folder: Path) -> Settings:
    paths = PathSettings(**{name: folder / value for name, value in settings.paths})
    database = settings.database
    scheme, file = "sqlite:///", database.url.removeprefix("sqlite:///")
    if database.url.startswith(scheme) and not file.startswith((":", "?")) and file:
        url = f"{scheme}{folder / file}"
        database = database.model_copy(update={"url": url})
    cel = settings.cel
    if cel.csv is not None:
        cel = cel.model_copy(update={"csv": folder / cel.csv})
    daemon = settings.daemon.model_copy(update={"socket": folder / settings.daemon.socket})
    changed: dict[str, Any] = {"paths": paths, "database": database, "cel": cel, "daemon": daemon}
    for section, key in SECRETS:
        part = getattr(settings, section)
        holder: Path | None = getattr(part, f"{key}_file")
        if holder is not None:
            changed[section] = part.model_copy(update={f"{key}_file": folder / holder})
    return settings.model_copy(update=changed)


def _database_findings(file: Path, text: str, settings: Settings) -> list[Finding]:
    try:
        read_address(settings.database.url)
    except ConfigError as exc:
        return [_at(file, text, ("database", "url"), finding.why, finding.mend) for finding in exc.findings]
    return []


def _first_line(holder: Path) -> str:
    return holder.read_text("utf-8").split("\n", 1)[0].strip()


def _secret_findings(file: Path, text: str, settings: Settings) -> list[Finding]:
    """Why the files that hold secrets can't be used."""
    holders = {(section, f"{key}_file"): getattr(getattr(settings, section), f"{key}_file") for section, key in SECRETS}
    return [
        finding
        for loc, holder in holders.items()
        if holder is not None and (finding := _secret_finding(file, text, loc, holder)) is not None
    ]


def _secret_finding(file: Path, text: str, loc: tuple[str, str], holder: Path) -> Finding | None:
    mend = "name a file that the user Offhook runs as may read, with the secret in its first line"
    try:
        is_empty = not _first_line(holder)
    except (OSError, UnicodeDecodeError) as exc:
        return _at(file, text, loc, f"{holder}: {getattr(exc, 'strerror', None) or exc}", mend)
    return _at(file, text, loc, f"{holder}: its first line is empty", mend) if is_empty else None


def _unreadable_secrets(file: Path, text: str, written: Mapping[str, Any]) -> list[Finding]:
    """The same for settings that have other mistakes too: as far as the file tells."""
    findings = []
    for section, key in SECRETS:
        part = written.get(section)
        holder = part.get(f"{key}_file") if isinstance(part, dict) else None
        if isinstance(holder, str) and f"{PREFIX}{section}__{key}_file".upper() not in os.environ:
            findings.append(_secret_finding(file, text, (section, f"{key}_file"), file.resolve().parent / holder))
    return [finding for finding in findings if finding is not None]


def _with_secrets(settings: Settings) -> Settings:
    """Secrets read from the files that hold them; a file wins over a value."""
    changed: dict[str, Any] = {}
    for section, key in SECRETS:
        part = getattr(settings, section)
        holder: Path | None = getattr(part, f"{key}_file")
        if holder is not None:
            changed[section] = part.model_copy(update={key: SecretStr(_first_line(holder))})
    return settings.model_copy(update=changed)
