"""YAML that remembers its lines, so that every mistake found later can be named by the line it stands on.

A key written twice is an error here (plain YAML readers take the last one silently).
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class LinedYaml:
    """One file's value (dicts, lists, scalars) with the line of every path into it."""

    file: Path
    value: Any
    lines: dict[tuple[Hashable, ...], int]

    def line_of(self, path: Sequence[Hashable]) -> int | None:
        """The line of this path, or of the nearest thing above it that exists."""
        nearest = self.lines.get(())
        here: tuple[Hashable, ...] = ()
        for part in path:
            # A number may be an index, or a key that YAML took for a number; keys stand in the list as they were written.
            here = (*here, part) if (*here, part) in self.lines else (*here, str(part))
            if here not in self.lines:
                break
            nearest = self.lines[here]
        return nearest


def read_yaml(file: Path) -> LinedYaml:
    """The file's value and lines. Raises OSError, UnicodeDecodeError, yaml.MarkedYAMLError."""
    text = file.read_text("utf-8")
    try:
        loader = yaml.SafeLoader(text)
    except yaml.reader.ReaderError as exc:
        problem = f"character {exc.character!r} is not allowed"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=_mark(file, text, exc.position)) from exc
    try:
        root = loader.get_single_node()
        lines: dict[tuple[Hashable, ...], int] = {}
        if root is None:
            return LinedYaml(file, None, lines)
        _note(root, (), lines)
        return LinedYaml(file, loader.construct_document(root), lines)
    except (ValueError, RecursionError) as exc:  # `2026-02-31` is no date, `&a [*a]` holds itself
        raise yaml.MarkedYAMLError(problem=str(exc)) from exc
    finally:
        loader.dispose()


def _mark(file: Path, text: str, position: int) -> yaml.Mark:
    return yaml.Mark(str(file), position, text.count("\n", 0, position), 0, None, 0)


def _note(node: yaml.Node, path: tuple[Hashable, ...], lines: dict[tuple[Hashable, ...], int]) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = (*path, str(key.value))
            if below in lines:
                raise yaml.MarkedYAMLError(problem=f"{key.value!r} is written twice", problem_mark=key.start_mark)
            lines[below] = key.start_mark.line + 1
            _note(value, below, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _note(value, (*path, index), lines)
