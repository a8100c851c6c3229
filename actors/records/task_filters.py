"""What a list of tasks asks for, as conditions in SQL, and which index leads to the tasks that meet one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from actors.contracts.task import ListTasks
from actors.contracts.values import milliseconds
from actors.records import words
from runtime.ports import Value

LAST: Final = (1 << 53) - 1
"""In place of a missing time: later than any."""

LISTED: Final = 10
"""Ids in a filter that are looked for one by one in what a task's row says of them."""

Values = Sequence[Value | Sequence[Value]]


class Filter(msgspec.Struct, frozen=True):
    """One condition on tasks.

    :param text: what the task `{t}` must meet, with `{0}` … for the values; no index has it as it stands here, so that
        the one that is read in order, or that leads to the tasks, is the only one in question.
    :param ordered: by column, what the index of a list ordered by that knows of it, besides; `{key}` is its key.
    :param indexed: the same as an index of each project has it.
    :param ids: a statement for the ids of the tasks that meet it.
    :param read_whole: the index behind `ids` gives none of them before it has read all; so the database is asked what
        it expects, before they are counted.
    """

    text: str
    values: Values = ()
    ordered: Mapping[str, str] = {}
    indexed: str | None = None
    ids: str | None = None
    read_whole: bool = False


class Conditions:
    """What `{t}`, a task, must meet; and the arguments of the whole statement."""

    def __init__(self, *args: Value | Sequence[Value]) -> None:
        self.args = list(args)
        self._parts: list[str] = []

    def argument(self, value: Value | Sequence[Value]) -> str:
        """Its place."""
        self.args.append(value)
        return f"${len(self.args)}"

    def placed(self, text: str, values: Values) -> str:
        """A text with places for those of the values that it names; `{t}` stays."""
        places: dict[str, str] = {}

        def place(match: re.Match[str]) -> str:
            number = match[1]
            if number not in places:
                places[number] = self.argument(values[int(number)])
            return places[number]

        return re.sub(r"\{(\d+)\}", place, text)

    def add(self, text: str, *values: Value | Sequence[Value]) -> None:
        """:param text: with `{t}` for the task and `{0}` … for the values."""
        self._parts.append(self.placed(text, values))

    def of(self, alias: str) -> str:
        """All of them, for the task under that name."""
        return " and ".join(self._parts).replace("{t}", alias)


def is_combined(query: ListTasks) -> bool:
    """Whether tasks must meet more than one thing: no index can promise to know these together."""
    one_by_one = (
        query.status, query.assignee_id, query.label_id, query.priority, query.parent_id, query.due_before,
        query.due_after, query.created_after, query.updated_after, query.q,
    )  # fmt: skip
    return sum(bool(each) for each in one_by_one) > 1


def filters(
    query: ListTasks, user_id: str, search: words.Search | None, dialect: Literal["postgresql", "sqlite"]
) -> list[Filter]:
    """Those of a query; the ones first that fewer tasks are likely to meet."""
    found = [] if search is None else _searched(search, dialect)
    if query.parent_id:
        found.append(_parents(query.parent_id))
    if query.label_id:
        text, values = _listed("label_ids", "task_label", "label_id", query.label_id)
        ids = f"select task_id as id from task_label where label_id = any({{{len(values)}}})"  # noqa: S608 # a number
        found.append(Filter(text, [*values, query.label_id], ids=ids))
    if query.assignee_id:
        found.append(_assignees(query.assignee_id, user_id))
    found += _times(query)
    if query.status:
        found.append(Filter("coalesce({t}.status, '') = any({0})", [query.status], indexed="{t}.status = any({0})"))
    if query.priority:
        found.append(
            Filter(
                "coalesce({t}.priority, 0) = any({0})",
                [query.priority, min(query.priority), max(query.priority)],
                ordered={"priority": "{key} between {1} and {2}"},
                indexed="{t}.priority = any({0})",
            )
        )
    return found


def _times(query: ListTasks) -> list[Filter]:
    found = []
    for time, column, sign, indexed in (
        (query.due_before, "due_at", "<", f"coalesce({{t}}.due_at, {LAST}) < {{0}}"),
        (query.due_after, "due_at", ">", f"coalesce({{t}}.due_at, {-LAST}) > {{0}}"),
        (query.created_after, "created_at", ">", "{t}.created_at > {0}"),
        (query.updated_after, "updated_at", ">", "{t}.updated_at > {0}"),
    ):
        if time is not None:
            text, ordered = f"{{t}}.{column} + 0 {sign} {{0}}", {column: f"{{key}} {sign} {{0}}"}
            if column == "due_at":  # missing ones may stand at that end
                ordered[column] += f" and {{key}} between {-LAST + 1} and {LAST - 1}"
            if column == "created_at":
                ordered["updated_at"] = "{key} > {0}"  # nothing changes before it is made
            if column == "updated_at":
                ordered["created_at"] = "{t}.updated_at > {0}"  # old tasks come first, and few of them have changed
            found.append(Filter(text, [milliseconds(time)], ordered, indexed))
    return found


def _searched(search: words.Search, dialect: Literal["postgresql", "sqlite"]) -> list[Filter]:
    whole = dialect == "postgresql"  # GIN gives a bitmap; FTS5 one task after the other
    rare = [Filter("", values, ids=sql, read_whole=whole) for sql, values in words.look_ups(search, dialect)]
    return [*rare, *(Filter(words.HAS, [pattern]) for pattern in words.patterns(search))]


def _parents(wanted: Sequence[str]) -> Filter:
    parents = [each for each in wanted if each != "none"]
    meets = "coalesce({t}.parent_id, '') = any({0})"
    if "none" not in wanted:
        return Filter(meets, [parents], ids="select id from task where parent_id = any({0})")
    if not parents:
        return Filter("{t}.parent_id is null")
    return Filter(f"({meets} or {{t}}.parent_id is null)", [parents])


def _assignees(wanted: Sequence[str], user_id: str) -> Filter:
    people = list(dict.fromkeys(user_id if each == "me" else each for each in wanted if each != "none"))
    if not people:
        return Filter("{t}.assignee_ids = '[]'")
    text, values = _listed("assignee_ids", "assignee", "user_id", people)
    if "none" in wanted:
        return Filter(f"({text} or {{t}}.assignee_ids = '[]')", values)
    ids = f"select task_id as id from assignee where user_id = any({{{len(values)}}})"  # noqa: S608 # a number
    return Filter(text, [*values, people], ids=ids)


def _listed(column: str, table: str, key: str, wanted: Sequence[str]) -> tuple[str, Values]:
    """That one of these ids is in a task's list: few are looked for in its row, which is at hand when it is read."""
    if len(wanted) > LISTED:
        return f"{{t}}.id in (select task_id from {table} where {key} = any({{0}}))", [wanted]  # noqa: S608 # names from code
    likes = " or ".join(f"{{t}}.{column} like {{{n}}}" for n in range(len(wanted)))
    return f"({likes})", [f'%"{each}"%' for each in wanted]
