"""Asterisk's record of calls, read as bytes and as rows of a table."""

from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from voc.cel import COLUMNS, CelLines, CelRow, row_of_table

RECORDED = (Path(__file__).parent / "recorded_cel.csv").read_bytes()


def line(name: str = "Cal", at: str = "1800000000.5", kind: str = "HANGUP") -> bytes:
    values = [kind, at, "1", name, "s", "c", "PJSIP/t-1", "", "", "leg", "linked", "", '{"hangupcause":16}']
    return (",".join('"' + value.replace('"', '""') + '"' for value in values) + "\n").encode()


def test_what_a_real_asterisk_wrote_is_read_to_the_last_row() -> None:
    """The record of two calls through Asterisk 22: every row, kinds, times and the JSON in the last column."""
    lines = CelLines()
    rows = list(lines.feed(RECORDED))
    assert (len(rows), lines.bad, lines.pending, lines.place) == (45, 0, 0, len(RECORDED))
    assert rows[0].kind == "CHAN_START"
    assert rows[0].at == 1795330897.607171
    assert {row.linkedid for row in rows if row.kind == "LINKEDID_END"} == {
        "1795330897.0",
        "1795330904.5",
        "offhook-1795330897.0-ann-1795330899134",
    }
    bridges = [row for row in rows if row.kind == "BRIDGE_ENTER"]
    assert all(row.extra_value("bridge_id") for row in bridges)


def test_a_date_stands_for_the_seconds_it_names() -> None:
    """Where somebody has set `dateformat` (FreePBX does), the record is read by this machine's clock instead of lost."""
    lines = CelLines()
    dated = datetime.fromtimestamp(1800000000).strftime("%F %T")
    assert [row.at for row in lines.feed(line(at=dated) + line(at="1800000000.5"))] == [1800000000.0, 1800000000.5]
    assert list(lines.feed(line(at="yesterday"))) == []
    assert lines.bad == 1


@given(st.lists(st.integers(1, 400), max_size=60))
def test_any_chunking_gives_the_same_rows(sizes: list[int]) -> None:
    """Where a read ends means nothing: rows and their places are the same."""
    whole, lines, at = list(CelLines().feed(RECORDED)), CelLines(), 0
    rows: list[CelRow] = []
    for size in [*sizes, len(RECORDED)]:
        rows += lines.feed(RECORDED[at : at + size])
        at += size
    assert rows == whole


@given(st.lists(st.sampled_from([line(), line("two\nlines"), line('a "quote"')]), min_size=1, max_size=8))
def test_a_place_is_where_the_record_begins(lines: list[bytes]) -> None:
    """Reading again from a row's place begins with that row."""
    data = b"".join(lines)
    for row in CelLines().feed(data):
        again = next(iter(CelLines(place=row.place).feed(data[row.place :])))
        assert again == row


def test_a_name_with_a_line_break_stays_one_record() -> None:
    """Names are from outside; a break in one is no new record."""
    (row,) = CelLines().feed(line("Cal\nHANGUP,1,2,3"))
    assert row.name == "Cal\nHANGUP,1,2,3"


def test_damage_costs_the_damaged_record_only() -> None:
    """Torn lines, wrong counts of columns, impossible times: counted, and the rows around them are read."""
    damaged = [b"\xff\xfe\n", b'"HANGUP","x"\n', line(at="never"), line(at="-1"), line(at="1e400"), line(at="nan")]
    lines = CelLines()
    rows = list(lines.feed(line("before") + b"".join(damaged) + line("after")))
    assert [row.name for row in rows] == ["before", "after"]
    assert lines.bad == len(damaged)


def test_a_quote_that_never_closes_does_not_swallow_the_rest() -> None:
    """After eight lines an open quote was damage, and the lines are read for themselves."""
    lines = CelLines()
    rows = list(lines.feed(b'"HANG\n' + line() * 10))
    assert (len(rows), lines.bad) == (10, 1)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    """Whatever is in the file, reading goes on."""
    lines = CelLines()
    list(lines.feed(data))
    assert lines.place + lines.pending == len(data)


def test_a_row_of_a_table_is_read_by_whichever_clock_it_has() -> None:
    """Numbers, numbers as text, aware times, ISO text; a row without a time is refused."""
    row: dict[str, object] = {**dict.fromkeys(COLUMNS, ""), "id": 7, "eventtype": "HANGUP", "linkedid": "l"}
    for at in (1800000000, "1800000000.0", datetime.fromtimestamp(1800000000, UTC), "2027-01-15 08:00:00+00:00"):
        read = row_of_table({**row, "eventtime": at})
        assert read is not None
        assert (read.at, read.place) == (1800000000.0, 7)
    assert row_of_table({**row, "eventtime": None}) is None
    assert row_of_table({**row, "eventtime": "yesterday"}) is None
