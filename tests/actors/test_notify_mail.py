"""What is mailed, to whom, and what it says."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec
import pytest

from actors.contracts.notify import SendMail
from actors.contracts.task import Task, TaskAssigned, TaskUpdated
from actors.contracts.task_comment import Comment, CommentAdded
from actors.contracts.user import Person, UserUpdated
from runtime.testing import Stage
from tests.actors.town import Town, address_of, contact, part
from tests.sql import sql

HEADERS = {
    "From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "MIME-Version",
    "Content-Type",
}  # fmt: skip
AT = "2026-11-24T12:00:00.000Z"


async def assigned(
    town: Town, title: str = "Land", *, actor: str = "Ada", assignee: str = "Bob", **person: Any
) -> Person:
    """Somebody who was assigned to a task of that title by somebody of that name."""
    ada, bob = await town.person(actor), await town.person(assignee, **person)
    task = await town.task(await town.project(ada), ada)
    # a title that no call would let pass may still come in an event, from an import say
    await tell_of(town.stage, msgspec.structs.replace(task, title=title), bob, ada)
    return bob


async def tell_of(stage: Stage, task: Task, assignee: Person, actor: Person) -> None:
    await stage.given(TaskAssigned(task=task, assignee_id=assignee.id, actor_id=actor.id, at=AT))


async def statuses(stage: Stage) -> dict[str, tuple[str, int]]:
    """Mail → its status and how often it was tried."""
    rows = await sql(stage.dispatches["notify"].store.reader).fetch("select id, status, attempt from mail")
    return {row["id"]: (row["status"], row["attempt"]) for row in rows}


async def test_an_assignment_is_mailed_with_a_message_id_of_its_notification(town: Town) -> None:
    bob = await assigned(town)
    (mail,) = town.mails(bob)
    (told,) = await town.inbox(bob)
    assert mail["Subject"] == told.title == "Ada assigned a task to you: Land"
    assert mail["Message-ID"] == f"<{told.id}@localhost>"
    assert mail["From"] == "troupe@localhost"
    for subtype in ("plain", "html"):
        assert "Hello Bob" in part(mail, subtype)
        assert told.title in part(mail, subtype)
    assert (await statuses(town.stage))[told.id] == ("sent", 1)


async def test_a_comment_is_mailed_with_its_text(town: Town) -> None:
    ada, bob = await town.person("Ada"), await town.person("Bob")
    task = await town.task(await town.project(ada), ada)
    comment = Comment(
        id=str(uuid.uuid4()), task_id=task.id, author_id=ada.id, author_name="Ada", body="First line\n\nsecond & last",
        created_at=AT, updated_at=AT, version=1,
    )  # fmt: skip
    await town.stage.given(
        CommentAdded(comment=comment, task=task, actor_id=ada.id, at=AT, audience_ids=[ada.id, bob.id])
    )
    (mail,) = town.mails(bob)
    assert "First line\n\nsecond & last" in part(mail, "plain")
    assert "second &amp; last" in part(mail, "html")
    assert town.mails(ada) == []


async def test_a_new_member_is_mailed(town: Town) -> None:
    ada, bob = await town.person("Ada"), await town.person("Bob")
    await town.project(ada, bob)
    (mail,) = town.mails(bob)
    assert mail["Subject"].startswith("Ada added you to ")


async def test_a_change_is_in_the_inbox_and_not_mailed(town: Town) -> None:
    ada, bob = await town.person("Ada"), await town.person("Bob")
    task = await town.task(await town.project(ada), ada)
    await town.stage.given(TaskUpdated(task=task, changed=["title"], actor_id=ada.id, at=AT, audience_ids=[bob.id]))
    assert await town.kinds(bob) == ["task_updated"]
    assert town.mails(bob) == []


async def test_an_unverified_address_gets_no_notification_by_mail(town: Town) -> None:
    bob = await assigned(town, verified=False)
    assert await town.kinds(bob) == ["task_assigned"]
    assert town.mails(bob) == []


async def test_a_suspended_account_gets_no_mail(town: Town) -> None:
    ada, bob = await town.person("Ada"), await town.person("Bob")
    task = await town.task(await town.project(ada), ada)
    suspended = Person(id=bob.id, name="Bob", active=False, version=2)
    await town.stage.given(UserUpdated(person=suspended, contact=contact(bob)))
    await tell_of(town.stage, task, bob, ada)
    assert town.mails(bob) == []


async def test_a_notification_that_is_gone_is_not_mailed(town: Town) -> None:
    before = await statuses(town.stage)
    await town.stage.given(SendMail(notification_id=str(uuid.uuid4())))
    assert await statuses(town.stage) == before
    assert await town.stage.dispatches["notify"].store.dead() == []


async def test_what_became_of_mails_is_forgotten_after_a_month(town: Town) -> None:
    await assigned(town)
    assert await statuses(town.stage) != {}
    town.stage.advance(hours=30 * 24 + 1)
    await town.stage.tick("notify", "forget")
    assert await statuses(town.stage) == {}


# ---------------------------------------------------------------------------------- texts of users in mail


@pytest.mark.parametrize(
    "title",
    [
        "Land\r\nBcc: eve@example.org",
        "Land\nBcc: eve@example.org\n\nAnother body",
        "=?utf-8?q?=0D=0ABcc:_eve=40example.org?=",
        "Land\u2028Bcc: eve@example.org",
    ],
)
async def test_b47_a_line_break_in_a_title_makes_no_header(town: Town, title: str) -> None:
    bob = await assigned(town, title)
    (mail,) = town.mails(bob)
    assert set(mail.keys()) == HEADERS
    assert mail["To"] == address_of(bob)
    assert "Bcc" in mail["Subject"]


async def test_b47_a_line_break_in_a_name_makes_no_header(town: Town) -> None:
    bob = await assigned(town, actor="Ada\r\nBcc: eve@example.org", assignee="Bob\r\nBcc: eve@example.org")
    (mail,) = town.mails(bob)
    assert "Bcc" not in mail
    assert mail["Subject"] == "Ada Bcc: eve@example.org assigned a task to you: Land"


@pytest.mark.parametrize(
    "text", ["{{7*7}}", "${7*7}", "{0.__class__}", "{actor}", "%(about)s", "{% if x %}", "{# x #}"]
)
async def test_b48_a_template_in_a_title_or_name_stays_literal(town: Town, text: str) -> None:
    bob = await assigned(town, text, actor=text, assignee=text)
    (mail,) = town.mails(bob)
    line = f"{text} assigned a task to you: {text}"
    assert mail["Subject"] == line
    assert line in part(mail, "plain")
    assert line in part(mail, "html")
    assert f"Hello {text}," in part(mail, "plain")
    assert [told.title for told in await town.inbox(bob)] == [line]


async def test_b49_markup_in_a_title_or_name_is_escaped_in_html_and_literal_in_text(town: Town) -> None:
    script = "<script>alert('1')</script>"
    bob = await assigned(town, script, actor='"><img src=x>', assignee="<b>Bob</b>")
    (mail,) = town.mails(bob)
    html, plain = part(mail, "html"), part(mail, "plain")
    assert "<script" not in html
    assert "<img" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;" in html
    assert script in plain
    assert mail["Subject"] == f'"><img src=x> assigned a task to you: {script}'
