"""Who is free, and who of them has been idle longest, for any set of skills, without looking at everybody.

For each set of skills asked for so far there is a line: a heap of those who have them, longest idle first. An entry that
is no longer true is thrown away when it comes up, so freeing and taking an agent cost the logarithm of the floor, not the
floor. Knows no contact and no queue.
"""

import heapq
from collections.abc import Iterable, Iterator

from acd.agent import Agent
from acd.strategy import fits
from cti.ids import AgentId

_SLACK = 64
"""Untrue entries a line may hold beside one for each agent before it is made anew."""


class _Line:
    """Those with one set of skills. `entered` has the newest entry of each agent in `heap`; `count` are free now."""

    def __init__(self, fitting: frozenset[AgentId], free: Iterable[Agent]) -> None:
        self.fitting = fitting
        self.count = 0
        self.heap: list[tuple[float, AgentId]] = []
        self.entered: dict[AgentId, float] = {}
        for agent in free:
            if agent.id in fitting:
                self.count += 1
                self.enter(agent)

    def enter(self, agent: Agent) -> None:
        """She stands in line since she became idle; nothing happens when she does already."""
        if self.entered.get(agent.id) != agent.idle_since:
            self.entered[agent.id] = agent.idle_since
            heapq.heappush(self.heap, (agent.idle_since, agent.id))

    def first(self, free: dict[AgentId, Agent]) -> Agent | None:
        """The free one who has been idle longest; the name breaks ties."""
        while self.heap:
            since, name = self.heap[0]
            agent = free.get(name)
            if agent is not None and agent.idle_since == since:
                return agent
            heapq.heappop(self.heap)
            if self.entered.get(name) == since:
                del self.entered[name]
        return None


class Free:
    """The free agents of a floor, by name; `agents` are all there may ever be."""

    def __init__(self, agents: Iterable[Agent]) -> None:
        self._agents = tuple(agents)
        self._free: dict[AgentId, Agent] = {}
        self._lines: dict[frozenset[str], _Line] = {}

    def __contains__(self, agent: AgentId) -> bool:
        return agent in self._free

    def __len__(self) -> int:
        return len(self._free)

    def __iter__(self) -> Iterator[AgentId]:
        return iter(self._free)

    def values(self) -> Iterable[Agent]:
        """All of them."""
        return self._free.values()

    def put(self, agent: Agent) -> None:
        """She is free, or free since another moment."""
        is_new = agent.id not in self._free
        self._free[agent.id] = agent
        for needed, line in self._lines.items():
            if agent.id in line.fitting:
                line.count += is_new
                line.enter(agent)
                if len(line.heap) > 2 * len(line.fitting) + _SLACK:
                    self._lines[needed] = _Line(line.fitting, self._free.values())

    def drop(self, agent: AgentId) -> None:
        """She is not free; nothing happens when she was not before."""
        if self._free.pop(agent, None) is not None:
            for line in self._lines.values():
                line.count -= agent in line.fitting

    def longest_idle(self, needed: frozenset[str]) -> Agent | None:
        """Who of those with all these skills has been idle longest; the name breaks ties."""
        return self._line(needed).first(self._free)

    def count(self, needed: frozenset[str]) -> int:
        """How many have all these skills."""
        return self._line(needed).count

    def _line(self, needed: frozenset[str]) -> _Line:
        line = self._lines.get(needed)
        if line is None:
            fitting = frozenset(agent.id for agent in self._agents if fits(agent, needed))
            line = self._lines[needed] = _Line(fitting, self._free.values())
        return line
