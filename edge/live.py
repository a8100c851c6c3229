"""What happens, as it happens: the edge follows the notify actor's log and hands each entry to those who may see it.

Entries are numbered in the order of their commits. An event says up to where the log reaches, at each entry and as the
actor's beat; whoever knows less asks for the rest, so nothing is missed and nothing comes twice, whichever edge a
client comes back to. What someone may see is asked once, when they begin to listen; after that the log itself says
where they begin and cease to take part. While nobody listens, nothing is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from actors.contracts.notify_live import GetLog, GetStanding, LogEntry, LogGrew, Standing
from edge.auth import Identity
from runtime.client import Client
from runtime.errors import Unavailable
from runtime.message import Caller, Event
from runtime.telemetry import logger

BUDGET_MS = 5_000
"""How long a question to the notify actor waits for its answer."""

AGAIN_S = 0.1
"""After a question that was not answered, or not up to where the log is said to reach."""

SWEEP_S = 0.3
"""How often streams are looked at: whether their session still stands, and their client is still there."""

COMMENT_S = 15.0
"""A stream on which nothing was written for so long gets a comment, so that nobody takes it for dead."""

COMMENT = b":\n\n"


class Listener(Protocol):
    """The client's end of a stream."""

    def write(self, data: bytes) -> bool:
        """Never waits. False: the client is gone, or reads too slowly."""
        ...

    def end(self, *, cut: bool) -> None:
        """Nothing more will come. :param cut: at once, whatever is still to be sent."""
        ...


class Stream:
    """One client that listens.

    :ivar after: what has this number or a lower one is no news to it.
    :ivar project_ids: where its owner takes part, as of the number `known_at` or, behind that, of `after`.
    :ivar written_at: when the last byte was written, by the loop's clock.
    """

    __slots__ = ("after", "identity", "known_at", "listener", "project_ids", "written_at")

    def __init__(self, identity: Identity, listener: Listener, after: int, standing: Standing) -> None:
        self.identity = identity
        self.listener = listener
        self.after = after
        self.known_at = standing.last
        self.project_ids = set(standing.project_ids)
        self.written_at = 0.0

    def takes(self, entry: LogEntry) -> bool:
        """Whether to show it; heeds what it says of memberships."""
        own = entry.user_id == self.identity.user_id
        if own and entry.project_id is not None and entry.seq > self.known_at:
            if entry.type == "member_added":
                self.project_ids.add(entry.project_id)
            elif entry.type == "member_removed":
                self.project_ids.discard(entry.project_id)
        self.after = entry.seq
        return own or entry.project_id in self.project_ids


class Live:
    """Follows the log. `run` is its loop, for a supervisor.

    :param is_good: whether someone may still come in.
    """

    def __init__(self, client: Client, is_good: Callable[[Identity], Awaitable[bool]]) -> None:
        self._client = client
        self._is_good = is_good
        self._streams: set[Stream] = set()
        self._at: int | None = None  # what was handed out; None while nobody listens
        self._reaches = 0
        self._news = asyncio.Event()
        self._closed = False

    @property
    def reaches(self) -> int:
        """The highest number that was heard of."""
        return self._reaches

    def __len__(self) -> int:
        return len(self._streams)

    async def watch(self) -> None:
        """Hear of entries from now on. Before `run`."""
        await self._client.watch([LogGrew], self._heard, anew=self._news.set)

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._sweep())

    async def standing(self, user_id: str) -> Standing:
        """What someone may see, and from where on. :raises Unavailable: the notify actor does not answer."""
        standing = await self._client.ask(GetStanding(), caller=Caller(id=user_id), budget_ms=BUDGET_MS)
        self._reaches = max(self._reaches, standing.last)
        return standing

    async def add(self, stream: Stream) -> None:
        """Hand it what it has missed, and all that comes. Whatever is committed after this returns, is not missed.

        :raises Unavailable: the notify actor does not answer.
        """
        while self._at is not None and stream.after < self._at:
            for entry in await self._entries(stream.after):
                self._show(entry, [stream])
        if self._closed:
            raise Unavailable("this edge is about to stop")
        if self._at is None:
            self._at = stream.after
        self._streams.add(stream)
        self._news.set()

    def remove(self, stream: Stream) -> None:
        """Nobody listens to it any more."""
        self._streams.discard(stream)
        if not self._streams:
            self._at = None

    def close(self) -> None:
        """End all streams: their clients go on at another edge."""
        self._closed = True
        for stream in list(self._streams):
            self._end(stream, cut=False)

    def show(self, entry: LogEntry) -> None:
        """To all who may see it; it is news to them when its number is greater than those before."""
        self._show(entry, list(self._streams))

    # ------------------------------------------------------------------------------------ loops

    def _heard(self, _: str, event: Event) -> None:
        """A number is only believed as a reason to ask."""
        if isinstance(event, LogGrew) and event.last > self._reaches:
            self._reaches = event.last
            self._news.set()

    async def _follow(self) -> None:
        while True:
            self._news.clear()
            while self._at is not None and self._at < self._reaches:
                try:
                    advanced = await self._advance()
                except Unavailable as error:
                    logger().info("live.behind", reason=str(error))
                    advanced = False
                if not advanced:
                    await asyncio.sleep(AGAIN_S)
            await self._news.wait()

    async def _advance(self) -> bool:
        """Hand out the next entries; whether there were any."""
        at = self._at
        entries = await self._entries(at or 0)
        if at != self._at:
            return True  # everybody left meanwhile, and others came
        if entries and entries[0].seq != (at or 0) + 1:
            # this edge was away for longer than is kept: what its streams know of memberships is worth nothing
            for stream in list(self._streams):
                self._end(stream, cut=False)
            return True
        for entry in entries:
            self._at = entry.seq
            self.show(entry)
        return bool(entries)

    async def _entries(self, after: int) -> Sequence[LogEntry]:
        return (await self._client.ask(GetLog(after=after), budget_ms=BUDGET_MS)).entries

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now = asyncio.get_running_loop().time()
            for stream in list(self._streams):
                if not await self._is_good(stream.identity):
                    self._end(stream, cut=False)
                elif now - stream.written_at >= COMMENT_S:
                    self._write(stream, COMMENT)
                elif not stream.listener.write(b""):
                    self._end(stream, cut=True)

    def _show(self, entry: LogEntry, streams: Sequence[Stream]) -> None:
        shown = f"event: {entry.type}\nid: {entry.seq}\ndata: {entry.data}\n\n".encode()
        for stream in streams:
            if entry.seq > stream.after and stream.takes(entry):
                self._write(stream, shown)

    def _write(self, stream: Stream, data: bytes) -> None:
        stream.written_at = asyncio.get_running_loop().time()
        if not stream.listener.write(data):
            self._end(stream, cut=True)

    def _end(self, stream: Stream, *, cut: bool) -> None:
        self.remove(stream)
        stream.listener.end(cut=cut)
