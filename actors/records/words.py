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

TRIED: Final = 3
"""Terms of a search that are tried for being rare."""

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


def patterns(search: Search) -> list[str]:
    """What `HAS` must be true for: each of them, whether in the task or in a comment on it."""
    whole = dict.fromkeys([*search.words, *search.phrases])
    return [f"% {text} %" for text in whole] + [f"% {prefix}%" for prefix in dict.fromkeys(search.prefixes)]


# nothing in folded words means anything to `like`
HAS: Final = (
    "(' ' || {t}.words || ' ' like {0}"
    " or {t}.comment_count > 0"
    " and exists (select 1 from comment c where c.task_id = {t}.id and ' ' || c.words || ' ' like {0}))"
)
"""A condition on the task `{t}` for the pattern `{0}`."""


def look_ups(search: Search, dialect: Literal["postgresql", "sqlite"]) -> list[tuple[str, list[str]]]:
    """For the longest terms, which are likely to be rare, a statement for the ids of the tasks that have one, they or
    comments on them, with a place `{0}` for its argument, and that: what the indexes of words can tell.

    Of common terms no index knows which tasks are the caller's, and going through those is sooner done, the more common
    the terms are.
    """
    terms = [(word, False) for word in search.words] + [(prefix, True) for prefix in search.prefixes]
    return [_indexed(term, dialect, begins) for term, begins in sorted(terms, key=lambda term: -len(term[0]))[:TRIED]]


def _indexed(term: str, dialect: Literal["postgresql", "sqlite"], begins: bool) -> tuple[str, list[str]]:
    """:param begins: it is the beginning of a word."""
    if dialect == "postgresql":
        has = "array_to_tsvector(string_to_array(words, ' ')) @@ cast(cast({0} as text) as tsquery)"
        sql = f"select id from task where {has} union all select task_id as id from comment where {has}"  # noqa: S608 # constants
        return sql, [f"'{term}':*" if begins else f"'{term}'"]
    sql = (
        "select r.task_id as id from task_words w join task_row r on r.row = w.rowid where task_words match {0}"
        " union all select r.task_id as id from comment_words w join comment_row r on r.row = w.rowid"
        " where comment_words match {0}"
    )
    return sql, [f'"{term}" *' if begins else f'"{term}"']


def _words(text: str) -> list[str]:
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text.casefold())
        text = "".join(sign for sign in decomposed if not unicodedata.combining(sign))
    return _WORD.findall(text.lower())
