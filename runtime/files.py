"""Which file is it? Processes that share one by its path share it only when that is the same file on the same host."""

from __future__ import annotations

import platform
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote, urlsplit

from runtime.errors import StartError

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Linux: of the running kernel, the same in all of its containers; see random(4)."""


def path_of(url: str) -> Path | None:
    """Where an embedded driver keeps what its URL names; None for that of a server."""
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite":
        return Path(rest.partition("?")[0])
    return Path(unquote(urlsplit(url).path)) if scheme == "file" else None


def fingerprint(path: Path) -> int:
    """Of a file, or of a folder, which is made where there is none, 31 bits: another one on each host, and for each
    file on it. By device and inode, so that containers of one host that mount one folder agree, whatever they call it.

    :raises StartError: the folder cannot be made.
    """
    try:
        if not path.exists():
            path.mkdir(parents=True, exist_ok=True)
        found = path.stat()
    except OSError as error:
        raise StartError(f"cannot make {path}: {error.strerror}") from error
    digest = sha256(f"{_host()} {found.st_dev} {found.st_ino}".encode()).digest()
    return int.from_bytes(digest[:4]) >> 1


def _host() -> str:
    try:
        return BOOT_ID.read_text()
    except OSError:
        return platform.node()
