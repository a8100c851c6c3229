"""Projects and who takes part in them."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from actors.contracts.task_project import CreateProject, ListProjects, MemberAdded, SetMember
from actors.contracts.user import Person, Register, UserCreated, UserUpdated
from actors.project_keys import candidates
from runtime.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from runtime.testing import Stage
from tests.actors.company import Company


async def test_the_creator_owns_a_project(stage: Stage, company: Company) -> None:
    project = await company.project("Website relaunch", description="all of it")
    assert (project.name, project.description, project.key) == ("Website relaunch", "all of it", "WR")
    assert (project.role, project.created_by, project.version) == ("owner", company.ada, 1)
    assert (await stage.ask(ListProjects(), caller=company.ada)).items == [project]
    assert (await stage.ask(ListProjects(), caller=company.eve)).items == []


async def test_a_project_needs_someone_to_own_it(stage: Stage) -> None:
    with pytest.raises(Unauthenticated, match=r"auth\.required"):
        await stage.ask(CreateProject(name="Nobody's"))


async def test_a_key_is_unique_among_the_projects_of_one_creator(stage: Stage, company: Company) -> None:
    await company.project(key="MOON")
    with pytest.raises(Conflict, match=r"project\.key_taken"):
        await company.project(key="MOON")
    assert (await stage.ask(CreateProject(name="Other", key="MOON"), caller=company.bob)).key == "MOON"


async def test_a_made_key_is_numbered_until_it_is_free_also_for_many_at_once(stage: Stage, company: Company) -> None:
    await company.project("Apollo")
    made = await asyncio.gather(*(company.project("Apollo") for _ in range(5)))
    assert sorted(project.key for project in made) == ["APOL2", "APOL3", "APOL4", "APOL5", "APOL6"]


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("Apollo", "APOL", "APOL2"),
        ("Étude d'été", "EDE", "EDE2"),
        ("a b c d e f g h i j k l", "ABCDEFGHIJ", "ABCDEFGHI2"),
        ("X", "PROJECT", "PROJECT2"),
        ("日本語", "PROJECT", "PROJECT2"),
    ],
)
def test_a_key_is_made_of_the_name(name: str, first: str, second: str) -> None:
    keys = candidates(name)
    assert (next(keys), next(keys)) == (first, second)


async def test_projects_are_listed_newest_first_in_pages_that_stay_in_place(stage: Stage, company: Company) -> None:
    names = ["one", "two", "three", "four", "five"]
    for name in names:
        stage.advance(seconds=1)
        await company.project(name)
    page = await stage.ask(ListProjects(limit=2), caller=company.ada)
    stage.advance(seconds=1)
    await company.project("late")
    listed = [project.name for project in page.items]
    while page.next_cursor:
        page = await stage.ask(ListProjects(limit=2, cursor=page.next_cursor), caller=company.ada)
        listed += [project.name for project in page.items]
    assert listed == names[::-1]


@pytest.mark.parametrize("cursor", ["x", "é", "AAAA", "k8QIAAAAAAAAAAABoXg"])
async def test_b42_a_forged_cursor_is_refused(stage: Stage, company: Company, cursor: str) -> None:
    with pytest.raises(Invalid) as refusal:
        await stage.ask(ListProjects(cursor=cursor), caller=company.ada)
    assert [fault.pointer for fault in refusal.value.faults] == ["?cursor"]


# -------------------------------------------------------------------------------------------------- members


async def test_a_member_is_added_on_the_word_of_the_user_actor_and_told_once(stage: Stage, company: Company) -> None:
    project = await company.project()
    member = await company.join(project, company.bob, "viewer")
    assert (member.user_id, member.name, member.role) == (company.bob, "Someone", "viewer")
    again = await company.join(project, company.bob, "editor")
    assert (again.role, again.added_at) == ("editor", member.added_at)
    opened, *told = company.events()
    assert isinstance(opened, MemberAdded)  # the owner, of a project of their own
    assert told == [
        MemberAdded(
            project_id=project.id,
            project_name="Apollo",
            user_id=company.bob,
            role="viewer",
            actor_id=company.ada,
            at=member.added_at,
        )
    ]
    (seen,) = (await stage.ask(ListProjects(), caller=company.bob)).items
    assert seen.role == "editor"


async def test_a_member_is_added_from_the_own_copy_while_the_user_actor_is_away(stage: Stage, company: Company) -> None:
    project = await company.project()
    user = await stage.ask(Register(email=f"{uuid.uuid4()}@example.org", password="correct horse", name="Bob"))
    await stage.drain()
    member = await stage.ask(SetMember(id=project.id, user_id=user.id, role="editor"), caller=company.ada)
    assert member.name == "Bob"


@pytest.mark.parametrize("newer_first", [False, True])
async def test_a_newer_copy_of_a_person_wins_in_any_order(stage: Stage, company: Company, newer_first: bool) -> None:
    created = UserCreated(person=Person(id=company.bob, name="old", active=True, version=1))
    updated = UserUpdated(person=Person(id=company.bob, name="new", active=True, version=2))
    await stage.given(*([updated, created] if newer_first else [created, updated]))
    project = await company.project()
    member = await stage.ask(SetMember(id=project.id, user_id=company.bob, role="editor"), caller=company.ada)
    assert member.name == "new"


async def test_an_unknown_or_inactive_person_cannot_take_part(stage: Stage, company: Company) -> None:
    project = await company.project()
    await stage.given(UserCreated(person=Person(id=company.bob, name="Bob", active=False, version=1)))
    for stranger in (company.bob, company.eve):
        with pytest.raises(NotFound, match=r"user\.not_found"):
            await stage.ask(SetMember(id=project.id, user_id=stranger, role="editor"), caller=company.ada)


async def test_b77_who_does_not_see_a_project_learns_nothing_of_it(stage: Stage, company: Company) -> None:
    project = await company.project()
    for hidden in (project.id, str(uuid.uuid4())):
        with pytest.raises(NotFound, match=r"project\.not_found"):
            await stage.ask(SetMember(id=hidden, user_id=company.eve, role="owner"), caller=company.eve)


async def test_only_owners_change_who_takes_part(stage: Stage, company: Company) -> None:
    project = await company.project()
    await company.join(project, company.bob, "editor")
    with pytest.raises(Forbidden, match=r"auth\.forbidden"):
        await stage.ask(SetMember(id=project.id, user_id=company.bob, role="owner"), caller=company.bob)


async def test_the_last_owner_stays(stage: Stage, company: Company) -> None:
    project = await company.project()
    with pytest.raises(Conflict, match=r"project\.last_owner"):
        await company.join(project, company.ada, "editor")
    await company.join(project, company.bob, "owner")
    assert (await company.join(project, company.ada, "editor")).role == "editor"


async def test_of_two_owners_who_step_down_at_once_one_stays(stage: Stage, company: Company) -> None:
    for _ in range(5):
        project = await company.project()
        await company.join(project, company.bob, "owner")
        await stage.given(
            *(UserCreated(person=Person(id=id, name="x", active=True, version=9)) for id in (company.ada, company.bob))
        )
        results = await asyncio.gather(
            *(
                stage.ask(SetMember(id=project.id, user_id=id, role="viewer"), caller=id)
                for id in (company.ada, company.bob)
            ),
            return_exceptions=True,
        )
        assert [type(result) for result in results].count(Conflict) == 1
