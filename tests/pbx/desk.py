"""Somebody at a console, as a browser is: signed in over HTTP, then one WebSocket and the view it keeps up."""

import json
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.pbx.sipp import wait_until

PASSWORD = "correct horse"


class Desk:
    """Somebody at a console, over the real HTTP and WebSocket; paints every pop at once. `view` is the flat map."""

    def __init__(self, base_url: str, name: str, client: str = "browser") -> None:
        self.name = name
        self.view: dict[str, Any] = {}
        self.pops: list[dict[str, Any]] = []
        self.answers: dict[str, dict[str, Any]] = {}
        self.painted_at: dict[str, float] = {}
        self._base_url = base_url
        self._client = client
        self._number = 0
        answer = httpx.post(
            f"{base_url}/api/sign-in",
            json={"name": name, "password": PASSWORD},
            headers={"Origin": base_url},
            timeout=10,
        )
        assert answer.status_code == 200, answer.text
        self._cookie = "; ".join(f"{key}={value}" for key, value in answer.cookies.items())
        self._socket: ClientConnection | None = None
        self._sockets = ExitStack()
        self.connect()

    def connect(self) -> None:
        """Open the socket (again) and wait for the snapshot."""
        headers = {"Cookie": self._cookie, "Origin": self._base_url}
        self.view = {}
        address = self._base_url.replace("http", "ws", 1) + "/ws"
        self._socket = self._sockets.enter_context(connect(address, additional_headers=headers))
        self._send({"type": "hello", "client": self._client, "epoch": None, "seq": 0})
        threading.Thread(target=self._listen, args=(self._socket,), daemon=True).start()
        self.wait(lambda view: "me" in view)

    def do(self, **action: Any) -> dict[str, Any]:
        """Press a button and wait for the answer."""
        self._number += 1
        number = str(self._number)
        self._send({"type": "do", "id": number, "action": action})
        answer = wait_until(lambda: self.answers.get(number), 10.0)
        assert answer is not None, f"no answer to {action}"
        return answer

    def wait(self, wanted: Callable[[dict[str, Any]], bool], timeout_s: float = 20.0) -> dict[str, Any]:
        """Until the view is as wanted."""

        def is_so() -> bool | None:
            try:
                return wanted(self.view) or None
            except (KeyError, TypeError):
                return None

        assert wait_until(is_so, timeout_s), f"{self.name} sees {json.dumps(self.view)[:3000]}"
        return self.view

    def wait_phase(self, phase: str, timeout_s: float = 20.0) -> dict[str, Any]:
        """Until the pop on screen is in this phase; the pop."""
        return dict(self.wait(lambda view: view["pop"]["phase"] == phase, timeout_s)["pop"])

    def wait_idle(self, timeout_s: float = 20.0) -> None:
        """Until nothing is on the desk."""
        self.wait(lambda view: view["me"]["line"]["activity"] == "idle", timeout_s)

    def finish(self, disposition: str = "resolved", note: str = "") -> None:
        """Write the contact up."""
        pop = self.wait_phase("wrap_up")
        answer = self.do(name="finish", call=pop["call"], disposition=disposition, note=note)
        assert answer["type"] == "done", answer

    def disconnect(self) -> None:
        """Close the socket, as a browser that is closed."""
        if self._socket is not None:
            self._socket.close()

    def __exit__(self, *whatever: object) -> None:
        self._sockets.close()

    def _send(self, message: dict[str, Any]) -> None:
        assert self._socket is not None
        self._socket.send(json.dumps(message))

    def _listen(self, link: ClientConnection) -> None:
        try:
            for text in link:
                self._take(json.loads(text))
        except Exception:  # noqa: BLE001 - a closed socket ends the thread, whoever closed it
            return

    def _take(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "snapshot":
                self.view = dict(message["view"])
            case "put":
                self.view[message["key"]] = message["value"]
            case "drop":
                self.view.pop(message["key"], None)
            case "done" | "refused":
                self.answers[message["id"]] = message
        pop = self.view.get("pop")
        if pop is not None and (not self.pops or self.pops[-1] != pop):
            self.pops.append(pop)
            if pop["phase"] == "offered":
                self.painted_at.setdefault(pop["offer"], time.time())
                self._send({"type": "painted", "offer": pop["offer"], "version": pop["version"]})
