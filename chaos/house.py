"""One installation of Troupe, for one row: its processes, its people, its project."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import aiohttp

from chaos.lab import Lab, Queues, Server, fresh_name
from runtime import stagehands
from tests.system.world import Api, Running, World

Proxied = Sequence[str]
"""Of `broker`, `store` and `cache`, those that are reached through their proxies; `edge:broker`: by the edge alone,
`task:broker`: by the task actor alone."""

QUIET = {"RATE_LIMITS": "off", "LOG_LEVEL": "warning"}


class House:
    """The processes of one installation.

    :ivar world: starts and ends them.
    :ivar tasks: those of the task actor. :ivar others: of the other actors. :ivar edges: of the edge.
    :ivar own: settings of `edge`, `task` and `others` beside those of the world.
    :ivar ada: owns the project. :ivar bob: is a member of it.
    :ivar apis: Ada at each edge, for the load; whoever adds or removes an edge changes it.
    """

    def __init__(self, world: World, session: aiohttp.ClientSession) -> None:
        self.world = world
        self.session = session
        self.tasks: list[Running] = []
        self.others: list[Running] = []
        self.edges: list[Running] = []
        self.apis: list[Api] = []
        self.own: dict[str, dict[str, str]] = {"edge": {}, "task": {}, "others": {}}
        self.project = ""
        self.ada: Api
        self.bob: Api

    @property
    def processes(self) -> list[Running]:
        return list({id(each): each for each in (*self.tasks, *self.others, *self.edges)}.values())

    @property
    def queues(self) -> Queues:
        return Queues(self.world.settings["BROKER_URL"].partition(",")[0], self.world.settings["BROKER_PREFIX"])

    async def person(self, address: str, name: str = "Ada") -> Api:
        """Somebody new, at an edge that may just be starting."""
        anyone = Api(self.session, address)
        await anyone.until_ready()
        return await anyone.person(name)

    async def populate(self, address: str) -> None:
        """Two people, a project of theirs."""
        self.ada, self.bob = await self.person(address, "Ada"), await self.person(address, "Bob")
        self.project = await self.ada.project()
        path = f"/v1/projects/{self.project}/members/{self.bob.user['id']}"
        made = await self.ada("PUT", path, {"role": "editor"})
        assert made.status == 200, made
        self.apis.append(self.ada)

    async def task(self, **settings: str) -> Running:
        """Start a process of the task actor."""
        return await self.world.start("--actors", "task", **self.own["task"], **settings)

    async def doomed(self, **settings: str) -> Running:
        """Start a process of the task actor that may be gone before it is ready."""
        return await self.world.launch("--actors", "task", **self.own["task"], **settings)

    async def replace(self, dead: Running) -> None:
        """What a platform does: a new task process where a dead one was."""
        self.tasks[self.tasks.index(dead)] = await self.task()

    async def other(self) -> Running:
        """Start a process of all actors but task."""
        names = [name for name in stagehands.actor_names() if name != "task"]
        return await self.world.start("--actors", ",".join(names), **self.own["others"])

    async def edge(self) -> Running:
        """One more edge, which takes its share of the load."""
        running = await self.world.start("--actors", "edge", **self.own["edge"])
        self.edges.append(running)
        if self.apis:
            self.apis.append(self.ada.at(running.address))
        return running


async def real(
    lab: Lab, directory: Path, session: aiohttp.ClientSession, *, proxied: Proxied, settings: Mapping[str, str]
) -> House:
    """No process yet; all settings for queues, schemas and keys of this row alone."""
    name = fresh_name()
    store = address(lab.store, "store" in proxied)
    stores = {
        f"{actor.upper()}_STORE_URL": f"{store}?{urlencode({'schema': f'{name}_{actor}'})}"
        for actor in stagehands.actor_names()
    }
    if lab.documents:
        stores["USER_STORE_URL"] = urlsplit(lab.documents.url)._replace(path=f"/{name}").geturl()
    servers = {
        "BROKER_URL": address(lab.broker, "broker" in proxied),
        "BROKER_PREFIX": name,
        "CACHE_URL": address(lab.cache, "cache" in proxied),
        # beside VAR_DIR, which some rows give a process of its own
        "BLOB_URL": f"file:{directory}/media",
        "MAIL_URL": f"file:{directory}/mail",
    }
    house = House(World(directory, {**QUIET, **servers, **stores, **settings}), session)
    for who, _, server in (each.partition(":") for each in proxied if ":" in each):
        house.own[who][f"{server.upper()}_URL"] = address(getattr(lab, server), proxied=True)
    return house


def embedded(directory: Path, session: aiohttp.ClientSession, *, port: int, settings: Mapping[str, str]) -> House:
    """Everything on the twins, in one process that is not started yet."""
    fixed = {"SECRET_KEY": "", "EDGE_PORT": str(port)}
    return House(World(directory, {**QUIET, **fixed, **settings}), session)


def address(server: Server, proxied: bool) -> str:
    return server.behind if proxied else server.url


async def boot(house: House, *, tasks: int, edges: int, embedded: bool = False) -> None:
    """One process for user, notify and media, and those of task and edge; embedded, one for all."""
    if embedded:
        house.edges = house.tasks = house.others = [await house.world.start()]
    else:
        running = await asyncio.gather(house.other(), *(house.task() for _ in range(tasks)))
        house.others, house.tasks = [running[0]], list(running[1:])
        for _ in range(edges):
            await house.edge()
    if house.edges:
        await house.populate(house.edges[0].address)
    house.apis += [house.ada.at(each.address) for each in house.edges[1:]]


def resident_mib(running: Running) -> float:
    """Resident memory of a process (proc(5), `VmRSS`); 0 when it is gone."""
    try:
        status = Path(f"/proc/{running.process.pid}/status").read_text()
    except OSError:
        return 0.0
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
