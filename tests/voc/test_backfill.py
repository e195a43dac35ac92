"""What the record says of calls nobody watched."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cti.events import CallArrived, CallEnded, CallParted, EndedBy
from cti.ids import CallId
from tests.voc.record import CALLS, TRUNK, Record, abandoned, answered, check_call
from voc.backfill import CelLedger
from voc.cel import CelLines, CelRow
from voc.contact import Contact, contact_of

T = 1_800_000_000.0
EVER = float("inf")
RECORDED = Path(__file__).parent / "recorded_cel.csv"


def ledger_of(rows: list[CelRow]) -> CelLedger:
    ledger = CelLedger(TRUNK)
    for row in rows:
        ledger.receive(row)
    return ledger


def contacts(ledger: CelLedger, before: float = EVER) -> dict[str, Contact]:
    return {call.call: contact_of(call.call, call.facts()) for call in ledger.ended(before)}


def test_a_real_record_gives_its_two_contacts() -> None:
    """A call answered by an agent, and one answered through the failsafe queue while the daemon was down."""
    found = contacts(ledger_of(list(CelLines().feed(RECORDED.read_bytes()))))
    assert {call: contact.outcome.value for call, contact in found.items()} == {
        "1795330897.0": "answered",
        "1795330904.5": "answered",
    }
    first = found["1795330897.0"]
    assert (first.dnis, first.agents) == ("1000", ("ann",))
    assert first.talk_s == pytest.approx(2.02, abs=0.01)


@pytest.mark.parametrize("outcome", CALLS)
def test_each_kind_of_call_has_its_outcome(outcome: str) -> None:
    """Bridged with an agent, left waiting, left in the menu, left in the failsafe queue."""
    record = Record()
    CALLS[outcome](record, "1.1", T)
    (contact,) = contacts(ledger_of(record.rows)).values()
    assert contact.outcome.value == outcome
    assert (contact.call, contact.ani, contact.caller_name, contact.dnis) == ("1.1", "+12025550101", "Cal", "1000")
    assert (contact.is_inferred, contact.arrived_at) == (True, T)


def test_the_figures_of_an_answered_call_are_the_records() -> None:
    """Wait, talk, agent and end as Asterisk saw them."""
    record = Record()
    answered(record, "1.1", T)
    (contact,) = contacts(ledger_of(record.rows)).values()
    assert contact.waited_s == pytest.approx(25, abs=0.01)
    assert contact.talk_s == pytest.approx(30, abs=0.01)
    assert (contact.agents, contact.ended_at) == (("ann",), T + 60.5)


@pytest.mark.parametrize(
    ("source", "ended_by"),
    [("PJSIP/1.1", EndedBy.CALLER), ("dialplan/builtin", EndedBy.SYSTEM), ("", EndedBy.UNKNOWN)],
)
def test_who_hung_up_is_said_only_where_the_record_says_it(source: str, ended_by: EndedBy) -> None:
    """The caller, the dialplan, or nobody knows."""
    record = Record()
    record.arrive("1.1", T)
    record.end("1.1", T + 9, "offhook-entry", source)
    (contact,) = contacts(ledger_of(record.rows)).values()
    assert contact.ended_by is ended_by


def test_agents_legs_and_the_doctors_calls_make_no_contact() -> None:
    """A linkedid of our own leg belongs to its call; a check call never was a customer's."""
    record = Record()
    record.no_answer(record.ring("9.9", "ann", T), T + 20)
    check_call(record, "5.5", T)
    ledger = ledger_of(record.rows)
    assert contacts(ledger) == {}
    ledger.settle_strangers(T + 60)
    assert ledger.mark(777) == 777


def test_a_call_without_an_end_is_endless_not_ended() -> None:
    """When Asterisk died with the call there is no LINKEDID_END, and no CallEnded is made up here."""
    record = Record()
    record.arrive("1.1", T)
    record.hold("1.1", T + 5)
    ledger = ledger_of(record.rows)
    assert ledger.ended(EVER) == []
    (call,) = ledger.endless(T + 60)
    assert not any(isinstance(fact, CallEnded) for fact in call.facts())
    assert ledger.endless(T + 5) == []


def test_a_talk_that_the_crash_cut_has_no_end_of_its_own() -> None:
    """A talk in progress when Asterisk died is connected and not parted."""
    record = Record()
    record.arrive("1.1", T)
    record.talk("1.1", record.ring("1.1", "ann", T + 6), T + 9, T + 20)
    ledger = ledger_of([row for row in record.rows if row.at < T + 15])
    (call,) = ledger.endless(EVER)
    assert not any(isinstance(fact, CallParted) for fact in call.facts())


def test_merged_calls_are_one() -> None:
    """A customer's leg that goes on under an older linkedid takes its past along; the younger one's end is no end."""
    record = Record()
    record.arrive("1.1", T)
    record.arrive("2.2", T + 10)
    record.add("BRIDGE_ENTER", T + 20, "2.2", "1.1", context="offhook-hold")
    record.add("LINKEDID_END", T + 20, "2.2", "2.2")
    record.end("1.1", T + 30, "offhook-hold")
    assert list(contacts(ledger_of(record.rows))) == ["1.1"]


def test_people_in_a_holding_bridge_do_not_talk() -> None:
    """A bridge in which callers only wait answers nobody."""
    record = Record()
    record.arrive("1.1", T)
    for leg in ("1.1", "8.8"):
        record.add("BRIDGE_ENTER", T + 3, leg, "1.1", extra='{"bridge_id":"b","bridge_technology":"holding_bridge"}')
    record.end("1.1", T + 9, "offhook-entry")
    (contact,) = contacts(ledger_of(record.rows)).values()
    assert contact.talk_s == 0


def test_a_withheld_number_stays_withheld() -> None:
    """Our dialplan clears the number of a caller who withholds it; its last word counts."""
    record = Record()
    record.add("CHAN_START", T, "1.1", "1.1", number="anonymous", context="from-trunk", exten="1000")
    record.add("HANGUP", T + 2, "1.1", "1.1", number="", context="offhook-entry")
    record.add("LINKEDID_END", T + 2, "1.1", "1.1")
    (contact,) = contacts(ledger_of(record.rows)).values()
    assert (contact.ani, contact.dnis) == ("", "1000")


@given(st.lists(st.sampled_from(sorted(CALLS)), min_size=1, max_size=6), st.data())
def test_reading_on_from_the_mark_finds_the_same_contacts(outcomes: list[str], data: st.DataObject) -> None:
    """However the reading is interrupted, rows from the mark on give every call that was not settled, whole."""
    record = Record()
    for number, outcome in enumerate(outcomes):
        CALLS[outcome](record, f"{number}.1", T + number * data.draw(st.floats(0, 100)))
    rows = sorted(record.rows, key=lambda row: row.at)
    places = [row.place for row in record.rows]
    rows = [
        CelRow(place, *(getattr(row, name) for name in CelRow.__slots__[1:]))
        for place, row in zip(places, rows, strict=True)
    ]
    cut = data.draw(st.integers(0, len(rows)))
    before = ledger_of(rows[:cut])
    settled = contacts(before)
    before.settle(CallId(call) for call in settled)
    mark = before.mark(rows[cut].place if cut < len(rows) else 1 << 40)
    after = contacts(ledger_of([row for row in rows if row.place >= mark]))
    found = {**after, **settled}
    assert {call: contact.outcome.value for call, contact in found.items()} == {
        f"{number}.1": outcome for number, outcome in enumerate(outcomes)
    }


def test_settled_calls_are_forgotten() -> None:
    """What is in order takes no memory and does not hold the mark back."""
    record = Record()
    for number in range(20):
        abandoned(record, f"{number}.1", T + number)
    ledger = ledger_of(record.rows)
    ledger.settle(call.call for call in ledger.ended(EVER))
    assert (ledger.mark(5), ledger.ended(EVER), ledger.endless(EVER)) == (5, [], [])


def test_the_arrival_names_the_customers_channel() -> None:
    """The Facts are the customer's leg's, for whoever replays them."""
    record = Record()
    abandoned(record, "1.1", T)
    (call,) = ledger_of(record.rows).ended(EVER)
    first = call.facts()[0]
    assert isinstance(first, CallArrived)
    assert (first.leg, first.channel, first.context, first.inferred) == ("1.1", "PJSIP/1.1", "from-trunk", True)
