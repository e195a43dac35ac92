"""The walk: one caller through one flow, key by key, time-out by time-out, to a queue or a goodbye. A pure decider.

    new --begin--> walking --Enqueue/Goodbye--> leaving --HandedOver--> over
                      |                            |
                      +----------HungUp------------+------------------> over

It always ends: every node gives up after its tries, and past MAX_STEPS nodes or the flow's longest time the caller goes to
the flow's fallback, which is a queue or a goodbye. An input nobody waits for is counted and changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cti.events import AnswerGiven, CallerIdentified, Fact, FlowEnded, FlowStarted, NodeEntered
from cti.ids import CallId
from ivr.nodes import Farewell, Memory, Move, Node, Queue, Visit
from ivr.step import ANSWERED_BY, Enqueue, Goodbye, HandedOver, HungUp, Input, Matched, Order, Prompts

MAX_STEPS = 60
"""Most nodes one caller passes before the fallback."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow as written. `version` is its text's fingerprint; `voices` are (language, voice) pairs."""

    name: str
    version: str
    start: str
    fallback: str  # a Queue or a Farewell
    nodes: Mapping[str, Node]
    language: str = "en"
    voices: tuple[tuple[str, str], ...] = ()
    after_talk: Prompts = ()
    longest_s: float = 600.0


class WalkState(StrEnum):
    """How far a walk is."""

    NEW = "new"
    WALKING = "walking"
    LEAVING = "leaving"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class WalkPicture:
    """One walk at one instant, for logs and tests."""

    state: WalkState
    node: str
    steps: int
    awaiting: str  # the order that is not answered yet, "" for none
    ignored: int  # inputs nobody waited for


class Walk:
    """One caller, one flow."""

    def __init__(self, flow: Flow, call: CallId, language: str) -> None:
        self._flow = flow
        self._call = call
        self._memory = Memory(language)
        self._visit = Visit(self._memory)
        self._node: Node | None = None
        self._state = WalkState.NEW
        self._awaiting: Order | None = None
        self._steps = 0
        self._ignored = 0
        self._until: float | None = None

    @property
    def is_over(self) -> bool:
        """True when there is nothing left to order."""
        return self._state is WalkState.OVER

    @property
    def language(self) -> str:
        """What the caller hears."""
        return self._memory.language

    def begin(self, now: float) -> list[Order | Fact]:
        """Enter the flow's first node."""
        if self._state is not WalkState.NEW:
            return self._ignore()
        self._state = WalkState.WALKING
        self._until = now + self._flow.longest_s
        started = FlowStarted(at=now, call=self._call, flow=self._flow.name, version=self._flow.version)
        return [started, *self._go(Move(go_to=self._flow.start), now)]

    def receive(self, heard: Input, now: float) -> list[Order | Fact]:
        """What follows from this input."""
        if isinstance(heard, Matched):
            self._memory.match, self._memory.tier = heard.kind, heard.tier
        if self._state in (WalkState.NEW, WalkState.OVER):
            return self._ignore()
        if isinstance(heard, HungUp):
            return self._end("hung_up", now)
        awaited = ANSWERED_BY[type(self._awaiting)] if self._awaiting is not None else ()
        if not isinstance(heard, awaited):
            return [] if isinstance(heard, Matched) else self._ignore()
        if isinstance(heard, HandedOver):
            return self._end("queued" if isinstance(self._awaiting, Enqueue) else "goodbye", now)
        if self._is_late(now) or self._node is None:
            return self._go(Move(go_to=self._flow.fallback), now)
        return self._go(self._node.receive(heard, self._visit), now)

    def wake(self, now: float) -> list[Order | Fact]:
        """The longest time is over: whatever is waited for, the caller goes to the fallback."""
        return self._go(Move(go_to=self._flow.fallback), now) if self._is_late(now) else []

    def next_wake(self) -> float | None:
        """When the longest time is over; None once the caller is on the way out."""
        return self._until if self._state is WalkState.WALKING else None

    def picture(self) -> WalkPicture:
        """Where the caller is now."""
        awaiting = type(self._awaiting).__name__ if self._awaiting is not None else ""
        return WalkPicture(self._state, self._node.name if self._node else "", self._steps, awaiting, self._ignored)

    def _is_late(self, now: float) -> bool:
        on_the_way_out = self._node is not None and isinstance(self._node, (Queue, Farewell))
        return (
            self._state is WalkState.WALKING and not on_the_way_out and self._until is not None and now >= self._until
        )

    def _go(self, move: Move, now: float) -> list[Order | Fact]:
        """Follow moves from node to node until one orders something."""
        said: list[Order | Fact] = []
        while move.order is None:
            said += self._told_by(move, now)
            self._steps += 1
            name = move.go_to if move.go_to is not None and self._steps <= MAX_STEPS else self._flow.fallback
            self._node = self._flow.nodes[name]
            self._visit = Visit(self._memory)
            said.append(NodeEntered(at=now, call=self._call, node=name))
            move = self._node.enter(self._visit)
        if isinstance(move.order, (Enqueue, Goodbye)):
            self._state = WalkState.LEAVING
        self._awaiting = move.order
        return [*said, move.order]

    def _told_by(self, move: Move, now: float) -> list[Fact]:
        facts: list[Fact] = []
        if move.answer is not None and self._node is not None:
            facts.append(AnswerGiven(at=now, call=self._call, node=self._node.name, answer=move.answer))
        if move.identified_by is not None and self._memory.customer is not None:
            customer = self._memory.customer
            facts.append(CallerIdentified(at=now, call=self._call, customer=customer, by=move.identified_by))
        return facts

    def _end(self, how: str, now: float) -> list[Order | Fact]:
        self._state = WalkState.OVER
        self._awaiting = None
        return [FlowEnded(at=now, call=self._call, how=how)]

    def _ignore(self) -> list[Order | Fact]:
        self._ignored += 1
        return []
