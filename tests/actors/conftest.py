"""Actors on a stage, once on each kind of store; a test brings its own people and projects."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import asyncpg
import pytest

from actors.notify_actor import NotifyActor
from actors.task_actor import TaskActor
from actors.user_actor import UserActor
from config.settings import Settings
from runtime import connect
from runtime.keys import Sealer
from runtime.late_blobs import LateBlobs
from runtime.ports import Blobs, Cache
from runtime.testing import Stage
from tests.actors.boards import check_boards
from tests.actors.company import Company
from tests.actors.importing import Importers
from tests.actors.town import ORIGIN, Town
from tests.conformance.cloudinary_server import cloudinary_server, cloudinary_url
from tests.servers.answers import drop_documents

OF_THE_USER_ACTOR = {
    "account", "admins", "api_tokens", "audit_chain", "passwords", "register", "second_factor", "sessions", "sign_in",
    "signing_keys", "verify_email",
}  # fmt: skip
"""Suites that run with accounts in MongoDB, too; the other actors keep theirs in files then."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database" in metafunc.fixturenames:
        suite = metafunc.module.__name__.rpartition("test_")[2]
        kinds = ["sqlite", "postgresql", *(["mongodb"] if suite in OF_THE_USER_ACTOR else [])]
        metafunc.parametrize("database", kinds, indirect=True, scope="session")


@pytest.fixture(scope="session")
def database(request: pytest.FixtureRequest) -> str | None:
    """The address of a database in PostgreSQL, or of a server of MongoDB; None stands for SQLite."""
    servers = {"postgresql": "postgres_url", "mongodb": "mongo_url"}
    url: str | None = request.getfixturevalue(servers[request.param]) if request.param in servers else None
    return url


@contextlib.asynccontextmanager
async def schemas(url: str, name: str) -> AsyncIterator[Callable[[str], str]]:
    """Addresses of stores that are dropped at the end: in schemas, or the user actor's in a database."""
    if url.startswith("mongodb"):
        with TemporaryDirectory() as folder:
            database = urlsplit(url)._replace(path=f"/{name}").geturl()
            yield lambda actor: database if actor == "user" else f"sqlite:{folder}/{actor}.db"
        await drop_documents(url, f"{name}_user")
        return
    names = {actor: f"{name}_{actor}" for actor in ("user", "task", "notify", "media")}
    yield lambda actor: f"{url}{'&' if '?' in url else '?'}schema={names[actor]}"
    connection = await asyncpg.connect(url)
    for each in names.values():
        await connection.execute(f"drop schema if exists {each} cascade")
    await connection.close()


def task_actor(folder: Path, *, cache: Cache | None = None, sealer: Sealer | None = None) -> TaskActor:
    """:param folder: where its imports lie."""
    settings = Settings(blob_url=f"file:{folder}")
    return TaskActor(blobs=LateBlobs(connect.blobs(settings)), settings=settings, cache=cache, sealer=sealer)


@pytest.fixture(scope="session")
async def cloudinary(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> AsyncIterator[str]:
    """The address of a cloud that answers as Cloudinary does."""
    port = free_port()
    async with cloudinary_server(tmp_path_factory.mktemp("cloud"), port):
        yield cloudinary_url(port)


@pytest.fixture(scope="session", params=["files", "s3_url", "cloudinary"])
def blob_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of an object store."""
    url: str | None = None if request.param == "files" else request.getfixturevalue(request.param)
    return url or f"file:{tmp_path_factory.mktemp('blobs')}"


@pytest.fixture(scope="session")
async def stage(database: str | None, run_id: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """The user and the task actor; hashing is as cheap as argon2 allows."""
    async with contextlib.AsyncExitStack() as stack:
        store_url = await stack.enter_async_context(schemas(database, f"actors_{run_id}")) if database else None
        user = UserActor(settings=Settings(argon2="8,1,1"), sealer=Sealer(b"a key of the tests"))
        stage = await stack.enter_async_context(
            Stage(user, task_actor(tmp_path_factory.mktemp("imports")), store_url=store_url)
        )
        yield stage
        await check_boards(stage.dispatches["task"].store)  # after all that was done there


@pytest.fixture(scope="session")
async def town(database: str | None, run_id: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """The notify actor too, with its mail in a folder."""
    folder = tmp_path_factory.mktemp("mail")
    settings = Settings(
        argon2="8,1,1",
        mail_url=f"file:{folder}",
        public_url=ORIGIN,
        webhook_allowed_networks="127.0.0.1/32",
        sms_url=f"file:{folder}/sms",
    )
    async with contextlib.AsyncExitStack() as stack:
        store_url = await stack.enter_async_context(schemas(database, f"town_{run_id}")) if database else None
        sealer = Sealer(b"a key of the tests")
        user = UserActor(settings=settings, sealer=sealer)
        poster = connect.poster(settings)
        stack.push_async_callback(poster.close)
        texter = connect.texter(settings)
        notify = NotifyActor(
            settings=settings, mailer=connect.mailer(settings), texter=texter, sealer=sealer, poster=poster
        )
        task = task_actor(tmp_path_factory.mktemp("imports"))
        stage = await stack.enter_async_context(Stage(user, task, notify, store_url=store_url))
        yield Town(stage, folder)


@pytest.fixture
def company(stage: Stage) -> Company:
    return Company(stage)


@pytest.fixture(scope="module")
async def stand(
    database: str | None, run_id: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Stage, Blobs]]:
    """The task actor alone, and the object store of its imports."""
    async with contextlib.AsyncExitStack() as stack:
        store_url = await stack.enter_async_context(schemas(database, f"imports_{run_id}")) if database else None
        settings = Settings(blob_url=f"file:{tmp_path_factory.mktemp('blobs')}", import_limit=10_000_000)
        blobs = connect.blobs(settings)
        await blobs.open()
        stack.push_async_callback(blobs.close)
        task = TaskActor(blobs=blobs, settings=settings)
        stage = await stack.enter_async_context(Stage(task, store_url=store_url))
        yield stage, blobs
        await check_boards(stage.dispatches["task"].store)  # likewise


@pytest.fixture
def importers(stand: tuple[Stage, Blobs]) -> Importers:
    return Importers(*stand)
