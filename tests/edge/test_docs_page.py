"""The page for people: all that the document says, escaped, without a script or anything from elsewhere."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from edge import openapi
from edge.docs_page import DocsPage
from edge.operations import Document
from edge.routes import ROUTES
from tests.edge.stand import edge_of

UNCLOSED = {"meta"}
HOSTILE = "</style></code></a>\"'><script>alert(1)</script><img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """What a browser would find. :ivar attributes: (element, attribute, value) of all elements."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.style = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in UNCLOSED:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["style"]:
            self.style += data
        else:
            self.text.append(data)

    def values(self, name: str) -> list[str]:
        return [value for _, each, value in self.attributes if each == name]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(openapi.document(ROUTES, server="http://edge.test"))
    return made


async def served(tmp_path: Path) -> tuple[aiohttp.ClientResponse, Page]:
    async with (
        edge_of(tmp_path) as (_, address),
        aiohttp.ClientSession() as session,
        session.get(f"{address}{DocsPage.path}") as answer,
    ):
        return answer, Page(await answer.text())


def rendered(document: dict[str, Any]) -> Page:
    page, _ = DocsPage(Document(lambda: json.dumps(document).encode())).render()
    return Page(page.decode())


async def test_a_browser_may_show_its_style_and_do_nothing_else(tmp_path: Path) -> None:
    answer, page = await served(tmp_path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    digest = b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert answer.headers["Content-Security-Policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert not page.elements & {"script", "link", "img", "iframe", "object", "form", "base"}
    assert not [name for _, name, _ in page.attributes if name in ("src", "style") or name.startswith("on")]
    assert {each for each in page.values("href") if not each.startswith("#")} == {Document.path}
    assert "url(" not in page.style
    assert "@import" not in page.style


async def test_every_call_and_type_is_on_it_and_every_link_leads_somewhere(
    tmp_path: Path, document: dict[str, Any]
) -> None:
    _, page = await served(tmp_path)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {each[1:] for each in page.values("href") if each.startswith("#")} <= set(ids)
    assert {each["operationId"] for item in document["paths"].values() for each in item.values()} <= set(ids)
    assert {f"type-{name}" for name in document["components"]["schemas"]} <= set(ids)
    text = " ".join(page.text)
    for route in ROUTES:
        assert route.path in text
    assert "tasks:read" in text
    assert "1 to 500 characters on one line" in text


def test_what_the_document_says_is_never_markup(document: dict[str, Any]) -> None:
    def infected(value: Any) -> Any:
        """Hostile text at the end of all that is written for people, and in the names of fields."""
        if isinstance(value, dict):
            return {
                f"{name}{HOSTILE}" if name in ("project_id", "Location") else name: (
                    f"{each}{HOSTILE}"
                    if name in ("description", "summary", "title", "url") and isinstance(each, str)
                    else [*each, HOSTILE]
                    if name == "enum"
                    else infected(each)
                )
                for name, each in value.items()
            }
        return [infected(each) for each in value] if isinstance(value, list) else value

    clean, page = rendered(document), rendered(infected(document))
    assert page.elements == clean.elements
    assert {name for _, name, _ in page.attributes} == {name for _, name, _ in clean.attributes}
    assert page.style == clean.style
    assert "".join(page.text).count("alert(1)") > 100
