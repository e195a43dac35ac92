"""Facts of the screen, told by screenpop and agent_console."""

from dataclasses import dataclass

from cti.events.fact import AgentFact, CallFact
from cti.ids import AgentId, OfferId, SessionId
from cti.pop import Pop


@dataclass(frozen=True, slots=True, kw_only=True)
class PopChanged(CallFact):
    """What the agent's screen should show of this contact now."""

    agent: AgentId
    pop: Pop


@dataclass(frozen=True, slots=True, kw_only=True)
class PopPainted(CallFact):
    """The agent's browser has painted this version of the pop of this offer."""

    agent: AgentId
    offer: OfferId
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleConnected(AgentFact):
    """A browser (or program) of this agent is connected. `client` is what it calls itself."""

    session: SessionId
    client: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleLost(AgentFact):
    """The last connection of this agent's session is gone."""

    session: SessionId
