"""Migrations, whatever the store: which of them are still to be applied, and what they are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from runtime.errors import StartError
from runtime.ports import Migration


def digest(migration: Migration) -> str:
    """Of its text, in hex."""
    return hashlib.sha256(migration.text.encode()).hexdigest()


def unrecorded(migrations: Sequence[Migration], recorded: Mapping[str, str]) -> list[Migration]:
    """Those that are still to be applied. :param recorded: name → digest.

    :raises StartError: as `Store.migrate`.
    """
    missing = recorded.keys() - {each.name for each in migrations}
    if missing:
        raise StartError(f"the store has migrations that this version lacks: {', '.join(sorted(missing))}")
    for each in migrations:
        if recorded.get(each.name, digest(each)) != digest(each):
            raise StartError(f"the migration {each.name} was changed after it had been applied")
    return [each for each in migrations if each.name not in recorded]


def statements(text: str) -> list[str]:
    """The texts between lines that hold only `--`."""
    parts: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.strip() == "--":
            parts.append([])
        else:
            parts[-1].append(line)
    texts = ("\n".join(part).strip() for part in parts)
    return [text for text in texts if text]
