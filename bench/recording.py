"""The recorded stream: what a real Asterisk said, over and over, each time about other calls.

Calls, bridges and instants are renamed, so a tracker that remembers has to do its work every time.
"""

import re

from tests.transcripts import recorded

_NUMBERS = re.compile(rb"(?<!\d)(1[78]\d{8})\.(\d)")
_BRIDGES = re.compile(rb"\b[0-9a-f]{8}(-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\b")
_OUR_CLASSES = (b"call", b"agent", b"user", b"system", b"reporting")
_FILTERED = (b"Event: RTCPSent", b"Event: RTCPReceived", b"Event: TestEvent")


def messages(times: int, only_ours: bool = False) -> list[bytes]:
    """Every recorded event in order, `times` over; with `only_ours` those alone that our manager user is sent.

    What that is, asterisk/manager-offhook.conf says: its classes, less its filters.
    """
    once = [message for name in recorded.NAMES for message in recorded.messages(name) if _is_told(message, only_ours)]
    return [_renamed(message, number) for number in range(times) for message in once]


def _is_told(message: bytes, only_ours: bool) -> bool:
    if not message.startswith(b"Event: ") or b"\r\nActionID: " in message:
        return False
    if not only_ours:
        return True
    privilege = re.search(rb"\r\nPrivilege: (\w+)", message)
    return not message.startswith(_FILTERED) and (privilege is None or privilege[1] in _OUR_CLASSES)


def _renamed(message: bytes, number: int) -> bytes:
    shifted = _NUMBERS.sub(lambda found: b"%d.%b" % (int(found[1]) + number * 100_000, found[2]), message)
    return _BRIDGES.sub(lambda found: b"%08x%b" % (number, found[1]), shifted)
