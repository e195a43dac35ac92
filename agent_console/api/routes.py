"""The HTTP API: sign in, sign out, who am I, one contact, and the three pages for machines (health, readiness, metrics).

Routes only translate: the rules are in `login` and `roles`, what a contact is in voc. Each names the action it needs
(`ROUTE_NEEDS`), or is open to everybody (`OPEN`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Cookie, Depends, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from agent_console.api.messages import Contact, PartWord, Problem, Readiness, SignInBody, WhoIAm
from agent_console.login import COOKIE, Login, hash_of_token
from agent_console.roles import Action, may
from agent_console.store import SignedIn, User
from cti.bus import Bus
from cti.errors import Refused
from cti.health import Health
from cti.ids import CallId
from cti.requests import ShowContact

ROUTE_NEEDS: dict[tuple[str, str], frozenset[Action]] = {
    ("GET", "/api/me"): frozenset({Action.WATCH_OWN}),
    ("GET", "/api/contacts/{call}"): frozenset({Action.READ_ANY_CONTACT, Action.READ_OWN_CONTACT}),
}
"""Who may come in: roles with any of these actions."""

OPEN = frozenset(
    {
        ("POST", "/api/sign-in"),
        ("POST", "/api/sign-out"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("GET", "/api/openapi.json"),
    }
)
"""Routes that need no sign-in."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes work with; the room puts it on `app.state.desk`."""

    login: Login
    bus: Bus
    health: Health
    session_s: float
    signed_out: Callable[[str], None]
    """Told the SHA-256 of a token that has just been revoked."""


def desk_of(request: Request) -> Desk:
    """The desk of the app that got this request."""
    desk = request.app.state.desk
    assert isinstance(desk, Desk)
    return desk


AtDesk = Annotated[Desk, Depends(desk_of)]
Token = Annotated[str, Cookie(alias=COOKIE, include_in_schema=False)]


async def signed_in(request: Request, desk: AtDesk, token: Token = "") -> SignedIn:
    """Who asks. Raises Refused not-signed-in, or forbidden by the table of roles."""
    found = await desk.login.who(token)
    if found is None:
        raise Refused("not-signed-in", "Sign in first.")
    path = getattr(request.scope.get("route"), "path", "")
    needs = ROUTE_NEEDS.get((request.method, path), frozenset())
    if not any(may(found.user.role, action) for action in needs):
        raise Refused("forbidden", "Your role does not allow this.")
    return found


Asker = Annotated[SignedIn, Depends(signed_in)]

router = APIRouter()
ERRORS: dict[int | str, dict[str, object]] = {
    status: {"model": Problem, "description": why}
    for status, why in ((401, "Not signed in"), (403, "Forbidden"), (503, "A part is away"))
}


@router.post("/api/sign-in", responses={**ERRORS, 429: {"model": Problem, "description": "Too many tries"}})
async def sign_in(body: SignInBody, request: Request, response: Response, desk: AtDesk, token: Token = "") -> WhoIAm:
    """Sign in; the session comes back as a cookie, an older one of this browser ends."""
    address = request.client.host if request.client else ""
    fresh, user = await desk.login.sign_in(body.name, body.password, address, token)
    response.set_cookie(
        COOKIE,
        fresh,
        max_age=int(desk.session_s),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return _who(user)


@router.post("/api/sign-out", status_code=204, responses=ERRORS)
async def sign_out(request: Request, response: Response, desk: AtDesk, token: Token = "") -> None:
    """End this browser's session. No error when there is none."""
    await desk.login.sign_out(token)
    desk.signed_out(hash_of_token(token))
    response.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=request.url.scheme == "https")


@router.get("/api/me", responses=ERRORS)
async def me(asker: Asker) -> WhoIAm:
    """Who is signed in."""
    return _who(asker.user)


@router.get("/api/contacts/{call}", responses={**ERRORS, 404: {"model": Problem, "description": "No such contact"}})
async def contact(call: str, asker: Asker, desk: AtDesk) -> Contact:
    """One contact with every step; an agent sees those she talked to."""
    sheet = await desk.bus.ask(ShowContact(call=CallId(call)))
    may_any = may(asker.user.role, Action.READ_ANY_CONTACT)
    if sheet is None or not (may_any or (asker.user.agent is not None and asker.user.agent in sheet.agents)):
        raise Refused("no-such-contact", "There is no such contact, or it is not one of yours.")
    return sheet


@router.get("/healthz", include_in_schema=False)
async def alive() -> Response:
    """200 while the process answers."""
    return Response("ok\n", media_type="text/plain")


@router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}})
async def ready(desk: AtDesk) -> JSONResponse:
    """Every part's word on itself; 503 when one is down."""
    parts = {name: PartWord(is_up=p.is_up, why=p.why, since=p.since) for name, p in desk.health.parts.items()}
    readiness = Readiness(is_ready=desk.health.is_ready(), parts=parts)
    return JSONResponse(readiness.model_dump(), 200 if readiness.is_ready else 503)


@router.get("/metrics", include_in_schema=False)
async def metrics() -> Response:
    """Prometheus metrics of this process."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _who(user: User) -> WhoIAm:
    return WhoIAm(name=user.name, role=user.role, agent=user.agent)
