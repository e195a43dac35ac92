"""The way into the demo: sets the stage, prints the address and the sign-ins, and judges the end."""

import asyncio
import json

from rich.console import Console
from rich.table import Table

from cti import log
from cti.demo.options import DemoOptions
from cti.demo.show import is_sound, play
from cti.demo.stage import AGENTS, Stage, set_stage
from cti.rooms import Hall


def run_demo(options: DemoOptions) -> int:
    """Run it; the exit status. With `as_json` one JSON object goes to standard output and everything else to standard error."""
    screen = Console(stderr=options.as_json)
    with screen.status("setting the stage") as status:
        stage = set_stage(options, lambda words: status.update(words))
        status.update("starting Asterisk and the daemon")
        log.set_up_file(stage.folder / "offhook.log", stage.settings.log)
    found = asyncio.run(play(stage, options, lambda hall: _welcome(screen, stage, options, hall)))
    if options.as_json:
        print(json.dumps(found, indent=2))
    else:
        screen.print(_summary(found))
    return 0 if is_sound(found) or not (options.as_json or options.for_s) else 1


def _welcome(screen: Console, stage: Stage, options: DemoOptions, hall: Hall) -> None:
    table = Table(title="Sign in as", title_justify="left")
    for column in ("name", "password", "who"):
        table.add_column(column)
    for agent, name, skills in AGENTS:
        table.add_row(agent, stage.passwords[agent], f"agent {name}: {', '.join(skills)}")
    table.add_row("sue", stage.passwords["sue"], "supervisor")
    table.add_row("root", stage.passwords["root"], "admin")
    screen.print(f"\nOffhook runs on [bold]http://127.0.0.1:{options.console_port}[/bold]\n")
    screen.print(table)
    screen.print(
        "Sign in as an agent and press Ready: somebody calls within seconds. You take the desk over from the program that "
        "works there meanwhile. A second window signed in as [bold]sue[/bold] shows the floor.\n"
        f"Logs: {stage.folder / 'offhook.log'} and {stage.lab.log_file}. "
        + ("" if options.for_s else "End with Ctrl-C.")
    )


def _summary(found: dict[str, dict[str, object]]) -> Table:
    table = Table(title="This demo", title_justify="left", show_header=False)
    for part in ("calls", "cel", "pops"):
        table.add_row(part, ", ".join(f"{name} {value}" for name, value in found[part].items()))
    return table
