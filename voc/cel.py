"""Asterisk's own record of calls (CEL), read: lines of our cel_custom file, or rows of a `cel` table, into values.

The columns are those of `asterisk/cel_custom-offhook.conf`. Everything in them is text from outside, the kind of event
included; a line that can't be read is counted and skipped. A record may span lines, where a name holds a line break.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

COLUMNS = (
    "eventtype",
    "eventtime",
    "cid_num",
    "cid_name",
    "exten",
    "context",
    "channame",
    "appname",
    "appdata",
    "uniqueid",
    "linkedid",
    "peer",
    "extra",
)
MAX_LINES = 8
"""Lines one record may span; beyond it the opening quote was damage."""


@dataclass(frozen=True, slots=True)
class CelRow:
    """One record. `at` is Unix seconds by Asterisk's clock; `place` is its byte offset or its id in the table."""

    place: int
    kind: str
    at: float
    number: str
    name: str
    exten: str
    context: str
    channel: str
    app: str
    app_data: str
    leg: str
    linkedid: str
    peer: str
    extra: str

    def extra_value(self, key: str) -> str:
        """One value of the JSON in `extra`, "" when it is not there."""
        if key not in self.extra:
            return ""
        try:
            extras = json.loads(self.extra)
        except ValueError:
            return ""
        value = extras.get(key, "") if isinstance(extras, dict) else ""
        return str(value)


@dataclass(slots=True)
class CelLines:
    """Cuts bytes of the file into rows; keeps what is not a whole record yet.

    `place` is the byte offset up to which everything has been read; `bad` counts the records nobody could read.
    """

    place: int = 0
    bad: int = 0
    _rest: bytes = b""

    @property
    def pending(self) -> int:
        """Bytes that are no whole record yet."""
        return len(self._rest)

    def feed(self, data: bytes) -> Iterator[CelRow]:
        """The rows that are complete with these bytes, in order."""
        lines = (self._rest + data).split(b"\n")
        self._rest = b""
        tail = lines.pop()
        record: list[bytes] = []
        for line in lines:
            record.append(line)
            whole = line if len(record) == 1 else b"\n".join(record)
            if whole.count(b'"') % 2 and len(record) < MAX_LINES:
                continue
            yield from self._cut(record, whole)
            record = []
        self._rest = b"\n".join([*record, tail])

    def _cut(self, record: list[bytes], whole: bytes) -> Iterator[CelRow]:
        if whole.count(b'"') % 2:
            # The quote was never closed: each line stands for itself again, and those that are whole are read.
            for line in record:
                yield from self._read(line)
        else:
            yield from self._read(whole)

    def _read(self, record: bytes) -> Iterator[CelRow]:
        place = self.place
        self.place += len(record) + 1
        if not record.strip():
            return
        row = _row_of(place, record)
        if row is None:
            self.bad += 1
        else:
            yield row


def _row_of(place: int, record: bytes) -> CelRow | None:
    text = record.decode("utf-8", "replace")
    try:
        fields = next(csv.reader([text] if "\n" not in text else text.splitlines(keepends=True)), [])
        if len(fields) != len(COLUMNS):
            return None
        kind, at, *others = fields
        return _checked(CelRow(place, kind, _seconds(at), *others))
    except (ValueError, csv.Error):
        return None


def _checked(row: CelRow) -> CelRow | None:
    # Not a number, or no time at which there were telephones.
    return row if row.kind and row.linkedid and 0.0 < row.at < 1e11 else None


def row_of_table(columns: Mapping[str, Any]) -> CelRow | None:
    """A row of a `cel` table as cel_odbc and cel_pgsql write it, None when it can't be read; `id` gives its place.

    `eventtime` may be a number, a number as text, or a date and time: aware, or by the clock of this machine.
    """
    try:
        text = {name: "" if columns.get(name) is None else str(columns[name]) for name in COLUMNS}
        at = _seconds(columns["eventtime"])
        place = int(columns["id"])
    except (KeyError, ValueError, TypeError):
        return None
    names = [name for name in COLUMNS if name not in ("eventtype", "eventtime")]
    return _checked(CelRow(place, text["eventtype"], at, *(text[name] for name in names)))


def _seconds(value: object) -> float:
    # Unix seconds as Asterisk writes them by itself; a date where `dateformat` is set (FreePBX), by this machine's clock.
    if isinstance(value, datetime):
        return value.timestamp()
    text = str(value)
    try:
        return float(text)
    except ValueError:
        return datetime.fromisoformat(text).timestamp()
