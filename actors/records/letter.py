"""Letters: mails and text messages in the making, as the notify actor reads and writes them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from actors.contracts.notify import NotificationKind
from runtime.ports import Duplicate, Raced, Session


class LetterRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `letter`; times are ms since the epoch.

    :ivar thread: what it is about: `task:<id>`, `digest` …; `sms:task:<id>` as a text message.
    :ivar root_id: the first letter of this thread to this person: the others belong under it.
    :ivar told_at: since when it is on its way.
    """

    id: str
    user_id: str
    thread: str
    root_id: str
    due_at: int
    told_at: int | None


class ItemRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `letter_item`: a piece of news. :ivar about: as in a notification."""

    id: str
    letter_id: str
    kind: NotificationKind
    about: str
    body: str
    actor_id: str | None
    created_at: int


Item = tuple[ItemRow, str | None]
"""An item, and the present name of the one who caused it."""


class ThreadRow(msgspec.Struct, frozen=True):
    """The state of a thread to one person.

    :ivar due_at: when the last letter went, or will go.
    :ivar open_id: a letter that may still take items in.
    """

    root_id: str
    due_at: int
    open_id: str | None


Key = tuple[str, str]
"""Of a thread: the id of its person, and its name."""

_LETTER = LetterRow.__struct_fields__
_ITEM = ItemRow.__struct_fields__


class LetterRecords:
    """The tables `letter`, `letter_item` and `letter_thread`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def threads(self, keys: Collection[Key]) -> dict[Key, ThreadRow]:
        """The state of those among these threads that have begun; nobody else gets at them until this transaction
        ends."""
        rows = await self._session.fetch(
            "update letter_thread set due_at = due_at where user_id = any($1) and thread = any($2)"
            " returning user_id, thread, root_id, due_at, open_id",
            sorted({user_id for user_id, _ in keys}),
            sorted({thread for _, thread in keys}),
        )
        begun = ((row["user_id"], row["thread"], row["root_id"], row["due_at"], row["open_id"]) for row in rows)
        return {(user_id, thread): ThreadRow(*state) for user_id, thread, *state in begun if (user_id, thread) in keys}

    async def open(self, ids: Collection[str]) -> set[str]:
        """Those letters that still take items in, until this transaction ends."""
        rows = await self._session.fetch(
            "update letter set closed_at = null where id = any($1) and closed_at is null returning id", sorted(ids)
        )
        return {row["id"] for row in rows}

    async def add(self, letters: Sequence[LetterRow], items: Sequence[ItemRow]) -> None:
        """Letters, and items of these or others."""
        await self._session.insert("letter", _LETTER, [msgspec.structs.astuple(letter) for letter in letters])
        await self._session.insert("letter_item", _ITEM, [msgspec.structs.astuple(item) for item in items])

    async def begin_threads(self, threads: Mapping[Key, ThreadRow]) -> None:
        """:raises Raced: another transaction has just begun one of them."""
        rows = [(*key, *msgspec.structs.astuple(threads[key])) for key in sorted(threads)]
        try:
            await self._session.insert("letter_thread", ("user_id", "thread", *ThreadRow.__struct_fields__), rows)
        except Duplicate:
            raise Raced from None

    async def go_on(self, letter_ids: Collection[str]) -> None:
        """These are the last letters of their threads now."""
        await self._session.execute(
            "update letter_thread set due_at = l.due_at, open_id = case when l.told_at is null then l.id end"
            " from letter l where l.id = any($1)"
            " and letter_thread.user_id = l.user_id and letter_thread.thread = l.thread",
            sorted(letter_ids),
        )

    async def due(self, now: int, limit: int) -> list[tuple[str, str]]:
        """Take the letters that should go by now, each with its thread: each is given out once."""
        rows = await self._session.fetch(
            "update letter set told_at = $1 where id in"
            " (select id from letter where told_at is null and due_at <= $1 order by due_at limit $2)"
            " and told_at is null returning id, thread",
            now,
            limit,
        )
        return [(row["id"], row["thread"]) for row in rows]

    async def close(self, ids: Sequence[str], now: int) -> list[LetterRow]:
        """Those letters, as far as there are any; they take nothing in any more."""
        rows = await self._session.fetch(
            f"update letter set closed_at = coalesce(closed_at, $2) where id = any($1) returning {', '.join(_LETTER)}",  # noqa: S608 # names from code
            ids,
            now,
        )
        return [LetterRow(**row) for row in rows]

    async def items(self, letter_ids: Sequence[str]) -> Mapping[str, Sequence[Item]]:
        """What is in each letter, oldest first."""
        rows = await self._session.fetch(
            f"select {', '.join(f'i.{column}' for column in _ITEM)}, a.name as actor_name"  # noqa: S608 # names from code
            " from letter_item i left join person a on a.id = i.actor_id where i.letter_id = any($1) order by i.id",
            letter_ids,
        )
        found = defaultdict[str, list[Item]](list)
        for row in rows:
            found[row["letter_id"]].append(_item(row))
        return found

    async def forget(self, before: int) -> None:
        """Delete letters that went before that, and threads that none was added to since."""
        await self._session.execute(
            "delete from letter_item where letter_id in (select id from letter where told_at < $1)", before
        )
        await self._session.execute("delete from letter where told_at < $1", before)
        await self._session.execute("delete from letter_thread where due_at < $1", before)

    async def forget_person(self, user_id: str) -> None:
        await self._session.execute(
            "delete from letter_item where letter_id in (select id from letter where user_id = $1)", user_id
        )
        await self._session.execute("delete from letter where user_id = $1", user_id)
        await self._session.execute("delete from letter_thread where user_id = $1", user_id)


def _item(row: Mapping[str, Any]) -> Item:
    *columns, actor_name = row.values()
    return ItemRow(**dict(zip(_ITEM, columns, strict=True))), actor_name
