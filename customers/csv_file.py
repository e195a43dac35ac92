"""A CSV file as people send it: any of the usual encodings, delimiters and headings, read row by row in constant memory.

UTF-8 with or without a byte order mark, UTF-16 with one, else Windows-1252; comma, semicolon, tab or bar. A row that can't be
read is a Mistake with its line, never the end of the file.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import TracebackType

from cti.errors import ConfigError, Finding

_DELIMITERS = ",;\t|"
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong in one line; `is_fatal`: the row was left out, else only this cell was."""

    line: int
    column: str
    why: str
    is_fatal: bool = True


@dataclass(frozen=True, slots=True)
class Record:
    """One row: the text under each field we know (several where several columns mean the same), and its line."""

    line: int
    cells: Mapping[str, Sequence[tuple[str, str]]]  # field -> (heading, text), only where there is text

    def text(self, field: str) -> str:
        """The first text under this field, "" for none."""
        cells = self.cells.get(field)
        return cells[0][1] if cells else ""


class CsvFile:
    """One open file; `fields` are the ones it has columns for. Use as a context manager."""

    def __init__(self, path: Path, synonyms: Mapping[str, Sequence[str]], renames: Mapping[str, str]) -> None:
        self.path = path
        try:
            self.size = path.stat().st_size
            self.encoding = _encoding_of(path)
            self._bytes = path.open("rb")
        except OSError as exc:
            raise ConfigError([Finding(str(path), "(the file)", str(exc), "name a readable CSV file")]) from exc
        self._text = io.TextIOWrapper(self._bytes, self.encoding, errors="replace", newline="")
        head = self._text.readline()
        self.delimiter = max(_DELIMITERS, key=head.count)
        headings = next(csv.reader([head], delimiter=self.delimiter), [])
        self._columns = _columns(headings, synonyms, renames)
        self.fields = frozenset(field for _, _, field in self._columns)
        self.ignored = tuple(
            heading.strip() for place, heading in enumerate(headings) if place not in {at for at, _, _ in self._columns}
        )

    def __enter__(self) -> "CsvFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._text.close()

    @property
    def position(self) -> int:
        """Bytes read so far, of `size`."""
        return self._bytes.tell()

    def rows(self) -> Iterator[Record | Mistake]:
        """Every row below the headings; empty ones are passed over."""
        reader = csv.reader(self._text, delimiter=self.delimiter)
        while True:
            line = reader.line_num + 2
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as exc:
                yield Mistake(line, "", f"not a row of CSV: {exc}")
                continue
            found: dict[str, list[tuple[str, str]]] = {}
            for place, heading, field in self._columns:
                if place < len(cells) and (text := cells[place].strip()):
                    found.setdefault(field, []).append((heading, text))
            if found:
                yield Record(line, found)


def read_date(text: str) -> str | None:
    """The ISO date in `text` (a time after it is passed over); None where it is none."""
    try:
        return date.fromisoformat(text[:10]).isoformat()
    except ValueError:
        return None


def read_amount(text: str) -> float | None:
    """The amount in `text`, as 1234.5, 1,234.50 or 1.234,50, with or without a currency; None where it is none."""
    bare = re.sub(r"[^\d.,+-]", "", text)
    if "," in bare and "." in bare:
        thousands = "," if bare.rindex(".") > bare.rindex(",") else "."
        bare = bare.replace(thousands, "")
    elif re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+", bare):
        bare = bare.replace(",", "")
    bare = bare.replace(",", ".")
    return float(bare) if re.fullmatch(r"[+-]?(\d{1,15}(\.\d{0,6})?|\.\d{1,6})", bare) else None


def _columns(
    headings: Sequence[str], synonyms: Mapping[str, Sequence[str]], renames: Mapping[str, str]
) -> list[tuple[int, str, str]]:
    """Place, heading and field of every column that means something to us."""
    meanings = {_plain(word): field for field, words in synonyms.items() for word in (field, *words)}
    meanings.update({_plain(heading): field for heading, field in renames.items()})
    columns = []
    for place, heading in enumerate(headings):
        plain = _plain(heading)
        # phone2, "Phone 3": numbered columns mean what the first one means.
        field = meanings.get(plain) or meanings.get(plain.rstrip("0123456789"))
        if field:
            columns.append((place, heading.strip(), field))
    return columns


def _plain(heading: str) -> str:
    return "".join(sign for sign in heading.lower() if sign.isalnum())


def _encoding_of(path: Path) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        first = file.read(_PIECE)
        if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        try:
            piece = first
            while piece:
                decoder.decode(piece)
                piece = file.read(_PIECE)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8-sig"
