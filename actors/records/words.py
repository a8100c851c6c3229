"""Full-text search: what counts as a word, and the one place where the SQL of both databases differs.

Tasks and comments carry their words folded: lower case, without accents, compatibility forms resolved (Unicode TR 15,
NFKD), separated by single spaces. Both databases index these, so both find the same.
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

    :param words: whole words, also those of phrases.
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


def conditions(search: Search, dialect: Literal["postgresql", "sqlite"]) -> list[tuple[str, str]]:
    """Conditions on the task `{t}`, each with its argument `{0}`. Each word may be in the task or in any comment on it.

    One term is looked up in the indexes: the longest one, since that is likely to be rare. Whether the others are there
    is then a matter of the few tasks that have it.
    """
    whole = list(dict.fromkeys(search.words))
    begun = list(dict.fromkeys(search.prefixes))
    lead = max(whole + begun, key=len)
    if lead in whole:
        whole.remove(lead)
        found = [_indexed(lead, dialect, begins=False)]
    else:
        begun.remove(lead)
        found = [_indexed(lead, dialect, begins=True)]
    patterns = [f"% {text} %" for text in whole + search.phrases] + [f"% {prefix}%" for prefix in begun]
    return found + [(_THERE, pattern) for pattern in patterns]


# nothing in folded words means anything to `like`
_THERE = (
    "(' ' || {t}.words || ' ' like {0}"
    " or exists (select 1 from comment c where c.task_id = {t}.id and ' ' || c.words || ' ' like {0}))"
)


def _indexed(word: str, dialect: Literal["postgresql", "sqlite"], *, begins: bool) -> tuple[str, str]:
    """:param begins: it is the beginning of a word."""
    if dialect == "postgresql":
        vector = "array_to_tsvector(string_to_array(words, ' ')) @@ cast(cast({0} as text) as tsquery)"
        sql = f"{{t}}.id in (select id from task where {vector} union all select task_id from comment where {vector})"  # noqa: S608 # constants
        return sql, f"'{word}':*" if begins else f"'{word}'"
    sql = (
        "{t}.id in (select r.task_id from task_words w join task_row r on r.row = w.rowid where task_words match {0}"
        " union all select r.task_id from comment_words w join comment_row r on r.row = w.rowid"
        " where comment_words match {0})"
    )
    return sql, f'"{word}" *' if begins else f'"{word}"'


def _words(text: str) -> list[str]:
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text.casefold())
        text = "".join(sign for sign in decomposed if not unicodedata.combining(sign))
    return _WORD.findall(text.lower())
