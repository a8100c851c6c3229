"""Names of files: as they are kept, and as a header says them."""

from __future__ import annotations

import re
import string
from typing import Final
from urllib.parse import quote

LONGEST: Final = 255
UNNAMED: Final = "file"

_LONGEST_EXTENSION = 16
# control characters, line and paragraph separators, lone surrogates, and what turns the direction of writing
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_QUOTABLE = frozenset(string.ascii_letters + string.digits + " !#$&'()*+,-.;<=>?@[]^_`{|}~")


def cleaned(name: str) -> str:
    """The last part of a path of any system, without control characters, of at most 255 characters; `file` when
    nothing of it is left."""
    base = _CONTROL.sub("", re.split(r"[/\\]", name)[-1]).strip()
    if len(base) > LONGEST:
        stem, dot, extension = base.rpartition(".")
        kept = dot + extension if stem and len(extension) <= _LONGEST_EXTENSION else ""
        base = base[: LONGEST - len(kept)] + kept
    return base if base.strip(".") else UNNAMED


def disposition(name: str, *, inline: bool) -> str:
    """The header `Content-Disposition` (RFC 6266): a name beyond plain ASCII is there twice, as RFC 8187 encodes it
    and as an approximation for those who do not read that."""
    how = "inline" if inline else "attachment"
    plain = "".join(each if each in _QUOTABLE else "_" for each in name)
    header = f'{how}; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe='!#$&+-.^_`|~')}"
