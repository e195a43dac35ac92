"""The PBX's calls at one instant, as frozen values: for comparing with Asterisk's own list, for the log and for tests."""

from dataclasses import dataclass

from cti.call import CallState, LegState
from cti.events import PhoneState
from cti.ids import CallId, LegId


@dataclass(frozen=True, slots=True)
class CallPicture:
    """One call now: its customers' legs and, of each talk, who talks to whom."""

    call: CallId
    state: CallState
    legs: tuple[LegId, ...]
    talks: tuple[tuple[LegId, LegId], ...]
    failed_safe: bool = False


@dataclass(frozen=True, slots=True)
class LegPicture:
    """One leg now. `channel` is "" for an agent's leg, whose name nobody needs."""

    leg: LegId
    call: CallId
    state: LegState
    is_customer: bool
    channel: str


@dataclass(frozen=True, slots=True)
class CallsPicture:
    """Every call, every leg that matters and every bridge that is not for waiting in, sorted by name."""

    calls: tuple[CallPicture, ...] = ()
    legs: tuple[LegPicture, ...] = ()
    bridges: tuple[tuple[str, tuple[LegId, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class TrackerPicture:
    """The calls, and the state of every phone that has ever changed, sorted by name."""

    calls: CallsPicture
    phones: tuple[tuple[str, PhoneState], ...]
