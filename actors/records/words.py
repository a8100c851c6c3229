"""Full-text search: what counts as a word, and the one place where the SQL of both databases differs.

A task carries its words folded: lower case, without accents, compatibility forms resolved (Unicode TR 15, NFKD),
separated by single spaces. Both databases index these, so both find the same.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Literal

import msgspec

LONGEST: Final = 100
"""Characters of a word; a longer one counts as several. PostgreSQL takes lexemes of less than 2 KiB."""

BORDER: Final = "|"
"""Between two texts: no phrase reaches over it, and no search can name it."""

_WORD = re.compile(rf"[^\W_]{{1,{LONGEST}}}")
_TERM = re.compile(r'"(?P<phrase>[^"]*)"|(?P<word>[^\s"]+)')


class Search(msgspec.Struct, frozen=True):
    """What to look for, folded: all of it must be there.

    :param words: whole words, those of phrases too.
    :param prefixes: beginnings of words.
    :param phrases: words side by side, joined by spaces.
    """

    words: list[str]
    prefixes: list[str]
    phrases: list[str]

    def __bool__(self) -> bool:
        return bool(self.words or self.prefixes)


def folded(*texts: str) -> str:
    """The words of texts as they are stored and compared."""
    first, *others = (_words(text) for text in texts)
    return " ".join([*first, *(word for words in others for word in (BORDER, *words))])


def parsed(query: str) -> Search:
    """Words, `"quoted phrases"` and `prefix*`; every other sign only separates words."""
    words: list[str] = []
    prefixes: list[str] = []
    phrases: list[str] = []
    for term in _TERM.finditer(query):
        found = _words(term["phrase"] or term["word"] or "")
        if term["phrase"] is not None and len(found) > 1:
            phrases.append(" ".join(found))
        if term["word"] and term["word"].endswith("*") and found:
            prefixes.append(found.pop())
        words += found
    return Search(words, prefixes, phrases)


def condition(search: Search, dialect: Literal["postgresql", "sqlite"]) -> tuple[str, str]:
    """A condition on `{t}.words` for `{0}`, and the argument that it compares with; phrases are not in it."""
    if dialect == "postgresql":
        terms = [f"'{word}'" for word in search.words] + [f"'{prefix}':*" for prefix in search.prefixes]
        vector = "array_to_tsvector(string_to_array({t}.words, ' '))"
        return vector + " @@ cast(cast({0} as text) as tsquery)", " & ".join(terms)
    terms = [f'"{word}"' for word in search.words] + [f'"{prefix}" *' for prefix in search.prefixes]
    matching = (
        "{t}.id in (select r.task_id from task_words w join task_row r on r.row = w.rowid where task_words match {0})"
    )
    return matching, " ".join(terms)


def _words(text: str) -> list[str]:
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text.casefold())
        text = "".join(sign for sign in decomposed if not unicodedata.combining(sign))
    return _WORD.findall(text.lower())
