"""What tokens cannot know: sessions that have ended since, roles that have changed, accounts that may not come in now.

The edge follows the user actor's feed of such changes, which are numbered in the order of their commits, so that
nothing is missed. An event to every edge says up to where the feed reaches, at each change and as the actor's beat; who
knows less asks for the rest. At the start and after a reconnect the edge asks, and nobody comes in before the answer.
When nothing was heard for `SILENT_S`, each call asks. When there is no answer to be had, what is known stands: nobody
can end a session without the actor that does it.
"""

from __future__ import annotations

import asyncio

import msgspec

from actors.contracts.user import ACCESS_TOKEN_S, Role
from actors.contracts.user_session import AccessChange, AccessChanges, AccessMoved, GetAccessChanges
from edge.auth import Identity, refused
from runtime.client import Client
from runtime.errors import BrokerAway, Unavailable
from runtime.message import Event
from runtime.waiting import wait

AGAIN_S = 0.3
"""After a question that was not answered, or not up to where the feed is said to reach."""

SILENT_S = 1.0
"""Without an answer or a beat: after that, calls ask by themselves."""

BUDGET_MS = 900
"""How long one question waits for its answer."""

KEPT_S = 2 * ACCESS_TOKEN_S
"""How long a change is remembered: every token that does not know of it has expired by then."""


class _Standing(msgspec.Struct, frozen=True):
    """What an account is now, and not what its tokens say; None: what they say."""

    role: Role | None
    active: bool | None


class Access:
    """Follows the feed. `run` is its loop, for a supervisor."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._after: int | None = None
        self._reaches = 0  # up to where the feed is said to
        self._news = asyncio.Event()
        self._heard_at = float("-inf")
        self._reachable = True
        self._known = False
        self._connection = 0
        self._asking: asyncio.Task[None] | None = None
        # the keys of both in the order of time; values end with when they may be forgotten, by the loop's clock
        self._ended: dict[str, float] = {}
        self._standings: dict[str, tuple[_Standing, float]] = {}

    @property
    def word(self) -> str:
        """For /readyz: `ok` once the changes that came before are known."""
        return "ok" if self._known else "not known yet: the user actor has not answered"

    async def watch(self) -> None:
        """Hear of changes from now on. Before `run`."""
        await self._client.watch([AccessMoved], self._heard, anew=self._anew)

    async def run(self) -> None:
        """For ever: ask for what is new, or what nothing was heard of."""
        while True:
            self._news.clear()
            if self._behind or self._silent:
                await self.refresh()
            await wait(self._news, AGAIN_S if self._behind or self._silent else SILENT_S)

    async def refresh(self, *, budget_ms: int = BUDGET_MS) -> None:
        """Ask for what is new, once for all who want to know at the moment. Never raises but for cancellation."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(budget_ms))
            self._asking.add_done_callback(self._asked)
        await asyncio.shield(self._asking)

    async def catch_up(self) -> None:
        """Likewise, for all that was committed before this call: an answer that is on its way may be older."""
        if self._asking is not None:
            await self.refresh()
        await self.refresh()

    async def check(self, identity: Identity) -> Identity:
        """The same, with the role that the account has now.

        :raises Problem: 401, its session or API token has ended, or its account may not come in.
        :raises Unavailable: nothing was ever heard of the user actor.
        """
        if not self._known or (self._silent and self._reachable):
            await self.refresh()
        if not self._known:
            raise Unavailable("who has signed out is not known yet")
        standing, _ = self._standings.get(identity.user_id, (None, 0.0))
        if identity.credential_id in self._ended or (standing is not None and standing.active is False):
            raise refused()
        if standing is None or standing.role is None or standing.role == identity.role:
            return identity
        return msgspec.structs.replace(identity, role=standing.role)

    @property
    def _silent(self) -> bool:
        return asyncio.get_running_loop().time() - self._heard_at > SILENT_S

    @property
    def _behind(self) -> bool:
        return not self._known or self._after is None or self._after < self._reaches

    def _heard(self, _: str, event: Event) -> None:
        """A number is only believed as a reason to ask; an old one, of a replica that lags, is none to feel safe."""
        if not isinstance(event, AccessMoved) or self._after is None:
            return
        self._reaches = event.last
        if event.last > self._after:
            self._news.set()
        elif event.last == self._after and self._known:
            self._heard_at = asyncio.get_running_loop().time()
            self._reachable = True

    def _anew(self) -> None:
        """The broker was away: what was told meanwhile must be asked for before anyone comes in."""
        self._known = False
        self._connection += 1
        self._news.set()

    async def _ask(self, budget_ms: int) -> None:
        begun = asyncio.get_running_loop().time()
        connection, answer = -1, AccessChanges(changes=[], last=0)
        try:
            # an answer from before a reconnect may lack what was committed during it
            while connection != self._connection or answer.changes:
                connection = self._connection
                answer = await self._client.ask(GetAccessChanges(after=self._after), budget_ms=budget_ms)
                self._after = answer.last
                for change in answer.changes:
                    self._keep(change)
        except BrokerAway:
            self._reachable = self._known = False  # what happens meanwhile must be asked for before anyone comes in
        except Unavailable:
            self._reachable = False
        else:
            self._heard_at, self._reachable, self._known = begun, True, True

    def _asked(self, _: asyncio.Task[None]) -> None:
        self._asking = None

    def _keep(self, change: AccessChange) -> None:
        now = asyncio.get_running_loop().time()
        for id in change.ended:
            self._ended[id] = now + KEPT_S
        if change.role is not None or change.active is not None:
            before, _ = self._standings.pop(change.account_id, (_Standing(None, None), 0.0))
            role = before.role if change.role is None else change.role
            active = before.active if change.active is None else change.active
            self._standings[change.account_id] = _Standing(role, active), now + KEPT_S
        while self._ended and next(iter(self._ended.values())) < now:
            del self._ended[next(iter(self._ended))]
        while self._standings and next(iter(self._standings.values()))[1] < now:
            del self._standings[next(iter(self._standings))]
