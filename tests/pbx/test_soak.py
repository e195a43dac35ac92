"""Twelve calls at random moments, the daemon killed at three of them: afterwards everything adds up."""

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.pbx.cel_record import read_cel
from tests.pbx.desk import Desk
from tests.pbx.house import House
from tests.pbx.sipp import SippCaller

pytestmark = [pytest.mark.pbx, pytest.mark.timeout(300)]

CALLS = 12
KILLS = 3
LASTS_S = 36.0
LONGEST_CALL_S = 16.0

SEEDS = [int(seed) for seed in os.environ.get("OFFHOOK_SOAK_SEEDS", "7").split(",")]
"""For a longer hunt: OFFHOOK_SOAK_SEEDS=1,2,3."""


@dataclass
class Day:
    """What happens when; moments are seconds from the beginning."""

    dice: random.Random
    moments: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        calls = [(self.dice.uniform(0.0, LASTS_S), "call") for _ in range(CALLS)]
        kills = [(self.dice.uniform(4.0, LASTS_S + 4.0), "kill") for _ in range(KILLS)]
        self.moments = sorted(calls + kills)

    def caller(self, house: House) -> SippCaller:
        """Somebody with something to say, or with little patience."""
        reason = self.dice.choice(["1", "1", "2", "3", ""])
        keys = [(self.dice.uniform(0.6, 2.5), reason)] if reason else []
        return house.caller(keys=keys, talk_s=self.dice.uniform(1.0, LONGEST_CALL_S - 4.0))


def work(agents: list[Desk]) -> None:
    """What agents do: write up, and be ready."""
    for agent in agents:
        pop = agent.view.get("pop")
        if pop is not None and pop["phase"] == "wrap_up":
            agent.do(name="finish", call=pop["call"], disposition="resolved", note="")
        if agent.view["me"]["line"]["availability"] == "not_ready":
            agent.do(name="ready")


def work_until(agents: list[Desk], is_time: Callable[[], bool]) -> None:
    """Let the agents work until then."""
    while not is_time():
        work(agents)
        time.sleep(0.1)


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_the_moment_everything_adds_up(house: House, seed: int) -> None:
    """One contact for each call, as Asterisk's record has it; no agent stuck, no channel left, no phone rung twice."""
    agents = [house.agent("ann"), house.agent("bob")]
    house.phone("a1", answers=0.8)
    house.phone("a2", answers=1.6)
    day, began = Day(random.Random(seed)), time.monotonic()
    callers: list[SippCaller] = []
    for moment, what in day.moments:
        work_until(agents, lambda moment=moment: time.monotonic() - began >= moment)  # type: ignore[misc]
        if what == "call":
            callers.append(day.caller(house))
            continue
        house.kill_daemon()
        house.start_daemon()
        for agent in agents:
            agent.connect()
    until = time.monotonic() + LONGEST_CALL_S + 20.0
    work_until(agents, lambda: all(caller.is_over for caller in callers) or time.monotonic() > until)
    assert all(caller.is_over for caller in callers)
    idle_by = time.monotonic() + 30.0
    work_until(agents, lambda: all(is_idle(agent) for agent in agents) or time.monotonic() > idle_by)
    assert all(is_idle(agent) for agent in agents), [agent.view["me"] for agent in agents]
    house.assert_sound(contacts=CALLS)
    legs = [row.leg for row in read_cel(house.lab) if row.event == "CHAN_START" and row.leg.startswith("offhook-")]
    assert len(legs) == len(set(legs))


def is_idle(agent: Desk) -> bool:
    """Ready for the next contact, with nothing on the screen."""
    line = agent.view["me"]["line"]
    return (line["activity"], line["availability"]) == ("idle", "ready") and "pop" not in agent.view
