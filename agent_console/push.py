"""The WebSocket's protocol with a door for pushes: uvicorn's own on `websockets`, plus one synchronous way out.

A pop goes from the Fact to the socket without a task or a turn of the loop between: `push` frames and writes at once. It
never waits: while the transport's buffer is full, `can_write` is False and the caller keeps what it has until `on_drained`.
"""

import asyncio
from asyncio.transports import BaseTransport
from collections.abc import Callable, Sequence
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.protocol import State

DOOR = "offhook.push"
"""Under this name in `scope["extensions"]` the app finds the protocol of its WebSocket."""

BUFFER_BYTES = 64 * 1024  # a browser this far behind in its socket is behind
CLOSE_WITHIN_S = 3.0  # a browser that does not answer a close is cut off


def text_header(length: int) -> bytes:
    """The header of a whole, unmasked text frame (RFC 6455, 5.2): what `websockets` would write, without its bookkeeping."""
    if length < 126:
        return b"\x81%c" % length
    if length < 65536:
        return b"\x81\x7e" + length.to_bytes(2)
    return b"\x81\x7f" + length.to_bytes(8)


def _nothing() -> None:
    pass


class PushProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, with `push` and `shut` for the room."""

    on_drained: Callable[[], None] = staticmethod(_nothing)

    @property
    def can_write(self) -> bool:
        """True while the transport takes more without piling up."""
        return self.writable.is_set()

    def push(self, frames: Sequence[bytes]) -> None:
        """Write these text messages in one go. Nothing happens on a socket that is closing."""
        if self.disconnected or self.close_sent or self.conn.state is not State.OPEN:
            return  # the browser said goodbye in the same moment; the endpoint hears it next
        self.transport.write(b"".join([part for text in frames for part in (text_header(len(text)), text)]))

    def shut(self, code: int, why: str) -> None:
        """Close with this code, whoever is not reading; cut off when the browser doesn't answer in time."""
        if self.disconnected or self.close_sent:
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": why})
        try:
            self.conn.send_close(code, why)
        except InvalidState:
            return
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(CLOSE_WITHIN_S, self.transport.abort)

    def connection_made(self, transport: BaseTransport) -> None:
        """A browser connected."""
        super().connection_made(transport)
        cast(asyncio.Transport, transport).set_write_buffer_limits(high=BUFFER_BYTES)

    def resume_writing(self) -> None:
        """The transport takes bytes again."""
        super().resume_writing()
        self.on_drained()

    async def run_asgi(self) -> None:
        """Run the app for this WebSocket, with the door in its scope."""
        cast(dict[str, Any], self.scope["extensions"])[DOOR] = self
        await super().run_asgi()
