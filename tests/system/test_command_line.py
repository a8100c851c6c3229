"""What an operator sees when something is wrong: one clear line, an exit code, never a traceback."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from runtime import stagehands
from runtime.connect import store_at
from runtime.context import system_clock
from runtime.ports import Parked, Store
from tests.system.world import ROOT, Api, World

USAGE, CANNOT_START = 2, 1
NOWHERE = "amqp://guest:guest@127.0.0.1:1/"


async def refused(world: World, *arguments: str, **settings: str) -> tuple[int, str]:
    code, output, errors = await world.run(*arguments, **settings)
    assert output == ""
    assert "Traceback" not in errors
    (line,) = [each for each in errors.splitlines() if each.startswith("troupe: ")]
    return code, line


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "said"),
    [
        (["--actors", "tsak"], {}, USAGE, ["there is no actor 'tsak'", "task, user, edge"]),
        (["--actors", "task"], {}, USAGE, ["BROKER_URL=memory:", "without media, notify, user, edge", "amqp://"]),
        (["--processes"], {}, USAGE, ["BROKER_URL=memory:", "--processes needs amqp://"]),
        ([], {"TASK_STORE_READ_URL": "sqlite:copy.db"}, USAGE, ["TASK_STORE_READ_URL", "no replicas"]),
        ([], {"BROKER_URL": "kafka://x"}, USAGE, ["BROKER_URL=kafka://x", "amqp:"]),
        ([], {"TASK_STORE_URL": "mysql://u:secret@h/d"}, USAGE, ["TASK_STORE_URL=mysql://u:***@h/d", "postgresql:"]),
        ([], {"EDGE_PORT": "eighty"}, USAGE, ["EDGE_PORT=eighty", "Expected 'int'"]),
        ([], {"BROKER_URL": NOWHERE, "SECRET_KEY": ""}, USAGE, ["SECRET_KEY must be set"]),
        ([], {"BROKER_URL": NOWHERE, "SECRET_KEY": "x" * 32}, CANNOT_START, ["127.0.0.1:1"]),
        ([], {"TASK_STORE_URL": "postgresql://nobody@127.0.0.1:1/x"}, CANNOT_START, ["the database"]),
        ([], {"CRASH_AT": "create_task:before", "TROUPE_ENV": "production"}, USAGE, ["CRASH_AT", "production"]),
        (["--profile", "mars"], {}, USAGE, ["there is no profile 'mars'", "embedded"]),
        (["--replicas", "task"], {"BROKER_URL": NOWHERE}, USAGE, ["--replicas"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
async def test_what_cannot_be_is_said_in_one_line(
    embedded: World, arguments: list[str], settings: dict[str, str], code: int, said: list[str]
) -> None:
    found, line = await refused(embedded, *arguments, **settings)
    assert found == code, line
    assert all(each in line for each in said), line
    assert "secret" not in line


async def test_an_unknown_setting_in_the_file_is_named_with_what_was_meant(embedded: World) -> None:
    (embedded.directory / ".env").write_text("BROKER_URI=memory:\n")
    code, line = await refused(embedded)
    assert (code, line) == (USAGE, "troupe: BROKER_URI is no setting of ours; did you mean BROKER_URL?")


async def test_a_port_in_use_is_said(embedded: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, line = await refused(embedded, EDGE_PORT=port)
    assert code == CANNOT_START
    assert f"127.0.0.1:{port}" in line
    assert "in use" in line


@pytest.mark.parametrize(("actor", "setting"), [("notify", "NOTIFY_STORE_URL"), ("edge", "BLOB_URL")])
async def test_a_file_that_another_process_has_elsewhere_is_said(real: World, actor: str, setting: str) -> None:
    """As on two hosts: the second folder stands for that of another one."""
    real.settings.pop("NOTIFY_STORE_URL")
    first = await real.start("--actors", actor)
    code, line = await refused(real, "--actors", actor, VAR_DIR=str(real.directory / "elsewhere"))
    assert code == CANNOT_START
    assert line.startswith(f"troupe: {setting}: ")
    assert "on another host or at another path" in line
    again = await real.start("--actors", actor)
    assert [await each.stop() for each in (first, again)] == [0, 0]
    await real.start("--actors", actor, VAR_DIR=str(real.directory / "elsewhere"))


async def test_help_says_everything(embedded: World) -> None:
    code, output, _ = await embedded.run("--help")
    assert code == 0
    for word in ("--actors", "--processes", "--edge-port", "check", "dead", "resync", "Exit codes"):
        assert word in output


async def test_check_says_of_each_setting_and_dependency_whether_it_works(embedded: World) -> None:
    code, output, _ = await embedded.run("check", SECRET_KEY="a canary that must not be shown anywhere")
    assert code == 0, output
    assert "canary" not in output
    assert output.count("  ok") >= 6
    code, output, _ = await embedded.run("check", BROKER_URL=NOWHERE)
    assert code == 1
    assert "BROKER_URL           amqp://guest:***@127.0.0.1:1/  FAILS" in output


async def test_control_c_stops_with_0(embedded: World) -> None:
    assert await (await embedded.start()).stop(signal.SIGINT) == 0


async def test_a_process_of_one_actor_needs_that_actors_key_alone(real: World, client: Callable[[str], Api]) -> None:
    _, key, _ = await real.run("actor-key", "task")
    task = await real.start("--actors", "task", SECRET_KEY="", ACTOR_KEY=key.strip())
    await real.start("--actors", "user")
    edge = await real.start("--actors", "edge")
    ada = await client(edge.address).person("Ada")
    assert (await ada.task(await ada.project()))["number"] == 1
    assert await task.stop() == 0


async def test_secrets_for_containers_are_fresh_fit_together_and_are_all_that_compose_needs(embedded: World) -> None:
    code, output, _ = await embedded.run("secrets")
    made = dict(line.split("=") for line in output.splitlines())
    assert (code, made.pop("TROUPE_ENV"), made.pop("PUBLIC_URL")) == (0, "production", "")
    assert set(made) == set(
        re.findall(r"\b(SECRET_KEY|\w+_ACTOR_KEY|\w+_PASSWORD):-", (ROOT / "compose.yaml").read_text())
    )
    _, key, _ = await embedded.run("actor-key", "task", SECRET_KEY=made["SECRET_KEY"])
    assert key.strip() == made["TASK_ACTOR_KEY"]
    assert len(set(made.values())) == len(made)
    _, others, _ = await embedded.run("secrets")
    assert not set(made.values()) & {line.split("=")[1] for line in others.splitlines()}


async def test_health_and_metrics_of_a_process_without_the_edge(
    real: World, client: Callable[[str], Api], free_port: Callable[[], int]
) -> None:
    port = free_port()
    await real.start("--actors", "task", OPS_PORT=str(port), METRICS_TOKEN="a token")
    ops = client(f"http://127.0.0.1:{port}")
    assert (await ops("GET", "/healthz")).status == 200
    ready = await ops("GET", "/readyz")
    assert (ready.status, ready.json["task_store"]) == (200, "ok")
    assert (await ops("GET", "/metrics")).status == 404
    async with asyncio.timeout(10):  # the broker is asked for its part now and then
        while b'troupe_queue_depth{actor="task",queue="requests"} 0.0' not in (metrics := await _metrics(ops)):
            await asyncio.sleep(0.05)
    assert b"troupe_in_flight" in metrics


async def _metrics(ops: Api) -> bytes:
    return (await ops("GET", "/metrics", authorization="Bearer a token")).body


async def test_resync_tells_the_present_state_again(real: World, client: Callable[[str], Api]) -> None:
    running = await real.start()
    await client(running.address).person("Ada")
    code, output, errors = await real.run("resync", "user")
    assert (code, "told again" in output) == (0, True), errors
    code, output, _ = await real.run("dead", "list", "--actor", "task")
    assert (code, output) == (0, "")


async def test_a_seed_says_how_far_it_is(embedded: World) -> None:
    code, output, errors = await embedded.run("seed", "--tasks", "700", "--projects", "3", "--largest", "600")
    assert code == 0, errors
    assert output.startswith("700 tasks in 3 projects of ")
    assert "500 of 700" in errors
    code, _, errors = await embedded.run("seed", "--tasks", "many")
    assert code == USAGE
    assert "tasks" in errors


async def test_dead_letters_are_listed_shown_replayed_and_discarded(embedded: World) -> None:
    async with embedded_store(embedded, "task") as store:
        names = [str(n) for n in range(3)]
        await store.park([Parked(name, "task_due", b"x", 8, None, "it broke", letter=f"l{name}") for name in names])
    code, output, _ = await embedded.run("dead", "list", "--actor", "task", "--type", "task_due")
    assert (code, [line.split()[0] for line in output.splitlines()]) == (0, ["l2", "l1", "l0"])
    code, output, _ = await embedded.run("dead", "show", "--actor", "task", "l1")
    assert (code, '"reason": "it broke"' in output) == (0, True)
    code, output, _ = await embedded.run("dead", "replay", "--actor", "task", "l1")
    assert (code, output) == (0, "1 will be handled again\n")
    code, output, _ = await embedded.run("dead", "discard", "--actor", "task", "--type", "task_due")
    assert (code, output) == (0, "2 are gone\n")
    for wrong in (["l1"], [], ["l1", "--type", "task_due"]):
        code, _, errors = await embedded.run("dead", "replay", "--actor", "task", *wrong)
        assert (code, "dead letter" in errors) == (2, True)


@asynccontextmanager
async def embedded_store(world: World, actor: str) -> AsyncIterator[Store]:
    path = Path(world.settings["VAR_DIR"]) / f"{actor}.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    store = store_at(f"sqlite:{path}", actor, system_clock)
    await store.open()
    try:
        await store.migrate(stagehands.migrations(actor, "sqlite"))
        yield store
    finally:
        await store.close()
