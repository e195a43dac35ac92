"""Row: bytes of the manager interface to Facts, against panoramisk's parse and dispatch of the same bytes.

In 64 KiB pieces, in one process, no socket: what catching up after a stall costs. Ours also tracks: it joins channels
into calls and says Facts, where panoramisk ends with a message in a handler. Times are processor time.
"""

import gc
import logging
import time
from collections.abc import Sequence
from typing import Any

from panoramisk.ami_protocol import AMIProtocol
from panoramisk.manager import Manager

from bench.recording import messages
from bench.row import Figures, Goal, Row, Say, Scale, interleaved, lines_of, median_ratio
from cti.ami.protocol import Frames
from cti.ami.tracker import Tracker

PIECE = 65536
OURS, THEIRS, FLOOR = "ours: Frames + Tracker", "panoramisk 1.4: parse + dispatch", "floor: split to dicts of lists"


class _NoTransport:
    def write(self, data: bytes) -> None:
        """Nothing is there to write to."""

    def close(self) -> None:
        """Nor to close."""


def _ours(pieces: Sequence[bytes]) -> int:
    frames, tracker = Frames(Tracker.WANTED | {"Shutdown"}), Tracker(("from-trunk",))
    frames.feed(b"Asterisk Call Manager/9.0.0\r\n")
    facts = 0
    for piece in pieces:
        for frame in frames.feed(piece):
            facts += len(tracker.receive(frame, 1.8e9))
    return facts


def _panoramisk(pieces: Sequence[bytes]) -> int:
    manager, seen = Manager(), [0]

    def take(_: Manager, event: Any) -> None:
        seen[0] += 1

    manager.register_event("*", take)
    protocol = AMIProtocol()
    protocol.connection_made(_NoTransport())
    protocol.factory, protocol.encoding, protocol.version = manager, "utf8", "9.0.0"
    for piece in pieces:
        protocol.data_received(piece)
    return seen[0]


def _floor(pieces: Sequence[bytes]) -> int:
    rest, seen = b"", 0
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\r\n\r\n")
        for message in whole:
            headers: dict[str, list[str]] = {}
            for line in message.decode("utf-8", "replace").split("\r\n"):
                key, _, value = line.partition(": ")
                headers.setdefault(key, []).append(value)
            seen += 1
    return seen


def _measure(work: Any, pieces: Sequence[bytes], events: int) -> Figures:
    gc.collect()
    began = time.process_time()
    come_to = work(pieces)
    spent = time.process_time() - began
    return {"events/s": events / spent, "CPU µs/event": spent / events * 1e6, "came to": come_to}


def run(scale: Scale, say: Say) -> Row:
    """Both streams: everything Asterisk says, and what it says to our manager user."""
    logging.disable(logging.CRITICAL)
    lines, goals = [], []
    for name, only_ours in (("all events", False), ("as our manager user receives it", True)):
        told = messages(scale.of(40, 4), only_ours)
        data = b"".join(told)
        pieces = [data[at : at + PIECE] for at in range(0, len(data), PIECE)]
        subjects = {
            f"{who}, {name}": lambda work=work: _measure(work, pieces, len(told))  # noqa: B023 - used up in this turn
            for who, work in ((FLOOR, _floor), (THEIRS, _panoramisk), (OURS, _ours))
        }
        found = interleaved(subjects, scale.of(5, 2), say)
        lines += lines_of(found)
        ratio = median_ratio(found[f"{OURS}, {name}"], found[f"{THEIRS}, {name}"], "events/s")
        goals.append(Goal(f"events/s beside panoramisk, {name}", ratio, 2.0))
    return Row(
        title="AMI bytes to Facts, in bulk",
        how="The recordings of tests/transcripts/, renamed and repeated, in pieces of 64 KiB. `came to`: Facts for ours, "
        "messages handled for the others.",
        lines=lines,
        goals=goals,
    )
