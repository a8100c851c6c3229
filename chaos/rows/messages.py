"""F38–F46: messages that come thrice, late, broken or too late, and clocks that are wrong."""

from __future__ import annotations

import asyncio

import aiohttp

from chaos import house as houses
from chaos.ferry import Ferry
from chaos.row import errors, only, row
from chaos.scene import Scene
from runtime.client import COPIES
from runtime.suspects import CRASHES
from tests.system.oracle import DEADLINE_S


@row("F38", "every request and event is delivered three times", errors(0), "no duplicate effect", on="nothing")
async def thrice(scene: Scene) -> None:
    await _ferried(scene, Ferry(scene.house, copies=3))


@row("F39", "events reordered and delayed by 0 to 5 s", errors(0), "same end state as in order", on="nothing")
async def reordered(scene: Scene) -> None:
    await _ferried(scene, Ferry(scene.house, delay_s=5))


async def _ferried(scene: Scene, ferry: Ferry) -> None:
    house = scene.house
    await houses.boot(house, tasks=2, edges=0)
    edge = await house.edge()
    async with ferry:
        await house.populate(edge.address)
        async with scene.loading(), scene.fault("all the time"):
            await scene.calm(scene.either(20, 6))
        scene.note(f"{ferry.carried} messages were carried over")
        await scene.settled()


@row(
    "F40",
    "a request that crashes its consumer, among a thousand",
    "it is a dead letter, no innocent one is",
    only(503, 504),
)
async def poison(scene: Scene) -> None:
    house = scene.house
    victim = await house.ada.task(house.project, "Poison")
    for each in list(house.tasks):
        await each.stop()
    house.tasks[:] = []
    deaths = 0

    async def kept_alive(number: int) -> None:
        """A process that dies of the poison each time, and is started again each time."""
        nonlocal deaths
        while True:
            life = str(house.world.directory / f"life{number}-{deaths}")
            running = await house.task(CRASH_AT="delete_task:before", VAR_DIR=life)
            house.tasks.append(running)
            await running.process.wait()
            house.tasks.remove(running)
            deaths += 1

    keepers = [asyncio.ensure_future(kept_alive(number)) for number in range(2)]
    await scene.calm(scene.either(16, 4))
    async with scene.fault("poison"):
        answer = await house.ada("DELETE", f"/v1/tasks/{victim['id']}", idempotency_key="poison", prefer="wait=15")
    await scene.calm(scene.either(16, 4))
    for keeper in keepers:
        keeper.cancel()
    await asyncio.gather(*keepers, return_exceptions=True)
    house.tasks.append(await house.task())
    dead = await scene.dead_letters("task")
    scene.note(f"answered with {answer.status} after {deaths} deaths; dead letters: {len(dead)}")
    scene.expect(answer.status in (500, 503, 504), f"it was answered with {answer.status}")
    scene.expect([line.split()[1] for line in dead] == ["delete_task"], f"dead letters: {dead}")
    # three times it is on trial; copies of its hedge may be in hand elsewhere before the first trial is written down
    scene.expect(deaths <= CRASHES + COPIES, f"it took {deaths} processes down")


@row("F41", "malformed messages in every queue", errors(0), "dead letters, no crash")
async def malformed(scene: Scene) -> None:
    house = scene.house
    bodies = [b"", b"\x00", b"\x01" * 40, b"\x00\x91\x93\xa1", b"{}", b"\xff" * 5000]
    async with scene.fault("malformed"):
        for number, body in enumerate(bodies):
            for queue in ("task.requests", "task.events", "notify.events"):
                await house.queues.put(queue, body + queue.encode() + bytes([number]))  # each of its own digest
    await scene.calm(3)
    dead = [*await scene.dead_letters("task"), *await scene.dead_letters("notify")]
    scene.expect(len(dead) == 3 * len(bodies), f"{len(dead)} of {3 * len(bodies)} are dead letters")
    alive = all(each.process.returncode is None for each in house.processes)
    scene.expect(alive, "a process has died")


@row(
    "F40e", "a request that crashes the only process, embedded", only(0, 503),
    "no innocent is lost; asked again, it is done once", on="embedded",
)  # fmt: skip
async def poison_embedded(scene: Scene) -> None:
    """The request dies with its asker and the queue that held it, so that nothing brings it back."""
    house = scene.house
    victim = await house.ada.task(house.project, "Poison")
    path = f"/v1/tasks/{victim['id']}"
    await _again(scene, CRASH_AT="delete_task:before")
    async with scene.fault("poison"):
        try:
            answer = await house.ada("DELETE", path, idempotency_key="poison")
        except aiohttp.ClientError:
            scene.note("its connection broke")
        else:
            scene.expect(False, f"it was answered with {answer.status}")
        await _again(scene)
    await scene.calm(3)
    scene.expect((await house.ada("GET", path)).status == 200, "it ran by itself")
    answers = [(await house.ada("DELETE", path, idempotency_key="poison")).status for _ in range(2)]
    scene.expect(answers == [204, 204], f"asked again, it was answered with {answers}")
    scene.expect(not await scene.dead_letters("task"), "there are dead letters")


async def _again(scene: Scene, **settings: str) -> None:
    """The process, stopped if it still runs, and started anew."""
    house = scene.house
    await house.edges[0].stop()
    house.edges[:] = house.tasks[:] = house.others[:] = [await house.world.start(**settings)]


@row("F42", "a dead letter is replayed twice", errors(0.02), "one effect")
async def replayed_twice(scene: Scene) -> None:
    await _replayed_twice(scene)


@row("F42e", "a dead letter is replayed twice, embedded", errors(0.02), "one effect", on="embedded")
async def replayed_twice_embedded(scene: Scene) -> None:
    await _replayed_twice(scene)


async def _replayed_twice(scene: Scene) -> None:
    """The event of a new task, which notify could not handle while its table was away."""
    house = scene.house
    async with scene.fault("notifications cannot be written"):
        await scene.statement("notify", "alter table notification rename to away")
        made = await house.ada.task(house.project, "Told once", assignee_ids=[house.bob.user["id"]])
        await scene.calm(1.5)
        await scene.statement("notify", "update parked set due_at = null")  # out of patience: dead letters
        await scene.statement("notify", "alter table away rename to notification")
    dead = [line.split()[0] for line in await scene.dead_letters("notify")]
    scene.expect(bool(dead), "there is no dead letter")
    for _ in range(2):
        for id in dead:
            await house.world.run("dead", "replay", "--actor", "notify", id)
        await scene.calm(1.5)
    told = [each for each in await scene.notifications() if each["subject"]["id"] == made["id"]]
    scene.expect(len(told) == 1, f"told {len(told)} times")


@row("F43", "clocks 5 min apart", errors(0), "no early expiry; ids and timers in order", on="nothing")
async def clocks_apart(scene: Scene) -> None:
    house = scene.house
    house.own["task"] |= await _faked(scene, "-150s")
    house.own["others"] |= await _faked(scene, "+150s")
    await houses.boot(house, tasks=2, edges=1)
    async with scene.loading(), scene.fault("-150 s, 0 and +150 s"):
        await scene.calm(scene.either(20, 6))
    await _in_order(scene)


@row("F44", "the clock jumps back by 1 h", errors(0.01), "ids and timers stay in order", on="nothing")
async def clock_jumps(scene: Scene) -> None:
    house = scene.house
    dial = house.world.directory / "dial"
    dial.write_text("+0\n")
    fake = await _faked(scene, None) | {"FAKETIME_TIMESTAMP_FILE": str(dial), "FAKETIME_NO_CACHE": "1"}
    house.own["task"] |= fake
    house.own["others"] |= fake
    await houses.boot(house, tasks=1, edges=1)
    async with scene.loading(), scene.fault("back by 1 h"):
        dial.write_text("-3600\n")
        await scene.calm(scene.either(15, 6))
    await _in_order(scene)


async def _faked(scene: Scene, offset: str | None) -> dict[str, str]:
    """:raises Unobtainable: there is no libfaketime."""
    settings = {"LD_PRELOAD": str(await scene.lab.faketime()), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    return settings if offset is None else settings | {"FAKETIME": offset}


async def _in_order(scene: Scene) -> None:
    """Tasks of one process, by number: their ids go up, as they were made one after the other."""
    await scene.settled()
    tasks = sorted(await scene.tasks(), key=lambda task: task["number"])
    numbers = [task["number"] for task in tasks]
    scene.expect(numbers == list(range(1, len(tasks) + 1)), "the numbers of tasks have gaps or doubles")


@row("F46", "requests that expire while their actor is down", only(503, 504), "they never run", tasks=1)
async def expired(scene: Scene) -> None:
    house = scene.house
    async with scene.fault("the actor is down"):
        await house.tasks[0].stop()
        await scene.calm(1)
        titles = [f"Too late {n}" for n in range(20)]
        answers = await asyncio.gather(
            *(
                house.ada("POST", "/v1/tasks", {"project_id": house.project, "title": title}, prefer="wait=1")
                for title in titles
            )
        )
        scene.expect({each.status for each in answers} <= {503, 504}, f"{[each.status for each in answers]}")
        await scene.calm(DEADLINE_S)
        house.tasks[:] = [await house.task()]
    await scene.calm(3)
    ran = [task["title"] for task in await scene.tasks() if task["title"] in titles]
    scene.expect(not ran, f"{len(ran)} ran after their deadline")
