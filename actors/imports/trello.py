"""A board as Trello exports it (JSON): cards are tasks, in the order of the board.

Lists become a status by their name; checklist items are subtasks, attachments links in the description, comments are
read from the board's actions. Whatever is archived, or marked complete, is `done`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from actors.contracts.task import TaskStatus
from actors.contracts.task_import import ImportFault
from actors.imports.cleaning import (
    Time,
    broken,
    known_by,
    moment,
    one_line,
    plain_text,
    said_by,
    sorted_as,
    text_in,
    titled,
    when,
)
from actors.imports.item import (
    Found,
    ImportedComment,
    ImportedComments,
    ImportedLabel,
    ImportedProject,
    ImportedTask,
    Person,
    Pieces,
    Remark,
)
from actors.imports.json_elements import Element, elements, made_of
from actors.imports.states import check_states, state_of

_Id = Annotated[str, Meta(min_length=1, max_length=100)]

COLORS: Final[Mapping[str, str]] = {
    "green": "#4bce97", "yellow": "#e2b203", "orange": "#faa53d", "red": "#f87462", "purple": "#9f8fef",
    "blue": "#579dff", "sky": "#60c6d2", "lime": "#94c748", "pink": "#e774bb", "black": "#8590a2",
}  # fmt: skip
"""Of labels; of darker and lighter ones too."""

SAID: Final = {"commentCard", "copyCommentCard"}
"""Kinds of actions that are comments."""

_OBJECT_ID = re.compile(r"[0-9a-f]{24}", re.ASCII)
_ADDRESS = re.compile(r"https?://[^\s<>()]+", re.ASCII)


class _List(msgspec.Struct, frozen=True):
    id: _Id
    name: str = ""
    closed: bool = False


class _Member(msgspec.Struct, frozen=True, rename="camel"):
    id: str = ""
    full_name: str | None = None
    username: str | None = None


class _Label(msgspec.Struct, frozen=True):
    name: str = ""
    color: str | None = None


class _Attachment(msgspec.Struct, frozen=True):
    url: str = ""
    name: str | None = None


class _Card(msgspec.Struct, frozen=True, rename="camel"):
    id: _Id
    name: str
    desc: str = ""
    id_list: str = ""
    id_short: Annotated[int, Meta(ge=1, le=1_000_000_000)] | None = None
    closed: bool = False
    due: Time | None = None
    due_complete: bool = False
    due_reminder: float | None = None
    start: Time | None = None
    date_last_activity: Time | None = None
    date_completed: Time | None = None
    date_closed: Time | None = None
    pos: float | None = None
    id_members: Annotated[list[str], Meta(max_length=1000)] = []
    labels: Annotated[list[_Label], Meta(max_length=1000)] = []
    attachments: Annotated[list[_Attachment], Meta(max_length=1000)] = []


class _Item(msgspec.Struct, frozen=True, rename="camel"):
    id: _Id
    name: str
    state: str = "incomplete"
    due: Time | None = None
    id_member: str | None = None
    pos: float | None = None


class _Checklist(msgspec.Struct, frozen=True, rename="camel"):
    id_card: _Id
    name: str = ""
    pos: float | None = None
    check_items: list[Any] = []


class _Of(msgspec.Struct, frozen=True):
    id: _Id


class _Said(msgspec.Struct, frozen=True, rename="camel"):
    card: _Of
    text: str = ""
    date_last_edited: Time | None = None


class _Action(msgspec.Struct, frozen=True, rename="camel"):
    id: _Id
    date: Time
    data: _Said
    member_creator: _Member | None = None


class _Board(msgspec.Struct):
    """What cards and their items refer to.

    :ivar lists: id → list. :ivar members: id → who that may be here. :ivar places: card → where it stands.
    """

    lists: dict[str, _List] = {}
    members: dict[str, Person] = {}
    labels: list[ImportedLabel] = []
    places: dict[str, str] = {}
    description: str = ""


def title(head: bytes) -> str | None:
    """The board's name."""
    return text_in(head, "name", 200)


async def read(pieces: Pieces, mapping: Mapping[str, str]) -> AsyncIterator[Found]:
    """:param mapping: list → status. :raises Unreadable: no such export, or a mapping to what is no status."""
    check_states(mapping)
    board = await _board(pieces)
    known = {each.name for each in board.lists.values()}
    for name in mapping:
        if name not in known:
            yield Remark(ImportFault(line=1, detail=f"there is no list {name[:100]!r}, which the mapping names"))
    yield ImportedProject(description=board.description, labels=board.labels)
    # actions, cards and checklists come in any order: each is read when what it belongs to has been
    async for element in elements(pieces(), {"cards"}, required="cards"):
        yield _read(element, "card", lambda value: _card(msgspec.convert(value, _Card), board, mapping))
    async for element in elements(pieces(), {"checklists"}):
        for found in _checklist(element, board):
            yield found
    async for element in elements(pieces(), {"actions"}):
        if isinstance(element.value, dict) and element.value.get("type") in SAID:
            said = _read(element, "comment", _comment)
            if not isinstance(said, ImportFault):
                yield said
            else:  # no task is lost by it
                yield Remark(said)


async def _board(pieces: Pieces) -> _Board:
    """What cannot be read of it is missed by cards alone."""
    board = _Board()
    async for element in elements(pieces(), {"lists", "members", "labels", "desc"}):
        try:
            if element.name == "lists":
                found = msgspec.convert(element.value, _List)
                board.lists[found.id] = found
            elif element.name == "members":
                member = msgspec.convert(element.value, _Member)
                board.members[member.id] = _names(member)
            elif element.name == "labels":
                board.labels += _labels([msgspec.convert(element.value, _Label)])
            elif isinstance(element.value, str):
                board.description = plain_text(element.value)
        except msgspec.ValidationError:
            continue
    return board


def _read(element: Element, kind: str, make: Callable[[Any], ImportedTask | ImportedComments]) -> Found:
    """What an element becomes, or what keeps it from being that."""
    return made_of(
        element, kind, lambda value: msgspec.structs.replace(make(value), line=element.line), called="name", of=str
    )


def _card(card: _Card, board: _Board, mapping: Mapping[str, str]) -> ImportedTask:
    named, description = titled(card.name, card.desc, f"#{card.id_short or card.id}")
    list_ = board.lists.get(card.id_list, _List(id="-"))
    status = state_of(list_.name, mapping)
    if card.closed or card.due_complete or list_.closed:
        status = "done"
    due_at, created_at, updated_at = when(card.due), _made(card.id), when(card.date_last_activity)
    place = board.places[card.id] = sorted_as(card.pos)
    remind_at = []
    if due_at is not None and card.due_reminder is not None and 0 <= card.due_reminder <= 1e6:
        remind_at = [max(0, due_at - round(card.due_reminder) * 60_000)]
    return ImportedTask(
        source=known_by("trello", card.id),
        number=card.id_short,
        title=named,
        description=_with_links(description, card.attachments),
        status=status,
        labels=_labels(card.labels),
        assignees=[board.members[id] for id in card.id_members if id in board.members],
        start_at=when(card.start),
        due_at=due_at,
        remind_at=remind_at,
        position=place,
        created_at=updated_at if created_at is None else created_at,
        updated_at=updated_at,
        completed_at=_completed(status, [card.date_completed, card.date_closed, card.date_last_activity]),
    )


def _checklist(element: Element, board: _Board) -> Sequence[Found]:
    """Its items, below its card."""
    try:
        checklist = msgspec.convert(element.value, _Checklist)
    except msgspec.ValidationError as error:
        return [Remark(broken(element.line, "a checklist", error))]
    found: list[Found] = []
    for value in checklist.check_items:
        one = Element(element.name, element.line, value)
        found.append(_read(one, "checklist item", lambda value: _item(msgspec.convert(value, _Item), checklist, board)))
    return found


def _item(item: _Item, checklist: _Checklist, board: _Board) -> ImportedTask:
    name = plain_text(checklist.name)
    named, description = titled(item.name, "" if name == "Checklist" else name, "#")
    created_at = _made(item.id)
    status: TaskStatus = "done" if item.state == "complete" else "todo"
    return ImportedTask(
        source=known_by("trello", item.id),
        title=named,
        description=description,
        status=status,
        assignees=[board.members[item.id_member]] if item.id_member in board.members else [],
        due_at=when(item.due),
        parent=known_by("trello", checklist.id_card),
        position=board.places.get(checklist.id_card, "") + sorted_as(checklist.pos, item.pos),
        created_at=created_at,
        completed_at=created_at if status == "done" else None,
    )


def _comment(value: Any) -> ImportedComments:
    action = msgspec.convert(value, _Action)
    made, body = moment(action.date), plain_text(action.data.text)
    edited = action.data.date_last_edited
    comment = ImportedComment(
        source=known_by("trello", action.id),
        author=said_by(next(iter(_names(action.member_creator)), "")),
        body=body,
        created_at=made,
        updated_at=made if edited is None else max(made, moment(edited)),
    )
    return ImportedComments(of=known_by("trello", action.data.card.id), line=1, comments=[comment] if body else [])


def _names(member: _Member | None) -> Person:
    return () if member is None else tuple(name for name in (member.full_name, member.username) if name)


def _labels(labels: Sequence[_Label]) -> list[ImportedLabel]:
    """By name; one without is called after its color."""
    found = {}
    for label in labels:
        color = (label.color or "").partition("_")[0]
        if name := one_line(label.name or color, 100).strip():
            found[name] = ImportedLabel(name, COLORS.get(color))
    return list(found.values())


def _with_links(description: str, attachments: Sequence[_Attachment]) -> str:
    """What is attached stays where it is; the description leads there."""
    links = []
    for each in attachments:
        name = one_line(each.name or each.url, 300).translate({ord(bracket): None for bracket in "[]"})
        links.append(f"- [{name}]({each.url})" if _ADDRESS.fullmatch(each.url) else f"- {name}")
    if not links:
        return description
    return plain_text("\n".join([*([description, ""] if description else []), *links]))


def _made(id: str) -> int | None:
    """When something came to be: the ids of Trello begin with the seconds since the epoch."""
    return int(id[:8], 16) * 1000 if _OBJECT_ID.fullmatch(id) else None


def _completed(status: TaskStatus, times: Sequence[datetime | None]) -> int | None:
    known = [each for each in times if each is not None]
    return moment(known[0]) if status == "done" and known else None
