"""The verb `move`: all that an installation holds, from the servers of one set of settings to those of another.

Both are kept from starting meanwhile. Each actor's store is one transaction at its target, so that it holds nothing
or all of it; an object is there whole or not at all. So whatever cuts a move short, the next one goes on from there.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Protocol

import msgspec

from config.settings import Settings, load_alone
from runtime import connect, stagehands
from runtime.app import load_keys
from runtime.errors import SettingError, StartError
from runtime.files import path_of
from runtime.ports import Blobs, Table, Transaction, Value
from runtime.progress import Bar
from runtime.seams import Seams
from runtime.verbs import Subparsers, opened_broker, store_of

SIDE_BY_SIDE = 8
"""Objects under way at once."""

EXITS = """
Exit codes: 0 all is there, moved now or before; 1 it could not be moved: a process runs, the target holds other data,
a server does not answer; 2 a wrong argument or setting. What a line says is wrong has not been touched.
"""

Pages = AsyncIterable[Sequence[Sequence[Value]]]


class Sum(NamedTuple):
    """Of the rows of a table, whatever their order."""

    rows: int = 0
    digest: int = 0


class Digest(Protocol):
    """A hash that is being made."""

    def update(self, data: bytes, /) -> None: ...


def add_move_verb(verbs: Subparsers) -> None:
    """Add its parser."""
    verb = verbs.add_parser(
        "move",
        help="carry everything to other servers: from files to PostgreSQL and S3, or back",
        description="Carry everything that an installation holds to other servers: accounts, sessions, tasks, files, "
        "the inbox with its idempotency keys, what waits in the outbox, what is parked, with all ids. Stop it first; "
        "the source stays as it is. What has arrived is read again and compared, by counts and digests. Run it as "
        "often as you like: what is there already is left alone, and a target that holds anything else is refused.",
        epilog="SETTINGS is a file with lines as in .env, or the name of a profile (embedded, servers). The "
        "environment has no say in either. Both must have the same SECRET_KEY; where the source made its own, it "
        "lies in VAR_DIR/secret.key. Mail and text messages that were kept as files are not carried." + EXITS,
    )
    verb.add_argument("--from", dest="source", metavar="SETTINGS", required=True, help="where everything is")
    verb.add_argument("--to", dest="target", metavar="SETTINGS", required=True, help="where it is to be")
    verb.set_defaults(verb=move)


async def move(settings: Settings, arguments: argparse.Namespace) -> int:
    """Say of each store, and of the objects, what became of them."""
    source, target = load_alone(arguments.source), load_alone(arguments.target)
    names, seams = stagehands.actor_names(), Seams(settings.crash_at)
    _check(source, target, names)
    _carry_secret(source, target, names[0])
    await _check_queues(source, target, names)
    async with AsyncExitStack() as stack:
        removals = [
            await stack.enter_async_context(_removal(name, source, target, seams))
            for name in names
            if _store_place(source, name) != _store_place(target, name)
        ]
        if source.embedded_path(source.blob_url) != target.embedded_path(target.blob_url):
            count, size = await _move_objects(source, target)
            print(f"objects: {count}, {size} bytes")
            seams.at("objects", "move")
        for each in removals:
            print(await each.run())
    print("All is there. Start it with the new settings; the old place was left as it is.")
    if source.origin != target.origin:
        print(f"Access tokens of {source.origin} are not taken at {target.origin}; clients refresh them.")
    return 0


# ------------------------------------------------------------------------------------------ before it begins


def _check(source: Settings, target: Settings, names: Sequence[str]) -> None:
    """:raises SettingError: nothing is at the source, or this is not the tool."""
    for name in names:
        place = _store_place(source, name)
        path = path_of(place)
        if path is not None and not path.is_file():
            raise SettingError(f"the source has no {path}: has it ever run with these settings, from this directory?")
        if place != _store_place(target, name) and _kind(place) == _kind(_store_place(target, name)):
            raise SettingError(
                f"{name.upper()}_STORE_URL: from {_kind(place)} to {_kind(place)} is not moved here; the database's "
                'own tool does that better: `sqlite3 old.db ".backup new.db"`, or `pg_dump` and `psql`'
            )


def _store_place(settings: Settings, name: str) -> str:
    return settings.embedded_path(settings.store_url(name))


def _kind(url: str) -> str:
    return connect.STORES.get(connect.scheme(url), "")


def _carry_secret(source: Settings, target: Settings, name: str) -> None:
    """Where the target would make a secret of its own, it gets the source's. :raises SettingError: it has another."""
    kept = Path(source.var_dir) / "secret.key"
    where = "that is in its settings" if source.secret_key else f"that lies in {kept}"
    wrong = SettingError(
        f"SECRET_KEY of the target must be the source's, {where}: what is sealed cannot be read with another"
    )
    embedded = connect.scheme(target.broker_url) == "memory"
    if not (embedded or target.secret_key or target.actor_key):
        raise wrong
    key = load_keys(source, [name]).of(name)
    secret = source.secret_key or (kept.read_text().strip() if kept.exists() else None)
    if load_keys(target, [name], fresh=secret).of(name) != key:
        raise wrong


async def _check_queues(source: Settings, target: Settings, names: Sequence[str]) -> None:
    """:raises StartError: the source's broker still holds what the target's would never see."""
    same = (source.broker_url, source.broker_prefix) == (target.broker_url, target.broker_prefix)
    if same or connect.scheme(source.broker_url) == "memory":
        return
    async with opened_broker(source) as broker:
        for name in names:
            depth = await broker.depth(name)
            if waiting := depth["events"] + depth["dead"]:
                raise StartError(
                    f"the source's broker still has messages for {name} ({waiting}), which would be lost: start the "
                    "source, let them be handled (troupe_queue_depth in /metrics), and stop it again"
                )


# ------------------------------------------------------------------------------------------------- stores


class Removal:
    """One actor's store on its way: both databases are held, and have been compared."""

    def __init__(
        self, name: str, tables: Sequence[Table], old: Transaction, new: Transaction, wanted: Mapping[str, Sum]
    ) -> None:
        self._name = name
        self._tables = tables
        self._old = old
        self._new = new
        self._wanted = wanted
        self._count = sum(each.rows for each in wanted.values())

    async def run(self) -> str:
        """A line for a person. :raises StartError: what has arrived is not what was sent."""
        if await _sums(self._new, self._tables) == self._wanted:
            return f"{self._name}: {self._count} rows were there already"
        bar = Bar(2 * self._count, self._name)
        for table in self._tables:
            await self._new.fill(table, _counted(self._old.rows(table), bar))
        arrived = await _sums(self._new, self._tables, bar)
        bar.end()
        if wrong := [name for name, found in arrived.items() if found != self._wanted[name]]:
            raise StartError(f"{self._name}: what arrived in {', '.join(wrong)} is not what was sent; nothing was kept")
        return f"{self._name}: {self._count} rows in {len(self._tables)} tables"


@asynccontextmanager
async def _removal(name: str, source: Settings, target: Settings, seams: Seams) -> AsyncIterator[Removal]:
    """What the block writes is kept when it ends well. :raises StartError: it cannot begin."""
    async with store_of(source, name) as old, store_of(target, name) as new:
        if not await old.migrated(stagehands.migrations(name, old.reader.dialect)):
            raise StartError(f"the source's store of {name} is not of this version: start it once, and stop it")
        await new.migrate(stagehands.migrations(name, new.reader.dialect))
        async with old.exclusive("migrate") as reading, new.exclusive("migrate") as writing:
            await _check_stopped("source", source, name)
            await _check_stopped("target", target, name)
            known = {table.name for table in await reading.tables()}
            # what only one of the two has, it derives from the rest by itself
            tables = [table for table in await writing.tables() if table.name in known]
            wanted = await _sums(reading, tables)
            found = await _sums(writing, tables)
            if found != wanted:
                blank = await _blank(name, tables)
                if other := [table for table, each in found.items() if each != blank[table]]:
                    raise StartError(
                        f"the target's store of {name} holds other data already (in {', '.join(other)}); "
                        "it must be empty, or hold what an earlier move brought and nothing since"
                    )
            yield Removal(name, tables, reading, writing, wanted)
        seams.at(name, "move")


async def _check_stopped(which: str, settings: Settings, name: str) -> None:
    """Beside the transaction that keeps others from starting. :raises StartError: one has before that."""
    async with store_of(settings, name) as beside:
        if (await beside.counts())["instances"]:
            raise StartError(
                f"the {which} runs: a process was seen at the store of {name}; stop it "
                "(one that was killed counts for 15 s)"
            )


async def _blank(name: str, tables: Sequence[Table]) -> Mapping[str, Sum]:
    """What a store holds that has been migrated and nothing else."""
    with TemporaryDirectory() as folder:
        async with store_of(Settings(var_dir=folder), name) as store:
            await store.migrate(stagehands.migrations(name, store.reader.dialect))
            async with store.transaction() as transaction:
                return await _sums(transaction, tables)


async def _sums(transaction: Transaction, tables: Sequence[Table], bar: Bar | None = None) -> Mapping[str, Sum]:
    sums: dict[str, Sum] = {}
    encode = msgspec.msgpack.Encoder().encode
    for table in tables:
        rows, digest = 0, 0
        async for page in _counted(transaction.rows(table), bar):
            rows += len(page)
            digest += sum(int.from_bytes(sha256(encode(row)).digest()) for row in page)
        sums[table.name] = Sum(rows, digest % 2**256)
    return sums


async def _counted(pages: Pages, bar: Bar | None) -> AsyncIterator[Sequence[Sequence[Value]]]:
    async for page in pages:
        yield page
        if bar is not None:
            bar.advance(len(page))


# ------------------------------------------------------------------------------------------------ objects


async def _move_objects(source: Settings, target: Settings) -> tuple[int, int]:
    """How many there are, and their bytes. :raises StartError: the target holds others, or one that differs."""
    async with _opened(connect.blobs(source)) as old, _opened(connect.blobs(target)) as new:
        sizes = {each.key: each.size async for each in old.list("")}
        there = {each.key async for each in new.list("")}
        if other := sorted(there - sizes.keys()):
            raise StartError(f"the target's object store holds other data already ({other[0]}, say); it must be empty")
        bar = Bar(len(sizes), "objects")
        keys = iter(sizes)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(SIDE_BY_SIDE):
                    group.create_task(_carry(keys, there, old, new, bar))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        bar.end()
        return len(sizes), sum(sizes.values())


async def _carry(keys: Iterator[str], there: set[str], old: Blobs, new: Blobs, bar: Bar) -> None:
    for key in keys:
        content, info = sha256(), await old.info(key)
        if info is None:
            continue
        pieces = _digested(old.get(key), content)
        if key in there:
            async for _ in pieces:
                pass
        else:
            await new.put(key, pieces, content_type=info.content_type)
        arrived = sha256()
        async for _ in _digested(new.get(key), arrived):
            pass
        if arrived.digest() != content.digest():
            raise StartError(f"the target's object {key} is not the source's")
        bar.advance()


async def _digested(pieces: AsyncIterator[bytes], digest: Digest) -> AsyncIterator[bytes]:
    async for piece in pieces:
        digest.update(piece)
        yield piece


@asynccontextmanager
async def _opened(blobs: Blobs) -> AsyncIterator[Blobs]:
    await blobs.open()
    try:
        yield blobs
    finally:
        await blobs.close()
