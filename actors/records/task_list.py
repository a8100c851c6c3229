"""Lists of tasks: orders and pages, in statements that are the same for both databases and answered from indexes.

PostgreSQL would choose where a join begins, and whether an index is read in order or sorted, by what it believes of the
number of rows. Here that is known better: a left join begins on its left, and `limit (select …)` lets it expect
so many rows that it reads in order.

There are three ways to a page. Where one of the filters is met by few tasks, an index leads to them, and they are
sorted. Else tasks are read in the order of the list until the page is full, from an index of each project: of one
project in one statement, of many by looking first whose first tasks come first, since no other project can have a task
on the page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from actors.contracts.task import ListTasks
from actors.pages import After
from actors.records import words
from actors.records.task_filters import LAST, Conditions, Filter, filters
from actors.records.task_row import SEEN, Seen, TaskRow, seen_of
from runtime.ports import Row, Session

FEW: Final = (2_000, 20_000)
"""Tasks of one project that are sooner sorted than met by reading in order; and of many projects, each of which would
be read until its first one."""

LATEST: Final = 2
"""Times as many projects as a page has tasks are asked for their newest tasks, before all are."""

FAR: Final = 2
"""Times as many as are few: where the database expects more, there is nothing to count. It guesses from a sample, and
what one task in fifty has is in that often enough to be guessed to a few percent."""


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
    def direction(self) -> str:
        return "desc" if self.descending else "asc"

    @property
    def key_type(self) -> type[int] | type[str]:
        return str if self.column == "position" else int

    def key(self, task: TaskRow) -> int | str:
        """A task's place in this order."""
        value: int | str | None = getattr(task, self.column)
        if value is None:
            return self.missing or 0
        return value

    def by(self, alias: str) -> str:
        """What stands behind `order by`, for the task under that name."""
        return f"{self.sql.format(t=alias)} {self.direction}, {alias}.id {self.direction}"

    def beyond(self, place: str | None = None) -> str:
        """A condition on `{t}`: it comes after the place of key `{0}` and id `{1}`. :param place: its own, if known."""
        return f"({place or self.sql}, {{t}}.id) {'<' if self.descending else '>'} ({{0}}, {{1}})"

    def within(self) -> str:
        """Likewise: it does not."""
        return f"({self.sql}, {{t}}.id) {'>=' if self.descending else '<='} ({{0}}, {{1}})"


def order(sort: str) -> Order:
    """From the parameter `sort`."""
    column = sort.lstrip("-")
    descending = sort.startswith("-")
    if column == "due_at":
        return Order(column, descending, -LAST if descending else LAST)
    return Order(column, descending)


async def page(
    session: Session, query: ListTasks, user_id: str, after: After | None, *, few: tuple[int, int] = FEW
) -> list[Seen]:
    """The tasks that someone may see and that meet the query, up to one more than its limit."""
    search = None if query.q is None else words.parsed(query.q)
    if search is not None and not search:
        return []
    asked = filters(query, user_id, search, session.dialect)
    if query.label_id:  # elsewhere no task can have them
        query = await _narrowed(session, query)
        if not query.project_id:
            return []
    pages = _Pages(session, query, user_id, after, asked)
    lead = await pages.lead(few)
    if lead is not None or query.deleted:
        return await pages.sorted(lead)
    if len(set(query.project_id)) == 1:
        return await pages.in_order(query.project_id[0])
    return await pages.merged()


async def _narrowed(session: Session, query: ListTasks) -> ListTasks:
    """To the projects of its labels."""
    rows = await session.fetch("select distinct project_id from label where id = any($1)", query.label_id)
    homes = [row["project_id"] for row in rows]
    projects = [id for id in homes if not query.project_id or id in query.project_id]
    return msgspec.structs.replace(query, project_id=projects)


class _Pages:
    """The ways to one page."""

    def __init__(
        self, session: Session, query: ListTasks, user_id: str, after: After | None, asked: Sequence[Filter]
    ) -> None:
        self._session = session
        self._query = query
        self._user_id = user_id
        self._after = after
        self._filters = asked
        self._order = order(query.sort)
        self._rows = query.limit + 1

    async def lead(self, few: tuple[int, int]) -> Filter | None:
        """A filter that few tasks meet; None: there is none."""
        of_one, of_many = few
        led = any(each.ids is not None for each in self._filters)
        room = int(min(of_many, await self._room())) if led else 0
        for each in self._filters:
            if each.ids is not None:
                conditions, limit = Conditions(), room
                ids = conditions.placed(each.ids, each.values)
                if each.read_whole and await self._expected(ids, conditions) > FAR * limit:
                    continue
                some = f"{ids} limit {limit + 1}"
            elif each.indexed is not None and not self._query.deleted:
                conditions = Conditions(self._user_id)
                limit = of_one if len(set(self._query.project_id)) == 1 else of_many
                conditions.add("{t}.deleted_at is null")
                conditions.add(each.indexed, *each.values)
                members = self._members(conditions, self._query.project_id)
                some = (
                    f"select 1 from member m left join task x on x.project_id = m.project_id and {conditions.of('x')}"  # noqa: S608 # code and places
                    f" where {members} and coalesce(x.id, '') <> '' limit {limit + 1}"
                )
            else:
                continue
            row = await self._session.row(f"select count(*) as found from ({some}) s", *conditions.args)  # noqa: S608 # likewise
            if row is not None and row["found"] <= limit:
                return each
        return None

    async def _room(self) -> float:
        """More tasks than that cannot be in the projects that are asked for; where it is for all, nobody counts."""
        if not self._query.project_id:
            return math.inf
        sql = "select coalesce(sum(last_number), 0) as room from board where project_id = any($1)"
        row = await self._session.row(sql, self._query.project_id)
        return float(row["room"]) if row else 0.0

    async def _expected(self, sql: str, conditions: Conditions) -> float:
        """How many rows PostgreSQL believes that a statement has; it reads none of them for that."""
        row = await self._session.row(f"explain (format json) {sql}", *conditions.args)
        (plan,) = msgspec.json.decode(row["QUERY PLAN"] if row else b"[]")
        return float(plan["Plan"]["Plan Rows"])

    async def sorted(self, lead: Filter | None, projects: Sequence[str] = (), edge: After | None = None) -> list[Seen]:
        """Of all tasks that meet the filters.

        :param lead: the filter whose index leads to them, if it has a statement for that.
        :param projects: only of these; empty: of those that are asked for.
        :param edge: the last place that matters.
        """
        conditions = self._conditions(in_order=lead is None)
        if lead is not None and lead.indexed is not None:
            conditions.add(lead.indexed, *lead.values)
        if edge is not None:
            conditions.add(self._order.within(), *edge)
        members = self._members(conditions, projects or self._query.project_id)
        meets = conditions.of("t")
        source = (
            f"member m left join task t on t.project_id = m.project_id and {meets}"
            f" where {members} and coalesce(t.id, '') <> ''"
        )
        if projects and self._session.dialect == "postgresql":  # in each no more are read than a page has
            each = (
                f"(select x.id, x.{self._order.column} from task x where x.project_id = m.project_id"  # noqa: S608 # likewise
                f" and {conditions.of('x')} order by {self._order.by('x')} limit (select {self._rows}))"
            )
            source = f"member m cross join lateral {each} t where {members}"
        elif lead is not None and lead.ids is not None:
            ids = conditions.placed(lead.ids, lead.values)
            source = (
                f"(select distinct id from ({ids}) i) l left join task t on t.id = l.id and {meets}"  # noqa: S608 # likewise
                f" left join member m on m.project_id = t.project_id and {members} where coalesce(m.role, '') <> ''"
            )
        way, behind = self._order.direction, ""
        if lead is not None and self._after is not None:
            behind = f"where {conditions.placed(self._order.beyond('f.place'), self._after)}".replace("{t}", "f")
        # only places are sorted, not whole rows, and those that were found do not depend on the order that is wanted
        return await self._fetch(
            f"with found as materialized (select t.id, {self._order.sql.format(t='t')} as place from {source}),"  # noqa: S608 # likewise
            f" nearest as (select id, place from found f {behind} order by place {way}, id {way} limit {self._rows})"
            f" select {SEEN} from nearest n cross join task t cross join member m"
            " left join watcher v on v.task_id = t.id and v.user_id = m.user_id"
            " where t.id = n.id and m.project_id = t.project_id and m.user_id = $1"
            f" order by n.place {way}, n.id {way}",
            conditions,
        )

    async def in_order(self, project_id: str) -> list[Seen]:
        """Of one project, read in order until the page is full."""
        conditions = self._conditions()
        project = conditions.argument(project_id)
        # who takes no part in it is told so before anything of it is read
        return await self._fetch(
            f"select {SEEN} from task t cross join member m"  # noqa: S608 # likewise
            " left join watcher v on v.task_id = t.id and v.user_id = m.user_id"
            f" where t.project_id = {project} and m.project_id = t.project_id and m.user_id = $1"
            f" and exists (select 1 from member o where o.project_id = {project} and o.user_id = $1)"
            f" and {conditions.of('t')} order by {self._order.by('t')} limit (select {self._rows})",
            conditions,
        )

    async def merged(self) -> list[Seen]:
        """Of many projects.

        Only those whose first tasks come first can have one on the page. None of these has a task on it beyond the
        place at which one of them alone would have filled it.
        """
        while True:
            firsts = await self._firsts()
            projects = [project_id for project_id, _ in firsts]
            if not projects:
                return []
            if len(projects) == 1:
                return await self.in_order(projects[0])
            edges = [place for _, place in firsts[self._rows - 1 :]]
            if self._session.dialect == "sqlite":  # which would read on to that place in every project
                edges += [place for _, place in await self._nth(self._rows, projects, 1)]
            edge = (max(edges) if self._order.descending else min(edges)) if edges else None
            found = await self.sorted(None, projects, edge)
            if edge is None or len(found) == self._rows:
                return found
            # some of them have gone to the trash since

    async def _firsts(self) -> list[tuple[str, After]]:
        """Of each project its first task; the nearest of these, as many as a page has."""
        if self._after is None and self._order == order("-created_at"):
            firsts = await self._firsts_of_latest()
            if firsts:
                return firsts
        return await self._nth(1, self._query.project_id, self._rows)

    async def _firsts_of_latest(self) -> list[tuple[str, After]]:
        """Likewise, by the boards that know of the newest tasks alone: none has one newer than its board says. Nothing
        where that does not tell."""
        conditions, limit = self._conditions(), LATEST * self._rows
        latest = (
            "select m.project_id, b.newest_at from member m cross join board b where b.project_id = m.project_id"  # noqa: S608 # likewise
            f" and {self._members(conditions, self._query.project_id)} order by b.newest_at desc limit {limit}"
        )
        rows = await self._look_up(
            1,
            f"select project_id, case when count(*) over () = {limit} then min(newest_at) over () end as others"  # noqa: S608 # likewise
            f" from ({latest}) l",
            conditions,
            self._rows,
        )
        if rows and (others := rows[0]["others"]) is not None:  # the newest of all others, or older
            rows = rows if len(rows) == self._rows and rows[-1]["place"] > others else []
        return [(row["project_id"], (row["place"], row["id"])) for row in rows]

    async def _nth(self, number: int, projects: Sequence[str], limit: int) -> list[tuple[str, After]]:
        """Of each project the task with that number in the list; the nearest of these, with their projects."""
        conditions = self._conditions()
        members = self._members(conditions, projects)
        sql = f"select m.project_id, null as others from member m where {members}"  # noqa: S608 # likewise
        rows = await self._look_up(number, sql, conditions, limit)
        return [(row["project_id"], (row["place"], row["id"])) for row in rows]

    async def _look_up(self, number: int, projects: str, conditions: Conditions, limit: int) -> Sequence[Row]:
        """Likewise. :param projects: a statement for `project_id` and `others`, which comes with each row."""
        place, way = self._order.sql, self._order.direction
        one = (
            f"from task x where x.project_id = p.project_id and {conditions.of('x')}"
            f" order by {self._order.by('x')} limit 1 offset (select {number - 1})"
        )
        if self._session.dialect == "postgresql":
            found = (
                f"with p as materialized ({projects}) select p.project_id, p.others, f.id, f.place"  # noqa: S608 # likewise
                f" from p cross join lateral (select x.id, {place.format(t='x')} as place {one}) f"
            )
        else:  # it looks each up once more for its place: SQLite can ask a subquery for one value alone
            found = (
                f"with p as materialized ({projects}),"  # noqa: S608 # likewise
                f" n as materialized (select p.others, (select x.id {one}) as id from p)"
                f" select f.project_id, n.others, f.id, {place.format(t='f')} as place"
                " from n cross join task f where f.id = n.id"
            )
        return await self._session.fetch(f"{found} order by place {way}, f.id {way} limit {limit}", *conditions.args)

    def _conditions(self, *, in_order: bool = True) -> Conditions:
        """All that a task must meet. The first argument is who asks.

        :param in_order: an index of the order leads to it, behind the last one that was shown; else one of a filter.
        """
        conditions = Conditions(self._user_id)
        conditions.add("{t}.deleted_at is not null" if self._query.deleted else "{t}.deleted_at is null")
        for each in self._filters:
            if each.text:
                conditions.add(each.text, *each.values)
            if in_order and self._order.column in each.ordered:
                conditions.add(each.ordered[self._order.column].replace("{key}", self._order.sql), *each.values)
        if in_order and self._after is not None:
            conditions.add(self._order.beyond(), *self._after)
        return conditions

    def _members(self, conditions: Conditions, projects: Sequence[str]) -> str:
        """The memberships `m` that count."""
        return (
            f"m.user_id = $1 and m.project_id = any({conditions.argument(projects)})" if projects else "m.user_id = $1"
        )

    async def _fetch(self, sql: str, conditions: Conditions) -> list[Seen]:
        rows: Sequence[Any] = await self._session.fetch(sql, *conditions.args)
        return [seen_of(list(row.values())) for row in rows]
