"""Facts of who is calling, told by customers."""

from dataclasses import dataclass

from cti.caller import Candidate, MatchKind
from cti.events.fact import CallFact


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerMatched(CallFact):
    """What the number (or a later proof, or an agent's pick) says about who calls: candidates best first."""

    kind: MatchKind
    ani: str  # raw, as the network gave it
    ani_e164: str  # "" where the number can't be read as one
    ani_display: str
    candidates: tuple[Candidate, ...] = ()
    country: str = ""
