"""Changing a password, and getting in again without one."""

from __future__ import annotations

import asyncio
import re
import uuid

import pytest

from actors.contracts.user import GetMe, Register, User, VerifyEmail
from actors.contracts.user_password import AskForReset, ChangePassword, ResetPassword
from actors.user_actor import UserActor
from config.settings import Settings
from runtime.errors import Forbidden, Invalid, Throttled
from runtime.keys import Sealer
from runtime.testing import Stage
from tests.actors.people import PASSWORD, Person, told
from tests.actors.town import ORIGIN, Town, part
from tests.shelves import alter
from tests.sql import sql

NEW = "a horse of another color"


@pytest.fixture
async def ada(town: Town) -> Person:
    """Somebody with a proven address."""
    ada = await Person.register(town.stage)
    await town.stage.drain()
    await town.stage.ask(VerifyEmail(token=_link(town, ada, "email-verifications")))
    await town.stage.drain()
    return ada


def _link(town: Town, person: Person, page: str) -> str:
    """The token of the last mail that has one for that page."""
    links = re.compile(rf"{ORIGIN}/{page}\?token=([\w-]{{43}})(?![\w-])")
    found: list[str] = [token for mail in town.mails(person.user.email) for token in links.findall(part(mail, "plain"))]
    return found[-1]


def subjects(town: Town, person: Person) -> list[str]:
    return [str(mail["Subject"]) for mail in town.mails(person.user.email)]


async def ask_for_token(town: Town, person: Person) -> str:
    await town.stage.ask(AskForReset(email=person.user.email.upper()), caller=person.anyone)
    await town.stage.drain()
    return _link(town, person, "password-resets")


# ---------------------------------------------------------------------------------------------- changing


async def test_a_changed_password_opens_and_the_old_one_does_not(town: Town, ada: Person) -> None:
    tokens, other = await ada.sign_in(), await ada.sign_in()
    caller = ada.with_session(tokens)
    await town.stage.ask(ChangePassword(current_password=PASSWORD, new_password=NEW), caller=caller)
    assert [await ada.signs_in(), await ada.signs_in(NEW)] == ["auth.invalid_credentials", "ok"]
    assert await ada.refresh(tokens.refresh_token) == "ok"
    assert await ada.refresh(other.refresh_token) == "auth.token_invalid"
    await town.stage.drain()
    assert subjects(town, ada)[-1] == "Your password was changed"


async def test_b62_a_changed_password_ends_all_other_sessions_and_edges_are_told(town: Town, ada: Person) -> None:
    tokens, other = await ada.sign_in(), await ada.sign_in()
    caller = ada.with_session(tokens)
    await town.stage.ask(ChangePassword(current_password=PASSWORD, new_password=NEW), caller=caller)
    assert (await told(town.stage, 0))[-1].ended == [other.session_id]


async def test_a_wrong_current_password_is_forbidden_and_changes_nothing(town: Town, ada: Person) -> None:
    with pytest.raises(Forbidden, match=r"auth\.invalid_credentials"):
        await town.stage.ask(ChangePassword(current_password="wrong", new_password=NEW), caller=ada.caller)
    assert await ada.signs_in() == "ok"


async def test_b67_wrong_current_passwords_count_like_failed_sign_ins(town: Town, ada: Person) -> None:
    wrong = ChangePassword(current_password="wrong", new_password=NEW)
    codes = [await ada.outcome(wrong) for _ in range(3)] + [await ada.signs_in("wrong") for _ in range(2)]
    assert codes == ["auth.invalid_credentials"] * 5
    assert await ada.outcome(ChangePassword(current_password=PASSWORD, new_password=NEW)) == "auth.throttled"
    assert await ada.signs_in() == "auth.throttled"


async def test_the_right_current_password_is_no_failure(town: Town, ada: Person) -> None:
    for _ in range(6):
        assert await ada.outcome(ChangePassword(current_password=PASSWORD, new_password=PASSWORD)) == "ok"


@pytest.mark.parametrize("password", ["password", "a\u0301e\u0301i\u0301o\u0301"])
async def test_b74_a_new_password_that_is_common_or_short_is_refused_where_it_stands(
    town: Town, ada: Person, password: str
) -> None:
    token = await ask_for_token(town, ada)
    for message, pointer in (
        (ChangePassword(current_password=PASSWORD, new_password=password), "/new_password"),
        (ResetPassword(token=token, password=password), "/password"),
    ):
        with pytest.raises(Invalid) as refusal:
            await town.stage.ask(message, caller=ada.caller)
        assert [fault.pointer for fault in refusal.value.faults] == [pointer]
    assert await ada.outcome(ResetPassword(token=token, password=NEW)) == "ok"


async def test_an_unproven_address_is_told_nothing_of_a_changed_password(town: Town) -> None:
    eve = await Person.register(town.stage, "Eve")
    await town.stage.ask(ChangePassword(current_password=PASSWORD, new_password=NEW), caller=eve.caller)
    await town.stage.drain()
    assert subjects(town, eve) == ["Confirm your e-mail address"]


# ---------------------------------------------------------------------------------------------- resetting


async def test_a_mailed_token_sets_a_new_password_once_and_ends_all_sessions(town: Town, ada: Person) -> None:
    tokens = await ada.sign_in()
    token = await ask_for_token(town, ada)
    assert subjects(town, ada)[-1] == "Set a new password"
    assert await ada.outcome(ResetPassword(token=token, password=NEW), ada.anyone) == "ok"
    assert [await ada.signs_in(), await ada.signs_in(NEW)] == ["auth.invalid_credentials", "ok"]
    assert await ada.refresh(tokens.refresh_token) == "auth.token_invalid"
    assert await ada.outcome(ResetPassword(token=token, password=PASSWORD), ada.anyone) == "user.token_invalid"


async def test_b72_of_many_uses_at_once_one_is_taken(town: Town, ada: Person) -> None:
    token = await ask_for_token(town, ada)
    codes = await asyncio.gather(*(ada.outcome(ResetPassword(token=token, password=NEW)) for _ in range(4)))
    assert sorted(codes) == ["ok", *["user.token_invalid"] * 3]


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "é", "\0"])
async def test_b72_a_guessed_token_is_refused(town: Town, ada: Person, token: str) -> None:
    assert await ada.outcome(ResetPassword(token=token, password=NEW)) == "user.token_invalid"


async def test_b72_a_new_token_voids_the_old_one(town: Town, ada: Person) -> None:
    old, new = await ask_for_token(town, ada), await ask_for_token(town, ada)
    assert await ada.outcome(ResetPassword(token=old, password=NEW)) == "user.token_invalid"
    assert await ada.outcome(ResetPassword(token=new, password=NEW)) == "ok"


async def test_b72_a_token_is_good_for_an_hour(town: Town, ada: Person) -> None:
    token = await ask_for_token(town, ada)
    town.stage.advance(hours=1)
    assert await ada.outcome(ResetPassword(token=token, password=NEW)) == "user.token_invalid"
    token = await ask_for_token(town, ada)
    town.stage.advance(hours=1, seconds=-1)
    assert await ada.outcome(ResetPassword(token=token, password=NEW)) == "ok"


async def test_b72_a_verification_token_resets_nothing(town: Town) -> None:
    eve = await Person.register(town.stage, "Eve")
    await town.stage.drain()
    token = _link(town, eve, "email-verifications")
    assert await eve.outcome(ResetPassword(token=token, password=NEW)) == "user.token_invalid"


async def test_a_changed_password_voids_tokens_that_were_mailed(town: Town, ada: Person) -> None:
    token = await ask_for_token(town, ada)
    await town.stage.ask(ChangePassword(current_password=PASSWORD, new_password=NEW), caller=ada.caller)
    assert await ada.outcome(ResetPassword(token=token, password=PASSWORD)) == "user.token_invalid"


async def test_b71_b76_known_and_unknown_addresses_get_one_answer_and_five_mails_an_hour(
    town: Town, ada: Person
) -> None:
    for email in (ada.user.email, f"{uuid.uuid4()}@example.org", "no address at all"):
        codes = [await ada.outcome(AskForReset(email=email), ada.anyone) for _ in range(6)]
        assert codes == ["ok"] * 5 + ["rate.limited"]
    await town.stage.drain()
    assert subjects(town, ada).count("Set a new password") == 5
    town.stage.advance(hours=1)
    assert await ada.outcome(AskForReset(email=ada.user.email)) == "ok"


async def test_b76_many_at_once_are_no_way_around_the_limit(town: Town, ada: Person) -> None:
    asked = (town.stage.ask(AskForReset(email=ada.user.email)) for _ in range(8))
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(result) for result in results].count(Throttled) == 3


async def test_a_suspended_account_is_mailed_no_token(town: Town, ada: Person) -> None:
    await alter(town.stage.dispatches["user"].store, "account", ada.user.id, status="suspended")
    assert await ada.outcome(AskForReset(email=ada.user.email)) == "ok"
    await town.stage.drain()
    assert "Set a new password" not in subjects(town, ada)


# ---------------------------------------------------------------------------------------- signing in again


async def test_a_sign_in_from_a_new_network_is_told_to_the_owner(town: Town, ada: Person) -> None:
    await ada.sign_in()
    await ada.sign_in()
    await town.stage.drain()
    assert not [each for each in subjects(town, ada) if "new place" in each]
    stranger = Person(town.stage, ada.user)
    await stranger.sign_in()
    await town.stage.drain()
    assert subjects(town, ada)[-1] == "Your account was signed in to from a new place: 203.0.113.7"


async def test_a_sign_in_hashes_anew_when_the_parameters_have_changed(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("rehash")

    async def stored(argon2: str, *, registers: bool = False) -> str:
        user = UserActor(settings=Settings(argon2=argon2), sealer=Sealer(b"a key of the tests"))
        async with Stage(user, store_url=lambda actor: f"sqlite:{folder}/{actor}.db") as stage:
            if registers:
                await stage.ask(Register(email="ada@example.org", password=PASSWORD, name="Ada"))
            (row,) = await sql(stage.dispatches["user"].store.reader).fetch("select id, email, password from account")
            await Person(stage, await _user(stage, row["id"])).sign_in()
            (row,) = await sql(stage.dispatches["user"].store.reader).fetch("select password from account")
            return str(row["password"])

    first = await stored("8,1,1", registers=True)
    assert await stored("8,1,1") == first
    assert (await stored("16,2,1")).startswith("$argon2id$v=19$m=16,t=2,p=1$")


async def _user(stage: Stage, id: str) -> User:
    return await stage.ask(GetMe(), caller=id)
