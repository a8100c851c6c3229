"""What a list or a column of a board means, by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, get_args

from actors.contracts.task import TaskStatus
from actors.imports.item import Unreadable

STATES: Final[Mapping[TaskStatus, frozenset[str]]] = {
    "todo": frozenset({"to do", "todo", "backlog", "inbox", "open", "ideas", "next", "next up", "new", "ready"}),
    "in_progress": frozenset(
        {"doing", "in progress", "progress", "wip", "work in progress", "started", "in work", "active", "ongoing"}
    ),
    "in_review": frozenset({"review", "in review", "reviewing", "code review", "to review", "testing", "qa", "verify"}),
    "done": frozenset({"done", "complete", "completed", "finished", "closed", "shipped", "released", "archive"}),
    "cancelled": frozenset({"cancelled", "canceled", "rejected", "wont do", "dropped"}),
}
"""Status → names that mean it, in small letters."""

_BETWEEN = re.compile(r"[\W_]+")


def state_of(name: str, mapping: Mapping[str, str]) -> TaskStatus:
    """What a checked mapping says, or else the name itself; `todo` where neither does."""
    mapped = mapping.get(name)
    if mapped is not None:
        return next(state for state in STATES if state == mapped)
    word = _BETWEEN.sub(" ", name.replace("'", "").casefold()).strip()
    return next((state for state, words in STATES.items() if word in words), "todo")


def check_states(mapping: Mapping[str, str]) -> None:
    """:raises Unreadable: a mapping leads to what is no status."""
    for name, state in mapping.items():
        if state not in STATES:
            known = ", ".join(get_args(TaskStatus))
            raise Unreadable(
                1, f"the mapping makes {name[:100]!r} {state[:100]!r}, which is no status; there are: {known}"
            )
