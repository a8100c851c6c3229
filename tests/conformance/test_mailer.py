"""What `Mailer` promises, asked of both drivers; and that twins which break a promise are found out."""

from __future__ import annotations

import asyncio
import datetime
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from email import message_from_bytes, policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.drivers import mail_files, mail_message, mail_smtp
from runtime.drivers.mail_files import FileMailer
from runtime.errors import Invalid, MailerAway, SettingError
from runtime.ports import Mail, Mailer
from tests.conformance.smtp_server import Inbox, smtp_server

SENDER = "Troupe für alle <troupe@example.org>"
MAIL = Mail(id="m-1", to="ada@example.org", subject="Hello", text="Hi Ada,\nit works.\n")
SMUGGLED = "=?utf-8?q?=0D=0ABcc:_victim=40example.org?="


class Post(msgspec.Struct):
    """A mailer, and what it has delivered so far: the raw bytes, by Message-ID in the order of arrival."""

    mailer: Mailer
    delivered: Callable[[], list[bytes]]

    async def through(self, mail: Mail) -> EmailMessage:
        """Send, and read what arrived as a receiver would that decodes everything."""
        before = len(self.delivered())
        await self.mailer.send(mail)
        arrived = self.delivered()
        assert len(arrived) == before + 1
        return read(arrived[-1])


Make = Callable[[], AbstractAsyncContextManager[Post]]
Promise = Callable[[Make], Awaitable[None]]


def read(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def text(message: EmailMessage, kind: str = "plain") -> str:
    part = message.get_body((kind,))
    assert part is not None
    content: str = part.get_content()
    return content.replace("\r\n", "\n")


def mail(**changes: Any) -> Mail:
    return msgspec.structs.replace(MAIL, **changes)


async def refused(post: Post, code: str, **changes: Any) -> None:
    before = post.delivered()
    with pytest.raises(Invalid) as error:
        await post.mailer.send(mail(**changes))
    assert error.value.code == code
    assert post.delivered() == before


# ---------------------------------------------------------------------------------------------- promises


async def promise_a_mail_arrives_with_all_its_headers(make: Make) -> None:
    async with make() as post:
        message = await post.through(MAIL)
        assert message["To"] == "ada@example.org"
        assert message["Subject"] == "Hello"
        assert message["From"].addresses == (Address("Troupe für alle", "troupe", "example.org"),)
        assert message["Message-ID"] == "<m-1@example.org>"
        age = datetime.datetime.now(datetime.UTC) - parsedate_to_datetime(message["Date"])
        assert abs(age) < datetime.timedelta(seconds=10)
        assert message.get_content_type() == "text/plain"
        assert text(message) == "Hi Ada,\nit works.\n\n"


async def promise_text_comes_before_html_and_both_arrive(make: Make) -> None:
    async with make() as post:
        message = await post.through(mail(html="<p>Grüß Gott</p>"))
        kinds = [part.get_content_type() for part in message.walk()]
        assert kinds == ["multipart/alternative", "text/plain", "text/html"]
        assert text(message, "html").strip() == "<p>Grüß Gott</p>"


async def promise_any_text_arrives_as_it_was_written(make: Make) -> None:
    async with make() as post:
        for written in (
            "Grüße, 日本, 🎭, \u202eRTL\u202c",
            ".\n..\n.\n",
            "From the start\n\nFrom here",
            "x" * 5000,
            "=3D =\n =?utf-8?q?=41?=",
            "trailing blanks   \n\t\ntab\t",
            "nul \x00 and escape \x1b[0m",
            "",
        ):
            message = await post.through(mail(text=written, html=f"<pre>{written}"))
            assert text(message) == written
            assert text(message, "html") == f"<pre>{written}"


async def promise_line_ends_of_all_kinds_are_line_ends(make: Make) -> None:
    async with make() as post:
        message = await post.through(mail(text="a\r\nb\rc\nd"))
        assert text(message).splitlines() == ["a", "b", "c", "d"]


async def promise_any_subject_arrives_literally(make: Make) -> None:
    async with make() as post:
        for subject in (
            "Grüße 🎭 " * 20,
            "word " * 100,
            "x" * 2000,
            "  two  blanks  ",
            "",
            SMUGGLED,
            "=?utf-8?b?QmNj?=",
            "a =?utf-8?q?b?= c",
            "Bcc: me@example.org",
            "日本" * 100,
        ):
            message = await post.through(mail(subject=subject))
            assert message["Subject"] == subject


async def promise_no_text_of_a_user_makes_a_header_or_a_receiver(make: Make) -> None:
    async with make() as post:
        evil = f"x\n\n{SMUGGLED}\nBcc: victim@example.org\n.\nRCPT TO:<victim@example.org>"
        message = await post.through(mail(subject=SMUGGLED, text=evil, html=evil))
        assert sorted(message.keys()) == sorted(
            ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"]
        )
        head = post.delivered()[-1].partition(b"\r\n\r\n")[0]
        assert not re.search(rb"(?im)^(bcc|victim)", head)


async def promise_a_control_character_in_a_header_is_refused(make: Make) -> None:
    async with make() as post:
        for char in "\r\n\t\x00\x1b\x7f\x85\u2028\ud800":
            await refused(post, "mail.header", subject=f"a{char}b")
            await refused(post, "mail.header", headers={"X-Title": f"a{char}b"})
            await refused(post, "mail.header", id=f"a{char}b")


async def promise_what_is_no_ascii_address_is_refused(make: Make) -> None:
    async with make() as post:
        for to in (
            "",
            "ada",
            "@example.org",
            "ada@",
            "a b@example.org",
            "ada@example.org\r\nBcc: x@example.org",
            "ada@example.org,bob@example.org",
            "<ada@example.org>",
            "ada@exam_ple.org",
            "ada@-example.org",
            "adä@example.org",
            "ada@exämple.org",
            '"a@b"@example.org',
            "ada..l@example.org",
            "=?utf-8?q?=0D=0ABcc=3A_x?=@example.org",
            "a" * 65 + "@example.org",
            "a@" + "b" * 60 + ("." + "c" * 60) * 4,
        ):
            await refused(post, "mail.address", to=to)


async def promise_odd_but_right_addresses_are_served(make: Make) -> None:
    async with make() as post:
        for to in ("a+b@example.org", "o'hara@example.org", "x@localhost", "a" * 64 + "@e-x.example.org"):
            assert (await post.through(mail(to=to)))["To"] == to


async def promise_further_headers_arrive_and_none_of_ours_is_replaced(make: Make) -> None:
    async with make() as post:
        link = "<https://troupe.example.org/unsubscribe/" + "t" * 200 + ">"
        message = await post.through(
            mail(headers={"List-Unsubscribe": link, "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"})
        )
        assert message["List-Unsubscribe"] == link
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        for name in ("Bcc", "to", "SUBJECT", "Content-Type", "Resent-To", "X Y", "X:", "", "Übung", "A\r\nBcc"):
            await refused(post, "mail.header", headers={name: "x@example.org"})


async def promise_the_message_id_is_stable_over_attempts(make: Make) -> None:
    async with make() as post:
        await post.mailer.send(MAIL)
        await post.mailer.send(MAIL)
        assert {read(raw)["Message-ID"] for raw in post.delivered()} == {"<m-1@example.org>"}


async def promise_a_mail_of_a_thread_refers_to_the_first_one(make: Make) -> None:
    async with make() as post:
        first = await post.through(MAIL)
        second = await post.through(mail(id="m-2", thread="m-1"))
        assert second["In-Reply-To"] == second["References"] == first["Message-ID"]
        assert "References" not in first
        await refused(post, "mail.header", thread="m-1>\r\nBcc: x@example.org")
        await refused(post, "mail.header", headers={"References": "<m-1@example.org>"})


async def promise_many_at_once_all_arrive(make: Make) -> None:
    async with make() as post:
        await asyncio.gather(*(post.mailer.send(mail(id=f"m-{n}", text=f"number {n}")) for n in range(20)))
        assert sorted(text(read(raw)).strip() for raw in post.delivered()) == sorted(f"number {n}" for n in range(20))


async def promise_what_was_sent_to_others_is_not_forgotten(make: Make) -> None:
    async with make() as post:
        await post.mailer.send(mail(to="bob@example.org"))
        await post.mailer.forget("ada@example.org")
        await post.mailer.forget("ob@example.org")
        assert len(post.delivered()) == 1


async def promise_ping_answers(make: Make) -> None:
    async with make() as post:
        await post.mailer.ping()
        assert post.delivered() == []


PROMISES = [each for name, each in globals().items() if name.startswith("promise_")]


@asynccontextmanager
async def filed(mailer: Mailer, folder: Path) -> AsyncIterator[Post]:
    """A file mailer as a post: each mail is read and taken away, so that equal ids can be told apart."""
    taken: list[bytes] = []

    def delivered() -> list[bytes]:
        for path in sorted(folder.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns):
            taken.append(path.read_bytes())
            path.unlink()
        return list(taken)

    await mailer.open()
    yield Post(mailer, delivered)
    await mailer.close()


@pytest.fixture(params=["files", "smtp"])
def make(request: pytest.FixtureRequest, tmp_path: Path, free_port: Callable[[], int]) -> Make:
    @asynccontextmanager
    async def smtp_post() -> AsyncIterator[Post]:
        inbox, port = Inbox(), free_port()
        async with smtp_server(inbox, port):
            mailer = mail_smtp.connect(f"smtp://127.0.0.1:{port}", sender=SENDER)
            await mailer.open()
            try:
                yield Post(mailer, lambda: list(inbox.received))
            finally:
                await mailer.close()
            assert all(len(receivers) == 1 for receivers in inbox.receivers)

    if request.param == "smtp":
        return smtp_post
    return lambda: filed(mail_files.connect(f"file:{tmp_path}/mail", sender=SENDER), tmp_path / "mail")


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
async def test_keeps(promise: Promise, make: Make) -> None:
    await promise(make)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=200))
@settings(suppress_health_check=[HealthCheck.differing_executors], deadline=None, max_examples=200)
def test_any_subject_without_control_characters_is_read_back_as_it_was(subject: str) -> None:
    raw = mail_message.render(mail(subject=subject), mail_message.sender(SENDER))
    message = read(raw)
    assert message["Subject"] == subject
    assert len(message.keys()) == 8
    assert all(len(line) <= 998 and line.isascii() for line in raw.split(b"\r\n"))


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=300))
@settings(deadline=None, max_examples=200)
def test_any_body_is_read_back_as_it_was(body: str) -> None:
    raw = mail_message.render(mail(text=body, html=body), mail_message.sender(SENDER))
    assert text(read(raw)) == body
    assert text(read(raw), "html") == body
    assert all(len(line) <= 998 and line.isascii() for line in raw.split(b"\r\n"))


def test_a_link_in_a_plain_mail_can_be_copied_from_its_raw_text() -> None:
    link = "https://troupe.example.org/verify?token=" + "t" * 200
    assert link.encode() in mail_message.render(mail(text=f"Here:\n{link}\n"), mail_message.sender(SENDER))


# ------------------------------------------------------------------------------------------ broken twins


class AsGiven(FileMailer):
    """Builds the mail as one would at first."""

    async def send(self, mail: Mail) -> None:
        message = EmailMessage(policy=policy.SMTP)
        message["From"], message["To"], message["Subject"] = SENDER, mail.to, mail.subject
        message.set_content(mail.text)
        (self._folder / f"{mail.id}.eml").write_bytes(message.as_bytes())


class Unencoded(FileMailer):
    async def send(self, mail: Mail) -> None:
        raw = mail_message.render(msgspec.structs.replace(mail, subject="SUBJECT"), self._sender)
        (self._folder / "mail.eml").write_bytes(raw.replace(b"SUBJECT", mail.subject.encode(errors="replace")))


class Forgetful(FileMailer):
    async def send(self, mail: Mail) -> None:
        if mail.id != "m-7":
            await super().send(mail)


class NewIdEachTime(FileMailer):
    async def send(self, mail: Mail) -> None:
        await super().send(msgspec.structs.replace(mail, id=f"m-{time.time_ns()}"))


class Unthreaded(FileMailer):
    async def send(self, mail: Mail) -> None:
        await super().send(msgspec.structs.replace(mail, thread=None))


@pytest.mark.parametrize(
    ("twin", "promise"),
    [
        (AsGiven, promise_any_subject_arrives_literally),
        (Unencoded, promise_any_subject_arrives_literally),
        (Unencoded, promise_a_control_character_in_a_header_is_refused),
        (AsGiven, promise_what_is_no_ascii_address_is_refused),
        (Forgetful, promise_many_at_once_all_arrive),
        (Unthreaded, promise_a_mail_of_a_thread_refers_to_the_first_one),
        (NewIdEachTime, promise_the_message_id_is_stable_over_attempts),
    ],
)
async def test_a_broken_twin_is_found_out(twin: type[FileMailer], promise: Promise, tmp_path: Path) -> None:
    with pytest.raises((AssertionError, pytest.fail.Exception, ValueError, IndexError)):
        await promise(lambda: filed(twin(tmp_path, mail_message.sender(SENDER)), tmp_path))


# ---------------------------------------------------------------------------------------------- of files


async def test_files_keep_one_file_for_a_mail_that_is_sent_twice(tmp_path: Path) -> None:
    mailer = mail_files.connect(f"file:{tmp_path}/mail", sender=SENDER)
    await mailer.open()
    await mailer.send(MAIL)
    await mailer.send(mail(text="again"))
    assert [path.name for path in (tmp_path / "mail").iterdir()] == ["m-1.eml"]
    assert "again" in (tmp_path / "mail" / "m-1.eml").read_text()


async def test_files_forget_all_mail_to_an_address_in_any_case_of_letters(tmp_path: Path) -> None:
    async with filed(mail_files.connect(f"file:{tmp_path}", sender=SENDER), tmp_path) as post:
        for n, to in enumerate(("Ada@example.org", "ada@example.org", "bob@example.org")):
            await post.mailer.send(mail(id=f"m-{n}", to=to))
        await post.mailer.forget("ADA@example.org")
        assert [read(raw)["To"] for raw in post.delivered()] == ["bob@example.org"]


async def test_a_folder_that_cannot_be_written_is_away(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    mailer = mail_files.connect(f"file:{tmp_path}/file/mail", sender=SENDER)
    with pytest.raises(MailerAway):
        await mailer.ping()
    with pytest.raises(MailerAway):
        await mailer.send(MAIL)


# --------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize("sender", ["", "Troupe", "troupe@", "a@b.org\r\nBcc: c@d.org", "Troupe <x y@example.org>"])
def test_a_sender_that_is_none_is_named(sender: str, tmp_path: Path) -> None:
    for connect, url in ((mail_files.connect, f"file:{tmp_path}"), (mail_smtp.connect, "smtp://localhost")):
        with pytest.raises(SettingError, match=r"troupe@example\.org"):
            connect(url, sender=sender)


@pytest.mark.parametrize("url", ["file:", "file://host/mail", "file:mail?a=1"])
def test_a_wrong_file_url_is_a_setting_error(url: str) -> None:
    with pytest.raises(SettingError, match="file:var/mail"):
        mail_files.connect(url, sender=SENDER)
