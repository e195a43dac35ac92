"""Asterisk's events into Facts: reads the few headers that matter and tells `Calls` what the channels do.

A customer's channel is one that came in through a trunk context; the leg of an offer is known by its own name; of the
rest only who shares a bridge with a customer matters. Tried on Asterisk 22; needs `timestampevents = yes` for Asterisk's
own instants and takes the reader's clock without it. Knows no socket and no clock.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import ClassVar

from cti.ami.calls import Calls
from cti.ami.picture import TrackerPicture
from cti.ami.protocol import Frame
from cti.events import CallArrived, EndedBy, Fact, PhoneChanged, PhoneState
from cti.ids import CallId, LegId, OfferId, call_of_offer, offer_of_leg

HOLDING = "holding_bridge"
"""The technology of bridges in which people wait (BridgeWait, parking): nobody there can talk."""

_DOWN, _RINGING, _UP = "0", "5", "6"

NOBODY = ("CBAnn/", "CBRec/", "Announcer/", "Recorder/")
"""Asterisk's own channels that sit in bridges: announcers and recorders of conferences."""

FAILSAFE = "offhook-failsafe"
"""The dialplan's context for callers who are left to the PBX's own queue."""

_HOME_CONTEXTS = frozenset({"offhook-entry", "offhook-hold", FAILSAFE})

_WITHHELD = frozenset(
    {"", "<unknown>", "unknown", "anonymous", "restricted", "unavailable", "private", "withheld", "private number"}
)
_ORIGINATE_REASONS = {"3": "NOANSWER", "5": "BUSY", "8": "CONGESTION"}
_MOST_PHONES = 10_000
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = dict.fromkeys("abfnrtv", " ")
"""Control characters become spaces; a quote, a question mark, a backslash stand for themselves."""

_PHONE_STATES = {
    "NOT_INUSE": PhoneState.FREE,
    "INUSE": PhoneState.IN_USE,
    "BUSY": PhoneState.IN_USE,
    "RINGING": PhoneState.RINGING,
    "RINGINUSE": PhoneState.IN_USE,
    "ONHOLD": PhoneState.IN_USE,
    "UNAVAILABLE": PhoneState.UNREACHABLE,
    "INVALID": PhoneState.UNREACHABLE,
}


class Tracker:
    """One per Asterisk. `offer_of` says whether a Uniqueid is the leg of an offer, and of which."""

    def __init__(
        self,
        trunk_contexts: Collection[str],
        failsafe_queue: str = "offhook-failsafe",
        offer_of: Callable[[str], OfferId | None] = offer_of_leg,
    ) -> None:
        self.calls = Calls(offer_of)
        self._trunk_contexts = frozenset({"offhook-entry", *trunk_contexts})
        self._callers_contexts = _HOME_CONTEXTS.union(trunk_contexts)
        self._failsafe_queue = failsafe_queue
        self._offer_of = offer_of
        self._phones: dict[str, PhoneState] = {}

    @property
    def ignored(self) -> int:
        """Events that came twice, late, or about somebody unknown."""
        return self.calls.ignored

    def receive(self, frame: Frame, now: float) -> list[Fact]:
        """What this event says; `now` stands in where it carries no time of its own."""
        reader = self._READERS.get(frame.event)
        return [] if reader is None else reader(self, frame, _instant(frame.get("Timestamp"), now))

    def restarted(self, at: float) -> list[Fact]:
        """Asterisk is another process: every channel of the old one is gone. The Facts are marked inferred."""
        return [replace(fact, inferred=True) for fact in self.calls.everything_ended(EndedBy.PBX_RESTART, at)]

    def picture(self) -> TrackerPicture:
        """Everything, as it is now."""
        return TrackerPicture(self.calls.picture(), tuple(sorted(self._phones.items())))

    def is_dialled_in(self, context: str) -> bool:
        """Whether the extension of a channel in this context is the number its caller dialled."""
        return context in self._trunk_contexts

    def is_agents(self, leg: str) -> bool:
        """Whether a channel is the leg of an offer; the far half of a Local phone is nobody's."""
        return not leg.endswith(";2") and self._offer_of(leg) is not None

    def call_named_by(self, leg: str) -> CallId | None:
        """The call whose offer this channel is the leg of, or None."""
        offer = self._offer_of(leg)
        return None if offer is None else call_of_offer(offer)

    def is_customer(self, leg: str, channel: str, context: str, state: str) -> bool:
        """Whether a channel found in this context is a caller's, and not one that is being dialled out or an agent's.

        `state` is Asterisk's number; a channel that is Down has not called, it will be called. A Local caller's near half
        (`;1`) stands where the telephone would: the caller is its far half.
        """
        return (
            context in self._callers_contexts
            and state != _DOWN
            and not channel.endswith(";1")
            and self._offer_of(leg) is None
        )

    # --- channels --------------------------------------------------------------------------------------------------

    def _newchannel(self, frame: Frame, at: float) -> list[Fact]:
        leg = frame.get("Uniqueid")
        if self._offer_of(leg) is not None:
            if not leg.endswith(";2"):
                self.calls.dialled(leg)
            return []
        context, channel, state = frame.get("Context"), frame.get("Channel"), frame.get("ChannelState")
        if not leg or not self.is_customer(leg, channel, context, state):
            return []
        return self.calls.arrived(arrival(frame, at), state == _UP)

    def _newstate(self, frame: Frame, at: float) -> list[Fact]:
        leg, state = frame.get("Uniqueid"), frame.get("ChannelState")
        facts = self.calls.seen_under(leg, frame.get("Linkedid"), at)
        if state == _UP:
            return facts + self.calls.answered(leg, at)
        if state == _RINGING:
            return facts + self.calls.ringing(leg, at)
        return facts

    def _new_caller_id(self, frame: Frame, at: float) -> list[Fact]:
        ani, name = _given(frame.get("CallerIDNum")), _given(unescaped(frame.get("CallerIDName")))
        # "32 (Presentation Prohibited, Not Screened)": the number is there for the network, not for us.
        if "Prohibited" in frame.get("CID-CallingPres"):
            ani, name = "", ""
        return self.calls.known_as(frame.get("Uniqueid"), ani, name, at)

    def _rename(self, frame: Frame, at: float) -> list[Fact]:
        return self.calls.renamed(frame.get("Uniqueid"), frame.get("Newname"), at)

    def _hangup_request(self, frame: Frame, at: float) -> list[Fact]:
        leg = frame.get("Uniqueid")
        self.calls.hung_up(leg)
        return self.calls.seen_under(leg, frame.get("Linkedid"), at)

    def _hangup(self, frame: Frame, at: float) -> list[Fact]:
        leg, cause = frame.get("Uniqueid"), frame.get("Cause")
        facts = self.calls.seen_under(leg, frame.get("Linkedid"), at)
        return facts + self.calls.ended(leg, int(cause) if cause.isdecimal() else 0, at)

    def _hold(self, frame: Frame, at: float) -> list[Fact]:
        return self.calls.held(frame.get("Uniqueid"), at)

    def _unhold(self, frame: Frame, at: float) -> list[Fact]:
        return self.calls.retrieved(frame.get("Uniqueid"), at)

    # --- dialling --------------------------------------------------------------------------------------------------

    def _dial_state(self, frame: Frame, at: float) -> list[Fact]:
        # The one place where a Local channel is said to ring: its own state goes from Down to Up.
        if frame.get("DialStatus") != "RINGING":
            return []
        return self.calls.ringing(frame.get("DestUniqueid"), at)

    def _dial_end(self, frame: Frame, at: float) -> list[Fact]:
        leg, status = frame.get("DestUniqueid"), frame.get("DialStatus")
        if status == "ANSWER":
            return self.calls.answered(leg, at)
        self.calls.not_answered(leg, "UNREACHABLE" if status == "CHANUNAVAIL" else status)
        return []

    def _originate_response(self, frame: Frame, at: float) -> list[Fact]:
        if frame.get("Response") != "Failure":
            return []
        # Only the Uniqueid is ours here: Channel is the dial string. Reason is 0 for busy, for cancelled and for a phone
        # that does not exist; 3 is no answer.
        leg = frame.get("Uniqueid")
        if (why := _ORIGINATE_REASONS.get(frame.get("Reason"))) is not None:
            self.calls.not_answered(leg, why)
        return self.calls.never_was(leg, at)

    # --- bridges ---------------------------------------------------------------------------------------------------

    def _bridge_enter(self, frame: Frame, at: float) -> list[Fact]:
        leg = frame.get("Uniqueid")
        facts = self.calls.seen_under(leg, frame.get("Linkedid"), at)
        if frame.get("BridgeTechnology") == HOLDING or frame.get("Channel").startswith(NOBODY):
            return facts
        return facts + self.calls.entered(frame.get("BridgeUniqueid"), leg, at)

    def _bridge_leave(self, frame: Frame, at: float) -> list[Fact]:
        leg = frame.get("Uniqueid")
        facts = self.calls.seen_under(leg, frame.get("Linkedid"), at)
        return facts + self.calls.left(frame.get("BridgeUniqueid"), leg, at)

    def _bridge_merge(self, frame: Frame, at: float) -> list[Fact]:
        return self.calls.poured(frame.get("FromBridgeUniqueid"), frame.get("ToBridgeUniqueid"), at)

    def _bridge_destroy(self, frame: Frame, at: float) -> list[Fact]:
        return self.calls.dissolved(frame.get("BridgeUniqueid"), at)

    # --- the rest --------------------------------------------------------------------------------------------------

    def _queue_caller_join(self, frame: Frame, at: float) -> list[Fact]:
        if frame.get("Queue") != self._failsafe_queue:
            return []
        return self.calls.failed_safe(frame.get("Uniqueid"), "", at)

    def _device_state_change(self, frame: Frame, at: float) -> list[Fact]:
        return self.phone_is(frame.get("Device"), frame.get("State"), at)

    def phone_is(self, device: str, state: str, at: float) -> list[Fact]:
        """The PBX's word on one device."""
        known = phone_state(device, state)
        if known is None or self._phones.get(device) is known:
            return []
        self._phones[device] = known
        if len(self._phones) > _MOST_PHONES:
            del self._phones[next(iter(self._phones))]
        return [PhoneChanged(at=at, phone=device, state=known)]

    _READERS: ClassVar[dict[str, Callable[["Tracker", Frame, float], list[Fact]]]] = {
        "Newchannel": _newchannel,
        "Newstate": _newstate,
        "NewCallerid": _new_caller_id,
        "Rename": _rename,
        "HangupRequest": _hangup_request,
        "Hangup": _hangup,
        "Hold": _hold,
        "Unhold": _unhold,
        "DialState": _dial_state,
        "DialEnd": _dial_end,
        "OriginateResponse": _originate_response,
        "BridgeEnter": _bridge_enter,
        "BridgeLeave": _bridge_leave,
        "BridgeMerge": _bridge_merge,
        "BridgeDestroy": _bridge_destroy,
        "QueueCallerJoin": _queue_caller_join,
        "DeviceStateChange": _device_state_change,
    }

    WANTED: ClassVar[frozenset[str]] = frozenset(_READERS)
    """The events it reads; every other one may be thrown away unparsed."""


def phone_state(device: str, state: str) -> PhoneState | None:
    """Asterisk's word for a device's state in ours; None for queues, conferences and lamps (`Queue:sales`), no phones."""
    if "/" not in device or ":" in device.partition("/")[0]:
        return None
    return _PHONE_STATES.get(state, PhoneState.UNKNOWN)


def arrival(frame: Frame, at: float, dnis: str | None = None) -> CallArrived:
    """The Fact of a customer's channel, from any frame that describes one (Newchannel, CoreShowChannel)."""
    return CallArrived(
        at=at,
        call=CallId(frame.get("Linkedid") or frame.get("Uniqueid")),
        leg=LegId(frame.get("Uniqueid")),
        channel=frame.get("Channel"),
        ani=_given(frame.get("CallerIDNum")),
        caller_name=_given(unescaped(frame.get("CallerIDName"))),
        dnis=frame.get("Exten") if dnis is None else dnis,
        context=frame.get("Context"),
    )


def _instant(stamp: str, now: float) -> float:
    try:
        return float(stamp) if stamp else now
    except ValueError:
        return now


def unescaped(name: str) -> str:
    """A caller's name as it was before Asterisk wrote it as a C string (`manager_channels.c` does so with names alone)."""
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[1]), name) if "\\" in name else name


def _given(text: str) -> str:
    return "" if text.strip().casefold() in _WITHHELD else text
