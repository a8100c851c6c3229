"""What tasks of a foreign source become in a project: which are new, which number each has, and what comes along."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from actors.contracts.task import CreateTask
from actors.contracts.task_import import FileImported, ImportFault
from actors.contracts.task_label import GREY, Label
from actors.contracts.values import rfc3339
from actors.imports.conversion import too_many_comments
from actors.imports.item import (
    ImportedComment,
    ImportedComments,
    ImportedFile,
    ImportedLabel,
    ImportedLink,
    ImportedProject,
    ImportedSeries,
    ImportedTask,
    Line,
    Person,
)
from actors.records.activity import Entry
from actors.records.comment import CommentRow
from actors.records.feed import ChangeRow
from actors.records.imports import Counterpart, ImportRow
from actors.records.project import Board
from actors.records.task import TaskRecords
from actors.records.task_row import TaskRow, list_text
from actors.task_arrival_links import link
from actors.task_feed import note_changes
from actors.task_fields import new_task
from actors.task_places import position
from actors.task_quotas import Quotas
from actors.task_reminders import set_reminders
from actors.task_series import begun, continued, refusal
from runtime.context import Context


class Brought(msgspec.Struct, kw_only=True):
    """What has become of some lines of a file. :ivar spot: see `ImportRow`."""

    created: int = 0
    faults: list[ImportFault] = []
    spot: int | None = None


class _Names(msgspec.Struct, frozen=True):
    """What names of a file stand for in a project: ids."""

    labels: Mapping[str, str]
    people: Mapping[str, str]
    tasks: Mapping[str, str]

    def assignees(self, people: Sequence[Person]) -> list[str]:
        """Those who take part; by the surest of what each may be known by."""
        found = (next((self.people[name] for name in person if name in self.people), None) for person in people)
        return [id for id in found if id is not None]


async def count_new(lines: Sequence[Line], project_id: str | None, records: TaskRecords) -> int:
    """How many tasks `bring` would make of them."""
    tasks = tasks_in(lines)
    known = await _counterparts(tasks, project_id, records)
    return sum(task.source not in known for task in tasks)


def tasks_in(lines: Sequence[Line]) -> list[ImportedTask]:
    """Those of the lines that are tasks."""
    return [line for line in lines if isinstance(line, ImportedTask)]


async def foresee(lines: Sequence[Line], project_id: str | None, records: TaskRecords, quotas: Quotas) -> Brought:
    """What `bring` would say, without doing it."""
    known = await _counterparts(lines, project_id, records)
    new = [task for task in tasks_in(lines) if task.source not in known]
    faults = [fault for _, fault in map(_recurrence, new) if fault is not None]
    if project_id is not None:
        homes = await records.projects_of_tasks([each.task_id for each in known.values()])
        _, more = await _later_comments(lines, _at_home(known, homes, project_id), records, quotas)
        faults += more
    return Brought(created=len(new), faults=faults)


async def bring(
    lines: Sequence[Line],
    arriving: ImportRow,
    project_id: str,
    records: TaskRecords,
    ctx: Context[TaskRecords],
    quotas: Quotas,
) -> Brought:
    """Make the tasks that are not there yet, and add to tasks what they lack of it.

    Numbers are kept where they are free; else a task gets one behind all that the whole source would like to keep.
    """
    board = (await records.projects.reserve({project_id: 0}))[project_id]  # and is locked from here on
    known = await _counterparts(lines, project_id, records)
    homes = await records.projects_of_tasks([each.task_id for each in known.values()])
    here = _at_home(known, homes, project_id)
    done = Brought(spot=arriving.spot)
    for line in lines:
        if isinstance(line, ImportedProject):
            await _bring_project(line, arriving, project_id, board, records, ctx)
    new = [task for task in tasks_in(lines) if task.source not in known]
    if new:
        made = await _make(new, board, here, done, arriving, project_id, records, ctx)
        here |= {source: Counterpart(id, arriving.id) for source, id in made.items()}
    said = [line for line in lines if not isinstance(line, ImportedTask) or line.source in known]
    later, faults = await _later_comments(said, here, records, quotas)
    done.faults += faults
    await _add_comments(later, records, ctx)
    for line in lines:
        if isinstance(line, ImportedFile) and line.of in here:
            ctx.emit(_imported(line, here[line.of].task_id, arriving, ctx))
    links = [line for line in lines if isinstance(line, ImportedLink)]
    if links:
        await link(links, here, arriving.id, records, ctx)
    return done


async def _make(
    new: Sequence[ImportedTask],
    board: Board,
    here: Mapping[str, Counterpart],
    done: Brought,
    arriving: ImportRow,
    project_id: str,
    records: TaskRecords,
    ctx: Context[TaskRecords],
) -> Mapping[str, str]:
    """Source → the task that it has become now."""
    numbers = await _numbers(new, project_id, max(board.last_number, arriving.highest), records)
    ids = {task.source: ctx.new_id() for task in new}
    names = _Names(
        labels=await _labels([label for task in new for label in task.labels], project_id, records, ctx),
        people=await _people([person for task in new for person in task.assignees], project_id, records),
        tasks={**{source: each.task_id for source, each in here.items()}, **ids},
    )
    last_place, tasks = board.last_place, []
    for item, number in zip(new, numbers, strict=True):
        if item.position is None:
            last_place += 1
            where = position(last_place)
        else:
            if done.spot is None:
                last_place = done.spot = last_place + 1
            where = f"{position(done.spot)[:-1]}{item.position}"
        recurrence, fault = _recurrence(item)
        done.faults += [] if fault is None else [fault]
        tasks.append(_task(item, ids[item.source], number, where, recurrence, names, arriving, project_id, ctx))
    done.created = len(new)
    last_number = max(board.last_number, arriving.highest, *numbers)
    await records.projects.set_board(project_id, Board(last_number, last_place))
    await records.add(tasks)
    await set_reminders(tasks, ctx)
    await records.activity.add([_entry(task, ctx) for task in tasks])
    await records.imports.add_counterparts(project_id, arriving.id, list(ids.items()))
    comments = [_comment(each, ids[item.source], ctx) for item in new for each in item.comments]
    await records.comments.add(comments)
    await records.count_first_comments(sorted({each.task_id for each in comments}))
    await note_changes(tasks, records, ctx.now, type="task_created")
    return ids


async def _counterparts(
    lines: Sequence[Line], project_id: str | None, records: TaskRecords
) -> Mapping[str, Counterpart]:
    """Of all that the lines name."""
    if project_id is None:
        return {}
    named: set[str] = set()
    for line in lines:
        match line:
            case ImportedTask():
                named |= {line.source} if line.parent is None else {line.source, line.parent}
            case ImportedLink():
                named |= {line.of, line.other}
            case ImportedComments() | ImportedFile():
                named.add(line.of)
    return await records.imports.counterparts(project_id, sorted(named)) if named else {}


def _at_home(known: Mapping[str, Counterpart], homes: Mapping[str, str], project_id: str) -> dict[str, Counterpart]:
    """Those that are in this project, and not in its trash."""
    return {source: each for source, each in known.items() if homes.get(each.task_id) == project_id}


async def _numbers(
    items: Sequence[ImportedTask], project_id: str, last_number: int, records: TaskRecords
) -> Sequence[int]:
    """Which number each of them gets. :param last_number: behind which those are that nobody else would like."""
    wanted = [item.number for item in items if item.number is not None]
    taken = await records.imports.numbers_taken(project_id, wanted)
    numbers = []
    for item in items:
        number = item.number
        if number is None or number in taken:
            number = last_number = last_number + 1
        taken.add(number)
        numbers.append(number)
    return numbers


def _task(
    item: ImportedTask,
    id: str,
    number: int,
    where: str,
    recurrence: str | None,
    names: _Names,
    arriving: ImportRow,
    project_id: str,
    ctx: Context[TaskRecords],
) -> TaskRow:
    """:param where: on the board."""
    command = CreateTask(
        project_id=project_id,
        title=item.title,
        description=item.description,
        status=item.status,
        priority=item.priority,
        estimate_minutes=item.estimate_minutes,
        assignee_ids=names.assignees(item.assignees),
        label_ids=[names.labels[label.name] for label in item.labels],
        parent_id=None if item.parent is None else names.tasks.get(item.parent),
    )
    created_at = ctx.now if item.created_at is None else item.created_at
    updated_at = created_at if item.updated_at is None else max(created_at, item.updated_at)
    task = new_task(command, id=id, number=number, position=where, creator=arriving.user_id, now=created_at)
    given = {
        "start_at": item.start_at,
        "due_at": item.due_at,
        "updated_at": updated_at,
        "completed_at": item.completed_at if item.status == "done" else None,
        "recurrence": recurrence,
        "remind_at": list_text(item.remind_at),
    }
    return msgspec.structs.replace(task, **{name: value for name, value in given.items() if value is not None})


def _recurrence(item: ImportedTask) -> tuple[str | None, ImportFault | None]:
    """For the row; what is done has been followed where it comes from. Or why it cannot recur like this."""
    if item.recurrence is None:
        return None, None
    text = begun(item.recurrence)
    refused = refusal(text, item.due_at if item.due_at is not None else item.start_at)
    if refused is not None:
        told = "; ".join(f"{fault.pointer[1:]} {fault.detail}" for fault in refused.faults)
        return None, ImportFault(line=item.line, detail=f"this task does not recur: its {told}"[:300])
    place = item.series or ImportedSeries(followed=item.status == "done")
    return continued(text, place.number, place.followed, place.walls), None


async def _labels(
    labels: Sequence[ImportedLabel], project_id: str, records: TaskRecords, ctx: Context[TaskRecords]
) -> Mapping[str, str]:
    """Name → id of each; those that the project lacks are made."""
    wanted = {label.name: label.color for label in labels}
    names = sorted(wanted)
    found = await records.labels.named(project_id, names) if names else {}
    missing = [name for name in names if name not in found]
    for name in missing:
        label = Label(id=ctx.new_id(), project_id=project_id, name=name, color=wanted[name] or GREY, version=1)
        await records.labels.add(label)
    return await records.labels.named(project_id, names) if missing else found


async def _people(people: Sequence[Person], project_id: str, records: TaskRecords) -> Mapping[str, str]:
    """Id or name → the member who has it; a name of two is nobody's."""
    words = sorted({word for person in people for word in person})
    members = await records.projects.members_known_as(project_id, words) if words else []
    found: dict[str, str] = {}
    shared = set()
    for id, name in members:
        shared |= {name} & found.keys()
        found[name] = id
    return {word: id for word, id in found.items() if word not in shared} | {id: id for id, _ in members}


async def _bring_project(
    project: ImportedProject,
    arriving: ImportRow,
    project_id: str,
    board: Board,
    records: TaskRecords,
    ctx: Context[TaskRecords],
) -> None:
    """Its labels; and where an owner brings it, its description to a project that has none, its key to one that has had
    no task yet, if no other of the same creator's has that key."""
    await _labels(project.labels, project_id, records, ctx)
    seen = await records.projects.seen(project_id, arriving.user_id)
    if seen is None or seen[1] != "owner":
        return
    before = seen[0]
    key = project.key if project.key is not None and board.last_number == 0 else before.key
    if key != before.key and key in await records.projects.keys_of(before.created_by):
        key = before.key
    row = msgspec.structs.replace(before, description=before.description or project.description, key=key)
    if row == before:
        return
    row = msgspec.structs.replace(row, updated_at=ctx.now, version=before.version + 1)
    await records.projects.change(row)
    await records.feed.add([ChangeRow(type="project_updated", project_id=row.id, version=row.version, at=ctx.now)])


def _said(lines: Sequence[Line]) -> Iterable[tuple[str, int, Sequence[ImportedComment]]]:
    """Source of a task, line, and what was said about it there."""
    for line in lines:
        if isinstance(line, ImportedTask):
            yield line.source, line.line, line.comments
        elif isinstance(line, ImportedComments):
            yield line.of, line.line, line.comments


async def _later_comments(
    lines: Sequence[Line], here: Mapping[str, Counterpart], records: TaskRecords, quotas: Quotas
) -> tuple[Mapping[str, Sequence[ImportedComment]], list[ImportFault]]:
    """Task → what has been said about it since, of tasks that are there already; and what finds no room."""
    said = [
        (here[source].task_id, line, comments) for source, line, comments in _said(lines) if source in here and comments
    ]
    ids = sorted({id for id, _, _ in said})
    if not ids:
        return {}, []
    sources, rows = await records.comments.sources(ids), await records.kept(ids)
    later: dict[str, list[ImportedComment]] = {id: [] for id in ids}
    faults = []
    for id, line, comments in said:
        more = [each for each in comments if (id, each.source) not in sources]
        room = max(0, quotas.comments_per_task - rows[id].comment_count - len(later[id]))
        if len(more) > room:
            faults.append(too_many_comments(line, quotas.comments_per_task))
        later[id] += more[:room]
    return later, faults


async def _add_comments(
    later: Mapping[str, Sequence[ImportedComment]], records: TaskRecords, ctx: Context[TaskRecords]
) -> None:
    changed = []
    for task_id, comments in later.items():
        task = await records.count_comments(task_id, len(comments)) if comments else None
        if task is not None:
            await records.comments.add([_comment(each, task_id, ctx) for each in comments])
            changed.append(task)
    await note_changes(changed, records, ctx.now)


def _comment(comment: ImportedComment, task_id: str, ctx: Context[TaskRecords]) -> CommentRow:
    created_at = ctx.now if comment.created_at is None else comment.created_at
    return CommentRow(
        id=ctx.new_id(),
        task_id=task_id,
        author_id=None,
        author_name=comment.author,
        body=comment.body,
        source=comment.source,
        created_at=created_at,
        updated_at=created_at if comment.updated_at is None else max(created_at, comment.updated_at),
    )


def _imported(file: ImportedFile, task_id: str, arriving: ImportRow, ctx: Context[TaskRecords]) -> FileImported:
    return FileImported(
        import_id=arriving.id,
        line=file.line,
        task_id=task_id,
        user_id=arriving.user_id,
        source=file.source,
        filename=file.filename,
        public=file.visibility == "public",
        created_at=rfc3339(ctx.now if file.created_at is None else file.created_at),
        key=file.key,
    )


def _entry(task: TaskRow, ctx: Context[TaskRecords]) -> Entry:
    """That it came to be, for its history."""
    became = msgspec.json.encode(rfc3339(task.created_at)).decode()
    return Entry(ctx.new_id(), task.id, task.created_by, "created_at", "null", became, ctx.now)
