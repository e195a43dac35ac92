"""The truth again after a cut: Asterisk's own list against our picture, and the difference as Facts marked inferred.

The reading is one moment of Asterisk; the difference is a set of single claims, so that two readings can be held against
each other and only what both say be believed. Where a channel went while we were away nobody can know: such calls end
by nobody in particular. Knows no clock and no socket; the client is lent to it.
"""

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Protocol

from cti.ami.action import Action, Verb
from cti.ami.picture import CallsPicture, LegPicture
from cti.ami.protocol import Frame
from cti.ami.tracker import FAILSAFE, HOLDING, NOBODY, Tracker, arrival, phone_state
from cti.call import LEG_MOVES, LegState
from cti.events import EndedBy, Fact
from cti.ids import CallId, LegId

_STATES = {"4": LegState.DIALLED, "5": LegState.RINGING, "6": LegState.UP}
_NO_NUMBERS = frozenset({"s", "h", "i", "t", "T"})
_OUTGOING = "(Outgoing Line)"


class Asker(Protocol):
    """What we need of the AMI client."""

    async def send(self, action: Action) -> Frame:
        """The response."""

    async def collect(self, action: Action) -> list[Frame]:
        """The rows of a list."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What Asterisk says of itself: when it started (its own words), its channels by Uniqueid, the talking bridges they
    are in, and the state of its devices."""

    started: str
    channels: dict[LegId, Frame]
    bridges: dict[LegId, str]
    devices: dict[str, str]


async def read(client: Asker) -> Reading:
    """Ask Asterisk for everything. Raises Unavailable or PeerError as the client does."""
    core = await client.send(Action(Verb.CORE_STATUS))
    channels = await client.collect(Action(Verb.CORE_SHOW_CHANNELS))
    # Bridges after channels: a bridge that came between the two is then in the list, whatever it is for.
    rooms = await client.collect(Action(Verb.BRIDGE_LIST))
    devices = await client.collect(Action(Verb.DEVICE_STATE_LIST))
    holding = {room.get("BridgeUniqueid") for room in rooms if room.get("BridgeTechnology") == HOLDING}
    return Reading(
        started=f"{core.get('CoreStartupDate')} {core.get('CoreStartupTime')}".strip(),
        channels={LegId(line.get("Uniqueid")): line for line in channels},
        bridges={
            LegId(line.get("Uniqueid")): line.get("BridgeId")
            for line in channels
            if line.get("BridgeId")
            and line.get("BridgeId") not in holding
            and not line.get("Channel").startswith(NOBODY)
        },
        devices={row.get("Device"): row.get("State") for row in devices},
    )


class What(IntEnum):
    """In what the list and the picture differ; in this order differences are told."""

    FOUND = 1  # a customer's channel, or an offer's leg, we did not know
    DRAWN = 2  # a customer's channel is under another Linkedid
    NAMED = 3
    STATE = 4
    BRIDGE = 5
    FAILSAFE = 6
    GONE = 7
    PHONE = 8


@dataclass(frozen=True, slots=True, order=True)
class Difference:
    """One claim: of channel (or device) `name`, Asterisk says `value`."""

    what: What
    name: str
    value: str = ""


def differences(tracker: Tracker, reading: Reading) -> frozenset[Difference]:
    """Every claim in which the reading differs from the tracker's picture."""
    picture = tracker.picture()
    calls = picture.calls
    known = {leg.leg: leg for leg in calls.legs}
    where = {leg: bridge for bridge, members in calls.bridges for leg in members}
    sought = {call for leg in reading.channels if (call := tracker.call_named_by(leg)) is not None}
    failed_safe = {call.call for call in calls.calls if call.failed_safe}
    found: set[Difference] = set()
    for leg, line in reading.channels.items():
        bridge = reading.bridges.get(leg, "")
        if where.get(leg, "") != bridge:
            found.add(Difference(What.BRIDGE, leg, bridge))
        leg_now = known.get(leg)
        if leg_now is not None:
            found |= _changes(leg_now, line, tracker)
        elif not tracker.calls.is_over(leg) and (tracker.is_agents(leg) or _is_callers(tracker, line, calls, sought)):
            found.add(Difference(What.FOUND, leg))
        else:
            continue
        if line.get("Context") == FAILSAFE and (leg_now is None or leg_now.call not in failed_safe):
            found.add(Difference(What.FAILSAFE, leg))
    gone = (leg for leg in known.keys() | where.keys() if leg not in reading.channels)
    found.update(Difference(What.GONE, leg) for leg in gone)
    phones = dict(picture.phones)
    for device, state in reading.devices.items():
        told = phone_state(device, state)
        if told is not None and phones.get(device) is not told:
            found.add(Difference(What.PHONE, device, state))
    return frozenset(found)


def _changes(leg: LegPicture, line: Frame, tracker: Tracker) -> set[Difference]:
    found: set[Difference] = set()
    state, linkedid = line.get("ChannelState"), line.get("Linkedid")
    if _STATES.get(state) in LEG_MOVES[leg.state]:
        found.add(Difference(What.STATE, leg.leg, state))
    if leg.is_customer and leg.channel != line.get("Channel"):
        found.add(Difference(What.NAMED, leg.leg, line.get("Channel")))
    if leg.is_customer and tracker.calls.is_merge(leg.call, linkedid):
        found.add(Difference(What.DRAWN, leg.leg, linkedid))
    return found


def _is_callers(tracker: Tracker, line: Frame, calls: CallsPicture, sought: set[CallId]) -> bool:
    linkedid = line.get("Linkedid")
    if line.get("ApplicationData") == _OUTGOING or any(call.call == linkedid for call in calls.calls):
        return False
    if linkedid in sought and linkedid == line.get("Uniqueid") and not line.get("Channel").endswith(";1"):
        return True  # wherever the dialplan took him: an agent's leg bears his call's name
    headers = (line.get(key) for key in ("Uniqueid", "Channel", "Context", "ChannelState"))
    return tracker.is_customer(*headers)


def infer(tracker: Tracker, reading: Reading, believed: frozenset[Difference], at: float) -> list[Fact]:
    """Tell the tracker what is believed; returns what is news, marked inferred."""
    facts: list[Fact] = []
    for claim in sorted(believed):
        facts += _tell(tracker, reading, claim, at)
    return [replace(fact, inferred=True) for fact in facts]


def _tell(tracker: Tracker, reading: Reading, claim: Difference, at: float) -> list[Fact]:
    calls, leg = tracker.calls, claim.name
    match claim.what:
        case What.FOUND:
            return _found(tracker, reading.channels[LegId(leg)], at)
        case What.DRAWN:
            return calls.seen_under(leg, claim.value, at)
        case What.NAMED:
            return calls.renamed(leg, claim.value, at)
        case What.STATE:
            return _state(tracker, leg, claim.value, at)
        case What.BRIDGE if claim.value:
            return calls.entered(claim.value, leg, at)
        case What.BRIDGE:
            return calls.left_all(leg, at)
        case What.FAILSAFE:
            return calls.failed_safe(leg, "found in the failsafe queue", at)
        case What.GONE:
            return calls.ended(leg, 0, at, EndedBy.UNKNOWN)
        case What.PHONE:
            return tracker.phone_is(leg, claim.value, at)


def _found(tracker: Tracker, line: Frame, at: float) -> list[Fact]:
    leg, state = line.get("Uniqueid"), line.get("ChannelState")
    if tracker.is_agents(leg):
        tracker.calls.dialled(leg)
        return _state(tracker, leg, state, at)
    number = line.get("Exten")
    is_number = tracker.is_dialled_in(line.get("Context")) and number not in _NO_NUMBERS
    began = at - _seconds(line.get("Duration"))
    return tracker.calls.arrived(arrival(line, began, number if is_number else ""), state == "6")


def _state(tracker: Tracker, leg: str, state: str, at: float) -> list[Fact]:
    told = _STATES.get(state)
    if told is LegState.UP:
        return tracker.calls.answered(leg, at)
    return tracker.calls.ringing(leg, at) if told is LegState.RINGING else []


def _seconds(duration: str) -> float:
    """`00:02:07` as seconds; 0.0 for what is no duration."""
    seconds = 0
    for part in duration.split(":"):
        if not part.isdecimal():
            return 0.0
        seconds = seconds * 60 + int(part)
    return float(seconds)
