"""The site: queues, agents, the numbers people dial, and the words agents choose from, as the operator wrote them.

Loaded from `queues.yaml` and `agents.yaml` by `cti.site_file`, which finds every mistake with its line.
"""

from dataclasses import dataclass

from cti.ids import AgentId, QueueId


@dataclass(frozen=True, slots=True)
class Disposition:
    """What an agent may say a contact came to."""

    code: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSpec:
    """One queue as configured. Seconds are floats."""

    queue: QueueId
    name: str
    skills: tuple[str, ...]  # an agent needs all of them
    ring_for_s: float = 20.0
    wrap_up_s: float = 60.0
    dispositions: tuple[Disposition, ...]
    music: str = "default"  # music-on-hold class


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSpec:
    """One agent as configured. `phone` is a dial string: `PJSIP/ann`, `Local/201@from-queue/n`."""

    agent: AgentId
    name: str
    phone: str
    skills: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DnisSpec:
    """One number people dial: what it is called, which flow answers it, in which language."""

    number: str
    name: str
    flow: str = "default"
    language: str = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Everything the operator configured about people, queues and numbers."""

    queues: tuple[QueueSpec, ...]
    agents: tuple[AgentSpec, ...]
    dnis: tuple[DnisSpec, ...]
    not_ready_reasons: tuple[str, ...]

    def queue(self, queue: str) -> QueueSpec | None:
        """The queue of this name, or None."""
        return next((spec for spec in self.queues if spec.queue == queue), None)

    def dnis_name(self, number: str) -> str:
        """What this dialed number is called, "" when it has no name."""
        return next((spec.name for spec in self.dnis if spec.number == number), "")
