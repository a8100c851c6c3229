"""A TCP proxy that misbehaves on purpose: it stands between a driver and its real server."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self


class Proxy:
    """Forwards `127.0.0.1:port` to a server.

    :ivar passing: cleared, it is a black hole: nothing goes through, new connections get no answer, nobody is told.
    :ivar delay_s: seconds that each piece of an answer is held back.
    :ivar silent: swallow answers: the server works, and nobody hears of it.
    :ivar connections: how many were accepted so far.
    :ivar trips: how often a client spoke after an answer, if one at a time does.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._listener: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._clients: set[asyncio.StreamWriter] = set()
        self._servers: set[asyncio.StreamWriter] = set()
        self.passing = asyncio.Event()
        self.passing.set()
        self.port = 0
        self.delay_s = 0.0
        self.silent = False
        self.connections = 0
        self.trips = 0
        self._answered = True

    async def __aenter__(self) -> Self:
        await self.up()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.down()

    async def up(self) -> None:
        """Listen, on the same port as before."""
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Refuse new connections and cut the present ones."""
        if self._listener is not None:
            self._listener.close()
            await self.cut()
            await self._listener.wait_closed()
            self._listener = None

    async def cut(self) -> None:
        """Reset all connections there are."""
        for writer in self._clients | self._servers:
            writer.transport.abort()
        await self._stop_forwarding()

    async def half_open(self) -> None:
        """Reset all connections on the side of the server; its clients hear nothing of it."""
        for writer in self._servers:
            writer.transport.abort()
        await self._stop_forwarding()

    async def half_close(self) -> None:
        """Tell the clients that the server will say no more (FIN); what they say still gets there."""
        for writer in self._clients:
            if not writer.is_closing():
                writer.write_eof()

    def passes(self, piece: bytes) -> bool:
        """Whether to go on with a connection on which this came."""
        return True

    async def _stop_forwarding(self) -> None:
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._servers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._clients.add(writer)
        await self.passing.wait()
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._servers.add(server_writer)
        for source, sink, is_answer in ((reader, server_writer, False), (server_reader, writer, True)):
            task = asyncio.create_task(self._forward(source, sink, is_answer=is_answer))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_answer: bool) -> None:
        with suppress(OSError):
            while piece := await source.read(1 << 16):
                if not self.passes(piece):
                    break
                self.trips += self._answered and not is_answer
                self._answered = is_answer
                if is_answer and self.delay_s:
                    await asyncio.sleep(self.delay_s)
                await self.passing.wait()
                if sink.is_closing():
                    break
                if not (is_answer and self.silent):
                    sink.write(piece)
                    await sink.drain()
        sink.close()
        self._clients.discard(sink)
        self._servers.discard(sink)
