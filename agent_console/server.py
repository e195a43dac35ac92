"""The web server inside the daemon: FastAPI on uvicorn, on the room's own loop, without signal handlers of its own.

The WebSocket speaks `websockets` through `push.PushProtocol`, without permessage-deflate (it costs more time and memory than
a local network saves).
"""

import contextlib
import errno
import socket
from collections.abc import Collection, Generator
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from agent_console.api import problem
from agent_console.api.routes import Desk, router
from agent_console.api.schema import openapi
from agent_console.border import Border
from agent_console.pages import Pages
from agent_console.push import PushProtocol
from cti.errors import ConfigError, Finding

MAX_MESSAGE_BYTES = 64 * 1024
PING_S = 20.0
DRAIN_S = 2  # seconds requests under way have when the daemon stops


class Server(uvicorn.Server):
    """uvicorn as a guest: the daemon owns the process and its signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the signals alone."""
        yield


def build_app(desk: Desk, websocket: ASGIApp, origins: Collection[str], pages: Pages) -> ASGIApp:
    """The whole app: border, API, WebSocket, pages."""
    app = FastAPI(title="Offhook console", version="1", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.desk = desk
    problem.install(app)
    app.include_router(router)

    @app.get("/api/openapi.json", include_in_schema=False)
    async def document() -> dict[str, Any]:
        """The schema of the API and the WebSocket's messages."""
        return openapi()

    @app.get("/api/{path:path}", include_in_schema=False)
    async def no_such_call(path: str) -> None:
        """An API path nobody answers is an error, not a page."""
        raise HTTPException(404, "There is no such call in the API.")

    app.add_route("/{path:path}", pages.serve, methods=["GET", "HEAD"], include_in_schema=False)
    return Border(app, websocket, origins)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ConfigError when the port is taken or the address is not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as exc:
        listener.close()
        raise ConfigError([_why_not(host, port, exc)]) from exc
    listener.setblocking(False)
    return listener


def build_server(app: ASGIApp) -> Server:
    """The server for `app`; run it with `serve(sockets=[listen(...)])`, end it with `should_exit`."""
    config = uvicorn.Config(
        app,
        ws=PushProtocol,
        ws_per_message_deflate=False,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PING_S,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=DRAIN_S,
    )
    return Server(config)


def _why_not(host: str, port: int, exc: OSError) -> Finding:
    if exc.errno == errno.EADDRINUSE:
        why = f"port {port} on {host} is in use by another program"
        return Finding("settings", "console.port", why, "stop that program, or set console.port to a free one")
    if exc.errno == errno.EACCES:
        return Finding("settings", "console.port", f"port {port} needs root", "set console.port to 1024 or more")
    return Finding("settings", "console.host", f"{host} can't be listened on ({exc.strerror})", "set console.host")
