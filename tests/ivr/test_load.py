"""Flows as written: what ships is right, and every mistake is named with its line."""

from pathlib import Path

import pytest

from cti.caller import MatchKind
from cti.errors import ConfigError, Finding
from ivr.load import load_flows
from ivr.nodes import Branch, Menu, Queue
from ivr.step import Sound, Spoken

CONFIG = Path(__file__).parents[2] / "config"
QUEUES = {"sales", "support", "billing"}


def load(folder: Path, text: str) -> list[Finding]:
    """The findings of a default flow of this text."""
    (folder / "default.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_flows(folder, QUEUES)
    return list(caught.value.findings)


def test_the_flow_that_ships_is_right() -> None:
    """The default flow loads against the queues that ship with it."""
    flow = load_flows(CONFIG / "flows", QUEUES)["default"]
    assert (flow.name, flow.start, flow.fallback, len(flow.version)) == ("default", "greet", "to_operator", 12)
    menu = flow.nodes["menu"]
    assert isinstance(menu, Menu)
    assert {key: choice.value for key, choice in menu.choices.items()} == {
        "1": "sales", "2": "support", "3": "billing", "0": "operator",
    }  # fmt: skip
    who = flow.nodes["who"]
    assert isinstance(who, Branch)
    assert set(who.cases) == {MatchKind.UNKNOWN, MatchKind.WITHHELD}


def test_prompts_in_all_their_forms(tmp_path: Path) -> None:
    """A text, a text per language and a stock sound; the flow's own language answers for one that is missing."""
    (tmp_path / "default.yaml").write_text(
        "start: q\nfallback: q\nlanguage: es\nnodes:\n  q:\n    kind: queue\n    queue: sales\n    reason: r\n"
        "    prompts: [Hola., {en: Hello., es: Buenas., instead: hello-world}, {sound: digits/1}, {en: Only.}]\n"
    )
    node = load_flows(tmp_path, QUEUES)["default"].nodes["q"]
    assert isinstance(node, Queue)
    assert node.prompts == (
        Spoken((("es", "Hola."),)),
        Spoken((("es", "Buenas."), ("en", "Hello.")), "hello-world"),
        Sound("digits/1"),
        Spoken((("en", "Only."),)),
    )
    both = node.prompts[1]
    assert isinstance(both, Spoken)
    assert (both.text("en"), both.text("de")) == (("en", "Hello."), ("es", "Buenas."))


FULL_OF_MISTAKES = """start: greet
fallback: menu
nodes:
  greet:
    kind: say
    prompts: Hello
    next: menuu
  menu:
    kind: menu
    prompts: Choose
    otherwise: out
    tries: 0
    choices:
      "1": {value: one, next: out}
      x: {value: two, next: out}
  wait:
    kind: park
  out:
    kind: queue
    queue: slaes
    reason: no commas, please
    colour: red
  last:
    kind: queue
    queue: slaes
    reason: r
"""


def test_every_mistake_is_found_at_once_with_its_line(tmp_path: Path) -> None:
    """One reading names them all: kinds, keys, targets, queues, values."""
    findings = load(
        tmp_path,
        FULL_OF_MISTAKES,
    )
    by_line = {finding.line: finding for finding in findings}
    assert {4, 12, 15, 17, 21, 22, 23, 25} <= set(by_line)
    assert by_line[4].why == "leads to 'menuu', which is no node"
    assert by_line[12].key == "nodes.menu.tries"
    assert "no kind of node called 'park'" in by_line[17].why
    assert "say, menu, collect" in by_line[17].mend
    assert by_line[22].key == "nodes.out.colour"
    assert by_line[25].why == "no queue called 'slaes'"
    assert all(finding.file.endswith("default.yaml") for finding in findings)


QUEUE = "  out: {kind: queue, queue: sales, reason: r}\n"


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("", None, "Field required"),
        ("- a\n- b\n", 1, "valid dictionary"),
        ("start: [\n", 2, "expected the node content"),
        ("start: out\nstart: out\n", 2, "written twice"),
        ("start: out\nfallback: a\nnodes:\n  a: {kind: say, prompts: Hi, next: out}\n" + QUEUE, 2, "must be a queue"),
        ("start: nowhere\nfallback: out\nnodes:\n" + QUEUE, 1, "no node called 'nowhere'"),
        ("start: out\nfallback: out\nnodes:\n  lost: {kind: goodbye}\n" + QUEUE, 4, "no caller ever comes here"),
        ("start: out\nfallback: out\nnodes:\n  out: {kind: queue, queue: sales}\n", 4, "Field required"),
        ("start: out\nfallback: out\nnodes:\n  out: 7\n", 4, "valid dictionary"),
        (
            "start: b\nfallback: out\nnodes:\n"
            "  b:\n    kind: branch\n    by: match\n    otherwise: out\n    cases:\n      knwon: out\n" + QUEUE,
            9,
            "no kind of match",
        ),
        (
            "start: b\nfallback: out\nnodes:\n  b: {kind: branch, by: answer, cases: {x: out}, otherwise: out}\n"
            + QUEUE,
            4,
            "it branches by answer",
        ),
        (
            "start: b\nfallback: out\nnodes:\n"
            "  b: {kind: say, prompts: {sound: '../../etc/passwd'}, next: out}\n" + QUEUE,
            4,
            "match pattern",
        ),
    ],
)
def test_a_mistake_has_its_line(tmp_path: Path, text: str, line: int | None, why: str) -> None:
    """Each kind of mistake points to where it is."""
    findings = load(tmp_path, text)
    assert any(finding.line == line and why in finding.why for finding in findings), findings


def test_there_is_a_default_flow(tmp_path: Path) -> None:
    """A folder without a default flow is a mistake: some number would be answered by nothing."""
    with pytest.raises(ConfigError, match="no default flow"):
        load_flows(tmp_path, QUEUES)
