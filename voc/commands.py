"""`offhook call`: one contact with its steps, contacts brought along from another system, and the audit against CEL."""

import asyncio
import csv
import json
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table
from rich.text import Text
from sqlalchemy import select

from cti.errors import ConfigError, CtiError
from cti.ids import CallId
from cti.requests import ContactSheet
from cti.settings import Settings
from cti.settings_file import load_settings
from cti.store import Store
from cti.store.engine import open_store
from cti.store.migrate import migrate
from voc.cel import CelRow
from voc.cel_source import CelMark, cel_source
from voc.past import read_past
from voc.referee import Claim, Verdict, judge
from voc.service import kept_sheet
from voc.store import KEEP_CONTACT, KEEP_LINKEDID, contact_table

app = typer.Typer(help="Calls as they are remembered.", no_args_is_help=True)
out = Console()
err = Console(stderr=True)

ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", help="The settings file; else $OFFHOOK_CONFIG, else ./offhook.toml.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]

BATCH = 500
ReturnT = TypeVar("ReturnT")

_SHEET = TypeAdapter(ContactSheet)


@app.command()
def show(
    call: Annotated[str, typer.Argument(help="The call's id (Asterisk's Linkedid).")],
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Show one contact and everything that happened to it, step by step."""
    sheet = _run(_read_sheet(_settings(config), CallId(call)))
    if sheet is None:
        err.print(Text(f"There is no contact of the call {call}."))
        raise typer.Exit(1)
    if as_json:
        typer.echo(_SHEET.dump_json(sheet, indent=2).decode())
    else:
        _print_sheet(sheet)


@app.command()
def audit(
    config: ConfigFile = None,
    as_json: AsJson = False,
    since: Annotated[float, typer.Option(help="Only calls that began at this instant (Unix seconds) or later.")] = 0.0,
) -> None:
    """Compare the contacts with Asterisk's own record: exactly one for every call, with the right outcome.

    The exit status is 1 when a contact is missing, there twice, or wrong.
    """
    verdict = _run(_audit(_settings(config), since))
    if as_json:
        typer.echo(json.dumps(_verdict_as_json(verdict)))
    else:
        _print_verdict(verdict)
    if not verdict.is_clean:
        raise typer.Exit(1)


@app.command("import")
def import_past(
    file: Annotated[
        Path, typer.Argument(help="A CSV file with a header line; `call` and `at` are needed.", exists=True)
    ],
    config: ConfigFile = None,
) -> None:
    """Bring along contacts of the past, so that the next pop shows them. A contact that is there already stays as it is."""
    settings = _settings(config)
    count = _run(_import(settings, file))
    out.print(f"{count} contacts read")


def _settings(config: Path | None) -> Settings:
    try:
        return load_settings(config)
    except ConfigError as exc:
        err.print(Text(str(exc)))
        raise typer.Exit(2) from exc


def _run(work: Coroutine[Any, Any, ReturnT]) -> ReturnT:
    try:
        return asyncio.run(work)
    except (CtiError, OSError, csv.Error) as exc:
        err.print(Text(str(exc)))
        raise typer.Exit(2) from exc


@asynccontextmanager
async def _open(settings: Settings) -> AsyncIterator[Store]:
    await asyncio.to_thread(migrate, settings.database.url)
    async with open_store(settings.database.url) as store:
        yield store


async def _read_sheet(settings: Settings, call: CallId) -> ContactSheet | None:
    async with _open(settings) as store:
        return await kept_sheet(store, call)


async def _import(settings: Settings, file: Path) -> int:
    rows: Iterator[dict[str, Any]] = read_past(file, settings.caller.region)
    count = 0
    async with _open(settings) as store:
        while batch := list(islice(rows, BATCH)):
            linkedids = [{"linkedid": row["call"], "call": row["call"]} for row in batch]
            await store.write((KEEP_CONTACT, batch), (KEEP_LINKEDID, linkedids))
            count += len(batch)
    return count


async def _audit(settings: Settings, since: float) -> Verdict:
    source = cel_source(settings.cel)
    if source is None:
        raise CtiError("there is no record to compare with: set `cel.csv` or `cel.url`")
    rows: list[CelRow] = []
    try:
        async for page in source.pages(source.go_on_from(CelMark())):
            rows += page.rows
    finally:
        await source.close()
    columns = contact_table.c
    async with _open(settings) as store:
        found = await store.read(select(columns.call, columns.outcome, columns.waited_s))
    claims = [Claim(row.call, row.outcome, row.waited_s) for row in found]
    return judge(rows, claims, settings.pbx.trunk_contexts, since)


def _verdict_as_json(verdict: Verdict) -> dict[str, Any]:
    wrong = [{"call": each.call, "said": each.said, "should_be": each.should_be} for each in verdict.wrong_outcomes]
    return {
        "linkedids": verdict.linkedids,
        "missing_contacts": len(verdict.missing_contacts),
        "duplicate_contacts": len(verdict.duplicate_contacts),
        "wrong_outcomes": len(verdict.wrong_outcomes),
        "outcomes": dict(verdict.outcomes),
        "missing": list(verdict.missing_contacts),
        "duplicate": list(verdict.duplicate_contacts),
        "wrong": wrong,
    }


def _print_verdict(verdict: Verdict) -> None:
    out.print(f"{verdict.linkedids} calls in Asterisk's record: {dict(verdict.outcomes)}")
    for call in verdict.missing_contacts:
        out.print(Text(f"{call}: no contact"))
    for call in verdict.duplicate_contacts:
        out.print(Text(f"{call}: a contact too many"))
    for wrong in verdict.wrong_outcomes:
        out.print(Text(f"{wrong.call}: is {wrong.said}, should be {wrong.should_be}"))
    if verdict.is_clean:
        out.print("Every call has exactly one contact, with the right outcome.")


def _print_sheet(sheet: ContactSheet) -> None:
    caller = f"{sheet.ani or 'withheld'} {sheet.caller_name}".strip()
    head = Table(show_header=False, box=None)
    for name, value in (
        ("Call", sheet.call),
        ("From", caller),
        ("To", sheet.dnis),
        ("Customer", sheet.customer or "not known"),
        ("Outcome", sheet.outcome),
        ("Queue", sheet.queue),
        ("Agents", ", ".join(sheet.agents)),
        ("Waited, talked, held, wrapped up", _seconds(sheet.wait_s, sheet.talk_s, sheet.hold_s, sheet.wrap_up_s)),
        ("Answers", ", ".join(f"{answer.name} = {answer.value}" for answer in sheet.answers)),
        ("Disposition", sheet.disposition),
        ("Note", sheet.note),
    ):
        head.add_row(name, Text(value))
    steps = Table("Time (UTC)", "What happened")
    for step in sheet.steps:
        at = datetime.fromtimestamp(step.at, UTC)
        steps.add_row(f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d}", Text(step.detail or step.step))
    out.print(head)
    out.print(steps)


def _seconds(*values: float) -> str:
    return ", ".join(f"{value:.1f} s" for value in values)
