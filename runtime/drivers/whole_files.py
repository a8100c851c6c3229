"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4


def write_whole(path: Path, content: bytes, keep: bool) -> None:
    """All of it or nothing, also when the power goes.

    :param keep: False: only see that it could be written.
    :raises OSError: it cannot.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{uuid4().hex}")
    try:
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if keep:
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
