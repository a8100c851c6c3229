"""The composition root: the only place that wires things. Starts in order, stops in reverse."""

from __future__ import annotations

import asyncio
import gc
import inspect
import math
import os
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import msgspec

from config.settings import DEVELOPMENT_KEY, Settings
from runtime import connect, files, stagehands
from runtime.actor import Actor
from runtime.beat import Beat, has_beat
from runtime.client import Client
from runtime.consumer import Consumer
from runtime.context import Clock, Ids, system_clock
from runtime.dispatch import Dispatch
from runtime.errors import BrokerAway, ContractError, SettingError, StartError, StoreAway, Unavailable
from runtime.keys import Keys, Sealer
from runtime.late_blobs import LateBlobs
from runtime.ops import OpsServer
from runtime.outbox import Relay
from runtime.parked import ParkedLoop
from runtime.ports import QUEUES, Broker, Cache, Store
from runtime.seams import Seams
from runtime.supervisor import Supervisor
from runtime.telemetry import Metrics, logger
from runtime.timers import Timer

DRAIN_S = 25.0
"""What runs may finish for so long when the process stops; within the 30 s that platforms give."""

INBOX_KEPT_MS = 7 * 24 * 3600 * 1000
HOUSEKEEPING_S = 60.0
GAUGES_S = 5.0


class Runs(Protocol):
    """Something with a loop of its own."""

    async def run(self) -> None:
        """For ever."""
        ...


class EdgeLike(Protocol):
    """What the app knows of the edge."""

    @property
    def access(self) -> Runs:
        """Follows who may no longer come in."""
        ...

    @property
    def live(self) -> Runs:
        """Follows what happens, for those who listen."""
        ...

    async def start(self) -> str:
        """Listen; the address. :raises StartError: the port is in use."""
        ...

    async def drain(self) -> None:
        """No new work; what is under way is finished."""
        ...

    async def stop(self) -> None: ...


class App:
    """One process: the chosen actors on one broker connection, each with its store; the edge, if chosen.

    :param names: actors to run; `edge` may be among them.
    """

    def __init__(self, settings: Settings, names: Sequence[str], *, clock: Clock = system_clock) -> None:
        self.settings = settings
        self.names = stagehands.chosen(names)
        self.metrics = Metrics()
        self.address: str | None = None
        """Where the edge listens."""
        self._clock = clock
        self._new_id = Ids(clock)
        self._instance = self._new_id()
        self._seams = Seams(settings.crash_at, Path(settings.var_dir) / "crashed")
        self._stack = AsyncExitStack()
        self._broker: Broker | None = None
        self._stores: dict[str, Store] = {}
        self._cache: Cache | None = None
        self._consumers: list[Consumer] = []
        self._relays: list[Relay] = []
        self._edge: EdgeLike | None = None
        self._stopping = False
        check_topology(settings, self.names)

    async def start(self) -> None:
        """Everything up, in order; what was up is taken down again when something fails.

        :raises SettingError: a setting that cannot be. :raises StartError: something needed is not there.
        """
        try:
            await self._start()
        except Unavailable as error:
            await self._stack.aclose()
            raise StartError(str(error)) from error
        except BaseException:
            await self._stack.aclose()
            raise

    async def _start(self) -> None:
        settings = self.settings
        self._supervisor = Supervisor(self.metrics)
        broker = self._broker = connect.broker(settings)
        cache = self._cache = connect.cache(settings, self._clock)
        keys = load_keys(settings, self.names)
        troupe = [await self._prepare(name, keys, broker) for name in self.names if name != stagehands.EDGE]
        client = Client(broker, keys, self.metrics, new_id=self._new_id)
        broker.on_change(lambda available: client.reconnected() if available else None)
        await broker.open(msgspec.structs.replace(stagehands.topology(), files=self._files()))
        self._stack.push_async_callback(broker.close)
        await cache.open()
        self._stack.push_async_callback(cache.close)
        self._stack.push_async_callback(self._supervisor.stop)
        for dispatch, relay, beat in troupe:
            await self._perform(dispatch, relay, beat, keys.of(dispatch.actor.name), broker)
        if stagehands.EDGE in self.names:
            blobs = LateBlobs(connect.blobs(settings))
            self._stack.push_async_callback(blobs.close)
            edge = import_module("edge.app").Edge(
                settings=settings,
                client=client,
                clock=self._clock,
                cache=cache,
                blobs=blobs,
                readiness=self.readiness,
                metrics=self.metrics,
                keys=keys,
            )
            self._stack.push_async_callback(edge.stop)
            self.address = await edge.start()
            self._supervisor.start("edge.access", edge.access.run)
            self._supervisor.start("edge.live", edge.live.run)
            self._edge = edge
        elif settings.ops_port:
            ops = OpsServer(settings, readiness=self.readiness, metrics=self.metrics.render)
            self._stack.push_async_callback(ops.stop)
            await ops.start()
        gc.collect()
        gc.freeze()  # what boot made stays for good: no collection needs to look at it again
        gc.enable()

    def _files(self) -> dict[str, int]:
        """Setting → fingerprint of each file that other processes of this installation may have to share."""
        settings = self.settings
        urls: dict[str, str] = {}
        for name in self.names:
            if name != stagehands.EDGE:
                urls[f"{name.upper()}_STORE_URL"] = settings.embedded_path(settings.store_url(name))
            if stagehands.needs_blobs(name):
                urls["BLOB_URL"] = settings.embedded_path(settings.blob_url)
        paths = {setting: files.path_of(url) for setting, url in urls.items()}
        return {setting: files.fingerprint(path) for setting, path in paths.items() if path is not None}

    async def _prepare(self, name: str, keys: Keys, broker: Broker) -> tuple[Dispatch, Relay, Beat]:
        """The actor's store, migrated, and the actor, built and started."""
        store = self._stores[name] = connect.store(self.settings, name, self._clock)
        await store.open()
        self._stack.push_async_callback(store.close)
        await store.migrate(stagehands.migrations(name, store.reader.dialect))
        self._stack.push_async_callback(self._leave, store)
        actor = await self._stack.enter_async_context(
            build(stagehands.actor_class(name), self.settings, keys, self._clock, self._cache)
        )
        key = keys.of(name)
        relay = Relay(name, store, broker, key=key, metrics=self.metrics, seams=self._seams)
        beat = Beat(actor, store, broker)
        dispatch = Dispatch(
            actor,
            store,
            key=key,
            metrics=self.metrics,
            offer=relay.offer,
            beat=beat.soon,
            clock=self._clock,
            new_id=self._new_id,
            seams=self._seams,
        )
        await dispatch.start()
        return dispatch, relay, beat

    async def _perform(self, dispatch: Dispatch, relay: Relay, beat: Beat, key: bytes, broker: Broker) -> None:
        """The actor's loops: from here on it takes messages."""
        name, store = dispatch.actor.name, dispatch.store
        consumer = Consumer(
            broker, dispatch, key=key, in_flight=self.settings.in_flight, metrics=self.metrics, seams=self._seams
        )
        start = self._supervisor.start
        start(f"{name}.outbox", relay.run)
        start(f"{name}.parked", ParkedLoop(dispatch).run)
        start(f"{name}.housekeeping", lambda: self._housekeep(store))
        start(f"{name}.gauges", lambda: self._measure(name, store, broker, consumer))
        if has_beat(dispatch.actor):
            start(f"{name}.beat", beat.run)
        for handler in dispatch.table.values():
            if handler.every_ms:
                start(f"{name}.{handler.method}", Timer(dispatch, handler, self._clock).run)
        self._relays.append(relay)
        self._consumers.append(consumer)
        await consumer.start()

    async def stop(self) -> None:
        """Not ready → the edge finishes → consumers finish → the outbox is emptied once more → close in reverse."""
        self._stopping = True
        if self._edge is not None:
            await self._edge.drain()
        unfinished = await asyncio.gather(*(consumer.drain(DRAIN_S) for consumer in self._consumers))
        for ids in filter(None, unfinished):
            logger().warning("stop.unfinished", ids=ids)
        if self._broker is not None and "durable" not in self._broker.lacks:
            # a broker that keeps what it was given: nothing need wait for the next start
            for relay in self._relays:
                while await relay.step():
                    pass
        await self._stack.aclose()

    async def run(self, ready: Callable[[App], None]) -> int:
        """Start, call `ready`, and serve until SIGTERM, Ctrl-C or a loop that keeps failing; the exit code."""
        loop = asyncio.get_running_loop()
        asked = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, asked.set)
        await self.start()
        ready(self)
        broken = self._supervisor.broken
        waiting: asyncio.Future[Any] = asyncio.ensure_future(asked.wait())
        await asyncio.wait([waiting, broken], return_when=asyncio.FIRST_COMPLETED)
        if broken.done():
            logger().critical("process.gives_up", loop=broken.result())
        waiting.cancel()
        await self.stop()
        return 1 if broken.done() else 0

    async def readiness(self) -> Mapping[str, str]:
        """Each dependency by name: `ok`, or what is wrong with it."""
        found: dict[str, str] = {}
        if self._stopping:
            found["process"] = "stopping"
        found["broker"] = "ok" if self._broker is not None and self._broker.available else "away"
        names = list(self._stores)
        answers = await asyncio.gather(*(_word(store.ping()) for store in self._stores.values()))
        found |= {f"{name}_store": answer for name, answer in zip(names, answers, strict=True)}
        if self._cache is not None:
            # a cache that is away slows things down; it keeps nothing from working
            found["cache"] = await _word(self._cache.ping())
        return found

    async def _housekeep(self, store: Store) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_S)
            try:
                while await store.prune(older_than_ms=INBOX_KEPT_MS, limit=1000) == 1000:
                    pass
            except StoreAway as error:
                logger().warning("housekeeping.store_away", reason=str(error))

    async def _leave(self, store: Store) -> None:
        with suppress(StoreAway):  # others stop counting this process by themselves, soon after
            await store.leave(self._instance)

    async def _measure(self, name: str, store: Store, broker: Broker, consumer: Consumer) -> None:
        """Gauges that have to be asked for; not a number while nobody answers. And a sign of life for the others."""
        while True:
            try:
                await store.beat(self._instance, in_flight=consumer.in_flight)
                age_ms: float = (await store.counts())["outbox_age_ms"]
            except StoreAway:
                age_ms = math.nan
            self.metrics.outbox_age.labels(name).set(age_ms / 1000)
            try:
                depths: Mapping[str, float] = await broker.depth(name)
            except BrokerAway:
                depths = dict.fromkeys(QUEUES, math.nan)
            for queue, count in depths.items():
                self.metrics.depth.labels(name, queue).set(count)
            await asyncio.sleep(GAUGES_S)


@asynccontextmanager
async def build(
    cls: type[Actor[Any]], settings: Settings, keys: Keys, clock: Clock, cache: Cache | None = None
) -> AsyncIterator[Actor[Any]]:
    """The actor with what its constructor asks for by name; what was opened for it closes with it.

    :raises ContractError: a parameter that is nothing we have.
    """
    async with AsyncExitStack() as stack:
        arguments: dict[str, Any] = {}
        for parameter in inspect.signature(cls).parameters.values():
            match parameter.name:
                case "settings":
                    made: Any = settings
                case "sealer":
                    made = Sealer(keys.of(cls.name))
                case "clock":
                    made = clock
                case "cache":
                    made = cache
                case "signing_keys":
                    made = keys.signing(cls.name, settings.signed_url_keys)
                case "blobs":
                    made = LateBlobs(connect.blobs(settings))
                    stack.push_async_callback(made.close)
                case "mailer":
                    made = connect.mailer(settings)
                    await made.open()
                    stack.push_async_callback(made.close)
                case "poster":
                    made = connect.poster(settings)
                    stack.push_async_callback(made.close)
                case "texter":
                    made = connect.texter(settings)
                    await made.open()
                    stack.push_async_callback(made.close)
                case unknown:
                    raise ContractError(
                        f"{cls.__name__}.__init__ asks for {unknown!r}; there are settings, sealer, signing_keys, "
                        "clock, cache, blobs, mailer, texter and poster"
                    )
            arguments[parameter.name] = made
        actor = cls(**arguments)
        stack.push_async_callback(actor.stop)
        yield actor


async def _word(ping: Awaitable[None]) -> str:
    try:
        await ping
    except Unavailable as error:
        return str(error) or "away"
    return "ok"


def check_topology(settings: Settings, names: Sequence[str], *, processes: bool = False) -> None:
    """:raises SettingError: a twin that cannot serve this topology."""
    everyone = [*stagehands.actor_names(), stagehands.EDGE]
    if connect.scheme(settings.broker_url) == "memory":
        if processes:
            raise SettingError("BROKER_URL=memory: serves one process; --processes needs amqp://user:password@host/")
        if missing := [name for name in everyone if name not in names]:
            raise SettingError(
                f"BROKER_URL=memory: serves one process, and this one would run without {', '.join(missing)}; "
                "set BROKER_URL=amqp://user:password@host/ or leave --actors out"
            )
    for name, url in settings.store_read_urls.items():
        if connect.scheme(settings.store_url(name)) == "sqlite":
            raise SettingError(f"{name.upper()}_STORE_READ_URL={url}: an SQLite store has no replicas")


def load_keys(settings: Settings, names: Sequence[str], *, fresh: str | None = None) -> Keys:
    """The keys of this process: from SECRET_KEY, from ACTOR_KEY, or, embedded, from a secret that is made and kept.

    :param fresh: what is kept where there is none yet; a random one by default.
    :raises SettingError: none of these.
    """
    if settings.secret_key:
        return Keys(settings.secret_key.encode())
    if settings.actor_key:
        if len(names) != 1 or names[0] == stagehands.EDGE:
            raise SettingError("ACTOR_KEY is the key of one actor; --actors must name that one, and not the edge")
        try:
            key = bytes.fromhex(settings.actor_key)
        except ValueError:
            raise SettingError("ACTOR_KEY is not what `python -m runtime actor-key NAME` printed: hex digits") from None
        if settings.troupe_env == "production" and key == Keys(DEVELOPMENT_KEY.encode()).of(names[0]):
            raise SettingError("ACTOR_KEY is the public one of development: make one with your own SECRET_KEY")
        return Keys(None, {names[0]: key})
    if connect.scheme(settings.broker_url) != "memory":
        raise SettingError("SECRET_KEY must be set beside a real broker: `openssl rand -hex 32` makes one")
    path = Path(settings.var_dir) / "secret.key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(fresh or secrets.token_hex(32))
    return Keys(path.read_text().strip().encode())
