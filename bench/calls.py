"""A hundred calls a second as a fake Asterisk tells them: the events of a recorded call, 53 of them, each at its time.

`python -m bench.calls KIND`. For `ours` the agent's leg comes when our Originate asks for it, under the name we gave it;
for `obvious` an AgentCalled says, as app_queue does, whom the queue rings.
"""

import heapq
import random
import sys
import time
from dataclasses import dataclass, field

from bench.fake_asterisk import FakeAsterisk, Headers
from bench.people import ani
from bench.worker import say
from tests.transcripts import recorded

NAME = "b_answered_bridge"
PER_CALL = 53
STEP_S = 0.001
"""Between two events of one burst of a call."""

RING_S, TALK_S, GO_S = 0.3, 0.6, 0.9
"""When the agent answers, they part, and the caller goes: seconds after the call came."""

_CALLER, _PHONE = b"PJSIP/trunk-00000009", b"PJSIP/a1-0000000a"
_NUMBER = b"0911222333"
_OURS = (b"call", b"agent", b"user", b"system", b"reporting")


def _script() -> list[list[bytes]]:
    """The call's events in four bursts: it comes, the phone rings, they talk, all go."""
    told = [one for one in recorded.messages(NAME) if one.startswith(b"Event: ") and b"\r\nActionID: " not in one]
    told = [one for one in told if b"\r\nTimestamp: " in one]
    ours = [
        one for one in told if _privilege(one) in _OURS and not one.startswith((b"Event: TestEvent", b"Event: RTCP"))
    ]
    chatter = [one for one in told if _privilege(one) not in _OURS]
    leg = recorded.agent_leg_of(NAME).encode()
    bursts: list[list[bytes]] = [[], [], [], []]
    at = 0
    for message in ours:
        if at == 0 and leg in message:
            at = 1
        elif at == 1 and message.startswith(b"Event: Newstate") and b"\r\nChannelState: 6" in message:
            at = 2
        elif at == 2 and message.startswith(b"Event: HangupRequest"):
            at = 3
        bursts[at].append(message)
    # Asterisk talks more of the dialplan than of calls; spread among the bursts after the first event of each.
    for number, message in enumerate(chatter[: PER_CALL - len(ours)]):
        burst = bursts[number % 4]
        burst.insert(1 + number % len(burst), message)
    return bursts


def _privilege(message: bytes) -> bytes:
    return message.partition(b"\r\nPrivilege: ")[2].partition(b",")[0]


@dataclass(slots=True)
class _Call:
    number: int
    uid: bytes
    came_at: float
    agent: bytes = b""
    leg: bytes = b""


@dataclass(order=True, slots=True)
class _Due:
    at: float
    order: int
    call: _Call = field(compare=False)
    burst: int = field(compare=False)
    step: int = field(compare=False)


class Calls:
    """The calls that go on, and what is due next of them."""

    def __init__(self, kind: str, agents: int, customers: int) -> None:
        self.is_ours = kind == "ours"
        self.asterisk = FakeAsterisk(self._asked)
        self.written_at: dict[str, float] = {}
        self._agents, self._customers = agents, customers
        self._bursts = _script()
        self._due: list[_Due] = []
        self._calls: dict[str, _Call] = {}
        self._order = 0
        self._number = 0
        self._uid, self._leg = recorded.call_of(NAME).encode(), recorded.agent_leg_of(NAME).encode()

    def run(self, per_s: float, count: int) -> None:
        """Tell of `count` calls, one every 1 / per_s seconds, until the last is over."""
        begin = time.monotonic() + 0.05
        for number in range(count):
            self._number += 1
            at = begin + number / per_s
            call = _Call(self._number, b"%d.%d" % (1_800_000_000 + int(time.time()) % 86_400, self._number), at)
            self._calls[call.uid.decode()] = call
            self._plan(call, 0, at)
            if not self.is_ours:
                call.agent = b"a%d" % random.randrange(self._agents)
                call.leg = b"%d.9%06d" % (1_800_000_000, self._number)
                self._plan_rest(call, at + 0.02)
        while self._due:
            due = heapq.heappop(self._due)
            self.asterisk.serve_until(due.at)
            self._tell(due)

    def _plan(self, call: _Call, burst: int, at: float) -> None:
        for step in range(len(self._bursts[burst])):
            self._order += 1
            heapq.heappush(self._due, _Due(at + step * STEP_S, self._order, call, burst, step))

    def _plan_rest(self, call: _Call, rings_at: float) -> None:
        self._plan(call, 1, rings_at)
        self._plan(call, 2, max(rings_at + 0.1, call.came_at + RING_S))
        self._plan(call, 3, max(rings_at + 0.2, call.came_at + TALK_S))

    def _asked(self, action: Headers) -> None:
        """Our Originate: the agent's phone rings now, as the leg we named."""
        if action.get("Action") != "Originate":
            return
        leg = action["ChannelId"]
        uid, agent, _ = leg.removeprefix("offhook-").rsplit("-", 2)
        call = self._calls[uid]
        call.leg, call.agent = leg.encode(), agent.encode()
        self._plan_rest(call, time.monotonic() + STEP_S)

    def _tell(self, due: _Due) -> None:
        call = due.call
        message = self._bursts[due.burst][due.step]
        if not self.is_ours and due.burst == 1 and due.step == 0:
            self._write(call, _agent_called(call, ani(call.number % self._customers)), is_trigger=True)
        self._write(call, self._named(call, message), is_trigger=self.is_ours and due.burst == 0 and due.step == 0)

    def _write(self, call: _Call, message: bytes, is_trigger: bool) -> None:
        before, mark, after = message.partition(b"\r\nTimestamp: ")
        now = time.monotonic()
        self.asterisk.write(b"%b%b%.6f%b" % (before, mark, time.time(), after[after.index(b"\r\n") :]))
        if is_trigger:
            self.written_at[call.uid.decode()] = now

    def _named(self, call: _Call, message: bytes) -> bytes:
        number = ani(call.number % self._customers).encode()
        message = message.replace(self._leg, call.leg).replace(self._uid, call.uid)
        message = message.replace(_CALLER, b"PJSIP/trunk-%08x" % call.number).replace(_NUMBER, number)
        message = message.replace(_PHONE, b"PJSIP/%b-%08x" % (call.agent, call.number))
        message = message.replace(b"PJSIP/a1\r\n", b"PJSIP/%b\r\n" % call.agent)
        mark = b"BridgeUniqueid: "
        at = message.find(mark)
        return message if at < 0 else message[: at + len(mark)] + b"%08x" % call.number + message[at + len(mark) + 8 :]


def _agent_called(call: _Call, number: str) -> bytes:
    """app_queue's word that it rings a member (Asterisk 22)."""
    caller = f"PJSIP/trunk-{call.number:08x}"
    headers = {
        "Event": "AgentCalled", "Privilege": "agent,all", "Timestamp": "0", "Channel": caller, "ChannelState": "6",
        "ChannelStateDesc": "Up", "CallerIDNum": number, "CallerIDName": "Caller", "ConnectedLineNum": "<unknown>",
        "ConnectedLineName": "<unknown>", "Language": "en", "AccountCode": "", "Context": "queues", "Exten": "sales",
        "Priority": "3", "Uniqueid": call.uid.decode(), "Linkedid": call.uid.decode(),
        "DestChannel": f"PJSIP/{call.agent.decode()}-{call.number:08x}", "DestChannelState": "0",
        "DestChannelStateDesc": "Down", "DestCallerIDNum": "1001", "DestCallerIDName": "<unknown>",
        "DestUniqueid": call.leg.decode(), "DestLinkedid": call.uid.decode(), "Queue": "sales",
        "Interface": f"PJSIP/{call.agent.decode()}", "MemberName": call.agent.decode(),
    }  # fmt: skip
    return ("\r\n".join(f"{key}: {value}" for key, value in headers.items()) + "\r\n\r\n").encode()


def _main() -> None:
    calls = Calls(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    say(calls.asterisk.port)
    calls.asterisk.accept()
    # The client logs in, reads its lists and pings while the row gets everything else ready.
    asked = calls.asterisk.serve_until_asked()
    while asked is not None:
        calls.run(asked["per_s"], asked["count"])
        calls.asterisk.serve_until(time.monotonic() + 0.5)
        say({"written_at": calls.written_at, "longest_write_s": calls.asterisk.longest_write_s})
        asked = calls.asterisk.serve_until_asked()


if __name__ == "__main__":
    _main()
