"""Asterisk's own record of calls (CEL), as the lab writes it: the referee of every test."""

import csv
from collections.abc import Callable
from dataclasses import dataclass

from cti.demo.lab import Lab
from tests.pbx.sipp import wait_until

COLUMNS = (
    "eventtype", "eventtime", "cid_num", "cid_name", "exten", "context", "channame", "appname", "appdata", "uniqueid",
    "linkedid", "peer", "extra",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CelRow:
    """One line of the record; `at` is Unix seconds."""

    event: str
    at: float
    ani: str
    name: str
    context: str
    channel: str
    leg: str
    call: str
    extra: str


def read_cel(lab: Lab) -> list[CelRow]:
    """Every line written so far."""
    try:
        with lab.cel_csv.open(newline="", encoding="utf-8", errors="replace") as file:
            rows = [dict(zip(COLUMNS, row, strict=True)) for row in csv.reader(file) if len(row) == len(COLUMNS)]
    except FileNotFoundError:
        return []
    return [
        CelRow(
            row["eventtype"], float(row["eventtime"]), row["cid_num"], row["cid_name"], row["context"], row["channame"],
            row["uniqueid"], row["linkedid"], row["extra"],
        )
        for row in rows
    ]  # fmt: skip


def wait_for_cel(lab: Lab, wanted: Callable[[CelRow], bool], timeout_s: float = 10.0) -> CelRow:
    """The first line `wanted` says yes to."""
    seen = wait_until(lambda: next((row for row in read_cel(lab) if wanted(row)), None), timeout_s)
    assert seen is not None, f"not in the record within {timeout_s} s: {[(r.event, r.channel) for r in read_cel(lab)]}"
    return seen
