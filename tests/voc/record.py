"""Asterisk's record of made-up calls, in the shape a real Asterisk 22 writes it (see recorded_cel.csv)."""

import json

from cti.ids import AgentId, CallId, OfferId, leg_of_offer, offer_id
from voc.cel import COLUMNS, CelRow

TRUNK = ("from-trunk", "offhook-demo-trunk")


class Record:
    """Rows of calls, appended as they happen; places are the bytes the rows take in the file."""

    def __init__(self) -> None:
        self.rows: list[CelRow] = []
        self._place = 0

    def add(self, kind: str, at: float, leg: str, linkedid: str, **more: str) -> None:
        """One row."""
        names = {
            "number": "",
            "name": "",
            "exten": "s",
            "context": "",
            "channel": f"PJSIP/{leg}",
            "app": "",
            "app_data": "",
        }
        values = {**names, "peer": "", "extra": "", **more}
        row = CelRow(place=self._place, kind=kind, at=at, leg=leg, linkedid=linkedid, **values)
        self.rows.append(row)
        self._place += len(csv_line(row))

    def arrive(self, call: str, at: float, ani: str = "+12025550101", context: str = "from-trunk") -> None:
        """A call at the trunk."""
        self.add("CHAN_START", at, call, call, number=ani, name="Cal", exten="1000", context=context)
        self.add("ANSWER", at + 0.1, call, call, number=ani, name="Cal", exten="1000", context="offhook-entry")

    def hold(self, call: str, at: float) -> None:
        """The dialplan answers in the hold loop; nothing else shows that the caller waits."""
        self.add("ANSWER", at, call, call, number="+12025550101", context="offhook-hold")

    def failsafe(self, call: str, at: float) -> None:
        """The caller is in the dialplan's own queue."""
        row = {"app": "Queue", "app_data": "offhook-failsafe", "context": "offhook-failsafe"}
        self.add("APP_START", at, call, call, **row)

    def ring(self, call: str, agent: str, at: float) -> OfferId:
        """An agent's phone rings as a leg with a linkedid of its own."""
        offer = offer_id(CallId(call), AgentId(agent), at)
        leg = leg_of_offer(offer)
        self.add("CHAN_START", at, leg, leg, context="from-phones")
        return offer

    def no_answer(self, offer: OfferId, at: float) -> None:
        """Nobody picked up."""
        leg = leg_of_offer(offer)
        for kind in ("HANGUP", "CHAN_END", "LINKEDID_END"):
            self.add(kind, at, leg, leg, context="from-phones")

    def talk(self, call: str, offer: OfferId, at: float, until: float) -> None:
        """Both in one bridge; the agent's leg takes the caller's linkedid, and its own ends."""
        leg, extra = leg_of_offer(offer), json.dumps({"bridge_id": f"b-{offer}", "bridge_technology": "simple_bridge"})
        self.add("BRIDGE_ENTER", at, call, call, context="offhook-hold", extra=extra)
        self.add("BRIDGE_ENTER", at + 0.001, leg, call, context="offhook-pick", peer=f"PJSIP/{call}", extra=extra)
        self.add("LINKEDID_END", at + 0.002, leg, leg, context="offhook-pick")
        self.add("BRIDGE_EXIT", until, leg, call, context="offhook-pick", peer=f"PJSIP/{call}", extra=extra)
        self.add("BRIDGE_EXIT", until + 0.001, call, call, context="offhook-hold", extra=extra)
        self.add("HANGUP", until + 0.002, leg, call, context="offhook-pick")
        self.add("CHAN_END", until + 0.002, leg, call, context="offhook-pick")

    def end(self, call: str, at: float, context: str, source: str | None = None) -> None:
        """The caller is gone."""
        source = f"PJSIP/{call}" if source is None else source
        extra = json.dumps({"hangupcause": 16, "hangupsource": source, "dialstatus": ""})
        self.add("HANGUP", at, call, call, number="+12025550101", name="Cal", context=context, extra=extra)
        self.add("CHAN_END", at, call, call, context=context, number="+12025550101", name="Cal")
        self.add("LINKEDID_END", at, call, call, context=context)

    def as_csv(self) -> bytes:
        """The rows as cel_custom writes them."""
        return b"".join(csv_line(row) for row in self.rows)


def csv_line(row: CelRow) -> bytes:
    """One row as a line of the file."""
    values = (
        row.kind,
        f"{row.at:.6f}",
        row.number,
        row.name,
        row.exten,
        row.context,
        row.channel,
        row.app,
        row.app_data,
        row.leg,
        row.linkedid,
        row.peer,
        row.extra,
    )
    assert len(values) == len(COLUMNS)
    return (",".join('"' + value.replace('"', '""') + '"' for value in values) + "\n").encode()


def answered(record: Record, call: str, at: float) -> None:
    """Menu, hold, an offer nobody takes, a talk of 30 s, the agent hangs up, the caller follows."""
    record.arrive(call, at)
    record.hold(call, at + 5)
    record.no_answer(record.ring(call, "bob", at + 6), at + 26)
    record.talk(call, record.ring(call, "ann", at + 27), at + 30, at + 60)
    record.end(call, at + 60.5, "offhook-hold")


def abandoned(record: Record, call: str, at: float) -> None:
    """Menu, hold, away."""
    record.arrive(call, at)
    record.hold(call, at + 5)
    record.end(call, at + 25, "offhook-hold")


def ivr_only(record: Record, call: str, at: float) -> None:
    """Away in the menu."""
    record.arrive(call, at)
    record.end(call, at + 4, "offhook-entry")


def failsafe(record: Record, call: str, at: float) -> None:
    """In the dialplan's own queue until the caller gives up."""
    record.arrive(call, at)
    record.failsafe(call, at + 1)
    record.end(call, at + 90, "offhook-failsafe")


def check_call(record: Record, call: str, at: float) -> None:
    """The doctor's own call, which is nobody's contact."""
    for kind in ("CHAN_START", "HANGUP", "CHAN_END", "LINKEDID_END"):
        record.add(kind, at, call, call, context="offhook-check", channel="Local/s@offhook-check-1;2")


CALLS = {"answered": answered, "abandoned": abandoned, "ivr_only": ivr_only, "failsafe": failsafe}
"""Ways a call may go, by the outcome its contact must have."""
