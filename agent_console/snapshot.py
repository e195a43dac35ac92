"""What each audience sees, and how a Fact changes it: one numbered board for everybody, with rules of who sees which key.

An audience's view is a flat map from key to JSON. A snapshot of it at number n and every later change the audience may see
give the same map as a fresh snapshot: for every audience, at every cut. Numbers grow for everybody together, so a change is
put into JSON once however many see it, and an audience sees gaps. What concerns one agent (`me`, `pop`, `draft`) is changed
at once by `receive`; what concerns everybody (the wallboard's lines, the link to the PBX) is gathered by key until `wake`,
so that a busy floor costs what the screens can show, not what happens. The board knows nothing of browsers.
"""

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import TypeAdapter

from agent_console.api.messages import Choices, DispositionChoice, DraftKept, PbxLink, QueueChoices
from agent_console.roles import Action, Role, may
from cti.events import (
    AgentLineChanged,
    Fact,
    OfferEnded,
    PbxLost,
    PbxSynced,
    PopChanged,
    QueueLineChanged,
    WaitingLineChanged,
    WaitingLineGone,
    WrapUpEnded,
)
from cti.floor import AgentLine, FloorPicture, QueueLine, WaitingLine
from cti.ids import AgentId
from cti.pop import Pop, PopPhase
from cti.site import Site

Json = bytes
"""A value as JSON text: made once, compared as text, sent as it is."""

LOG_LENGTH = 4096  # changes remembered for browsers that come back; one that missed more gets a snapshot
PACE_S = 0.1  # least time between two broadcasts of wallboard lines

# The serializers themselves: TypeAdapter's own method adds a third to the time a pop takes.
_AGENT_LINE = TypeAdapter(AgentLine).serializer.to_json
_QUEUE_LINE = TypeAdapter(QueueLine).serializer.to_json
_WAITING_LINE = TypeAdapter(WaitingLine).serializer.to_json
_POP = TypeAdapter(Pop).serializer.to_json


@dataclass(frozen=True, slots=True)
class Audience:
    """Who looks: a role, and the agent they are (None for somebody who takes no contacts)."""

    role: Role
    agent: AgentId | None = None

    @property
    def sees_floor(self) -> bool:
        """True when every agent and every waiting contact is theirs to see."""
        return may(self.role, Action.WATCH_FLOOR)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one key, numbered, with its message ready to send. `value` None: the key holds nothing now.

    Seen by everybody; or by those who see the floor (`is_floor`); or by one agent's screens (`agent`), where `role` says
    which of them when the value tells the role.
    """

    seq: int
    key: str
    value: Json | None
    frame: bytes
    is_floor: bool = False
    agent: AgentId | None = None
    role: Role | None = None

    def is_for(self, audience: Audience) -> bool:
        """True when this audience may see it."""
        if self.agent is not None:
            return self.agent == audience.agent and self.role in (None, audience.role)
        return audience.sees_floor or not self.is_floor


class Board:
    """Everything any console shows, now, and the latest changes that led to it."""

    heard = (PopChanged, OfferEnded, WrapUpEnded, PbxSynced, PbxLost)
    heard_late = (AgentLineChanged, QueueLineChanged, WaitingLineChanged, WaitingLineGone)

    def __init__(self, site: Site, epoch: str, now: float, log_length: int = LOG_LENGTH) -> None:
        self.epoch = epoch
        self.seq = 0
        self._log: deque[Change] = deque(maxlen=log_length)
        self._choices = _choices(site)
        self._pbx = PbxLink(is_up=False, why="not connected yet", since=now)
        self._agents: dict[AgentId, AgentLine] = {}
        self._roles: dict[AgentId, set[Role]] = {}
        self._queues: dict[str, Json] = {}
        self._floor: dict[str, Json] = {}
        self._pops: dict[AgentId, tuple[Pop, Json]] = {}
        self._drafts: dict[AgentId, DraftKept] = {}
        self._ended: dict[AgentId, Pop] = {}
        self._staged: dict[str, float] = {}
        self._not_before = now
        self._moves: dict[type[Fact], Callable[[Fact], list[Change]]] = {}
        self._learn(AgentLineChanged, self._agent_line)
        self._learn(QueueLineChanged, self._queue_line)
        self._learn(WaitingLineChanged, self._waiting_line)
        self._learn(WaitingLineGone, self._waiting_gone)
        self._learn(PopChanged, self._pop_changed)
        self._learn(OfferEnded, self._offer_ended)
        self._learn(WrapUpEnded, self._wrap_up_ended)
        self._learn(PbxSynced, self._pbx_synced)
        self._learn(PbxLost, self._pbx_lost)

    def _learn(self, kind: type[Fact], move: Callable[..., list[Change]]) -> None:
        self._moves[kind] = move

    # --- the four methods of a decider ---

    def receive(self, fact: Fact) -> list[Change]:
        """What changes at once, for one agent's screens. What is for everybody comes with the next `wake`."""
        move = self._moves.get(type(fact))
        return move(fact) if move is not None else []

    def wake(self, now: float) -> list[Change]:
        """What reads differently for everybody since the last time, each key once, numbered now."""
        staged, self._staged = self._staged, {}
        self._not_before = now + PACE_S
        return [self._line_change(key, at) for key, at in staged.items()]

    def next_wake(self) -> float | None:
        """When `wake` is due; None while no line has changed."""
        return self._not_before if self._staged else None

    def picture(self, audience: Audience) -> dict[str, Json]:
        """The audience's whole view, key to JSON."""
        view = {"me": self._me(audience), "choices": self._choices, "pbx": _text(self._pbx)}
        if audience.agent is not None:
            pop, draft = self._pops.get(audience.agent), self._drafts.get(audience.agent)
            if pop is not None:
                view["pop"] = pop[1]
            if draft is not None:
                view["draft"] = _text(draft)
        view |= self._queues
        if audience.sees_floor:
            view |= self._floor
        return view

    # --- what the room asks besides ---

    def load(self, picture: FloorPicture) -> list[Change]:
        """Take over acd's own picture: lines it lacks are gone."""
        changes: list[Change] = []
        for line in picture.agents:
            changes += self._agent_line(AgentLineChanged(at=picture.at, agent=line.agent, line=line))
        for queue in picture.queues:
            self._queue_line(QueueLineChanged(at=picture.at, line=queue))
        waiting = {f"waiting/{line.call}" for line in picture.waiting}
        for key in [key for key in self._floor if key.startswith("waiting/") and key not in waiting]:
            self._unstage(key, picture.at)
        for contact in picture.waiting:
            self._waiting_line(WaitingLineChanged(at=picture.at, call=contact.call, line=contact))
        return changes

    def keep_draft(self, agent: AgentId, draft: DraftKept, at: float) -> list[Change]:
        """The server keeps this unfinished wrap-up now; a draft of a contact that is not on the screen is not shown."""
        pop = self._pops.get(agent)
        if pop is None or pop[0].call != draft.call or self._drafts.get(agent) == draft:
            return []
        self._drafts[agent] = draft
        return [self._number("draft", _text(draft), at, agent=agent)]

    def admit(self, audience: Audience) -> None:
        """Somebody of this audience looks from now on; until then changes of `me` are made for nobody."""
        if audience.agent is not None:
            self._roles.setdefault(audience.agent, set()).add(audience.role)

    def line(self, agent: AgentId) -> AgentLine | None:
        """This agent's line, None for an agent acd does not know."""
        return self._agents.get(agent)

    def pop(self, agent: AgentId) -> Pop | None:
        """What is on this agent's screen."""
        found = self._pops.get(agent)
        return found[0] if found is not None else None

    def has_draft(self, agent: AgentId) -> bool:
        """True when a draft of the contact on screen is shown."""
        return agent in self._drafts

    def since(self, seq: int, audience: Audience) -> list[Change] | None:
        """The latest change of each key after `seq` that this audience may see, in order; None: too long ago, or never."""
        forgotten = self._log[0].seq - 1 if self._log else self.seq
        if not forgotten <= seq <= self.seq:
            return None
        latest: dict[str, Change] = {}
        for change in reversed(self._log):
            if change.seq <= seq:
                break
            if change.key not in latest and change.is_for(audience):
                latest[change.key] = change
        return list(latest.values())[::-1]

    def snapshot(self, audience: Audience, now: float) -> bytes:
        """The `snapshot` message for this audience."""
        view = b",".join(b"%b:%b" % (_key(key), value) for key, value in self.picture(audience).items())
        return b'{"type":"snapshot","seq":%d,"epoch":%b,"at":%b,"view":{%b}}' % (
            self.seq,
            _key(self.epoch),
            _number(now),
            view,
        )

    def resumed(self, now: float) -> bytes:
        """The `resumed` message."""
        return b'{"type":"resumed","seq":%d,"epoch":%b,"at":%b}' % (self.seq, _key(self.epoch), _number(now))

    # --- moves ---

    def _agent_line(self, fact: AgentLineChanged) -> list[Change]:
        if self._agents.get(fact.agent) == fact.line:
            return []
        self._agents[fact.agent] = fact.line
        self._stage(f"agents/{fact.agent}", _AGENT_LINE(fact.line), fact.at)
        return [
            self._number("me", self._me(Audience(role, fact.agent)), fact.at, agent=fact.agent, role=role)
            for role in sorted(self._roles.get(fact.agent, ()))
        ]

    def _queue_line(self, fact: QueueLineChanged) -> list[Change]:
        self._stage(f"queues/{fact.line.queue}", _QUEUE_LINE(fact.line), fact.at)
        return []

    def _waiting_line(self, fact: WaitingLineChanged) -> list[Change]:
        self._stage(f"waiting/{fact.call}", _WAITING_LINE(fact.line), fact.at)
        return []

    def _waiting_gone(self, fact: WaitingLineGone) -> list[Change]:
        self._unstage(f"waiting/{fact.call}", fact.at)
        return []

    def _pop_changed(self, fact: PopChanged) -> list[Change]:
        pop, shown = fact.pop, self.pop(fact.agent)
        ended = self._ended.get(fact.agent)
        if _is_late(pop, shown) or _is_late(pop, ended) or _is_over(pop, ended):
            return []
        text = _POP(pop)
        self._pops[fact.agent] = (pop, text)
        gone = self._drop_draft(fact.agent, fact.at) if shown is not None and shown.call != pop.call else []
        return [*gone, self._number("pop", text, fact.at, agent=fact.agent)]

    def _offer_ended(self, fact: OfferEnded) -> list[Change]:
        return self._drop_pop(fact.agent, fact.at, lambda pop: pop.offer == fact.offer)

    def _wrap_up_ended(self, fact: WrapUpEnded) -> list[Change]:
        return self._drop_pop(fact.agent, fact.at, lambda pop: pop.call == fact.call)

    def _drop_pop(self, agent: AgentId, at: float, is_over: Callable[[Pop], bool]) -> list[Change]:
        shown = self._pops.get(agent)
        if shown is None or not is_over(shown[0]):
            return []
        del self._pops[agent]
        self._ended[agent] = shown[0]
        return [self._number("pop", None, at, agent=agent), *self._drop_draft(agent, at)]

    def _drop_draft(self, agent: AgentId, at: float) -> list[Change]:
        if self._drafts.pop(agent, None) is None:
            return []
        return [self._number("draft", None, at, agent=agent)]

    def _pbx_synced(self, fact: PbxSynced) -> list[Change]:
        return [] if self._pbx.is_up else self._set_pbx(PbxLink(is_up=True, why="", since=fact.at))

    def _pbx_lost(self, fact: PbxLost) -> list[Change]:
        since = fact.at if self._pbx.is_up else self._pbx.since
        link = PbxLink(is_up=False, why=fact.why, since=since)
        return [] if link == self._pbx else self._set_pbx(link)

    def _set_pbx(self, link: PbxLink) -> list[Change]:
        self._pbx = link
        self._staged["pbx"] = link.since
        return []

    # --- wallboard lines ---

    def _stage(self, key: str, text: Json, at: float) -> None:
        lines = self._queues if key.startswith("queues/") else self._floor
        if lines.get(key) != text:
            lines[key] = text
            self._staged[key] = at

    def _unstage(self, key: str, at: float) -> None:
        if self._floor.pop(key, None) is not None:
            self._staged[key] = at

    def _line_change(self, key: str, at: float) -> Change:
        if key == "pbx":
            return self._number(key, _text(self._pbx), at)
        if key.startswith("queues/"):
            return self._number(key, self._queues[key], at)
        return self._number(key, self._floor.get(key), at, is_floor=True)

    # --- numbering ---

    def _number(
        self,
        key: str,
        value: Json | None,
        at: float,
        *,
        is_floor: bool = False,
        agent: AgentId | None = None,
        role: Role | None = None,
    ) -> Change:
        self.seq += 1
        if value is None:
            frame = b'{"type":"drop","seq":%d,"key":%b,"at":%b}' % (self.seq, _key(key), _number(at))
        else:
            frame = b'{"type":"put","seq":%d,"key":%b,"value":%b,"at":%b}' % (self.seq, _key(key), value, _number(at))
        change = Change(self.seq, key, value, frame, is_floor, agent, role)
        self._log.append(change)
        return change

    def _me(self, audience: Audience) -> Json:
        agent = audience.agent
        line = self._floor.get(f"agents/{agent}", b"null") if agent is not None else b"null"
        return b'{"role":%b,"agent":%b,"line":%b}' % (_key(audience.role), _key(agent) if agent else b"null", line)


def _is_late(pop: Pop, known: Pop | None) -> bool:
    """True for a contact older than the known one, or an older version of it."""
    if known is None:
        return False
    if pop.offer == known.offer:
        return pop.version <= known.version
    return pop.offered_at < known.offered_at


def _is_over(pop: Pop, ended: Pop | None) -> bool:
    """True for a contact that has left the screen; one whose talk was found later comes back."""
    if ended is None or pop.offer != ended.offer:
        return False
    return ended.phase is not PopPhase.OFFERED or pop.phase is PopPhase.OFFERED


def _choices(site: Site) -> Json:
    queues = tuple(
        QueueChoices(
            queue=spec.queue,
            name=spec.name,
            dispositions=tuple(DispositionChoice(code=d.code, label=d.label) for d in spec.dispositions),
        )
        for spec in site.queues
    )
    return _text(Choices(not_ready_reasons=site.not_ready_reasons, queues=queues))


def _text(value: DraftKept | Choices | PbxLink) -> Json:
    return value.model_dump_json().encode()


_FIXED_KEYS = {key: json.dumps(key).encode() for key in ("me", "pop", "draft", "choices", "pbx")}


def _key(text: str) -> bytes:
    return _FIXED_KEYS.get(text) or json.dumps(text).encode()


def _number(value: float) -> bytes:
    return repr(float(value)).encode()
