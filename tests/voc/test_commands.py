"""`offhook call`, as an operator types it."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cti.store.engine import open_store
from cti.store.migrate import migrate
from tests.voc.life import CALL, answered_call
from tests.voc.record import Record, abandoned
from voc.commands import app
from voc.contact import contact_of
from voc.store import KEEP_CONTACT, KEEP_STEP, row_of, step_row

T = 1_800_000_000.0
runner = CliRunner()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings of an installation with an empty database and an empty record."""
    file = tmp_path / "offhook.toml"
    file.write_text(f'[database]\nurl = "sqlite:///{tmp_path}/o.db"\n[cel]\ncsv = "offhook.csv"\n')
    migrate(f"sqlite:///{tmp_path}/o.db")
    (tmp_path / "offhook.csv").touch()
    return file


def keep_answered_call(config: Path) -> None:
    async def keep() -> None:
        async with open_store(f"sqlite:///{config.parent}/o.db") as store:
            steps = [step_row(CALL, seq, fact) for seq, fact in enumerate(answered_call())]
            await store.write((KEEP_CONTACT, row_of(contact_of(CALL, answered_call()), T + 110)), (KEEP_STEP, steps))

    asyncio.run(keep())


def run(config: Path, *words: str) -> tuple[int, str]:
    done = runner.invoke(app, [*words, "--config", str(config)])
    return done.exit_code, done.stdout


def test_a_contact_is_shown_as_sentences_with_times(config: Path) -> None:
    """Who called, what became of it, and each step in words."""
    keep_answered_call(config)
    code, text = run(config, "show", CALL)
    assert code == 0
    for words in ("Cal Customer", "2027-01-15 08:00:00.000", "The phone of bob rings", "not picked up", "sale"):
        assert words in text
    code, text = run(config, "show", CALL, "--json")
    sheet = json.loads(text)
    assert (code, sheet["outcome"], sheet["agents"]) == (0, "answered", ["ann"])
    assert len(sheet["steps"]) == len(answered_call())


def test_a_call_nobody_knows_is_an_error(config: Path) -> None:
    """Exit status 1 and a word, not an empty page."""
    assert run(config, "show", "9.9") == (1, "")


def test_the_audit_fails_until_every_call_has_its_contact(config: Path) -> None:
    """Exit status 1 and the call named while a contact is missing; 0 when it is there."""
    record = Record()
    abandoned(record, "1800000000.5", T)
    (config.parent / "offhook.csv").write_bytes(record.as_csv())
    code, text = run(config, "audit", "--json")
    found = json.loads(text)
    assert (code, found["missing_contacts"], found["missing"]) == (1, 1, ["1800000000.5"])
    assert "no contact" in run(config, "audit")[1]
    assert run(config, "audit", "--since", f"{T + 1}")[0] == 0
    past = config.parent / "past.csv"
    past.write_text(f"call,at,queue,outcome\n1800000000.5,{T},sales,abandoned\n")
    assert run(config, "import", str(past))[0] == 0
    code, text = run(config, "audit", "--json")
    assert (code, json.loads(text)["linkedids"], json.loads(text)["outcomes"]) == (0, 1, {"abandoned": 1})


def test_past_contacts_are_brought_along_once(config: Path) -> None:
    """A second import of the same file changes nothing, and the number is readable however it was written."""
    past = config.parent / "past.csv"
    past.write_text(
        "call,at,ani,customer,queue,outcome,agent,disposition,note,talk_s\n"
        "p-1,2026-05-01T10:00:00+00:00,(202) 555-0101,C1,sales,answered,ann,sale,said hello,61\n"
    )
    assert run(config, "import", str(past)) == run(config, "import", str(past))
    sheet = json.loads(run(config, "show", "p-1", "--json")[1])
    assert (sheet["customer"], sheet["talk_s"], sheet["agents"]) == ("C1", 61.0, ["ann"])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("call,ani\np-1,1\n", "this column is missing"),
        ("call,at,colour\np-1,1,red\n", "no such column"),
        ("call,at,talk_s\np-1,1,long\n", "long"),
        ("call,at,outcome\np-1,1,happy\n", "happy"),
        ("call,at,agent\np-1,1,ann-marie\n", "ann-marie"),
        ("call,at\n,1\n", "must be a name"),
    ],
)
def test_a_mistake_in_the_file_is_named(config: Path, text: str, why: str) -> None:
    """File, line and what is wrong; exit status 2."""
    past = config.parent / "past.csv"
    past.write_text(text)
    done = runner.invoke(app, ["import", str(past), "--config", str(config)])
    assert done.exit_code == 2
    assert why in done.stderr.replace("\n", " ")
