"""Lists of tasks: filters, orders and pages as one statement, the same for both databases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from actors.contracts.task import ListTasks
from actors.contracts.values import milliseconds
from actors.records import words
from actors.records.task_row import SEEN, Seen, TaskRow, seen_of
from runtime.ports import Session, Value

LAST: Final = (1 << 53) - 1
"""In place of a missing time: later than any."""


class Order(msgspec.Struct, frozen=True):
    """One way to sort: by a column, then by id; missing values come last either way.

    :param column: of `task`.
    :param missing: what stands for a missing value; None where there is none.
    """

    column: str
    descending: bool
    missing: int | None = None

    @property
    def sql(self) -> str:
        plain = f"{{t}}.{self.column}"
        return plain if self.missing is None else f"coalesce({plain}, {self.missing})"

    @property
    def key_type(self) -> type[int] | type[str]:
        return str if self.column == "position" else int

    def key(self, task: TaskRow) -> int | str:
        """A task's place in this order."""
        value: int | str | None = getattr(task, self.column)
        if value is None:
            return self.missing or 0
        return value


def order(sort: str) -> Order:
    """From the parameter `sort`."""
    column = sort.lstrip("-")
    descending = sort.startswith("-")
    if column == "due_at":
        return Order(column, descending, -LAST if descending else LAST)
    return Order(column, descending)


class Conditions:
    """What `{t}`, a task, must meet; and the arguments of the whole statement."""

    def __init__(self, *args: Value | Sequence[Value]) -> None:
        self.args = list(args)
        self._parts: list[str] = []

    def copy(self) -> Conditions:
        """The same, to add others to."""
        copied = Conditions(*self.args)
        copied._parts = list(self._parts)
        return copied

    def argument(self, value: Value | Sequence[Value]) -> str:
        """Its place."""
        self.args.append(value)
        return f"${len(self.args)}"

    def add(self, text: str, *values: Value | Sequence[Value]) -> None:
        """:param text: with `{t}` for the task and `{0}` … for the values."""
        self._parts.append(text.format(*map(self.argument, values), t="{t}"))

    def of(self, alias: str) -> str:
        """All of them, for the task under that name."""
        return " and ".join(self._parts).format(t=alias)


async def page(session: Session, query: ListTasks, user_id: str, after: tuple[int | str, str] | None) -> list[Seen]:
    """The tasks that someone may see and that meet the query, up to one more than its limit."""
    search = None if query.q is None else words.parsed(query.q)
    if search is not None and not search:
        return []
    by = order(query.sort)
    conditions = _conditions(query, user_id)
    few = _few(query)
    if search is not None:
        rare = await words.with_rare_term(session, search)
        if rare is not None:
            few = True
            conditions.add("{t}.id = any({0})", rare)
        for pattern in words.patterns(search):
            conditions.add(words.HAS, pattern)
    if after is not None:
        conditions.add(f"({by.sql}, {{t}}.id) {'<' if by.descending else '>'} ({{0}}, {{1}})", *after)
    members = "m.user_id = $1"
    if query.project_id:
        members += f" and m.project_id = any({conditions.argument(query.project_id)})"
    if by.column == "created_at" and not query.deleted and not few:
        edge = await _edge(session, conditions, members, by, query.limit)
        if edge is not None:
            nearer = conditions.copy()
            nearer.add(f"{{t}}.created_at {'>=' if by.descending else '<='} {{0}}", edge)
            found = await _fetch(session, query, nearer, members, by, few=few)
            if len(found) > query.limit:  # else some of them went to the trash since
                return found
    return await _fetch(session, query, conditions, members, by, few=few)


async def _edge(session: Session, conditions: Conditions, members: str, by: Order, limit: int) -> int | None:
    """A time that more tasks than a page holds have not passed; None when there are not that many.

    Of each project the index `task_created` is read from its end, a page at most, however many tasks there are. The
    database is told the outcome as a number, which its planner can weigh, unlike a subquery.
    """
    nearest = f"select x.created_at from task x where x.project_id = m.project_id and {conditions.of('x')}"  # noqa: S608 # code and places
    nearest += " order by x.created_at desc, x.id desc" if by.descending else " order by x.created_at, x.id"
    ends = f"select ({nearest} limit 1) as first, ({nearest} limit 1 offset {limit}) as last from member m"  # noqa: S608 # likewise
    rows = await session.fetch(f"{ends} where {members}", *conditions.args)
    # one project alone has that many tasks, or that many projects have one
    firsts = sorted((row["first"] for row in rows if row["first"] is not None), reverse=by.descending)
    edges: list[int] = [row["last"] for row in rows if row["last"] is not None] + firsts[limit : limit + 1]
    if not edges:
        return None
    return max(edges) if by.descending else min(edges)


async def _fetch(
    session: Session, query: ListTasks, conditions: Conditions, members: str, by: Order, *, few: bool
) -> list[Seen]:
    direction = "desc" if by.descending else "asc"
    # SQLite, which knows nothing of how many rows there are, joins in the order of `cross join`
    tables = "task t cross join member m" if few else "member m cross join task t"
    sql = (
        f"select {SEEN} from {tables} left join watcher v on v.task_id = t.id and v.user_id = m.user_id"  # noqa: S608 # code and places
        f" where t.project_id = m.project_id and {members} and {conditions.of('t')}"
        f" order by {by.sql.format(t='t')} {direction}, t.id {direction} limit {query.limit + 1}"
    )
    return [seen_of(list(row.values())) for row in await session.fetch(sql, *conditions.args)]


def _conditions(query: ListTasks, user_id: str) -> Conditions:
    conditions = Conditions(user_id)
    conditions.add("{t}.deleted_at is not null" if query.deleted else "{t}.deleted_at is null")
    if query.status:
        conditions.add("{t}.status = any({0})", query.status)
    if query.priority:
        conditions.add("{t}.priority = any({0})", query.priority)
    if query.assignee_id:
        people = [user_id if each == "me" else each for each in query.assignee_id if each != "none"]
        assigned = "{t}.id in (select task_id from assignee where user_id = any({0}))"
        _any_of(conditions, assigned, people, "{t}.assignee_ids = '[]'", none="none" in query.assignee_id)
    if query.parent_id:
        parents = [each for each in query.parent_id if each != "none"]
        _any_of(
            conditions, "{t}.parent_id = any({0})", parents, "{t}.parent_id is null", none="none" in query.parent_id
        )
    if query.label_id:
        conditions.add("{t}.id in (select task_id from task_label where label_id = any({0}))", query.label_id)
    for time, comparison in (
        (query.due_before, "{t}.due_at < {0}"),
        (query.due_after, "{t}.due_at > {0}"),
        (query.created_after, "{t}.created_at > {0}"),
        (query.updated_after, "{t}.updated_at > {0}"),
    ):
        if time is not None:
            conditions.add(comparison, milliseconds(time))
    return conditions


def _any_of(conditions: Conditions, text: str, values: list[str], missing: str, *, none: bool) -> None:
    if not values:
        conditions.add(missing)
    elif none:
        conditions.add(f"({text} or {missing})", values)
    else:
        conditions.add(text, values)


def _few(query: ListTasks) -> bool:
    """Whether an index leads from the filters to the few tasks that meet them."""
    assigned = query.assignee_id and "none" not in query.assignee_id
    below = query.parent_id and "none" not in query.parent_id
    return bool(query.label_id or assigned or below)
