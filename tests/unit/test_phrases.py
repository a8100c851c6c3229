"""Both languages say everything."""

from __future__ import annotations

import string
from itertools import product
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from actors.contracts.notify import NotificationKind
from actors.letters import TEMPLATES, Addressee, Letters, Paragraph
from actors.phrases import Language, Phrases, changes, language, phrases, title

LANGUAGES = get_args(Language)


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def texts(told: Phrases) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in msgspec.structs.asdict(told).items():
        if name != "fields":
            found |= (
                {f"{name}.{key}": text for key, text in value.items()} if isinstance(value, dict) else {name: value}
            )
    return found


@pytest.mark.parametrize("locale", LANGUAGES)
def test_a_language_has_every_phrase_with_the_same_places(locale: str) -> None:
    assert set(phrases(locale).titles) == set(get_args(NotificationKind))
    here, english = texts(phrases(locale)), texts(phrases("en"))
    assert {name: places(text) for name, text in here.items()} == {name: places(text) for name, text in english.items()}
    if locale != "en":
        assert [name for name, text in here.items() if text == english[name]] == []


def test_every_language_has_every_template() -> None:
    def of(folder: Path) -> set[str]:
        return {path.name for path in folder.iterdir()}

    assert {path.name for path in TEMPLATES.iterdir()} == set(LANGUAGES)
    assert len({frozenset(of(TEMPLATES / name)) for name in LANGUAGES}) == 1


def test_an_unknown_locale_is_english() -> None:
    assert [language(each) for each in ("de", "de-AT", "en-GB", "fr", "")] == ["de", "de", "en", "en", "en"]
    assert title("comment_added", None, "Land", "de") == "Jemand hat eine Aufgabe kommentiert: Land"


def test_fields_are_called_what_people_call_them() -> None:
    assert changes(["title", "assignee_ids", "due_at", "parent_id"], "en") == "Changed: title, assignee, due at, parent"
    assert changes(["title", "assignee_ids", "due_at"], "de") == "Geändert: Titel, Zugewiesene, Frist"


@pytest.mark.parametrize(
    ("locale", "made"), list(product(LANGUAGES, ("verification", "reset", "notice", "notification")))
)
def test_b49_every_mail_escapes_what_people_wrote_in_html(locale: str, made: str) -> None:
    letters = Letters("https://tasks.example.org")
    to = Addressee(email="ada@example.org", name="<b>Ada</b>", locale=locale)
    evil: dict[str, Any] = {"token": "<i>"}
    mail = {
        "verification": lambda: letters.verification("1", to, **evil),
        "reset": lambda: letters.reset("1", to, **evil),
        "notice": lambda: letters.notice("1", to, "new_network", "<i>"),
        "notification": lambda: letters.notification(
            "1", to, "x", [Paragraph(headline="<i>", body="<i>")], thread=None, **evil
        ),
    }[made]()
    assert mail.html is not None
    assert "<b>" not in mail.html
    assert "<i>" not in mail.html
    assert "<b>Ada</b>" in mail.text
    assert f'lang="{locale}"' in mail.html
