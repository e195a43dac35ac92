"""YAML that remembers its lines."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cti.yaml_lines import read_yaml


def put(folder: Path, text: str) -> Path:
    """A file with this text."""
    file = folder / "some.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_every_path_has_the_line_it_was_written_on(tmp_path: Path) -> None:
    """Keys, items of lists, flow style, keys that YAML takes for numbers."""
    lined = read_yaml(put(tmp_path, "# first\na:\n  b: 1\n  c:\n    - x\n    - {d: 2,\n       e: 3}\n201: y\n"))
    assert lined.value == {"a": {"b": 1, "c": ["x", {"d": 2, "e": 3}]}, 201: "y"}
    paths: dict[tuple[Any, ...], int] = {
        ("a",): 2, ("a", "b"): 3, ("a", "c"): 4, ("a", "c", 0): 5, ("a", "c", 1): 6, ("a", "c", 1, "d"): 6,
        ("a", "c", 1, "e"): 7, (201,): 8, ("201",): 8,
    }  # fmt: skip
    for path, line in paths.items():
        assert lined.line_of(path) == line, path


def test_what_is_not_there_has_the_line_of_what_is_above(tmp_path: Path) -> None:
    """A key that is missing is looked for where it should be."""
    lined = read_yaml(put(tmp_path, "\na:\n  b: 1\n"))
    assert lined.line_of(("a", "missing", 3, "deeper")) == 2
    assert lined.line_of(("missing",)) == 2
    assert read_yaml(put(tmp_path, "# nothing\n")).line_of(("a",)) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), max_size=6),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.from_regex(r"\A[a-z]{1,5}\Z"), below, max_size=3),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(VALUES, st.booleans())
def test_any_yaml_is_read_as_plain_yaml_would(tmp_path: Path, value: Any, flow: bool) -> None:
    """The value is that of the plain reader; every path into it has a line, and lines go down the file."""
    text = yaml.safe_dump(value, default_flow_style=flow)
    lined = read_yaml(put(tmp_path, text))
    assert lined.value == value
    count = len(text.splitlines())

    def look(part: Any, path: tuple[Any, ...], above: int) -> None:
        line = lined.line_of(path)
        assert line is not None
        assert above <= line <= count
        if isinstance(part, dict):
            assert all((*path, key) in lined.lines for key in part)
            for key, below in part.items():
                look(below, (*path, key), line)
        elif isinstance(part, list):
            for index, below in enumerate(part):
                look(below, (*path, index), line)

    look(value, (), 1)


@pytest.mark.parametrize(
    ("text", "why", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "'a' is written twice", 3),
        ("x:\n  201: 1\n  201: 2\n", "'201' is written twice", 3),
        ("a: [1,\nb: 2\n", "", 3),
        ("a: 1\n\tb: 2\n", "", 2),
        ("a: ok\nb: \x07\n", "is not allowed", 2),
        ("a: !thing x\n", "", 1),
        ("a: 2026-02-31\n", "day", None),
        ("a: &a [*a]\n", "", None),
        ("a: 1\n---\nb: 2\n", "", 2),
        ("a: *nobody\n", "", 1),
    ],
)
def test_what_can_not_be_read_says_where(tmp_path: Path, text: str, why: str, line: int | None) -> None:
    """Every way to write no YAML is one kind of error, with the line wherever there is one."""
    with pytest.raises(yaml.MarkedYAMLError) as caught:
        read_yaml(put(tmp_path, text))
    assert why in str(caught.value.problem)
    mark = caught.value.problem_mark
    assert (mark.line + 1 if mark is not None else None) == line


def test_an_alias_may_stand_in_many_places(tmp_path: Path) -> None:
    """The default flow uses one; each place has its own line, its inside that of the anchor."""
    lined = read_yaml(put(tmp_path, "a: &x\n  b: 1\nc: *x\n"))
    assert lined.value == {"a": {"b": 1}, "c": {"b": 1}}
    assert (lined.line_of(("a", "b")), lined.line_of(("c",)), lined.line_of(("c", "b"))) == (2, 3, 2)
