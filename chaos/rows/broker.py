"""F09–F20: a broker that restarts, dies, forgets, falls silent or has no room."""

from __future__ import annotations

import asyncio
import signal
import time

from chaos import house as houses
from chaos.lab import Server, row_of
from chaos.row import only, recovers, refuses_within, row
from chaos.scene import Fault, Scene
from runtime.silence import SILENT_S
from tests.system.oracle import DEADLINE_S

AGAIN_S = 10.0
"""How long consumers may take to be there again, in seconds."""


@row("F09", "the broker is restarted", recovers(3), "as many consumers as before", short=True)
async def restarted(scene: Scene) -> None:
    before = await scene.house.queues.consumers()
    async with scene.fault("restart"):
        await scene.lab.broker.stop()
        await scene.lab.broker.start()
    await scene.calm(6)
    await _same_consumers(scene, before)


@row("F10", "kill -9 the broker", recovers(3), "as many consumers as before")
async def killed(scene: Scene) -> None:
    before = await scene.house.queues.consumers()
    async with scene.fault("kill -9"):
        await scene.lab.broker.kill()
        await scene.lab.broker.start()
    await scene.calm(6)
    await _same_consumers(scene, before)


@row("F11", "1 of 3 broker nodes is lost, then 2", recovers(10), "503 in 1 s each, none hung", on="nothing")
async def nodes_lost(scene: Scene) -> None:
    house = scene.house
    nodes = await scene.lab.cluster()
    house.world.settings["BROKER_URL"] = ",".join([nodes[0].url.rstrip("/"), *(_address(each) for each in nodes[1:])])
    house.world.settings["REQUEST_QUEUE_TYPE"] = "quorum"
    await houses.boot(house, tasks=2, edges=1)
    async with scene.loading():
        async with scene.fault("1 of 3 killed"):
            await nodes[0].kill()
        await scene.calm(12)
        await nodes[0].start()
        async with scene.fault("2 of 3 killed") as two:
            await asyncio.gather(nodes[1].kill(), nodes[2].kill())
            await scene.calm(scene.either(20, 12))
            await asyncio.gather(nodes[1].start(), nodes[2].start())
        await scene.calm(12)
    late = [each for each in scene.sent(two) if each.failed and each.sent_at > two.began + 1]
    scene.note(
        f"while 2 of 3 were lost: {sum(each.status == 503 for each in late)} times 503, {len(late)} failed in all"
    )
    slow = sum(each.status != 503 or each.took_s > 1 for each in late)
    scene.expect(slow <= len(late) / 100, f"{slow} of {len(late)} were not refused with 503 in 1 s")


@row("F13", "queues are deleted under their consumers", recovers(10), "declared and consuming again in 10 s")
async def queues_deleted(scene: Scene) -> None:
    before = await scene.house.queues.consumers()
    async with scene.fault("queues deleted"):
        await scene.house.queues.delete("task.requests", "task.events", "notify.events")
    await _same_consumers(scene, before)
    await scene.calm(4)


@row("F14", "the broker closes all connections", recovers(2), "replies work again")
async def connections_closed(scene: Scene) -> None:
    for _ in range(2):
        async with scene.fault("connections closed"):
            await scene.lab.broker.tool("rabbitmqctl", "close_all_connections", "fault suite")
        await scene.calm(5)


@row("F15", "every connection to the broker is half open", recovers(20), "noticed in 20 s", proxied=["broker"])
async def half_open(scene: Scene) -> None:
    async with scene.fault("half open"):
        await scene.lab.broker.proxy.half_open()
    await scene.calm(25)


@row("F16", "a black hole of 60 s between edge and broker", recovers(5), "noticed in 20 s", proxied=["edge:broker"])
async def black_hole(scene: Scene) -> None:
    async with scene.fault("black hole") as hole:
        scene.lab.broker.proxy.passing.clear()
        await scene.calm(scene.either(60, 25))
        scene.lab.broker.proxy.passing.set()
    await scene.calm(8)
    _noticed(scene, hole)


@row(
    "F17", "the outbox after a black hole between the task actor and the broker",
    "the oldest unsent row is younger than 1 s, 5 s later", proxied=["task:broker"],
)  # fmt: skip
async def outbox_after_black_hole(scene: Scene) -> None:
    async with scene.fault("black hole"):
        scene.lab.broker.proxy.passing.clear()
        await scene.calm(scene.either(40, 20))
        scene.lab.broker.proxy.passing.set()
    await scene.calm(5)
    ages = []
    for _ in range(10):
        ages.append(await _oldest_unsent_s(scene))
        await scene.calm(0.3)
    scene.note(f"the oldest unsent row was {max(ages):.2f} s old")
    scene.expect(max(ages) < 1, f"a row has waited for {max(ages):.1f} s")


@row("F18", "memory alarm of the broker for 60 s", refuses_within(0.1), recovers(2), "consumers go on", short=True)
async def memory_alarm(scene: Scene) -> None:
    await _alarm(scene, "set_vm_memory_high_watermark", "0.000001", "0.4")


@row("F19", "disk alarm of the broker for 60 s", refuses_within(0.1), recovers(2), "consumers go on")
async def disk_alarm(scene: Scene) -> None:
    await _alarm(scene, "set_disk_free_limit", "1000000GB", "50MB")


async def _alarm(scene: Scene, command: str, alarming: str, normal: str) -> None:
    """Events come to a consumer that stands still before it; they are handled during it."""
    house, broker = scene.house, scene.lab.broker
    house.others[0].process.send_signal(signal.SIGSTOP)
    await scene.calm(1)
    async with scene.fault("alarm"):
        try:
            await broker.tool("rabbitmqctl", command, alarming)
            before = await _handled_by_notify(scene)
            house.others[0].process.send_signal(signal.SIGCONT)
            await scene.calm(scene.either(60, 8))
            handled = await _handled_by_notify(scene) - before
        finally:
            await broker.tool("rabbitmqctl", command, normal)
    await scene.calm(4)
    scene.note(f"{handled} events that had come before the alarm were handled during it")
    scene.expect(handled > 0, "no event was handled during the alarm")


@row("F20", "a full queue", only(503, 504), recovers(5), "503 at once when nothing was answered for 5 s", tasks=1)
async def full_queue(scene: Scene) -> None:
    """Its actor stands still, and the broker takes no more than 20 messages for it."""
    house, broker = scene.house, scene.lab.broker
    prefix = house.world.settings["BROKER_PREFIX"]
    policy = '{"max-length": 20, "overflow": "reject-publish"}'
    await broker.tool("rabbitmqctl", "set_policy", prefix, f"^{prefix}[.]task[.]", policy, "--apply-to", "queues")
    async with scene.fault("full") as full:
        house.tasks[0].process.send_signal(signal.SIGSTOP)
        await scene.calm(scene.either(25, 12))
        house.tasks[0].process.send_signal(signal.SIGCONT)
    await broker.tool("rabbitmqctl", "clear_policy", prefix)
    await scene.calm(DEADLINE_S)
    late = [each for each in scene.sent(full) if each.failed and each.sent_at > full.began + SILENT_S + 1]
    refused = sum(each.status == 503 and each.took_s < 1 for each in late)
    scene.note(f"{refused} of {len(late)} failures were a 503 at once; the others are the probes")
    scene.expect(refused >= 0.75 * len(late), f"only {refused} of {len(late)} failures were a 503 at once")


async def _same_consumers(scene: Scene, before: object) -> None:
    deadline = time.monotonic() + AGAIN_S
    while (now := await scene.house.queues.consumers()) != before:
        if time.monotonic() > deadline:
            scene.expect(False, f"consumers: {now}, before: {before}")
            return
        await scene.calm(0.5)


def _noticed(scene: Scene, hole: Fault) -> None:
    """Within 20 s, requests are refused at once instead of waited for."""
    late = [each for each in scene.sent(hole) if each.sent_at > hole.began + 20]
    waited = sum(each.took_s > 1 for each in late)
    scene.expect(waited <= len(late) / 100, f"{waited} of {len(late)} still waited, 20 s after it had begun")


async def _handled_by_notify(scene: Scene) -> int:
    schema = f"{scene.house.world.settings['BROKER_PREFIX']}_notify"
    return int((await row_of(scene.lab.store.url, "select count(*) as n from inbox", schema))["n"])


async def _oldest_unsent_s(scene: Scene) -> float:
    schema = f"{scene.house.world.settings['BROKER_PREFIX']}_task"
    age = await row_of(
        scene.lab.store.url, "select coalesce(max(now_ms() - created_at), 0) / 1000.0 as s from outbox", schema
    )
    return float(age["s"])


def _address(server: Server) -> str:
    return server.url.rpartition("@")[2].rstrip("/")
