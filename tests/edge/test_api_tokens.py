"""API tokens at the edge: asked about once, remembered, and told of when they are used."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actors.contracts.user_token import IdentifyToken, NoteTokenUse, TokenHolder
from edge import api_tokens
from edge.api_tokens import ApiTokens
from edge.auth import Identity
from edge.problems import Problem
from runtime.actor import handles
from runtime.context import Context, system_clock
from runtime.errors import Unauthenticated, Unavailable
from tests.edge.key_keeper import SESSION, USER, KeyKeeper, NoRecords
from tests.edge.stand import client_of

TOKEN = "trp_5YnIx2pdCt52aKPht3olRavJqq9YJBYwjdH07AWsPC4"
KNOWN = Identity(USER, "member", SESSION, frozenset({"tasks:read"}))


class TokenKeeper(KeyKeeper):
    """Knows one token, and counts what it is asked and told."""

    def __init__(self) -> None:
        super().__init__()
        self.identified = self.used = 0
        self.revoked = False
        self.expires_at: int | None = None

    @handles
    async def identify(self, query: IdentifyToken, ctx: Context[NoRecords]) -> TokenHolder:
        self.identified += 1
        if self.revoked or query.digest != hashlib.sha256(TOKEN.encode()).digest():
            raise Unauthenticated("auth.token_invalid")
        return TokenHolder(
            id=SESSION, account_id=USER, role="member", scopes=["tasks:read"], expires_at=self.expires_at
        )

    @handles
    async def note(self, command: NoteTokenUse, ctx: Context[NoRecords]) -> None:
        assert command.id == SESSION
        self.used += 1


class Bench:
    def __init__(self, keeper: TokenKeeper, tokens: ApiTokens) -> None:
        self.keeper = keeper
        self.tokens = tokens


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    keeper = TokenKeeper()
    async with client_of(tmp_path, keeper) as client:
        yield Bench(keeper, ApiTokens(client, clock=system_clock))


async def test_a_token_is_looked_up_once_and_its_use_told_once_a_minute(bench: Bench) -> None:
    for _ in range(10):
        assert await bench.tokens.verify(TOKEN) == KNOWN
    assert (bench.keeper.identified, bench.keeper.used) == (1, 1)


async def test_use_is_told_again_after_a_while(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_tokens, "NOTED_S", -1.0)
    for _ in range(3):
        await bench.tokens.verify(TOKEN)
    assert bench.keeper.used == 3


async def test_a_token_is_looked_up_again_after_a_while(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_tokens, "REMEMBERED_S", -1.0)
    await bench.tokens.verify(TOKEN)
    bench.keeper.revoked = True
    with pytest.raises(Problem, match="token_invalid"):
        await bench.tokens.verify(TOKEN)
    assert bench.keeper.used == 1


@pytest.mark.parametrize("token", ["trp_", "trp_" + "A" * 43, TOKEN + "x", "trp_\udcff", "trp_" + "x" * 8000])
async def test_b58_what_is_no_token_is_refused(bench: Bench, token: str) -> None:
    with pytest.raises(Problem) as refusal:
        await bench.tokens.verify(token)
    assert (refusal.value.status, refusal.value.code) == (401, "auth.token_invalid")


async def test_a_remembered_token_ends_with_its_time(bench: Bench) -> None:
    bench.keeper.expires_at = system_clock() + 3_600_000
    await bench.tokens.verify(TOKEN)
    bench.tokens._clock = lambda: system_clock() + 3_600_000
    with pytest.raises(Problem, match="token_invalid"):
        await bench.tokens.verify(TOKEN)


async def test_a_token_that_cannot_be_looked_up_is_no_bad_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_tokens, "BUDGET_MS", 50)
    async with client_of(tmp_path) as client:
        with pytest.raises(Unavailable):
            await ApiTokens(client, clock=system_clock).verify(TOKEN)


async def test_no_more_tokens_are_remembered_than_there_is_room_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_tokens, "MOST", 2)
    for digest in (b"1", b"2"):
        bench.tokens._remember(digest, api_tokens._Known(KNOWN, None, 0.0))
    await bench.tokens.verify(TOKEN)
    assert len(bench.tokens._known) == 2
