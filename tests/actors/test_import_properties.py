"""Whatever a file of ours says of tasks, how they are related and their files: what is made of it holds together."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import AsyncIterator
from graphlib import TopologicalSorter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.imports import troupe_json
from actors.imports.conversion import Conversion, read_line
from actors.imports.item import ImportedComments, ImportedFile, ImportedLink, ImportedProject, ImportedTask, Line


def id_of(n: int) -> str:
    return f"00000000-0000-7000-8000-{n:012}"


IDS = st.builds(id_of, st.integers(1, 5))
"""Of few tasks, so that they meet; and of some that are not in the file."""

JUNK = st.recursive(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9) | st.text(max_size=3),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
                    max_leaves=5)  # fmt: skip
RELATIONS = st.fixed_dictionaries(
    {"type": st.sampled_from(["blocks", "blocked_by", "relates", "duplicates", "duplicated_by"]), "task_id": IDS}
)
COMMENTS = st.fixed_dictionaries(
    {"id": IDS, "body": st.text(max_size=5), "created_at": st.just("2026-11-24T09:00:00Z")}
)
TASKS = st.fixed_dictionaries(
    {"id": IDS, "title": st.text(max_size=5)},
    optional={
        "number": st.integers(-1, 5),
        "parent_id": st.none() | IDS,
        "relations": st.lists(RELATIONS, max_size=4),
        "comments": st.lists(COMMENTS | JUNK, max_size=3) | JUNK,
        "position": st.text("0123456789", max_size=4),
        "description": JUNK,
    },
)
PIECES = st.fixed_dictionaries(
    {"id": IDS, "task_id": IDS, "offset": st.integers(0, 2), "content": st.sampled_from(["", "QQ==", "QUI=", "!"])},
    optional={"size": st.integers(0, 4), "filename": st.text(max_size=5)},
)


async def converted(file: Any) -> tuple[Conversion, list[Line], list[bytes]]:
    """What is made of it, and the files that were put aside."""
    content, kept = json.dumps(file).encode(), list[bytes]()

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 100):
            yield content[start : start + 100]

    async def keep(pieces: AsyncIterator[bytes]) -> str:
        kept.append(b"".join([piece async for piece in pieces]))
        return str(len(kept) - 1)

    conversion = Conversion(troupe_json, keep=keep)
    return conversion, [read_line(line) async for line in conversion.lines(pieces)], kept


@given(tasks=st.lists(TASKS | JUNK, max_size=8), attachments=st.lists(PIECES | JUNK, max_size=6))
@settings(max_examples=150, deadline=None)
async def test_what_becomes_of_any_file_holds_together(tasks: list[Any], attachments: list[Any]) -> None:
    file = {"project": {"name": "Any"}, "members": [], "labels": [], "tasks": tasks, "attachments": attachments}
    conversion, lines, kept = await converted(file)
    assert isinstance(lines[0], ImportedProject)
    there = Counter(line.source for line in lines if isinstance(line, ImportedTask))
    assert set(there.values()) <= {1}, "each task once"
    assert conversion.total == len(tasks)
    assert len(there) == len(tasks) - conversion.broken - conversion.twice
    so_far: set[str] = set()
    parents, blocks = TopologicalSorter[str](), TopologicalSorter[str]()
    for line in lines:
        match line:
            case ImportedTask():
                so_far.add(line.source)
                assert line.parent is None or line.parent in so_far, "no task comes before its parent"
                parents.add(line.source, *([line.parent] if line.parent else []))
            case ImportedLink():
                assert {line.of, line.other} <= there.keys(), "links are between tasks of the file"
                (blocks if line.kind == "blocks" else parents).add(line.of, *(
                    [line.other] if line.kind in {"parent", "blocks"} else []
                ))  # fmt: skip
            case ImportedComments() | ImportedFile():
                assert line.of in so_far
    for graph in (parents, blocks):
        graph.prepare()  # raises CycleError where there is a circle
    files = [line for line in lines if isinstance(line, ImportedFile)]
    for line in files:
        assert kept[int(line.key)] in contents_of(line.source, attachments)


def contents_of(id: str, attachments: list[Any]) -> list[bytes]:
    """Of a file, as often as pieces of it follow each other from the first to the last."""
    contents = []
    runs: list[list[Any]] = []
    before: Any = None
    for piece in attachments:
        if isinstance(piece, dict) and piece.get("id") == id:
            if before is not None and before.get("id") == id:
                runs[-1].append(piece)
            else:
                runs.append([piece])
        before = piece if isinstance(piece, dict) else None
    for run in runs:
        content = b""
        for piece in run:
            if piece["offset"] != len(content) or piece["content"] == "!":
                break
            content += base64.b64decode(piece["content"])
        else:
            if run[0].get("size") in (None, len(content)):
                contents.append(content)
    return contents
