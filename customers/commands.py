"""`offhook customers ...`: bring the people you know into the house."""

import asyncio
import csv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from cti.errors import ConfigError, CtiError, Finding
from cti.settings_file import load_settings
from cti.store import Store
from cti.store.engine import open_store
from cti.store.migrate import migrate
from customers.companions import import_cases, import_purchases
from customers.csv_file import Mistake
from customers.importer import SYNONYMS, ImportReport, Note, import_customers

app = typer.Typer(help="The people you know.", no_args_is_help=True)

CsvPath = Annotated[Path, typer.Argument(help="The CSV file; its first line names the columns.", metavar="FILE.csv")]
Purchases = Annotated[Path | None, typer.Option(help="A CSV of what they bought: customer, at, item, amount.")]
Cases = Annotated[Path | None, typer.Option(help="A CSV of their cases: customer, title, opened_at, status.")]
Columns = Annotated[
    list[str] | None, typer.Option("--column", help="What a heading means, e.g. Kundennr=customer. May be repeated.")
]
ConfigPath = Annotated[Path | None, typer.Option("--config", help="The settings file; default offhook.toml.")]


@app.callback()
def customers() -> None:
    """The people you know."""


@app.command("import")
def import_file(
    file: CsvPath,
    purchases: Purchases = None,
    cases: Cases = None,
    column: Columns = None,
    config: ConfigPath = None,
) -> None:
    """Bring customers from a CSV file into the database; safe to repeat. Mistakes go to FILE.errors.csv, line by line."""
    console = Console(stderr=True)
    try:
        settings = load_settings(config)
        migrate(settings.database.url)
        run = _Run(settings.database.url, settings.caller.region, console)
        reports = asyncio.run(run.all(file, purchases, cases, _renames(column or [])))
    except CtiError as exc:
        console.print(f"[red]{escape(str(exc))}[/red]")
        raise typer.Exit(1) from exc
    _summarise(console, reports)
    if not any(report.written for report in reports):
        console.print("[red]Nothing in it could be used.[/red]")
        raise typer.Exit(1)


class _Run:
    """One run of the command: the files in their order, each with its bar and its list of mistakes."""

    def __init__(self, url: str, region: str, console: Console) -> None:
        self._url = url
        self._region = region
        self._console = console

    async def all(
        self, file: Path, purchases: Path | None, cases: Path | None, renames: dict[str, str]
    ) -> list[ImportReport]:
        """Customers first, then what hangs on them."""
        with self._bars() as bars:
            async with open_store(self._url, patience_s=30.0) as store:
                reports = [await self._one(bars, store, file, "customers", renames)]
                if purchases is not None:
                    reports.append(await self._one(bars, store, purchases, "purchases", renames))
                if cases is not None:
                    reports.append(await self._one(bars, store, cases, "cases", renames))
        return reports

    async def _one(self, bars: Progress, store: Store, path: Path, what: str, renames: dict[str, str]) -> ImportReport:
        bar = bars.add_task(f"{what} from {escape(path.name)}", total=1)

        def progress(done: int, total: int) -> None:
            bars.update(bar, completed=done, total=max(total, 1))

        with _errors_file(path) as note:
            if what == "customers":
                return await import_customers(store, path, self._region, note, progress, renames)
            if what == "purchases":
                return await import_purchases(store, path, note, progress)
            return await import_cases(store, path, note, progress)

    def _bars(self) -> Progress:
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=self._console,
        )


@contextmanager
def _errors_file(path: Path) -> Iterator[Note]:
    """Where mistakes are noted; the file is there only when there are any. It holds no values: they may be private."""
    errors = path.with_name(path.name.removesuffix(".csv") + ".errors.csv")
    errors.unlink(missing_ok=True)
    with ExitStack() as stack:
        writers: list[Note] = []

        def note(mistake: Mistake) -> None:
            if not writers:
                writer = csv.writer(stack.enter_context(errors.open("w", newline="", encoding="utf-8")))
                writer.writerow(("line", "column", "why", "row"))
                writers.append(
                    lambda each: writer.writerow(
                        (each.line, _harmless(each.column), each.why, "left out" if each.is_fatal else "imported")
                    )
                )
            writers[0](mistake)

        yield note


def _harmless(heading: str) -> str:
    # A spreadsheet takes a cell that begins so for a formula, and a heading comes from outside.
    return "'" + heading if heading[:1] in "=+-@" and heading else heading


def _renames(columns: list[str]) -> dict[str, str]:
    renames: dict[str, str] = {}
    for column in columns:
        heading, _, field = column.rpartition("=")
        if not heading or field not in SYNONYMS:
            raise ConfigError(
                [Finding("--column", column, "not HEADING=FIELD", f"FIELD is one of {', '.join(SYNONYMS)}")]
            )
        renames[heading] = field
    return renames


def _summarise(console: Console, reports: list[ImportReport]) -> None:
    table = Table("File", "Rows", "Written", "Left out", "Mistakes", "Columns passed over")
    for report in reports:
        table.add_row(
            escape(report.path.name),
            f"{report.rows:,}",
            f"{report.written:,}",
            f"{report.left_out:,}",
            f"{report.mistakes:,}",
            escape(", ".join(report.ignored)),
        )
    console.print(table)
    for report in reports:
        if report.mistakes:
            console.print(f"Mistakes are in {escape(report.path.name.removesuffix('.csv'))}.errors.csv, line by line.")
