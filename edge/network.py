"""Who is at the other end: the client's address, and the network that stands for the anonymous."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NOWHERE = "0.0.0.0"  # noqa: S104 # not bound to: it stands for a peer that has no address, such as a Unix socket


class Proxies:
    """The proxies whose `X-Forwarded-For` counts.

    :param networks: CIDRs, comma-separated.
    """

    def __init__(self, networks: str) -> None:
        self._trusted = [ipaddress.ip_network(each.strip()) for each in networks.split(",") if each.strip()]

    def client(self, peer: str | None, forwarded_for: Iterable[str]) -> str:
        """The address of the client: the rightmost one that is no trusted proxy.

        :param forwarded_for: the lines of `X-Forwarded-For`, first to last.
        """
        address = peer or NOWHERE
        if not self._trusted:
            return address
        hops = [hop for line in forwarded_for for hop in line.split(",")]
        while hops and self._is_trusted(address):
            hop = _parse(hops.pop())
            if hop is None:  # what a proxy would not have written says nothing
                break
            address = str(hop)
        return address

    def _is_trusted(self, address: str) -> bool:
        parsed = _parse(address)
        return parsed is not None and any(parsed in network for network in self._trusted)


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """The /24 or /64 that an address lies in: people change addresses within it, and attackers have all of it."""
    parsed = _parse(address) or ipaddress.ip_address(NOWHERE)
    return str(ipaddress.ip_network((parsed, 24 if parsed.version == 4 else 64), strict=False))


def _parse(text: str) -> Address | None:
    text = text.strip()
    if text.startswith("["):  # [v6] or [v6]:port
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # v4:port
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
