"""`offhook customers import`: what a person sees, what is left behind, and the exit status."""

import csv
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from customers.commands import app


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "offhook.toml"
    path.write_text(f'[database]\nurl = "sqlite:///{tmp_path / "offhook.db"}"\n', "utf-8")
    return path


def test_a_usable_file(config: Path, tmp_path: Path) -> None:
    """A file with some mistakes is imported, the mistakes are listed beside it without values, the exit status is 0."""
    file, bought = tmp_path / "people.csv", tmp_path / "bought.csv"
    file.write_text("id,name,phone\nC1,Ann,2025550101\n,Secret Person,\nC2,Bob,nonsense\n", "utf-8")
    bought.write_text("customer,date,item,amount\nC1,2026-01-02,Router,9\n", "utf-8")
    ended = CliRunner().invoke(app, ["import", str(file), "--purchases", str(bought), "--config", str(config)])
    assert ended.exit_code == 0, ended.output
    assert "people.csv" in ended.stderr
    with (tmp_path / "people.errors.csv").open(newline="", encoding="utf-8") as errors:
        lines = list(csv.reader(errors))
    assert [(line[0], line[3]) for line in lines] == [("line", "row"), ("3", "left out"), ("4", "imported")]
    assert "Secret" not in (tmp_path / "people.errors.csv").read_text("utf-8")
    assert not (tmp_path / "bought.errors.csv").exists()
    with sqlite3.connect(tmp_path / "offhook.db") as connection:
        assert connection.execute("SELECT count(*) FROM customers_purchase").fetchone() == (1,)
    connection.close()


def test_nothing_usable(config: Path, tmp_path: Path) -> None:
    """A file in which nothing can be used ends with status 1."""
    file = tmp_path / "people.csv"
    file.write_text("id,name\n,Ann\n", "utf-8")
    assert CliRunner().invoke(app, ["import", str(file), "--config", str(config)]).exit_code == 1


@pytest.mark.parametrize("arguments", [["nowhere.csv"], ["people.csv", "--column", "x=colour"]])
def test_the_operator_s_mistake(config: Path, tmp_path: Path, arguments: list[str]) -> None:
    """A missing file or an unknown field is said in words, with status 1."""
    (tmp_path / "people.csv").write_text("id,name\nC1,Ann\n", "utf-8")
    command = ["import", str(tmp_path / arguments[0]), *arguments[1:], "--config", str(config)]
    ended = CliRunner().invoke(app, command)
    assert ended.exit_code == 1
    assert "Mend" in ended.stderr
    assert "Traceback" not in ended.output
