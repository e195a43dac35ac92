"""Whole calls through the real Asterisk, daemon, SIP callers and phones; Asterisk's own record is the referee of each."""

import pytest

from tests.pbx.cel_record import read_cel
from tests.pbx.house import House
from tests.pbx.sipp import wait_until

pytestmark = pytest.mark.pbx

SALES = [(1.5, "1")]
SUPPORT = [(1.5, "2")]


def test_answered_the_pop_comes_before_the_ring_and_the_contact_into_the_next_pop(house: House) -> None:
    """A known caller is on the agent's screen before her phone rings; what she writes is in the next call's pop."""
    ann, phone = house.agent("ann"), house.phone("a1", answers=1.0)
    caller = house.caller(keys=SALES, talk_s=9.0)
    pop = ann.wait_phase("offered")
    assert (pop["match"], pop["profile"]["name"], pop["queue"], pop["reason"]) == (
        "known", "Grace Novak", "sales", "sales",
    )  # fmt: skip
    rang_at = phone.wait_for("SIP/2.0 180").at
    assert ann.painted_at[pop["offer"]] < rang_at
    ann.wait_phase("answered")
    caller.wait()
    ann.finish("sold", "Two of the blue ones.")
    first = house.contact()
    assert (first["outcome"], first["customer"], first["disposition"]) == ("answered", "C1", "sold")
    assert first["talk_s"] > 1.0
    assert "Ann Archer" in first["offers"][0]["why"]
    house.caller(keys=SALES, talk_s=9.0)
    again = ann.wait_phase("offered")
    assert [(past["disposition"], past["note"]) for past in again["history"]] == [("sold", "Two of the blue ones.")]
    ann.finish()
    house.contact(1)
    house.assert_sound(contacts=2)


def test_the_agent_hangs_up_and_the_caller_hears_goodbye(house: House) -> None:
    """After the agent hangs up the caller is back with us, hears the goodbye, and is hung up on in good order."""
    ann = house.agent("ann")
    house.phone("a1", answers=0.3, hang_up_after_s=2.0)
    caller = house.caller(keys=SALES, talk_s=None)
    ann.wait_phase("answered")
    ann.wait_phase("wrap_up")
    caller.wait(20)
    assert caller.was_hung_up_on
    ann.finish()
    contact = house.contact()
    assert (contact["outcome"], contact["ended_by"]) == ("answered", "system")
    house.assert_sound(contacts=1)


def test_abandoned_in_the_menu_is_ivr_only(house: House) -> None:
    """A caller who leaves in the menu is a contact too."""
    house.caller(keys=[], talk_s=2.0).wait()
    contact = house.contact()
    assert (contact["outcome"], contact["ended_by"], contact["queue"]) == ("ivr_only", "caller", "")
    house.assert_sound(contacts=1)


def test_abandoned_in_the_queue(house: House) -> None:
    """A caller who leaves the queue has waited, and nobody was offered the contact."""
    house.caller(keys=SALES, talk_s=6.0).wait()
    contact = house.contact()
    assert (contact["outcome"], contact["queue"], contact["offers"]) == ("abandoned", "sales", [])
    assert 1.0 < contact["waited_s"] < 6.0
    house.assert_sound(contacts=1)


def test_abandoned_while_the_agent_rings_frees_her_at_once(house: House) -> None:
    """The caller hangs up during the ring: the phone stops, the agent is idle and still ready."""
    ann, phone = house.agent("ann"), house.phone("a1", answers="never")
    caller = house.caller(keys=SALES, talk_s=60.0)
    phone.wait_for("SIP/2.0 180")
    caller.hang_up()
    caller.wait()
    phone.wait_for("CANCEL")
    ann.wait_idle()
    assert ann.view["me"]["line"]["availability"] == "ready"
    contact = house.contact()
    assert (contact["outcome"], contact["offers"][0]["outcome"]) == ("abandoned", "rescinded")
    house.assert_sound(contacts=1)


def test_rona_then_another_agent(house: House) -> None:
    """Nobody picks up: that agent is not ready (rona), the caller goes to the next one and talks."""
    ann, bob = house.agent("ann"), None
    house.phone("a1", answers="never")
    house.phone("a2", answers=0.3)
    caller = house.caller(keys=SALES, talk_s=12.0)
    ann.wait_phase("offered")
    bob = house.agent("bob")
    ann.wait(lambda view: view["me"]["line"]["reason"] == "rona")
    bob.wait_phase("answered")
    caller.wait()
    bob.finish()
    contact = house.contact()
    assert [(offer["agent"], offer["outcome"]) for offer in contact["offers"]] == [
        ("ann", "lapsed"),
        ("bob", "accepted"),
    ]
    house.assert_sound(contacts=1)


def test_a_busy_phone_is_passed_over(house: House) -> None:
    """The phone says busy: not ready (phone), and the next agent is asked at once."""
    ann = house.agent("ann")
    bob = house.agent("bob")
    house.phone("a1", answers="busy")
    house.phone("a2", answers=0.3)
    caller = house.caller(keys=SALES, talk_s=9.0)
    bob.wait_phase("answered")
    assert ann.view["me"]["line"]["reason"] == "phone"
    caller.wait()
    bob.finish()
    contact = house.contact()
    assert [(offer["agent"], offer["outcome"]) for offer in contact["offers"]] == [
        ("ann", "failed"),
        ("bob", "accepted"),
    ]
    house.assert_sound(contacts=1)


def test_wrong_keys_three_times_reach_the_operator(house: House) -> None:
    """Three wrong keys: the caller is not lost, the operator's queue (support) takes him."""
    bob = house.agent("bob")
    house.phone("a2", answers=0.3)
    caller = house.caller(keys=[(1.5, "8"), (2.5, "9"), (2.5, "7")], talk_s=12.0)
    pop = bob.wait_phase("answered", 40)
    assert pop["queue"] == "support"
    caller.wait()
    bob.finish()
    assert house.contact()["outcome"] == "answered"
    house.assert_sound(contacts=1)


def test_a_withheld_caller_has_an_honest_pop(house: House) -> None:
    """No number: nobody is guessed, whatever number the network hides."""
    ann = house.agent("ann")
    house.phone("a1", answers=0.3)
    caller = house.caller(withheld=True, keys=[(1.5, "1"), (2.0, "#")], talk_s=9.0)
    pop = ann.wait_phase("answered")
    assert (pop["match"], pop["ani"], pop["profile"], pop["candidates"]) == ("withheld", "", None, [])
    caller.wait()
    ann.finish()
    contact = house.contact()
    assert (contact["ani"], contact["match"], contact["customer"]) == ("", "withheld", None)
    house.assert_sound(contacts=1)


def test_an_unknown_caller_gives_an_account_number_and_is_known(house: House) -> None:
    """A number nobody has: the caller keys an account number and the right record pops; the digits are in no row."""
    ann = house.agent("ann")
    house.phone("a1", answers=0.3)
    caller = house.caller(ani="+13105550999", keys=[(1.5, "1"), (2.0, "40002#")], talk_s=9.0, keys_by="info")
    pop = ann.wait_phase("answered")
    assert (pop["profile"]["name"], pop["candidates"][0]["reason"]) == ("Hugo Rossi", "gave account number")
    caller.wait()
    ann.finish()
    assert house.contact()["customer"] == "C2"
    assert "40002" not in str(house.contact()["answers"])
    house.assert_sound(contacts=1)


def test_a_shared_number_is_never_a_guess(house: House) -> None:
    """Two customers with one number: both are candidates, none is the record, and the agent's pick is remembered."""
    ann = house.agent("ann")
    house.phone("a1", answers=0.3)
    caller = house.caller(ani="+12025550102", keys=SALES, talk_s=9.0)
    pop = ann.wait_phase("answered")
    assert (pop["match"], pop["profile"]) == ("shared", None)
    assert {one["name"] for one in pop["candidates"]} == {"Hugo Rossi", "Irene Rossi"}
    assert ann.do(name="choose", call=pop["call"], customer="C3")["type"] == "done"
    ann.wait(lambda view: view["pop"]["profile"]["name"] == "Irene Rossi")
    caller.wait()
    ann.finish()
    assert house.contact()["customer"] == "C3"
    house.assert_sound(contacts=1)


def test_a_hostile_name_arrives_as_text_and_smuggles_nothing(house: House) -> None:
    """Markup, quotes and line breaks in a caller's name are a name: shown as sent, one Originate, no other action."""
    ann = house.agent("ann")
    house.phone("a1", answers=0.3)
    name = "<img src=x onerror=alert(1)> ${SHELL(id)}"
    caller = house.caller(name=name, keys=SALES, talk_s=9.0)
    pop = ann.wait_phase("answered")
    assert "<img src=x" in pop["caller_name"]
    caller.wait()
    ann.finish()
    assert {row.context for row in read_cel(house.lab)} <= {
        "from-trunk", "offhook-entry", "offhook-hold", "offhook-pick", "from-phones", "default", "",
    }  # fmt: skip
    house.assert_sound(contacts=1)


def test_a_decline_on_the_screen_stops_the_phone(house: House) -> None:
    """Decline: the phone is silent, the agent not ready (declined), the caller waits on, first in line."""
    ann, phone = house.agent("ann"), house.phone("a1", answers="never")
    sue = house.agent("sue", is_ready=False)
    caller = house.caller(keys=SALES, talk_s=9.0)
    pop = ann.wait_phase("offered")
    phone.wait_for("SIP/2.0 180")
    assert ann.do(name="decline", offer=pop["offer"])["type"] == "done"
    phone.wait_for("CANCEL")
    house.wait_until_waiting(sue, 1)
    assert ann.view["me"]["line"]["reason"] == "declined"
    caller.wait()
    assert house.contact()["offers"][0]["outcome"] == "declined"
    house.assert_sound(contacts=1)


def test_a_desk_phone_is_answered_by_hand(house: House) -> None:
    """Answer on the screen is refused, with words, for a phone that can't be answered from here."""
    ann, phone = house.agent("ann"), house.phone("a1", answers="when told")
    caller = house.caller(keys=SALES, talk_s=12.0)
    pop = ann.wait_phase("offered")
    phone.wait_for("SIP/2.0 180")
    answer = ann.do(name="answer", offer=pop["offer"])
    assert (answer["type"], answer["code"]) == ("refused", "phone-by-hand")
    phone.pick_up()
    answered = ann.wait_phase("answered")
    assert ann.do(name="hang_up", call=answered["call"])["type"] == "done"
    ann.finish()
    assert wait_until(lambda: caller.is_over or None, 15)
    house.assert_sound(contacts=1)
