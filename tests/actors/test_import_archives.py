"""GitHub archives with every odd thing in them: what is cleaned, what is told of, and what no archive is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actors.contracts.task_import import ImportFault
from actors.imports import github_archive
from actors.imports.conversion import Conversion, read_line
from actors.imports.item import Found, ImportedTask, Unreadable
from actors.imports.json_elements import LARGEST
from tests.actors.importing import DAY, archive, comment, issue

REAL = Path(__file__).parents[3] / "shared" / "data" / "quicwg-multipath-issues.json"


async def pieces(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def read(content: bytes, size: int = 1000) -> list[Found]:
    return [each async for each in github_archive.read(lambda: pieces(content, size))]


async def task(**fields: Any) -> ImportedTask:
    (found,) = await read(archive(issue(1, **fields)))
    assert isinstance(found, ImportedTask), found
    return found


async def fault(broken: Any) -> ImportFault:
    found = await read(archive(issue(1), broken, issue(2)))
    assert [isinstance(each, ImportedTask) for each in found] == [True, False, True]
    assert isinstance(found[1], ImportFault)
    return found[1]


# ------------------------------------------------------------------------------------------------ cleaned


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (" a\r\n\tb\x1b[0m ", " a b [0m "),
        ("x" * 600, "x" * 500),
        ("", "#1"),
        ("\u2028\x00\n", "#1"),
        ("=?utf-8?q?x?=", "=?utf-8?q?x?="),
    ],
)
async def test_titles_fit_on_one_line(given: str, kept: str) -> None:
    assert (await task(title=given)).title == kept


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, ""),
        ("a\r\n\tb\x00c", "a\r\n\tbc"),
        ("é" * 40_000, "é" * 32_768),
        ("x" + "🚀" * 20_000, "x" + "🚀" * 16_383),
    ],
)
async def test_texts_have_64_kib_at_most(given: str | None, kept: str) -> None:
    found = await task(body=given, comments=[comment(given or "", "x" * 300)])
    assert found.description == kept
    assert [(each.body, each.author) for each in found.comments] == ([(kept, "x" * 200)] if kept else [])


async def test_what_is_missing_has_a_default() -> None:
    sparse = {"number": 5, "title": "Sparse", "state": "CLOSED", "createdAt": DAY}
    (found,) = await read(archive(sparse))
    assert isinstance(found, ImportedTask)
    assert found.updated_at == found.completed_at == found.created_at == 1_634_291_161_000
    assert (found.labels, found.comments, found.description) == ([], [], "")


async def test_comments_of_one_moment_are_told_apart_and_known_again() -> None:
    same = [comment("a"), comment("b"), comment("c", "eve"), comment("d", None)]
    first, again = await task(comments=same), await task(comments=[*same, comment("e")])
    sources = [each.source for each in again.comments]
    assert [each.source for each in first.comments] == sources[:4]
    assert len(set(sources)) == 5


async def test_an_issue_without_an_id_is_known_by_repository_and_number() -> None:
    sources = set()
    for repo in ("moon/apollo", "moon/gemini"):
        for number in (1, 2):
            (found,) = await read(archive(issue(number, id=None), repo=repo))
            assert isinstance(found, ImportedTask)
            sources.add(found.source)
    assert len(sources) == 4


async def test_pull_requests_are_ignored() -> None:
    assert await read(archive(pulls=[issue(1), issue(2)])) == []


# ------------------------------------------------------------------------------------------------ told of


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (None, "an issue: Expected 'object'"),
        ([], "an issue: Expected 'object'"),
        ("text", "an issue: Expected 'object'"),
        (issue(7, None), "issue 7: Expected 'str', got 'null' - at '$.title'"),  # type: ignore[arg-type] # on purpose
        (issue(7, state="MERGED"), "issue 7: Invalid enum value 'MERGED' - at '$.state'"),
        (issue(0), "issue 0: Expected 'int' >= 1 - at '$.number'"),
        (issue(10**12), "issue 1000000000000: Expected 'int' <= 1000000000 - at '$.number'"),
        ({**issue(7), "number": "7"}, "an issue: Expected 'int', got 'str' - at '$.number'"),
        (issue(7, createdAt="yesterday"), "issue 7: Invalid RFC3339 encoded datetime - at '$.createdAt'"),
        (issue(7, createdAt="2021-10-15T09:46:01"), "issue 7: Expected 'datetime' with a timezone component"),
        (issue(7, updatedAt="1969-12-31T00:00:00Z"), "issue 7: the time 1969-12-31 00:00:00+00:00 lies outside"),
        (issue(7, closedAt="0001-01-01T00:00:00+14:00", state="CLOSED"), "issue 7: the time 0001-01-01 00:00:00"),
        (issue(7, labels=[1]), "issue 7: Expected 'str', got 'int' - at '$.labels[0]'"),
        (issue(7, comments=[{}]), "issue 7: Object missing required field 'createdAt' - at '$.comments[0]'"),
        ({"number": 7}, "issue 7: Object missing required field 'title'"),
    ],
)
async def test_a_broken_issue_is_told_of_and_stops_nothing(broken: Any, told: str) -> None:
    assert (await fault(broken)).detail.startswith(told)


async def test_what_is_told_is_one_short_line() -> None:
    told = (await fault(issue(7, state="x\n\0" * 1000))).detail
    assert len(told) == 300
    assert told.startswith("issue 7: Invalid enum value")
    assert told.isprintable()


async def test_the_line_is_where_the_issue_begins() -> None:
    content = archive(issue(1), issue(2, body="two\nlines"), None)
    line = content.decode().splitlines().index("  null") + 1
    for size in (1, 7, 1000, 10_000):
        assert (await read(content, size))[2] == ImportFault(
            line=line, detail="an issue: Expected 'object', got 'null'"
        )


async def test_an_issue_that_is_too_large_is_not_held() -> None:
    huge = issue(7, comments=[comment("x" * 10_000)] * (LARGEST // 10_000 + 1))
    assert (await fault(huge)).detail == "this issue is too large"


async def test_what_stands_there_twice_is_taken_once() -> None:
    conversion = Conversion(github_archive)
    content = archive(issue(1, "first"), issue(1, "again"), issue(9), None)
    lines = [line async for line in conversion.lines(lambda: pieces(content, 1000))]
    assert [read_line(line).title for line in lines] == ["first", "Land"]
    counts = (conversion.total, conversion.broken, conversion.twice, conversion.highest, len(conversion.faults))
    assert counts == (4, 1, 1, 9, 1)


async def test_of_many_broken_issues_a_hundred_are_told() -> None:
    conversion = Conversion(github_archive)
    assert [line async for line in conversion.lines(lambda: pieces(archive(*[None] * 150), 1000))] == []
    assert (conversion.total, conversion.broken, len(conversion.faults)) == (150, 150, 100)


# ---------------------------------------------------------------------------------------------- no archive


@pytest.mark.parametrize(
    ("content", "line", "told"),
    [
        (b"", 1, "this is not JSON: parse error: premature EOF"),
        (b"   \n \n", 3, "this is not JSON: parse error: premature EOF"),
        (b"<html>", 1, "this is not JSON: lexical error"),
        (b"\xef\xbb\xbf{}", 1, "this is not JSON: lexical error"),
        (archive(issue(1)).decode().encode("utf-16"), 1, "this is not JSON: lexical error"),
        (archive(issue(1, "L\xe4nd")).decode().replace("\\u00e4", "\xe4").encode("latin-1"), 13, "this is not JSON"),
        (b"PK\x03\x04\x00", 1, "this is not JSON: lexical error"),
        (b'{"issues": [\n\n"\xff"]}', 3, "this is not JSON: lexical error: invalid bytes in UTF8 string"),
        (b'{"issues": []}\n{}', 2, "this is not JSON: parse error: trailing garbage"),
        (b'{"issues": [NaN]}', 1, "this is not JSON"),
        (b'{"issues": [%s]}' % (b"9" * 5000), 1, "this is not JSON: parse error: integer overflow"),
        (b'{"issues": [1e999999999]}', 1, "this is not JSON: parse error: numeric"),
        (b'{"issues": ["\\udc00"]}', 1, "this is not JSON: a text has half a surrogate pair"),
        (b"{}", 1, "there is no list 'issues'"),
        (b"[]", 1, "there is no list 'issues'"),
        (b'[{"issues": []}]', 1, "there is no list 'issues'"),
        (b'"issues"', 1, "there is no list 'issues'"),
        (b'{"issues": {"number": 1}}', 1, "there is no list 'issues'"),
        (b"[" * 200_000, 1, "this is not JSON: parse error: premature EOF"),
        (b'{"a":' * 50_000, 1, "this is not JSON: parse error: premature EOF"),
        (b'{"x": "' + b"y" * (LARGEST + 100_000), 1, "there is a text of more than"),
    ],
)
async def test_what_is_no_archive_is_unreadable(content: bytes, line: int, told: str) -> None:
    with pytest.raises(Unreadable) as caught:
        await read(content, 64 << 10)
    assert caught.value.fault.line == line
    assert caught.value.fault.detail.startswith(told)


async def test_an_archive_that_breaks_off_is_unreadable_where_it_does() -> None:
    content = archive(issue(1), issue(2), issue(3))
    cut = content[: content.index(b'"number": 3')]
    with pytest.raises(Unreadable) as caught:
        await read(cut)
    assert caught.value.fault.line == cut.count(b"\n") + 1


async def test_deep_nesting_is_no_reason_to_fail() -> None:
    content = archive(issue(1), "DEEP").replace(b'"DEEP"', b"[" * 100_000 + b"]" * 100_000)
    kinds = [type(each) for each in await read(content)]
    assert kinds == [ImportedTask, ImportFault]


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (archive()[:100], "moon/apollo"),
        (b'{"repo":"a\\u002fb"', "a/b"),
        (b'{"repo": "\\ud800"', None),
        (b'{"repo": "\xff"', None),
        (b'{"repo": "\\n"', None),
        (b'{"repo": 1', None),
        (b"", None),
    ],
)
def test_the_head_of_a_file_names_the_repository(head: bytes, told: str | None) -> None:
    assert github_archive.title(head) == told


@pytest.mark.skipif(not REAL.is_file(), reason="the data of a real repository is not beside this one")
@pytest.mark.parametrize("compact", [False, True])
async def test_a_real_archive_is_read_whole(compact: bool) -> None:
    content = REAL.read_bytes()
    whole = json.loads(content)
    found = await read(json.dumps(whole).encode() if compact else content, 256 << 10)
    tasks = [each for each in found if isinstance(each, ImportedTask)]
    assert [each.number for each in tasks] == [each["number"] for each in whole["issues"]]
    assert (len(found), sum(len(each.comments) for each in tasks)) == (304, 1350)
    assert sum(each.status == "done" for each in tasks) == 297
    assert [each.description for each in tasks] == [each["body"] or "" for each in whole["issues"]]
    assert all(label.color for each in tasks for label in each.labels)
