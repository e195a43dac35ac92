"""The demo's company: a shop for bicycles, its customers, what they bought, what they wait for, and how they called before.

Drawn from one seed, so everybody's demo shows the same people. Numbers are of the range reserved for fiction
(+1 ... 555 01xx) where it is wide enough, else of an area code that is not in use.
"""

import csv
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

FIRST = (
    "Ada Ben Carla David Elena Felix Grace Hugo Irene Jonas Karin Leo Maria Nils Olga Paul "
    "Queenie Rosa Samuel Tina Umar Vera Walter Xenia Yusuf Zoë Amélie José Søren Łukasz Nguyễn "
    "Sinéad Müge Björn 美咲 Дарья Φοίβη"
).split()
LAST = (
    "Adler Brandt Costa Duarte Evans Fischer García Hansen Ibrahim Jensen Kowalski Lindqvist "
    "Moreau Novak Okafor Petrov Quinn Rossi Schmidt Tanaka Ueda Vargas Walker Xu Young Zhang "
    "O'Neill D'Angelo van-Dijk McCarthy Fernández Håkansson"
).split()
GOODS = (
    ("City bike", 649.0),
    ("Mountain bike", 1290.0),
    ("Cargo e-bike", 4890.0),
    ("Child seat", 119.0),
    ("Helmet", 79.9),
    ("Battery 500 Wh", 599.0),
    ("Disc brake set", 149.0),
    ("Winter tyres", 88.0),
    ("Yearly service", 129.0),
    ("Lights", 59.5),
)
CASES = (
    "Brake squeals since service",
    "Battery does not charge",
    "Refund for returned helmet",
    "Wrong invoice address",
)
PAST = {
    "sales": (
        ("sold", "Ordered by phone, delivery next week."),
        ("offer_sent", "Wants to compare with a cheaper offer."),
        ("callback", "Call back when the blue frame is in."),
        ("no_sale", "Frame too large; no other size in stock."),
    ),
    "support": (
        ("resolved", "Happy with the repair."),
        ("follow_up", "Asked for the date of the repair."),
        ("complaint", "Complained about waiting; calmed down."),
    ),
    "billing": (
        ("resolved", "Moved house, new address taken."),
        ("follow_up", "Refund promised within ten days."),
        ("complaint", "Charged twice; corrected."),
    ),
}
"""What past contacts of each queue came to, and the note left."""

TIERS = (("gold", 0.08), ("silver", 0.27), ("standard", 0.65))


@dataclass(frozen=True, slots=True)
class Person:
    """One customer as the demo knows her; `phones` in E.164, `shares` when another customer has the same number."""

    customer: str
    account: str
    name: str
    tier: str
    phones: tuple[str, ...]
    shares: bool = False


@dataclass(frozen=True, slots=True)
class Company:
    """The files of the company, and its people for the demo's callers to be."""

    people: tuple[Person, ...]
    customers_csv: Path
    purchases_csv: Path
    cases_csv: Path
    history_csv: Path


def found_company(folder: Path, size: int, now: float, seed: int = 7) -> Company:
    """Write the company of `size` customers into `folder`."""
    dice = random.Random(seed)
    people = [_person(dice, number) for number in range(size)]
    people = _with_shared_numbers(dice, people)
    folder.mkdir(parents=True, exist_ok=True)
    company = Company(
        tuple(people),
        folder / "customers.csv",
        folder / "purchases.csv",
        folder / "cases.csv",
        folder / "history.csv",
    )
    purchases = [row for person in people for row in _purchases(dice, person, now)]
    spent: dict[str, float] = {}
    for row in purchases:
        spent[row[0]] = spent.get(row[0], 0.0) + float(row[3])
    _write(
        company.customers_csv,
        ("customer", "account", "name", "tier", "language", "email", "phones", "lifetime_value", "since", "note"),
        (_customer_row(dice, person, spent.get(person.customer, 0.0), now) for person in people),
    )
    _write(company.purchases_csv, ("customer", "at", "item", "amount"), purchases)
    _write(
        company.cases_csv,
        ("customer", "case", "title", "opened_at"),
        (
            (person.customer, f"CASE-{1000 + index}", dice.choice(CASES), _date(now, dice.uniform(1, 40)))
            for index, person in enumerate(people)
            if dice.random() < 0.15
        ),
    )
    _write(
        company.history_csv,
        ("call", "at", "ani", "customer", "queue", "outcome", "agent", "disposition", "note", "talk_s"),
        (row for person in people for row in _past(dice, person, now)),
    )
    return company


def _person(dice: random.Random, number: int) -> Person:
    name = f"{dice.choice(FIRST)} {dice.choice(LAST)}"
    share, tier = dice.random(), ""
    for tier, part in TIERS:  # noqa: B007
        share -= part
        if share < 0:
            break
    phone = (
        f"+1202555{number % 10000:04d}" if number < 10000 else f"+1{203 + number // 10000:03d}555{number % 10000:04d}"
    )
    return Person(f"C{number:05d}", f"{40000 + number:05d}", name, tier, (phone,))


def _with_shared_numbers(dice: random.Random, people: list[Person]) -> list[Person]:
    """Every fortieth person lives with the one before; one company's switchboard stands for six."""
    shared = list(people)
    for index in range(40, len(people), 40):
        home = people[index - 1].phones[0]
        surname = people[index - 1].name.rsplit(" ", 1)[1]
        name = f"{people[index].name.rsplit(' ', 1)[0]} {surname}"
        shared[index - 1] = _sharing(people[index - 1], people[index - 1].name, home)
        shared[index] = _sharing(people[index], name, home)
    switchboard = "+12025559999"
    for index in range(1, min(7, len(people))):
        shared[index] = _sharing(shared[index], shared[index].name, switchboard)
    return shared


def _sharing(person: Person, name: str, phone: str) -> Person:
    return Person(person.customer, person.account, name, person.tier, (phone,), shares=True)


def _customer_row(dice: random.Random, person: Person, spent: float, now: float) -> Sequence[object]:
    email = f"{person.customer.lower()}@example.com"
    language = "es" if dice.random() < 0.12 else "en"
    since = _date(now, dice.uniform(100, 3000))
    phones = ";".join(person.phones)
    return (
        person.customer,
        person.account,
        person.name,
        person.tier,
        language,
        email,
        phones,
        f"{spent:.2f}",
        since,
        "",
    )


def _purchases(dice: random.Random, person: Person, now: float) -> Iterable[tuple[str, str, str, str]]:
    most = {"gold": 9, "silver": 5}.get(person.tier, 3)
    for _ in range(dice.randint(0, most)):
        item, price = dice.choice(GOODS)
        yield (person.customer, _date(now, dice.uniform(1, 900)), item, f"{price * dice.uniform(0.9, 1.1):.2f}")


def _past(dice: random.Random, person: Person, now: float) -> Iterable[Sequence[object]]:
    for index in range(dice.choice((0, 0, 1, 1, 2, 3, 6))):
        at = now - dice.uniform(1, 200) * 86400
        queue = dice.choice(tuple(PAST))
        disposition, note = dice.choice(PAST[queue])
        call = f"past-{person.customer}-{index}"
        if dice.random() < 0.15:
            yield (call, f"{at:.0f}", person.phones[0], person.customer, queue, "abandoned", "", "", "", "0")
            continue
        agent = dice.choice(("ann", "bob", "cat", "dan", "eve"))
        talk_s = f"{dice.lognormvariate(4.8, 0.6):.0f}"
        phone = person.phones[0]
        yield (call, f"{at:.0f}", phone, person.customer, queue, "answered", agent, disposition, note, talk_s)


def _date(now: float, days_ago: float) -> str:
    return (datetime.fromtimestamp(now, UTC) - timedelta(days=days_ago)).date().isoformat()


def _write(file: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(columns)
        writer.writerows(rows)
