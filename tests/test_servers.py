"""The servers of the tests are real, none outlives the run, and one that cannot be had is told, not hidden."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import pytest

from tests.servers import Unobtainable, answers, obtain, report
from tests.servers.processes import spawn, workplace


async def test_the_broker_names_its_version(amqp_url: str) -> None:
    assert (await answers.rabbitmq(amqp_url)).startswith("RabbitMQ ")


async def test_the_database_is_empty_and_belongs_to_this_run(postgres_url: str, run_id: str) -> None:
    connection = await asyncpg.connect(postgres_url)
    try:
        assert await connection.fetchval("select current_database()") == f"troupe_{run_id}"
    finally:
        await connection.close()


async def test_the_documents_are_kept_by_mongodb_itself(mongo_url: str) -> None:
    assert (await answers.mongo(mongo_url)).startswith("MongoDB ")


async def test_the_cache_names_its_version(redis_url: str) -> None:
    assert (await answers.redis_server(redis_url)).startswith("Redis ")


async def test_the_bucket_is_there(s3_url: str) -> None:
    assert (await answers.s3(s3_url)).startswith("S3 ")


def test_a_server_of_ours_ends_with_its_children_and_its_files() -> None:
    with ExitStack() as stack:
        directory = workplace(stack)
        os.mkfifo(directory / "alive")
        server = spawn(stack, ["/bin/sh", "-c", "exec 3>alive; (trap '' TERM; sleep 60) & sleep 60"], directory)
        alive = (directory / "alive").open("rb")
        assert server.epitaph() is None
    with alive:
        assert alive.read() == b""  # the end of the file: nobody holds the other side any more
    assert server.child.returncode is not None
    assert not directory.exists()


def test_a_server_that_dies_leaves_its_last_words() -> None:
    with ExitStack() as stack:
        server = spawn(stack, ["/bin/sh", "-c", "echo no room >&2; exit 3"], workplace(stack))
        server.child.wait(10)
        epitaph = server.epitaph()
    assert epitaph is not None
    assert epitaph.endswith("exited with 3: no room")


async def test_a_named_server_that_does_not_answer_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(obtain, "NAMED_S", 0.0)
    with ExitStack() as stack, pytest.raises(Unobtainable, match=r"^TEST_REDIS_URL: no answer within 0 s"):
        await obtain.obtain(obtain.CACHE, stack, print)


def test_the_report_has_a_line_for_every_port() -> None:
    redis = obtain.Obtained("redis://127.0.0.1:1/0", "Redis 8.0.2", "container of redis:8")
    lines = report.lines(
        {"Cache": redis, "Broker": Unobtainable("no program"), report.CONTAINERS: Unobtainable("no engine")}
    )
    assert lines == [
        "Broker  NOT TESTED with RabbitMQ: no program",
        "Store   no test of this run asked for a real server",
        "Mongo   no test of this run asked for a real server",
        "Cache   Redis 8.0.2, container of redis:8",
        "Blobs   no test of this run asked for a real server",
        "Compose NOT TESTED with containers: no engine",
    ]


async def test_a_missing_server_skips_its_tests_and_fails_them_in_ci() -> None:
    (skipped, said), (failed, said_in_ci) = await asyncio.gather(
        _run_without_cache(CI=""), _run_without_cache(CI="true")
    )
    complaint = "Cache   NOT TESTED with Redis: TEST_REDIS_URL: no answer within 3 s"
    assert complaint in said
    assert complaint in said_in_ci
    assert (skipped, failed) == (0, 1)
    assert "1 skipped" in said


async def _run_without_cache(**environment: str) -> tuple[int | None, str]:
    """The exit status and output of a test run whose Redis is away."""
    run = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider"),
        f"{Path(__file__).name}::test_the_cache_names_its_version",
        cwd=Path(__file__).parent,
        env={**os.environ, "TEST_REDIS_URL": "redis://127.0.0.1:1/0", **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await run.communicate()
    return run.returncode, output.decode()
