"""The mailer on SMTP (RFC 5321), through aiosmtplib: one connection, one mail at a time.

What the server says of the mail itself (MAIL, RCPT, DATA) with a 5xx is final. All else is a server that is away:
a greeting, log-in or TLS that fails is for the operator to mend, and the mail must not die of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)

from runtime.drivers.mail_message import Sender, render
from runtime.drivers.mail_message import sender as parse_sender
from runtime.errors import Invalid, MailerAway, SettingError
from runtime.ports import Mail, Mailer

_PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}
_TIMES = {"connect_timeout_s": 5.0, "command_timeout_s": 10.0, "keep_s": 60.0}


def connect(url: str, *, sender: str) -> Mailer:
    """`smtp://user:password@host:25` is without TLS, `smtps://…` begins with it, `smtp+starttls://…` changes to it.

    Options: `connect_timeout_s` (5), `command_timeout_s` (10), and `keep_s` (60), the age at which a connection is
    replaced. Certificates are checked, against the system's authorities or SSL_CERT_FILE.

    :param sender: `Troupe <troupe@example.org>`.
    :raises SettingError: an URL of another form; a sender that is none.
    """
    parts = urlsplit(url)
    try:
        times = _TIMES | {name: float(value) for name, value in parse_qsl(parts.query)}
        port = parts.port
    except ValueError as error:
        raise SettingError(f"the mailer's URL: {error}") from error
    if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or times.keys() != _TIMES.keys():
        raise SettingError(
            "the mailer's URL must be like smtp+starttls://user:password@host:587"
            f" (or {', '.join(_PORTS)}; options {', '.join(_TIMES)})"
        )
    smtp = SMTP(
        hostname=parts.hostname,
        port=port or _PORTS[parts.scheme],
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        use_tls=parts.scheme == "smtps",
        start_tls=parts.scheme == "smtp+starttls",
        timeout=times["command_timeout_s"],
    )
    return SmtpMailer(smtp, parse_sender(sender), connect_timeout_s=times["connect_timeout_s"], keep_s=times["keep_s"])


class SmtpMailer:
    """Connects for the first mail, keeps the connection for a minute, and trusts it only after an RSET."""

    lacks: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, smtp: SMTP, sender: Sender, *, connect_timeout_s: float, keep_s: float) -> None:
        smtp.local_hostname = sender.domain  # else EHLO waits for a DNS look-up of this host's name
        self._smtp = smtp
        self._sender = sender
        self._connect_timeout_s = connect_timeout_s
        self._keep_s = keep_s
        self._connected_at = 0.0
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Connects later: mail waits for its server, and the process does not."""

    async def close(self) -> None:
        async with self._turn:
            await self._leave()

    async def ping(self) -> None:
        async with self._conversation():
            pass  # to begin one is all that is asked

    async def send(self, mail: Mail) -> None:
        message = render(mail, self._sender)
        async with self._conversation():
            await self._smtp.sendmail(self._sender.address, [mail.to], message)

    async def forget(self, address: str) -> None:
        """Nothing is kept here."""

    @asynccontextmanager
    async def _conversation(self) -> AsyncIterator[None]:
        """One at a time, over a connection that answers; failures are raised as the port's."""
        async with self._turn:
            try:
                await self._ready()
                yield
            except (SMTPException, OSError) as error:
                raise _verdict(error) from error
            except BaseException:
                self._smtp.close()  # cancelled between a command and its answer
                raise

    async def _ready(self) -> None:
        """A connection that answers: the one that is there, if it is young, alive, and takes another mail."""
        if self._smtp.is_connected:
            try:
                if asyncio.get_running_loop().time() - self._connected_at < self._keep_s:
                    await self._smtp.rset()
                    return
            except (SMTPException, OSError):
                pass  # it has gone since the last mail, as idle ones do: a new one is no repetition
            await self._leave()
        await self._smtp.connect(timeout=self._connect_timeout_s)
        self._connected_at = asyncio.get_running_loop().time()

    async def _leave(self) -> None:
        if self._smtp.is_connected:
            try:
                await self._smtp.quit()
            except (SMTPException, OSError):
                self._smtp.close()


def _verdict(error: Exception) -> Exception:
    """What the failure of a mail means for it."""
    if isinstance(error, SMTPRecipientsRefused):
        error = error.recipients[0]
    if isinstance(error, SMTPSenderRefused | SMTPRecipientRefused | SMTPDataError) and error.code >= 500:
        return Invalid("mail.refused", f"the mail server refuses it: {error.code} {error.message}")
    reason = error.code if isinstance(error, SMTPResponseException) else type(error).__name__
    return MailerAway(f"the mail server does not take mail now ({reason})", retry_after=5.0)
