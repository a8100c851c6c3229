"""All items of one event-loop tick for one destination travel together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")

MOST = 128
"""Items in one message, at most: it shares one ack, and decoding it must not hold up the loop for long."""

LARGEST = 256 * 1024
"""Bytes after which a message takes no further item; RabbitMQ refuses messages above 16 MiB."""


class Batcher(Generic[Item]):
    """Collects items by destination and hands each destination's to `send` at the end of the tick.

    A lone item waits for nobody: `call_soon` runs before the loop looks at its sockets again.
    """

    def __init__(self, send: Callable[[str, list[Item]], None]) -> None:
        self._send = send
        self._waiting: dict[str, list[Item]] = {}
        self._sizes: dict[str, int] = {}

    def add(self, destination: str, item: Item, size: int) -> None:
        """:param size: of the item's encoded body, in bytes, about."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        items = self._waiting.setdefault(destination, [])
        items.append(item)
        total = self._sizes[destination] = self._sizes.get(destination, 0) + size
        if len(items) >= MOST or total >= LARGEST:
            self._sizes[destination] = 0
            self._waiting[destination] = []
            self._send(destination, items)

    def flush(self) -> None:
        """Send what waits now."""
        waiting, self._waiting = self._waiting, {}
        self._sizes = {}
        for destination, items in waiting.items():
            if items:
                self._send(destination, items)
