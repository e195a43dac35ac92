"""Which agents have a screen, and when one without is said to be gone.

An agent's tabs are views of one agent: the first to come connects her, and only when the last has been away for the grace
time is she lost. A reload within it changes nothing. Pure: `now` is an argument, Facts are return values.
"""

from collections import Counter

from cti.events import ConsoleConnected, ConsoleLost, Fact
from cti.ids import AgentId, SessionId


class Presence:
    """The screens of every agent. Times are Unix seconds."""

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._screens: Counter[AgentId] = Counter()
        self._lost_at: dict[AgentId, tuple[float, SessionId]] = {}

    def came(self, agent: AgentId, session: SessionId, client: str, now: float) -> list[Fact]:
        """One more screen of this agent said hello."""
        self._screens[agent] += 1
        self._lost_at.pop(agent, None)
        return [ConsoleConnected(at=now, agent=agent, session=session, client=client)]

    def went(self, agent: AgentId, session: SessionId, now: float) -> None:
        """One screen less."""
        self._screens[agent] -= 1
        if self._screens[agent] <= 0:
            del self._screens[agent]
            self._lost_at[agent] = (now + self._grace_s, session)

    def miss(self, agent: AgentId, session: SessionId, now: float) -> None:
        """This agent had a screen before we started: it has the grace time to come back."""
        if agent not in self._screens:
            self._lost_at[agent] = (now + self._grace_s, session)

    def excuse(self, agent: AgentId) -> None:
        """This agent works without a screen: she is not missed."""
        self._lost_at.pop(agent, None)

    def has_screen(self, agent: AgentId) -> bool:
        """True while a screen of this agent is connected."""
        return agent in self._screens

    def next_wake(self) -> float | None:
        """When the next agent will be lost; None when everybody is here."""
        return min((at for at, _ in self._lost_at.values()), default=None)

    def wake(self, now: float) -> list[Fact]:
        """The agents whose grace is over."""
        over = [(agent, session) for agent, (at, session) in self._lost_at.items() if at <= now]
        for agent, _ in over:
            del self._lost_at[agent]
        return [ConsoleLost(at=now, agent=agent, session=session) for agent, session in over]
