"""Flows from YAML: shapes by pydantic, sense by `_Sense`; every mistake of every file comes back in one ConfigError.

A new kind of node is one shape here (its keys, and how it becomes its class in `ivr.nodes`) with its entry in `SHAPES`.
The file format is described in `config/flows/default.yaml`.
"""

import hashlib
from collections.abc import Collection, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cti.caller import MatchKind
from cti.errors import ConfigError, Finding
from cti.ids import QueueId
from cti.yaml_lines import LinedYaml, read_yaml
from ivr.flow import Flow
from ivr.nodes import Branch, BranchBy, Choice, Collect, Farewell, Lookup, Menu, Node, Queue, Say
from ivr.step import Prompt, Prompts, Sound, Spoken

DEFAULT = "default"
"""The flow of every number that names none, and of every name nobody wrote."""

# These travel as channel variables and through the dialplan's own syntax, so they are plain words.
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]{1,40}$")]
Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(_[A-Za-z]{2,4})?$")]
StockSound = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", max_length=80)]
Text = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"\S")]
Key = Annotated[str, Field(pattern=r"^[0-9*#]$")]
Wait = Annotated[float, Field(gt=0, le=30)]
Tries = Annotated[int, Field(ge=1, le=10)]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _prompt(value: object) -> object:
    """A prompt as written: a text, `{sound: name}`, or `{en: text, es: text, instead: sound}`."""
    if isinstance(value, str):
        return {"texts": {"": value}}
    if isinstance(value, dict) and "sound" not in value:
        texts = {language: text for language, text in value.items() if language != "instead"}
        return {"texts": texts, **({"instead": value["instead"]} if "instead" in value else {})}
    return value


class _Prompt(_Shape):
    sound: StockSound | None = None
    texts: dict[Literal[""] | Language, Text] = Field(default_factory=dict)
    instead: StockSound = "beep"

    def prompt(self, language: str) -> Prompt:
        """The prompt, texts of the flow's own language first."""
        if self.sound is not None:
            return Sound(self.sound)
        texts = {language if tongue == "" else tongue: text for tongue, text in self.texts.items()}
        return Spoken(tuple(sorted(texts.items(), key=lambda pair: pair[0] != language)), self.instead)


_Prompts = Annotated[tuple[Annotated[_Prompt, BeforeValidator(_prompt)], ...], BeforeValidator(_listed)]
_SomePrompts = Annotated[_Prompts, Field(min_length=1)]


class _Node(_Shape):
    kind: str


class _Say(_Node):
    prompts: _SomePrompts
    next: Word

    def node(self, name: str, say: "_Speaker") -> Node:
        return Say(name, say(self.prompts), self.next)


class _Choice(_Shape):
    value: Word
    next: Word


class _Menu(_Node):
    prompts: _SomePrompts
    choices: dict[Key, _Choice] = Field(min_length=1)
    otherwise: Word
    answer: Word | Literal[""] = ""
    wrong: _Prompts = ()
    silent: _Prompts = ()
    timeout_s: Wait = 6.0
    tries: Tries = 3

    def node(self, name: str, say: "_Speaker") -> Node:
        choices = {key: Choice(choice.value, choice.next) for key, choice in self.choices.items()}
        spoken = say(self.prompts), say(self.wrong), say(self.silent)
        return Menu(
            name, spoken[0], choices, self.otherwise, self.answer, spoken[1], spoken[2], self.timeout_s, self.tries
        )


class _Collect(_Node):
    prompts: _SomePrompts
    answer: Word
    next: Word
    skipped: Word
    otherwise: Word
    wrong: _Prompts = ()
    least: int = Field(1, ge=1, le=40)
    most: int = Field(10, ge=1, le=40)
    sensitive: bool = False
    timeout_s: Wait = 6.0
    between_s: Wait = 3.0
    tries: Tries = 2

    def node(self, name: str, say: "_Speaker") -> Node:
        return Collect(
            name,
            say(self.prompts),
            self.answer,
            self.next,
            self.skipped,
            self.otherwise,
            wrong=say(self.wrong),
            least=self.least,
            most=self.most,
            is_sensitive=self.sensitive,
            timeout_s=self.timeout_s,
            between_s=self.between_s,
            tries=self.tries,
        )


class _Lookup(_Node):
    answer: Word
    found: Word
    missing: Word
    by: Annotated[str, Field(max_length=40)] = "account number"

    def node(self, name: str, say: "_Speaker") -> Node:
        return Lookup(name, self.answer, self.found, self.missing, self.by)


class _Branch(_Node):
    by: BranchBy
    cases: dict[Word, Word] = Field(min_length=1)
    otherwise: Word
    answer: Word | Literal[""] = ""
    wait_s: Annotated[float, Field(ge=0, le=2)] = 0.5

    def node(self, name: str, say: "_Speaker") -> Node:
        return Branch(name, self.by, self.cases, self.otherwise, self.answer, max(self.wait_s, 0.001))


class _Queue(_Node):
    queue: Word
    reason: Word
    prompts: _Prompts = ()
    skills: tuple[Word, ...] = ()
    priority: int = Field(0, ge=-1000, le=1000)
    by_tier: dict[Word, int] = Field(default_factory=dict)

    def node(self, name: str, say: "_Speaker") -> Node:
        return Queue(
            name, QueueId(self.queue), self.reason, say(self.prompts), self.skills, self.priority, self.by_tier
        )


class _Goodbye(_Node):
    prompts: _Prompts = ()

    def node(self, name: str, say: "_Speaker") -> Node:
        return Farewell(name, say(self.prompts))


SHAPES: dict[str, type[Any]] = {
    "say": _Say,
    "menu": _Menu,
    "collect": _Collect,
    "lookup": _Lookup,
    "branch": _Branch,
    "queue": _Queue,
    "goodbye": _Goodbye,
}
"""Every kind of node, by the word the file uses."""


class _Flow(_Shape):
    start: Word
    fallback: Word
    language: Language = "en"
    voices: dict[Language, Annotated[str, Field(pattern=r"^[A-Za-z0-9_+-]{1,40}$")]] = Field(default_factory=dict)
    after_talk: _Prompts = ()
    longest_s: float = Field(600.0, gt=0, le=3600)
    nodes: dict[Word, dict[str, Any]] = Field(min_length=1)


class _Speaker:
    """Prompts as written to prompts as played, for one flow's own language."""

    def __init__(self, language: str) -> None:
        self._language = language

    def __call__(self, prompts: Sequence[_Prompt]) -> Prompts:
        return tuple(prompt.prompt(self._language) for prompt in prompts)


def load_flows(folder: Path, queues: Collection[str]) -> dict[str, Flow]:
    """Every `*.yaml` of the folder by its name; `queues` are those of the site. Raises ConfigError with every finding."""
    findings: list[Finding] = []
    flows: dict[str, Flow] = {}
    for file in sorted(folder.glob("*.yaml")):
        flow = _load(file, queues, findings)
        if flow is not None:
            flows[flow.name] = flow
    if not findings and DEFAULT not in flows:
        mend = "`offhook init` writes one to start from"
        findings.append(Finding(str(folder / f"{DEFAULT}.yaml"), "(the file)", "there is no default flow", mend))
    if findings:
        raise ConfigError(findings)
    return flows


def _load(file: Path, queues: Collection[str], findings: list[Finding]) -> Flow | None:
    try:
        lined = read_yaml(file)
        version = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    except (OSError, UnicodeDecodeError) as exc:
        findings.append(Finding(str(file), "(the file)", str(exc)))
        return None
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark is not None else None
        findings.append(Finding(str(file), "(the file)", str(exc.problem), "write it as YAML", line))
        return None
    found: list[Finding] = []
    shape = _shape(_Flow, lined.value or {}, (), lined, found)
    nodes = _nodes(lined, _Speaker(shape.language if shape is not None else "en"), found)
    if shape is not None:
        found += _sense(shape, nodes, lined, queues)
    findings += found
    if shape is None or found:
        return None
    say = _Speaker(shape.language)
    return Flow(
        name=file.stem,
        version=version,
        start=shape.start,
        fallback=shape.fallback,
        nodes=nodes,
        language=shape.language,
        voices=tuple(shape.voices.items()),
        after_talk=say(shape.after_talk),
        longest_s=shape.longest_s,
    )


def _nodes(lined: LinedYaml, say: _Speaker, findings: list[Finding]) -> dict[str, Node]:
    written = lined.value.get("nodes") if isinstance(lined.value, dict) else None
    nodes: dict[str, Node] = {}
    for name, value in (written if isinstance(written, dict) else {}).items():
        kind = value.get("kind") if isinstance(value, dict) else None
        shape_of = SHAPES.get(kind) if isinstance(kind, str) else None
        if shape_of is None:
            why = f"no kind of node called {kind!r}" if kind else "says no kind"
            findings.append(_finding(lined, ("nodes", name, "kind"), why, f"choose from {', '.join(SHAPES)}"))
            continue
        shape = _shape(shape_of, value, ("nodes", name), lined, findings)
        if shape is not None:
            nodes[str(name)] = shape.node(str(name), say)
    return nodes


def _shape(
    kind: type[Any], value: object, path: tuple[Hashable, ...], lined: LinedYaml, findings: list[Finding]
) -> Any:
    try:
        return kind.model_validate(value)
    except ValidationError as exc:
        for error in exc.errors(include_url=False):
            loc = (*path, *(part for part in error["loc"] if part not in ("[key]", "texts")))
            mend = "remove it or mend its spelling" if error["type"] == "extra_forbidden" else ""
            findings.append(_finding(lined, loc, error["msg"], mend))
        return None


def _finding(lined: LinedYaml, path: Sequence[Hashable], why: str, mend: str = "") -> Finding:
    key = ".".join(str(part) for part in path)
    # YAML's own numbers (an unquoted key of a menu) stand in the list of lines as they were written.
    line = lined.line_of(path)
    as_written = lined.lines.get(tuple(str(part) for part in path))
    return Finding(str(lined.file), key, why, mend, as_written or line)


def _sense(shape: _Flow, nodes: dict[str, Node], lined: LinedYaml, queues: Collection[str]) -> Iterator[Finding]:
    names = set(shape.nodes)
    for key in ("start", "fallback"):
        if getattr(shape, key) not in names:
            yield _finding(lined, (key,), f"no node called {getattr(shape, key)!r}")
    fallback = nodes.get(shape.fallback)
    if fallback is not None and not isinstance(fallback, (Queue, Farewell)):
        yield _finding(lined, ("fallback",), "must be a queue or a goodbye", "a caller who is lost must get out")
    for name, node in nodes.items():
        for target in sorted(set(node.targets()) - names):
            yield _finding(lined, ("nodes", name), f"leads to {target!r}, which is no node")
        if isinstance(node, Queue) and node.queue not in queues:
            yield _finding(
                lined, ("nodes", name, "queue"), f"no queue called {node.queue!r}", "choose one of queues.yaml"
            )
        if isinstance(node, Collect) and node.least > node.most:
            yield _finding(lined, ("nodes", name, "least"), "is more than `most`")
        if isinstance(node, Branch):
            yield from _branch_sense(name, node, lined)
    for name in sorted(set(nodes) - _reached(shape, nodes)):
        yield _finding(lined, ("nodes", name), "no caller ever comes here", "lead to it or remove it")


def _branch_sense(name: str, node: Branch, lined: LinedYaml) -> Iterator[Finding]:
    if (node.by is BranchBy.ANSWER) != bool(node.answer):
        yield _finding(lined, ("nodes", name, "answer"), "is given when, and only when, it branches by answer")
    if node.by is BranchBy.MATCH:
        for case in sorted(set(node.cases) - set(MatchKind)):
            mend = f"choose from {', '.join(MatchKind)}"
            yield _finding(lined, ("nodes", name, "cases", case), "is no kind of match", mend)


def _reached(shape: _Flow, nodes: dict[str, Node]) -> set[str]:
    reached: set[str] = set()
    ahead = [shape.start, shape.fallback]
    while ahead:
        name = ahead.pop()
        if name in nodes and name not in reached:
            reached.add(name)
            ahead += nodes[name].targets()
    return reached
