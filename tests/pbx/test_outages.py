"""What is around the daemon fails: Asterisk dies, the link to it is cut, the machine stops us, a browser is gone.

No talk drops that could go on, no caller is lost, no agent is stuck, no phone is rung twice, and every contact is right.
"""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from cti.demo.lab import AsteriskProgram
from tests.pbx.ami_probe import AmiProbe
from tests.pbx.cable import Cable
from tests.pbx.cel_record import read_cel
from tests.pbx.house import House
from tests.pbx.sipp import require_sipp, wait_until
from tests.pbx.test_failures import SALES, SUPPORT, no_bye, talk_to, wait_talking

pytestmark = [pytest.mark.pbx, pytest.mark.timeout(300)]

LONGEST_STEP_S = 8.0
"""The longest step of the default flow before the menu is answered: its own sentence, as espeak-ng speaks it."""

FROZEN_S = 20.0


def test_asterisk_dies_mid_call_and_the_same_daemon_goes_on(house: House) -> None:
    """Contacts end as pbx_restart soon after its return, the agent writes hers up, screens are told, the next call works."""
    ann, sue = house.agent("ann"), house.agent("sue", is_ready=False)
    house.phone("a1", answers=0.3)
    gone = [house.caller(keys=SALES)]
    ann.wait_phase("answered")
    house.wait_until_waiting(sue, 0)
    gone.append(house.caller(keys=SALES))
    house.wait_until_waiting(sue, 1)
    house.lab.kill()
    sue.wait(lambda view: view["pbx"]["is_up"] is False)
    ann.wait(lambda view: view["pbx"]["is_up"] is False)
    for caller in gone:
        caller.stop()
    house.lab.start()
    back_at = time.time()
    sue.wait(lambda view: view["pbx"]["is_up"] is True)
    house.wait_until_waiting(sue, 0)
    assert house.contact(1)["closed_at"] - back_at < 8.0
    ann.finish("resolved", "Cut off.")
    ann.wait_idle()
    first = house.contact(0)
    assert first["closed_at"] - back_at < 10.0
    assert [row["outcome"] for row in house.contacts()] == ["pbx_restart", "pbx_restart"]
    assert (first["note"], first["ended_by"]) == ("Cut off.", "pbx_restart")
    caller = house.caller(keys=SALES)
    wait_talking(ann, house.contact(2, closed=False)["call"])
    house.assert_speech_flows(2)
    talk_to(ann, caller)
    ann.wait_idle()
    house.assert_sound(contacts=3)


def test_a_frozen_daemon_lets_every_caller_go(house: House) -> None:
    """SIGSTOP for 20 s: who arrives, walks or waits is in the failsafe within 3 s of the step's own time; then all is true."""
    ann, sue = house.agent("ann"), house.agent("sue", is_ready=False)
    phone = house.phone("a1", answers=0.3)
    talking = house.caller(keys=SALES)
    ann.wait_phase("answered")
    house.wait_until_waiting(sue, 0)
    waits = house.caller(keys=SALES)
    house.wait_until_waiting(sue, 1)
    walks = house.caller(keys=[])
    house.wait_for_calls(3)
    assert wait_until(lambda: walks.was_answered or None, 10)
    with AmiProbe(house.lab) as witness:
        house.freeze_daemon()
        frozen_at = time.time()
        comes = house.caller(keys=[])
        came = witness.wait_for("Newchannel", Context="from-trunk")
        calls = [*(row["call"] for row in house.contacts()[1:]), came["Uniqueid"]]
        joined = [float(witness.wait_for("QueueCallerJoin", 15, Uniqueid=call)["Timestamp"]) for call in calls]
        assert joined[0] - frozen_at < 2 + 3.3, "music for 2 s, then 3 s for our first word"
        assert joined[1] - frozen_at < LONGEST_STEP_S + 3.3
        assert joined[2] - float(came["Timestamp"]) < 3.3
        served_by = house.phone("a2", answers=0.3)
        assert wait_until(lambda: len(witness.seen("AgentConnect")) or None, 15)
        comes.hang_up()
        time.sleep(max(0.0, frozen_at + FROZEN_S - time.time()))
        house.thaw_daemon()
    house.wait_until_waiting(sue, 0)
    house.assert_speech_flows(4)
    assert no_bye(talking, waits, walks, phone)
    assert ann.view["me"]["line"]["activity"] == "talking"
    for caller in (waits, walks):
        caller.hang_up()
    served_by.hang_up()
    talk_to(ann, talking)
    ann.wait_idle()
    house.assert_sound(contacts=4)
    assert ann.view["me"]["line"]["availability"] == "ready"
    outcomes = sorted(house.contact(nth)["outcome"] for nth in range(1, 4))
    assert outcomes in (["answered", "failsafe", "failsafe"], ["answered", "answered", "failsafe"])


@pytest.fixture
def cabled(asterisk_program: AsteriskProgram, template: Path, tmp_path: Path) -> Iterator[tuple[House, Cable]]:
    """A house whose manager link runs over a cable."""
    require_sipp()
    house = House(asterisk_program, template, tmp_path / "house", music_s=2)
    with Cable(house.lab.ports.ami) as cable:
        house.reach_pbx_through(cable.port)
        with house:
            yield house, cable


def test_the_link_is_cut_and_the_truth_comes_back(cabled: tuple[House, Cable]) -> None:
    """One talks, one rings, one waits, some come and go meanwhile: afterwards all is as Asterisk says, nothing rung twice."""
    house, cable = cabled
    ann, bob, sue = house.agent("ann"), house.agent("bob"), house.agent("sue", is_ready=False)
    house.phone("a1", answers=0.3)
    bobs = house.phone("a2", answers="when told")
    talks = house.caller(keys=SALES)
    ann.wait_phase("answered")
    house.wait_until_waiting(sue, 0)
    waits = house.caller(keys=[(1.5, "3")])
    house.wait_until_waiting(sue, 1)
    rings = house.caller(keys=SUPPORT)
    offered = bob.wait_phase("offered")
    bobs.wait_for("SIP/2.0 180")
    cable.cut()
    bobs.pick_up()
    house.caller(keys=[], talk_s=3.0)
    stays = house.caller(keys=SALES)
    talks.hang_up()
    sue.wait(lambda view: view["pbx"]["is_up"] is False)
    house.wait_until_waiting(sue, 3)
    assert ann.view["me"]["line"]["activity"] == "talking"
    cable.mend()
    sue.wait(lambda view: view["pbx"]["is_up"] is True)
    assert wait_talking(bob, offered["call"])["offer"] == offered["offer"]
    ann.finish()
    house.assert_speech_flows(4)
    wait_talking(ann, house.contacts()[-1]["call"])
    talk_to(bob, rings)
    talk_to(ann, stays)
    waits.hang_up()
    ann.wait_idle()
    bob.wait_idle()
    house.assert_sound(contacts=5)
    rows = [house.contact(nth) for nth in range(5)]
    assert Counter(row["outcome"] for row in rows) == {"answered": 3, "abandoned": 1, "ivr_only": 1}
    rung = Counter(row.leg for row in read_cel(house.lab) if row.event == "CHAN_START" and "offhook-" in row.leg)
    offers = {f"offhook-{offer['offer']}" for row in rows for offer in row["offers"]}
    assert dict(rung) == dict.fromkeys(offers, 1)


def test_a_lost_browser_makes_not_ready_and_touches_no_talk(house: House) -> None:
    """The screen is away for longer than the grace time: her talk goes on, she is not ready, and nothing is offered to her."""
    ann, sue = house.agent("ann"), house.agent("sue", is_ready=False)
    phone = house.phone("a1", answers=0.3)
    talks = house.caller(keys=SALES)
    card = ann.wait_phase("answered")
    ann.disconnect()
    sue.wait(lambda view: view["agents/ann"]["reason"] == "connection")
    assert sue.view["agents/ann"]["activity"] == "talking"
    house.assert_speech_flows(2)
    assert no_bye(talks, phone)
    talks.hang_up()
    sue.wait(lambda view: view["agents/ann"]["activity"] == "wrap_up")
    ann.connect()
    assert ann.wait_phase("wrap_up")["call"] == card["call"]
    ann.finish()
    ann.wait_idle()
    waits = house.caller(keys=SALES)
    house.wait_until_waiting(sue, 1)
    assert ann.view["me"]["line"]["availability"] == "not_ready"
    waits.hang_up()
    house.assert_sound(contacts=2)
    assert house.contact()["offers"] == []
