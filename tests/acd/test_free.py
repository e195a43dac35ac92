"""The lines of free agents, against looking at everybody."""

from hypothesis import given
from hypothesis import strategies as st

from acd.agent import Agent
from acd.free import Free
from acd.strategy import fits
from cti.ids import AgentId
from cti.site import AgentSpec

SKILLS = ("sales", "support", "lang.es")
NEEDED = tuple(frozenset(some) for some in ((), ("sales",), ("support",), ("sales", "lang.es")))
SETS_OF_SKILLS = ((), ("sales",), ("support",), ("sales", "support"), SKILLS)


def floor() -> list[Agent]:
    """Ten agents, two of each set of skills."""
    specs = (
        AgentSpec(agent=AgentId(f"a{n}"), name=f"A{n}", phone=f"PJSIP/a{n}", skills=SETS_OF_SKILLS[n % 5])
        for n in range(10)
    )
    return [Agent(spec=spec, phone=spec.phone, queues=()) for spec in specs]


def by_looking_at_everybody(free: dict[AgentId, Agent], needed: frozenset[str]) -> Agent | None:
    """The longest idle of those who fit, found the slow way."""
    fitting = [agent for agent in free.values() if fits(agent, needed)]
    return min(fitting, key=lambda one: (one.idle_since, one.id), default=None)


moves = st.lists(
    st.tuples(st.sampled_from(("put", "drop", "ask")), st.integers(0, 9), st.integers(0, 5), st.sampled_from(NEEDED)),
    max_size=200,
)


@given(moves)
def test_whoever_comes_and_goes_the_one_found_is_the_one_a_look_at_everybody_finds(
    said: list[tuple[str, int, int, frozenset[str]]],
) -> None:
    """Whoever comes and goes, the one found is the one a look at everybody finds, and the count is right."""
    agents = floor()
    lines, everybody = Free(agents), dict[AgentId, Agent]()
    for what, who, since, needed in said:
        agent = agents[who]
        if what == "put":
            agent.idle_since = float(since)
            lines.put(agent)
            everybody[agent.id] = agent
        elif what == "drop":
            lines.drop(agent.id)
            everybody.pop(agent.id, None)
        assert lines.longest_idle(needed) is by_looking_at_everybody(everybody, needed)
        assert lines.count(needed) == sum(fits(one, needed) for one in everybody.values())
        assert len(lines) == len(everybody)


def test_a_line_nobody_asks_for_does_not_grow() -> None:
    """A line nobody asks for any more holds at most a few entries for each agent, however often they come and go."""
    agents = floor()
    lines = Free(agents)
    lines.longest_idle(frozenset({"sales"}))
    for turn in range(2000):
        agent = agents[turn % 10]
        lines.drop(agent.id)
        agent.idle_since = float(turn)
        lines.put(agent)
    assert max(len(line.heap) for line in lines._lines.values()) <= 2 * 10 + 64
