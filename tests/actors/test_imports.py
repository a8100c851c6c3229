"""Imports on each kind of store: what an archive becomes, and what comes twice, late, or not at all."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.contracts.task import DeleteTask
from actors.contracts.task_change import ListChanges
from actors.contracts.task_import import (
    CancelImport,
    GetImport,
    Import,
    ImportDone,
    ImportTasks,
    OpenImport,
    StartImport,
)
from actors.contracts.task_project import DeleteProject, ListProjects, MemberAdded
from actors.contracts.values import Upload
from runtime.errors import Forbidden, NotFound
from runtime.ports import Blobs
from tests.actors.importing import Importers, archive, comment, issue

REAL = Path(__file__).parents[3] / "shared" / "data" / "quicwg-multipath-issues.json"


def faults(result: Import) -> list[tuple[int, str]]:
    return [(each.line, each.detail) for each in result.errors]


# -------------------------------------------------------------------------------------------------- done


async def test_an_import_begins_queued_and_ends_done(importers: Importers) -> None:
    project = await importers.project()
    begun = await importers.start(archive(issue(1), issue(2)), project.id)
    assert begun == Import(
        id=begun.id,
        format="github-archive",
        project_id=project.id,
        dry_run=False,
        status="queued",
        done=0,
        total=0,
        created=0,
        skipped=0,
        errors=[],
        created_at=begun.created_at,
    )
    assert await importers.how_far(begun) == begun
    await importers.stage.drain()
    result = await importers.how_far(begun)
    assert (result.status, result.done, result.total, result.created, result.skipped) == ("done", 2, 2, 2, 0)
    assert await importers.objects() == set()


async def test_an_issue_becomes_a_task_with_all_that_hangs_on_it(importers: Importers) -> None:
    open_one = issue(3, "Order brass", body="For the *hatch*", labels=["bug", "new one"])
    closed = issue(7, "Test", state="CLOSED", updatedAt="2022-01-02T00:00:00Z", closedAt="2022-01-01T00:00:00Z")
    closed["comments"] = [comment("Second", "eve", "2021-10-17T00:00:00Z"), comment("First", None)]
    result = await importers.imported(archive(open_one, closed, pulls=[issue(4), issue(5)]))
    first, second = await importers.tasks_in(result.project_id)
    assert (first.number, first.title, first.description, first.status) == (3, "Order brass", "For the *hatch*", "todo")
    assert first.created_at == first.updated_at == "2021-10-15T09:46:01.000Z"
    assert (first.completed_at, first.comment_count, first.version) == (None, 0, 1)
    assert first.created_by == importers.ada
    assert len(first.label_ids) == 2
    assert (second.number, second.status, second.comment_count, second.version) == (7, "done", 2, 1)
    assert (second.updated_at, second.completed_at) == ("2022-01-02T00:00:00.000Z", "2022-01-01T00:00:00.000Z")
    assert await importers.comments(second) == [("ghost", "First"), ("eve", "Second")]


async def test_without_a_project_one_is_made_and_named_after_the_source(importers: Importers) -> None:
    first = await importers.imported(archive(issue(1)))
    second = await importers.imported(archive(repo=None), name="dir/Our issues.json")
    projects = (await importers.stage.ask(ListProjects(), caller=importers.ada)).items
    assert [(each.id, each.name, each.role) for each in projects] == [
        (second.project_id, "Our issues", "owner"),
        (first.project_id, "moon/apollo", "owner"),
    ]


async def test_labels_are_made_once_with_their_color(importers: Importers) -> None:
    project = await importers.project()
    await importers.imported(archive(issue(1, labels=["bug"]), issue(2, labels=["bug", "odd"])), project.id)
    await importers.imported(archive(issue(3, labels=["odd", "bug", "x" * 200, "a\nb"])), project.id)
    assert await importers.labels(project.id) == {
        "a b": "#808080",
        "bug": "#d73a4a",
        "odd": "#808080",
        "x" * 100: "#808080",
    }
    tasks = await importers.tasks_in(project.id)
    assert tasks[0].label_ids == tasks[1].label_ids[:1]
    assert set(tasks[1].label_ids) < set(tasks[2].label_ids)


async def test_numbers_are_kept_where_they_are_free(importers: Importers) -> None:
    project = await importers.project()
    for title in ("one", "two"):
        await importers.task(project, title)
    result = await importers.imported(archive(issue(2, "b"), issue(9, "i"), issue(3, "c"), issue(1, "a")), project.id)
    assert result.created == 4
    numbers = {task.title: task.number for task in await importers.tasks_in(project.id)}
    assert numbers == {"one": 1, "two": 2, "b": 10, "i": 9, "c": 3, "a": 11}
    assert [task.title for task in await importers.tasks_in(project.id)] == ["one", "two", "b", "i", "c", "a"]
    after = await importers.task(project, "after")
    assert after.number == 12
    assert (await importers.tasks_in(project.id))[-1].id == after.id


async def test_what_came_is_in_the_feed_of_changes(importers: Importers) -> None:
    project = await importers.project()
    await importers.imported(archive(issue(1), issue(2, comments=[comment()])), project.id)
    await importers.imported(archive(issue(1, comments=[comment()]), issue(2, comments=[comment()])), project.id)
    changes = (await importers.stage.ask(ListChanges(), caller=importers.ada)).items[1:]  # she is a member
    tasks = {task.number: task.id for task in await importers.tasks_in(project.id)}
    assert [(each.type, each.task_id, each.version) for each in changes] == [
        ("task_created", tasks[1], 1),
        ("task_created", tasks[2], 1),
        ("task_updated", tasks[1], 2),
    ]


async def test_imported_text_is_found(importers: Importers) -> None:
    result = await importers.imported(
        archive(issue(1, "Zeppelin", body="über den Wolken", comments=[comment("A gondola, please")]), issue(2, "Boat"))
    )
    for query in ("zeppelin", "uber", "gondola", "zeppelin gondola"):
        assert [task.number for task in await importers.tasks_in(result.project_id, query)] == [1], query


async def test_only_who_began_it_is_told_when_it_ends(importers: Importers) -> None:
    importers.events()
    result = await importers.imported(archive(issue(1, comments=[comment()])), name="our.json")
    opened, event = importers.events()
    assert isinstance(opened, MemberAdded)  # of the project that it made
    assert isinstance(event, ImportDone)
    assert (event.result, event.name, event.user_id) == (result, "our.json", importers.ada)


# ----------------------------------------------------------------------------------------------- in steps


async def test_a_large_archive_comes_in_steps(importers: Importers) -> None:
    project = await importers.project()
    begun = await importers.start(archive(*(issue(n, f"Task {n}") for n in range(1, 121))), project.id)
    seen = []
    for _ in range(8):
        seen.append(await importers.how_far(begun))
        await importers.stage.step()
    assert {(each.status, each.done) for each in seen} >= {("queued", 0), ("running", 50), ("running", 100)}
    assert [each.number for each in await importers.tasks_in(project.id)] == list(range(1, 121))
    assert (await importers.how_far(begun)).created == 120


async def test_a_step_that_comes_again_does_nothing(importers: Importers) -> None:
    project = await importers.project()
    content = archive(*(issue(n, comments=[comment()]) for n in range(1, 71)))
    begun = await importers.start(content, project.id)
    while (await importers.how_far(begun)).done == 0:
        await importers.stage.step()
    await importers.stage.given(ImportTasks(id=begun.id, place=0))  # and by that, all others
    result = await importers.how_far(begun)
    assert (result.status, result.done, result.created, result.skipped) == ("done", 70, 70, 0)
    await importers.stage.given(ImportTasks(id=begun.id, place=0))
    assert await importers.how_far(begun) == result
    assert [task.comment_count for task in await importers.tasks_in(project.id)] == [1] * 70


async def test_a_step_that_fails_is_tried_again_and_loses_nothing(importers: Importers) -> None:
    project = await importers.project()
    begun = await importers.start(archive(*(issue(n) for n in range(1, 71))), project.id)
    while (await importers.how_far(begun)).done == 0:
        await importers.stage.step()
    lines = f"imports/{begun.id}/lines"
    kept = b"".join([piece async for piece in importers.blobs.get(lines)])
    await _put(importers.blobs, lines, b"no task\n" * 10_000)
    with pytest.raises(Exception, match="JSON"):
        await importers.stage.drain()
    assert (await importers.how_far(begun)).status == "running"
    await _put(importers.blobs, lines, kept)
    await importers.stage.given(ImportTasks(id=begun.id, place=await importers.place(begun)))
    result = await importers.how_far(begun)
    assert (result.status, result.created, result.skipped) == ("done", 70, 0)
    assert len(await importers.tasks_in(project.id)) == 70


async def test_a_file_that_vanished_ends_the_import(importers: Importers) -> None:
    begun = await importers.start(archive(issue(1)))
    await importers.blobs.delete([f"imports/{begun.id}/file"])
    await importers.stage.drain()
    result = await importers.how_far(begun)
    assert (result.status, faults(result)) == ("failed", [(1, "the file is gone; send it again")])


async def test_whoever_may_not_write_any_more_imports_no_more(importers: Importers) -> None:
    project = await importers.project()
    await importers.join(project, importers.bob, "editor")
    begun = await importers.start(archive(issue(1)), project.id, caller=importers.bob)
    await importers.join(project, importers.bob, "viewer")
    await importers.stage.drain()
    result = await importers.how_far(begun, importers.bob)
    assert (result.status, faults(result)) == ("failed", [(1, "your role in this project does not allow this")])
    assert await importers.tasks_in(project.id) == []
    assert await importers.objects() == set()


async def test_a_project_that_is_deleted_ends_its_imports(importers: Importers) -> None:
    project = await importers.project()
    begun = await importers.start(archive(*(issue(n) for n in range(1, 71))), project.id)
    while (await importers.how_far(begun)).done == 0:
        await importers.stage.step()
    await importers.stage.ask(DeleteProject(id=project.id), caller=importers.ada)
    await importers.stage.drain()
    result = await importers.how_far(begun)
    assert (result.status, result.created, faults(result)) == ("failed", 50, [(1, "there is no such project")])
    assert await importers.objects() == set()


# ----------------------------------------------------------------------------------------------- for real


@pytest.mark.skipif(not REAL.is_file(), reason="the data of a real repository is not beside this one")
async def test_a_real_archive_comes_whole_and_once(importers: Importers) -> None:
    content = REAL.read_bytes()
    first = await importers.imported(content)
    assert (first.status, first.created, first.skipped, first.total, first.errors) == ("done", 304, 0, 304, [])
    second = await importers.imported(content, first.project_id)
    assert (second.status, second.created, second.skipped, second.done) == ("done", 0, 304, 304)
    tasks = await importers.tasks_in(first.project_id)
    issues = json.loads(content)["issues"]
    assert [(each.number, each.title, each.description, each.comment_count) for each in tasks] == [
        (each["number"], each["title"], each["body"], len(each["comments"])) for each in issues
    ]
    assert sum(each.comment_count for each in tasks) == 1350
    assert [each.status == "done" for each in tasks] == [each["state"] == "CLOSED" for each in issues]
    assert [each.completed_at for each in tasks] == [
        each["closedAt"] and each["closedAt"].replace("Z", ".000Z") for each in issues
    ]
    task, issue = max(zip(tasks, issues, strict=True), key=lambda pair: pair[0].comment_count)
    assert await importers.comments(task) == [(each["author"], each["body"]) for each in issue["comments"]]


# ---------------------------------------------------------------------------------------------- once more


async def test_the_same_source_again_creates_nothing_twice(importers: Importers) -> None:
    project = await importers.project()
    content = archive(issue(1, comments=[comment(), comment(), comment("No", "eve")]), issue(2))
    await importers.imported(content, project.id)
    before = await importers.tasks_in(project.id)
    result = await importers.imported(content, project.id)
    assert (result.status, result.done, result.total, result.created, result.skipped) == ("done", 2, 2, 0, 2)
    assert await importers.tasks_in(project.id) == before
    assert before[0].comment_count == 3
    assert (await importers.task(project)).number == 3


async def test_of_a_file_that_has_grown_only_what_is_new_is_added(importers: Importers) -> None:
    project = await importers.project()
    await importers.imported(archive(issue(1, comments=[comment("One")]), issue(2)), project.id)
    grown = archive(issue(1, "Changed", comments=[comment("One"), comment("Two", "eve")]), issue(2), issue(3))
    result = await importers.imported(grown, project.id)
    assert (result.created, result.skipped, result.total) == (1, 2, 3)
    first, second, third = await importers.tasks_in(project.id)
    assert (first.title, first.comment_count, first.version) == ("Land", 2, 2)
    assert [body for _, body in await importers.comments(first)] == ["One", "Two"]
    assert (second.version, third.number) == (1, 3)


async def test_the_same_source_in_another_project_is_another_thing(importers: Importers) -> None:
    content = archive(issue(1))
    first, second = await importers.imported(content), await importers.imported(content)
    assert first.project_id != second.project_id
    assert (first.created, second.created) == (1, 1)


async def test_what_lies_in_the_trash_is_there_and_stays_as_it_is(importers: Importers) -> None:
    project = await importers.project()
    await importers.imported(archive(issue(1)), project.id)
    (task,) = await importers.tasks_in(project.id)
    await importers.stage.ask(DeleteTask(id=task.id), caller=importers.ada)
    deleted = await importers.look(task)
    result = await importers.imported(archive(issue(1, comments=[comment()])), project.id)
    assert (result.created, result.skipped) == (0, 1)
    assert await importers.look(task) == deleted


async def test_a_dry_run_counts_as_the_real_one_and_changes_nothing(importers: Importers) -> None:
    project = await importers.project()
    await importers.imported(archive(issue(1)), project.id)
    before = await importers.tasks_in(project.id)
    content = archive(issue(1, comments=[comment()]), issue(2), issue(2), {"number": 3}, *map(issue, range(10, 80)))
    dry = await importers.imported(content, project.id, dry_run=True)
    assert await importers.tasks_in(project.id) == before
    assert (dry.dry_run, dry.status, dry.created, dry.skipped, dry.done, dry.total) == (True, "done", 71, 2, 74, 74)
    real = await importers.imported(content, project.id)
    for field in ("status", "created", "skipped", "done", "total", "errors"):
        assert getattr(real, field) == getattr(dry, field), field
    assert (await importers.task(project)).number == 80


async def test_a_dry_run_without_a_project_makes_none(importers: Importers) -> None:
    result = await importers.imported(archive(issue(1)), dry_run=True)
    assert (result.project_id, result.created) == (None, 1)
    assert (await importers.stage.ask(ListProjects(), caller=importers.ada)).items == []


# ------------------------------------------------------------------------------------------------ refused


async def test_who_may_not_write_to_a_project_is_refused(importers: Importers) -> None:
    project = await importers.project()
    await importers.join(project, importers.bob, "viewer")
    with pytest.raises(Forbidden, match=r"auth\.forbidden"):
        await importers.start(archive(), project.id, caller=importers.bob)
    for caller, id in ((importers.eve, project.id), (importers.ada, importers.eve)):
        with pytest.raises(NotFound, match=r"project\.not_found"):
            await importers.start(archive(), id, caller=caller)


async def test_an_import_is_seen_by_who_began_it_alone(importers: Importers) -> None:
    project = await importers.project()
    await importers.join(project, importers.bob, "owner")
    begun = await importers.start(archive(), project.id)
    ticket = await importers.ticket(b"")
    for id, caller in ((begun.id, importers.bob), (project.id, importers.ada), (ticket.id, importers.ada)):
        with pytest.raises(NotFound, match=r"import\.not_found"):
            await importers.stage.ask(GetImport(id=id), caller=caller)


async def test_a_ticket_is_good_for_its_owner_once_and_when_a_file_is_there(importers: Importers) -> None:
    used = await importers.start(archive())
    foreign = await importers.ticket(archive(), importers.bob)
    empty = await importers.stage.ask(OpenImport(), caller=importers.ada)
    for id in (used.id, foreign.id, empty.id, importers.eve):
        with pytest.raises(NotFound, match=r"import\.not_found"):
            command = StartImport(upload=Upload(id=id, filename="x"), format="github-archive")
            await importers.stage.ask(command, caller=importers.ada)


# ------------------------------------------------------------------------------------------------ cleaned up


async def test_a_cancelled_ticket_leaves_nothing(importers: Importers) -> None:
    ticket, begun = await importers.ticket(b"x"), await importers.start(archive(issue(1)))
    foreign = await importers.ticket(b"x", importers.bob)
    for id in (ticket.id, begun.id, foreign.id):
        await importers.stage.ask(CancelImport(id=id), caller=importers.ada)
    await importers.stage.drain()
    assert await importers.objects() == {foreign.key}
    assert (await importers.how_far(begun)).status == "done"
    await importers.stage.ask(CancelImport(id=foreign.id), caller=importers.bob)
    await importers.stage.drain()


async def test_what_nobody_begins_with_is_swept(importers: Importers) -> None:
    old = await importers.ticket(b"x")
    importers.stage.advance(minutes=61)
    young = await importers.ticket(b"x")
    await importers.stage.tick("task", "sweep_imports")
    assert await importers.objects() == {young.key}
    with pytest.raises(NotFound):
        command = StartImport(upload=Upload(id=old.id, filename="x"), format="github-archive")
        await importers.stage.ask(command, caller=importers.ada)
    await importers.stage.ask(CancelImport(id=young.id), caller=importers.ada)
    await importers.stage.drain()


async def test_an_import_that_stands_still_is_given_up(importers: Importers) -> None:
    begun = await importers.start(archive(issue(1)))
    importers.stage.advance(hours=73)
    await importers.stage.tick("task", "sweep_imports")
    result = await importers.how_far(begun)
    assert (result.status, faults(result)) == ("failed", [(1, "it could not go on; send the file again")])
    assert await importers.tasks_in(result.project_id) == []
    assert await importers.objects() == set()


async def _put(blobs: Blobs, key: str, content: bytes) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield content

    await blobs.put(key, pieces(), content_type="application/octet-stream")
