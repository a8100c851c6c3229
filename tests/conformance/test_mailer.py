"""What `Mailer` promises, asked of both drivers; and that twins which break a promise are found out."""

from __future__ import annotations

import asyncio
import datetime
import re
import ssl
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
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.drivers import mail_files, mail_message, mail_smtp
from runtime.drivers.mail_files import FileMailer
from runtime.errors import Invalid, MailerAway, SettingError
from runtime.ports import Mail, Mailer

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


async def promise_many_at_once_all_arrive(make: Make) -> None:
    async with make() as post:
        await asyncio.gather(*(post.mailer.send(mail(id=f"m-{n}", text=f"number {n}")) for n in range(20)))
        assert sorted(text(read(raw)).strip() for raw in post.delivered()) == sorted(f"number {n}" for n in range(20))


async def promise_ping_answers(make: Make) -> None:
    async with make() as post:
        await post.mailer.ping()
        assert post.delivered() == []


PROMISES = [each for name, each in globals().items() if name.startswith("promise_")]


# -------------------------------------------------------------------------------------------- the server


class Inbox:
    """What a real SMTP server does with mail; each answer can be changed.

    :ivar received: raw bytes of each mail.
    :ivar sessions: connections that got as far as EHLO.
    """

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.receivers: list[list[str]] = []
        self.sessions = 0
        self.sender_answer = self.receiver_answer = self.data_answer = "250 OK"
        self.delay_s = 0.0
        self.drops_after_data = False

    async def handle_EHLO(self, server: Any, session: Any, envelope: Any, host: str, answers: list[str]) -> list[str]:  # noqa: N802 # aiosmtpd's name
        session.host_name = host
        self.sessions += 1
        return answers

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802 # aiosmtpd's name
        if self.sender_answer.startswith("250"):
            envelope.mail_from = address
        return self.sender_answer

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802 # aiosmtpd's name
        if self.receiver_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.receiver_answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 # aiosmtpd's name
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if self.data_answer.startswith("250"):
            self.received.append(envelope.content)
            self.receivers.append(envelope.rcpt_tos)
        if self.drops_after_data:
            server.transport.abort()
        return self.data_answer


@asynccontextmanager
async def smtp_server(inbox: Inbox, port: int, **options: Any) -> AsyncIterator[None]:
    controller = Controller(inbox, "127.0.0.1", port, **options)
    await asyncio.to_thread(controller.start)
    yield
    await asyncio.to_thread(controller.stop)


@pytest.fixture
async def inbox(free_port: Callable[[], int]) -> AsyncIterator[tuple[Inbox, int]]:
    inbox, port = Inbox(), free_port()
    async with smtp_server(inbox, port):
        yield inbox, port


Mailing = tuple[Mailer, Inbox]


@pytest.fixture
async def smtp(inbox: tuple[Inbox, int]) -> AsyncIterator[Mailing]:
    mailer = mail_smtp.connect(
        f"smtp://127.0.0.1:{inbox[1]}?command_timeout_s=0.3&connect_timeout_s=0.3", sender=SENDER
    )
    await mailer.open()
    yield mailer, inbox[0]
    await mailer.close()


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


@pytest.mark.parametrize(
    ("twin", "promise"),
    [
        (AsGiven, promise_any_subject_arrives_literally),
        (Unencoded, promise_any_subject_arrives_literally),
        (Unencoded, promise_a_control_character_in_a_header_is_refused),
        (AsGiven, promise_what_is_no_ascii_address_is_refused),
        (Forgetful, promise_many_at_once_all_arrive),
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


async def test_a_folder_that_cannot_be_written_is_away(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    mailer = mail_files.connect(f"file:{tmp_path}/file/mail", sender=SENDER)
    with pytest.raises(MailerAway):
        await mailer.ping()
    with pytest.raises(MailerAway):
        await mailer.send(MAIL)


# ----------------------------------------------------------------------------------------------- of SMTP


async def test_opening_does_not_need_the_server_and_sending_says_that_it_is_away(free_port: Callable[[], int]) -> None:
    mailer = mail_smtp.connect(f"smtp://127.0.0.1:{free_port()}", sender=SENDER)
    await mailer.open()
    with pytest.raises(MailerAway):
        await mailer.send(MAIL)
    with pytest.raises(MailerAway):
        await mailer.ping()
    await mailer.close()


@pytest.mark.parametrize("stage", ["sender_answer", "receiver_answer", "data_answer"])
async def test_a_5xx_for_the_mail_is_final_a_4xx_is_not_and_the_next_mail_goes_through(
    smtp: Mailing, stage: str
) -> None:
    mailer, inbox = smtp
    setattr(inbox, stage, "550 5.7.1 no thanks")
    with pytest.raises(Invalid, match=r"mail\.refused.*no thanks"):
        await mailer.send(MAIL)
    setattr(inbox, stage, "451 4.3.0 later")
    with pytest.raises(MailerAway):
        await mailer.send(MAIL)
    setattr(inbox, stage, "250 OK")
    await mailer.send(MAIL)
    assert len(inbox.received) == 1


async def test_a_server_that_takes_too_long_is_away_and_its_late_answer_disturbs_no_other_mail(smtp: Mailing) -> None:
    mailer, inbox = smtp
    inbox.delay_s = 0.6
    began = time.monotonic()
    with pytest.raises(MailerAway):
        await mailer.send(mail(id="slow"))
    assert time.monotonic() - began < 1.5
    inbox.delay_s = 0
    inbox.receiver_answer = "550 no"
    with pytest.raises(Invalid):
        await mailer.send(MAIL)


async def test_a_server_that_drops_after_data_is_away_and_a_second_attempt_has_the_same_id(smtp: Mailing) -> None:
    mailer, inbox = smtp
    inbox.drops_after_data = True
    with pytest.raises(MailerAway):
        await mailer.send(MAIL)
    assert len(inbox.received) == 1  # no attempt of our own: the outcome is the caller's to judge
    inbox.drops_after_data = False
    await mailer.send(MAIL)
    assert len({read(raw)["Message-ID"] for raw in inbox.received}) == 1


async def test_mails_share_one_connection(smtp: Mailing) -> None:
    mailer, inbox = smtp
    for number in range(5):
        await mailer.send(mail(id=f"m-{number}"))
    assert (len(inbox.received), inbox.sessions) == (5, 1)


async def test_a_connection_that_is_old_or_dead_is_replaced_unnoticed(free_port: Callable[[], int]) -> None:
    inbox, port = Inbox(), free_port()
    mailer = mail_smtp.connect(f"smtp://127.0.0.1:{port}?keep_s=0", sender=SENDER)
    async with smtp_server(inbox, port):
        await mailer.send(MAIL)
        await mailer.send(MAIL)
        assert inbox.sessions == 2
    await mailer.close()

    mailer = mail_smtp.connect(f"smtp://127.0.0.1:{port}", sender=SENDER)
    for number in (1, 2):  # a server that was restarted in between
        async with smtp_server(inbox, port):
            await mailer.send(MAIL)
            assert inbox.sessions == 2 + number
    await mailer.close()


async def test_a_cancelled_mail_leaves_no_half_conversation_behind(smtp: Mailing) -> None:
    mailer, inbox = smtp
    inbox.delay_s = 0.2
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await mailer.send(MAIL)
    inbox.delay_s = 0
    await mailer.send(mail(id="next"))
    assert read(inbox.received[-1])["Message-ID"] == "<next@example.org>"


# --------------------------------------------------------------------------------------- TLS and log-in


@pytest.fixture
def certified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's TLS for `localhost`, and this process trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return context


async def test_starttls_and_log_in_work_and_a_wrong_password_is_no_fault_of_the_mail(
    certified: ssl.SSLContext, free_port: Callable[[], int]
) -> None:
    inbox, port = Inbox(), free_port()

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(handled=False, success=(data.login, data.password) == (b"us@er", b"p:w/d"))

    async with smtp_server(
        inbox, port, tls_context=certified, require_starttls=True, authenticator=authenticate, auth_required=True
    ):
        mailer = mail_smtp.connect(f"smtp+starttls://us%40er:p%3Aw%2Fd@localhost:{port}", sender=SENDER)
        await mailer.send(MAIL)
        await mailer.close()
        mailer = mail_smtp.connect(f"smtp+starttls://us%40er:wrong@localhost:{port}", sender=SENDER)
        with pytest.raises(MailerAway):
            await mailer.send(MAIL)
        await mailer.close()
    assert len(inbox.received) == 1


async def test_tls_from_the_start_works_and_a_certificate_of_another_name_is_not_trusted(
    certified: ssl.SSLContext, free_port: Callable[[], int]
) -> None:
    inbox, port = Inbox(), free_port()
    async with tls_server(inbox, port, certified):
        mailer = mail_smtp.connect(f"smtps://localhost:{port}", sender=SENDER)
        await mailer.send(MAIL)
        await mailer.close()
        mailer = mail_smtp.connect(f"smtps://127.0.0.1:{port}", sender=SENDER)
        with pytest.raises(MailerAway):
            await mailer.send(MAIL)
        await mailer.close()
    assert len(inbox.received) == 1


@asynccontextmanager
async def tls_server(inbox: Inbox, port: int, context: ssl.SSLContext) -> AsyncIterator[None]:
    """In this loop: aiosmtpd's controller would greet its own server at start without trusting it."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(inbox, loop=loop), "127.0.0.1", port, ssl=context)
    yield
    server.close()
    await server.wait_closed()


# --------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize("sender", ["", "Troupe", "troupe@", "a@b.org\r\nBcc: c@d.org", "Troupe <x y@example.org>"])
def test_a_sender_that_is_none_is_named(sender: str, tmp_path: Path) -> None:
    for connect, url in ((mail_files.connect, f"file:{tmp_path}"), (mail_smtp.connect, "smtp://localhost")):
        with pytest.raises(SettingError, match=r"troupe@example\.org"):
            connect(url, sender=sender)


@pytest.mark.parametrize(
    "url", ["smtp://", "http://h", "smtp://h/path", "smtp://h:x", "smtp://h?a=1", "smtp://h?keep_s=x"]
)
def test_a_wrong_smtp_url_is_a_setting_error(url: str) -> None:
    with pytest.raises(SettingError, match="URL"):
        mail_smtp.connect(url, sender=SENDER)


@pytest.mark.parametrize("url", ["file:", "file://host/mail", "file:mail?a=1"])
def test_a_wrong_file_url_is_a_setting_error(url: str) -> None:
    with pytest.raises(SettingError, match="file:var/mail"):
        mail_files.connect(url, sender=SENDER)
