"""The page at `/docs`: the OpenAPI document for people, written out by us, so that nothing has to run in a browser."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode

import msgspec

from edge.answer import Answer
from edge.call import Call
from edge.operations import Document
from edge.templates import PAGES, template


class DocsPage:
    """The OpenAPI document as a page that needs no script and nothing from elsewhere."""

    path = "/docs"

    def __init__(self, document: Document) -> None:
        self._document = document
        self._made: tuple[bytes, str] | None = None

    async def answer(self, call: Call) -> Answer:
        if self._made is None:
            self._made = await asyncio.to_thread(self.render)  # it takes a tenth of a second
        page, policy = self._made
        answer = Answer(200, page, media_type="text/html; charset=utf-8", headers=(("Cache-Control", "no-cache"),))
        answer.policy = policy
        return answer

    def render(self) -> tuple[bytes, str]:
        """The page, and the policy that lets a browser show exactly its style and do nothing else."""
        style = (PAGES / "docs.css").read_text()
        digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
        page = template("docs.html").render(
            document=msgspec.json.decode(self._document.content), source=self._document.path, style=style
        )
        policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
        return page.encode(), policy
