"""The texter on Twilio's HTTP API (Programmable Messaging, `POST /2010-04-01/Accounts/{Sid}/Messages.json`).

What Twilio says of the message itself (a 400: no such number, no leave to send there) is final. All else is a server
that is away: a closed account or a wrong token is for the operator to mend, and the message must not die of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import aiohttp
import msgspec

from runtime.drivers.text_check import check
from runtime.errors import Invalid, SettingError, TexterAway
from runtime.ports import Text, Texter

_OPTIONS = {"api": "https://api.twilio.com", "timeout_s": "10"}
_LONGEST_ANSWER = 64 * 1024


def connect(url: str) -> Texter:
    """`twilio://sid:token@from`: account, its token, and the number (+4930123456), name or messaging service (MG…) that
    messages come from.

    Options: `timeout_s` (10), and `api` (https://api.twilio.com), for a region's own address or a proxy.

    :raises SettingError: an URL of another form.
    """
    parts = urlsplit(url)
    account, _, sender = parts.netloc.rpartition("@")
    sid, _, token = account.partition(":")
    options = _OPTIONS | dict(parse_qsl(parts.query))
    try:
        timeout_s = float(options["timeout_s"])
    except ValueError as error:
        raise SettingError(f"the texter's URL: {error}") from error
    http = urlsplit(options["api"]).scheme in ("http", "https")
    if not (sid and token and sender and http) or parts.path.strip("/") or options.keys() != _OPTIONS.keys():
        raise SettingError(
            f"the texter's URL must be like twilio://sid:token@+4930123456 (options {', '.join(_OPTIONS)})"
        )
    return TwilioTexter(unquote(sid), unquote(token), unquote(sender), api=options["api"], timeout_s=timeout_s)


class TwilioTexter:
    """One session, opened when it is first needed and kept.

    Twilio knows no idempotency key: a message whose answer is lost may be sent a second time.

    :param sender: a number, a name, or a messaging service.
    """

    lacks: ClassVar[frozenset[str]] = frozenset({"forget"})

    def __init__(self, sid: str, token: str, sender: str, *, api: str, timeout_s: float) -> None:
        self._headers = {"Authorization": aiohttp.encode_basic_auth(sid, token, "utf-8")}
        self._account = f"{api.rstrip('/')}/2010-04-01/Accounts/{quote(sid, safe='')}"
        service = sender.startswith("MG") and len(sender) == 34
        self._from = {"MessagingServiceSid" if service else "From": sender}
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Connects when it is first needed."""

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ping(self) -> None:
        status, answer = await self._ask("GET", f"{self._account}.json", None)
        if status != HTTPStatus.OK:
            raise _away(status, answer)

    async def send(self, text: Text) -> None:
        check(text)
        form = {"To": text.to, **self._from, "Body": text.body}
        status, answer = await self._ask("POST", f"{self._account}/Messages.json", form)
        if status == HTTPStatus.BAD_REQUEST:
            raise Invalid("text.refused", f"Twilio refuses it: {_said(answer)}")
        if status != HTTPStatus.CREATED:
            raise _away(status, answer)

    async def forget(self, number: str) -> None:
        """Nothing is kept here."""

    async def _ask(self, method: str, url: str, form: Mapping[str, str] | None) -> tuple[int, Any]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=self._headers, timeout=self._timeout, trust_env=False, cookie_jar=aiohttp.DummyCookieJar()
            )
        try:
            async with self._session.request(method, url, data=form, allow_redirects=False) as response:
                body = await response.content.read(_LONGEST_ANSWER)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise TexterAway(f"Twilio does not answer: {type(error).__name__}") from error
        try:
            return response.status, msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return response.status, None


def _away(status: int, answer: Any) -> TexterAway:
    return TexterAway(f"Twilio answers {status}: {_said(answer)}")


def _said(answer: Any) -> str:
    """Code and message of a Twilio error."""
    if not isinstance(answer, dict):
        return "nothing that can be read"
    return f"{answer.get('code')} {str(answer.get('message'))[:200]}"
