"""The kinds of node a flow is made of. Pure: a node hears one input and says its one next move.

A new kind is one class here and one shape in `ivr.load`; the walk knows none of them by name. What a node must remember
while the caller is in it (tries, digits) is in the `Visit`, what outlives it is in the `Memory`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from cti.caller import MatchKind
from cti.ids import CustomerId, QueueId
from cti.pop import IvrAnswer
from ivr.step import (
    ALL_KEYS,
    AwaitKey,
    AwaitMatch,
    Enqueue,
    Goodbye,
    Input,
    KeyPressed,
    LookedUp,
    LookUp,
    Order,
    Play,
    Played,
    Prompts,
    TimedOut,
)


@dataclass(slots=True)
class Memory:
    """What is known of one caller on one walk. `ahead` are keys pressed before anybody asked."""

    language: str
    match: MatchKind | None = None
    tier: str = ""
    customer: CustomerId | None = None
    answers: dict[str, str] = field(default_factory=dict)
    ahead: str = ""


@dataclass(slots=True)
class Visit:
    """One stay of the caller in one node."""

    memory: Memory
    tries: int = 0
    digits: str = ""


@dataclass(frozen=True, slots=True)
class Move:
    """What a node wants next: one order, or another node; and what the caller has told us by it."""

    order: Order | None = None
    go_to: str | None = None
    answer: IvrAnswer | None = None
    identified_by: str | None = None


class Node(Protocol):
    """One place of a flow."""

    @property
    def name(self) -> str:
        """Its name in the flow."""

    def targets(self) -> tuple[str, ...]:
        """Every node it may go to."""

    def says(self) -> Prompts:
        """Every prompt it may play, to be rendered ahead."""

    def enter(self, visit: Visit) -> Move:
        """The first move when the caller comes here."""

    def receive(self, heard: Input, visit: Visit) -> Move:
        """The next move after what was heard."""


def key_of(heard: Input) -> str:
    """The key in this input, "" when it holds none."""
    return heard.key if isinstance(heard, (Played, KeyPressed)) else ""


@dataclass(frozen=True, slots=True)
class Say:
    """Says something. A key ends it and counts for the next question."""

    name: str
    prompts: Prompts
    next: str

    def targets(self) -> tuple[str, ...]:
        """Where it goes on."""
        return (self.next,)

    def says(self) -> Prompts:
        """What it may play."""
        return self.prompts

    def enter(self, visit: Visit) -> Move:
        """Speak."""
        return Move(Play(self.prompts, ALL_KEYS))

    def receive(self, heard: Input, visit: Visit) -> Move:
        """Go on, keeping a key pressed early."""
        visit.memory.ahead += key_of(heard)
        return Move(go_to=self.next)


@dataclass(frozen=True, slots=True)
class Choice:
    """One key of a menu: what it means (as an answer) and where it leads."""

    value: str
    next: str


@dataclass(frozen=True, slots=True)
class Menu:
    """Offers keys; after `tries` wrong keys or time-outs it goes to `otherwise`."""

    name: str
    prompts: Prompts
    choices: Mapping[str, Choice]
    otherwise: str
    answer: str = ""  # name under which the choice is remembered, "" for none
    wrong: Prompts = ()
    silent: Prompts = ()
    timeout_s: float = 6.0
    tries: int = 3

    def targets(self) -> tuple[str, ...]:
        """Where its keys lead, and where it goes when nobody chooses."""
        return (*(choice.next for choice in self.choices.values()), self.otherwise)

    def says(self) -> Prompts:
        """What it may play."""
        return (*self.prompts, *self.wrong, *self.silent)

    def enter(self, visit: Visit) -> Move:
        """Offer the choice, or take the key pressed ahead."""
        ahead, visit.memory.ahead = visit.memory.ahead, ""
        return self._heard(ahead[-1], visit) if ahead else Move(Play(self.prompts, ALL_KEYS))

    def receive(self, heard: Input, visit: Visit) -> Move:
        """A key, the end of the prompts, or silence."""
        if key := key_of(heard):
            return self._heard(key, visit)
        if isinstance(heard, Played):
            return Move(AwaitKey(self.timeout_s))
        return self._again(visit, self.silent)

    def _heard(self, key: str, visit: Visit) -> Move:
        choice = self.choices.get(key)
        if choice is None:
            return self._again(visit, self.wrong)
        if not self.answer:
            return Move(go_to=choice.next)
        visit.memory.answers[self.answer] = choice.value
        return Move(go_to=choice.next, answer=IvrAnswer(self.answer, choice.value))

    def _again(self, visit: Visit, first: Prompts) -> Move:
        visit.tries += 1
        if visit.tries >= self.tries:
            return Move(go_to=self.otherwise)
        return Move(Play(first + self.prompts, ALL_KEYS))


@dataclass(frozen=True, slots=True)
class Collect:
    """Asks for digits. # ends them; # alone skips; * starts over. Too few, or none in time, is a try."""

    name: str
    prompts: Prompts
    answer: str
    next: str
    skipped: str
    otherwise: str
    wrong: Prompts = ()
    least: int = 1
    most: int = 10
    is_sensitive: bool = False
    timeout_s: float = 6.0
    between_s: float = 3.0
    tries: int = 2

    def targets(self) -> tuple[str, ...]:
        """Where it goes with digits, without, and when it gives up."""
        return (self.next, self.skipped, self.otherwise)

    def says(self) -> Prompts:
        """What it may play."""
        return (*self.prompts, *self.wrong)

    def enter(self, visit: Visit) -> Move:
        """Ask. Keys pressed ahead were meant for something else."""
        visit.memory.ahead = ""
        return Move(Play(self.prompts, ALL_KEYS))

    def receive(self, heard: Input, visit: Visit) -> Move:
        """A key, the end of the prompts, or silence."""
        key = key_of(heard)
        if key == "#":
            return self._done(visit) if visit.digits else Move(go_to=self.skipped)
        if key == "*":
            visit.digits = ""
            return Move(AwaitKey(self.timeout_s))
        if key:
            visit.digits += key
            return self._done(visit) if len(visit.digits) >= self.most else Move(AwaitKey(self.between_s))
        if isinstance(heard, TimedOut):
            return self._done(visit)
        return Move(AwaitKey(self.timeout_s))

    def _done(self, visit: Visit) -> Move:
        digits, visit.digits = visit.digits, ""
        if len(digits) < self.least:
            visit.tries += 1
            if visit.tries >= self.tries:
                return Move(go_to=self.otherwise)
            return Move(Play(self.wrong + self.prompts, ALL_KEYS))
        visit.memory.answers[self.answer] = digits
        shown = "*" * len(digits) if self.is_sensitive else digits
        return Move(go_to=self.next, answer=IvrAnswer(self.answer, shown))


@dataclass(frozen=True, slots=True)
class Lookup:
    """Asks whose account the digits of an earlier answer are."""

    name: str
    answer: str
    found: str
    missing: str
    by: str = "account number"

    def targets(self) -> tuple[str, ...]:
        """Where it goes with a customer and without."""
        return (self.found, self.missing)

    def says(self) -> Prompts:
        """What it may play."""
        return ()

    def enter(self, visit: Visit) -> Move:
        """Ask, where there is something to ask with."""
        account = visit.memory.answers.get(self.answer)
        return Move(LookUp(account)) if account else Move(go_to=self.missing)

    def receive(self, heard: Input, visit: Visit) -> Move:
        """Remember who it is."""
        if isinstance(heard, LookedUp) and heard.customer is not None:
            visit.memory.customer = heard.customer
            return Move(go_to=self.found, identified_by=self.by)
        return Move(go_to=self.missing)


class BranchBy(StrEnum):
    """What a branch looks at."""

    MATCH = "match"  # what the number told us
    LANGUAGE = "language"
    ANSWER = "answer"  # an earlier answer of the caller


@dataclass(frozen=True, slots=True)
class Branch:
    """Goes one way or another by what is known; waits a short while for the match where that is not in yet."""

    name: str
    by: BranchBy
    cases: Mapping[str, str]
    otherwise: str
    answer: str = ""
    wait_s: float = 0.5

    def targets(self) -> tuple[str, ...]:
        """Every way."""
        return (*self.cases.values(), self.otherwise)

    def says(self) -> Prompts:
        """What it may play."""
        return ()

    def enter(self, visit: Visit) -> Move:
        """Choose, or wait for what is needed to choose."""
        if self.by is BranchBy.MATCH and visit.memory.match is None:
            return Move(AwaitMatch(self.wait_s))
        return self.receive(TimedOut(), visit)

    def receive(self, heard: Input, visit: Visit) -> Move:
        """Choose by what is known now."""
        memory = visit.memory
        if self.by is BranchBy.ANSWER:
            value = memory.answers.get(self.answer, "")
        elif self.by is BranchBy.LANGUAGE:
            value = memory.language
        else:
            value = memory.match or ""
        return Move(go_to=self.cases.get(value, self.otherwise))


@dataclass(frozen=True, slots=True)
class Queue:
    """The end of the walk: the caller waits for an agent. `by_tier` adds to the priority of valued customers."""

    name: str
    queue: QueueId
    reason: str
    prompts: Prompts = ()
    skills: tuple[str, ...] = ()
    priority: int = 0
    by_tier: Mapping[str, int] = field(default_factory=dict)

    def targets(self) -> tuple[str, ...]:
        """Nowhere."""
        return ()

    def says(self) -> Prompts:
        """What it may play."""
        return self.prompts

    def enter(self, visit: Visit) -> Move:
        """Say so, then wait."""
        return Move(Play(self.prompts)) if self.prompts else self.receive(Played(), visit)

    def receive(self, heard: Input, visit: Visit) -> Move:
        """Wait for an agent."""
        memory = visit.memory
        priority = self.priority + self.by_tier.get(memory.tier, 0)
        return Move(Enqueue(self.queue, memory.language, self.skills, priority, self.reason))


@dataclass(frozen=True, slots=True)
class Farewell:
    """The end of the walk: a last word, then the PBX hangs up."""

    name: str
    prompts: Prompts = ()

    def targets(self) -> tuple[str, ...]:
        """Nowhere."""
        return ()

    def says(self) -> Prompts:
        """What it may play."""
        return self.prompts

    def enter(self, visit: Visit) -> Move:
        """Say it."""
        return Move(Play(self.prompts)) if self.prompts else Move(Goodbye())

    def receive(self, heard: Input, visit: Visit) -> Move:
        """Hang up."""
        return Move(Goodbye())
