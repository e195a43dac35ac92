"""What the distributor decides, for the acd service to carry out.

An Order never leaves the room; a Fact among the orders is to be told to everybody.
"""

from dataclasses import dataclass

from acd.queue import Waiting
from cti.events import Fact
from cti.floor import AgentLine
from cti.ids import CallId, LegId


@dataclass(frozen=True, slots=True)
class Ring:
    """Ring `phone` as `leg`; on answer the PBX bridges it with `caller_channel`. `ring_for_s` is the PBX's own limit."""

    call: CallId
    leg: LegId
    phone: str
    caller_channel: str
    caller_number: str
    caller_name: str
    ring_for_s: float


@dataclass(frozen=True, slots=True)
class EndLeg:
    """Hang this leg up: a ringing phone we no longer want, or an agent who pressed Hang up."""

    call: CallId
    leg: LegId


@dataclass(frozen=True, slots=True)
class PickUp:
    """Answer the agent's phone for her."""

    call: CallId
    leg: LegId
    phone: str


@dataclass(frozen=True, slots=True)
class KeepAgent:
    """Remember this agent's line over a crash."""

    line: AgentLine


@dataclass(frozen=True, slots=True)
class KeepWaiting:
    """Remember this waiting contact over a crash."""

    contact: Waiting


@dataclass(frozen=True, slots=True)
class ForgetWaiting:
    """This contact waits no more."""

    call: CallId


Order = Fact | Ring | EndLeg | PickUp | KeepAgent | KeepWaiting | ForgetWaiting
