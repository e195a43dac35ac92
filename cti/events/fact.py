"""What every Fact is: past tense, it happened, nobody can refuse it."""

from dataclasses import dataclass

from cti.ids import AgentId, CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened."""

    at: float
    inferred: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFact(Fact):
    """Something that happened to one call."""

    call: CallId


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFact(Fact):
    """Something that happened to one agent."""

    agent: AgentId
