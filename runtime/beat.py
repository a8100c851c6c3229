"""The heartbeat of an actor: what its watchers should know, said again and again, so that silence is noticed.

A beat is an event straight from the store's present state to whoever watches: no outbox row, no inbox, nobody's queue.
Every replica has its own, so one that dies or stands still is not missed. After a commit that changed what watchers
follow, it comes at once; when that one is lost, the next one says the same.
"""

from __future__ import annotations

import asyncio
from typing import Any

from runtime import stagehands
from runtime.actor import Actor
from runtime.context import Ids
from runtime.errors import StoreAway
from runtime.message import Envelope, encode, frame, wire_name
from runtime.ports import Broker, Publication, Store
from runtime.waiting import wait

EVERY_S = 0.4
"""So that one beat may be lost within the second after which a watcher takes silence for what it is."""


class Beat:
    """Beats for one actor in one process."""

    def __init__(self, actor: Actor[Any], store: Store, broker: Broker) -> None:
        self._actor = actor
        self._store = store
        self._records = stagehands.records_of(actor, store)
        self._broker = broker
        self._new_id = Ids()
        self._wanted = asyncio.Event()

    def soon(self) -> None:
        """Something has changed: beat now, once for all who say so meanwhile."""
        self._wanted.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            self._wanted.clear()
            await self.step()
            await wait(self._wanted, EVERY_S)

    async def step(self) -> None:
        """One beat; none while store or broker are away."""
        if not self._broker.available:
            return
        try:
            event = await self._actor.beat(self._records(self._store.primary))
        except StoreAway:  # which the outbox's loop says in the log
            return
        if event is not None:
            kind, id = wire_name(type(event)), self._new_id()
            await self._broker.publish([Publication(id, kind, frame([Envelope(id, kind, "", encode(event))]))])


def has_beat(actor: Actor[Any]) -> bool:
    """Whether there is anything that it says."""
    return type(actor).beat is not Actor.beat
