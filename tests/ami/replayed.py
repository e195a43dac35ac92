"""Asterisk as its own events tell it: replays a recorded session and can say, at any point, what its lists would say.

Written apart from the tracker, and simpler: every channel by Uniqueid with the headers last seen of it. It is the other
opinion the tests of resync hold the tracker against.
"""

from collections.abc import Iterable

from cti.ami.action import Action, Verb
from cti.ami.protocol import Frame

_KEPT = ("Channel", "CallerIDNum", "CallerIDName", "Context", "Exten", "Linkedid")


class ReplayedAsterisk:
    """The lists of an Asterisk to which these events happened. Answers as the client would (`send`, `collect`)."""

    def __init__(self, frames: Iterable[Frame] = (), started: str = "08:00:00") -> None:
        self.started = started
        self.channels: dict[str, dict[str, str]] = {}
        self.technologies: dict[str, str] = {}
        self.devices: dict[str, str] = {}
        for frame in frames:
            self.happen(frame)

    def happen(self, frame: Frame) -> None:
        """One event."""
        leg = frame.get("Uniqueid")
        match frame.event:
            case "Newchannel":
                self.channels[leg] = {"Uniqueid": leg, "ChannelState": frame.get("ChannelState"), "BridgeId": ""}
            case "Newstate" if leg in self.channels:
                self.channels[leg]["ChannelState"] = frame.get("ChannelState")
            case "DialState" | "DialEnd":
                states = {"RINGING": "5", "ANSWER": "6"}
                dialled = self.channels.get(frame.get("DestUniqueid"), {})
                dialled["ChannelState"] = states.get(frame.get("DialStatus"), dialled.get("ChannelState", ""))
            case "BridgeEnter" if leg in self.channels:
                self.channels[leg]["BridgeId"] = frame.get("BridgeUniqueid")
                self.technologies[frame.get("BridgeUniqueid")] = frame.get("BridgeTechnology")
            case "BridgeLeave" if leg in self.channels:
                self.channels[leg]["BridgeId"] = ""
            case "DeviceStateChange":
                self.devices[frame.get("Device")] = frame.get("State")
            case "Hangup":
                self.channels.pop(leg, None)
        if leg in self.channels and frame.event != "Rename" and frame.get("Channel"):
            self.channels[leg] |= {key: frame.get(key) for key in _KEPT}

    def rows(self, verb: Verb) -> list[str]:
        """The rows of a list, each as the text of its frame without the ActionID."""
        if verb is Verb.CORE_SHOW_CHANNELS:
            return [_text("CoreShowChannel", {**line, "Duration": "00:01:00"}) for line in self.channels.values()]
        if verb is Verb.BRIDGE_LIST:
            found = self.technologies.items()
            return [_text("BridgeListItem", {"BridgeUniqueid": room, "BridgeTechnology": how}) for room, how in found]
        assert verb is Verb.DEVICE_STATE_LIST
        return [_text("DeviceStateChange", {"Device": name, "State": state}) for name, state in self.devices.items()]

    def status(self) -> str:
        """The headers of a CoreStatus response."""
        return f"CoreStartupDate: 2026-11-22\r\nCoreStartupTime: {self.started}"

    async def send(self, action: Action) -> Frame:
        """The response to CoreStatus."""
        assert action.verb is Verb.CORE_STATUS
        return Frame(f"Response: Success\r\n{self.status()}".encode())

    async def collect(self, action: Action) -> list[Frame]:
        """The rows of the list asked for."""
        return [Frame(row.encode()) for row in self.rows(action.verb)]


def _text(event: str, headers: dict[str, str]) -> str:
    return "\r\n".join([f"Event: {event}", *(f"{key}: {value}" for key, value in headers.items())])
