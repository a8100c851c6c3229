"""What mails say: templates in `actors/mail/`, a text and an HTML one each, filled in by Jinja2.

Whatever a user wrote is only ever a value: literal in texts, escaped in HTML, on one line in the subject.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from actors.contracts.notify import NotificationKind
from runtime.ports import Mail

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES: Final = Path(__file__).with_name("mail")

TITLES: Final[Mapping[NotificationKind, str]] = {
    "task_assigned": "{actor} assigned a task to you: {about}",
    "task_updated": "{actor} changed a task: {about}",
    "task_completed": "{actor} completed a task: {about}",
    "task_deleted": "{actor} moved a task to the trash: {about}",
    "comment_added": "{actor} commented on a task: {about}",
    "mentioned": "{actor} mentioned you in a comment: {about}",
    "member_added": "{actor} added you to {about}",
    "import_done": "An import has ended: {about}",
}

Notice = Literal["password_changed", "new_network"]

NOTICES: Final[Mapping[Notice, str]] = {
    "password_changed": "Your password was changed",
    "new_network": "Your account was signed in to from a new place: {detail}",
}

NOBODY: Final = "Someone"
"""In place of the name of a person who is not known, or not any more."""

# what cannot stand in a header: controls, separators of lines, halves of surrogate pairs
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def title(kind: NotificationKind, actor_name: str | None, about: str) -> str:
    """One line on what happened, for inbox and subject.

    :param about: title of the task, or name of the project or file.
    """
    return TITLES[kind].format(actor=actor_name or NOBODY, about=about)


class Letters:
    """Makes mails.

    :param origin: what links begin with.
    """

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def verification(self, id: str, to: str, name: str, token: str) -> Mail:
        """:param token: 256 bits in URL-safe base64."""
        link = f"{self._origin}/email-verifications?token={token}"
        return self._mail("verification", id, to, "Confirm your e-mail address", name=name, email=to, link=link)

    def reset(self, id: str, to: str, name: str, token: str) -> Mail:
        """:param token: 256 bits in URL-safe base64."""
        link = f"{self._origin}/password-resets?token={token}"
        return self._mail("reset", id, to, "Set a new password", name=name, email=to, link=link)

    def notice(self, id: str, to: str, name: str, kind: Notice, detail: str) -> Mail:
        """What happened to an account. :param detail: the network, of one that is new."""
        headline = NOTICES[kind].format(detail=detail)
        return self._mail("notice", id, to, headline, name=name, headline=headline, email=to)

    def notification(self, id: str, to: str, name: str, headline: str, body: str) -> Mail:
        """:param headline: of `title`; the mail's subject, too."""
        return self._mail("notification", id, to, headline, name=name, headline=headline, body=body)

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

    def _mail(self, template: str, id: str, to: str, subject: str, **values: str) -> Mail:
        values["origin"] = self._origin
        text, html = (self._templates.get_template(f"{template}.{form}").render(values) for form in ("txt", "html"))
        return Mail(id, to, _UNFIT.sub(" ", subject), text, html)
