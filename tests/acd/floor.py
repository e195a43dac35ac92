"""A small floor for the acd tests: two queues, three agents, and a machine driven by a hand-set clock."""

from typing import Any, TypeVar

from acd.distributor import Distributor
from acd.orders import Order, Ring
from cti.errors import Refused
from cti.events import (
    CallArrived,
    CallConnected,
    CallEnded,
    CallOffered,
    CallQueued,
    EndedBy,
    Fact,
    LegAnswered,
    LegEnded,
    LegRinging,
    PbxSynced,
    PopPainted,
)
from cti.ids import AgentId, CallId, LegId, OfferId, QueueId, leg_of_offer
from cti.requests import GoReady, Request, SignIn
from cti.site import AgentSpec, Disposition, QueueSpec, Site

T = TypeVar("T")

ANN, BOB, CAT = AgentId("ann"), AgentId("bob"), AgentId("cat")
SALES, SUPPORT = QueueId("sales"), QueueId("support")

DISPOSITIONS = (Disposition("sold", "Sold"), Disposition("no_sale", "No sale"))

SITE = Site(
    queues=(
        QueueSpec(queue=SALES, name="Sales", skills=("sales",), dispositions=DISPOSITIONS, wrap_up_s=30.0),
        QueueSpec(queue=SUPPORT, name="Support", skills=("support",), dispositions=DISPOSITIONS, wrap_up_s=0.0),
    ),
    agents=(
        AgentSpec(agent=ANN, name="Ann Archer", phone="PJSIP/ann", skills=("sales", "lang.en", "lang.es")),
        AgentSpec(agent=BOB, name="Bob Baker", phone="PJSIP/bob", skills=("sales", "support", "lang.en")),
        AgentSpec(agent=CAT, name="Cat Cooper", phone="PJSIP/cat", skills=("support", "lang.en")),
    ),
    dnis=(),
    not_ready_reasons=("break", "lunch"),
)


class Bench:
    """The machine with its clock and everything it has said so far."""

    def __init__(self, site: Site = SITE) -> None:
        self.machine = Distributor(site)
        self.now = 1_800_000_000.0
        self.orders: list[Order] = []

    def tell(self, word: Fact | Request[Any]) -> list[Order]:
        """One Fact or Request in; what it led to."""
        orders = self.machine.receive(word, self.now)
        self.orders += orders
        return orders

    def pass_time(self, seconds: float) -> list[Order]:
        """Let time pass, waking the machine whenever it asked to be."""
        until = self.now + seconds
        orders: list[Order] = []
        while (due := self.machine.next_wake()) is not None and due <= until:
            self.now = max(self.now, due)
            orders += self.machine.wake(self.now)
        self.now = until
        self.orders += orders
        return orders

    def start(self, *agents: AgentId) -> "Bench":
        """The PBX is there and these agents are ready, the first one idle longest."""
        self.tell(PbxSynced(at=self.now, calls=()))
        for agent in agents:
            self.tell(SignIn(agent=agent))
            self.pass_time(1.0)
            self.tell(GoReady(agent=agent))
            self.pass_time(1.0)
        return self

    def queue_call(self, name: str, queue: QueueId = SALES, **more: Any) -> list[Order]:
        """A call arrives and waits in this queue."""
        call = CallId(name)
        channel = f"PJSIP/trunk-{name}"
        self.tell(
            CallArrived(
                at=self.now, call=call, leg=LegId(name), channel=channel, ani="5551", caller_name="", dnis="100"
            )
        )
        return self.tell(
            CallQueued(
                at=self.now, call=call, queue=queue, channel=channel, **{"language": "en", "ani": "5551", **more}
            )
        )

    def paint(self, offered: CallOffered) -> list[Order]:
        """Her browser shows the pop."""
        return self.tell(
            PopPainted(at=self.now, call=offered.call, agent=offered.agent, offer=offered.offer, version=1)
        )

    def ring(self, offered: CallOffered) -> list[Order]:
        """The pop is painted and the phone rings."""
        return [
            *self.paint(offered),
            *self.tell(LegRinging(at=self.now, call=offered.call, leg=leg_of_offer(offered.offer))),
        ]

    def answer(self, offered: CallOffered) -> list[Order]:
        """She picks up and the two are connected."""
        leg = leg_of_offer(offered.offer)
        orders = self.ring(offered)
        orders += self.tell(LegAnswered(at=self.now, call=offered.call, leg=leg))
        return orders + self.tell(CallConnected(at=self.now, call=offered.call, leg=LegId(offered.call), peer=leg))

    def leg_ends(self, offer: OfferId, call: str, cause: int = 16, why: str = "") -> list[Order]:
        """The agent's leg is gone."""
        return self.tell(LegEnded(at=self.now, call=CallId(call), leg=leg_of_offer(offer), cause=cause, why=why))

    def caller_hangs_up(self, name: str) -> list[Order]:
        """The customer's channel is gone."""
        return self.tell(CallEnded(at=self.now, call=CallId(name), ended_by=EndedBy.CALLER))

    def refused(self, request: Request[Any]) -> str:
        """The code with which this Request is refused, "" when it is not."""
        try:
            self.tell(request)
        except Refused as exc:
            return exc.code
        return ""


def only(kind: type[T], orders: list[Order]) -> T:
    """The one order or Fact of this kind."""
    found = [one for one in orders if isinstance(one, kind)]
    assert len(found) == 1, f"{len(found)} {kind.__name__} in {orders}"
    return found[0]


def none_of(kind: type[Any], orders: list[Order]) -> bool:
    """True when nothing of this kind is there."""
    return not any(isinstance(one, kind) for one in orders)


def rings(orders: list[Order]) -> list[str]:
    """The phones that are to ring."""
    return [one.phone for one in orders if isinstance(one, Ring)]
