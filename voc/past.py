"""Contacts of the past, brought along from another system as a CSV file with a header line.

Columns: `call` (a name of its own), `at` (Unix seconds or an ISO date and time), and, where known, `ani`, `dnis`,
`customer`, `queue`, `outcome`, `agent`, `disposition`, `note`, `talk_s`, `waited_s`. Every mistake is named with its line.
"""

import csv
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cti.errors import ConfigError, Finding
from cti.events import ContactOutcome, EndedBy
from cti.ids import AGENT_NAME, AgentId, CallId, CustomerId, QueueId
from cti.phone_number import read_number
from voc.contact import Contact
from voc.store import row_of

NEEDED = ("call", "at")
KNOWN = (*NEEDED, "ani", "dnis", "customer", "queue", "outcome", "agent", "disposition", "note", "talk_s", "waited_s")
MAX_FINDINGS = 20


def read_past(file: Path, region: str) -> Iterator[dict[str, Any]]:
    """The file's contacts as rows of `voc_contact`. Raises ConfigError with what is wrong, at most twenty findings."""
    findings: list[Finding] = []
    with file.open(encoding="utf-8-sig", newline="") as text:
        reader = csv.DictReader(text)
        columns = reader.fieldnames or ()
        findings += [
            Finding(str(file), name, "this column is missing", line=1) for name in NEEDED if name not in columns
        ]
        findings += [
            Finding(str(file), name, "no such column", f"choose from {', '.join(KNOWN)}", 1)
            for name in columns
            if name not in KNOWN
        ]
        if findings:
            raise ConfigError(findings)
        yield from _rows(file, reader, region, findings)
    if findings:
        raise ConfigError(findings)


def _rows(file: Path, reader: "csv.DictReader[str]", region: str, findings: list[Finding]) -> Iterable[dict[str, Any]]:
    for line in reader:
        try:
            yield _row({name: (line.get(name) or "").strip() for name in KNOWN}, region)
        except ValueError as exc:
            findings.append(Finding(str(file), "(the line)", str(exc), line=reader.line_num))
            if len(findings) >= MAX_FINDINGS:
                raise ConfigError(findings) from exc


def _row(line: dict[str, str], region: str) -> dict[str, Any]:
    if not line["call"] or len(line["call"]) > 150:
        raise ValueError("`call` must be a name of 1 to 150 characters")
    agent = line["agent"]
    if agent and not AGENT_NAME.match(agent):
        raise ValueError(f"{agent!r} is no agent's name")
    at = _instant(line["at"])
    waited_s, talk_s = _seconds(line["waited_s"]), _seconds(line["talk_s"])
    outcome = ContactOutcome(line["outcome"] or (ContactOutcome.ANSWERED if agent else ContactOutcome.IVR_ONLY))
    contact = Contact(
        call=CallId(line["call"]),
        outcome=outcome,
        ended_by=EndedBy.UNKNOWN,
        is_inferred=True,
        arrived_at=at,
        queued_at=at if line["queue"] else None,
        answered_at=at + waited_s if agent else None,
        ended_at=at + waited_s + talk_s,
        ani=line["ani"],
        ani_e164=read_number(line["ani"], region).e164,
        caller_name="",
        dnis=line["dnis"],
        match=None,
        customer=CustomerId(line["customer"]) if line["customer"] else None,
        flow="",
        flow_version="",
        answers=(),
        queue=QueueId(line["queue"]),
        language="",
        reason="",
        offers=(),
        agents=(AgentId(agent),) if agent else (),
        waited_s=waited_s,
        talk_s=talk_s,
        hold_s=0.0,
        wrap_up_s=0.0,
        disposition=line["disposition"],
        note=line["note"],
    )
    return row_of(contact, closed_at=contact.ended_at)


def _instant(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()


def _seconds(text: str) -> float:
    seconds = float(text or 0)
    if not 0 <= seconds < 1e7:
        raise ValueError(f"{text!r} is no number of seconds")
    return seconds
