"""The figures written down: results.json for programs, the tables between the markers of README.md for people."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
README = HERE / "README.md"
RESULTS = HERE / "results.json"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"

Found = Mapping[str, Any]
"""A row as JSON (`Row.to_json`), or {"error": why}."""


def keep(name: str, found: Found) -> None:
    """Put one row's figures in the place of its former ones."""
    kept = _kept()
    kept[name] = dict(found)
    RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_readme(order: Sequence[str]) -> None:
    """Make the tables anew from everything that is kept."""
    kept = _kept()
    rows = [(name, kept[name]) for name in order if name in kept]
    text = README.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    tables = [_machines(rows), _goals(rows), *(_row(name, found) for name, found in rows)]
    README.write_text("\n\n".join([before + BEGIN, *tables, END + after]), encoding="utf-8")


def in_short(found: Found) -> str:
    """One row in a few words."""
    if "error" in found:
        return "failed"
    met = sum(goal["is_met"] for goal in found["goals"])
    return f"{met} of {len(found['goals'])} goals met, {found['took_s']:.0f} s"


def show(screen: Console, name: str, found: Found) -> None:
    """One row on the screen."""
    if "error" in found:
        screen.print(f"[red]{name}: {found['error']}", markup=True, highlight=False)
        return
    table = Table(title=f"{name}: {found['title']}", title_justify="left")
    names = _figure_names(found)
    for column in ("", *names):
        table.add_column(column, justify="left" if not column else "right")
    for line in found["lines"]:
        table.add_row(line["who"], *(_number(line["figures"].get(column)) for column in names))
    screen.print(table)
    for goal in found["goals"]:
        screen.print(f"  {'[green]met   ' if goal['is_met'] else '[red]missed'}[/] {_goal_text(goal)}", highlight=False)
    for note in found["notes"]:
        screen.print(f"  {note}", markup=False, highlight=False)


def _kept() -> dict[str, Any]:
    if not RESULTS.is_file():
        return {}
    return dict(json.loads(RESULTS.read_text(encoding="utf-8")))


def _machines(rows: Sequence[tuple[str, Found]]) -> str:
    """Where and when, once for all rows measured alike."""
    told: dict[str, list[str]] = {}
    for name, found in rows:
        words = ", ".join(f"{key} {value}" for key, value in found["machine"].items())
        told.setdefault(f"{found['at']}: {words}", []).append(name)
    if len(told) == 1:
        return f"Measured {next(iter(told))}."
    return "\n".join(f"- `{'`, `'.join(names)}` measured {words}." for words, names in told.items())


def _goals(rows: Sequence[tuple[str, Found]]) -> str:
    lines = ["| row | goal | measured | |", "|---|---|---:|---|"]
    for name, found in rows:
        if "error" in found:
            lines.append(f"| {name} | | | could not be measured: {_cell(found['error'])} |")
            continue
        for goal in found["goals"]:
            sign = "≤" if goal["is_most"] else "≥"
            bound = f"{sign} {_number(goal['bound'])} {goal['unit']}"
            measured = f"{_number(goal['measured'])} {goal['unit']}"
            lines.append(
                f"| {name} | {_cell(goal['what'])} {bound} | {measured} | {'met' if goal['is_met'] else '**missed**'} |"
            )
    return "\n".join(lines)


def _row(name: str, found: Found) -> str:
    if "error" in found:
        return f"### {name}\n\nCould not be measured: {found['error']}"
    names = _figure_names(found)
    head = f"### {name}: {found['title']}\n\n{found['how']}\n\n"
    lines = ["| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    lines += [
        f"| {_cell(line['who'])} | " + " | ".join(_number(line["figures"].get(column)) for column in names) + " |"
        for line in found["lines"]
    ]
    notes = "".join(f"\n\n{note}" for note in found["notes"])
    return head + "\n".join(lines) + notes


def _figure_names(found: Found) -> list[str]:
    return list(dict.fromkeys(name for line in found["lines"] for name in line["figures"]))


def _goal_text(goal: Found) -> str:
    sign = "at most" if goal["is_most"] else "at least"
    unit = goal["unit"]
    return f"{goal['what']}: {_number(goal['measured'])} {unit} ({sign} {_number(goal['bound'])} {unit})"


def _number(value: float | None) -> str:
    """Three figures that count; whole thousands in full."""
    if value is None or value != value:  # NaN: nothing was there to measure
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
