"""`offhook check`: the doctor. Looks at everything an installation stands on and says of every finding how to mend it.

Goes on after a finding as far as it can, so that one visit names all there is. It changes nothing, and dials nothing but
its own extension in `offhook-check`.
"""

import asyncio
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import httpx
from rich.console import Console
from rich.text import Text

from cti.doctor_pbx import examine_pbx
from cti.errors import ConfigError, CtiError
from cti.finding import Grade, Result, good, of_finding, warning, wrong
from cti.settings import Settings
from cti.settings_file import load_settings, settings_path
from cti.site import Site
from cti.site_file import doubts, load_site
from cti.store.address import read_address
from cti.store.migrate import newest_revision, revision_of

GROUP = "offhook.checks"
"""Rooms examine what is theirs: a `Check`; it may block, and changes nothing."""

Check = Callable[[Settings, Site], Sequence[Result]]

PACKAGES = ("cti", "ivr", "acd", "customers", "screenpop", "voc", "agent_console")


async def examine(config: Path | None) -> list[Result]:
    """Everything, in the order in which it should be mended."""
    results = list(_import_names())
    try:
        settings = load_settings(config)
    except ConfigError as exc:
        return [*results, *(of_finding("settings", finding) for finding in exc.findings)]
    file = settings_path(config)
    results.append(good("settings", f"{file} can be used" if file.is_file() else "there is no file; all are defaults"))
    results += _secrets(settings, file)
    results += await asyncio.to_thread(lambda: list(_site(settings)))
    results.append(await asyncio.to_thread(_database, settings))
    results.append(await _console(settings))
    results += await examine_pbx(settings)
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


def _secrets(settings: Settings, file: Path) -> Iterator[Result]:
    held = (
        ("manager secret", settings.pbx.secret, settings.pbx.secret_file, "pbx.secret_file"),
        ("AGI token", settings.agi.token, settings.agi.token_file, "agi.token_file"),
    )
    for what, secret, holder, key in held:
        if not secret.get_secret_value():
            yield wrong(what, "it is empty", f"`offhook init` makes one; name its file in {key}")
            continue
        where = holder or file  # given in the environment and nowhere else, it is in neither
        if (
            where.is_file()
            and where.stat().st_mode & 0o077
            and (holder or secret.get_secret_value() in where.read_text())
        ):
            yield warning(what, f"{where} ({key}) can be read by others", f"chmod 600 {where}")


def _site(settings: Settings) -> Iterator[Result]:
    try:
        site: Site = load_site(settings.paths.queues, settings.paths.agents)
    except ConfigError as exc:
        yield from (of_finding("queues and agents", finding) for finding in exc.findings)
        return
    yield good("queues and agents", f"{len(site.queues)} queues, {len(site.agents)} agents")
    yield from (of_finding("queues and agents", finding, Grade.WARNING) for finding in doubts(site))
    for point in sorted(entry_points(group=GROUP), key=lambda one: one.name):
        yield from _room(point, settings, site)


def _room(point: EntryPoint, settings: Settings, site: Site) -> Sequence[Result]:
    if point.name not in settings.daemon.rooms:
        return []
    try:
        check: Check = point.load()
        return check(settings, site) or [good(point.name, "nothing to mend")]
    except Exception as exc:  # noqa: BLE001 - a room that can't be examined is a finding, and the visit goes on
        return [wrong(point.name, f"its check failed: {type(exc).__name__}: {exc}", "mend or remove that room")]


def _database(settings: Settings) -> Result:
    new = warning("database", "it has no tables yet", "`offhook init` or the daemon's start makes them")
    address = read_address(settings.database.url)
    if address.dialect == "sqlite" and not address.path.exists():
        if address.path.parent.is_dir():
            return new
        return wrong("database", f"there is no folder {address.path.parent}", "make it, or mend database.url")
    try:
        there = revision_of(settings.database.url)
    except (CtiError, OSError) as exc:
        mend = "see that the server runs and the user may log in, or mend database.url"
        return wrong("database", str(exc), mend)
    if not there:
        return new
    if there != newest_revision():
        return warning("database", f"it is at revision {there}", "the daemon's next start brings it up to date")
    return good("database", f"reachable, revision {there}")


async def _console(settings: Settings) -> Result:
    """Who is at the console's port: our daemon, nobody yet, or somebody else."""
    where = f"{settings.console.host}:{settings.console.port}"
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.console.host, settings.console.host)
    try:
        async with httpx.AsyncClient(timeout=3.0, trust_env=False) as client:
            answer = await client.get(f"http://{host}:{settings.console.port}/readyz")
            parts = answer.json()["parts"]
    except httpx.ConnectError:
        return good("console", f"nobody at {where}: the daemon is not running")
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        mend = "end that program, or set console.port to a free one"
        return wrong("console", f"at {where} is a program that is not Offhook", mend)
    down = ", ".join(f"{name}: {part['why']}" for name, part in parts.items() if not part["is_up"])
    if down:
        return warning("console", f"the daemon at {where} says {down}", "mend what it names; see its log")
    return good("console", f"the daemon at {where} is ready")


def print_findings(results: Sequence[Result], out: Console) -> None:
    """For a person: a line each, the mend below."""
    marks = {Grade.GOOD: ("ok   ", "green"), Grade.WARNING: ("warn ", "yellow"), Grade.WRONG: ("WRONG", "bold red")}
    for result in results:
        mark, style = marks[result.grade]
        out.print(Text.assemble((mark, style), "  ", (result.what, "bold"), "  ", result.why))
        if result.mend:
            out.print(Text.assemble("       ", ("mend: ", "cyan"), result.mend))
