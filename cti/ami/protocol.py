"""Bytes from Asterisk's manager interface into frames, in whatever pieces they arrive.

A frame stays bytes: the reader finds where it ends and what it is called, and a header is looked for when somebody
asks. Promises the same frames for any chunking, repeated headers kept, one bad
byte costing one character; refuses frames past a size. Knows no socket, no clock and no call.
"""

from collections.abc import Iterator

from cti.errors import PeerError

MAX_FRAME_BYTES = 256 * 1024
"""Longest frame taken. The longest Asterisk sends us are `Command` outputs, a few KiB."""

_END = b"\r\n\r\n"
_EVENT = b"Event: "
_ACTION_ID = b"\r\nActionID: "


class _LineStarts(dict[str, bytes]):
    """How the line of a header begins; made once for each name our code asks for."""

    def __missing__(self, key: str) -> bytes:
        start = self[key] = f"\r\n{key}:".encode()
        return start


_LINE_STARTS = _LineStarts()


class Frame:
    """One message of the manager interface: an event, or the response to an action.

    A header is looked for in the bytes when it is asked for: of a frame of twenty, few are. Names are compared as
    Asterisk writes them (`Uniqueid`, `CommandId`). Bytes that are no UTF-8 become U+FFFD.
    """

    __slots__ = ("event", "raw")

    def __init__(self, raw: bytes, event: str | None = None) -> None:
        self.raw = raw
        """The message as it came, without the empty line at its end."""
        self.event = self.get("Event") if event is None else event
        """The event's name; empty for a response."""

    @property
    def response(self) -> str:
        """`Success`, `Error`, `Goodbye` ...; empty for an event."""
        return self.get("Response")

    def get(self, key: str, default: str = "") -> str:
        """The first value of a header, `default` where there is none."""
        raw, start = self.raw, _LINE_STARTS[key]
        if raw.startswith(start[2:]):
            at = len(start) - 2
        elif (found := raw.find(start)) >= 0:
            at = found + len(start)
        else:
            return default
        if raw[at : at + 1] == b" ":
            at += 1
        end = raw.find(b"\r\n", at)
        return (raw[at:end] if end >= 0 else raw[at:]).decode("utf-8", "replace")

    def all(self, key: str) -> list[str]:
        """Every value of a repeated header, in order (`Output`, `ChanVariable`, `Variable`)."""
        return [value for name, value in self.items() if name == key]

    def items(self) -> list[tuple[str, str]]:
        """Every header with its value, in order, repeated ones too."""
        pairs = []
        for line in self.raw.decode("utf-8", "replace").split("\r\n"):
            key, colon, value = line.partition(":")
            if colon:
                pairs.append((key, value[1:] if value[:1] == " " else value))
        return pairs

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.items())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frame) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"Frame({self.raw!r})"


class Frames:
    """The reader: `feed` it what came from the socket, get whole frames in order.

    With `wanted`, events of other names are dropped unparsed; responses, and whatever carries an ActionID (the rows of
    a list), are always kept.
    """

    def __init__(self, wanted: frozenset[str] | None = None, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self.banner = ""
        """What the peer called itself: `Asterisk Call Manager/9.0.0`."""
        self._wanted = None if wanted is None else {name.encode(): name for name in wanted}
        self._max_frame_bytes = max_frame_bytes
        self._rest = bytearray()
        self._is_greeted = False

    def feed(self, data: bytes) -> list[Frame]:
        """The frames completed by `data`. Raises PeerError when a frame is too long; the link is then of no more use."""
        if self._rest:
            searched = max(0, len(self._rest) - 3)
            self._rest += data
            if self._is_greeted and self._rest.find(_END, searched) < 0:
                self._refuse_oversized(len(self._rest))
                return []
            data = bytes(self._rest)
        if not self._is_greeted:
            data = self._greet(data)
        pieces = data.split(_END)
        self._rest = bytearray(pieces.pop())
        if len(data) > self._max_frame_bytes:
            self._refuse_oversized(max(map(len, pieces), default=0))
            self._refuse_oversized(len(self._rest))
        return self._named(pieces)

    def _greet(self, data: bytes) -> bytes:
        line, ending, after = data.partition(b"\r\n")
        if not ending:
            return data
        self._is_greeted = True
        if b":" in line:
            return data
        self.banner = line.decode("utf-8", "replace")
        return after

    def _named(self, pieces: list[bytes]) -> list[Frame]:
        wanted = self._wanted
        frames = []
        for piece in pieces:
            if piece[:2] == b"\r\n":
                piece = piece[2:]
            if not piece:
                continue
            if piece[:7] != _EVENT:
                frames.append(Frame(piece))
                continue
            end = piece.find(b"\r\n")
            name = piece[7:end] if end >= 0 else piece[7:]
            if wanted is None:
                frames.append(Frame(piece, name.decode("utf-8", "replace")))
            elif (known := wanted.get(name)) is not None:
                frames.append(Frame(piece, known))
            elif _ACTION_ID in piece:
                frames.append(Frame(piece, name.decode("utf-8", "replace")))
        return frames

    def _refuse_oversized(self, length: int) -> None:
        if length > self._max_frame_bytes:
            raise PeerError(f"Asterisk sent a frame of more than {self._max_frame_bytes} bytes")
