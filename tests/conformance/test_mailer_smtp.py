"""What is SMTP's own: refusals, slowness, lost connections, TLS and log-in."""

from __future__ import annotations

import asyncio
import datetime
import ssl
import time
from collections.abc import AsyncIterator, Callable
from email import message_from_bytes
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from runtime.drivers import mail_smtp
from runtime.errors import Invalid, MailerAway, SettingError
from runtime.ports import Mail, Mailer
from tests.conformance.smtp_server import Inbox, smtp_server, tls_server

SENDER = "Troupe <troupe@example.org>"
MAIL = Mail(id="m-1", to="ada@example.org", subject="Hello", text="Hi Ada,\nit works.\n")


def mail(id: str) -> Mail:
    return msgspec.structs.replace(MAIL, id=id)


def message_id(raw: bytes) -> str | None:
    return message_from_bytes(raw)["Message-ID"]


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
    assert len({message_id(raw) for raw in inbox.received}) == 1


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
    assert message_id(inbox.received[-1]) == "<next@example.org>"


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


@pytest.mark.parametrize(
    "url", ["smtp://", "http://h", "smtp://h/path", "smtp://h:x", "smtp://h?a=1", "smtp://h?keep_s=x"]
)
def test_a_wrong_smtp_url_is_a_setting_error(url: str) -> None:
    with pytest.raises(SettingError, match="URL"):
        mail_smtp.connect(url, sender=SENDER)
