"""What an agent may do from the console, as the Request it becomes and the right it needs."""

from typing import Any

from agent_console.api.messages import (
    Answer,
    Choose,
    Decline,
    DoAction,
    Finish,
    HangUpCall,
    KeepDraft,
    LeaveFloor,
    NotReady,
    Ready,
)
from agent_console.roles import Action, may
from agent_console.snapshot import Audience
from cti.errors import Refused
from cti.ids import AgentId, CallId, CustomerId, OfferId
from cti.requests import (
    AnswerOffer,
    ChooseCandidate,
    DeclineOffer,
    Draft,
    FinishWrapUp,
    GoNotReady,
    GoReady,
    HangUp,
    Request,
    SaveDraft,
    SignOut,
)

ACTION_NEEDS: dict[str, Action] = {
    "ready": Action.WORK,
    "not_ready": Action.WORK,
    "answer": Action.WORK,
    "decline": Action.WORK,
    "hang_up": Action.WORK,
    "finish": Action.WORK,
    "draft": Action.WORK,
    "choose": Action.WORK,
    "sign_out": Action.WORK,
}
"""The right each action of the WebSocket needs; what is missing here is forbidden to everybody."""


def request_for(action: DoAction, audience: Audience) -> Request[Any]:
    """The Request that asks for this. Raises Refused forbidden, not-an-agent."""
    needs = ACTION_NEEDS.get(action.name)
    if needs is None or not may(audience.role, needs):
        raise Refused("forbidden", "Your role does not allow this.")
    if audience.agent is None:
        raise Refused("not-an-agent", "You are signed in, but take no contacts.")
    return _request(action, audience.agent)


def _request(action: DoAction, agent: AgentId) -> Request[Any]:
    match action:
        case Ready():
            return GoReady(agent=agent)
        case NotReady(reason=reason):
            return GoNotReady(agent=agent, reason=reason)
        case Answer(offer=offer):
            return AnswerOffer(agent=agent, offer=OfferId(offer))
        case Decline(offer=offer):
            return DeclineOffer(agent=agent, offer=OfferId(offer))
        case HangUpCall(call=call):
            return HangUp(agent=agent, call=CallId(call))
        case Finish(call=call, disposition=disposition, note=note):
            return FinishWrapUp(agent=agent, call=CallId(call), disposition=disposition, note=note)
        case KeepDraft(call=call, disposition=disposition, note=note):
            return SaveDraft(agent=agent, call=CallId(call), draft=Draft(disposition, note))
        case Choose(call=call, customer=customer):
            chosen = CustomerId(customer) if customer is not None else None
            return ChooseCandidate(agent=agent, call=CallId(call), customer=chosen)
        case LeaveFloor():
            return SignOut(agent=agent)
