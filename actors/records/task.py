"""Tasks, their activity, and who is assigned to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, Literal

from actors.contracts.media import Attachments
from actors.records.activity import ActivityRecords
from actors.records.audience import AudienceRecords
from actors.records.board import BoardRecords
from actors.records.comment import CommentRecords
from actors.records.feed import FeedRecords
from actors.records.imports import ImportRecords
from actors.records.label import LabelRecords
from actors.records.parameters import pairs
from actors.records.project import ProjectRecords
from actors.records.relation import RelationRecords
from actors.records.reminder import ReminderRecords
from actors.records.task_row import COLUMNS, NUMBERS, OWN, SEEN, Seen, TaskRow, ids, seen_of, words_of
from runtime.ports import Session, Value

# what every task begins with is the column's default: a new row does not carry it to the database
_AS_EVER = {"watcher_count", "relations", "comment_count", "attachment_count", "deleted_at", "deleted_with", "version"}
_NEW = tuple(column for column in COLUMNS if column not in _AS_EVER)
_new_values = attrgetter(*_NEW)
Link = Literal["assignee_ids", "label_ids"]
_LINKS: Final[Mapping[Link, tuple[str, str]]] = {
    "assignee_ids": ("assignee", "user_id"),
    "label_ids": ("task_label", "label_id"),
}
"""Column that lists ids as text → the table that links them, and its column."""


class TaskRecords:
    """The task actor's store.

    :ivar projects: projects, members, people and boards.
    :ivar labels: labels of projects.
    :ivar comments: comments on tasks.
    :ivar reminders: the times of tasks that are yet to come.
    :ivar imports: imports, and what came with them.
    :ivar audience: whom tasks concern.
    :ivar activity: their history.
    :ivar relations: how they stand to each other.
    :ivar boards: where they stand on the boards of projects.
    :ivar feed: all that happened, in order.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.projects = ProjectRecords(session)
        self.labels = LabelRecords(session)
        self.comments = CommentRecords(session)
        self.reminders = ReminderRecords(session)
        self.imports = ImportRecords(session)
        self.audience = AudienceRecords(session)
        self.activity = ActivityRecords(session)
        self.relations = RelationRecords(session)
        self.boards = BoardRecords(session)
        self.feed = FeedRecords(session)

    async def seen(self, wanted: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], Seen]:
        """The tasks of (task, user), where the user may see the task; one statement."""
        places, arguments = pairs(wanted)
        sql = (
            f"with wanted (task_id, user_id) as (values {places})"  # noqa: S608 # constants and numbers of parameters
            f" select w.user_id as reader, {SEEN} from wanted w join task t on t.id = w.task_id"
            " join member m on m.project_id = t.project_id and m.user_id = w.user_id"
            " left join watcher v on v.task_id = t.id and v.user_id = w.user_id"
        )
        found = {}
        for row in await self.session.fetch(sql, *arguments):
            reader, *values = row.values()
            found[values[2], reader] = seen_of(values)
        return found

    async def rows(self, ids: Sequence[str]) -> list[TaskRow]:
        """Tasks, whoever may see them, also from the trash."""
        sql = f"select {', '.join(COLUMNS)} from task where id = any($1) order by position, id"  # noqa: S608 # constants
        return [TaskRow(*row.values()) for row in await self.session.fetch(sql, ids)]

    async def tree(self, id: str) -> list[TaskRow]:
        """A task and all below it, also from the trash, as they stand on the board; itself the first."""
        rows = await self.session.fetch(
            "with recursive tree (id) as (select id from task where id = $1"  # noqa: S608 # constants
            " union select t.id from task t join tree on t.parent_id = tree.id)"
            f" select {', '.join(COLUMNS)} from task where id in (select id from tree)"
            " order by case when id = $1 then 0 else 1 end, position, id",
            id,
        )
        return [TaskRow(*row.values()) for row in rows]

    async def add(self, tasks: Sequence[TaskRow]) -> None:
        """New tasks, all in one statement; their assignees and labels in one each, where there are any."""
        rows = [(*_new_values(task), words_of(task)) for task in tasks]
        await self.session.insert("task", (*_NEW, "words"), rows)
        await self._add_links(
            "assignee", "user_id", [(task.id, each) for task in tasks for each in ids(task.assignee_ids)]
        )
        await self._add_links(
            "task_label", "label_id", [(task.id, each) for task in tasks for each in ids(task.label_ids)]
        )

    async def change(self, changes: Sequence[tuple[TaskRow, TaskRow]]) -> set[str]:
        """Replace rows of tasks, in one statement and a few for what they link to.

        :param changes: how each was when it was read, and is to be.
        :returns: the ids of those that were; someone else has changed the others since they were read.
        """
        columns = [each for each in COLUMNS if any(getattr(was, each) != getattr(now, each) for was, now in changes)]
        if "title" in columns or "description" in columns:
            columns.append("words")
        rows, arguments = [], list[Value]()
        for was, now in changes:
            values = [
                was.id,
                was.version,
                *(words_of(now) if each == "words" else getattr(now, each) for each in columns),
            ]
            places = range(len(arguments) + 1, len(arguments) + len(values) + 1)
            types = ("text", "bigint", *("bigint" if each in NUMBERS else "text" for each in columns))
            rows.append(", ".join(f"cast(${n} as {type})" for n, type in zip(places, types, strict=True)))
            arguments += values
        written = await self.session.fetch(
            f"with new (id, was, {', '.join(columns)}) as (values ({'), ('.join(rows)}))"  # noqa: S608 # constants and places
            f" update task set {', '.join(f'{each} = new.{each}' for each in columns)} from new"
            " where task.id = new.id and task.version = new.was returning task.id",
            *arguments,
        )
        done = {row["id"] for row in written}
        for link, (table, key) in _LINKS.items():
            changed = [now for was, now in changes if now.id in done and getattr(was, link) != getattr(now, link)]
            if changed:
                await self._replace_links(table, key, {now.id: ids(getattr(now, link)) for now in changed})
        return done

    async def place(self, positions: Mapping[str, str]) -> list[TaskRow]:
        """Give tasks other positions on their locked board; they, as they are now.

        :param positions: task → where it stands. It is part of what is shown, so of the version.
        """
        places, arguments = pairs(list(positions.items()))
        rows = await self.session.fetch(
            f"with new (id, place) as (values {places})"  # noqa: S608 # numbers of parameters
            " update task set position = new.place, version = version + 1 from new"
            f" where task.id = new.id returning {OWN}",
            *arguments,
        )
        return as_they_stand(rows)

    async def trash(self, roots: Sequence[str], now: int) -> list[TaskRow]:
        """Delete tasks and all below them that are not deleted yet; those, as they are now.

        What is below two of them goes with the first. Their projects are locked, so that nobody adds to the trees.
        """
        reached = await self.session.fetch(
            "with recursive tree (id, root) as (select id, id from task where id = any($1) and deleted_at is null"
            " union select t.id, tree.root from task t join tree on t.parent_id = tree.id where t.deleted_at is null)"
            " select id, root from tree",
            roots,
        )
        order = {root: n for n, root in reversed(list(enumerate(roots)))}
        with_root: dict[str, str] = {}
        for row in sorted(reached, key=lambda row: order[row["root"]]):
            with_root.setdefault(row["id"], row["root"])
        if not with_root:
            return []
        places, arguments = pairs(list(with_root.items()), first=2)
        rows = await self.session.fetch(
            f"with gone (id, root) as (values {places})"  # noqa: S608 # constants and numbers of parameters
            " update task set deleted_at = $1, deleted_with = gone.root, updated_at = $1, version = version + 1"
            f" from gone where task.id = gone.id and task.deleted_at is null returning {OWN}",
            now,
            *arguments,
        )
        # one after the other, each with what is below it
        return sorted(as_they_stand(rows), key=lambda task: (order[with_root[task.id]], task.id not in order))

    async def restore(self, task: TaskRow, now: int) -> list[TaskRow]:
        """Undelete a task, and those below it that were deleted with it; those, as they are now.

        What is below a task that is deleted, or gone, is below none any more.
        """
        rows = await self.session.fetch(
            "with recursive tree (id) as (select id from task where id = $1"  # noqa: S608 # constants
            " union select t.id from task t join tree on t.parent_id = tree.id where t.deleted_with = $2)"
            " update task set deleted_at = null, deleted_with = null, updated_at = $3, version = version + 1,"
            " parent_id = case when id <> $1 or exists"
            " (select 1 from task p where p.id = task.parent_id and p.deleted_at is null) then parent_id end"
            f" where id in (select id from tree) returning {', '.join(COLUMNS)}",
            task.id,
            task.deleted_with,
            now,
        )
        return sorted(as_they_stand(rows), key=lambda each: each.id != task.id)

    async def erase(self, project_id: str, limit: int) -> list[str]:
        """Delete some of a project's tasks for good; their ids."""
        rows = await self.session.fetch(
            "delete from task where id in (select id from task where project_id = $1 limit $2) returning id",
            project_id,
            limit,
        )
        return [row["id"] for row in rows]

    async def erase_trash(self, before: int, limit: int) -> list[str]:
        """Delete some of the tasks for good that went to the trash before; their ids."""
        rows = await self.session.fetch(
            "delete from task where id in (select id from task where deleted_at < $1 limit $2) returning id",
            before,
            limit,
        )
        return [row["id"] for row in rows]

    async def unlink(self, link: Link, id: str, project_id: str, now: int) -> list[TaskRow]:
        """Take a person or a label off all tasks of a project; those that had it, as they are now.

        In a list as text an id goes with the comma before it, or after it, or alone.
        """
        table, key = _LINKS[link]
        taken = f"replace(replace(replace({link}, $4, ''), $5, ''), $6, '')"
        rows = await self.session.fetch(
            f"update task set {link} = {taken}, updated_at = $3, version = version + 1"  # noqa: S608 # constants
            f" where project_id = $2 and id in (select task_id from {table} where {key} = $1)"
            f" returning {', '.join(COLUMNS)}",
            id,
            project_id,
            now,
            f',"{id}"',
            f'"{id}",',
            f'"{id}"',
        )
        tasks = as_they_stand(rows)
        await self.session.execute(
            f"delete from {table} where {key} = $1 and task_id = any($2)",  # noqa: S608 # constants
            id,
            [task.id for task in tasks],
        )
        return tasks

    async def count_comments(self, id: str, change: int) -> TaskRow | None:
        """A task has so many comments more, as it is now; None when it is in the trash. Its row is then locked."""
        row = await self.session.row(
            "update task set comment_count = comment_count + $2, version = version + 1"  # noqa: S608 # constants
            f" where id = $1 and deleted_at is null returning {', '.join(COLUMNS)}",
            id,
            change,
        )
        return TaskRow(*row.values()) if row else None

    async def count_first_comments(self, ids: Sequence[str]) -> None:
        """Say of new tasks, which nobody else can see yet, how many comments they came with."""
        sql = (
            "update task set comment_count = (select count(*) from comment where task_id = task.id) where id = any($1)"
        )
        await self.session.execute(sql, ids)

    async def kept(self, wanted: Sequence[str]) -> Mapping[str, TaskRow]:
        """Those of these tasks that are not in the trash."""
        sql = f"select {', '.join(COLUMNS)} from task where id = any($1) and deleted_at is null"  # noqa: S608 # constants
        return {row["id"]: TaskRow(*row.values()) for row in await self.session.fetch(sql, wanted)}

    async def projects_of_tasks(self, wanted: Sequence[str]) -> Mapping[str, str]:
        """Task → its project; without those in the trash."""
        sql = "select id, project_id from task where id = any($1) and deleted_at is null"
        return {row["id"]: row["project_id"] for row in await self.session.fetch(sql, wanted)}

    async def keep_attachments(self, attachments: Attachments) -> TaskRow | None:
        """How many files a task has, as it is now; None when what is kept is newer, or the task is gone.

        It is part of what is shown, so of the version.
        """
        row = await self.session.row(
            "update task set attachment_count = $2, attachments_version = $3, version = version + 1"  # noqa: S608 # constants
            f" where id = $1 and attachments_version < $3 returning {', '.join(COLUMNS)}",
            attachments.task_id,
            attachments.files,
            attachments.version,
        )
        return TaskRow(*row.values()) if row else None

    async def above(self, ids: Collection[str]) -> Mapping[str, str | None]:
        """These tasks and all above them → what each is below."""
        rows = await self.session.fetch(
            "with recursive above (id, parent_id) as (select id, parent_id from task where id = any($1)"
            " union select t.id, t.parent_id from task t join above on t.id = above.parent_id)"
            " select id, parent_id from above",
            sorted(ids),
        )
        return {row["id"]: row["parent_id"] for row in rows}

    async def below(self, ids: Sequence[str]) -> set[str]:
        """These tasks, and all below them."""
        if not ids:
            return set()
        rows = await self.session.fetch(
            "with recursive tree (id) as (select id from task where id = any($1)"
            " union select t.id from task t join tree on t.parent_id = tree.id) select id from tree",
            ids,
        )
        return {row["id"] for row in rows}

    async def _add_links(self, table: str, column: str, links: Sequence[tuple[str, str]]) -> None:
        if links:
            await self.session.insert(table, ("task_id", column), links)

    async def _replace_links(self, table: str, column: str, links: Mapping[str, Sequence[str]]) -> None:
        """:param links: task → all that it has."""
        await self.session.execute(f"delete from {table} where task_id = any($1)", list(links))  # noqa: S608 # constants
        await self._add_links(
            table, column, [(task_id, each) for task_id, each_ids in links.items() for each in each_ids]
        )


def as_they_stand(rows: Sequence[Mapping[str, Any]]) -> list[TaskRow]:
    """What a statement has written, in the order of the board: `returning` has one of its own in each database."""
    return sorted((TaskRow(*row.values()) for row in rows), key=attrgetter("position", "id"))
