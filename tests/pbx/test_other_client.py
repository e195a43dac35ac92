"""The manager interface as a client sees it that is not ours: pyst2, an old library with its own idea of the protocol.

Our own client and our witness in these tests were written by the same hand; this one was not.
"""

import warnings

import pytest

from cti.demo.lab import AMI_USER, Lab
from tests.pbx.ami_probe import AmiProbe
from tests.pbx.scripted_daemon import ScriptedDaemon
from tests.pbx.sipp import wait_until

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    # Not our folder of that name: it has no `__init__.py`, so the installed package is found.
    from asterisk.manager import Event, Manager

pytestmark = [
    pytest.mark.pbx,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def test_another_client_sees_the_same_calls_and_may_do_no_more(lab: Lab, daemon: ScriptedDaemon, ami: AmiProbe) -> None:
    """Logged in as the user we print: it hears the channels we hear, and may neither run commands nor reload."""
    heard: list[str] = []

    def hear(event: Event, _: Manager) -> None:
        heard.append(event.get_header("Uniqueid"))

    other = Manager()
    other.connect("127.0.0.1", lab.ports.ami)
    try:
        other.register_event("Newchannel", hear)
        assert other.login(AMI_USER, lab.ami_secret).get_header("Response") == "Success"
        placed = ami.ask(
            Action="Originate", Channel="Local/s@offhook-check/n", Application="Wait", Data="1", Async="true"
        )
        assert placed["Response"] == "Success"
        ami.wait_for("UserEvent", UserEvent="OffhookCheck", Status="SUCCESS")
        ours = {frame["Uniqueid"] for frame in ami.seen("Newchannel")}
        assert len(ours) == 2
        assert wait_until(lambda: set(heard) == ours, 5.0)
        assert other.command("core show version").get_header("Message") == "Permission denied"
        assert other.send_action({"Action": "Reload"}).get_header("Message") == "Permission denied"
        assert other.send_action({"Action": "CoreStatus"}).get_header("Response") == "Success"
    finally:
        other.close()
