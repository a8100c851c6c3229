"""Issues of a repository on GitHub, as its archives hold them: `{repo, labels: […], issues: […], pulls: […]}`.

An issue is a task, OPEN `todo` and CLOSED `done`; pull requests are ignored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from actors.contracts.task_import import ImportFault
from actors.imports.cleaning import Time, hex_color, known_by, moment, one_line, plain_text, text_in
from actors.imports.item import Found, ImportedComment, ImportedLabel, ImportedTask, Pieces
from actors.imports.json_elements import Element, elements, made_of

GHOST: Final = "ghost"
"""What GitHub calls whoever has deleted their account."""


class _Label(msgspec.Struct, frozen=True):
    name: str
    color: str | None = None


class _Comment(msgspec.Struct, frozen=True, rename="camel"):
    created_at: Time
    updated_at: Time | None = None
    author: str | None = None
    body: str | None = None


class _Issue(msgspec.Struct, frozen=True, rename="camel"):
    number: Annotated[int, Meta(ge=1, le=1_000_000_000)]
    title: str
    state: Literal["OPEN", "CLOSED"]
    created_at: Time
    updated_at: Time | None = None
    closed_at: Time | None = None
    id: str | None = None
    body: str | None = None
    labels: Annotated[list[str], Meta(max_length=1000)] = []
    comments: list[_Comment] = []


def title(head: bytes) -> str | None:
    """The repository: `owner/name`."""
    return text_in(head, "repo", 200)


async def read(pieces: Pieces, mapping: Mapping[str, str] | None = None) -> AsyncIterator[Found]:
    """:param mapping: not heeded: an archive's names are known. :raises Unreadable: no such archive."""
    repository, colors = "", dict[str, str | None]()
    async for element in elements(pieces(), {"repo", "labels", "issues"}, required="issues"):
        if element.name == "issues":
            yield _read(element, repository, colors)
        elif element.name == "repo":
            repository = str(element.value)
        else:
            colors |= _colors(element)


def _colors(element: Element) -> Mapping[str, str | None]:
    try:
        label = msgspec.convert(element.value, _Label)
    except msgspec.ValidationError:
        return {}  # a color more or less
    return {label.name: hex_color(label.color)}


def _read(element: Element, repository: str, colors: Mapping[str, str | None]) -> ImportedTask | ImportFault:
    """The task, or what keeps the issue from being one."""

    def make(value: Any) -> ImportedTask:
        issue = msgspec.convert(value, _Issue)
        return msgspec.structs.replace(_task(issue, repository, colors), line=element.line)

    return made_of(element, "issue", make, called="number", of=int)


def _task(issue: _Issue, repository: str, colors: Mapping[str, str | None]) -> ImportedTask:
    created_at = moment(issue.created_at)
    updated_at = moment(issue.updated_at or issue.created_at)
    completed_at = None if issue.state == "OPEN" else updated_at if issue.closed_at is None else moment(issue.closed_at)
    labels = {one_line(name, 100): colors.get(name) for name in issue.labels}
    return ImportedTask(
        source=known_by("github", issue.id) if issue.id else known_by("github", repository, issue.number),
        number=issue.number,
        title=one_line(issue.title, 500) or f"#{issue.number}",
        description=plain_text(issue.body or ""),
        status="todo" if issue.state == "OPEN" else "done",
        labels=[ImportedLabel(name, color) for name, color in labels.items() if name],
        created_at=created_at,
        updated_at=updated_at,
        completed_at=completed_at,
        comments=_comments(issue.comments),
    )


def _comments(comments: list[_Comment]) -> list[ImportedComment]:
    """Those that say something. They have no ids: author and time tell them apart, else their order."""
    same: Counter[tuple[str | None, int]] = Counter()
    found = []
    for each in comments:
        created_at = moment(each.created_at)
        same[each.author, created_at] += 1
        if body := plain_text(each.body or ""):
            found.append(
                ImportedComment(
                    source=known_by(each.author, created_at, same[each.author, created_at]),
                    author=one_line(each.author or "", 200) or GHOST,
                    body=body,
                    created_at=created_at,
                    updated_at=moment(each.updated_at or each.created_at),
                )
            )
    return found
