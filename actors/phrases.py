"""What people are told, in the languages that there are: one table a language, all with the same entries.

Whatever a user wrote is only ever a value of these phrases, never a phrase itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, get_args

import msgspec

from actors.contracts.notify import NotificationKind

Language = Literal["en", "de"]

Notice = Literal["password_changed", "new_network"]


class Phrases(msgspec.Struct, frozen=True, kw_only=True):
    """A language.

    :ivar titles: of notifications; `actor` is who caused it, `about` the title of the task, or the name of the project,
        file or other thing.
    :ivar notices: subjects of mails about an account.
    :ivar somebody: in place of a name that is not known, or not any more.
    :ivar fields: of a task, as people call them.
    :ivar changed: before a list of fields.
    :ivar counts: of an import, `failed`: what a failed one says.
    :ivar bundle: the subject of a mail about several things; `digest` that of a day's.
    :ivar verification: the subjects of such mails, and of those to `reset` a password.
    """

    titles: Mapping[NotificationKind, str]
    notices: Mapping[Notice, str]
    somebody: str
    fields: Mapping[str, str]
    changed: str
    counts: str
    failed: str
    bundle: str
    digest: str
    verification: str
    reset: str


_ENGLISH: Final = Phrases(
    titles={
        "task_assigned": "{actor} assigned a task to you: {about}",
        "task_updated": "{actor} changed a task: {about}",
        "task_completed": "{actor} completed a task: {about}",
        "task_deleted": "{actor} moved a task to the trash: {about}",
        "task_due": "A reminder: {about}",
        "comment_added": "{actor} commented on a task: {about}",
        "mentioned": "{actor} mentioned you in a comment: {about}",
        "member_added": "{actor} added you to {about}",
        "password_changed": "Your password was changed",
        "new_network": "Your account was signed in to from a new place: {about}",
        "import_done": "An import has ended: {about}",
        "webhook_disabled": "A webhook was switched off, since it has failed for three days: {about}",
    },
    notices={
        "password_changed": "Your password was changed",
        "new_network": "Your account was signed in to from a new place: {detail}",
    },
    somebody="Someone",
    fields={},
    changed="Changed: {fields}",
    counts="Tasks: {total}; new: {created}; there already: {skipped}",
    failed="It failed: {detail}",
    bundle="{count} news: {about}",
    digest="Your day in Troupe: {count} news",
    verification="Confirm your e-mail address",
    reset="Set a new password",
)

_GERMAN: Final = Phrases(
    titles={
        "task_assigned": "{actor} hat dir eine Aufgabe zugewiesen: {about}",
        "task_updated": "{actor} hat eine Aufgabe geändert: {about}",
        "task_completed": "{actor} hat eine Aufgabe erledigt: {about}",
        "task_deleted": "{actor} hat eine Aufgabe in den Papierkorb gelegt: {about}",
        "task_due": "Eine Erinnerung: {about}",
        "comment_added": "{actor} hat eine Aufgabe kommentiert: {about}",
        "mentioned": "{actor} hat dich in einem Kommentar erwähnt: {about}",
        "member_added": "{actor} hat dich hinzugefügt zu {about}",
        "password_changed": "Dein Passwort wurde geändert",
        "new_network": "In deinem Konto hat sich jemand von einem neuen Ort angemeldet: {about}",
        "import_done": "Ein Import ist zu Ende: {about}",
        "webhook_disabled": "Ein Webhook wurde abgeschaltet, da er seit drei Tagen fehlschlägt: {about}",
    },
    notices={
        "password_changed": "Dein Passwort wurde geändert",
        "new_network": "In deinem Konto hat sich jemand von einem neuen Ort angemeldet: {detail}",
    },
    somebody="Jemand",
    fields={
        "title": "Titel",
        "description": "Beschreibung",
        "status": "Status",
        "priority": "Priorität",
        "assignees": "Zugewiesene",
        "labels": "Etiketten",
        "start at": "Beginn",
        "due at": "Frist",
        "remind at": "Erinnerungen",
        "parent": "übergeordnete Aufgabe",
        "project": "Projekt",
        "recurrence": "Wiederholung",
        "relations": "Beziehungen",
        "estimate minutes": "Schätzung",
        "position": "Platz",
        "deleted at": "Papierkorb",
    },
    changed="Geändert: {fields}",
    counts="Aufgaben: {total}; neu: {created}; schon da: {skipped}",
    failed="Er ist gescheitert: {detail}",
    bundle="{count} Neuigkeiten: {about}",
    digest="Dein Tag in Troupe: {count} Neuigkeiten",
    verification="Bestätige deine E-Mail-Adresse",
    reset="Setze ein neues Passwort",
)

_PHRASES: Final[Mapping[Language, Phrases]] = {"en": _ENGLISH, "de": _GERMAN}


def language(locale: str) -> Language:
    """The one that someone with this locale is told things in: `de-CH` → `de`; English where there is none."""
    wanted = locale.partition("-")[0]
    return next((each for each in get_args(Language) if each == wanted), "en")


def phrases(locale: str) -> Phrases:
    """Those of that language."""
    return _PHRASES[language(locale)]


def title(kind: NotificationKind, actor_name: str | None, about: str, locale: str = "en") -> str:
    """One line on what happened, for inbox and subject."""
    told = phrases(locale)
    return told.titles[kind].format(actor=actor_name or told.somebody, about=about)


def changes(fields: Sequence[str], locale: str) -> str:
    """That these fields of a task changed."""
    told = phrases(locale)
    names = [field.removesuffix("_ids").removesuffix("_id").replace("_", " ") for field in fields]
    if told.fields:
        plural = {"assignee": "assignees", "label": "labels"}
        names = [told.fields.get(plural.get(name, name), name) for name in names]
    return told.changed.format(fields=", ".join(names))
