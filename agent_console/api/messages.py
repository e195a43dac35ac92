"""Every WebSocket message and HTTP body, as pydantic models; the console's TypeScript types are generated from them.

The view is a flat map from key to value. A browser keeps the map: `snapshot` replaces it, `put` sets one key, `drop` removes
one. `seq` only grows but has gaps (one numbering for everybody); after a reconnect the browser says the highest it has seen.
Every string in a value is text from outside and is sent as it came: to be shown as text, never as markup.

Close codes: 1008 malformed message or too many of them (reason says which), 1012 the server stops, 1013 too slow, come again
later, 4401 not signed in any more. A handshake without a session is answered 401, from a foreign origin 403.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from agent_console.roles import Role
from cti.floor import AgentLine, QueueLine, WaitingLine
from cti.ids import AgentId, CallId, QueueId
from cti.pop import Pop
from cti.requests import ContactSheet

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Note = Annotated[str, Field(max_length=8000, pattern=r"^[^\x00]*$")]
MaybeName = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Seq = Annotated[int, Field(ge=0, le=2**53)]


class Words(BaseModel):
    """One message or body; unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# --- values of the view --------------------------------------------------------------------------------------------


class Me(Words):
    """Key `me`: who is signed in. `line` is null for somebody who is no agent."""

    role: Role
    agent: AgentId | None
    line: AgentLine | None


class DraftKept(Words):
    """Key `draft`: the unfinished wrap-up of the contact on screen, as the server keeps it."""

    call: CallId
    disposition: str
    note: str


class DispositionChoice(Words):
    """One thing a contact may have come to."""

    code: str
    label: str


class QueueChoices(Words):
    """A queue's name and what a contact of it may have come to."""

    queue: QueueId
    name: str
    dispositions: tuple[DispositionChoice, ...]


class Choices(Words):
    """Key `choices`: the words to choose from, as configured."""

    not_ready_reasons: tuple[str, ...]
    queues: tuple[QueueChoices, ...]


class PbxLink(Words):
    """Key `pbx`: is the link to the PBX up? While it is down, what the screen shows of calls is old. `since`: Unix seconds."""

    is_up: bool
    why: str
    since: float


Value = Me | Pop | DraftKept | Choices | PbxLink | AgentLine | QueueLine | WaitingLine


class View(Words):
    """What each key of the flat map holds; in a snapshot the last three come as keys `agents/ann`, `queues/sales`,
    `waiting/1700000000.12`. Agents get `me`, `pop`, `draft`, `choices`, `pbx` and `queues/*`; supervisors everything.
    """

    me: Me
    choices: Choices
    pbx: PbxLink
    pop: Pop | None = None
    draft: DraftKept | None = None
    agents: dict[str, AgentLine] = Field(default_factory=dict, alias="agents/*")
    queues: dict[str, QueueLine] = Field(default_factory=dict, alias="queues/*")
    waiting: dict[str, WaitingLine] = Field(default_factory=dict, alias="waiting/*")


# --- from the server -----------------------------------------------------------------------------------------------


class Snapshot(Words):
    """The whole view. `epoch` names this run of the server; `at` is the server's clock (Unix seconds)."""

    type: Literal["snapshot"]
    seq: Seq
    epoch: str
    at: float
    view: dict[str, Value]


class Put(Words):
    """This key holds this value now; `at` is when it changed."""

    type: Literal["put"]
    seq: Seq
    key: str
    value: Value
    at: float


class Drop(Words):
    """This key holds nothing now."""

    type: Literal["drop"]
    seq: Seq
    key: str
    at: float


class Resumed(Words):
    """Answer to a hello that could be resumed: what was missed came just before as `put` and `drop`; the map is true again."""

    type: Literal["resumed"]
    seq: Seq
    epoch: str
    at: float


class Done(Words):
    """The action of this id was carried out."""

    type: Literal["done"]
    id: str


class Refused(Words):
    """The action of this id was refused: `code` for programs, `why` for the person."""

    type: Literal["refused"]
    id: str
    code: str
    why: str


ServerMessage = Annotated[Snapshot | Resumed | Put | Drop | Done | Refused, Field(discriminator="type")]


# --- from the browser ----------------------------------------------------------------------------------------------


class Hello(Words):
    """The first message. After a reconnect: the epoch of the last snapshot and the highest seq seen."""

    type: Literal["hello"]
    client: MaybeName = "browser"
    epoch: MaybeName | None = None
    seq: Seq = 0


class Ack(Words):
    """Every message up to this seq has been taken in. May be sent for many at once."""

    type: Literal["ack"]
    seq: Seq


class Painted(Words):
    """The pop of this offer, in this version, is on the screen. The phone rings after this."""

    type: Literal["painted"]
    offer: Name
    version: Annotated[int, Field(ge=0)]


class Ready(Words):
    """I want contacts."""

    name: Literal["ready"]


class NotReady(Words):
    """I want no contacts, for this reason."""

    name: Literal["not_ready"]
    reason: Name


class Answer(Words):
    """Pick up my phone for me, where it allows that."""

    name: Literal["answer"]
    offer: Name


class Decline(Words):
    """I do not take this contact."""

    name: Literal["decline"]
    offer: Name


class HangUpCall(Words):
    """End my side of this call."""

    name: Literal["hang_up"]
    call: Name


class Finish(Words):
    """The contact is written up."""

    name: Literal["finish"]
    call: Name
    disposition: MaybeName
    note: Note = ""


class KeepDraft(Words):
    """Keep what I have typed so far."""

    name: Literal["draft"]
    call: Name
    disposition: MaybeName = ""
    note: Note = ""


class Choose(Words):
    """The caller is this customer; null: none of the candidates."""

    name: Literal["choose"]
    call: Name
    customer: Name | None


class LeaveFloor(Words):
    """I leave: the agent signs out of the floor (the browser's sign-in is ended by POST /api/sign-out)."""

    name: Literal["sign_out"]


DoAction = Annotated[
    Ready | NotReady | Answer | Decline | HangUpCall | Finish | KeepDraft | Choose | LeaveFloor,
    Field(discriminator="name"),
]


class Do(Words):
    """Please do this; answered by `done` or `refused` with the same id."""

    type: Literal["do"]
    id: Name
    action: DoAction


ClientMessage = Annotated[Hello | Ack | Painted | Do, Field(discriminator="type")]


# --- HTTP ----------------------------------------------------------------------------------------------------------


class SignInBody(Words):
    """POST /api/sign-in."""

    name: Name
    password: Annotated[str, Field(min_length=1, max_length=1024)]


class WhoIAm(Words):
    """Who is signed in. `agent` is null for somebody who takes no contacts."""

    name: str
    role: Role
    agent: AgentId | None


class Problem(Words):
    """An HTTP error (RFC 9457, application/problem+json). `code` is stable, `detail` is for the person."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    code: str = ""


class PartWord(Words):
    """One part's word on itself; `since` is Unix seconds."""

    is_up: bool
    why: str
    since: float


class Readiness(Words):
    """GET /readyz: 200 when every part is up, else 503."""

    is_ready: bool
    parts: dict[str, PartWord]


Contact = ContactSheet
"""GET /api/contacts/{call}: the contact as voc keeps it."""
