"""`offhook check`: the doctor. Looks at everything an installation stands on and says of every finding how to mend it.

Goes on after a finding as far as it can, so that one visit names all there is. It changes nothing, and dials nothing but
its own extension in `offhook-check`.
"""

import asyncio
import importlib.util
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path

from rich.console import Console
from rich.text import Text

from cti.doctor_pbx import examine_pbx
from cti.errors import ConfigError, CtiError, Finding
from cti.finding import Grade, Result, good, warning, wrong
from cti.settings import Settings
from cti.settings_file import load_settings, settings_path
from cti.site import Site
from cti.site_file import load_site, unserved_queues
from cti.store.migrate import newest_revision, revision_of

GROUP = "offhook.checks"
"""Rooms may examine their own files: `check(settings, site) -> list[Finding]`."""

PACKAGES = ("cti", "ivr", "acd", "customers", "screenpop", "voc", "agent_console")


async def examine(config: Path | None) -> list[Result]:
    """Everything, in the order in which it should be mended."""
    results = list(_import_names())
    try:
        settings = load_settings(config)
    except ConfigError as exc:
        return [*results, *(_of_finding("settings", finding) for finding in exc.findings)]
    results.append(good("settings", f"{settings_path(config)} can be used"))
    results += _secrets(settings)
    results += _site(settings)
    results.append(await asyncio.to_thread(_database, settings))
    results += [result async for result in examine_pbx(settings)]
    return results


def _import_names() -> Iterator[Result]:
    """Our packages have plain names; something else of the same name on the path would be imported instead."""
    home = Path(__file__).resolve().parents[1]
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        where = Path(spec.origin).resolve().parents[1] if spec is not None and spec.origin else None
        if where != home:
            why = f"`import {name}` finds {spec.origin if spec else 'nothing'}, not ours in {home}"
            yield wrong("import names", why, "install offhook into a virtual environment of its own")
            return
    yield good("import names", "every package is ours")


def _of_finding(what: str, finding: Finding, grade: Grade = Grade.WRONG) -> Result:
    where = f"{finding.file}:{finding.line}" if finding.line else finding.file
    return Result(what, grade, f"{where}: {finding.key}: {finding.why}", finding.mend)


def _secrets(settings: Settings) -> Iterator[Result]:
    for what, secret, key in (
        ("manager secret", settings.pbx.secret, "pbx.secret_file"),
        ("AGI token", settings.agi.token, "agi.token_file"),
    ):
        if not secret.get_secret_value():
            yield wrong(what, "it is empty", f"`offhook init` makes one; name its file in {key}")
    for key, file in (("pbx.secret_file", settings.pbx.secret_file), ("agi.token_file", settings.agi.token_file)):
        if file is not None and file.is_file() and file.stat().st_mode & 0o077:
            yield warning("secrets", f"{file} ({key}) can be read by others", f"chmod 600 {file}")


def _site(settings: Settings) -> Iterator[Result]:
    try:
        site: Site = load_site(settings.paths.queues, settings.paths.agents)
    except ConfigError as exc:
        yield from (_of_finding("queues and agents", finding) for finding in exc.findings)
        return
    yield good("queues and agents", f"{len(site.queues)} queues, {len(site.agents)} agents")
    yield from (_of_finding("queues and agents", finding, Grade.WARNING) for finding in unserved_queues(site))
    for point in entry_points(group=GROUP):
        findings: Sequence[Finding] = point.load()(settings, site)
        yield from (_of_finding(point.name, finding) for finding in findings)
        if not findings:
            yield good(point.name, "nothing to mend")


def _database(settings: Settings) -> Result:
    try:
        there = revision_of(settings.database.url)
    except (CtiError, OSError) as exc:
        mend = "see that the server runs and the user may log in, or mend database.url"
        return wrong("database", str(exc), mend)
    if not there:
        return warning("database", "it has no tables yet", "`offhook init` or the daemon's start makes them")
    if there != newest_revision():
        return warning("database", f"it is at revision {there}", "the daemon's next start brings it up to date")
    return good("database", f"reachable, revision {there}")


def print_findings(results: Sequence[Result], out: Console) -> None:
    """For a person: a line each, the mend below."""
    marks = {Grade.GOOD: ("ok   ", "green"), Grade.WARNING: ("warn ", "yellow"), Grade.WRONG: ("WRONG", "bold red")}
    for result in results:
        mark, style = marks[result.grade]
        out.print(Text.assemble((mark, style), "  ", (result.what, "bold"), "  ", result.why))
        if result.mend:
            out.print(Text.assemble("       ", ("mend: ", "cyan"), result.mend))
