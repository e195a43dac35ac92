"""A small floor for the console's tests: a site, lines, pops, and the Facts that carry them."""

import dataclasses

from cti.caller import MatchKind
from cti.events import PopChanged
from cti.floor import Activity, AgentLine, Availability, QueueLine, WaitingLine
from cti.ids import AgentId, CallId, QueueId, offer_id
from cti.pop import Pop, PopPhase
from cti.site import AgentSpec, Disposition, QueueSpec, Site

NOW = 1_800_000_000.0
ANN, BEN = AgentId("ann"), AgentId("ben")
SALES, SUPPORT = QueueId("sales"), QueueId("support")

SITE = Site(
    queues=tuple(
        QueueSpec(queue=queue, name=queue.title(), skills=(), dispositions=(Disposition("sold", "Sold"),))
        for queue in (SALES, SUPPORT)
    ),
    agents=tuple(AgentSpec(agent=agent, name=agent.title(), phone=f"PJSIP/{agent}", skills=()) for agent in (ANN, BEN)),
    dnis=(),
    not_ready_reasons=("break", "lunch"),
)


def agent_line(
    agent: AgentId,
    availability: Availability = Availability.SIGNED_OUT,
    activity: Activity = Activity.IDLE,
    since: float = NOW,
    reason: str = "",
) -> AgentLine:
    """One agent now."""
    return AgentLine(agent, agent.title(), f"PJSIP/{agent}", (), availability, activity, reason, since)


def queue_line(queue: QueueId, waiting: int = 0) -> QueueLine:
    """One queue now."""
    return QueueLine(queue, queue.title(), waiting, None, 0, 0, 0, 0, 0)


def waiting_line(call: CallId, queue: QueueId = SALES, priority: int = 0) -> WaitingLine:
    """One contact waiting."""
    return WaitingLine(call, queue, NOW, priority, "en", "", "+4930123456")


def pop(call: str, agent: AgentId = ANN, version: int = 1, offered_at: float = NOW, name: str = "Eve") -> Pop:
    """What an agent sees of one contact."""
    return Pop(
        call=CallId(call),
        agent=agent,
        offer=offer_id(CallId(call), agent, offered_at),
        version=version,
        phase=PopPhase.OFFERED,
        ani="030123456",
        ani_display="+49 30 123456",
        caller_name=name,
        dnis="100",
        dnis_name="Main",
        queue=SALES,
        queue_name="Sales",
        language="en",
        reason="",
        queued_at=offered_at - 3,
        offered_at=offered_at,
        waited_s=3.0,
        why="longest idle",
        match=MatchKind.UNKNOWN,
    )


def shown(shown_pop: Pop, at: float = NOW) -> PopChanged:
    """The Fact that puts this pop on its agent's screen."""
    return PopChanged(at=at, call=shown_pop.call, agent=shown_pop.agent, pop=shown_pop)


def later(shown_pop: Pop, **changes: object) -> Pop:
    """The same pop, one version later."""
    return dataclasses.replace(shown_pop, version=shown_pop.version + 1, **changes)  # type: ignore[arg-type]
