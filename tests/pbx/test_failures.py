"""The daemon dies, at whatever moment: no talk drops, no caller is lost, no agent is stuck, no contact is missing.

Asterisk's own record is the referee of each; speech is counted where it comes in.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.pbx.ami_probe import AmiProbe
from tests.pbx.desk import Desk
from tests.pbx.house import House
from tests.pbx.sipp import SippCaller, SippPhone, wait_until

pytestmark = [pytest.mark.pbx, pytest.mark.timeout(300)]

SALES = [(1.5, "1")]
SUPPORT = [(1.5, "2")]


def waiting_in_order(supervisor: Desk) -> list[tuple[str, float]]:
    """The waiting callers as the wallboard shows them: call and since when, the longest wait first."""
    lines = [value for key, value in supervisor.view.items() if key.startswith("waiting/")]
    return sorted(((line["call"], line["since"]) for line in lines), key=lambda one: one[1])


def no_bye(*legs: SippCaller | SippPhone) -> bool:
    """Nobody has hung up on anybody."""
    return not any(leg.count("BYE") for leg in legs)


def talk_to(ann: Desk, caller: SippCaller, note: str = "") -> None:
    """The caller hangs up, the agent writes it up."""
    caller.hang_up()
    caller.wait()
    ann.finish("resolved", note)


def wait_talking(agent: Desk, call: str) -> dict[str, Any]:
    """Until the agent talks with this caller; the card on the screen."""
    agent.wait(lambda view: view["pop"]["call"] == call and view["pop"]["phase"] == "answered")
    return dict(agent.view["pop"])


def test_killed_while_one_talks_and_two_wait_everybody_keeps_the_place(found_house: Callable[[int], House]) -> None:
    """kill -9: the talk goes on, the card is back on the screen, those who wait are served in the order of before."""
    house = found_house(60)
    ann, sue = house.agent("ann"), house.agent("sue", is_ready=False)
    phone = house.phone("a1", answers=0.3)
    talking = house.caller(keys=SALES)
    card = ann.wait_phase("answered")
    house.wait_until_waiting(sue, 0)
    first = house.caller(keys=SALES)
    house.wait_until_waiting(sue, 1)
    second = house.caller(keys=SALES)
    house.wait_until_waiting(sue, 2)
    line = waiting_in_order(sue)
    house.kill_daemon()
    house.assert_speech_flows(4)
    house.start_daemon()
    ann.connect()
    sue.connect()
    house.wait_until_waiting(sue, 2)
    assert waiting_in_order(sue) == line
    again = ann.wait_phase("answered")
    kept = ("call", "profile", "reason", "why")
    assert [again[key] for key in kept] == [card[key] for key in kept]
    assert ann.view["me"]["line"]["activity"] == "talking"
    house.assert_speech_flows(4)
    assert no_bye(talking, first, second, phone)
    house.phone("a2", answers=0.3)
    bob = house.agent("bob")
    wait_talking(bob, line[0][0])
    talk_to(bob, first)
    wait_talking(bob, line[1][0])
    talk_to(bob, second)
    talk_to(ann, talking, "They talked through it.")
    ann.wait_idle()
    bob.wait_idle()
    rows = [house.contact(nth) for nth in range(3)]
    assert [row["outcome"] for row in rows] == ["answered"] * 3
    assert [(row["call"], row["queued_at"]) for row in rows[1:]] == line
    assert (rows[0]["note"], rows[0]["is_inferred"]) == ("They talked through it.", 0)
    house.assert_sound(contacts=3)


def test_killed_for_good_the_failsafe_serves_and_the_record_tells_later(house: House) -> None:
    """While the daemon stays away the plain queue takes everybody; what happened meanwhile is a contact afterwards."""
    sue = house.agent("sue", is_ready=False)
    with AmiProbe(house.lab) as witness:
        waits = house.caller(keys=SALES)
        house.wait_until_waiting(sue, 1)
        in_menu = house.caller(keys=[])
        house.wait_for_calls(2)
        assert wait_until(lambda: in_menu.was_answered or None, 10)
        calls = [row["call"] for row in house.contacts()]
        killed_at = house.kill_daemon()
        joined = [float(witness.wait_for("QueueCallerJoin", Uniqueid=call)["Timestamp"]) for call in calls]
        assert joined[0] - killed_at < 2 + 1.5, "the hold loop is 2 s long"
        assert joined[1] - killed_at < 1.0, "a caller in the menu goes at once"
        nobody = house.caller(keys=[], talk_s=2.0)
        nobody.wait()
        house.phone("a1", answers=0.3)
        house.phone("a2", answers=0.3)
        for call in calls:
            witness.wait_for("AgentConnect", timeout_s=20, DestLinkedid=call)
        house.assert_speech_flows(4)
        waits.hang_up()
        waits.wait()
        somebody = house.caller(keys=[])
        witness.wait_for("AgentConnect", timeout_s=20, CallerIDNum="+12025550101", Uniqueid=arrived(witness, 3))
        somebody.hang_up()
        somebody.wait()
    house.start_daemon()
    house.assert_speech_flows(2)
    in_menu.hang_up()
    in_menu.wait()
    house.assert_sound(contacts=4)
    rows = [house.contact(nth) for nth in range(4)]
    assert [row["outcome"] for row in rows] == ["answered", "answered", "failsafe", "answered"]
    assert [row["is_inferred"] for row in rows] == [0, 0, 1, 1]
    assert [row["queue"] for row in rows] == ["sales", "", "", ""]


def arrived(witness: AmiProbe, nth: int) -> str:
    """The Uniqueid of the nth caller since the witness came, from 0."""
    found = wait_until(lambda: ((seen := witness.seen("Newchannel", Context="from-trunk"))[nth:] and seen) or None, 10)
    assert found
    return found[nth]["Uniqueid"]


def test_killed_while_a_phone_rings_and_killed_in_wrap_up(house: House) -> None:
    """The agent answers into the daemon's absence and they talk; her wrap-up and what she has typed outlive the next one."""
    ann, phone = house.agent("ann"), house.phone("a1", answers="when told")
    caller = house.caller(keys=SALES)
    offered = ann.wait_phase("offered")
    phone.wait_for("SIP/2.0 180")
    with AmiProbe(house.lab) as witness:
        house.kill_daemon()
        witness.wait_for("QueueCallerJoin", Uniqueid=offered["call"])
        phone.pick_up()
        witness.wait_for("BridgeEnter", Uniqueid=f"offhook-{offered['offer']}")
    house.start_daemon()
    ann.connect()
    assert ann.wait_phase("answered")["offer"] == offered["offer"]
    house.assert_speech_flows(2)
    assert no_bye(caller, phone)
    assert ann.do(name="hang_up", call=offered["call"])["type"] == "done"
    wrap_up = ann.wait_phase("wrap_up")
    assert ann.do(name="draft", call=offered["call"], disposition="", note="Half a sen")["type"] == "done"
    house.kill_daemon()
    house.start_daemon()
    ann.connect()
    again = ann.wait_phase("wrap_up")
    assert (again["call"], again["wrap_up_until"]) == (offered["call"], wrap_up["wrap_up_until"])
    ann.wait(lambda view: view["draft"]["note"] == "Half a sen")
    ann.finish("sold", "Half a sentence more.")
    ann.wait_idle()
    contact = house.contact(timeout_s=40)
    assert (contact["outcome"], contact["disposition"], contact["note"]) == (
        "answered",
        "sold",
        "Half a sentence more.",
    )
    assert [(offer["agent"], offer["outcome"]) for offer in contact["offers"]] == [("ann", "accepted")]
    house.assert_sound(contacts=1)


def test_told_to_stop_with_calls_up_it_goes_in_good_order(found_house: Callable[[int], House]) -> None:
    """SIGTERM: gone within 10 s, nobody hung up on, the caller in the menu in the failsafe, the rest as it was afterwards."""
    house = found_house(60)
    ann, sue = house.agent("ann"), house.agent("sue", is_ready=False)
    phone = house.phone("a1", answers=0.3)
    talking = house.caller(keys=SALES)
    ann.wait_phase("answered")
    house.wait_until_waiting(sue, 0)
    waiting = house.caller(keys=SALES)
    house.wait_until_waiting(sue, 1)
    line = waiting_in_order(sue)
    in_menu = house.caller(keys=[])
    house.wait_for_calls(3)
    assert wait_until(lambda: in_menu.was_answered or None, 10)
    with AmiProbe(house.lab) as witness:
        assert house.stop_daemon() < 10
        witness.wait_for("QueueCallerJoin", Uniqueid=house.contacts()[2]["call"])
    house.assert_speech_flows(4)
    assert no_bye(talking, waiting, in_menu, phone)
    house.start_daemon()
    ann.connect()
    sue.connect()
    house.wait_until_waiting(sue, 1)
    assert waiting_in_order(sue) == line
    ann.wait_phase("answered")
    in_menu.hang_up()
    talk_to(ann, talking)
    wait_talking(ann, line[0][0])
    talk_to(ann, waiting)
    ann.wait_idle()
    house.assert_sound(contacts=3)
    assert [house.contact(nth)["outcome"] for nth in range(3)] == ["answered", "answered", "failsafe"]
