"""Handing letters to the server that carries them, so that one that is away holds nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from runtime.errors import Unavailable

Letter = TypeVar("Letter")


class Postman(Generic[Letter]):
    """One letter at a time. Whoever waited while the server turned out to be away need not find out by themselves: a
    queue before a silent server is gone after one time-out.

    :param hand_over: raises `away` when the server does not take it now, and anything else for the letter's own fault.
    """

    def __init__(self, hand_over: Callable[[Letter], Awaitable[None]], away: type[Unavailable]) -> None:
        self._hand_over = hand_over
        self._away = away
        self._turn = asyncio.Lock()
        self._failures = 0

    async def send(self, letter: Letter, record: Callable[[], Awaitable[None]]) -> None:
        """:param record: writes down that the server has it, before the next one's turn: so a crash finds one letter at
            most of which that is not known.
        :raises Unavailable: `away`: try later.
        """
        failures = self._failures
        async with self._turn:
            if failures != self._failures:
                raise self._away("the server went away while this one waited")
            try:
                await self._hand_over(letter)
            except self._away:
                self._failures += 1
                raise
            await record()
