"""Who may pass, and how often: what comes before every call of the API."""

from __future__ import annotations

from edge.access import Access
from edge.api_tokens import ApiTokens, is_api_token
from edge.auth import AccessTokens, Identity
from edge.call import Call
from edge.headers import bearer_token
from edge.limits import Limits
from edge.network import network_of
from edge.problems import Problem, unauthenticated
from edge.route import RateClass
from runtime.errors import Unavailable
from runtime.message import Caller

LONGEST_AGENT = 200
"""Characters of User-Agent that go along with a caller."""


class Gate:
    """Proves callers and counts their calls. The known count by account, all others by network."""

    def __init__(self, tokens: AccessTokens, api_tokens: ApiTokens, access: Access, limits: Limits) -> None:
        self._tokens = tokens
        self._api_tokens = api_tokens
        self._access = access
        self._limits = limits

    async def admit(self, call: Call, rate: RateClass, *, public: bool, scope: str | None) -> Caller:
        """The caller, counted.

        :param scope: what an API token must hold; None: a session is needed.
        :raises Problem: 400, 401, 403, 429.
        :raises Unavailable: the user actor's keys, or who has signed out, cannot be had.
        """
        agent = _agent(call.request.headers.get("User-Agent"))
        network = network_of(call.address)
        if public:
            self.count(call, rate, network)
            return Caller(network=network, agent=agent, address=call.address)
        identity = await self._admit(call, rate, scope, network)
        session = identity.credential_id if identity.scopes is None else None
        return Caller(identity.user_id, identity.role, session, network, agent, call.address)

    async def admit_listener(self, call: Call, scope: str) -> Identity:
        """Likewise, for who stays."""
        return await self._admit(call, "read", scope, network_of(call.address))

    async def is_good(self, identity: Identity) -> bool:
        """Whether they may still come in, as far as is known."""
        try:
            await self._access.check(identity)
        except Problem:
            return False
        except Unavailable:
            return True
        return True

    async def _admit(self, call: Call, rate: RateClass, scope: str | None, network: str) -> Identity:
        try:
            identity = await self._identify(call)
        except Problem:
            self.count(call, rate, network)  # guessing tokens is calling, too
            raise
        self.count(call, rate, identity.user_id)
        _check_scope(identity, scope)
        return identity

    async def catch_up(self) -> None:
        """Know of all who may not come in any more, as of now."""
        await self._access.catch_up()

    def count(self, call: Call, rate: RateClass, caller: str) -> None:
        """:raises Problem: 429, beyond the limit."""
        call.limits, refusal = self._limits.count(rate, caller)
        if refusal is not None:
            raise refusal

    async def _identify(self, call: Call) -> Identity:
        token = bearer_token(call.request.headers)
        if token is None:
            raise unauthenticated("auth.required", "This call needs an access token.")
        tokens = self._api_tokens if is_api_token(token) else self._tokens
        return await self._access.check(await tokens.verify(token))


def _agent(header: str | None) -> str | None:
    """The header as text; bytes that are no UTF-8 become question marks."""
    if not header:
        return None
    cut = header[:LONGEST_AGENT]
    return cut if cut.isascii() else cut.encode("utf-8", "replace").decode()


def _check_scope(identity: Identity, scope: str | None) -> None:
    if identity.scopes is None:
        return
    if scope is None:
        raise Problem(403, "auth.session_required", "This call needs a session, not an API token.")
    if scope not in identity.scopes:
        raise Problem(403, "auth.scope_missing", f"The token lacks the scope {scope}.")
