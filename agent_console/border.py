"""What stands before the app: where a request may come from, how big it may be, and the headers every answer carries.

A browser says its Origin on every WebSocket and every POST; a foreign one is refused before anything is read. A program
that is no browser says none, and has no cookie another page could abuse.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_console.api.problem import problem

MAX_BODY_BYTES = 64 * 1024

CSP = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}

CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def is_own_origin(origin: str, host: str, allowed: Collection[str]) -> bool:
    """True when a page of `origin` may talk to us as `host` (the Host header), or is on the operator's list."""
    if origin in allowed:
        return True
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and bool(host) and parts.netloc.lower() == host.lower()


class Border:
    """The outermost app: refuses, then lets through to `websocket` (path /ws) or `app`."""

    def __init__(self, app: ASGIApp, websocket: ASGIApp, allowed: Collection[str]) -> None:
        self._app = app
        self._websocket = websocket
        self._allowed = frozenset(origin.rstrip("/") for origin in allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, _with_headers(send, scope))
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send, scope))

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers = Headers(scope=scope)
        is_websocket = scope["type"] == "websocket"
        if is_websocket and scope["path"] != "/ws":
            return problem(404, "The WebSocket is at /ws.", "http")
        if not is_websocket and scope["method"] not in CHANGING:
            return None
        origins = headers.getlist("origin")
        if len(origins) > 1 or any(not is_own_origin(o, headers.get("host", ""), self._allowed) for o in origins):
            return problem(403, "Pages of another origin may not do this; see console.origins.", "foreign-origin")
        if "transfer-encoding" in headers:
            return problem(411, "Say how long the body is.", "length-needed")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            return problem(413, f"At most {MAX_BODY_BYTES} bytes.", "too-long")
        return None


def _with_headers(send: Send, scope: Scope) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            if scope["path"].startswith("/api/"):
                headers["cache-control"] = "no-store"
        await send(message)

    return sending
