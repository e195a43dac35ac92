"""The dialplan with real callers and phones and a scripted daemon: nobody is lost, whatever the daemon does."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from cti.demo.lab import Lab
from tests.pbx.ami_probe import AmiProbe
from tests.pbx.cel_record import read_cel, wait_for_cel
from tests.pbx.conftest import AGI_TOKEN
from tests.pbx.scripted_daemon import Asked, ScriptedDaemon, is_empty, key_of, let_wait, to_hold
from tests.pbx.sipp import SippCaller, SippPhone, wait_until

pytestmark = pytest.mark.pbx

DNIS = "1001"
Call = Callable[..., SippCaller]


@pytest.fixture
def call(lab: Lab, tmp_path: Path) -> Call:
    """Place a call to the lab."""
    return lambda dnis=DNIS, **how: SippCaller(lab.ports.sip, dnis, tmp_path, **how)


def _answer_only(asked: Asked) -> None:
    asked.say("ANSWER")


def test_the_entry_asks_the_daemon_with_all_it_knows(lab: Lab, daemon: ScriptedDaemon, call: Call) -> None:
    """Token, script, Linkedid, number, name and dialed number reach the daemon; "" ends the call."""
    with call(ani="+420911222333", name="Ann <b>") as caller:
        asked = daemon.asked("inbound")
        caller.wait()
    assert asked.token == AGI_TOKEN
    assert asked.arguments == [asked.headers["uniqueid"]]
    assert asked.headers["extension"] == DNIS
    assert asked.headers["callerid"] == "+420911222333"
    assert asked.headers["calleridname"] == "Ann <b>"
    assert is_empty(lab)


@pytest.mark.parametrize("dnis", ["1", "+420800123456", "0800", "s"])
def test_every_kind_of_dialed_number_enters(daemon: ScriptedDaemon, call: Call, dnis: str) -> None:
    """One digit, many, with a plus, or none at all (`s`)."""
    with call(dnis) as caller:
        assert daemon.asked("inbound").headers["extension"] == dnis
        caller.wait()


def test_a_withheld_caller_arrives_without_number_and_name(daemon: ScriptedDaemon, call: Call) -> None:
    """Neither the number the network hides nor its word for it reaches the daemon."""
    with call(withheld=True) as caller:
        asked = daemon.asked("inbound")
        caller.wait()
    assert asked.headers["callerid"] in ("", "unknown")
    assert asked.headers["calleridname"] in ("", "unknown")


def test_a_daemon_that_is_down_costs_no_caller(
    lab: Lab, daemon: ScriptedDaemon, call: Call, tmp_path: Path, phone_ports: dict[str, int]
) -> None:
    """Connection refused: the caller is in the failsafe queue at once, and a phone of it answers."""
    daemon.close()
    with SippPhone("a1", phone_ports["a1"], tmp_path, 0.2) as phone, call(talk_s=None) as caller:
        rung = phone.wait_for("INVITE", timeout_s=25)
        assert rung.at - caller.wait_for("INVITE").at < 25
        phone.wait_for("ACK")
        caller.hang_up()
        caller.wait()
    queued = wait_for_cel(lab, lambda row: row.event == "APP_START" and row.context == "offhook-failsafe")
    assert queued.at - caller.wait_for("INVITE").at < 1.0
    assert is_empty(lab)


def test_a_silent_daemon_holds_a_caller_for_three_seconds(lab: Lab, daemon: ScriptedDaemon, call: Call) -> None:
    """A daemon that accepts and says nothing: after 3 s the caller, alive, is in the failsafe queue."""
    daemon.scripts["inbound"] = Asked.wait_until_let_go
    with call() as caller:
        asked = daemon.asked("inbound")
        queued = wait_for_cel(lab, lambda row: row.event == "APP_START" and row.context == "offhook-failsafe")
        assert 2.5 < queued.at - caller.wait_for("INVITE").at < 4.5
        assert wait_until(lambda: asked.ended_at, 5) is not None
        assert not caller.is_over
        caller.hang_up()
        caller.wait()
    assert is_empty(lab)


def test_a_daemon_that_dies_in_mid_sentence_costs_no_caller(lab: Lab, daemon: ScriptedDaemon, call: Call) -> None:
    """The socket closes before the daemon has said where to go on: failsafe, not hang-up."""
    daemon.scripts["inbound"] = _answer_only
    with call() as caller:
        wait_for_cel(lab, lambda row: row.event == "APP_START" and row.context == "offhook-failsafe")
        assert not caller.is_over


def test_a_waiting_caller_comes_by_again_with_its_place(lab: Lab, daemon: ScriptedDaemon, call: Call) -> None:
    """Every few seconds of music the daemon is asked, and told queue, since, served, language, priority and reason."""
    let_wait(daemon)
    with call() as caller:
        first, second = daemon.asked("hold"), daemon.asked("hold", 2)
        caller.hang_up()
        caller.wait()
    assert 1.9 < second.at - first.at < 3.5
    linkedid, *state = first.arguments
    assert linkedid == daemon.asked("inbound").arguments[0]
    assert state[:5] == ["sales", "1795322658.5", "", "en", "7"]
    assert state[5] == "billing"  # AGI() parts arguments at commas; what follows one is lost
    assert is_empty(lab)


def test_a_daemon_that_dies_while_callers_wait_costs_none(lab: Lab, daemon: ScriptedDaemon, call: Call) -> None:
    """The next time the caller comes by, nobody listens: failsafe."""
    let_wait(daemon)
    with call() as caller:
        daemon.asked("hold")
        daemon.close()
        wait_for_cel(lab, lambda row: row.event == "APP_START" and row.context == "offhook-failsafe")
        assert not caller.is_over


def test_a_silent_daemon_while_callers_wait_costs_none(lab: Lab, daemon: ScriptedDaemon, call: Call) -> None:
    """Frozen at the hold question: failsafe after 3 s."""
    daemon.scripts.update(inbound=to_hold, hold=Asked.wait_until_let_go)
    with call() as caller:
        daemon.asked("hold")
        wait_for_cel(lab, lambda row: row.event == "APP_START" and row.context == "offhook-failsafe")
        assert not caller.is_over


def test_an_answering_agent_is_bridged_and_the_caller_returns_after(
    lab: Lab, daemon: ScriptedDaemon, ami: AmiProbe, call: Call, tmp_path: Path, phone_ports: dict[str, int]
) -> None:
    """Asterisk joins the legs itself; no question while they talk; when the agent hangs up the caller is asked, served=1."""
    let_wait(daemon)
    with SippPhone("a1", phone_ports["a1"], tmp_path, 0.3, hang_up_after_s=5) as phone, call() as caller:
        asked = daemon.asked("inbound")
        assert wait_until(lambda: asked.ended_at, 5)
        leg = f"offhook-{asked.arguments[0]}-ann-1795322658000"
        ami.ring("PJSIP/a1", leg, asked.headers["channel"])
        joined = ami.wait_for("BridgeEnter", Uniqueid=leg)
        ami.wait_for("BridgeEnter", Channel=asked.headers["channel"], BridgeUniqueid=joined["BridgeUniqueid"])
        before = len(daemon.sessions)
        left = ami.wait_for("BridgeLeave", timeout_s=10, Uniqueid=leg)
        after = daemon.asked("hold", before)
        assert len([s for s in daemon.sessions if s.script == "hold"]) == before
        assert after.arguments[3] == "1"
        assert float(left["Timestamp"]) - float(joined["Timestamp"]) > 4.5
        assert time.monotonic() - after.at < 1.0
        assert phone.count("BYE") == 1
        caller.hang_up()
        caller.wait()
    wait_for_cel(lab, lambda row: row.event == "LINKEDID_END" and row.call == asked.arguments[0])
    # The agent's leg begins with a Linkedid of its own, which ends when it joins the caller's.
    assert sorted(row.call for row in read_cel(lab) if row.event == "LINKEDID_END") == [asked.arguments[0], leg]
    assert is_empty(lab)


def test_a_caller_who_hangs_up_frees_the_agents_leg(
    lab: Lab, daemon: ScriptedDaemon, ami: AmiProbe, call: Call, tmp_path: Path, phone_ports: dict[str, int]
) -> None:
    """The talk ends with the caller's BYE: the agent's phone hears it too."""
    let_wait(daemon)
    with SippPhone("a1", phone_ports["a1"], tmp_path, 0.1) as phone, call() as caller:
        asked = daemon.asked("hold")
        ami.ring("PJSIP/a1", "offhook-x-ann-1795322658001", asked.headers["channel"])
        ami.wait_for("BridgeEnter", Uniqueid="offhook-x-ann-1795322658001")
        caller.hang_up()
        assert not phone.wait_for("BYE", timeout_s=3).is_sent
    assert is_empty(lab)


def test_an_agent_picking_a_caller_who_left_is_not_left_hanging(
    lab: Lab, ami: AmiProbe, tmp_path: Path, phone_ports: dict[str, int]
) -> None:
    """Nobody there any more: the agent's leg ends by itself."""
    with SippPhone("a1", phone_ports["a1"], tmp_path, 0.1) as phone:
        ami.ring("PJSIP/a1", "offhook-x-ann-1795322658002", "PJSIP/trunk-gone")
        phone.wait_for("BYE", timeout_s=3)
    assert is_empty(lab)


@pytest.mark.parametrize("answers", ["busy", "never"])
def test_an_agent_who_does_not_answer_leaves_the_caller_in_place(
    daemon: ScriptedDaemon,
    ami: AmiProbe,
    call: Call,
    tmp_path: Path,
    phone_ports: dict[str, int],
    answers: Literal["busy", "never"],
) -> None:
    """Busy or unanswered: the caller goes on waiting and is not marked as served."""
    let_wait(daemon)
    with SippPhone("a1", phone_ports["a1"], tmp_path, answers), call() as caller:
        asked = daemon.asked("hold")
        ami.ring("PJSIP/a1", "offhook-x-ann-1795322658003", asked.headers["channel"], timeout_s=1)
        failed = ami.wait_for("Hangup", Uniqueid="offhook-x-ann-1795322658003")
        assert failed["Cause"] == {"busy": "17", "never": "19"}[answers]
        later = daemon.asked("hold", len([s for s in daemon.sessions if s.script == "hold"]) + 1)
        assert later.arguments[3] == ""
        assert not caller.is_over


def test_a_talk_begun_during_a_question_is_not_cut(
    daemon: ScriptedDaemon, ami: AmiProbe, call: Call, tmp_path: Path, phone_ports: dict[str, int]
) -> None:
    """The agent answers while the daemon is being asked (3 s limit armed): Bridge waits for the end of it."""

    def slowly(asked: Asked) -> None:
        if len(daemon.sessions) == 2:
            time.sleep(1.0)
        asked.go_on("offhook-hold,s,1")

    daemon.scripts.update(inbound=to_hold, hold=slowly)
    with SippPhone("a1", phone_ports["a1"], tmp_path, 0.0), call() as caller:
        asked = daemon.asked("hold")
        ami.ring("PJSIP/a1", "offhook-x-ann-1795322658004", asked.headers["channel"])
        joined = ami.wait_for("BridgeEnter", Uniqueid="offhook-x-ann-1795322658004")
        assert asked.ended_at is not None
        time.sleep(5)  # the talk itself: longer than any limit that could cut it
        assert not ami.seen("BridgeLeave", BridgeUniqueid=joined["BridgeUniqueid"])
        assert not caller.is_over


def test_a_caller_pulled_out_of_a_question_is_asked_again(
    daemon: ScriptedDaemon, ami: AmiProbe, call: Call, tmp_path: Path, phone_ports: dict[str, int]
) -> None:
    """A Bridge from elsewhere takes the caller out of AGI(): when the talk is over the dialplan asks, and loses nobody."""

    def stuck_once(asked: Asked) -> None:
        asked.say("SET VARIABLE TIMEOUT(absolute) 0")
        if len(daemon.sessions) == 2:
            asked.wait_until_let_go()
        asked.go_on("offhook-hold,s,1")

    daemon.scripts.update(inbound=to_hold, hold=stuck_once)
    with SippPhone("a1", phone_ports["a1"], tmp_path, 0.0, hang_up_after_s=7), call() as caller:
        asked = daemon.asked("hold")
        # The bounded wait for the end of the question (4 s) runs out first.
        ami.ring("PJSIP/a1", "offhook-x-ann-1795322658005", asked.headers["channel"])
        ami.wait_for("BridgeEnter", Uniqueid="offhook-x-ann-1795322658005")
        again = daemon.asked("hold", 2, timeout_s=20)
        assert again.arguments[3] == "1"
        assert not caller.is_over


@pytest.mark.parametrize("keys_by", ["rtp", "info"])
def test_keys_reach_the_daemon(daemon: ScriptedDaemon, call: Call, keys_by: Literal["rtp", "info"]) -> None:
    """Digits as telephone events in RTP or as SIP INFO, all of them, in order."""
    heard: list[str] = []

    def listen(asked: Asked) -> None:
        asked.say("SET VARIABLE TIMEOUT(absolute) 0")
        asked.say("ANSWER")
        for _ in range(4):
            heard.append(key_of(asked.say("WAIT FOR DIGIT 5000")))
        asked.go_on("")

    daemon.scripts["inbound"] = listen
    with call(keys=[(0.5, "2"), (0.3, "05#")], keys_by=keys_by) as caller:
        caller.wait()
        assert caller.was_hung_up_on
    assert heard == ["2", "0", "5", "#"]


def test_the_doctors_call_tells_whether_the_daemon_is_reached(lab: Lab, daemon: ScriptedDaemon, ami: AmiProbe) -> None:
    """`offhook-check` says SUCCESS with our nonce, FAILURE when refused, TIMEOUT when silent."""

    def check(nonce: str) -> str:
        ami.ask(
            {"OFFHOOK_NONCE": nonce},
            Action="Originate",
            Channel="Local/s@offhook-check/n",
            Application="Wait",
            Data="6",
            Async="true",
        )
        return ami.wait_for("UserEvent", UserEvent="OffhookCheck", Nonce=nonce)["Status"]

    assert check("n1") == "SUCCESS"
    assert daemon.asked("check").arguments[1] == "n1"
    daemon.scripts["check"] = Asked.wait_until_let_go
    assert check("n2") == "TIMEOUT"
    daemon.close()
    assert check("n3") == "FAILURE"
    assert is_empty(lab)
