"""The recorded sessions of this folder: what a real Asterisk 22 said on its manager interface, call by call.

A file is a list of blocks headed `### HH:MM:SS.us <<<` (Asterisk spoke), `>>>` (we did) or `NOTE`. They were recorded before
our legs and contexts had their names; the reader gives the leg `cti-a1-...` of each session, and the contexts callers wait
and are picked up in, the names they would have today.
"""

import re
from pathlib import Path

from cti.ami.protocol import Frame, Frames
from cti.ids import AgentId, CallId, LegId, leg_of_offer, offer_id

FOLDER = Path(__file__).parent
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.txt")))

_HEAD = re.compile(r"^### \S+ (<<<|>>>|NOTE.*)$", re.MULTILINE)
_OLD_LEG = re.compile(r"cti-a1-[0-9-]+")
_FIRST_CALL = re.compile(r"^Event: Newchannel$.*?^Uniqueid: ([0-9.]+)$", re.MULTILINE | re.DOTALL)


def call_of(name: str) -> CallId:
    """The call this session is about: the first channel Asterisk itself named; "" for calls we only placed."""
    found = _FIRST_CALL.search(_text(name))
    return CallId(found.group(1) if found else "")


def agent_leg_of(name: str) -> LegId:
    """The leg that rang agent a1's phone in this session, under its name of today."""
    return leg_of_offer(offer_id(call_of(name), AgentId("a1"), 1.0))


def messages(name: str) -> list[bytes]:
    """What Asterisk sent, message by message, each with its closing empty line."""
    text = _text(name).replace("cti-hold", "offhook-hold").replace("cti-bridge", "offhook-pick")
    if _OLD_LEG.search(text):
        text = _OLD_LEG.sub(agent_leg_of(name), text)
    pieces = _HEAD.split(text)
    said = (body.strip("\n") for mark, body in zip(pieces[1::2], pieces[2::2], strict=True) if mark == "<<<")
    return [(block.replace("\n", "\r\n") + "\r\n\r\n").encode() for block in said if block]


def stream(name: str) -> bytes:
    """What Asterisk sent, as bytes on the wire."""
    return b"".join(messages(name))


def events(name: str) -> list[Frame]:
    """The events of the session, in order."""
    return [frame for frame in Frames().feed(stream(name)) if frame.event]


def _text(name: str) -> str:
    return (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
