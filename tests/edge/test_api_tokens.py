"""API tokens at the edge: asked about once, remembered, and told of when they are used."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from actors.contracts.user_token import IdentifyToken, NoteTokenUse, TokenHolder
from edge import api_tokens
from edge.access import KEPT_S
from edge.api_tokens import ApiTokens
from edge.auth import Identity
from edge.problems import Problem
from edge.shared_tokens import APART_MS, KEPT_MS, SharedTokens
from runtime.actor import handles
from runtime.client import Client
from runtime.context import Clock, Context, system_clock
from runtime.drivers import cache_redis
from runtime.drivers.cache_memory import MemoryCache
from runtime.errors import Unauthenticated, Unavailable
from runtime.keys import Sealer
from runtime.ports import Cache
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
    """:ivar tokens: of an edge that shares with nobody."""

    def __init__(self, keeper: TokenKeeper, client: Client) -> None:
        self.keeper = keeper
        self._client = client
        self.cache = MemoryCache()
        self.tokens = self.edge(self.cache)

    def edge(self, cache: Cache, *, secret: bytes = b"a key of edges", clock: Clock = system_clock) -> ApiTokens:
        return ApiTokens(self._client, SharedTokens(cache, Sealer(secret), clock=clock), clock=clock)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    keeper = TokenKeeper()
    async with client_of(tmp_path, keeper) as client:
        yield Bench(keeper, client)


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
    await bench.cache.close()
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
            await Bench(TokenKeeper(), client).tokens.verify(TOKEN)


async def test_no_more_tokens_are_remembered_than_there_is_room_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_tokens, "MOST", 2)
    for digest in (b"1", b"2"):
        bench.tokens._remember(digest, api_tokens._Known(KNOWN, None, 0.0))
    await bench.tokens.verify(TOKEN)
    assert len(bench.tokens._known) == 2


# ------------------------------------------------------------------------------------------- shared


async def test_what_one_edge_was_told_another_need_not_ask(bench: Bench) -> None:
    cache = MemoryCache()
    one, other = bench.edge(cache), bench.edge(cache)
    assert await one.verify(TOKEN) == KNOWN
    assert await other.verify(TOKEN) == KNOWN
    assert bench.keeper.identified == 1


async def test_f32_an_emptied_cache_is_asked_around(bench: Bench) -> None:
    cache = MemoryCache()
    await bench.edge(cache).verify(TOKEN)
    await cache.close()
    assert await bench.edge(cache).verify(TOKEN) == KNOWN
    assert bench.keeper.identified == 2


async def test_f30_without_a_cache_each_edge_asks(bench: Bench, free_port: Callable[[], int]) -> None:
    away = cache_redis.connect(f"redis://127.0.0.1:{free_port()}", prefix="t")
    await away.open()
    one, other = bench.edge(away), bench.edge(away)
    assert await one.verify(TOKEN) == await other.verify(TOKEN) == KNOWN
    assert bench.keeper.identified == 2
    await away.close()


@pytest.mark.parametrize("later_ms", [KEPT_MS + 1, -APART_MS - 60_000], ids=["too old", "from a time to come"])
async def test_an_entry_that_somebody_has_kept_for_later_counts_no_more(bench: Bench, later_ms: int) -> None:
    cache = MemoryCache()  # whose own clock stands still, as it were: somebody puts the entry back
    await bench.edge(cache).verify(TOKEN)
    bench.keeper.revoked = True
    with pytest.raises(Problem, match="token_invalid"):
        await bench.edge(cache, clock=lambda: system_clock() + later_ms).verify(TOKEN)


async def test_an_entry_of_another_token_lets_nobody_in(bench: Bench) -> None:
    cache = MemoryCache()
    await bench.edge(cache).verify(TOKEN)
    (entry,) = [value for value, _ in cache._entries.values()]
    forged = TOKEN[:-1] + "5"
    shared = SharedTokens(cache, Sealer(b"a key of edges"), clock=system_clock)
    await cache.put({shared._key(hashlib.sha256(forged.encode()).digest()): entry}, ttl_ms=1000)
    with pytest.raises(Problem, match="token_invalid"):
        await bench.edge(cache).verify(forged)


@pytest.mark.parametrize("entry", [b"", b"x", b"\x00" * 100])
async def test_an_entry_that_was_not_sealed_by_an_edge_is_passed_over(bench: Bench, entry: bytes) -> None:
    cache = MemoryCache()
    await bench.edge(cache).verify(TOKEN)
    (name,) = cache._entries
    await cache.put({name.removeprefix(":"): entry}, ttl_ms=1000)
    bench.keeper.revoked = True
    with pytest.raises(Problem, match="token_invalid"):
        await bench.edge(cache).verify(TOKEN)


async def test_edges_with_another_key_share_nothing(bench: Bench) -> None:
    cache = MemoryCache()
    await bench.edge(cache).verify(TOKEN)
    await bench.edge(cache, secret=b"another key").verify(TOKEN)
    assert bench.keeper.identified == 2


async def test_the_cache_holds_no_token_and_says_of_none_whose_it_is(bench: Bench) -> None:
    cache = MemoryCache()
    await bench.edge(cache).verify(TOKEN)
    ((name, (entry, _)),) = cache._entries.items()
    for trace in (TOKEN.encode(), hashlib.sha256(TOKEN.encode()).digest(), USER.encode(), b"tasks:read"):
        assert trace not in name.encode() + entry
    assert hashlib.sha256(TOKEN.encode()).hexdigest() not in name


async def test_changes_are_remembered_for_longer_than_any_word_on_a_token() -> None:
    assert KEPT_MS + APART_MS + 1000 * api_tokens.REMEMBERED_S < 1000 * KEPT_S
