"""Telling people: into the inbox at once, by mail and text message when they want it and not more often than they can
bear.

The first letter about a thing goes at once; what follows within `TOGETHER_MS` goes together as one when that time is
over, and so on. Quiet hours move the time, and the digest that of mails; until it has come, what happens goes into the
same letter. Text messages are letters like mails, in threads of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Literal, get_args

import msgspec

from actors.contracts.notify import NotificationKind, SendMail, SendMails
from actors.contracts.notify_preferences import Channel, Channels, EventName, Preferences
from actors.contracts.notify_text import SendText
from actors.notify_hours import after_quiet, next_digest
from actors.records.letter import ItemRow, Key, LetterRecords, LetterRow, ThreadRow
from actors.records.news import News
from actors.records.notify import NotificationRow, NotifyRecords
from actors.records.preference import Reader
from runtime.context import Context

TOGETHER_MS: Final = 60_000

MAILS: Final = 50
"""That go one after the other, as one message."""

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


class _Item(msgspec.Struct, frozen=True):
    """What goes into a letter. :ivar thread: the letter's."""

    row: NotificationRow
    reader: Reader
    way: Written
    thread: str
    ctx: Context[NotifyRecords]

    @property
    def preferences(self) -> Preferences:
        return self.reader.preferences or DEFAULTS

    @property
    def key(self) -> Key:
        return self.row.user_id, self.thread

    def in_letter(self, letter_id: str) -> ItemRow:
        row = self.row
        return ItemRow(
            id=row.id,
            letter_id=letter_id,
            kind=row.kind,
            about=row.about,
            body=row.body,
            actor_id=row.actor_id,
            created_at=row.created_at,
        )


def tell(news: News, ctx: Context[NotifyRecords], records: NotifyRecords | None = None) -> None:
    """Tell each of them but the one who did it, once, by the ways that they chose.

    :param records: those of the last transaction, where the handler works outside of one.
    """
    (records or ctx.records).news.append((news, ctx))


async def write_news(records: NotifyRecords) -> None:
    """Write what people are told in this transaction: into inboxes, and into letters."""
    told, records.news = records.news, []
    if not (ids := sorted({id for news, _ in told for id in news.told})):
        return
    known = await records.preferences.readers(ids)
    rows: list[NotificationRow] = []
    items: list[_Item] = []
    for news, ctx in told:
        for id in news.told:
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
                items.append(_Item(row, reader, "email", _thread(row, reader, "email"), ctx))
            if "sms" in ways:
                text = msgspec.structs.replace(row, id=ctx.new_id())
                items.append(_Item(text, reader, "sms", _thread(text, reader, "sms"), ctx))
    await records.add(rows)
    if items:
        await _write_letters(items, records.letters)


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


def send(letters: Sequence[tuple[str, str, Context[NotifyRecords]]]) -> None:
    """Send letters on their way, mails together.

    :param letters: of each its id, its thread, and who says so.
    """
    mails = [(id, ctx) for id, thread, ctx in letters if not thread.startswith(_TEXTS)]
    for id, thread, ctx in letters:
        if thread.startswith(_TEXTS):
            ctx.tell(SendText(letter_id=id))
    for some in (mails[at : at + MAILS] for at in range(0, len(mails), MAILS)):
        (first, teller), *others = some
        if not others:
            teller.tell(SendMail(notification_id=first))
            continue
        teller.tell(SendMails(letter_ids=[id for id, _ in some]))
        for id, ctx in others:
            if ctx is not teller:
                ctx.note(f"letter {id} goes with letter {first}")


def _thread(row: NotificationRow, reader: Reader, way: Written) -> str:
    if way == "email" and (reader.preferences or DEFAULTS).digest == "daily" and row.kind not in ALWAYS_TOLD:
        return DIGEST
    return f"{_TEXTS if way == 'sms' else ''}{row.subject_type}:{row.subject_id}"


async def _write_letters(items: Sequence[_Item], letters: LetterRecords) -> None:
    """Put each into a letter: one that waits, or a new one, which goes at once when it is the first for a while."""
    begun = await letters.threads({item.key for item in items})
    waiting = {thread.open_id for thread in begun.values() if thread.open_id is not None}
    still_open = await letters.open(waiting) if waiting else set()
    threads, last = dict(begun), dict[Key, LetterRow]()
    made, rows, going = [], [], []
    for item in items:
        thread = threads.get(item.key) or ThreadRow(item.row.id, 0, None)
        if thread.open_id in still_open:
            rows.append(item.in_letter(thread.open_id))
            continue
        letter = _letter(item, thread)
        made.append(letter)
        rows.append(item.in_letter(letter.id))
        last[item.key] = letter
        threads[item.key] = ThreadRow(letter.root_id, letter.due_at, None if letter.told_at else letter.id)
        if letter.told_at is None:
            still_open.add(letter.id)
        else:
            going.append((letter.id, letter.thread, item.ctx))
    await letters.add(made, rows)
    await letters.begin_threads({key: threads[key] for key in last if key not in begun})
    if going_on := [letter.id for key, letter in last.items() if key in begun]:
        await letters.go_on(going_on)
    send(going)


def _letter(item: _Item, thread: ThreadRow) -> LetterRow:
    now = item.ctx.now
    if item.thread == DIGEST:
        due_at = next_digest(now, item.reader.timezone)
    else:
        due_at = max(now, thread.due_at + TOGETHER_MS)
    due_at = after_quiet(due_at, item.preferences.quiet_hours, item.reader.timezone)
    return LetterRow(
        id=item.row.id,
        user_id=item.row.user_id,
        thread=item.thread,
        root_id=thread.root_id,
        due_at=due_at,
        told_at=now if due_at <= now else None,
    )
