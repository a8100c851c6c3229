"""Routes that take a file: streamed from the client into the object store, as fast as the slower of both.

The actor gives leave first (a ticket) and is told in the end; the bytes pass it by. What comes to nothing is cancelled,
so that an aborted upload leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

from actors.contracts.values import Ticket, Upload
from edge.answer import Answer
from edge.call import Call
from edge.endpoint import ActorEndpoint
from edge.form import FormReader
from edge.gate import Gate
from edge.headers import idempotency_key
from edge.problems import Problem, of_failed, of_unavailable
from edge.route import FileForm, Route
from runtime.client import Client
from runtime.errors import BlobsAway, Refusal, Unavailable
from runtime.message import Caller, Ok, encode, failed
from runtime.ports import Blobs

TICKET_MS = 5_000
CANCEL_MS = 1_000

UNKNOWN_TYPE = "application/octet-stream"
"""What an object is stored as: what it is turns out when all of it is there."""


class UploadEndpoint(ActorEndpoint):
    """Answers one route whose body is a form with a file.

    :param blobs: where files go.
    """

    def __init__(
        self,
        route: Route,
        form: FileForm,
        *,
        client: Client,
        gate: Gate,
        blobs: Blobs,
        key: bytes,
        deadline_max_s: float,
    ) -> None:
        super().__init__(route, client=client, gate=gate, key=key, body_limit=0, deadline_max_s=deadline_max_s)
        self._form = form
        self._blobs = blobs

    async def answer(self, call: Call) -> Answer:
        """:raises Problem: any answer that is no success."""
        caller = await self._admit(call)
        key = idempotency_key(call.request.headers)
        reader = FormReader(call.request, self._binder.fields, digest=key is not None)
        ticket: Ticket | None = None

        async def store(content: AsyncIterator[bytes]) -> None:
            nonlocal ticket
            ticket = await self._ticket(caller)
            reader.allow(ticket.limit)
            try:
                await self._blobs.put(ticket.key, content, content_type=UNKNOWN_TYPE)
            except BlobsAway as error:
                raise self._unavailable(error) from None

        try:
            form = await reader.read(store)
            assert ticket is not None  # noqa: S101 # a form without a file is refused
            upload = Upload(id=ticket.id, filename=form.filename)
            message = self._bound(lambda: self._binder.bind_form(call.parameters, form.fields, upload), key)
        except Problem:
            await self._cancel(ticket, caller)
            raise
        # the same fields and the same file are the same request, whatever the form around them looked like
        same = encode([sorted(form.fields.items()), form.filename, form.sha256])
        outcome = await self._ask(message, call, caller, key, same)
        if outcome.replayed or not isinstance(outcome.reply, Ok):
            await self._cancel(ticket, caller)
        return self._answer(call, outcome)

    async def _ticket(self, caller: Caller) -> Ticket:
        try:
            return await self._client.ask(self._form.ticket(), caller=caller, budget_ms=TICKET_MS)
        except Refusal as refusal:
            raise of_failed(failed(refusal), self.route.actor, replayed=False) from None
        except Unavailable as error:
            raise self._unavailable(error) from None

    async def _cancel(self, ticket: Ticket | None, caller: Caller) -> None:
        """Nothing comes of it. An actor that is away finds out by itself later."""
        if ticket is not None:
            with suppress(Refusal, Unavailable):
                await self._client.ask(self._form.cancel(id=ticket.id), caller=caller, budget_ms=CANCEL_MS)

    def _unavailable(self, error: Unavailable) -> Problem:
        problem = of_unavailable(error, self.route.actor)
        problem.close = True  # the rest of the body is not read
        return problem
