"""Who may do what: the whole table, and nothing beside it."""

from typing import Any, get_args

import pytest
from fastapi import FastAPI

from agent_console.actions import ACTION_NEEDS, request_for
from agent_console.api import messages
from agent_console.api.routes import OPEN, ROUTE_NEEDS, router
from agent_console.roles import MAY, Action, Role, may
from agent_console.snapshot import Audience
from cti.errors import Refused
from tests.agent_console.floor import ANN

TABLE = {
    Action.WATCH_OWN: "agent supervisor admin",
    Action.WATCH_FLOOR: "supervisor admin",
    Action.WORK: "agent supervisor admin",
    Action.READ_OWN_CONTACT: "agent supervisor admin",
    Action.READ_ANY_CONTACT: "supervisor admin",
}

ACTIONS: dict[str, Any] = {
    "ready": messages.Ready(name="ready"),
    "not_ready": messages.NotReady(name="not_ready", reason="break"),
    "answer": messages.Answer(name="answer", offer="o"),
    "decline": messages.Decline(name="decline", offer="o"),
    "hang_up": messages.HangUpCall(name="hang_up", call="c"),
    "finish": messages.Finish(name="finish", call="c", disposition="sold"),
    "draft": messages.KeepDraft(name="draft", call="c"),
    "choose": messages.Choose(name="choose", call="c", customer=None),
    "sign_out": messages.LeaveFloor(name="sign_out"),
}


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("role", Role)
def test_every_role_may_exactly_what_the_table_says(role: Role, action: Action) -> None:
    """Each of roles x actions, as written here a second time on purpose."""
    assert may(role, action) == (role.value in TABLE[action].split())


def test_what_is_not_in_the_table_is_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deny by default: an action nobody thought of is open to nobody, not even an admin."""
    monkeypatch.delitem(MAY, Action.WORK)
    assert not any(may(role, Action.WORK) for role in Role)


def test_every_websocket_action_names_its_right() -> None:
    """No action of the schema is missing from the table of rights, and none is there for nothing."""
    union = get_args(get_args(messages.DoAction)[0])
    assert {get_args(kind.model_fields["name"].annotation)[0] for kind in union} == set(ACTION_NEEDS) == set(ACTIONS)


@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.parametrize("role", Role)
def test_every_action_becomes_a_request_of_ones_own_agent(role: Role, name: str) -> None:
    """Whoever is an agent asks for that agent and no other; who is none is refused."""
    request: Any = request_for(ACTIONS[name], Audience(role, ANN))
    assert request.agent == ANN
    with pytest.raises(Refused) as refused:
        request_for(ACTIONS[name], Audience(role, None))
    assert refused.value.code == "not-an-agent"


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_without_a_right_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deny by default, also when somebody adds an action and forgets the table."""
    monkeypatch.delitem(ACTION_NEEDS, name)
    with pytest.raises(Refused) as refused:
        request_for(ACTIONS[name], Audience(Role.ADMIN, ANN))
    assert refused.value.code == "forbidden"


def test_every_route_is_open_or_names_its_right() -> None:
    """No route of the API is without a word on who may come in."""
    app = FastAPI()
    app.include_router(router)
    paths = app.openapi()["paths"]
    routes = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    hidden = {("GET", "/healthz"), ("GET", "/metrics"), ("GET", "/api/openapi.json")}
    assert routes | hidden == set(ROUTE_NEEDS) | OPEN
    assert not set(ROUTE_NEEDS) & OPEN
