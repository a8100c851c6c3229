"""What is marked `Secret` is sealed wherever it is stored, and given in the clear to whom it is for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from runtime.connect import store_at
from runtime.context import system_clock
from runtime.errors import Later, MessageError, SettingError
from runtime.keys import Keys, Sealer, derive, sign_grant
from runtime.message import Grant, Page, Secret, encode, holds_secret
from runtime.parked import ParkedLoop
from runtime.verdict import Settle
from tests.unit.counter import MIGRATIONS, Added, Issue, Issued, Keep, Token
from tests.unit.house import House, answer, envelope

CANARY = "canary-4d1f09"


@pytest.fixture
async def kept_in(tmp_path: Path) -> AsyncIterator[tuple[House, Path]]:
    store = store_at(f"sqlite:{tmp_path}/counter.db", "counter", system_clock)
    await store.open()
    await store.migrate(MIGRATIONS)
    yield House(store), tmp_path
    await store.close()


def bytes_of(folder: Path) -> bytes:
    """The database with its log."""
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


async def test_a_secret_is_nowhere_in_the_file_in_the_clear(kept_in: tuple[House, Path]) -> None:
    house, folder = kept_in

    async def during(name: str) -> None:
        raise Later(3600)

    house.actor.during = during
    request = envelope(Issue(token=CANARY))
    made = await house.one(request)
    for sent in house.sent():
        assert CANARY.encode() in sent.body, "it goes out in the clear"
        assert await house.one(sent) is Settle.DONE
    await house.one(Added(name="no-secret-77", value=1))
    assert (await house.store.counts())["parked"] == 3
    file = bytes_of(folder)
    assert CANARY.encode() not in file
    assert b"no-secret-77" in file, "the search finds what is not sealed"
    assert answer(made, Token).token == CANARY
    assert encode(await house.one(request)) == encode(made), "replayed in the clear"


async def test_a_sealed_message_is_tried_again_in_the_clear(house: House) -> None:
    seen: list[str] = []

    async def during(name: str) -> None:
        seen.append(name)
        if len(seen) == 1:
            raise Later(0)

    house.actor.during = during
    await house.one(Issued(token=CANARY))
    assert await ParkedLoop(house.dispatch).step() == 1
    assert seen == [CANARY, CANARY]
    assert await house.total("issued") == 1


class Inner(msgspec.Struct):
    key: Secret


class Tree(msgspec.Struct):
    children: list["Tree"]  # noqa: UP037 # msgspec resolves it by name
    name: str = ""


@pytest.mark.parametrize(
    "tp",
    [
        Token, Issue, Keep, Secret, Annotated[Secret, msgspec.Meta(max_length=5)], list[Inner], dict[str, Inner],
        dict[Secret, int], Inner | None, tuple[Inner, int], tuple[Inner, ...], Page[Inner], list[dict[str, Inner | None]],
    ],
)  # fmt: skip
def test_a_secret_is_found_at_any_depth(tp: object) -> None:
    assert holds_secret(tp)


@pytest.mark.parametrize("tp", [Added, Tree, str, None, list[str], tuple[int, str], Page[Added]])
def test_what_holds_no_secret_is_not_sealed(tp: object) -> None:
    assert not holds_secret(tp)


# ------------------------------------------------------------------------------------------------------ keys


def test_each_actor_has_a_key_of_its_own_from_the_master_secret() -> None:
    keys = Keys(b"master")
    assert keys.of("a") == derive(b"master", "actor:a") != keys.of("b")
    assert Keys(None, {"a": keys.of("a")}).of("a") == keys.of("a")


def test_derivation_is_the_expand_step_of_hkdf() -> None:
    assert derive(b"k" * 32, "actor:a") == HKDFExpand(SHA256(), 32, b"actor:a").derive(b"k" * 32)


def test_a_process_with_one_key_has_no_other() -> None:
    with pytest.raises(SettingError, match="no key for 'b'"):
        Keys(None, {"a": b"k"}).of("b")


@pytest.mark.parametrize("change", ["issuer", "fact", "subject", "value", "expires_in", "mac"])
def test_a_grant_that_was_changed_is_refused(change: str) -> None:
    keys = Keys(b"master")
    grant = sign_grant(keys.of("a"), Grant("a", "fact", "subject", b"value", 5000))
    keys.check(grant)
    other = {"expires_in": 6000, "value": b"other", "mac": b"other", "issuer": "b"}.get(change, "other")
    with pytest.raises(MessageError, match="not signed"):
        keys.check(msgspec.structs.replace(grant, **{change: other}))


def test_what_was_sealed_opens_with_its_key_alone_and_unchanged() -> None:
    sealer = Sealer(b"key")
    sealed = sealer.seal(b"plain")
    assert sealer.unseal(sealed) == b"plain"
    assert sealed != sealer.seal(b"plain"), "no two are alike"
    for opener, changed in ((Sealer(b"other"), sealed), (sealer, sealed[:-1] + b"?")):
        with pytest.raises(MessageError, match="SECRET_KEY"):
            opener.unseal(changed)
    for short in (b"", b"\x01", b"\x01123"):
        with pytest.raises(MessageError):
            sealer.unseal(short)
