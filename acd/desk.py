"""What an agent may ask for at her desk, and when it is refused."""

from collections.abc import Callable
from typing import Any, Protocol

from acd.agent import Agent
from acd.floor import Floor
from acd.offer import Offer, OfferState
from acd.orders import EndLeg, Order, PickUp
from acd.talk import end_wrap_up
from cti.errors import Refused
from cti.events import AgentNotReady, AgentReady, AgentSignedIn, AgentSignedOut, OfferOutcome, WrapUpEnd
from cti.floor import Activity, Availability, NotReadyReason
from cti.ids import AgentId, OfferId, leg_of_offer
from cti.requests import (
    AnswerOffer,
    DeclineOffer,
    FinishWrapUp,
    GoNotReady,
    GoReady,
    HangUp,
    Request,
    SignIn,
    SignOut,
)
from cti.site import Site


class EndOffer(Protocol):
    """How an offer is ended (the distributor's own way)."""

    def __call__(self, offer: Offer, outcome: OfferOutcome, why: str, now: float) -> list[Order]:
        """End it."""


class Desk:
    """Answers the agents' Requests against the floor; raises Refused with a stable code."""

    def __init__(self, floor: Floor, site: Site, end_offer: EndOffer) -> None:
        self._floor = floor
        self._reasons = frozenset(site.not_ready_reasons)
        self._end_offer = end_offer
        self._answers: dict[type[Any], Callable[[Any, Agent, float], list[Order]]] = {
            SignIn: self._sign_in,
            SignOut: self._sign_out,
            GoReady: self._go_ready,
            GoNotReady: self._go_not_ready,
            AnswerOffer: self._answer_offer,
            DeclineOffer: self._decline_offer,
            HangUp: self._hang_up,
            FinishWrapUp: self._finish_wrap_up,
        }

    def answer(self, request: Request[Any], now: float) -> list[Order]:
        """What follows from this Request."""
        answer = self._answers[type(request)]
        return answer(request, self._agent(getattr(request, "agent", AgentId(""))), now)

    def _agent(self, name: AgentId) -> Agent:
        agent = self._floor.agents.get(name)
        if agent is None:
            raise Refused("unknown-agent", f"There is no agent called {name!r}; add her to agents.yaml.")
        return agent

    def _sign_in(self, request: SignIn, agent: Agent, now: float) -> list[Order]:
        if agent.availability is not Availability.SIGNED_OUT:
            return []
        agent.phone = request.phone or agent.spec.phone
        agent.want(Availability.NOT_READY, NotReadyReason.SIGN_IN, now)
        self._floor.touch(agent)
        return [
            AgentSignedIn(at=now, agent=agent.id, phone=agent.phone),
            AgentNotReady(at=now, agent=agent.id, reason=NotReadyReason.SIGN_IN),
        ]

    def _sign_out(self, request: SignOut, agent: Agent, now: float) -> list[Order]:
        if agent.availability is Availability.SIGNED_OUT:
            return []
        if agent.activity is not Activity.IDLE:
            raise Refused("busy", "Finish this contact first, then sign out.")
        agent.want(Availability.SIGNED_OUT, "", now)
        self._floor.touch(agent)
        return [AgentSignedOut(at=now, agent=agent.id)]

    def _here(self, agent: Agent) -> None:
        if agent.availability is Availability.SIGNED_OUT:
            raise Refused("signed-out", "Sign in first.")

    def _go_ready(self, request: GoReady, agent: Agent, now: float) -> list[Order]:
        self._here(agent)
        if agent.availability is Availability.READY:
            return []
        agent.want(Availability.READY, "", now)
        self._floor.touch(agent)
        return [AgentReady(at=now, agent=agent.id)]

    def _go_not_ready(self, request: GoNotReady, agent: Agent, now: float) -> list[Order]:
        self._here(agent)
        if request.reason not in self._reasons:
            known = ", ".join(sorted(self._reasons))
            raise Refused("unknown-reason", f"{request.reason!r} is not a reason here; choose one of {known}.")
        agent.want(Availability.NOT_READY, request.reason, now)
        self._floor.touch(agent)
        return [AgentNotReady(at=now, agent=agent.id, reason=request.reason)]

    def _offer(self, agent: Agent, name: OfferId) -> Offer:
        offer = self._floor.offers.get(name)
        if offer is None or offer.agent != agent.id:
            raise Refused("no-such-offer", "This offer is over.")
        return offer

    def _answer_offer(self, request: AnswerOffer, agent: Agent, now: float) -> list[Order]:
        offer = self._offer(agent, request.offer)
        if offer.state is not OfferState.RINGING:
            raise Refused("not-ringing", "The phone does not ring yet, or has been picked up already.")
        return [PickUp(offer.call, leg_of_offer(offer.offer), agent.phone)]

    def _decline_offer(self, request: DeclineOffer, agent: Agent, now: float) -> list[Order]:
        offer = self._offer(agent, request.offer)
        if offer.state is OfferState.PICKED_UP:
            raise Refused("no-such-offer", "It has been picked up already.")
        return self._end_offer(offer, OfferOutcome.DECLINED, "declined on the screen", now)

    def _hang_up(self, request: HangUp, agent: Agent, now: float) -> list[Order]:
        if agent.activity is not Activity.TALKING or agent.call != request.call or agent.offer is None:
            raise Refused("not-talking", "There is no talk to end.")
        return [EndLeg(request.call, leg_of_offer(agent.offer))]

    def _finish_wrap_up(self, request: FinishWrapUp, agent: Agent, now: float) -> list[Order]:
        if agent.activity is not Activity.WRAP_UP or agent.call != request.call:
            raise Refused("not-in-wrap-up", "This contact is not being wrapped up.")
        spec = self._floor.queues.get(agent.queue) if agent.queue is not None else None
        codes = [choice.code for choice in spec.dispositions] if spec is not None else []
        if not request.disposition:
            raise Refused("disposition-needed", "Choose what the contact came to.")
        if codes and request.disposition not in codes:
            raise Refused("unknown-disposition", f"Choose one of {', '.join(codes)}.")
        return end_wrap_up(self._floor, agent, WrapUpEnd.FINISHED, request.disposition, request.note, now)
