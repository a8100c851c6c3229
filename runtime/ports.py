"""The ports: everything outside the process, as small protocols. Each has an embedded twin and a real driver.

Every promise below is a named test of one conformance suite (`tests/conformance/`), which twin and real server
both run. What a driver does not promise it declares in `lacks`. Drivers translate their library's exceptions:
whatever is away raises the port's own `…Away` error, within its time-out, and nothing else leaks out.
Times are int ms since the epoch (UTC) unless a name says otherwise; durations end in `_ms` or `_s`.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Any, BinaryIO, ClassVar, Literal, NamedTuple, Protocol

import msgspec

# ------------------------------------------------------------------------------------------------ Broker


QUEUES = ("requests", "events", "dead")
"""Of each actor."""


class Topology(msgspec.Struct, frozen=True):
    """The queues that every process declares, so that nothing waits on an actor that was not booted yet.

    :param actors: each gets `QUEUES`.
    :param bindings: event type → the actors whose `events` queue receives it.
    :param files: setting → fingerprint (31 bits, see `runtime.files`) of the file that this process has for it. All
        processes that have one for that setting must have the same.
    """

    actors: tuple[str, ...]
    bindings: Mapping[str, tuple[str, ...]]
    files: Mapping[str, int] = {}


class Delivery(Protocol):
    """One message, held by the broker until `ack` or `requeue` was called, exactly once, from the loop's thread."""

    @property
    def body(self) -> bytes: ...

    @property
    def redelivered(self) -> bool:
        """True when it may have been handled before: its consumer went away without an ack, or requeued it."""
        ...

    def ack(self) -> None:
        """Handled: the broker forgets it. Never raises; an ack that cannot be sent means a redelivery."""
        ...

    def requeue(self) -> None:
        """Not handled: the broker delivers it again, to any consumer, marked as redelivered. Never raises."""
        ...


class Publication(msgspec.Struct, frozen=True):
    """A message that must not be lost.

    :param id: unique among publications in flight.
    :param route: an event type, or, where `direct`, the name of an actor whose `events` queue it goes to.
    :param again: whoever published it before may have died of it. A broker that dies with its consumers cannot know,
        and delivers it as redelivered.
    """

    id: str
    route: str
    body: bytes
    direct: bool = False
    again: bool = False


class Subscription(Protocol):
    """A running consumer. It outlives reconnects."""

    async def pause(self) -> None:
        """Take nothing new, for good; returns when no further delivery will come. What is held stays held."""
        ...


class Broker(Protocol):
    """Queues by name. Requests and replies are sent, at most once; events and tells are published, at least once.

    Each actor has three queues: `requests` (lost messages are sent again by the asker), `events` (durable; a
    delivery limit) and `dead` (what exceeded that limit).
    """

    lacks: ClassVar[frozenset[str]]

    @property
    def available(self) -> bool:
        """False while there is no connection, or while the broker has blocked publishing."""
        ...

    @property
    def reply_queue(self) -> str:
        """Where replies to this process go. A new name after each reconnect: read it for every send."""
        ...

    async def open(self, topology: Topology) -> None:
        """Connect and declare everything. Idempotent over processes: any number may do it at once.

        :raises BrokerAway: no answer within the driver's time-out.
        :raises StartError: a process that is connected now has another one of `topology.files`.
        """
        ...

    async def close(self) -> None:
        """Flush what was sent, settle nothing, disconnect. What is held unacknowledged will be redelivered."""
        ...

    def request(self, actor: str, body: bytes, *, ttl_ms: int) -> None:
        """Send to the actor's `requests` queue; gone after `ttl_ms` there. At once, without waiting.

        :raises BrokerAway: not `available`; nothing was sent.
        """
        ...

    def reply(self, queue: str, body: bytes) -> None:
        """Send to a reply queue. A queue that is gone swallows it. Never raises: the asker asks again."""
        ...

    async def publish(self, publications: Sequence[Publication]) -> Sequence[bool]:
        """Publish durably, in a window of confirms. The answer says for each whether the broker has it safe.

        An event reaches every queue that is bound to it, and is confirmed also when none is; a direct one whose
        queue does not exist is False. False leaves the outcome open: it may arrive all the same.
        """
        ...

    async def consume_requests(self, actor: str, deliver: Callable[[Delivery], None], *, prefetch: int) -> Subscription:
        """Take requests; at most `prefetch` are held at once. Several consumers of one actor share the work.

        `deliver` keeps the message and returns; one that raises is logged, and its message requeued.
        """
        ...

    async def consume_events(self, actor: str, deliver: Callable[[Delivery], None], *, prefetch: int) -> Subscription:
        """Likewise, of the `events` queue."""
        ...

    async def consume_dead(self, actor: str, deliver: Callable[[Delivery], None], *, prefetch: int) -> Subscription:
        """Likewise, of the `dead` queue."""
        ...

    async def watch(self, routes: Sequence[str], deliver: Callable[[bytes], None]) -> Subscription:
        """Receive, in this process, the body of every event of these types that is published from now on.

        Each watcher gets its own copy, at most once, and keeps no event from being confirmed: what is published while
        this process is not connected never comes. All that is published after `on_change` told of being available
        does, so whoever must not miss anything asks for the present state then. One that raises is logged.
        """
        ...

    def on_reply(self, deliver: Callable[[bytes], None]) -> None:
        """Set once, before `open`: receives the body of every reply."""
        ...

    def on_returned(self, deliver: Callable[[str, bytes], None]) -> None:
        """Set once, before `open`: receives actor and body of a request whose queue does not exist."""
        ...

    def on_change(self, changed: Callable[[bool], None]) -> None:
        """Set once, before `open`: told of every change of `available`."""
        ...

    async def depth(self, actor: str) -> Mapping[str, int]:
        """Messages ready in the queues of an actor: `{"requests": …, "events": …, "dead": …}`.

        :raises BrokerAway: no answer.
        """
        ...


# ------------------------------------------------------------------------------------------------- Store

Value = str | int | float | bytes | None
"""What a column holds. A list of one type is allowed as an argument compared with `= any($n)`."""

Row = Mapping[str, Any]
"""A row by column name."""


class Migration(msgspec.Struct, frozen=True):
    """One forward step: `0001_tasks`, and its statements in the store's dialect, separated by lines that hold only
    `--`."""

    name: str
    text: str


class Claim(msgspec.Struct, frozen=True):
    """A wish to be the one who handles a message.

    :param hash: of the request, so that one id cannot stand for two; None where ids are ours (events, ticks).
    :param asking: names one asking, all copies of it alike; empty where nobody asked.
    """

    id: str
    hash: bytes | None = None
    asking: str = ""


class Saved(msgspec.Struct, frozen=True):
    """The id is known and settled.

    :param reply: the encoded reply as it was given to `finish`; None when it had none.
    """

    reply: bytes | None
    hash: bytes | None


class Busy(msgspec.Struct, frozen=True):
    """Another transaction, or another's lease, holds the id now.

    :param same: it holds another copy of the same asking, which gets its answer from there.
    """

    same: bool = False


Claimed = Saved | Busy | None
"""What `begin` says of an id; None: it is yours."""


class About(msgspec.Struct, frozen=True):
    """What is kept of a handled message for a person who asks what became of a request.

    :param request_id: of the HTTP request that it began with.
    :param cause: id of the message whose handling made this one.
    :param caller: the account that asked.
    :param made: a line for each thing that came of it: type and id of what goes out, or a note of the handler.
    """

    type: str = ""
    request_id: str | None = None
    cause: str | None = None
    caller: str | None = None
    made: str = ""


class Settled(msgspec.Struct, frozen=True):
    """A handled message, to be remembered in the inbox."""

    claim: Claim
    reply: bytes | None = None
    about: About = About()


class Outgoing(msgspec.Struct, frozen=True):
    """A row of the outbox: an envelope that waits for the broker's confirm.

    :param direct: for one actor (a tell) instead of an event; `route` is then its name.
    :param request_id: of the HTTP request that it began with; not told again by `lease_outgoing`.
    """

    id: str
    route: str
    envelope: bytes
    direct: bool = False
    request_id: str | None = None


class Parked(msgspec.Struct, frozen=True):
    """An envelope whose handling failed.

    :param attempt: how often it was tried.
    :param due_in_ms: until the next attempt; None: never again, a dead letter.
    :param reason: of the last failure, for a person.
    :param letter: the id that it has as a dead letter, unlike any in other stores; the message's own by default.
    """

    id: str
    type: str
    envelope: bytes
    attempt: int
    due_in_ms: int | None
    reason: str
    request_id: str | None = None
    letter: str | None = None


class ParkedRow(msgspec.Struct, frozen=True):
    """A row of `parked` as it lies in the store; `due_at` is None for a dead letter."""

    id: str
    type: str
    envelope: bytes
    attempt: int
    due_at: int | None
    reason: str
    first_failed_at: int
    last_failed_at: int
    letter: str = ""


class Handled(msgspec.Struct, frozen=True):
    """A settled row of the inbox."""

    id: str
    about: About
    reply: bytes | None
    settled_at: int


class History(msgspec.Struct, frozen=True):
    """What one store keeps of one HTTP request: what was handled, what waits to be sent, what is parked."""

    handled: Sequence[Handled]
    unsent: Sequence[Outgoing]
    parked: Sequence[ParkedRow]


class Table(msgspec.Struct, frozen=True):
    """A table as a whole.

    :param columns: those of which each row has a value, in this order; not what the database computes from others.
    :param key: those of the primary key.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]


class Scope(Protocol):
    """Where the data of an actor is asked for: by a reader, or within a transaction. Only the actor's records ask it,
    and they are of its kind: `Session` or `Documents`."""

    @property
    def dialect(self) -> str:
        """The words that it is asked in: which records and which migrations go with it."""
        ...


class Session(Scope, Protocol):
    """SQL, one text for both databases: parameters `$1` …; columns text, bigint, bytea, real; lists with `= any($n)`.

    :raises StoreAway: the database went away or took no statement in time.
    :raises Invalid: a value that the database cannot hold (`request.invalid`): an integer beyond 64 bits, a lone
        surrogate, NUL in a text.
    """

    @property
    def dialect(self) -> Literal["postgresql", "sqlite"]:
        """For the few places where the SQL differs: full-text search, and what only one of them knows."""
        ...

    async def fetch(self, sql: str, *args: Value | Sequence[Value]) -> Sequence[Row]:
        """All rows."""
        ...

    async def row(self, sql: str, *args: Value | Sequence[Value]) -> Row | None:
        """The first row, or None."""
        ...

    async def execute(self, sql: str, *args: Value | Sequence[Value]) -> int:
        """How many rows were touched."""
        ...

    async def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> None:
        """Many rows in one statement, all or none; a column that the database numbers takes what is given.

        :raises Duplicate: a unique key is taken.
        """
        ...


class Documents(Scope, Protocol):
    """Documents in collections, asked for in MongoDB's words (https://www.mongodb.com/docs/manual/reference/mql/).

    A document's values are those of a column, `_id` its key. Changes are given as `{"$set": …}`, or as a pipeline; one
    that leaves a document as it is does not hold it.

    :raises StoreAway, Invalid: as `Session` does.
    """

    async def find(
        self, collection: str, where: Row, *, sort: Mapping[str, int] = MappingProxyType({}), limit: int = 0
    ) -> Sequence[Row]:
        """All documents, in that order; 0: as many as there are."""
        ...

    async def one(self, collection: str, where: Row, *, sort: Mapping[str, int] = MappingProxyType({})) -> Row | None:
        """The first document, or None."""
        ...

    async def insert(self, collection: str, documents: Sequence[Row]) -> None:
        """All or none, within a transaction.

        :raises Duplicate: a unique key is taken.
        """
        ...

    async def update(self, collection: str, where: Row, change: Row | Sequence[Row]) -> int:
        """Change all of them; how many matched."""
        ...

    async def change(
        self, collection: str, where: Row, change: Row | Sequence[Row], *, upsert: bool = False
    ) -> Row | None:
        """Change one, or with `upsert` make it of what `where` says is equal; as it is then. None: there is none."""
        ...

    async def delete(self, collection: str, where: Row) -> int:
        """Delete all of them; how many."""
        ...


class Duplicate(Exception):
    """A unique constraint was broken. `constraint` names it as PostgreSQL does, in every store: the name of the index,
    else `table_pkey` or `table_column_key`."""

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


class Transaction(Scope, Protocol):
    """One transaction that may write, a `Scope` of the store's kind. Left normally it commits, left by an exception it
    rolls back.

    Once a statement has failed it can only be rolled back: further statements, and leaving it normally, raise
    RuntimeError. So what a handler catches inside (`Duplicate`, say) it must answer with a refusal that undoes.
    """

    async def begin(self, claims: Sequence[Claim]) -> Sequence[Claimed]:
        """Claim ids, each once, for this transaction.

        `Saved` when it was settled before (whatever its hash: the caller compares), `Busy` while another open
        transaction or an unexpired lease holds it; a lease of ours is taken by `resume`. Never waits for another.
        """
        ...

    async def resume(self, id: str, lease: str) -> bool:
        """Take up a lease from `Store.claim` here, so that `finish` settles it. False: it is no longer ours."""
        ...

    async def finish(
        self, settled: Sequence[Settled], outgoing: Sequence[Outgoing], *, unpark: Sequence[str] = (), lease_ms: int
    ) -> None:
        """Remember what was handled and what must go out, and delete parked rows, all in this transaction.

        Outgoing rows are born leased for `lease_ms`: the caller publishes them itself right after the commit.
        :raises Raced: an id was settled by another transaction after `begin`; roll back and look again.
        """
        ...

    async def letter(self, letter: str) -> ParkedRow | None:
        """As `Store.letter`."""
        ...

    async def revive_letter(self, letter: str, envelope: bytes | None = None) -> bool:
        """As `Store.revive`, of a letter, and undone with this transaction."""
        ...

    async def revive_type(self, type: str) -> int:
        """Likewise, all dead letters of a type; how many."""
        ...

    async def discard_letter(self, letter: str) -> bool:
        """Delete a dead letter. False: there is none."""
        ...

    async def tables(self) -> Sequence[Table]:
        """All tables, the port's own among them, each behind those that it refers to; not what the store has written
        down about its processes and migrations."""
        ...

    def rows(self, table: Table) -> AsyncIterator[Sequence[Sequence[Value]]]:
        """All rows, some hundred at a time, by their key.

        :raises ContractError: the table has none.
        """
        ...

    async def fill(self, table: Table, pages: AsyncIterable[Sequence[Sequence[Value]]]) -> None:
        """Let a table have these rows and no others. Triggers run; numbers that the database gives out itself go on
        behind the highest."""
        ...


class Raced(Exception):
    """Another transaction was first: it settled one of the ids, or a deadlock or stale plan was resolved in its favour.

    Nothing of this one is kept; run it again from the start.
    """


class Store(Protocol):
    """An actor's database: its own tables, and inbox, outbox and parked, which this port owns.

    Leases and due times are measured by the database's clock where it has one, so that hosts may disagree.
    """

    lacks: ClassVar[frozenset[str]]

    @property
    def reader(self) -> Scope:
        """For queries: each statement on its own, first in, first out, from a pool (or a replica of the database)."""
        ...

    @property
    def primary(self) -> Scope:
        """Likewise, never from a replica: for queries of those who have just written."""
        ...

    async def open(self) -> None:
        """:raises StoreAway: no answer within the driver's time-out."""
        ...

    async def close(self) -> None: ...

    async def ping(self) -> None:
        """:raises StoreAway: it would not take a write now."""
        ...

    async def migrate(self, migrations: Sequence[Migration]) -> Sequence[str]:
        """Apply what is not yet recorded, in order, each once, also when ten processes do it at the same time.

        The driver's own tables come first. Returns the names applied by this call. It happens in
        `exclusive("migrate")`, so whoever is in that keeps all others from starting on this database.
        :raises StartError: a recorded migration is missing or its text has changed.
        """
        ...

    async def migrated(self, migrations: Sequence[Migration]) -> bool:
        """Whether all of these are recorded. Changes nothing."""
        ...

    def exclusive(self, name: str) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that only one process at a time can be in, by name: for work at boot. Waits its turn."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """First in, first out. :raises StoreAway: no connection free, or none to be had, within the time-out."""
        ...

    async def claim(self, claim: Claim, lease: str, *, lease_ms: int) -> Claimed:
        """Claim an id across transactions (committed), for work that must not hold one. A lapsed lease is taken."""
        ...

    async def prolong(self, id: str, lease: str, *, lease_ms: int) -> bool:
        """Let a lease end `lease_ms` from now, also one that has lapsed and that nobody took. False: it is no longer
        ours, or settled."""
        ...

    async def release(self, id: str, lease: str) -> None:
        """Give a lease back, unsettled: the id is free again."""
        ...

    async def lease_outgoing(self, *, limit: int, lease_ms: int) -> Sequence[Outgoing]:
        """Take rows whose lease has lapsed, oldest first; no row goes to two callers within its lease."""
        ...

    async def delete_outgoing(self, ids: Sequence[str]) -> None: ...

    async def park(self, parked: Sequence[Parked]) -> None:
        """Put envelopes into `parked`, replacing rows of the same id (their first failure and letter are kept). Never
        fails for a row that is there already."""
        ...

    async def lease_parked(self, *, limit: int, lease_ms: int) -> Sequence[ParkedRow]:
        """Take due rows (`due_at` is moved by `lease_ms`, the attempt is counted, committed), oldest first."""
        ...

    async def dead(self, *, type: str | None = None, after: str | None = None, limit: int = 50) -> Sequence[ParkedRow]:
        """Dead letters, newest first by their letters, those before the letter `after`."""
        ...

    async def letter(self, letter: str) -> ParkedRow | None:
        """A dead letter by the id that it has as one."""
        ...

    async def parked(self, id: str) -> ParkedRow | None: ...

    async def unpark(self, id: str) -> bool:
        """Delete a parked row. False: there is none."""
        ...

    async def revive(self, id: str, envelope: bytes | None = None) -> bool:
        """Make a dead letter due now with attempt 0, with another envelope where given. False: it is not dead."""
        ...

    async def prune(self, *, older_than_ms: int, limit: int) -> int:
        """Forget settled inbox rows of that age; how many went."""
        ...

    async def history(self, request_id: str) -> History:
        """All that is kept of a request, oldest first. No index helps: it is for a person, not for a program."""
        ...

    async def counts(self) -> Mapping[str, int]:
        """`{"outbox": …, "outbox_age_ms": oldest, "parked": due or waiting, "dead": …, "instances": seen in the last
        15 s, "in_flight": of these together}`."""
        ...

    async def beat(self, instance: str, *, in_flight: int) -> None:
        """Say that a process is here, and how many requests it works on."""
        ...

    async def leave(self, instance: str) -> None:
        """Say that it is gone."""
        ...


# ------------------------------------------------------------------------------------------------- Cache


class Cache(Protocol):
    """Short-lived values that may vanish at any moment: never the truth.

    Every call answers or raises `CacheAway` within 100 ms; after failures a circuit breaker answers at once.
    Keys are text of at most 512 bytes; `ttl_ms` is at least 1. All processes with the same URL and prefix see the
    same values (`shared` in `lacks`: only this process does).
    """

    lacks: ClassVar[frozenset[str]]

    async def open(self) -> None:
        """Never fails because the server is away: a cache may come later."""
        ...

    async def close(self) -> None: ...

    async def ping(self) -> None:
        """:raises CacheAway: no answer."""
        ...

    async def get(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """Values in the order of `keys`; None where there is none, or where it has expired. A counter reads as decimal
        text."""
        ...

    async def put(self, values: Mapping[str, bytes], *, ttl_ms: int) -> None:
        """Set all, each gone after `ttl_ms`."""
        ...

    async def delete(self, keys: Sequence[str]) -> None: ...

    async def add(self, amounts: Mapping[str, int], *, ttl_ms: int) -> Mapping[str, int]:
        """Add to counters and return the new sums. A counter begins at 0 and is gone `ttl_ms` after its first
        addition. Counted at most once, even when the answer is lost."""
        ...


# ------------------------------------------------------------------------------------------------- Blobs


class BlobInfo(msgspec.Struct, frozen=True):
    """What a store says of an object.

    :param size: bytes.
    :param etag: changes with the content; without quotes; may be empty in what `list` yields.
    :param content_type: as it was put; empty in what `list` yields, since not every store lists it.
    :param modified_at: by the store's clock, in what `put` returns by ours.
    """

    key: str
    size: int
    etag: str
    content_type: str
    modified_at: int


class LocalFile(NamedTuple):
    """An open file, to be closed by whoever gets it. :param size: how many of its first bytes are the object."""

    file: BinaryIO
    size: int


class UploadUrl(msgspec.Struct, frozen=True):
    """Where to PUT an object. :param headers: to be sent along: the signature holds them."""

    url: str
    headers: Mapping[str, str]


class Blobs(Protocol):
    """Objects by key. A half-written object is never visible.

    A key is `a/b/c`, at most 200 characters: parts of 1–128 of `[A-Za-z0-9._-]` that begin with no dot; no key is a
    folder of another. A content type has at most 255 ASCII characters.

    What a store may declare in `lacks`: `signed_urls` (`url` and `upload_url` answer None), `ranges` (whoever wants the
    end of an object has to wait until all before it has come too), `sweep` (unfinished writes are the store's own to
    remove, and `sweep` finds none).

    :raises BlobsAway: the store does not answer (all methods, within 2 s to connect).
    :raises ValueError: not such a key, or not the beginning of one.
    """

    @property
    def lacks(self) -> frozenset[str]: ...

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def ping(self) -> None: ...

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, content_type: str) -> BlobInfo:
        """Write an object of unknown length, replacing one of that key at the end, with bounded memory. When
        `chunks` raises, nothing is stored and what was begun is removed."""
        ...

    def get(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` to before `end`, as far as there are any. Where the store lacks `ranges`, at the price
        of all bytes before `end`.

        :raises KeyError: there is no such object.
        """
        ...

    async def local_file(self, key: str) -> LocalFile | None:
        """The object as an open file of this host, for sendfile(2); it stays whole, whatever becomes of the object.
        None where the store keeps no files here (`local_files` in `lacks`).

        :raises KeyError: there is no such object.
        """
        ...

    async def info(self, key: str) -> BlobInfo | None: ...

    async def move(self, source: str, target: str) -> None:
        """Give an object another key, replacing one that is there; what is written to `source` later is another one.
        Again, after a crash in between, does no harm.

        :raises KeyError: there is no such object.
        """
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Missing ones are no error."""
        ...

    def list(self, prefix: str) -> AsyncIterator[BlobInfo]:
        """All objects whose key starts with `prefix`, by key."""
        ...

    async def sweep(self, *, older_than_ms: int) -> int:
        """Remove what unfinished writes left behind; how many (`sweep` in `lacks`: the store does it by itself)."""
        ...

    def url(self, key: str, *, expires_s: int, answer: Mapping[str, str] | None = None) -> str | None:
        """An address that lets whoever has it GET that object until it expires. None where the store cannot: the edge
        then serves it itself (`signed_urls` in `lacks`).

        :param answer: Content-Type, Content-Disposition or Cache-Control of the answer to a GET, instead of the
            object's own.
        """
        ...

    def upload_url(
        self, key: str, *, expires_s: int, size: int, content_type: str, sha256: str | None = None
    ) -> UploadUrl | None:
        """An address that lets whoever has it PUT that object, of that size and type, until it expires. None where the
        store cannot, likewise.

        :param sha256: in hex: nothing else is taken by stores that check it.
        """
        ...


# ------------------------------------------------------------------------------------------------ Mailer


class Mail(msgspec.Struct, frozen=True):
    """One mail to one person.

    :param id: the left side of the Message-ID: stable over attempts, so that a receiver can drop a double.
    :param headers: further ones, `List-Unsubscribe` say.
    :param thread: the `id` of the mail from the same sender that this one belongs under (RFC 5322 section 3.6.4).
    """

    id: str
    to: str
    subject: str
    text: str
    html: str | None = None
    headers: Mapping[str, str] = {}
    thread: str | None = None


class Mailer(Protocol):
    """Hands mail over. No text of a user can add a header, a receiver or a command (RFC 5322, RFC 2047)."""

    lacks: ClassVar[frozenset[str]]

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def ping(self) -> None: ...

    async def send(self, mail: Mail) -> None:
        """Returns when the server has taken it.

        :raises MailerAway: away, too slow or a 4xx: try later; it may have been taken all the same.
        :raises Invalid: `mail.refused`, a 5xx; `mail.header`, a control character in a header, or a further header
            that is ours to write; `mail.address`, the receiver is no ASCII address (RFC 5321).
        """
        ...

    async def forget(self, address: str) -> None:
        """Remove what is kept here of mail to an address; where servers take it over, nothing is.

        :raises MailerAway: try later.
        """
        ...


# ------------------------------------------------------------------------------------------------ Texter

LONGEST_TEXT = 1600
"""Characters of a text message, at most: what Twilio takes."""


class Text(msgspec.Struct, frozen=True):
    """One text message (SMS) to one telephone.

    :param id: of the message, the same on every attempt.
    :param to: the number in E.164, `+4930123456`.
    :param body: 1 to `LONGEST_TEXT` characters.
    """

    id: str
    to: str
    body: str


class Texter(Protocol):
    """Hands text messages over."""

    lacks: ClassVar[frozenset[str]]

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def ping(self) -> None:
        """:raises TexterAway: it would not take a message now."""
        ...

    async def send(self, text: Text) -> None:
        """Returns when the provider has taken it.

        :raises TexterAway: away, too slow, too many, or the account is not let in: try later; it may have been taken
            all the same.
        :raises Invalid: `text.refused`, the provider will never take it; `text.number` or `text.body`, it is not as
            `Text` says.
        """
        ...

    async def forget(self, number: str) -> None:
        """Remove what is kept here of messages to a number (`forget` in `lacks`: others keep it, nothing is here).

        :raises TexterAway: try later.
        """
        ...


# ------------------------------------------------------------------------------------------------ Poster


class Poster(Protocol):
    """Sends to addresses that users gave: never into a network that is not public, but for those that a setting allows.

    An address is looked at when the connection is made, and the connection goes to what was looked at, so that a name
    cannot mean something else in between. Redirects are not followed, proxies of the environment are not used.
    """

    async def close(self) -> None: ...

    async def check(self, url: str) -> None:
        """Whether anything can be sent there; a name that does not resolve now is taken.

        :raises Invalid: `target.not_public`, or no such URL.
        """
        ...

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer, whose body is not read. 5 s for all of it, 64 KiB at most.

        :raises Invalid: `target.not_public`, as above.
        :raises TargetAway: no answer.
        """
        ...
