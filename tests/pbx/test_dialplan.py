"""The dialplan with real callers and phones and a scripted daemon: nobody is lost, whatever the daemon does."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import pytest

from cti.demo.lab import AsteriskProgram, Lab, LabPhone, LabPorts
from tests.pbx.ami_probe import AmiProbe
from tests.pbx.cel_record import read_cel, wait_for_cel
from tests.pbx.conftest import AGI_TOKEN
from tests.pbx.scripted_daemon import Asked, ScriptedDaemon
from tests.pbx.sipp import SippCaller, SippPhone, wait_until

pytestmark = pytest.mark.pbx

DNIS = "1001"
Call = Callable[..., SippCaller]


@pytest.fixture
def call(lab: Lab, tmp_path: Path) -> Call:
    """Place a call to the lab."""
    return lambda dnis=DNIS, **how: SippCaller(lab.ports.sip, dnis, tmp_path, **how)


def _to_hold(asked: Asked) -> None:
    asked.say("SET VARIABLE TIMEOUT(absolute) 0")
    asked.say("ANSWER")
    for name, value in (("QUEUE", "sales"), ("SINCE", "1795322658.5"), ("LANGUAGE", "en"), ("PRIORITY", "7")):
        asked.say(f'SET VARIABLE OFFHOOK_{name} "{value}"')
    asked.say('SET VARIABLE OFFHOOK_REASON "billing, old account"')
    asked.go_on("offhook-hold,s,1")


def _answer_only(asked: Asked) -> None:
    asked.say("ANSWER")


def _keep_holding(asked: Asked) -> None:
    asked.go_on("offhook-hold,s,1")


def _waiting(daemon: ScriptedDaemon) -> None:
    daemon.scripts.update(inbound=_to_hold, hold=_keep_holding)


def _no_channels(lab: Lab) -> bool:
    return wait_until(lambda: "0 active channels" in lab.console("core show channels") or None, 10, 0.2) is True


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
    assert _no_channels(lab)


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
    assert _no_channels(lab)


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
    assert _no_channels(lab)


def test_a_daemon_that_dies_in_mid_sentence_costs_no_caller(lab: Lab, daemon: ScriptedDaemon, call: Call) -> None:
    """The socket closes before the daemon has said where to go on: failsafe, not hang-up."""
    daemon.scripts["inbound"] = _answer_only
    with call() as caller:
        wait_for_cel(lab, lambda row: row.event == "APP_START" and row.context == "offhook-failsafe")
        assert not caller.is_over


def test_a_waiting_caller_comes_by_again_with_its_place(lab: Lab, daemon: ScriptedDaemon, call: Call) -> None:
    """Every few seconds of music the daemon is asked, and told queue, since, served, language, priority and reason."""
    _waiting(daemon)
    with call() as caller:
        first, second = daemon.asked("hold"), daemon.asked("hold", 2)
        caller.hang_up()
        caller.wait()
    assert 1.9 < second.at - first.at < 3.5
    linkedid, *state = first.arguments
    assert linkedid == daemon.asked("inbound").arguments[0]
    assert state[:5] == ["sales", "1795322658.5", "", "en", "7"]
    assert state[5] == "billing"  # AGI() parts arguments at commas; what follows one is lost
    assert _no_channels(lab)


def test_a_daemon_that_dies_while_callers_wait_costs_none(lab: Lab, daemon: ScriptedDaemon, call: Call) -> None:
    """The next time the caller comes by, nobody listens: failsafe."""
    _waiting(daemon)
    with call() as caller:
        daemon.asked("hold")
        daemon.close()
        wait_for_cel(lab, lambda row: row.event == "APP_START" and row.context == "offhook-failsafe")
        assert not caller.is_over


def test_a_silent_daemon_while_callers_wait_costs_none(lab: Lab, daemon: ScriptedDaemon, call: Call) -> None:
    """Frozen at the hold question: failsafe after 3 s."""
    daemon.scripts.update(inbound=_to_hold, hold=Asked.wait_until_let_go)
    with call() as caller:
        daemon.asked("hold")
        wait_for_cel(lab, lambda row: row.event == "APP_START" and row.context == "offhook-failsafe")
        assert not caller.is_over


def test_an_answering_agent_is_bridged_and_the_caller_returns_after(
    lab: Lab, daemon: ScriptedDaemon, ami: AmiProbe, call: Call, tmp_path: Path, phone_ports: dict[str, int]
) -> None:
    """Asterisk joins the legs itself; no question while they talk; when the agent hangs up the caller is asked, served=1."""
    _waiting(daemon)
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
    assert _no_channels(lab)


def test_a_caller_who_hangs_up_frees_the_agents_leg(
    lab: Lab, daemon: ScriptedDaemon, ami: AmiProbe, call: Call, tmp_path: Path, phone_ports: dict[str, int]
) -> None:
    """The talk ends with the caller's BYE: the agent's phone hears it too."""
    _waiting(daemon)
    with SippPhone("a1", phone_ports["a1"], tmp_path, 0.1) as phone, call() as caller:
        asked = daemon.asked("hold")
        ami.ring("PJSIP/a1", "offhook-x-ann-1795322658001", asked.headers["channel"])
        ami.wait_for("BridgeEnter", Uniqueid="offhook-x-ann-1795322658001")
        caller.hang_up()
        assert not phone.wait_for("BYE", timeout_s=3).is_sent
    assert _no_channels(lab)


def test_an_agent_picking_a_caller_who_left_is_not_left_hanging(
    lab: Lab, ami: AmiProbe, tmp_path: Path, phone_ports: dict[str, int]
) -> None:
    """Nobody there any more: the agent's leg ends by itself."""
    with SippPhone("a1", phone_ports["a1"], tmp_path, 0.1) as phone:
        ami.ring("PJSIP/a1", "offhook-x-ann-1795322658002", "PJSIP/trunk-gone")
        phone.wait_for("BYE", timeout_s=3)
    assert _no_channels(lab)


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
    _waiting(daemon)
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

    daemon.scripts.update(inbound=_to_hold, hold=slowly)
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

    daemon.scripts.update(inbound=_to_hold, hold=stuck_once)
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
            heard.append(_key(asked.say("WAIT FOR DIGIT 5000")))
        asked.go_on("")

    daemon.scripts["inbound"] = listen
    with call(keys=[(0.5, "2"), (0.3, "05#")], keys_by=keys_by) as caller:
        caller.wait()
        assert caller.was_hung_up_on
    assert heard == ["2", "0", "5", "#"]


def _key(reply: str) -> str:
    code = reply.partition("result=")[2].split(" ")[0]
    return chr(int(code)) if code.isdigit() and code != "0" else ""


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
    assert _no_channels(lab)


def _demo_call(ami: AmiProbe, variables: dict[str, str]) -> None:
    ami.ask(
        variables,
        Action="Originate",
        Channel=f"Local/{DNIS}@offhook-demo-trunk/n",
        Context="offhook-demo-caller",
        Exten="s",
        Priority="1",
        Async="true",
    )


def _digits(asked: Asked, number: int) -> Sequence[str]:
    asked.say("SET VARIABLE TIMEOUT(absolute) 0")
    asked.say("ANSWER")
    return [_key(asked.say("WAIT FOR DIGIT 5000")) for _ in range(number)]


def test_a_demo_caller_presses_keys_waits_and_leaves(lab: Lab, daemon: ScriptedDaemon, ami: AmiProbe) -> None:
    """Both halves share the Linkedid; the trunk half has number and name; keys arrive; patience ends the call."""
    heard: list[str] = []

    def listen(asked: Asked) -> None:
        heard.extend(_digits(asked, 4))
        asked.go_on("offhook-hold,s,1")

    daemon.scripts.update(inbound=listen, hold=_keep_holding)
    _demo_call(
        ami, {"DEMO_ANI": "+420911222333", "DEMO_NAME": "Ann", "DEMO_KEYS": "w1-2-w0.5-12#", "DEMO_PATIENCE": "3"}
    )
    asked = daemon.asked("inbound")
    assert asked.headers["callerid"] == "+420911222333"
    assert asked.headers["calleridname"] == "Ann"
    assert asked.headers["extension"] == DNIS
    assert asked.headers["channel"].startswith(f"Local/{DNIS}@offhook-demo-trunk-")
    assert asked.headers["channel"].endswith(";2")
    daemon.asked("hold")
    assert heard == ["2", "1", "2", "#"]
    wait_for_cel(lab, lambda row: row.event == "LINKEDID_END" and row.call == asked.arguments[0])
    assert _no_channels(lab)


def test_a_withheld_demo_caller_has_no_number(daemon: ScriptedDaemon, ami: AmiProbe) -> None:
    """DEMO_WITHHELD=1: nothing to look up."""
    _demo_call(ami, {"DEMO_ANI": "+420911222333", "DEMO_NAME": "Ann", "DEMO_WITHHELD": "1"})
    asked = daemon.asked("inbound")
    assert asked.headers["callerid"] in ("", "unknown")
    assert asked.headers["calleridname"] in ("", "unknown")


def test_a_demo_phone_rings_until_it_is_answered_by_redirect(lab: Lab, daemon: ScriptedDaemon, ami: AmiProbe) -> None:
    """It rings; a Redirect of its ;2 half answers it; the caller talks its seconds and hangs up; the phone is free."""
    _waiting(daemon)
    _demo_call(ami, {"DEMO_ANI": "0911", "DEMO_PATIENCE": "30", "DEMO_TALK": "2"})
    asked = daemon.asked("hold")
    leg = "offhook-x-ann-1795322658006"
    ami.ring("Local/ann@offhook-demo-phones/n", leg, asked.headers["channel"], timeout_s=30)
    ami.wait_for("Newstate", Uniqueid=leg, ChannelStateDesc="Ringing")
    far = ami.wait_for("Newchannel", Uniqueid=f"{leg};2")
    assert not ami.seen("BridgeEnter")
    answer = ami.ask(
        Action="Redirect", Channel=far["Channel"], Context="offhook-demo-phones", Exten="answered", Priority="1"
    )
    assert answer["Response"] == "Success"
    joined = ami.wait_for("BridgeEnter", Uniqueid=leg)
    left = ami.wait_for("BridgeLeave", timeout_s=10, Channel=asked.headers["channel"])
    assert 1.5 < float(left["Timestamp"]) - float(joined["Timestamp"]) < 4
    ami.wait_for("Hangup", Uniqueid=leg)
    assert _no_channels(lab)


def test_a_demo_phone_stops_ringing_when_it_is_hung_up(lab: Lab, daemon: ScriptedDaemon, ami: AmiProbe) -> None:
    """The offer lapses: both halves of the demo phone are gone."""
    _waiting(daemon)
    with_leg = "offhook-x-ann-1795322658007"
    ami.ring("Local/ann@offhook-demo-phones/n", with_leg, "nobody", timeout_s=30)
    ami.wait_for("Newstate", Uniqueid=with_leg, ChannelStateDesc="Ringing")
    ami.ask(Action="Hangup", Channel=with_leg, Cause="16")
    ami.wait_for("Hangup", Uniqueid=f"{with_leg};2")
    assert _no_channels(lab)


def test_demo_phones_answer_the_failsafe_by_themselves(
    asterisk_program: AsteriskProgram, daemon: ScriptedDaemon, tmp_path: Path
) -> None:
    """With the daemon down, a demo caller still talks to somebody."""
    daemon.close()
    lab = Lab(asterisk_program, tmp_path / "lab", LabPorts.free(), daemon.port, AGI_TOKEN, [LabPhone("ann")])
    lab.start()
    try:
        with AmiProbe(lab) as ami:
            _demo_call(ami, {"DEMO_ANI": "0911", "DEMO_PATIENCE": "20"})
            ami.wait_for("BridgeEnter", Channel="Local/ann@offhook-demo-pickup")
    finally:
        lab.stop()
