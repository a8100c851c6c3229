"""A `Mail` as the bytes of RFC 5322, which both mailers send.

The headers are written here and not by `email.message.EmailMessage`: up to Python 3.12.1 that one decodes encoded
words (RFC 2047) that a user typed, so that `=?utf-8?q?=0D=0ABcc:…?=` in a subject becomes a header of its own. Here
whatever could be read as an encoded word, and all that is not printable ASCII, is encoded, so it arrives literally.
"""

from __future__ import annotations

import quopri
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from email.header import Header
from email.utils import format_datetime, formataddr, parseaddr
from uuid import uuid4

import msgspec

from runtime.errors import Fault, Invalid, SettingError
from runtime.ports import Mail

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"  # RFC 5322 section 3.2.3
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"  # RFC 1035 section 2.3.1, with RFC 1123's leading digit
_ADDRESS = re.compile(rf"(?=.{{1,64}}@){_ATEXT}(?:\.{_ATEXT})*@{_LABEL}(?:\.{_LABEL})*")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_OURS = {
    "from", "to", "cc", "bcc", "sender", "subject", "date", "message-id", "in-reply-to", "references", "mime-version",
}  # fmt: skip

_LONGEST_ADDRESS = 254  # RFC 5321 section 4.5.3.1.3, without its brackets
_LONGEST_LINE = 998  # RFC 5322 section 2.1.1
_LONGEST_PLAIN = 900  # leaves room for the header's name


class Sender(msgspec.Struct, frozen=True):
    """Who all mail comes from: `header` is the From header, `address` the envelope's."""

    header: str
    address: str

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


def sender(text: str) -> Sender:
    """`Troupe <troupe@example.org>` or the bare address. :raises SettingError: neither."""
    name, address = parseaddr(text)
    if not is_address(address) or _has_controls(text):
        raise SettingError(f"the sender of mail must be like `Troupe <troupe@example.org>`, not {text!r}")
    return Sender(formataddr((name, address)), address)


def is_address(text: str) -> bool:
    """Whether it is an ASCII address of RFC 5321 without quotes, at most 254 characters."""
    return len(text) <= _LONGEST_ADDRESS and "=?" not in text and _ADDRESS.fullmatch(text) is not None


def render(mail: Mail, sender: Sender) -> bytes:
    """The message with CRLF line ends, 7-bit clean, without a trailing dot.

    :raises Invalid: `mail.header`, a header holds a control character or has a name that is ours or none;
        `mail.address`, the receiver is no ASCII address.
    """
    if not is_address(mail.to):
        raise Invalid("mail.address", "the receiver's address is not an ASCII e-mail address")
    if not (_ID.fullmatch(mail.id) and (mail.thread is None or _ID.fullmatch(mail.thread))):
        raise Invalid("mail.header", "the mail's id cannot stand in a Message-ID")
    headers = {
        "From": sender.header,
        "To": mail.to,
        "Subject": _text("Subject", mail.subject),
        "Date": format_datetime(datetime.now(UTC)),
        "Message-ID": f"<{mail.id}@{sender.domain}>",
        **_thread(mail, sender),
        **_further(mail.headers),
        "MIME-Version": "1.0",
    }
    plain = _part("plain", mail.text)
    if mail.html is None:
        return _lines(headers) + plain
    boundary = f"=_{uuid4().hex}"  # random, so that no text can hold it
    headers["Content-Type"] = f'multipart/alternative; boundary="{boundary}"'
    line = f"--{boundary}\r\n".encode()
    return b"".join((_lines(headers), b"\r\n", line, plain, line, _part("html", mail.html), line[:-2], b"--\r\n"))


def _thread(mail: Mail, sender: Sender) -> dict[str, str]:
    if mail.thread is None:
        return {}
    root = f"<{mail.thread}@{sender.domain}>"
    return {"In-Reply-To": root, "References": root}


def _further(headers: Mapping[str, str]) -> dict[str, str]:
    for name in headers:
        if not _NAME.fullmatch(name) or name.lower() in _OURS or name.lower().startswith(("content-", "resent-")):
            raise Invalid("mail.header", "a mail cannot have this further header", faults=(Fault(name, "not allowed"),))
    return {name: _text(name, value) for name, value in headers.items()}


def _text(name: str, value: str) -> str:
    """A header's value on one line, or as encoded words where it could be taken for one, or is not plain."""
    if _has_controls(value):
        raise Invalid(
            "mail.header", "a header of a mail holds a control character", faults=(Fault(name, "not allowed"),)
        )
    blanks_are_single = value == " ".join(value.split())
    if value.isascii() and "=?" not in value and blanks_are_single and len(value) <= _LONGEST_PLAIN:
        return value
    return Header(value, "utf-8", header_name=name).encode(linesep="\r\n")


def _has_controls(text: str) -> bool:
    """Controls, lone surrogates, and Unicode's line and paragraph separators."""
    return any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in text)


def _part(subtype: str, text: str) -> bytes:
    """A text with its own headers: as it is where that is safe, so that a link in a `.eml` file can be clicked."""
    lines = re.split(r"\r\n|\r|\n", text)
    if all(line.isascii() and len(line) <= _LONGEST_LINE and not _has_controls(line) for line in lines):
        charset, encoding, body = "us-ascii", "7bit", "\r\n".join(lines).encode()
    else:
        charset, encoding = "utf-8", "quoted-printable"
        body = quopri.encodestring("\n".join(lines).encode(errors="replace")).replace(b"\n", b"\r\n")
    headers = {"Content-Type": f'text/{subtype}; charset="{charset}"', "Content-Transfer-Encoding": encoding}
    return _lines(headers) + b"\r\n" + body + b"\r\n"


def _lines(headers: Mapping[str, str]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("ascii")
