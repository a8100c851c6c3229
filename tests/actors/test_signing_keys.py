"""Signing keys: the next one takes its turn, and nobody's token is refused for it (F47)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import jwt
import pytest

from actors.contracts.user import GetJwks, GetPublicKeys, RotateKeys
from actors.user_actor import UserActor
from actors.user_keys import KEY_KEPT_MS, READY_MS
from config.settings import Settings
from runtime.keys import Sealer
from runtime.testing import Stage
from tests.actors.people import Person


@pytest.fixture
async def alone() -> AsyncIterator[Stage]:
    """A user actor whose keys no other test has rotated."""
    async with Stage(UserActor(settings=Settings(argon2="8,1,1"), sealer=Sealer(b"a key of the tests"))) as stage:
        yield stage


@pytest.fixture
async def ada(alone: Stage) -> Person:
    alone.advance(hours=1)  # the first key is older than any that a test makes
    return await Person.register(alone)


async def signed_by(ada: Person) -> str:
    kid: str = jwt.get_unverified_header((await ada.sign_in()).access_token)["kid"]
    return kid


async def kids(ada: Person) -> list[str]:
    """Newest first."""
    return [key.kid for key in await ada.stage.ask(GetPublicKeys())]


async def test_the_first_key_signs_at_once(ada: Person) -> None:
    assert [await signed_by(ada)] == await kids(ada)


async def test_f47_a_new_key_is_public_before_it_signs(ada: Person) -> None:
    (old,) = await kids(ada)
    new = (await ada.stage.ask(RotateKeys())).kid
    assert await kids(ada) == [new, old]
    assert await signed_by(ada) == old
    ada.stage.advance(seconds=READY_MS / 1000)
    assert await signed_by(ada) == new


async def test_f47_of_three_in_a_row_each_takes_its_turn(ada: Person) -> None:
    made = []
    for _ in range(3):
        made.append((await ada.stage.ask(RotateKeys())).kid)
        ada.stage.advance(seconds=10)
    signed = []
    for _ in range(6):
        ada.stage.advance(seconds=5)
        signed.append(await signed_by(ada))
    assert list(dict.fromkeys(signed))[-3:] == made


async def test_f47_a_key_stays_public_for_longer_than_its_tokens_live(ada: Person) -> None:
    (old,) = await kids(ada)
    new = (await ada.stage.ask(RotateKeys())).kid
    ada.stage.advance(seconds=KEY_KEPT_MS / 1000 - 1)
    await ada.stage.tick("user", "forget")
    assert await kids(ada) == [new, old]
    ada.stage.advance(seconds=2)
    await ada.stage.tick("user", "forget")
    assert await kids(ada) == [new]
    assert await signed_by(ada) == new


async def test_the_keys_are_shown_as_a_jwk_set_that_proves_tokens(ada: Person) -> None:
    (key,) = (await ada.stage.ask(GetJwks())).keys
    assert (key.kty, key.crv, key.use, key.alg) == ("EC", "P-256", "sig", "ES256")
    public = jwt.PyJWK({name: getattr(key, name) for name in key.__struct_fields__})
    token = (await ada.sign_in()).access_token
    claims = jwt.decode(
        token,
        public,
        algorithms=["ES256"],
        options={"verify_exp": False, "verify_iat": False, "verify_aud": False},  # the stage has a clock of its own
    )
    assert claims["sub"] == ada.user.id
