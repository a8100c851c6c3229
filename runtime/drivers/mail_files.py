"""The mailer's embedded twin: each mail a file that any mail program opens."""

from __future__ import annotations

import asyncio
from email import message_from_binary_file, policy
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from runtime.drivers.mail_message import Sender, render
from runtime.drivers.mail_message import sender as parse_sender
from runtime.drivers.whole_files import write_whole
from runtime.errors import MailerAway, SettingError
from runtime.ports import Mail, Mailer


def connect(url: str, *, sender: str) -> Mailer:
    """`file:var/mail` or `file:///var/lib/troupe/mail`.

    :param sender: `Troupe <troupe@example.org>`.
    :raises SettingError: no path, a host or options; a sender that is none.
    """
    parts = urlsplit(url)
    if not parts.path or parts.netloc or parts.query:
        raise SettingError(f"the mailer's URL must be like `file:var/mail` or `file:///abs/mail`, not {url!r}")
    return FileMailer(Path(unquote(parts.path)), parse_sender(sender))


class FileMailer:
    """Writes `<id>.eml`; a mail sent twice is one file, as a receiver drops a double by its Message-ID."""

    lacks: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, folder: Path, sender: Sender) -> None:
        self._folder = folder
        self._sender = sender

    async def open(self) -> None:
        await self.ping()

    async def close(self) -> None:
        """Nothing is kept open."""

    async def ping(self) -> None:
        await self._write(self._folder / f".{uuid4().hex}", b"", keep=False)

    async def send(self, mail: Mail) -> None:
        await self._write(self._folder / f"{mail.id}.eml", render(mail, self._sender))

    async def forget(self, address: str) -> None:
        try:
            await asyncio.to_thread(_forget, self._folder, address)
        except OSError as error:
            raise MailerAway(f"the mail folder cannot be used: {error.strerror}") from error

    async def _write(self, path: Path, content: bytes, *, keep: bool = True) -> None:
        try:
            await asyncio.to_thread(write_whole, path, content, keep)
        except OSError as error:
            raise MailerAway(f"the mail folder cannot be used: {error.strerror}") from error


def _forget(folder: Path, address: str) -> None:
    for path in folder.glob("*.eml"):
        with path.open("rb") as file:
            to = message_from_binary_file(file, policy=policy.default)["To"]
        if to is not None and to.lower() == address.lower():
            path.unlink(missing_ok=True)
