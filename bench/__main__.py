"""`python -m bench [row ...]`: runs the rows one after the other, each in a process of its own, and writes the figures down.

A row that fails is reported with the end of what it said and stops nobody. `--quick` tries every part with small
sizes and writes nothing.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from bench import machine, report
from bench.worker import REPOSITORY, RUN_DIR

ROWS = (
    "ami_bulk",
    "ami_paced",
    "agi",
    "push",
    "end_to_end",
    "contacts",
    "ani",
    "pop_lead",
    "one_leg",
)

GIVE_UP_S = 420.0
"""A row that takes this long hangs; it is ended, and the others go on."""


def main() -> int:
    """Run what was asked for; the exit status is 1 when a row could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Offhook beside its peers.")
    parser.add_argument("row", nargs="*", help=f"which rows ({', '.join(ROWS)}); all without")
    parser.add_argument("--quick", action="store_true", help="small sizes, nothing is written down")
    asked = parser.parse_args()
    if unknown := set(asked.row) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    screen = Console(width=None if sys.stdout.isatty() else 140)
    RUN_DIR.mkdir(parents=True, exist_ok=True)
    rows = [name for name in ROWS if name in asked.row or not asked.row]
    columns = (SpinnerColumn(finished_text="[green]·"), TextColumn("{task.fields[row]:<12}"), TimeElapsedColumn())
    failed = 0
    with Progress(*columns, TextColumn("{task.description}"), console=screen) as progress:
        for name in rows:
            task = progress.add_task("", row=name, total=1)
            found = _run(name, asked.quick, partial(_describe, progress, task))
            progress.update(task, completed=1, description=report.in_short(found))
            failed += "error" in found
            if not asked.quick:
                report.keep(
                    name, {**found, "at": datetime.now(UTC).strftime("%Y-%m-%d"), "machine": machine.describe()}
                )
            report.show(screen, name, found)
    if not asked.quick:
        report.write_readme(ROWS)
        screen.print(
            f"Figures are in {report.README.relative_to(REPOSITORY)} and {report.RESULTS.relative_to(REPOSITORY)}."
        )
    return 1 if failed else 0


def _describe(progress: Progress, task: TaskID, words: str) -> None:
    progress.update(task, description=words)


def _run(name: str, is_quick: bool, say: Callable[[str], None]) -> dict[str, Any]:
    """The row's result as JSON, or {"error": why}."""
    command = [sys.executable, "-m", "bench.one", name, *(["--quick"] if is_quick else [])]
    log = RUN_DIR / f"{name}.log"
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=REPOSITORY, start_new_session=True
        )
    too_late = threading.Timer(GIVE_UP_S, process.terminate)
    too_late.start()
    found: dict[str, Any] = {}
    try:
        for line in process.stdout or ():
            told = json.loads(line)
            found = told.get("row", found)
            say(told.get("say", ""))
        process.wait()
    finally:
        too_late.cancel()
        _end(process)
    if process.returncode != 0 or not found:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        return {"error": f"ended with status {process.returncode}: {' '.join(last)} (all of it: {log})"}
    return found


def _end(process: subprocess.Popen[str]) -> None:
    """It stops what it started when it is asked to end; whatever is left of it is killed."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
