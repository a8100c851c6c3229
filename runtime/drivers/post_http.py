"""Posting to addresses that users gave, with aiohttp: what is connected to is what was looked at (SSRF)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from runtime.errors import Fault, Invalid, TargetAway
from runtime.ports import Poster

TOTAL_S: Final = 5.0
RESOLVE_S: Final = 3.0
LONGEST_ANSWER: Final = 64 << 10
"""Bytes that are taken in before anybody asks for them; nobody does."""

Address = IPv4Address | IPv6Address
Networks = Sequence[IPv4Network | IPv6Network]
Resolve = Callable[[str], Awaitable[Sequence[str]]]

_NAT64 = ip_network("64:ff9b::/96")  # RFC 6052
# not global, though it may look so: RFC 8215, RFC 4380, RFC 3056, RFC 4291 sections 2.5.5.1 and 2.5.7
_TRANSLATED = [ip_network(each) for each in ("64:ff9b:1::/48", "2001::/32", "2002::/16", "::/96", "fec0::/10")]
_NOT_PUBLIC = ("localhost", "local", "internal", "localdomain")  # RFC 6761, RFC 6762, and what ICANN reserved


def connect(allowed: str) -> Poster:
    """:param allowed: networks with commas, which may be reached though they are not public."""
    return HttpPoster([ip_network(each.strip()) for each in allowed.split(",") if each.strip()])


class HttpPoster:
    """:param allowed: networks that may be reached though they are not public.
    :param resolve: a name's addresses, as text, else OSError; by default those that the host's resolver knows.
    """

    def __init__(self, allowed: Networks = (), *, resolve: Resolve | None = None) -> None:
        self._allowed = allowed
        self._resolve = resolve or _system_resolve
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def check(self, url: str) -> None:
        host = _host(url)
        try:
            async with asyncio.timeout(RESOLVE_S):
                await self._addresses(host)
        except (OSError, TimeoutError):  # it does not resolve: looked at again when something is to be sent
            name = host.rstrip(".").lower()
            if "." not in name or name.endswith(tuple(f".{each}" for each in _NOT_PUBLIC)):
                raise _refused() from None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        host = _host(url)
        if _literal(host) is not None:  # aiohttp asks no resolver for these
            await self._addresses(host)
        try:
            request = self._client().post(
                URL(url), data=body, headers={"User-Agent": "Troupe-Webhooks/1", **headers}, allow_redirects=False
            )
            async with request as response:
                return response.status
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, _NotPublic):
                raise _refused() from None
            raise TargetAway(f"no connection: {error.os_error}") from None
        except TimeoutError:
            raise TargetAway(f"no answer within {TOTAL_S:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise TargetAway(f"no answer: {type(error).__name__}") from None

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=_Checked(self._addresses), use_dns_cache=False, force_close=True, limit=0
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=TOTAL_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                read_bufsize=LONGEST_ANSWER // 2,  # reading stops at twice as much
            )
        return self._session

    async def _addresses(self, host: str) -> list[str]:
        """All of a host's. :raises Invalid: one of them is not public. :raises OSError: it has none."""
        literal = _literal(host)
        found = [str(literal)] if literal is not None else list(await self._resolve(host))
        if not found:
            raise OSError("no address")
        if not all(self._may_reach(each) for each in found):
            raise _refused()
        return found

    def _may_reach(self, text: str) -> bool:
        address = plain(ip_address(text))
        return is_public(address) or any(address in network for network in self._allowed)


class _NotPublic(OSError):
    """Raised where aiohttp takes nothing else."""


class _Checked(AbstractResolver):
    def __init__(self, addresses: Callable[[str], Awaitable[list[str]]]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        try:
            found = await self._addresses(host)
        except Invalid:
            raise _NotPublic("not public") from None
        return [
            ResolveResult(
                hostname=host,
                host=each,
                port=port,
                family=socket.AF_INET6 if ":" in each else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for each in found
        ]

    async def close(self) -> None:
        """Nothing is kept open."""


def plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for (mapped, NAT64), else itself."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """Whether a packet to it leaves for the internet, and for one host there (IANA's special-purpose registries)."""
    if isinstance(address, IPv6Address) and (address.scope_id or any(address in each for each in _TRANSLATED)):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _host(url: str) -> str:
    """:raises Invalid: no URL that anything can be sent to."""
    try:
        parts = URL(url)
        host = parts.host
        fits = parts.scheme in ("http", "https") and parts.user is None and parts.password is None and parts.port
    except ValueError:
        host = fits = None
    if not host or not fits:
        raise Invalid("target.invalid", "must be an http or https URL", faults=(Fault("url", "no such URL"),))
    return host


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _refused() -> Invalid:
    return Invalid("target.not_public", "must lead to a public address")


async def _system_resolve(host: str) -> Sequence[str]:
    """It knows the spellings that `inet_aton` does, too: octal, hexadecimal, one number."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
