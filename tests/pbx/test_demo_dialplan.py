"""The demo's side of the dialplan on the real Asterisk: callers that press keys and wait, phones that ring until answered."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from cti.demo.lab import AsteriskProgram, Lab, LabPhone, LabPorts
from tests.pbx.ami_probe import AmiProbe
from tests.pbx.cel_record import wait_for_cel
from tests.pbx.conftest import AGI_TOKEN
from tests.pbx.scripted_daemon import Asked, ScriptedDaemon, is_empty, keep_holding, key_of, let_wait

pytestmark = pytest.mark.pbx

DNIS = "1001"


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
    return [key_of(asked.say("WAIT FOR DIGIT 5000")) for _ in range(number)]


def test_a_demo_caller_presses_keys_waits_and_leaves(lab: Lab, daemon: ScriptedDaemon, ami: AmiProbe) -> None:
    """Both halves share the Linkedid; the trunk half has number and name; keys arrive; patience ends the call."""
    heard: list[str] = []

    def listen(asked: Asked) -> None:
        heard.extend(_digits(asked, 4))
        asked.go_on("offhook-hold,s,1")

    daemon.scripts.update(inbound=listen, hold=keep_holding)
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
    assert is_empty(lab)


def test_a_withheld_demo_caller_has_no_number(daemon: ScriptedDaemon, ami: AmiProbe) -> None:
    """DEMO_WITHHELD=1: nothing to look up."""
    _demo_call(ami, {"DEMO_ANI": "+420911222333", "DEMO_NAME": "Ann", "DEMO_WITHHELD": "1"})
    asked = daemon.asked("inbound")
    assert asked.headers["callerid"] in ("", "unknown")
    assert asked.headers["calleridname"] in ("", "unknown")


def test_a_demo_phone_rings_until_it_is_answered_by_redirect(lab: Lab, daemon: ScriptedDaemon, ami: AmiProbe) -> None:
    """It rings; a Redirect of its ;2 half answers it; the caller talks its seconds and hangs up; the phone is free."""
    let_wait(daemon)
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
    assert is_empty(lab)


def test_a_demo_phone_stops_ringing_when_it_is_hung_up(lab: Lab, daemon: ScriptedDaemon, ami: AmiProbe) -> None:
    """The offer lapses: both halves of the demo phone are gone."""
    let_wait(daemon)
    with_leg = "offhook-x-ann-1795322658007"
    ami.ring("Local/ann@offhook-demo-phones/n", with_leg, "nobody", timeout_s=30)
    ami.wait_for("Newstate", Uniqueid=with_leg, ChannelStateDesc="Ringing")
    ami.ask(Action="Hangup", Channel=with_leg, Cause="16")
    ami.wait_for("Hangup", Uniqueid=f"{with_leg};2")
    assert is_empty(lab)


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
