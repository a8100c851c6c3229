"""Changing one's own account, and erasing it."""

from __future__ import annotations

import uuid

import pytest

from actors.contracts.notify import ListNotifications
from actors.contracts.task import AssignTask, CreateTask, GetTask, ListTasks
from actors.contracts.task_comment import AddComment, ListComments
from actors.contracts.task_people import VouchForCompanion, VouchForDeparture
from actors.contracts.task_project import CreateProject, ListMembers, ListProjects, SetMember
from actors.contracts.user import DeleteMe, GetMe, UpdateMe, UserDeleted, UserUpdated
from actors.contracts.user_admin import ListUsers
from runtime.errors import Conflict, Forbidden, Invalid, NotFound, PreconditionFailed, Unauthenticated
from runtime.testing import Stage
from tests.actors.people import PASSWORD, Person, alone, told
from tests.actors.town import Town
from tests.shelves import rows_of
from tests.sql import sql


@pytest.fixture
async def ada(town: Town) -> Person:
    ada = await Person.register(town.stage)
    await town.stage.drain()
    return ada


@pytest.fixture
async def bob(town: Town) -> Person:
    bob = await Person.register(town.stage, "Bob")
    await town.stage.drain()
    return bob


# --------------------------------------------------------------------------------------------- changing


async def test_what_is_sent_changes_and_the_rest_stays(ada: Person) -> None:
    ada.stage.advance(seconds=1)
    changed = await ada.stage.ask(
        UpdateMe(name="Ada L.", timezone="Europe/London", phone="+441234567"), caller=ada.caller
    )
    assert (changed.name, changed.locale, changed.timezone, changed.phone) == (
        "Ada L.", "en", "Europe/London", "+441234567",
    )  # fmt: skip
    assert (changed.version, changed.updated_at > ada.user.updated_at) == (2, True)
    assert await ada.stage.ask(GetMe(), caller=ada.caller) == changed
    event = ada.stage.events[-1]
    assert isinstance(event, UserUpdated)
    assert (event.person.name, event.person.version) == ("Ada L.", 2)


@pytest.mark.parametrize("number", ["+9991234567", "+120255501234", "+331234567"])
async def test_a_telephone_number_that_cannot_exist_is_refused(ada: Person, number: str) -> None:
    with pytest.raises(Invalid) as error:
        await ada.stage.ask(UpdateMe(phone=number), caller=ada.caller)
    assert [fault.pointer for fault in error.value.faults] == ["/phone"]
    assert (await ada.stage.ask(GetMe(), caller=ada.caller)).phone is None


async def test_null_sets_the_default(ada: Person) -> None:
    await ada.stage.ask(UpdateMe(locale="de", timezone="Europe/Berlin", phone="+4930123456"), caller=ada.caller)
    changed = await ada.stage.ask(UpdateMe(locale=None, timezone=None, phone=None), caller=ada.caller)
    assert (changed.locale, changed.timezone, changed.phone) == ("en", "UTC", None)


async def test_without_a_difference_nothing_happens(ada: Person) -> None:
    assert await ada.stage.ask(UpdateMe(name=ada.user.name, phone=None), caller=ada.caller) == ada.user


async def test_a_stale_version_changes_nothing(ada: Person) -> None:
    with pytest.raises(PreconditionFailed):
        await ada.stage.ask(UpdateMe(name="Other", if_match=(2,)), caller=ada.caller)
    assert (await ada.stage.ask(UpdateMe(name="Other", if_match=(1, 2)), caller=ada.caller)).version == 2


async def test_an_unknown_zone_is_refused_where_it_stands(ada: Person) -> None:
    with pytest.raises(Invalid) as refusal:
        await ada.stage.ask(UpdateMe(timezone="Mars/Olympus"), caller=ada.caller)
    assert [fault.pointer for fault in refusal.value.faults] == ["/timezone"]


async def test_an_avatar_is_an_image_that_the_media_actor_vouches_for(ada: Person) -> None:
    id = str(uuid.uuid4())
    with pytest.raises(Invalid) as refusal:
        await ada.stage.ask(UpdateMe(avatar_media_id=id), caller=ada.caller)
    assert [fault.pointer for fault in refusal.value.faults] == ["/avatar_media_id"]
    grant = ada.stage.grant("media", "avatar", id, b"https://tasks.example.org/a.webp")
    changed = await ada.stage.ask(UpdateMe(avatar_media_id=id), caller=ada.caller, grants=[grant])
    assert changed.avatar_url == "https://tasks.example.org/a.webp"
    assert (await ada.stage.ask(UpdateMe(avatar_media_id=None), caller=ada.caller)).avatar_url is None


async def test_a_new_name_is_found_and_the_old_one_is_not(ada: Person) -> None:
    root, mark = await Person.admin(ada.stage), uuid.uuid4().hex
    await ada.stage.ask(UpdateMe(name=f"New {mark}"), caller=ada.caller)
    found = await ada.stage.ask(ListUsers(q=f"new {mark}"), caller=root.caller)
    assert [each.id for each in found.items] == [ada.user.id]


# ---------------------------------------------------------------------------------------------- erasing


async def leave(person: Person, password: str = PASSWORD) -> None:
    """With the task actor's word, as the edge brings it."""
    stage = person.stage
    grant = await stage.ask(VouchForDeparture(), caller=person.caller)
    await stage.ask(DeleteMe(password=password), caller=person.caller, grants=[grant])
    await stage.drain()


async def test_an_erased_account_is_gone_and_its_address_free(ada: Person) -> None:
    tokens = await ada.sign_in()
    await leave(ada)
    assert isinstance(ada.stage.events[-1], UserDeleted)
    assert ada.stage.events[-1] == UserDeleted(user_id=ada.user.id, version=2)
    assert await ada.signs_in() == "auth.invalid_credentials"
    assert await ada.refresh(tokens.refresh_token) == "auth.token_invalid"
    with pytest.raises(Unauthenticated):
        await ada.stage.ask(GetMe(), caller=ada.caller)
    again = await Person.register(ada.stage, email=ada.user.email)
    assert again.user.id != ada.user.id


async def test_b62_edges_are_told_of_an_erased_account(ada: Person) -> None:
    tokens = await ada.sign_in()
    await leave(ada)
    last = (await told(ada.stage, 0))[-1]
    assert (last.account_id, last.active, last.ended) == (ada.user.id, False, [tokens.session_id])


async def test_a_wrong_password_erases_nothing_and_counts_as_a_failure(ada: Person) -> None:
    for _ in range(5):
        with pytest.raises(Forbidden, match=r"auth\.invalid_credentials"):
            await leave(ada, "wrong")
    assert await ada.signs_in() == "auth.throttled"
    assert (await ada.stage.ask(GetMe(), caller=ada.caller)).id == ada.user.id


async def test_without_the_task_actors_word_nobody_leaves_and_the_right_password_is_no_failure(ada: Person) -> None:
    for _ in range(6):
        assert await ada.outcome(DeleteMe(password=PASSWORD)) == "project.last_owner"
    assert await ada.signs_in() == "ok"


async def test_the_last_active_admin_stays(town: Town) -> None:
    root = await Person.admin(town.stage)
    await alone(town.stage, root)
    with pytest.raises(Conflict, match=r"user\.last_admin"):
        await leave(root)


async def test_erasing_leaves_no_trace_of_where_an_account_was_used_in_the_audit(ada: Person) -> None:
    root = await Person.admin(ada.stage)
    await ada.sign_in()
    await leave(ada)
    entries = await root.audit(ada)
    assert [each.action for each in entries] == ["user.registered", "session.created", "user.deleted"]
    assert {(each.ip, each.user_agent) for each in entries} == {(None, None)}


async def test_no_row_of_the_user_actor_holds_anything_of_an_erased_person(town: Town) -> None:
    mark = uuid.uuid4().hex
    ada = await Person.register(town.stage, f"Ada {mark}", email=f"{mark}@example.org")
    await ada.stage.ask(UpdateMe(phone="+441234567"), caller=ada.caller)
    await town.stage.drain()
    await ada.sign_in()
    await leave(ada)
    for actor, tables in (
        ("user", ("account", "session", "known_network", "mailed_token", "audit", "audit_origin", "access_change")),
        ("task", ("person", "member", "assignee", "watcher")),
        ("notify", ("person", "notification", "mail")),
    ):
        for table in tables:
            assert mark not in repr(await rows_of(town.stage.dispatches[actor].store, table)), (actor, table)


# ------------------------------------------------------------------------------- what is left elsewhere


async def shared(ada: Person, bob: Person, role: str = "editor") -> tuple[str, str]:
    """A project of Ada's in which Bob takes part, and a task that Ada made in it; their ids."""
    stage = ada.stage
    project = await stage.ask(CreateProject(name="Apollo"), caller=ada.caller)
    await stage.ask(SetMember(id=project.id, user_id=bob.user.id, role=role), caller=ada.caller)  # type: ignore[arg-type] # a role
    task = await stage.ask(CreateTask(project_id=project.id, title="Land"), caller=ada.caller)
    await stage.ask(AssignTask(id=task.id, user_id=ada.user.id), caller=ada.caller)
    await stage.drain()
    return project.id, task.id


async def test_the_only_owner_of_a_project_with_others_stays(ada: Person, bob: Person) -> None:
    project_id, _ = await shared(ada, bob)
    with pytest.raises(Conflict, match=r"project\.last_owner"):
        await ada.stage.ask(VouchForDeparture(), caller=ada.caller)
    await ada.stage.ask(SetMember(id=project_id, user_id=bob.user.id, role="owner"), caller=ada.caller)
    await leave(ada)


async def test_what_was_written_stays_as_that_of_a_deleted_user(ada: Person, bob: Person) -> None:
    project_id, task_id = await shared(ada, bob, "owner")
    await ada.stage.ask(AddComment(id=task_id, body="Mind the dust"), caller=ada.caller)
    await ada.stage.drain()
    await leave(ada)
    task = await ada.stage.ask(GetTask(id=task_id), caller=bob.caller)
    assert (task.title, task.created_by, task.assignee_ids) == ("Land", ada.user.id, [])
    (comment,) = (await ada.stage.ask(ListComments(id=task_id), caller=bob.caller)).items
    assert (comment.body, comment.author_id, comment.author_name) == ("Mind the dust", ada.user.id, "deleted user")
    members = (await ada.stage.ask(ListMembers(id=project_id), caller=bob.caller)).items
    assert [each.user_id for each in members] == [bob.user.id]
    notified = (await ada.stage.ask(ListNotifications(), caller=bob.caller)).items
    assert notified
    assert not any("Ada" in each.title for each in notified)


async def test_a_project_that_nobody_is_left_in_goes_with_its_last_member(ada: Person) -> None:
    project = await ada.stage.ask(CreateProject(name="Alone"), caller=ada.caller)
    await ada.stage.ask(CreateTask(project_id=project.id, title="Nobody's"), caller=ada.caller)
    await leave(ada)
    assert (await ada.stage.ask(ListTasks(), caller=ada.caller)).items == []
    rows = await sql(ada.stage.dispatches["task"].store.reader).fetch(
        "select * from task where project_id = $1", project.id
    )
    assert rows == []


async def test_a_project_never_stays_without_an_owner(ada: Person, bob: Person) -> None:
    """They became the only owner between the task actor's word and the deletion."""
    grant = await ada.stage.ask(VouchForDeparture(), caller=ada.caller)
    await shared(ada, bob, "viewer")
    await ada.stage.ask(DeleteMe(password=PASSWORD), caller=ada.caller, grants=[grant])
    await ada.stage.drain()
    (project,) = (await ada.stage.ask(ListProjects(), caller=bob.caller)).items
    assert project.role == "owner"


async def test_an_older_event_brings_nothing_erased_back(ada: Person, bob: Person) -> None:
    await shared(ada, bob, "owner")
    await ada.stage.ask(UpdateMe(name="Ada the Second"), caller=ada.caller)
    update = ada.stage.events[-1]
    assert isinstance(update, UserUpdated)
    await leave(ada)
    await ada.stage.given(update)
    for actor in ("task", "notify"):
        (row,) = await sql(ada.stage.dispatches[actor].store.reader).fetch(
            "select name from person where id = $1", ada.user.id
        )
        assert row["name"] == "deleted user"


# ----------------------------------------------------------------------------------------- companions


async def test_the_task_actor_vouches_for_those_who_share_a_project(ada: Person, bob: Person, stage: Stage) -> None:
    with pytest.raises(NotFound, match=r"user\.not_found"):
        await ada.stage.ask(VouchForCompanion(user_id=bob.user.id), caller=ada.caller)
    await shared(ada, bob, "viewer")
    for one, other in ((ada, bob), (bob, ada)):
        grant = await ada.stage.ask(VouchForCompanion(user_id=other.user.id), caller=one.caller)
        assert (grant.issuer, grant.fact, grant.subject) == ("task", "companion", other.user.id)
