"""Roles: what admins see and change of others, and what people see of each other."""

from __future__ import annotations

import asyncio
import uuid

import msgspec
import pytest
from msgspec import UNSET

from actors.contracts.user import User, UserUpdated
from actors.contracts.user_admin import ChangeUser, GetUser, ListAudit, ListUsers, Profile, PromoteUser
from actors.contracts.user_session import AccessMoved, GetAccessChanges
from actors.user_actor import UserActor
from config.settings import Settings
from runtime.errors import Conflict, Forbidden, NotFound, PreconditionFailed, Unauthenticated
from runtime.keys import Sealer
from runtime.testing import Stage
from tests.actors.people import PASSWORD, Person, alone, told
from tests.shelves import rows_of


@pytest.fixture
async def root(stage: Stage) -> Person:
    return await Person.admin(stage)


@pytest.fixture
async def ada(stage: Stage) -> Person:
    return await Person.register(stage)


@pytest.fixture
async def seen(stage: Stage) -> int:
    """Up to where edges have been told."""
    last = 0
    while changes := await told(stage, last):
        last = changes[-1].seq
    return last


# -------------------------------------------------------------------------------------------- changing


async def test_a_promoted_member_is_an_admin_and_edges_are_told(root: Person, ada: Person, seen: int) -> None:
    changed = await root.stage.ask(ChangeUser(id=ada.user.id, role="admin"), caller=root.caller)
    assert (changed.role, changed.version) == ("admin", 2)
    (change,) = await told(root.stage, seen)
    assert (change.account_id, change.role, change.active, change.ended) == (ada.user.id, "admin", None, [])
    update, moved = root.stage.events[-1], root.stage.beats[-1]
    assert isinstance(update, UserUpdated)
    assert moved == AccessMoved(last=change.seq)
    assert await ada.outcome(ListUsers()) == "ok"


async def test_b62_a_suspended_account_loses_its_sessions_and_edges_are_told(
    root: Person, ada: Person, seen: int
) -> None:
    tokens = await ada.sign_in()
    await root.stage.ask(ChangeUser(id=ada.user.id, status="suspended"), caller=root.caller)
    (change,) = await told(root.stage, seen)
    assert (change.role, change.active, change.ended) == (None, False, [tokens.session_id])
    assert await ada.refresh(tokens.refresh_token) == "auth.token_invalid"
    assert await ada.signs_in() == "user.suspended"
    await root.stage.ask(ChangeUser(id=ada.user.id, status="active"), caller=root.caller)
    assert (await told(root.stage, seen))[-1].active is True
    assert await ada.refresh(tokens.refresh_token) == "auth.token_invalid"
    assert await ada.signs_in() == "ok"


async def test_without_a_difference_nothing_happens(root: Person, ada: Person, seen: int) -> None:
    same = await root.stage.ask(ChangeUser(id=ada.user.id, role="member", status="active"), caller=root.caller)
    assert same == ada.user
    assert await told(root.stage, seen) == []


async def test_b79_members_are_forbidden_what_admins_do(ada: Person, root: Person) -> None:
    for message in (ListUsers(), ChangeUser(id=ada.user.id, role="admin"), ListAudit()):
        assert await ada.outcome(message) == "auth.forbidden"


async def test_what_counts_is_the_account_and_not_what_the_token_says(ada: Person) -> None:
    forged = Person(ada.stage, ada.user)
    caller = forged.caller.__class__(id=ada.user.id, role="admin")
    with pytest.raises(Forbidden):
        await ada.stage.ask(ListUsers(), caller=caller)


async def test_an_unknown_account_cannot_be_changed(root: Person) -> None:
    with pytest.raises(NotFound, match=r"user\.not_found"):
        await root.stage.ask(ChangeUser(id=str(uuid.uuid4()), role="admin"), caller=root.caller)


async def test_a_stale_version_changes_nothing(root: Person, ada: Person) -> None:
    with pytest.raises(PreconditionFailed):
        await root.stage.ask(ChangeUser(id=ada.user.id, role="admin", if_match=(7,)), caller=root.caller)
    await root.stage.ask(ChangeUser(id=ada.user.id, role="admin", if_match=(7, 1)), caller=root.caller)


async def test_the_last_active_admin_stays(root: Person, ada: Person) -> None:
    await alone(root.stage, root)
    for change in (ChangeUser(id=root.user.id, role="member"), ChangeUser(id=root.user.id, status="suspended")):
        with pytest.raises(Conflict, match=r"user\.last_admin"):
            await root.stage.ask(change, caller=root.caller)
    await root.stage.ask(ChangeUser(id=ada.user.id, role="admin"), caller=root.caller)
    await root.stage.ask(ChangeUser(id=ada.user.id, status="suspended"), caller=root.caller)
    with pytest.raises(Conflict, match=r"user\.last_admin"):  # a suspended one is none
        await root.stage.ask(ChangeUser(id=root.user.id, role="member"), caller=root.caller)


async def test_of_two_admins_who_demote_each_other_at_once_one_stays(root: Person) -> None:
    other = await Person.admin(root.stage)
    await alone(root.stage, root, other)
    codes = await asyncio.gather(
        root.outcome(ChangeUser(id=other.user.id, role="member")),
        other.outcome(ChangeUser(id=root.user.id, role="member")),
    )
    assert sorted(codes) == ["auth.forbidden", "ok"]


async def test_promoting_an_unknown_address_is_refused(stage: Stage) -> None:
    with pytest.raises(NotFound, match="no account with the address"):
        await stage.ask(PromoteUser(email="nobody@example.org"))


async def test_the_first_admin_of_the_settings_is_made_once(database: str | None) -> None:
    settings = Settings(argon2="8,1,1", admin_email="Root@example.org", admin_password=PASSWORD)
    async with Stage(UserActor(settings=settings, sealer=Sealer(b"a key of the tests"))) as stage:
        await stage.dispatches["user"].start()
        (row,) = await rows_of(stage.dispatches["user"].store, "account")
        assert (row["email"], row["role"]) == ("Root@example.org", "admin")
        root = await stage.ask(GetUser(id=row["id"]), caller=row["id"])
        assert root.email_verified is True


async def test_the_settings_make_nobody_an_admin_who_is_there_already() -> None:
    settings = Settings(argon2="8,1,1", admin_email="eve@example.org", admin_password=PASSWORD)
    user = UserActor(settings=Settings(argon2="8,1,1"), sealer=Sealer(b"a key of the tests"))
    async with Stage(user) as stage:
        eve = await Person.register(stage, "Eve", email="eve@example.org")
        user._first_admin = (settings.admin_email, settings.admin_password)
        await stage.dispatches["user"].start()
        assert await eve.outcome(ListUsers()) == "auth.forbidden"


# --------------------------------------------------------------------------------------------- listing


async def test_accounts_are_listed_newest_first_in_pages(root: Person) -> None:
    mark = uuid.uuid4().hex
    made = [(await Person.register(root.stage, f"{mark} {n}")).user.id for n in range(3)]
    first = await root.stage.ask(ListUsers(q=mark, limit=2), caller=root.caller)
    second = await root.stage.ask(ListUsers(q=mark, limit=2, cursor=first.next_cursor), caller=root.caller)
    assert [each.id for each in (*first.items, *second.items)] == made[::-1]
    assert second.next_cursor is None


async def found(root: Person, q: str) -> list[User]:
    return (await root.stage.ask(ListUsers(q=q), caller=root.caller)).items


@pytest.mark.parametrize("sign", ["%", "_", "!", "\\", "'", '"', "' OR 1=1--"])
async def test_b44_what_is_searched_stands_literally_in_the_name(root: Person, sign: str) -> None:
    mark = uuid.uuid4().hex
    with_it = await Person.register(root.stage, f"{mark}{sign}x")
    await Person.register(root.stage, f"{mark}yx")
    assert [each.id for each in await found(root, f"{mark}{sign}x")] == [with_it.user.id]


async def test_names_and_addresses_are_searched_in_any_case_of_letters(root: Person) -> None:
    mark = uuid.uuid4().hex
    ada = await Person.register(root.stage, f"ÄDA {mark}", email=f"Ada.{mark}@example.org")
    for q in (f"äda {mark}", f"ADA.{mark}@", f"{mark}@EXAMPLE.org"):
        assert [each.id for each in await found(root, q)] == [ada.user.id]
    assert await found(root, f"eda {mark}") == []


async def test_accounts_are_filtered_by_role_and_status(root: Person) -> None:
    mark = uuid.uuid4().hex
    ada, eve = [await Person.register(root.stage, f"{name} {mark}") for name in ("Ada", "Eve")]
    await root.stage.ask(ChangeUser(id=ada.user.id, role="admin"), caller=root.caller)
    await root.stage.ask(ChangeUser(id=eve.user.id, status="suspended"), caller=root.caller)

    async def ids(**filters: str) -> list[str]:
        query = ListUsers(q=mark, **filters)  # type: ignore[arg-type] # one of the words of either
        return [each.id for each in (await root.stage.ask(query, caller=root.caller)).items]

    assert await ids(role="admin") == [ada.user.id]
    assert await ids(status="suspended") == [eve.user.id]
    assert await ids(role="admin", status="suspended") == []


# ----------------------------------------------------------------------------------- what people see


async def test_owner_and_admin_see_all_of_an_account(root: Person, ada: Person) -> None:
    mine = await ada.stage.ask(GetUser(id=ada.user.id), caller=ada.caller)
    assert mine == await ada.stage.ask(GetUser(id=ada.user.id), caller=root.caller)
    assert (mine.email, mine.role, mine.version) == (ada.user.email, "member", 1)


async def test_b81_whoever_shares_a_project_sees_the_name_and_no_address(ada: Person, stage: Stage) -> None:
    bob = await Person.register(stage, "Bob")
    grant = stage.grant("task", "companion", bob.user.id, b"")
    shown = await stage.ask(GetUser(id=bob.user.id), caller=ada.caller, grants=[grant])
    assert shown == Profile(id=bob.user.id, name="Bob", avatar_url=None)
    assert shown.email is UNSET


async def test_others_do_not_exist(ada: Person, stage: Stage) -> None:
    bob, eve = await Person.register(stage, "Bob"), await Person.register(stage, "Eve")
    grant = stage.grant("task", "companion", eve.user.id, b"")  # on somebody else
    with pytest.raises(NotFound, match=r"user\.not_found"):
        await stage.ask(GetUser(id=bob.user.id), caller=ada.caller, grants=[grant])


async def test_nobody_sees_anybody(ada: Person) -> None:
    with pytest.raises(Unauthenticated):
        await ada.stage.ask(GetUser(id=ada.user.id))


# ---------------------------------------------------------------------------------------------- audit


async def test_the_audit_says_who_did_what_from_where(root: Person, ada: Person) -> None:
    await ada.signs_in("wrong")
    tokens = await ada.sign_in()
    await root.stage.ask(ChangeUser(id=ada.user.id, status="suspended"), caller=root.caller)
    entries = await root.audit(ada)
    assert [(each.action, each.actor_id, each.detail) for each in entries] == [
        ("user.registered", ada.user.id, ""),
        ("session.refused", None, ""),
        ("session.created", ada.user.id, tokens.session_id),
        ("user.status_changed", root.user.id, "suspended"),
        ("session.revoked", root.user.id, tokens.session_id),
    ]
    assert {(each.ip, each.user_agent) for each in entries[1:]} == {("203.0.113.7", "curl/8")}
    assert all(each.user_id == ada.user.id for each in entries)


async def test_the_audit_is_read_newest_first_in_pages_and_by_action(root: Person, ada: Person) -> None:
    ids = [(await ada.sign_in()).session_id for _ in range(3)]
    query = ListAudit(user_id=ada.user.id, action="session.created", limit=2)
    first = await root.stage.ask(query, caller=root.caller)
    second = await root.stage.ask(
        ListAudit(user_id=ada.user.id, action="session.created", limit=2, cursor=first.next_cursor), caller=root.caller
    )
    assert [each.detail for each in (*first.items, *second.items)] == ids[::-1]
    assert second.next_cursor is None


async def test_failed_sign_ins_to_no_account_are_forgotten_after_30_days_and_nothing_else_is(
    root: Person, ada: Person
) -> None:
    await ada.signs_in("wrong")
    stranger = Person(root.stage, msgspec.structs.replace(ada.user, email=f"{uuid.uuid4()}@example.org"))
    assert await stranger.signs_in() == "auth.invalid_credentials"

    async def of_nobody() -> int:
        rows = await root.stage.ask(ListAudit(action="session.refused", limit=200), caller=root.caller)
        return len([each for each in rows.items if each.user_id is None])

    before = await of_nobody()
    assert before >= 1
    root.stage.advance(hours=30 * 24 + 1)
    await root.stage.tick("user", "forget")
    assert await of_nobody() == 0
    assert [each.action for each in await root.audit(ada)] == ["user.registered", "session.refused"]


async def test_a_feed_that_grew_beyond_one_answer_is_read_in_several(
    root: Person, ada: Person, seen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.user_sessions.CHANGES", 2)
    for role in ("admin", "member", "admin"):
        await root.stage.ask(ChangeUser(id=ada.user.id, role=role), caller=root.caller)
    answer = await root.stage.ask(GetAccessChanges(after=seen))
    assert ([each.seq for each in answer.changes], answer.last) == ([seen + 1, seen + 2], seen + 2)
    assert [each.seq for each in await told(root.stage, answer.last)] == [seen + 3]
