"""Reading one task, and lists of them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from actors.contracts.task import CreateTask, DeleteTask, GetTask, ListTasks, Task, UpdateTask
from actors.contracts.task_comment import DeleteComment, UpdateComment
from actors.contracts.task_project import Project
from runtime.errors import Invalid, NotFound
from runtime.testing import Stage
from tests.actors.company import Company


async def titles(company: Company, caller: str | None = None, **filters: Any) -> list[str]:
    """Of all pages, two tasks a page."""
    query = ListTasks(limit=2, **filters)
    listed: list[str] = []
    cursor: str | None = None
    while True:
        page = await company.stage.ask(ListTasks(limit=2, cursor=cursor, **filters), caller=caller or company.ada)
        assert len(page.items) <= query.limit
        listed += [task.title for task in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return listed


async def test_the_tasks_of_one_tick_are_answered_each_for_itself(stage: Stage, company: Company) -> None:
    project = await company.project()
    tasks = await company.tasks(project, ["a", "b", "c"])
    wanted = [tasks[2].id, str(uuid.uuid4()), tasks[0].id, tasks[2].id]
    answers = await stage.ask_all([GetTask(id=id) for id in wanted], caller=company.ada)
    assert [answer.title if isinstance(answer, Task) else type(answer) for answer in answers] == [
        "c", NotFound, "a", "c",
    ]  # fmt: skip


async def test_b77_a_hidden_task_is_as_a_missing_one(stage: Stage, company: Company) -> None:
    task = await company.task(await company.project())
    for hidden in (task.id, str(uuid.uuid4())):
        with pytest.raises(NotFound, match=r"task\.not_found"):
            await stage.ask(GetTask(id=hidden), caller=company.eve)


async def test_a_viewer_reads_a_task(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob, "viewer")
    task = await company.task(project)
    assert await stage.ask(GetTask(id=task.id), caller=company.bob) == task


async def test_lists_show_the_tasks_of_the_callers_projects_newest_first(stage: Stage, company: Company) -> None:
    one, other = await company.project(), await company.project()
    await company.tasks(one, ["a", "b", "c"])
    await company.tasks(other, ["d", "e"])
    await company.join(other, company.bob, "viewer")
    assert await titles(company) == ["e", "d", "c", "b", "a"]
    assert await titles(company, sort="created_at") == ["a", "b", "c", "d", "e"]
    assert await titles(company, company.bob) == ["e", "d"]
    assert await titles(company, company.eve) == []
    assert await titles(company, project_id=[one.id]) == ["c", "b", "a"]
    assert await titles(company, project_id=[one.id, other.id, str(uuid.uuid4())]) == ["e", "d", "c", "b", "a"]
    assert await titles(company, company.bob, project_id=[one.id]) == []


async def test_a_page_takes_its_tasks_from_as_many_projects_as_there_are(company: Company) -> None:
    for title in "abcde":
        company.stage.advance(seconds=1)
        await company.task(await company.project(), title)
    assert await titles(company) == list("edcba")
    assert await titles(company, sort="created_at") == list("abcde")
    assert await titles(company, status=["done"]) == []


async def test_tasks_of_one_moment_are_listed_once_each(stage: Stage, company: Company) -> None:
    project = await company.project()
    commands = [CreateTask(project_id=project.id, title=str(n)) for n in range(7)]
    await stage.ask_all(commands, caller=company.ada)
    for sort in ("created_at", "-created_at", "due_at", "-due_at", "priority", "-priority"):
        listed = await titles(company, project_id=[project.id], sort=sort)
        assert sorted(listed) == [str(n) for n in range(7)]


@pytest.fixture
async def board(stage: Stage, company: Company) -> Project:
    """Five tasks that differ in everything one can filter by."""
    project = await company.project()
    await company.join(project, company.bob)
    parent = await company.task(project, "a", status="done", priority=1, due_at=datetime(2026, 12, 1, tzinfo=UTC))
    stage.advance(seconds=1)
    await company.task(project, "b", priority=4, assignee_ids=[company.ada], due_at=datetime(2026, 12, 2, tzinfo=UTC))
    stage.advance(seconds=1)
    await company.task(project, "c", status="in_review", assignee_ids=[company.bob, company.ada], parent_id=parent.id)
    stage.advance(seconds=1)
    await company.task(project, "d", priority=4, assignee_ids=[company.bob], due_at=datetime(2026, 12, 3, tzinfo=UTC))
    stage.advance(seconds=1)
    await company.task(project, "e", status="cancelled", parent_id=parent.id)
    return project


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"status": ["done", "in_review"]}, "ca"),
        ({"priority": [0]}, "ec"),
        ({"priority": [1, 4]}, "dba"),
        ({"priority": [4], "status": ["todo"], "assignee_id": ["me"]}, "b"),
        ({"assignee_id": ["me"]}, "cb"),
        ({"assignee_id": ["none"]}, "ea"),
        ({"assignee_id": ["none", "me"]}, "ecba"),
        ({"assignee_id": [str(uuid.UUID(int=0))]}, ""),
        ({"parent_id": ["none"]}, "dba"),
        ({"parent_id": [str(uuid.UUID(int=0))]}, ""),
        ({"label_id": [str(uuid.UUID(int=0))]}, ""),
        ({"due_before": datetime(2026, 12, 2, tzinfo=UTC)}, "a"),
        ({"due_after": datetime(2026, 12, 2, tzinfo=UTC)}, "d"),
        ({"due_before": datetime(1, 1, 1, tzinfo=UTC)}, ""),
        ({"created_after": datetime(2020, 1, 1, tzinfo=UTC)}, "edcba"),
        ({"updated_after": datetime(2120, 1, 1, tzinfo=UTC)}, ""),
        ({"sort": "due_at"}, "abdce"),
        ({"sort": "-due_at"}, "dbaec"),
        ({"sort": "priority"}, "ceabd"),
        ({"sort": "-priority"}, "dbaec"),
        ({"sort": "position"}, "abcde"),
        ({"sort": "-position"}, "edcba"),
        ({"sort": "updated_at"}, "abcde"),
        ({"deleted": True}, ""),
    ],
    ids=str,
)
async def test_a_list_meets_all_filters_in_the_order_asked_for(
    company: Company, board: Project, filters: dict[str, Any], expected: str
) -> None:
    assert "".join(await titles(company, project_id=[board.id], **filters)) == expected


async def test_a_parent_and_another_person_can_be_filtered_by(company: Company, board: Project) -> None:
    (parent,) = (await company.stage.ask(ListTasks(status=["done"]), caller=company.ada)).items
    assert await titles(company, parent_id=[parent.id]) == ["e", "c"]
    assert await titles(company, parent_id=[parent.id, "none"]) == list("edcba")
    assert await titles(company, assignee_id=[company.bob]) == ["d", "c"]


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "due_at", "-priority", "position"])
async def test_cursors_stay_in_place_while_rows_are_added(company: Company, board: Project, sort: Any) -> None:
    whole = await titles(company, project_id=[board.id], sort=sort)
    query = ListTasks(project_id=[board.id], sort=sort, limit=2)
    page = await company.stage.ask(query, caller=company.ada)
    company.stage.advance(seconds=1)
    await company.tasks(board, ["late", "later"])
    listed = [task.title for task in page.items]
    while page.next_cursor:
        query = ListTasks(project_id=[board.id], sort=sort, limit=2, cursor=page.next_cursor)
        page = await company.stage.ask(query, caller=company.ada)
        listed += [task.title for task in page.items]
    assert [title for title in listed if not title.startswith("late")] == whole


@pytest.mark.parametrize("change", [{"sort": "created_at"}, {"priority": [0]}, {"q": "x"}], ids=str)
async def test_b42_a_cursor_of_another_sort_or_filter_is_refused(
    company: Company, board: Project, change: dict[str, Any]
) -> None:
    page = await company.stage.ask(ListTasks(limit=2), caller=company.ada)
    assert page.next_cursor
    with pytest.raises(Invalid) as refusal:
        await company.stage.ask(ListTasks(limit=2, cursor=page.next_cursor, **change), caller=company.ada)
    assert refusal.value.code == "request.invalid"
    assert [fault.pointer for fault in refusal.value.faults] == ["?cursor"]


async def test_the_limit_may_change_from_page_to_page(company: Company, board: Project) -> None:
    page = await company.stage.ask(ListTasks(limit=1), caller=company.ada)
    rest = await company.stage.ask(ListTasks(limit=200, cursor=page.next_cursor), caller=company.ada)
    assert [task.title for task in page.items + rest.items] == list("edcba")


async def test_the_trash_is_a_list_of_its_own(company: Company, board: Project) -> None:
    (task,) = (await company.stage.ask(ListTasks(status=["in_review"]), caller=company.ada)).items
    await company.stage.ask(DeleteTask(id=task.id), caller=company.ada)
    assert await titles(company) == list("edba")
    assert await titles(company, deleted=True) == ["c"]
    assert await titles(company, company.eve, deleted=True) == []


# --------------------------------------------------------------------------------------------------- search


@pytest.fixture
async def shelf(company: Company) -> Project:
    project = await company.project()
    await company.task(project, "Crème brûlée", description="A dessert of the French kitchen")
    await company.task(project, "Bridge over the river", description="See example.com/path?x=1, 100% snake_case")
    await company.task(project, "Fix the bridge", description="river, over the")
    return project


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("creme", ["Crème brûlée"]),
        ("CRÈME Brulee", ["Crème brûlée"]),
        ("kitch*", ["Crème brûlée"]),
        ("kitch", []),
        ("bridge river", ["Fix the bridge", "Bridge over the river"]),
        ('"over the river"', ["Bridge over the river"]),
        ('"the bridge" river', ["Fix the bridge"]),
        ('"bridge river"', []),  # no phrase reaches from the title into the description
        ("example", ["Bridge over the river"]),
        ("snake", ["Bridge over the river"]),
        ("bridge creme", []),
        ("' OR 1=1--", []),
        ("100%", ["Bridge over the river"]),
        ("%", []),
        ("_", []),
        ('"', []),
        ("*", []),
        ('""', []),
        ('bridge "', ["Fix the bridge", "Bridge over the river"]),
        ("bridge AND NOT (river)", []),
        ("bridge & | ! :* <->", ["Fix the bridge", "Bridge over the river"]),
        ("", []),
        ("\\", []),
        ("x" * 500, []),
    ],
)
async def test_b44_a_search_is_words_phrases_and_prefixes_and_never_an_error(
    company: Company, shelf: Project, q: str, expected: list[str]
) -> None:
    assert sorted(await titles(company, q=q)) == sorted(expected)


async def test_a_search_sees_changes_and_deletions_at_once(company: Company, shelf: Project) -> None:
    (task,) = (await company.stage.ask(ListTasks(q="brulee"), caller=company.ada)).items
    await company.stage.ask(UpdateTask(id=task.id, title="Apple pie"), caller=company.ada)
    assert await titles(company, q="brulee") == []
    assert await titles(company, q="apple dessert") == ["Apple pie"]
    await company.stage.ask(DeleteTask(id=task.id), caller=company.ada)
    assert await titles(company, q="apple") == []


async def test_a_search_finds_nothing_of_others(company: Company, shelf: Project) -> None:
    assert await titles(company, company.eve, q="bridge") == []


async def test_a_very_long_word_is_stored_and_found(company: Company) -> None:
    project = await company.project()
    await company.task(project, "long", description="y" * 65_536)
    assert await titles(company, q="y" * 200) == ["long"]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("rivet", True),  # in a comment alone
        ("RIVÉT*", True),
        ("riv*", True),
        ("riv", False),
        ("bridge rivet", True),  # one in the title, one in a comment
        ("kitchen rivet", False),
        ("rust rivet", True),  # each in another comment
        ("riv* bri* 1887", True),  # comment, title, description
        ('"loose rivet"', True),
        ('"rivet rust"', False),  # no phrase reaches from one comment into the next
        ('"over the river" rivet', True),
        ("rivet absent", False),
        ("absent*  rivet", False),
    ],
)
async def test_a_search_looks_into_title_description_and_comments(company: Company, q: str, found: bool) -> None:
    project = await company.project()
    task = await company.task(project, "Bridge over the river", description="Built in 1887")
    for body in ("A loose rivet, again", "Rust everywhere"):
        await company.comment(task, body)
    await company.comment(await company.task(project, "Kitchen"), "Spoons")
    assert await titles(company, q=q) == ([task.title] if found else [])


async def test_a_search_sees_what_becomes_of_comments_at_once(stage: Stage, company: Company) -> None:
    comment = await company.comment(await company.task(await company.project(), "bridge"), "rivet")
    await stage.ask(UpdateComment(id=comment.id, body="bolt"), caller=company.ada)
    assert (await titles(company, q="rivet"), await titles(company, q="bolt bridge")) == ([], ["bridge"])
    await stage.ask(DeleteComment(id=comment.id), caller=company.ada)
    assert await titles(company, q="bolt") == []


async def test_b78_a_search_finds_no_comments_of_others(company: Company) -> None:
    await company.comment(await company.task(await company.project()), "rivet")
    assert await titles(company, company.eve, q="rivet") == []
    assert await titles(company, company.eve, q="land rivet") == []


async def test_a_list_is_of_those_who_carry_a_label(company: Company, board: Project) -> None:
    one, other = await company.label(board, "one"), await company.label(board, "other")
    await company.task(board, "f", label_ids=[one.id])
    await company.task(board, "g", label_ids=[other.id, one.id])
    await company.task(board, "h", label_ids=[other.id])
    assert sorted(await titles(company, label_id=[one.id])) == ["f", "g"]
    assert sorted(await titles(company, label_id=[one.id, other.id])) == ["f", "g", "h"]
    assert await titles(company, company.eve, label_id=[one.id]) == []
