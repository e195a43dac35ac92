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
        here = tuple(str(part) if not isinstance(part, int) else part for part in path)
        while here:
            if here in self.lines:
                return self.lines[here]
            here = here[:-1]
        return self.lines.get(())


def read_yaml(file: Path) -> LinedYaml:
    """The file's value and lines. Raises OSError, UnicodeDecodeError, yaml.MarkedYAMLError."""
    text = file.read_text("utf-8")
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        lines: dict[tuple[Hashable, ...], int] = {}
        if root is None:
            return LinedYaml(file, None, lines)
        _note(root, (), lines)
        return LinedYaml(file, loader.construct_document(root), lines)
    finally:
        loader.dispose()


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
