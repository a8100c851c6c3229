"""What is sent to webhooks, signed, again and again until it is taken."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import standardwebhooks
from standardwebhooks.webhooks import Webhook as Verifier

from actors.contracts.notify_webhook import (
    CreateWebhook,
    DeleteWebhook,
    Delivery,
    GetWebhook,
    ListDeliveries,
    ListWebhooks,
    Redeliver,
    RotateSecret,
    UpdateWebhook,
    WebhookWithSecret,
)
from actors.contracts.task import Task, TaskCreated
from actors.contracts.task_project import RemoveMember
from actors.contracts.user import Person, UserDeleted
from actors.contracts.user_notice import PasswordChanged
from actors.hook_signing import new_secret, signed_headers
from actors.notify_deliveries import AT_ONCE, EXPIRES_MS, next_attempt
from actors.records.webhook import DeliveryRow
from runtime.errors import Conflict, Invalid, NotFound, PreconditionFailed
from runtime.message import Request
from tests.actors.receiver import Receiver, receiving
from tests.actors.town import Town, part
from tests.sql import sql

AT = "2026-11-24T12:00:00.000Z"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


async def hooked(town: Town, owner: Person, receiver: Receiver, *events: Any, **fields: Any) -> WebhookWithSecret:
    command = CreateWebhook(url=receiver.url, events=list(events) or ["task_created"], **fields)
    return await town.stage.ask(command, caller=owner.id)


async def deliveries(town: Town, owner: Person, hook: WebhookWithSecret) -> list[Delivery]:
    """Newest first."""
    return (await town.stage.ask(ListDeliveries(id=hook.id), caller=owner.id)).items


async def later(town: Town, **time: float) -> None:
    town.stage.advance(**time)
    await town.stage.tick("notify", "deliver_due")


async def created(town: Town, task: Task) -> None:
    await town.stage.given(TaskCreated(task=task, actor_id=task.created_by, at=AT))


# -------------------------------------------------------------------------------------------- what is sent


async def test_what_happens_is_sent_and_signed_as_the_specification_says(town: Town, receiver: Receiver) -> None:
    ada = await town.person("Ada")
    project = await town.project(ada)
    hook = await hooked(town, ada, receiver)
    task = await town.task(project, ada)
    ((headers, _),) = receiver.received
    assert receiver.bodies()[0] == {
        "type": "task_created",
        "timestamp": task.created_at,
        "data": {
            "type": "task_created", "project_id": project.id, "task_id": task.id, "version": 1, "actor_id": ada.id,
            "at": task.created_at,
        },
    }  # fmt: skip
    assert headers["content-type"] == "application/json"
    assert hook.secret.startswith("whsec_")
    (delivery,) = await deliveries(town, ada, hook)
    assert headers["webhook-id"] == delivery.id
    assert headers["webhook-timestamp"] == str(town.stage.now // 1000)
    assert (delivery.event, delivery.status, delivery.attempts) == ("task_created", "delivered", 1)
    assert (delivery.response_status, delivery.next_attempt_at) == (204, None)


def test_signatures_are_those_that_the_library_of_the_specification_takes() -> None:
    secret, old, body = new_secret(), new_secret(), b'{"type":"task_created"}'
    now = int(datetime.now(UTC).timestamp())
    for keys in ([secret], [secret, old], [old, secret]):
        headers = dict(signed_headers("msg_1", now, body, keys))
        assert Verifier(secret).verify(body, headers) == {"type": "task_created"}
    other = dict(signed_headers("msg_1", now, body, [old]))
    for wrong in (other, {**headers, "webhook-id": "msg_2"}, {**headers, "webhook-timestamp": str(now - 1)}):
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            Verifier(secret).verify(body, wrong)
    for each in (secret, old):
        assert (
            Verifier(each).sign("msg_1", datetime.fromtimestamp(now, UTC), body.decode())
            in (signed_headers("msg_1", now, body, [each])["webhook-signature"])
        )


async def test_only_events_that_were_chosen_and_that_the_owner_may_see_are_sent(town: Town, receiver: Receiver) -> None:
    ada, bob, eve = await town.person("Ada"), await town.person("Bob"), await town.person("Eve")
    project = await town.project(ada, bob)
    hook, of_eve = await hooked(town, bob, receiver), await hooked(town, eve, receiver)
    await town.task(project, ada, assignee_ids=[bob.id])
    assert [each.event for each in await deliveries(town, bob, hook)] == ["task_created"]
    assert await deliveries(town, eve, of_eve) == []
    town.stage.advance(seconds=1)
    await town.stage.ask(RemoveMember(id=project.id, user_id=bob.id), caller=ada.id)
    await town.stage.drain()
    await town.task(project, ada)
    assert len(await deliveries(town, bob, hook)) == 1


async def test_a_webhook_of_a_project_hears_of_that_one_alone(town: Town, receiver: Receiver) -> None:
    ada = await town.person("Ada")
    one, two = await town.project(ada), await town.project(ada)
    grant = town.stage.grant("task", "project", one.id, b"owner")
    command = CreateWebhook(url=receiver.url, events=["task_created", "password_changed"], project_id=one.id)
    hook = await town.stage.ask(command, caller=ada.id, grants=[grant])
    await town.task(two, ada)
    await town.stage.given(PasswordChanged(user_id=ada.id, at=AT))
    assert receiver.received == []
    await town.task(one, ada)
    assert len(receiver.received) == 1
    assert hook.project_id == one.id


async def test_a_project_needs_the_task_actors_word(town: Town, receiver: Receiver) -> None:
    ada = await town.person("Ada")
    with pytest.raises(NotFound) as refusal:
        await hooked(town, ada, receiver, project_id=str(uuid.uuid4()))
    assert refusal.value.code == "project.not_found"


async def test_what_concerns_a_person_alone_is_sent_to_their_webhooks(town: Town, receiver: Receiver) -> None:
    ada, bob = await town.person("Ada"), await town.person("Bob")
    hook, other = (
        await hooked(town, ada, receiver, "password_changed"),
        await hooked(town, bob, receiver, "password_changed"),
    )
    await town.stage.given(PasswordChanged(user_id=ada.id, at=AT))
    assert len(await deliveries(town, ada, hook)) == 1
    assert await deliveries(town, bob, other) == []


async def test_what_happens_while_it_is_off_is_dropped(town: Town, receiver: Receiver) -> None:
    ada = await town.person("Ada")
    project = await town.project(ada)
    hook = await hooked(town, ada, receiver)
    off = await town.stage.ask(UpdateWebhook(id=hook.id, active=False), caller=ada.id)
    assert (off.active, off.version) == (False, 2)
    await town.task(project, ada)
    on = await town.stage.ask(UpdateWebhook(id=hook.id, active=True), caller=ada.id)
    await later(town, minutes=1)
    assert (on.active, receiver.received) == (True, [])
    await town.task(project, ada)
    assert len(receiver.received) == 1


# ----------------------------------------------------------------------------------------------- retries


async def test_what_fails_is_tried_again_with_the_same_id_and_body(town: Town, receiver: Receiver) -> None:
    ada = await town.person("Ada")
    project = await town.project(ada)
    hook = await hooked(town, ada, receiver)
    receiver.status = 500
    await town.task(project, ada)
    (delivery,) = await deliveries(town, ada, hook)
    assert (delivery.status, delivery.attempts, delivery.response_status) == ("pending", 1, 500)
    assert delivery.next_attempt_at is not None
    await later(town, seconds=4)
    assert len(receiver.received) == 1
    await later(town, seconds=6)
    assert len(receiver.received) == 2
    receiver.status = 200
    await later(town, seconds=40)
    (delivery,) = await deliveries(town, ada, hook)
    assert (delivery.status, delivery.attempts, delivery.response_status) == ("delivered", 3, 200)
    assert {headers["webhook-id"] for headers, _ in receiver.received} == {delivery.id}
    assert len({headers["webhook-timestamp"] for headers, _ in receiver.received}) == 3
    assert len({body for _, body in receiver.received}) == 1
    await later(town, hours=5)
    assert len(receiver.received) == 3


async def test_after_a_day_it_is_given_up_and_can_be_sent_again(town: Town, receiver: Receiver) -> None:
    ada = await town.person("Ada")
    project = await town.project(ada)
    hook = await hooked(town, ada, receiver)
    receiver.status = 503
    await town.task(project, ada)
    for _ in range(8):
        await later(town, hours=4)
    (delivery,) = await deliveries(town, ada, hook)
    assert (delivery.status, delivery.next_attempt_at) == ("failed", None)
    attempts = delivery.attempts
    receiver.status = 204
    again = await town.stage.ask(Redeliver(id=hook.id, delivery_id=delivery.id), caller=ada.id)
    assert again.status == "pending"
    await town.stage.drain()
    (delivery,) = await deliveries(town, ada, hook)
    assert (delivery.status, delivery.attempts) == ("delivered", attempts + 1)
    assert {headers["webhook-id"] for headers, _ in receiver.received} == {delivery.id}


def test_the_delays_grow_and_the_last_attempt_is_after_a_day() -> None:
    row = DeliveryRow(
        id="1", webhook_id="1", event="task_due", body="", status="pending", attempts=0, response_status=None,
        created_at=0, expires_at=EXPIRES_MS, next_attempt_at=0,
    )  # fmt: skip
    at: list[int] = []
    then: int | None = 0
    while then is not None:
        at.append(then)
        then = next_attempt(msgspec.structs.replace(row, attempts=len(at)), then)
    assert at[:4] == [0, 5_000, 30_000, 155_000]
    assert at[-1] == EXPIRES_MS
    assert len(at) == 12


async def test_a_crash_in_an_attempt_is_made_good_by_the_timer(town: Town, receiver: Receiver) -> None:
    ada = await town.person("Ada")
    project = await town.project(ada)
    hook = await hooked(town, ada, receiver)
    await town.task(project, ada)
    store = town.stage.dispatches["notify"].store
    async with store.transaction() as transaction:  # as if the process had died before it wrote down what came of it
        await sql(transaction).execute(
            "update delivery set status = 'pending', next_attempt_at = $2 where webhook_id = $1",
            hook.id,
            town.stage.now,
        )
    await later(town, minutes=2)
    first, second = (headers["webhook-id"] for headers, _ in receiver.received)
    assert first == second
    assert (await deliveries(town, ada, hook))[0].status == "delivered"


async def test_of_a_webhook_that_fails_one_delivery_is_tried_at_a_time(town: Town, receiver: Receiver) -> None:
    ada = await town.person("Ada")
    project = await town.project(ada)
    hook = await hooked(town, ada, receiver)
    receiver.status = 500
    task = await town.task(project, ada)
    for _ in range(5):
        await created(town, task)
    assert len(receiver.received) == 1
    await later(town, seconds=5)
    assert len(receiver.received) == 2
    receiver.status = 204
    await later(town, seconds=5)
    await later(town, hours=5)
    assert {each.status for each in await deliveries(town, ada, hook)} == {"delivered"}


async def test_a_slow_receiver_takes_a_bounded_number_of_attempts(town: Town, receiver: Receiver) -> None:
    ada = await town.person("Ada")
    project = await town.project(ada)
    hook = await hooked(town, ada, receiver)
    receiver.delay_s = 0.5
    task = await town.task(project, ada)
    await asyncio.gather(*(created(town, task) for _ in range(AT_ONCE + 5)))
    receiver.delay_s = 0
    for _ in range(3):
        await later(town, minutes=2)
    assert {each.status for each in await deliveries(town, ada, hook)} == {"delivered"}
    assert len(receiver.received) == AT_ONCE + 6


async def test_after_three_days_of_failure_it_is_switched_off_and_its_owner_told(
    town: Town, receiver: Receiver
) -> None:
    ada = await town.person("Ada")
    project = await town.project(ada)
    hook = await hooked(town, ada, receiver)
    receiver.status = 500
    task = await town.task(project, ada)
    for _ in range(7):
        await later(town, hours=10)
        await created(town, task)
    assert (await town.stage.ask(GetWebhook(id=hook.id), caller=ada.id)).active
    for _ in range(2):
        await later(town, hours=4)
    shown = await town.stage.ask(GetWebhook(id=hook.id), caller=ada.id)
    assert (shown.active, shown.version) == (False, 2)
    (told,) = [each for each in await town.inbox(ada) if each.kind == "webhook_disabled"]
    assert told.title == f"A webhook was switched off, since it has failed for three days: {receiver.url}"
    assert (told.subject.type, told.subject.id) == ("webhook", hook.id)
    (mail,) = town.mails(ada)
    assert "List-Unsubscribe" not in mail  # of this nobody can
    assert "/unsubscribe/" not in part(mail, "plain") + part(mail, "html")
    assert {each.status for each in await deliveries(town, ada, hook)} == {"failed"}
    await town.stage.ask(UpdateWebhook(id=hook.id, active=True), caller=ada.id)
    await created(town, task)
    assert (await town.stage.ask(GetWebhook(id=hook.id), caller=ada.id)).active


# ------------------------------------------------------------------------------------------------ secrets


async def test_a_new_secret_signs_beside_the_old_one_for_a_day(town: Town, receiver: Receiver) -> None:
    ada = await town.person("Ada")
    project = await town.project(ada)
    hook = await hooked(town, ada, receiver)
    rotated = await town.stage.ask(RotateSecret(id=hook.id), caller=ada.id)
    assert rotated.secret != hook.secret
    await town.task(project, ada)
    town.stage.advance(hours=25)
    await town.task(project, ada)
    for (headers, body), keys in zip(receiver.received, ([rotated.secret, hook.secret], [rotated.secret]), strict=True):
        timestamp = int(headers["webhook-timestamp"])
        expected = signed_headers(headers["webhook-id"], timestamp, body, keys)
        assert headers["webhook-signature"] == expected["webhook-signature"]


async def test_b111_secrets_are_sealed_where_they_lie(town: Town, receiver: Receiver) -> None:
    ada = await town.person("Ada")
    hook = await hooked(town, ada, receiver)
    await town.stage.ask(RotateSecret(id=hook.id), caller=ada.id)
    reader = town.stage.dispatches["notify"].store.reader
    row = await sql(reader).row("select secret, old_secret from webhook where id = $1", hook.id)
    assert row is not None
    assert hook.secret.encode() not in row["secret"] + row["old_secret"]
    for reply in await sql(reader).fetch("select reply from inbox where reply is not null"):
        assert hook.secret.encode() not in reply["reply"]


# ---------------------------------------------------------------------------------------------- its owner


async def test_owners_see_and_change_their_own(town: Town, receiver: Receiver) -> None:
    ada, eve = await town.person("Ada"), await town.person("Eve")
    hooks = [await hooked(town, ada, receiver) for _ in range(3)]
    page = await town.stage.ask(ListWebhooks(limit=2), caller=ada.id)
    rest = await town.stage.ask(ListWebhooks(limit=2, cursor=page.next_cursor), caller=ada.id)
    assert [each.id for each in [*page.items, *rest.items]] == [each.id for each in reversed(hooks)]
    hook = hooks[0]
    change = UpdateWebhook(id=hook.id, events=["task_due", "task_due"], if_match=(1,))
    changed = await town.stage.ask(change, caller=ada.id)
    assert (changed.events, changed.version) == (["task_due"], 2)
    with pytest.raises(PreconditionFailed):
        await town.stage.ask(change, caller=ada.id)
    messages: list[Request[Any]] = [
        GetWebhook(id=hook.id), UpdateWebhook(id=hook.id, active=False), DeleteWebhook(id=hook.id),
        RotateSecret(id=hook.id), ListDeliveries(id=hook.id), Redeliver(id=hook.id, delivery_id=hook.id),
    ]  # fmt: skip
    for message in messages:
        with pytest.raises(NotFound, match="webhook"):
            await town.stage.ask(message, caller=eve.id)
    with pytest.raises(NotFound, match="delivery"):
        await town.stage.ask(Redeliver(id=hook.id, delivery_id=hook.id), caller=ada.id)
    await town.stage.ask(DeleteWebhook(id=hook.id), caller=ada.id)
    with pytest.raises(NotFound):
        await town.stage.ask(GetWebhook(id=hook.id), caller=ada.id)


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "http://[::1]/", "http://169.254.169.254/latest"])
async def test_b102_an_address_that_is_not_public_is_refused_also_later(
    town: Town, receiver: Receiver, url: str
) -> None:
    ada = await town.person("Ada")
    hook = await hooked(town, ada, receiver)
    commands: list[Request[Any]] = [
        CreateWebhook(url=url, events=["task_due"]),
        UpdateWebhook(id=hook.id, url=url),
    ]
    for command in commands:
        with pytest.raises(Invalid) as refusal:
            await town.stage.ask(command, caller=ada.id)
        assert [fault.pointer for fault in refusal.value.faults] == ["/url"]
    assert (await town.stage.ask(GetWebhook(id=hook.id), caller=ada.id)).url == receiver.url


async def test_nobody_has_more_than_a_hundred(town: Town, receiver: Receiver) -> None:
    ada = await town.person("Ada")
    for _ in range(100):
        await hooked(town, ada, receiver)
    with pytest.raises(Conflict, match=r"quota\.exceeded"):
        await hooked(town, ada, receiver)


async def test_those_of_an_erased_person_go_with_them(town: Town, receiver: Receiver) -> None:
    ada = await town.person("Ada")
    project = await town.project(ada)
    await hooked(town, ada, receiver)
    task = await town.task(project, ada)
    await town.stage.given(UserDeleted(user_id=ada.id, version=9))
    await created(town, task)
    assert len(receiver.received) == 1


async def test_old_deliveries_are_forgotten(town: Town, receiver: Receiver) -> None:
    ada = await town.person("Ada")
    project = await town.project(ada)
    hook = await hooked(town, ada, receiver)
    await town.task(project, ada)
    town.stage.advance(hours=24 * 30 + 1)
    await town.stage.tick("notify", "forget_deliveries")
    assert await deliveries(town, ada, hook) == []
