"""What all tests share: real servers, each obtained when the first test asks for it (see `tests/servers`).

A server that cannot be had skips the tests that need it, with the reason; where `CI` is set it fails them.
"""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from typing import NoReturn

import pytest

from tests.servers import Unobtainable, answers, compose, obtain, processes, report

FINDINGS = pytest.StashKey[dict[str, obtain.Obtained | Unobtainable]]()

Fetch = Callable[[obtain.Kind], Awaitable[str]]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[FINDINGS] = {}
    # Whoever ends the run with SIGTERM, as time limits do, should not leave servers behind either.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    findings = config.stash[FINDINGS]
    if findings:
        terminalreporter.section("real servers")
        for line in report.lines(findings):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def run_id() -> str:
    """Eight hex digits that set this run's names apart on servers that it shares."""
    return secrets.token_hex(4)


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Call it for a TCP port of 127.0.0.1 that nobody listens on."""
    return processes.free_port


@pytest.fixture(scope="session")
def real_server(request: pytest.FixtureRequest) -> Iterator[Fetch]:
    """Call it with a kind of server for the address of one; it is stopped at the end of the run, if it is ours."""
    config = request.config
    findings = config.stash[FINDINGS]

    def say(line: str) -> None:
        with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            config.pluginmanager.getplugin("terminalreporter").write_line(line)

    with ExitStack() as stack:

        async def fetch(kind: obtain.Kind) -> str:
            try:
                findings[kind.port] = obtained = await obtain.obtain(kind, stack, say)
            except Unobtainable as error:
                findings[kind.port] = error
                _lacking(f"no real {kind.name}: {error}")
            return obtained.url

        yield fetch


def _lacking(complaint: str) -> NoReturn:
    if os.environ.get("CI", "").lower() in {"true", "1"}:
        pytest.fail(complaint, pytrace=False)
    pytest.skip(complaint)


@pytest.fixture(scope="module")
async def containers(request: pytest.FixtureRequest, run_id: str) -> AsyncIterator[compose.Compose]:
    """What `compose.yaml` brings up, for one module: ten containers are no company for other tests. Skips without a container engine; in CI, one must work where it is there."""
    findings = request.config.stash[FINDINGS]
    try:
        version = await compose.version()
    except Unobtainable as error:
        findings[report.CONTAINERS] = error
        pytest.skip(f"no containers: {error}")
    async with AsyncExitStack() as stack:
        try:
            project = await stack.enter_async_context(compose.project(f"troupe-{run_id}"))
        except Unobtainable as error:
            findings[report.CONTAINERS] = error
            _lacking(f"no containers: {error}")
        findings[report.CONTAINERS] = obtain.Obtained(project.address, version, "all of compose.yaml")
        yield project


@pytest.fixture(scope="session")
async def amqp_url(real_server: Fetch) -> str:
    """A RabbitMQ broker."""
    return await real_server(obtain.BROKER)


@pytest.fixture(scope="session")
async def postgres_url(real_server: Fetch, run_id: str) -> AsyncIterator[str]:
    """An empty PostgreSQL database, `troupe_<run_id>`, dropped at the end."""
    url, name = await real_server(obtain.STORE), f"troupe_{run_id}"
    yield await answers.create_database(url, name)
    await answers.drop_database(url, name)


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str | None:
    """The address of a PostgreSQL database; None stands for SQLite."""
    url: str | None = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    return url


@pytest.fixture(scope="session")
async def mongo_url(real_server: Fetch) -> str:
    """A replica set of MongoDB; whoever writes to it does so in databases of its own."""
    return await real_server(obtain.DOCUMENTS)


@pytest.fixture(scope="session")
async def redis_url(real_server: Fetch) -> str:
    """A Redis server; whoever writes to it puts `run_id` before the keys."""
    return await real_server(obtain.CACHE)


@pytest.fixture(scope="session")
async def s3_url(real_server: Fetch) -> str:
    """A bucket of an S3 server: `s3://bucket?endpoint=http://key:secret@host:port`."""
    return await real_server(obtain.BLOBS)
