"""Telling people: into the inbox at once, by mail and text message when they want it and not more often than they can
bear.

The first letter about a thing goes at once; what follows within `TOGETHER_MS` goes together as one when that time is
over, and so on. Quiet hours move the time, and the digest that of mails; until it has come, what happens goes into the
same letter. Text messages are letters like mails, in threads of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final, Literal, get_args

import msgspec

from actors.contracts.notify import NotificationKind, SendMail, SubjectType
from actors.contracts.notify_preferences import Channel, Channels, EventName, Preferences
from actors.contracts.notify_text import SendText
from actors.notify_hours import after_quiet, next_digest
from actors.records.letter import ItemRow, LetterRow
from actors.records.notify import NotificationRow, NotifyRecords
from actors.records.preference import Reader
from runtime.context import Context

TOGETHER_MS: Final = 60_000

MAILED: Final[Collection[EventName]] = (
    "task_assigned", "task_due", "comment_added", "mentioned", "member_added", "password_changed", "new_network",
)  # fmt: skip
"""What is mailed unless someone chose otherwise; everything is in the inbox."""

ALWAYS_TOLD: Final[Mapping[NotificationKind, Collection[Channel]]] = {"webhook_disabled": ("in_app", "email")}
"""What nobody can choose not to be told."""

MAILED_BY_OTHERS: Final[Collection[NotificationKind]] = ("password_changed", "new_network")
"""What is mailed whatever someone chose, in a mail of its own (`SendNotice`)."""

DIGEST: Final = "digest"
_TEXTS: Final = "sms:"
"""What the names of threads of text messages begin with."""

Written = Literal["email", "sms"]
"""The ways that letters go."""

DEFAULTS: Final = Preferences(
    channels=Channels(email=True, sms=True, in_app=True),
    events={name: ["email", "in_app"] if name in MAILED else ["in_app"] for name in get_args(EventName)},
    quiet_hours=None,
    digest="off",
)


class News(msgspec.Struct, frozen=True, kw_only=True):
    """Something that people are told.

    :ivar about: title of the task, or name of what else it is about.
    :ivar body: what it says in a language.
    """

    kind: NotificationKind
    people: Iterable[str]
    actor_id: str | None
    subject: tuple[SubjectType, str]
    about: str
    body: Callable[[str], str] = lambda locale: ""


async def tell(news: News, ctx: Context[NotifyRecords], records: NotifyRecords | None = None) -> None:
    """Tell each of them but the one who did it, once, by the ways that they chose.

    :param records: those of the last transaction, where the handler works outside of one.
    """
    records = records or ctx.records
    ids = sorted({id for id in news.people if id != news.actor_id})
    if not ids:
        return
    known = await records.preferences.readers(ids)
    rows = []
    for id in ids:
        reader = known.get(id) or Reader(id=id, locale="en", timezone="UTC", preferences=None)
        row = NotificationRow(
            id=ctx.new_id(),
            user_id=id,
            kind=news.kind,
            about=news.about,
            body=news.body(reader.locale),
            subject_type=news.subject[0],
            subject_id=news.subject[1],
            actor_id=news.actor_id,
            created_at=ctx.now,
        )
        ways = ways_of(reader.preferences or DEFAULTS, news.kind)
        if "in_app" in ways:
            rows.append(row)
        if "email" in ways and news.kind not in MAILED_BY_OTHERS:
            await _write(row, reader, "email", ctx, records)
        if "sms" in ways:
            await _write(msgspec.structs.replace(row, id=ctx.new_id()), reader, "sms", ctx, records)
    await records.add(rows)


def ways_of(preferences: Preferences, kind: NotificationKind) -> Collection[Channel]:
    """By which ways someone with these is told of that."""
    if kind in ALWAYS_TOLD:
        return ALWAYS_TOLD[kind]
    return [
        way for name, ways in preferences.events.items() if name == kind for way in ways if _is_open(preferences, way)
    ]


def _is_open(preferences: Preferences, way: Channel) -> bool:
    is_open: bool = getattr(preferences.channels, way)
    return is_open


def send(letter_id: str, thread: str) -> SendMail | SendText:
    """What sends a letter."""
    return SendText(letter_id=letter_id) if thread.startswith(_TEXTS) else SendMail(notification_id=letter_id)


async def _write(
    row: NotificationRow, reader: Reader, way: Written, ctx: Context[NotifyRecords], records: NotifyRecords
) -> None:
    """Put it into a letter: one that waits, or a new one, which goes at once when it is the first for a while."""
    letters, preferences = records.letters, reader.preferences or DEFAULTS
    daily = way == "email" and preferences.digest == "daily" and row.kind not in ALWAYS_TOLD
    name = DIGEST if daily else f"{_TEXTS if way == 'sms' else ''}{row.subject_type}:{row.subject_id}"
    thread = await letters.thread(row.user_id, name, row.id)
    item = ItemRow(
        id=row.id,
        letter_id=thread.open_id or row.id,
        kind=row.kind,
        about=row.about,
        body=row.body,
        actor_id=row.actor_id,
        created_at=row.created_at,
    )
    if thread.open_id is not None and await letters.append(item):
        return
    if daily:
        due_at = next_digest(ctx.now, reader.timezone)
    else:
        due_at = max(ctx.now, thread.due_at + TOGETHER_MS)
    due_at = after_quiet(due_at, preferences.quiet_hours, reader.timezone)
    at_once = due_at <= ctx.now
    letter = LetterRow(
        id=row.id,
        user_id=row.user_id,
        thread=name,
        root_id=thread.root_id,
        due_at=due_at,
        told_at=ctx.now if at_once else None,
    )
    await letters.add(letter, msgspec.structs.replace(item, letter_id=row.id), open=not at_once)
    if at_once:
        ctx.tell(send(row.id, name))
