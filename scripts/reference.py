#!/usr/bin/env python3
"""Writes docs/reference/{facts,requests,settings,commands}.md from the code: `python scripts/reference.py`.

Docstrings, descriptions and the comments beside fields are the text; a test compares the committed pages with what this
renders, so that the pages are never behind the code. With `--check` nothing is written and the exit status tells.
"""

import ast
import dataclasses
import enum
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import typer
from typer.models import ArgumentInfo

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from cti import cli, events, requests  # noqa: E402 - found by the line above
from cti.settings import Section, Settings  # noqa: E402
from cti.wire import FACT_KINDS, REQUEST_KINDS, VERSION  # noqa: E402

PAGES = ROOT / "docs" / "reference"
WRITTEN_BY = "<!-- Written by scripts/reference.py from the code; change the code's words instead. -->"


def pages() -> dict[str, str]:
    """Every page: file name to text."""
    return {"facts.md": facts(), "requests.md": requested(), "settings.md": settings(), "commands.md": commands()}


# --- facts and requests ------------------------------------------------------------------------------------------------


def facts() -> str:
    """The page of Facts, grouped by who tells them, and of the values in them."""
    lines = [
        "# Facts",
        WRITTEN_BY,
        _paragraphs(events.__doc__ or ""),
        f'On the tap (`offhook tail --json`) a Fact is one line: `{{"v": {VERSION}, "kind": NAME, "body": {{...}}}}`.',
        "Every Fact has `at` (float, Unix seconds) and `inferred` (bool, false by default); Facts of a call have `call`, "
        "Facts of an agent have `agent`.",
    ]
    by_module: dict[str, list[type]] = {}
    for kind in FACT_KINDS.values():
        by_module.setdefault(kind.__module__, []).append(kind)
    for module, kinds in sorted(by_module.items()):
        lines.append(f"## {_headline(sys.modules[module].__doc__ or '')}")
        lines += [_dataclass(kind, hide=("at", "inferred")) for kind in kinds]
    lines.append("## Values in Facts")
    lines += [_value(kind) for kind in _values_in(FACT_KINDS.values())]
    return "\n\n".join(lines) + "\n"


def requested() -> str:
    """The page of Requests, grouped by who answers, and of the values that Facts don't have."""
    known = set(_values_in(FACT_KINDS.values()))
    lines = ["# Requests", WRITTEN_BY, _paragraphs(requests.__doc__ or "")]
    by_room: dict[str, list[type]] = {}
    for kind in REQUEST_KINDS.values():
        by_room.setdefault((kind.__doc__ or "").split(":", 1)[0], []).append(kind)
    replies = []
    for room, kinds in by_room.items():
        lines.append(f"## Answered by {room}")
        for kind in kinds:
            (reply,) = typing.get_args(kind.__orig_bases__[0])
            replies.append(reply)
            lines.append(_dataclass(kind, reply=_type(reply)))
    lines += [
        "## Values in Requests and answers",
        "Those that Facts have too are in [Facts](facts.md#values-in-facts).",
    ]
    lines += [_value(kind) for kind in _values_in([*REQUEST_KINDS.values(), *replies]) if kind not in known]
    return "\n\n".join(lines) + "\n"


def _dataclass(kind: type, hide: Iterable[str] = (), reply: str = "") -> str:
    words = (kind.__doc__ or "").split(": ", 1)[-1] if reply else kind.__doc__ or ""
    told = _paragraphs(words[:1].upper() + words[1:])
    rows = [
        (f"`{field.name}`", f"`{_type(hint)}`", _default(field), comment)
        for field, hint, comment in _fields(kind)
        if field.name not in hide
    ]
    parts = [f"### {kind.__name__}", told]
    if reply:
        parts.append(f"Answer: `{reply}`" if reply != "None" else "Answer: nothing; it is done.")
    if rows:
        parts.append(_table(("field", "type", "default", ""), rows))
    return "\n\n".join(parts)


def _value(kind: type) -> str:
    if not issubclass(kind, enum.Enum):
        return _dataclass(kind)
    comments = _comments(kind)
    rows = [(f"`{member.value}`", comments.get(member.name, "")) for member in kind]
    return f"### {kind.__name__}\n\n{_paragraphs(kind.__doc__ or '')}\n\n{_table(('value', ''), rows)}"


def _fields(kind: type) -> Iterator[tuple["dataclasses.Field[Any]", Any, str]]:
    hints = typing.get_type_hints(kind)
    comments: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if dataclasses.is_dataclass(base):
            comments |= _comments(base)
    for field in dataclasses.fields(kind):
        yield field, hints[field.name], comments.get(field.name, "")


def _comments(kind: type) -> dict[str, str]:
    """The comment beside each field."""
    source = inspect.getsource(kind)
    lines = source.splitlines()
    (tree,) = ast.parse(source).body
    found: dict[str, str] = {}
    for node in tree.body if isinstance(tree, ast.ClassDef) else ():
        target = (
            node.target
            if isinstance(node, ast.AnnAssign)
            else node.targets[0]
            if isinstance(node, ast.Assign)
            else None
        )
        rest = lines[(node.end_lineno or 1) - 1].encode()[node.end_col_offset or 0 :].decode()
        if isinstance(target, ast.Name) and "#" in rest:
            found[target.id] = rest.split("#", 1)[1].strip()
    return found


def _values_in(kinds: Iterable[Any]) -> list[type]:
    """The dataclasses and enumerations of ours inside these, all the way down, by name."""
    found: dict[str, type] = {}

    def look(hint: Any) -> None:
        for part in typing.get_args(hint):
            look(part)
        is_ours = isinstance(hint, type) and (dataclasses.is_dataclass(hint) or issubclass(hint, enum.Enum))
        if is_ours and hint.__name__ not in found:
            found[hint.__name__] = hint
            for below in typing.get_type_hints(hint).values() if dataclasses.is_dataclass(hint) else ():
                look(below)

    for kind in kinds:
        is_word = kind in (*FACT_KINDS.values(), *REQUEST_KINDS.values())
        for hint in typing.get_type_hints(kind).values() if is_word else (kind,):
            look(hint)
    return [found[name] for name in sorted(found)]


def _type(hint: Any) -> str:
    if hint is type(None) or hint is None:
        return "None"
    if isinstance(hint, typing.NewType):
        return str(hint.__name__)
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return _type(arguments[0])
    if origin is typing.Literal:
        return " or ".join(f'"{each}"' for each in arguments)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_type(each) for each in arguments)
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"map of {_type(arguments[0])} to {_type(arguments[1])}"
    if hint is str:
        return "text"
    return {"Path": "path", "SecretStr": "secret"}.get(hint.__name__, str(hint.__name__))


def _default(field: "dataclasses.Field[Any]") -> str:
    return "" if field.default is dataclasses.MISSING else _shown(field.default)


# --- settings ----------------------------------------------------------------------------------------------------------


def settings() -> str:
    """The page of settings, a table for each section."""
    lines = [
        "# Settings",
        WRITTEN_BY,
        "Read from `offhook.toml` (or the file of `--config`, or of `$OFFHOOK_CONFIG`). Each can be given in the environment "
        "as well, and the environment wins: `OFFHOOK__PBX__HOST=10.0.0.5`, a list as JSON or with commas between. An empty "
        "variable counts as not set. Relative paths are relative to the settings file. `offhook check` names every mistake.",
    ]
    for name, field in Settings.model_fields.items():
        section = field.annotation
        assert isinstance(section, type)
        assert issubclass(section, Section)
        rows = []
        for key, setting in section.model_fields.items():
            assert setting.description, f"{name}.{key} has no description"
            default = setting.default
            shown = "" if hasattr(default, "get_secret_value") or default is None else _shown(default)
            rows.append((f"`{key}`", _type(setting.annotation).removesuffix(" or None"), shown, setting.description))
        lines += [f"## [{name}]", _paragraphs(section.__doc__ or ""), _table(("setting", "type", "default", ""), rows)]
    return "\n\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, (tuple, list)):
        return "`[" + ", ".join(f'"{each}"' for each in value) + "]`" if value else "`[]`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`" if str(value) else '`""`'


# --- commands ----------------------------------------------------------------------------------------------------------


def commands() -> str:
    """The page of commands, from the functions themselves (typer's own view of them changes with its version)."""
    cli.add_rooms_commands()
    lines = [
        "# Commands",
        WRITTEN_BY,
        "Exit status: 0 done; 1 it could not be done, the words say why; 2 a mistake in the configuration or the command line.",
    ]
    lines += [_command(name, function) for name, function in sorted(_walk("offhook", cli.app))]
    return "\n\n".join(lines) + "\n"


def _walk(name: str, app: typer.Typer) -> Iterator[tuple[str, Callable[..., Any]]]:
    for command in app.registered_commands:
        assert command.callback is not None
        yield f"{name} {command.name or command.callback.__name__.replace('_', '-')}", command.callback
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from _walk(f"{name} {group.name}", group.typer_instance)


def _command(name: str, function: Callable[..., Any]) -> str:
    assert function.__doc__, f"{name} has no docstring"
    arguments: list[tuple[str, str, str]] = []
    options: list[tuple[str, str, str]] = []
    usage = [name]
    hints = typing.get_type_hints(function, include_extras=True)
    for word, parameter in inspect.signature(function).parameters.items():
        kind, said = typing.get_args(hints[word])
        assert said.help, f"{name}: {word} has no help"
        is_needed = parameter.default is inspect.Parameter.empty
        shown = "" if is_needed or parameter.default in (None, False, "") else _shown(parameter.default)
        told = said.help + (f" One of {', '.join(kind)}." if isinstance(kind, enum.EnumMeta) else "")
        if isinstance(said, ArgumentInfo):
            called = said.metavar or word.upper()
            usage.append(called if is_needed else f"[{called}]")
            arguments.append((f"`{called}`", shown, told))
        else:
            # Inside Annotated, typer takes the first name for the default.
            written = [each for each in (said.default, *(said.param_decls or ())) if str(each).startswith("-")]
            options.append((f"`{', '.join(written or ['--' + word.replace('_', '-')])}`", shown, told))
    if options:
        usage.insert(1, "[OPTIONS]")
    parts = [f"## {name}", _paragraphs(function.__doc__), f"    {' '.join(usage)}"]
    if arguments or options:
        parts.append(_table(("", "default", ""), [*arguments, *options]))
    return "\n\n".join(parts)


# --- Markdown ----------------------------------------------------------------------------------------------------------


def _headline(text: str) -> str:
    return text.strip().splitlines()[0].rstrip(".")


def _paragraphs(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n"))


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def main() -> int:
    """Write the pages, or with `--check` tell which are behind."""
    behind = []
    for name, text in pages().items():
        file = PAGES / name
        if file.is_file() and file.read_text(encoding="utf-8") == text:
            continue
        behind.append(name)
        if "--check" not in sys.argv:
            PAGES.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    print(f"written anew: {', '.join(behind)}" if behind else "the pages are as the code says")
    return 1 if behind and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
