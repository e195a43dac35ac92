"""The demo's company and its callers: the same people from the same dice, numbers nobody has, every kind of caller."""

import csv
import random
from collections import Counter
from pathlib import Path

import pytest

from cti.demo.caller import MENU, draw_caller
from cti.demo.company import found_company
from cti.phone_number import read_number

NOW = 1_800_000_000.0


def rows(file: Path) -> list[dict[str, str]]:
    """A file of the company's."""
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def test_the_same_dice_found_the_same_company(tmp_path: Path) -> None:
    """Everybody's demo shows the same people; other dice, other people."""
    one, two, other = (found_company(tmp_path / name, 300, NOW, seed) for name, seed in (("a", 7), ("b", 7), ("c", 8)))
    assert one.people == two.people
    assert one.people != other.people
    for file in ("customers.csv", "purchases.csv", "cases.csv", "history.csv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_company_has_all_a_pop_can_show(tmp_path: Path) -> None:
    """Tiers, languages, purchases, cases, history; households and a switchboard that share a number."""
    company = found_company(tmp_path, 2000, NOW)
    customers = rows(company.customers_csv)
    assert len(customers) == len(company.people) == 2000
    assert {row["tier"] for row in customers} == {"gold", "silver", "standard"}
    assert {row["language"] for row in customers} == {"en", "es"}
    ids = {row["customer"] for row in customers}
    for file in (company.purchases_csv, company.cases_csv, company.history_csv):
        belongings = rows(file)
        assert len(belongings) > 200
        assert {row["customer"] for row in belongings} <= ids
    shared = Counter(phone for person in company.people for phone in person.phones)
    assert shared.most_common(1)[0][1] == 6
    assert sum(count == 2 for count in shared.values()) > 40
    assert {person.customer for person in company.people if person.shares} == {
        person.customer for person in company.people if shared[person.phones[0]] > 1
    }


@pytest.mark.parametrize("size", [50, 2000, 10_500])
def test_every_number_is_one_that_can_be_read(tmp_path: Path, size: int) -> None:
    """E.164 as the matcher makes it, so a demo caller is found; nobody's number is another's by chance."""
    company = found_company(tmp_path, size, NOW)
    assert all(read_number(person.phones[0], "US").e164 == person.phones[0] for person in company.people)
    alone = [person.phones[0] for person in company.people if not person.shares]
    assert len(set(alone)) == len(alone)


def test_callers_are_of_every_kind(tmp_path: Path) -> None:
    """Known, sharing, strangers, withheld; some leave in the menu, some lose patience; keys as the dialplan reads them."""
    people = found_company(tmp_path, 300, NOW).people
    dice = random.Random(7)
    callers = [draw_caller(dice, people, ("1000", "1001")) for _ in range(2000)]
    kinds = Counter(caller.kind for caller in callers)
    assert set(kinds) == {"known", "shared", "stranger", "withheld"}
    assert kinds["known"] > len(callers) / 2
    numbers = {person.phones[0]: person for person in people}
    for caller in callers:
        assert (caller.kind in ("known", "shared")) == (caller.ani in numbers)
        assert caller.kind not in ("known", "shared") or numbers[caller.ani].shares == (caller.kind == "shared")
        assert (caller.kind == "withheld") == (caller.ani == "")
        assert caller.talk_s >= 3
        assert all(step.startswith("w") or step.rstrip("#").isdigit() or step == "#" for step in caller.keys.split("-"))
    assert any(caller.patience_s == 0 for caller in callers)
    assert any(4 <= caller.patience_s <= 10 for caller in callers)


def test_a_caller_for_a_person_at_the_desk_wants_that_queue(tmp_path: Path) -> None:
    """Known, patient, and through the menu to the queue that is asked for."""
    people = found_company(tmp_path, 300, NOW).people
    for queue, key in MENU.items():
        caller = draw_caller(random.Random(1), people, ("1000",), queue=queue)
        assert caller.kind == "known"
        assert f"-{key}" in caller.keys
        assert caller.patience_s >= 60
