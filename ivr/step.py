"""The words between a walk and whoever carries it out: what is heard (inputs), what is ordered, what a prompt is.

Every order that takes time is answered by exactly one input (`ANSWERED_BY`); a caller who hangs up answers any of them.
"""

from dataclasses import dataclass

from cti.caller import MatchKind
from cti.ids import CustomerId, QueueId

ALL_KEYS = "0123456789*#"
"""The keys of an ordinary telephone."""


# --- prompts -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spoken:
    """Words rendered ahead of time: `texts` are (language, text) pairs, the flow's own language first.

    `instead` is the stock sound for a machine that can't speak.
    """

    texts: tuple[tuple[str, str], ...]
    instead: str = "beep"

    def text(self, language: str) -> tuple[str, str]:
        """(language, text) for this caller: in `language` where it is written, else in the flow's own."""
        return next((pair for pair in self.texts if pair[0] == language), self.texts[0])


@dataclass(frozen=True, slots=True)
class Sound:
    """One of Asterisk's own sounds, by name: `vm-goodbye`, `digits/1`."""

    name: str


Prompt = Spoken | Sound
Prompts = tuple[Prompt, ...]


# --- what a walk hears ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Input:
    """Something that came of an order, or that happened meanwhile."""


@dataclass(frozen=True, slots=True)
class Played(Input):
    """The prompts are over; `key` interrupted them, or ""."""

    key: str = ""


@dataclass(frozen=True, slots=True)
class KeyPressed(Input):
    """The caller pressed a key."""

    key: str


@dataclass(frozen=True, slots=True)
class TimedOut(Input):
    """What was waited for did not come."""


@dataclass(frozen=True, slots=True)
class LookedUp(Input):
    """Whose account it is; None: nobody's, or the customers room is away."""

    customer: CustomerId | None


@dataclass(frozen=True, slots=True)
class Matched(Input):
    """What the number says about who calls. `tier` is the best candidate's."""

    kind: MatchKind
    tier: str = ""


@dataclass(frozen=True, slots=True)
class HandedOver(Input):
    """The PBX knows where the caller goes next."""


@dataclass(frozen=True, slots=True)
class HungUp(Input):
    """The caller left, or the PBX took the channel elsewhere."""


# --- what a walk orders --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Order:
    """A decision of the walk, for the ivr room to carry out."""


@dataclass(frozen=True, slots=True)
class Play(Order):
    """Play these one after the other; a key of `stop_keys` ends it."""

    prompts: Prompts
    stop_keys: str = ""


@dataclass(frozen=True, slots=True)
class AwaitKey(Order):
    """Wait for one key."""

    timeout_s: float


@dataclass(frozen=True, slots=True)
class AwaitMatch(Order):
    """Wait for the word on who calls."""

    timeout_s: float


@dataclass(frozen=True, slots=True)
class LookUp(Order):
    """Ask whose account this is."""

    account: str


@dataclass(frozen=True, slots=True)
class Enqueue(Order):
    """The caller waits for an agent from now on; higher `priority` goes first."""

    queue: QueueId
    language: str
    skills: tuple[str, ...]
    priority: int
    reason: str


@dataclass(frozen=True, slots=True)
class Goodbye(Order):
    """Let the PBX hang up."""


ANSWERED_BY: dict[type[Order], tuple[type[Input], ...]] = {
    Play: (Played,),
    AwaitKey: (KeyPressed, TimedOut),
    AwaitMatch: (Matched, TimedOut),
    LookUp: (LookedUp,),
    Enqueue: (HandedOver,),
    Goodbye: (HandedOver,),
}
