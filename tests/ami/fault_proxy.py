"""A TCP proxy that does to a connection what networks do: late, in slices, silent one way, reset, half closed, cut."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Faults:
    """What happens to one direction from now on."""

    latency_s: float = 0.0
    slice_bytes: int = 0
    """Pass on in pieces of this many bytes, each in its own segment; 0 for as it came."""
    drop_after_bytes: int | None = None
    """Reset the connection once this many bytes have been passed on."""
    passed_bytes: int = 0
    """Bytes passed on so far."""
    flows: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared: bytes are read and kept, nothing is passed on."""

    def __post_init__(self) -> None:
        self.flows.set()

    def stall(self) -> None:
        """Go silent without closing anything."""
        self.flows.clear()


class FaultProxy:
    """Between one client and `port`; `up` is the client's direction, `down` the server's."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.up = Faults()
        self.down = Faults()
        self.connections = 0
        self.serving: set[asyncio.Task[None] | None] = set()
        self._upstream = port
        self._pairs: list[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = []

    def reset(self) -> None:
        """Send RST to both sides of every connection."""
        for client, server in self._pairs:
            _reset(client)
            _reset(server)
        self._pairs.clear()

    def half_close(self) -> None:
        """Tell the client that the server will send no more; the other direction stays open."""
        self._pairs[-1][0].write_eof()

    def heal(self) -> None:
        """No faults for connections from now on."""
        self.up = Faults()
        self.down = Faults()

    async def serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """One client."""
        self.connections += 1
        self.serving.add(asyncio.current_task())
        answers, server = await asyncio.open_connection("127.0.0.1", self._upstream)
        for writer in (client, server):
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pairs.append((client, server))
        pumps = [asyncio.create_task(self._pump(reader, server, self.up))]
        pumps.append(asyncio.create_task(self._pump(answers, client, self.down)))
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            client.transport.abort()
            server.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, faults: Faults) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if faults.latency_s:
                    await asyncio.sleep(faults.latency_s)
                size = faults.slice_bytes or len(data)
                for at in range(0, len(data), size):
                    await faults.flows.wait()
                    piece = data[at : at + size]
                    if (
                        faults.drop_after_bytes is not None
                        and faults.passed_bytes + len(piece) > faults.drop_after_bytes
                    ):
                        writer.write(piece[: faults.drop_after_bytes - faults.passed_bytes])
                        await writer.drain()
                        self.reset()
                        return
                    writer.write(piece)
                    await writer.drain()
                    faults.passed_bytes += len(piece)


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def fault_proxy(port: int) -> AsyncIterator[FaultProxy]:
    """A proxy to `port` on a free port of 127.0.0.1."""
    proxy = FaultProxy(port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.reset()
        await asyncio.gather(*filter(None, proxy.serving))
