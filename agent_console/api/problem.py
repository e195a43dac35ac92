"""HTTP errors as RFC 9457 problem+json, whoever raised them: routes, FastAPI's validation, or a rule of the floor."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from agent_console.api.messages import Problem
from agent_console.login import TooManyTries
from cti.errors import Refused, Unavailable

STATUS_OF = {
    "wrong-name-or-password": 401,
    "not-signed-in": 401,
    "forbidden": 403,
    "no-such-contact": 404,
    "too-many-tries": 429,
    "busy": 503,
}

TITLES = {400: "Bad request", 401: "Not signed in", 403: "Forbidden", 404: "Not found", 405: "Method not allowed"}
TITLES |= {409: "Refused", 422: "Malformed request", 429: "Too many tries", 500: "Our mistake", 503: "Unavailable"}


def problem(status: int, detail: str, code: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """One error as a response."""
    body = Problem(title=TITLES.get(status, "Error"), status=status, detail=detail, code=code)
    return JSONResponse(body.model_dump(), status, headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Every error of this app leaves as problem+json."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _ours)


async def _refused(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, Refused)
    headers = {"Retry-After": str(int(exc.wait_s) + 1)} if isinstance(exc, TooManyTries) else None
    return problem(STATUS_OF.get(exc.code, 409), exc.why, exc.code, headers)


async def _unavailable(request: Request, exc: Exception) -> JSONResponse:
    return problem(503, str(exc), "unavailable", {"Retry-After": "5"})


async def _malformed(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError)
    # Only where and why: what was sent may hold a password.
    why = "; ".join(f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in exc.errors()[:5])
    return problem(422, why, "malformed")


async def _http(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)
    return problem(exc.status_code, str(exc.detail), "http", dict(exc.headers or {}))


async def _ours(request: Request, exc: Exception) -> JSONResponse:
    return problem(500, "The server made a mistake; its log says which.", "internal")
