"""What mails say: templates in `actors/mail/<language>/`, a text and an HTML one each, filled in by Jinja2.

Whatever a user wrote is only ever a value: literal in texts, escaped in HTML, on one line in the subject.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from actors.phrases import Notice, language, phrases
from runtime.ports import Mail

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES: Final = Path(__file__).with_name("mail")

# what cannot stand in a header: controls, separators of lines, halves of surrogate pairs
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def one_line(text: str) -> str:
    """Fit for a header or a text message, whatever a user wrote: each run of what cannot stand there is a space."""
    return _UNFIT.sub(" ", text)


class Addressee(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a mail is for, and in what language."""

    email: str
    name: str
    locale: str


class Paragraph(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of news. :param headline: of `phrases.title`."""

    headline: str
    body: str


class Letters:
    """Makes mails.

    :param origin: what links begin with.
    """

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def verification(self, id: str, to: Addressee, token: str) -> Mail:
        """:param token: 256 bits in URL-safe base64."""
        link = f"{self._origin}/email-verifications?token={token}"
        return self._mail("verification", id, to, phrases(to.locale).verification, email=to.email, link=link)

    def reset(self, id: str, to: Addressee, token: str) -> Mail:
        """:param token: 256 bits in URL-safe base64."""
        link = f"{self._origin}/password-resets?token={token}"
        return self._mail("reset", id, to, phrases(to.locale).reset, email=to.email, link=link)

    def notice(self, id: str, to: Addressee, kind: Notice, detail: str) -> Mail:
        """What happened to an account. :param detail: the network, of one that is new."""
        headline = phrases(to.locale).notices[kind].format(detail=detail)
        return self._mail("notice", id, to, headline, headline=headline, email=to.email)

    def notification(
        self, id: str, to: Addressee, subject: str, items: Sequence[Paragraph], *, thread: str | None, token: str | None
    ) -> Mail:
        """News, with a way to get no more of the kind (RFC 8058) where there is one.

        :param thread: the id of the mail that began it; None for that one.
        :param token: lets whoever has it unsubscribe; None: nobody can, of this.
        """
        link = "" if token is None else f"{self._origin}/unsubscribe/{token}"
        headers = {"List-Unsubscribe": f"<{link}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
        mail = self._mail("notification", id, to, subject, items=items, unsubscribe=link)
        return msgspec.structs.replace(mail, headers=headers if link else {}, thread=thread)

    @cached_property
    def _templates(self) -> Environment:
        # imported for the first mail: its 40 ms are a tenth of what a process may take until it is ready
        from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

        return Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )

    def _mail(self, template: str, id: str, to: Addressee, subject: str, **values: Any) -> Mail:
        filled: Mapping[str, Any] = {"unsubscribe": "", **values, "name": to.name, "origin": self._origin}
        name = f"{language(to.locale)}/{template}"
        text, html = (self._templates.get_template(f"{name}.{form}").render(filled) for form in ("txt", "html"))
        return Mail(id, to.email, one_line(subject), text, html)
