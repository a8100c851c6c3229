"""`GET /v1/events`: server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import asyncio
import re

from edge.answer import LAST_CHUNK, Answer, chunk, takes_chunks
from edge.auth import Identity
from edge.call import Call
from edge.gate import Gate
from edge.headers import Headers
from edge.live import Live, Stream
from edge.problems import invalid, of_unavailable
from runtime.errors import Fault, Unavailable

MEDIA_TYPE = "text/event-stream"

BACKLOG = 256 << 10
"""Bytes that a client may be behind; more, and it is cut off: it comes back with `Last-Event-ID`."""

LONGEST_S = 3600.0
"""How long one stream lasts: after that the client comes back, with a token that is good then."""

_ID = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)


class EventsEndpoint:
    """What the caller may see, as it happens: server-sent events.

    `event` is the name, `id` a number that grows, `data` a JSON object with `type`, `project_id`, `task_id` where it
    is about a task, `version`, `actor_id`, `at` and what else there is to say. One's own changes are among them.
    Nothing is missed once the head was sent. `Last-Event-ID` resumes for an hour; for an older one, `event: reset`
    says that what happened since is not kept. A comment comes every 15 seconds on a stream where nothing happens; one
    stream lasts for an hour at most, and ends with its session.
    """

    path = "/v1/events"
    scope = "notifications:read"

    def __init__(self, *, live: Live, gate: Gate) -> None:
        self._live = live
        self._gate = gate

    async def answer(self, call: Call) -> Answer:
        """:raises Problem: 401, 403, 422, 429; 503 the notify actor is away."""
        try:
            identity = await self._gate.admit_listener(call, self.scope)
        except Unavailable as error:
            raise of_unavailable(error, "user") from None
        if call.parameters:
            raise invalid([Fault(f"?{name[:200]}", "is not known here") for name, _ in call.parameters])
        last_id = _last_id(call.request.headers)
        answer = EventsAnswer(self._live)
        if call.request.method == "HEAD":
            return answer
        try:
            await self._listen(answer, identity, last_id)
        except Unavailable as error:
            raise of_unavailable(error, "notify") from None
        return answer

    async def _listen(self, answer: EventsAnswer, identity: Identity, last_id: int | None) -> None:
        standing = await self._live.standing(identity.user_id)
        after = standing.last if last_id is None else last_id
        if after > max(standing.last, self._live.reaches):
            raise invalid([Fault("Last-Event-ID", "must be the id of an event of this stream")])
        if after < standing.first - 1:
            after = standing.last
            answer.write(f'event: reset\nid: {after}\ndata: {{"type":"reset"}}\n\n'.encode())
        stream = Stream(identity, answer, after, standing)
        answer.stream = stream
        await self._live.add(stream)


class EventsAnswer(Answer):
    """An answer that goes on: bytes are written as they come, and never waited for.

    :ivar stream: what it shows; None: nothing.
    """

    def __init__(self, live: Live) -> None:
        super().__init__(200, headers=(("Cache-Control", "no-store"), ("X-Accel-Buffering", "no")), close=True)
        self.media_type = MEDIA_TYPE
        self.length = None
        self.stream: Stream | None = None
        self._live = live
        self._early: list[bytes] = []  # what comes before the head is written
        self._begun = asyncio.get_running_loop().time()
        self._open = False
        self._ended = asyncio.get_running_loop().create_future()
        self._chunked = True

    def write(self, data: bytes) -> bool:  # type: ignore[override] # not a coroutine: it never waits
        if self._ended.done():
            return False
        if not self._open:
            if data:
                self._early.append(data)
            # whoever went before the head was written is never heard of again
            return asyncio.get_running_loop().time() - self._begun < 10.0
        transport = self._request.transport if self._request is not None else None
        if transport is None or transport.is_closing():
            return False
        if data:
            transport.write(chunk(data) if self._chunked else data)
        return transport.get_write_buffer_size() <= BACKLOG

    def end(self, *, cut: bool) -> None:
        if not self._ended.done():
            self._ended.set_result(cut)

    async def write_eof(self, data: bytes = b"") -> None:
        """:raises ConnectionResetError: the client is gone."""
        stream, request = self.stream, self._request
        try:
            if request is None or request.transport is None:
                raise ConnectionResetError("the client is gone")
            self._keep_alive = False
            self._chunked = takes_chunks(request)
            request.transport.write(self._head(request))
            if stream is None:
                return
            self._open = True
            self.write(b": what happens from here on is shown\n\n" + b"".join(self._early))
            self._early.clear()
            stream.written_at = asyncio.get_running_loop().time()
            cut = False
            try:
                async with asyncio.timeout(LONGEST_S):
                    cut = await self._ended
            except TimeoutError:
                pass
            transport = request.transport
            if transport is not None and cut:
                transport.abort()
            elif transport is not None and self._chunked:
                transport.write(LAST_CHUNK)
        finally:
            if stream is not None:
                self._live.remove(stream)


def _last_id(headers: Headers) -> int | None:
    """:raises Problem: 422, it is no number of ours."""
    given = headers.getall("Last-Event-ID", [])
    if not given or given == [""]:
        return None
    if len(given) > 1 or not _ID.fullmatch(given[0]):
        raise invalid([Fault("Last-Event-ID", "must be the id of an event of this stream")])
    return int(given[0])
