"""One demo caller, drawn by dice: who calls, which number, which keys, how patient, how talkative.

Most are known; some share a number with others, are strangers, or withhold their number. Some leave in the menu and some
lose patience in the queue, as callers do.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from cti.demo.company import Person

STRANGERS = "+13105550"
MENU = {"sales": "1", "support": "2", "billing": "3"}


@dataclass(frozen=True, slots=True)
class Caller:
    """What one caller does. `keys` as the lab's dialplan reads them: `w3-2` waits 3 s and presses 2."""

    kind: str  # known, shared, stranger, withheld
    ani: str
    name: str
    dnis: str
    keys: str
    patience_s: int
    talk_s: int


def draw_caller(
    dice: random.Random, people: Sequence[Person], numbers: Sequence[str], queue: str = "", pace: float = 1.0
) -> Caller:
    """The next caller. `queue` fixes what he wants; `pace` below 1 makes everything he does shorter."""
    kind = dice.choices(("known", "shared", "stranger", "withheld"), (62, 13, 15, 10))[0] if not queue else "known"
    fitting = [person for person in people if person.shares == (kind == "shared")] or list(people)
    if queue:  # somebody there is something to show of
        fitting = [person for person in fitting if person.tier == "gold"] or fitting
    person = dice.choice(fitting)
    ani, name = person.phones[0], person.name
    if kind == "stranger":
        ani, name = f"{STRANGERS}{dice.randrange(1000):03d}", ""
    elif kind == "withheld":
        ani, name = "", ""
    leaves_in_menu = not queue and dice.random() < 0.07
    wanted = queue or dice.choice(tuple(MENU))
    keys = f"w{dice.randint(1, 2)}" if leaves_in_menu else f"w{dice.randint(2, 4)}-{MENU[wanted]}"
    if kind in ("stranger", "withheld") and not leaves_in_menu:
        account = person.account if dice.random() < 0.5 else ""
        keys += f"-w2-{account}#"
    impatient = dice.random() < 0.12
    patience = 0 if leaves_in_menu else dice.randint(4, 10) if impatient and not queue else dice.randint(60, 120)
    talk = max(3, round(dice.lognormvariate(3.0, 0.4) * pace))
    return Caller(kind, ani, name, dice.choice(numbers), keys, patience, talk)
