"""Reads the site: `queues.yaml` (queues, numbers, dispositions, reasons) and `agents.yaml`.

Shapes are checked by pydantic, sense by `_sense`; every mistake of both files comes back in one ConfigError with its line.
"""

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cti.errors import ConfigError, Finding
from cti.ids import AGENT_NAME, AgentId, QueueId
from cti.site import AgentSpec, Disposition, DnisSpec, QueueSpec, Site
from cti.yaml_lines import LinedYaml, read_yaml

Skill = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]{1,40}$")]
Name = Annotated[str, Field(min_length=1, max_length=80)]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class _Queue(_Shape):
    name: Name
    skills: tuple[Skill, ...] = Field(min_length=1)
    ring_for_s: float = Field(20.0, gt=0, le=300)
    wrap_up_s: float = Field(60.0, ge=0, le=3600)
    dispositions: dict[Skill, Name] = Field(default_factory=dict)
    music: Skill = "default"


class _Number(_Shape):
    name: Name
    flow: Skill = "default"
    language: Skill = "en"


class _Queues(_Shape):
    queues: dict[Skill, _Queue] = Field(min_length=1)
    dispositions: dict[Skill, Name] = Field(default_factory=dict)
    numbers: dict[str, _Number] = Field(default_factory=dict)
    not_ready_reasons: tuple[Skill, ...] = ("break", "lunch", "training", "paperwork")


class _Agent(_Shape):
    name: Name
    phone: str = Field(pattern=r"^[A-Za-z0-9_]+/[A-Za-z0-9_.@/:+-]+$")
    skills: tuple[Skill, ...] = ()


class _Agents(_Shape):
    agents: dict[str, _Agent] = Field(default_factory=dict)


def load_site(queues_file: Path, agents_file: Path) -> Site:
    """The site as written. Raises ConfigError with every finding of both files."""
    findings: list[Finding] = []
    queues_yaml = _read(queues_file, findings)
    agents_yaml = _read(agents_file, findings)
    queues = _shape(_Queues, queues_yaml, findings)
    agents = _shape(_Agents, agents_yaml, findings)
    if queues is not None and queues_yaml is not None and agents is not None and agents_yaml is not None:
        findings += _sense(queues, queues_yaml, agents, agents_yaml)
    if findings or queues is None or agents is None:
        raise ConfigError(findings)
    return _site(queues, agents)


def _read(file: Path, findings: list[Finding]) -> LinedYaml | None:
    try:
        return read_yaml(file)
    except (OSError, UnicodeDecodeError) as exc:
        findings.append(Finding(str(file), "(the file)", str(exc), "`offhook init` writes one to start from"))
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark is not None else None
        findings.append(Finding(str(file), "(the file)", str(exc.problem), "write it as YAML", line))
    return None


def _shape(kind: type[Any], lined: LinedYaml | None, findings: list[Finding]) -> Any:
    if lined is None:
        return None
    try:
        return kind.model_validate(lined.value if lined.value is not None else {})
    except ValidationError as exc:
        for error in exc.errors(include_url=False):
            loc = tuple(part for part in error["loc"] if part != "[key]")
            key = ".".join(str(part) for part in loc) or "(the file)"
            mend = "remove it or mend its spelling" if error["type"] == "extra_forbidden" else ""
            findings.append(Finding(str(lined.file), key, error["msg"], mend, lined.line_of(loc)))
        return None


def _sense(queues: _Queues, queues_yaml: LinedYaml, agents: _Agents, agents_yaml: LinedYaml) -> list[Finding]:
    findings = []
    for name in agents.agents:
        if not AGENT_NAME.match(name):
            mend = "use letters, digits, dot and underscore"
            line = agents_yaml.line_of(("agents", name))
            findings.append(Finding(str(agents_yaml.file), f"agents.{name}", "not an agent's name", mend, line))
    for name, queue in queues.queues.items():
        line = queues_yaml.line_of(("queues", name))
        if queue.wrap_up_s > 0 and not (queue.dispositions or queues.dispositions):
            why = "has a wrap-up but no disposition to choose"
            mend = "give `dispositions` here or at the top of the file"
            findings.append(Finding(str(queues_yaml.file), f"queues.{name}", why, mend, line))
    return findings


def doubts(site: Site) -> list[Finding]:
    """What is allowed but worth a warning: queues nobody serves, phones two share, skills no queue asks for."""
    return [*_unserved_queues(site), *_shared_phones(site), *_idle_skills(site)]


def _shared_phones(site: Site) -> list[Finding]:
    owners: dict[str, list[str]] = {}
    for agent in site.agents:
        owners.setdefault(agent.phone, []).append(agent.agent)
    return [
        Finding(
            "agents.yaml",
            f"agents.{names[-1]}.phone",
            f"{phone} is the phone of {' and '.join(names)}",
            "give each one",
        )
        for phone, names in owners.items()
        if len(names) > 1
    ]


def _idle_skills(site: Site) -> list[Finding]:
    asked = {skill for queue in site.queues for skill in queue.skills}
    return [
        Finding("agents.yaml", f"agents.{agent.agent}.skills", f"no queue asks for {skill!r}", "mend its spelling")
        for agent in site.agents
        for skill in agent.skills
        if skill not in asked and not skill.startswith("lang.")
    ]


def _unserved_queues(site: Site) -> list[Finding]:
    return [
        Finding("queues.yaml", f"queues.{queue.queue}", f"no agent has all of {', '.join(queue.skills)}", "add one")
        for queue in site.queues
        if not any(set(queue.skills) <= set(agent.skills) for agent in site.agents)
    ]


def _site(queues: _Queues, agents: _Agents) -> Site:
    return Site(
        queues=tuple(
            QueueSpec(
                queue=QueueId(name),
                name=queue.name,
                skills=queue.skills,
                ring_for_s=queue.ring_for_s,
                wrap_up_s=queue.wrap_up_s,
                dispositions=tuple(
                    Disposition(code, label) for code, label in (queue.dispositions or queues.dispositions).items()
                ),
                music=queue.music,
            )
            for name, queue in queues.queues.items()
        ),
        agents=tuple(
            AgentSpec(agent=AgentId(name), name=agent.name, phone=agent.phone, skills=agent.skills)
            for name, agent in agents.agents.items()
        ),
        dnis=tuple(DnisSpec(number, spec.name, spec.flow, spec.language) for number, spec in queues.numbers.items()),
        not_ready_reasons=queues.not_ready_reasons,
    )
