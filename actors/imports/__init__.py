"""Files of other task managers, one module a format: from bytes to tasks. Nothing here knows the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from actors.contracts.task_import import ImportFormat
from actors.imports import github_archive, table, todoist, trello, troupe_json, vikunja
from actors.imports.item import Format

FORMATS: Final[Mapping[ImportFormat, Format]] = {
    "csv": table,
    "github-archive": github_archive,
    "todoist-csv": todoist,
    "trello": trello,
    "troupe-json": troupe_json,
    "vikunja": vikunja,
}
