"""Projects, who takes part in them, and what the task actor keeps of people."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from actors.contracts.task_project import Member, Part, Project, ProjectRole
from actors.contracts.user import Person
from actors.contracts.values import rfc3339
from actors.records.parameters import pairs
from runtime.ports import Session


class ProjectRow(msgspec.Struct, frozen=True):
    """A row of `project`; times are ms since the epoch."""

    id: str
    name: str
    description: str
    key: str
    created_by: str | None
    created_at: int
    updated_at: int
    version: int = 1

    def view(self, role: ProjectRole) -> Project:
        """As a member with that role sees it."""
        return Project(
            id=self.id,
            name=self.name,
            description=self.description,
            key=self.key,
            role=role,
            created_by=self.created_by,
            created_at=rfc3339(self.created_at),
            updated_at=rfc3339(self.updated_at),
            version=self.version,
        )


class Board(msgspec.Struct, frozen=True):
    """How far a project has counted its tasks, and the places on its board."""

    last_number: int
    last_place: int


_PROJECT = ProjectRow.__struct_fields__
_PERSON = Person.__struct_fields__


class ProjectRecords:
    """Projects, members, people and boards."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def add(self, project: ProjectRow) -> bool:
        """False: its creator has a project with that key already."""
        places = ", ".join(f"${n}" for n in range(1, len(_PROJECT) + 1))
        sql = f"insert into project ({', '.join(_PROJECT)}) values ({places}) on conflict (created_by, key) do nothing"  # noqa: S608 # constants
        return await self._session.execute(sql, *msgspec.structs.astuple(project)) == 1

    async def keys_of(self, creator: str | None) -> set[str]:
        """The keys of all projects that someone has created."""
        rows = await self._session.fetch("select key from project where created_by = $1", creator)
        return {row["key"] for row in rows}

    async def change(self, project: ProjectRow) -> None:
        """Replace a project's row. :raises Duplicate: its creator has another project with that key."""
        await self._session.execute(
            "update project set name = $2, description = $3, key = $4, updated_at = $5, version = $6 where id = $1",
            project.id,
            project.name,
            project.description,
            project.key,
            project.updated_at,
            project.version,
        )

    async def close(self, id: str) -> list[str]:
        """Nobody takes part in a project any more, so nobody sees it, and its key is free; who did."""
        await self._session.execute("update project set created_by = null where id = $1", id)
        rows = await self._session.fetch("delete from member where project_id = $1 returning user_id", id)
        return sorted(row["user_id"] for row in rows)

    async def erase(self, id: str) -> None:
        """With all that is left of it."""
        await self._session.execute("delete from project where id = $1", id)

    async def page_of(
        self, user_id: str, *, limit: int, after: tuple[int | str, str] | None
    ) -> list[tuple[ProjectRow, ProjectRole]]:
        """Those that someone takes part in, newest first, with their role."""
        columns = ", ".join(f"p.{column}" for column in _PROJECT)
        older = "" if after is None else "and (p.created_at, p.id) < ($3, $4)"
        sql = (
            f"select m.role, {columns} from member m join project p on p.id = m.project_id"  # noqa: S608 # constants
            f" where m.user_id = $1 {older} order by p.created_at desc, p.id desc limit $2"
        )
        rows = await self._session.fetch(sql, user_id, limit, *(after or ()))
        return [(ProjectRow(*columns), role) for role, *columns in (row.values() for row in rows)]

    async def seen(self, id: str, user_id: str) -> tuple[ProjectRow, ProjectRole] | None:
        """A project and someone's role in it; None where they have none."""
        columns = ", ".join(f"p.{column}" for column in _PROJECT)
        sql = (
            f"select m.role, {columns} from member m join project p on p.id = m.project_id"  # noqa: S608 # constants
            " where m.project_id = $1 and m.user_id = $2"
        )
        row = await self._session.row(sql, id, user_id)
        if row is None:
            return None
        role, *values = row.values()
        return ProjectRow(*values), role

    async def roles(self, wanted: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], ProjectRole]:
        """The roles of (project, user), where they have one."""
        places, arguments = pairs(wanted)
        sql = (
            f"with wanted (project_id, user_id) as (values {places})"  # noqa: S608 # only numbers of parameters
            " select m.project_id, m.user_id, m.role from wanted w"
            " join member m on m.project_id = w.project_id and m.user_id = w.user_id"
        )
        rows = await self._session.fetch(sql, *arguments)
        return {(row["project_id"], row["user_id"]): row["role"] for row in rows}

    async def role(self, project_id: str, user_id: str) -> ProjectRole | None:
        return (await self.roles([(project_id, user_id)])).get((project_id, user_id))

    async def has_other_owner(self, project_id: str, user_id: str) -> bool:
        sql = "select 1 from member where project_id = $1 and user_id <> $2 and role = 'owner' limit 1"
        return await self._session.row(sql, project_id, user_id) is not None

    async def members_of(
        self, project_id: str, *, limit: int, after: tuple[int | str, str] | None
    ) -> list[tuple[int, Member]]:
        """Who takes part in a project, newest first, with the time when they were added in ms."""
        older = "" if after is None else "and (m.added_at, m.user_id) < ($3, $4)"
        sql = (
            "select m.user_id, m.role, m.added_at, coalesce(p.name, '') as name"  # noqa: S608 # only places
            " from member m left join person p on p.id = m.user_id"
            f" where m.project_id = $1 {older} order by m.added_at desc, m.user_id desc limit $2"
        )
        rows = await self._session.fetch(sql, project_id, limit, *(after or ()))
        return [
            (
                row["added_at"],
                Member(
                    user_id=row["user_id"],
                    name=row["name"],
                    avatar_url=None,
                    role=row["role"],
                    added_at=rfc3339(row["added_at"]),
                ),
            )
            for row in rows
        ]

    async def parts_after(self, project_id: str, limit: int) -> dict[str, list[Part]]:
        """The next projects, by their ids, each with all who take part in it."""
        rows = await self._session.fetch(
            "select p.id, m.user_id, m.role, m.added_at"
            " from (select id from project where id > $1 order by id limit $2) p"
            " left join member m on m.project_id = p.id order by p.id, m.user_id",
            project_id,
            limit,
        )
        found: dict[str, list[Part]] = {}
        for row in rows:
            parts = found.setdefault(row["id"], [])
            if row["user_id"] is not None:
                parts.append(Part(user_id=row["user_id"], role=row["role"], added_at=rfc3339(row["added_at"])))
        return found

    async def remove_member(self, project_id: str, user_id: str) -> None:
        await self._session.execute("delete from member where project_id = $1 and user_id = $2", project_id, user_id)

    async def put_member(self, project_id: str, user_id: str, role: ProjectRole, now: int) -> int:
        """Add a member or change their role; when they were added."""
        row = await self._session.row(
            "insert into member (project_id, user_id, role, added_at) values ($1, $2, $3, $4)"
            " on conflict (project_id, user_id) do update set role = excluded.role returning added_at",
            project_id,
            user_id,
            role,
            now,
        )
        return row["added_at"] if row else now

    async def members_known_as(self, project_id: str, words: Collection[str]) -> list[tuple[str, str]]:
        """Id and name of those who take part in a project and have one of these as either."""
        rows = await self._session.fetch(
            "select m.user_id, p.name from member m join person p on p.id = m.user_id"
            " where m.project_id = $1 and (m.user_id = any($2) or p.name = any($2)) order by m.user_id",
            project_id,
            list(words),
        )
        return [(row["user_id"], row["name"]) for row in rows]

    async def reserve(self, tasks: Mapping[str, int]) -> Mapping[str, Board]:
        """Take so many numbers and places of each project; its board is then locked until the transaction ends.

        Boards are locked in the order of their ids, so no two transactions wait for each other in a circle.
        """
        if not tasks:
            return {}
        places = ", ".join(f"(${n}, ${n + 1}, ${n + 1})" for n in range(1, 2 * len(tasks), 2))
        arguments = [each for project_id in sorted(tasks) for each in (project_id, tasks[project_id])]
        rows = await self._session.fetch(
            f"insert into board (project_id, last_number, last_place) values {places}"  # noqa: S608 # only numbers of parameters
            " on conflict (project_id) do update set last_number = board.last_number + excluded.last_number,"
            " last_place = board.last_place + excluded.last_place returning project_id, last_number, last_place",
            *arguments,
        )
        return {row["project_id"]: Board(row["last_number"], row["last_place"]) for row in rows}

    async def set_board(self, project_id: str, board: Board) -> None:
        """How far it has counted now; it is locked by whoever says so."""
        sql = "update board set last_number = $2, last_place = $3 where project_id = $1"
        await self._session.execute(sql, project_id, board.last_number, board.last_place)

    async def count_of(self, creator: str) -> int:
        """How many projects someone has created; until the transaction ends nobody else counts them."""
        await self._session.execute(
            "insert into creator (user_id) values ($1) on conflict (user_id) do update set user_id = excluded.user_id",
            creator,
        )
        row = await self._session.row("select count(*) as projects from project where created_by = $1", creator)
        return row["projects"] if row else 0

    async def count_tasks(self, project_id: str) -> int:
        """Those in the trash, too."""
        row = await self._session.row("select count(*) as tasks from task where project_id = $1", project_id)
        return row["tasks"] if row else 0

    async def hold(self, project_id: str) -> None:
        """Nobody else changes the project itself, or who takes part in it, until the transaction ends."""
        await self._session.execute("update project set version = version where id = $1", project_id)

    async def lock(self, project_ids: Collection[str]) -> None:
        """Nobody else adds, deletes or re-parents tasks of these projects until the transaction ends."""
        await self.reserve(dict.fromkeys(project_ids, 0))

    async def person(self, id: str) -> Person | None:
        row = await self._session.row(f"select {', '.join(_PERSON)} from person where id = $1", id)  # noqa: S608 # constants
        return Person(**{**row, "active": bool(row["active"])}) if row else None

    async def zones(self, ids: Collection[str]) -> Mapping[str, str]:
        """Person → their time zone."""
        rows = await self._session.fetch("select id, timezone from person where id = any($1)", list(ids))
        return {row["id"]: row["timezone"] for row in rows}

    async def keep_person(self, person: Person) -> None:
        """Unless what is kept is newer."""
        await self._session.execute(
            f"insert into person ({', '.join(_PERSON)}) values ($1, $2, $3, $4, $5)"  # noqa: S608 # constants
            " on conflict (id) do update set name = excluded.name, active = excluded.active,"
            " version = excluded.version, timezone = excluded.timezone where person.version <= excluded.version",
            person.id,
            person.name,
            int(person.active),
            person.version,
            person.timezone,
        )
