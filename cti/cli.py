"""The command `offhook`. Each command is a thin door: what it does lives in the hall or, by entry point, in a room."""

import asyncio
import importlib.util
import json
import sys
from collections.abc import Coroutine
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cti import log
from cti.daemon import read_site, run_daemon
from cti.demo.door import run_demo
from cti.demo.options import DemoOptions
from cti.doctor import examine, print_findings
from cti.errors import ConfigError, CtiError
from cti.init import write_configuration
from cti.print_config import render
from cti.settings import LogSettings, Settings
from cti.settings_file import load_settings
from cti.tail import follow

app = typer.Typer(
    name="offhook",
    help="Contact-centre CTI middleware for Asterisk: the customer on the agent's screen before the phone rings.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
pbx = typer.Typer(help="What goes to the PBX.", no_args_is_help=True)
app.add_typer(pbx, name="pbx")

GROUP = "offhook.commands"
ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", help="The settings file; else $OFFHOOK_CONFIG, else ./offhook.toml.")
]
out = Console()
err = Console(stderr=True)


def _settings(config: Path | None) -> Settings:
    settings = load_settings(config)
    log.set_up(settings.log)
    return settings


def _run(main: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop where it is installed (the extra `fast`), else on asyncio's own loop."""
    factory = importlib.import_module("uvloop").new_event_loop if importlib.util.find_spec("uvloop") else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


@app.command()
def run(config: ConfigFile = None) -> None:
    """Run the daemon until SIGTERM or Ctrl-C."""
    settings = _settings(config)
    _run(run_daemon(settings, read_site(settings)))


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="Port of the console.")] = 8088,
    sip_port: Annotated[int, typer.Option(help="Asterisk's SIP port; 0 takes any free one.")] = 0,
    ami_port: Annotated[int, typer.Option(help="Asterisk's manager port; 0 takes any free one.")] = 0,
    agi_port: Annotated[int, typer.Option(help="Our FastAGI port; 0 takes any free one.")] = 0,
    calls_per_minute: Annotated[float, typer.Option("--rate", min=1, max=600, help="Calls a minute, on average.")] = 8,
    customers: Annotated[
        int, typer.Option(min=50, max=200_000, help="Size of the company, when it is founded.")
    ] = 2000,
    for_s: Annotated[float | None, typer.Option("--for", min=20, help="End by itself after this many seconds.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
    folder: Annotated[Path, typer.Option("--dir", help="Where the demo lives; kept for the next one.")] = Path(
        ".run/demo"
    ),
    seed: Annotated[int, typer.Option(help="The dice: the same seed draws the same callers.")] = 7,
) -> None:
    """A company, its agents and its callers on a private Asterisk: sign in and watch the pops."""
    options = DemoOptions(
        folder=folder,
        console_port=port,
        sip_port=sip_port,
        ami_port=ami_port,
        agi_port=agi_port,
        calls_per_minute=calls_per_minute,
        customers=customers,
        for_s=for_s,
        as_json=as_json,
        seed=seed,
    )
    raise typer.Exit(run_demo(options))


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="Where to write it.")] = Path()) -> None:
    """Write settings, queues, agents, flows, secrets and an empty database to start from."""
    for file in write_configuration(folder):
        _say(f"wrote {file}")
    _say("Next: `offhook pbx print-config`, then `offhook check`.")


@app.command()
def check(
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Findings as JSON.")] = False,
) -> None:
    """The doctor: settings, database, import names, AMI, dialplan, AGI, clock; every finding says the mend."""
    findings = asyncio.run(examine(config))
    if as_json:
        print(json.dumps([finding.as_json() for finding in findings], indent=2))
    else:
        print_findings(findings, out)
    raise typer.Exit(1 if any(finding.is_wrong for finding in findings) else 0)


@app.command()
def tail(
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Facts as JSON lines.")] = False,
    call: Annotated[str, typer.Option(help="Only this call's.")] = "",
) -> None:
    """The running daemon's Facts as they are told."""
    asyncio.run(follow(_settings(config).daemon.socket, out, as_json, call))


@pbx.command("print-config")
def print_config(
    config: ConfigFile = None,
    folder: Annotated[Path | None, typer.Option("--write", help="Write the files there instead of printing.")] = None,
) -> None:
    """What your Asterisk needs from us: manager user, dialplan, failsafe queue, call record."""
    for name, text in render(_settings(config)).items():
        if folder is None:
            _say(f"; ----- {name}\n{text}")
            continue
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / name
        file.touch(mode=0o600)  # two of them hold a secret
        file.write_text(text, encoding="utf-8")
        _say(f"wrote {file}")


def _say(text: str) -> None:
    """Words as they are: no markup, no line broken, for a path may be long and odd."""
    out.print(text, markup=False, highlight=False, soft_wrap=True)


def _show_version(wanted: bool) -> None:
    if wanted:
        out.print(version("offhook"))
        raise typer.Exit


@app.callback()
def offhook(
    show_version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True)] = False,
) -> None:
    """Contact-centre CTI middleware for Asterisk: the customer on the agent's screen before the phone rings."""


def add_rooms_commands() -> None:
    """Put the commands rooms offer by entry point below ours, once."""
    known = {group.name for group in app.registered_groups}
    for point in sorted(entry_points(group=GROUP), key=lambda one: one.name):
        if point.name in known:
            continue
        try:
            app.add_typer(point.load(), name=point.name)
        except ImportError as exc:  # a broken room must not take the other commands with it
            err.print(f"the commands of {point.name!r} can't be loaded: {exc}", style="yellow", markup=False)


def main() -> None:
    """The entry of the command `offhook`: rooms add their commands, errors of ours become words and a status."""
    add_rooms_commands()
    log.set_up(LogSettings(level="warning"))  # until a command reads its own: nothing but answers on standard output
    try:
        app()
    except CtiError as exc:
        sys.exit(_told(exc))
    except BaseExceptionGroup as group:
        ours = _ours_in(group)
        if ours is None:
            raise
        sys.exit(_told(ours))


def _ours_in(group: BaseExceptionGroup) -> CtiError | None:
    """The error of ours that a group of tasks ended with, where that is all it holds."""
    ours, others = group.split(CtiError)
    if ours is None or others is not None:
        return None
    first = ours.exceptions[0]
    return _ours_in(first) if isinstance(first, BaseExceptionGroup) else first


def _told(exc: CtiError) -> int:
    """Say what is wrong and how to mend it; the exit status: 2 for the operator's mistakes, 1 for everything else."""
    if isinstance(exc, ConfigError):
        err.print(f"{len(exc.findings)} mistake(s) in the configuration:", style="bold red")
        for finding in exc.findings:
            err.print(f"  {finding}", markup=False, highlight=False, soft_wrap=True)
        return 2
    err.print(str(exc), markup=False, highlight=False, soft_wrap=True, style="red")
    return 1


if __name__ == "__main__":
    main()
