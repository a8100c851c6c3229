"""What a file is, read from its content. Only what is allowed has a type; everything else is None.

The table is ours instead of a library's: those know hundreds of formats and guess between them; what is wanted here
is the other way round, a few that are let in. Signatures are those of the WHATWG's MIME Sniffing standard (images,
section 6.1; texts, section 7; markup, section 7.1), ISO 32000 (PDF), APPNOTE 4.3 (ZIP), ECMA-376 and OASIS
OpenDocument part 2 (Office), and [MS-CFB] (the older Office formats).
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from runtime.errors import SettingError

HEAD: Final = 64 << 10
"""Bytes at the beginning and at the end of a file that are kept for looking at."""

SIGNATURE: Final = 14
"""Bytes that tell an image from all else."""

_LONGEST_MARK = 64

_IMAGES = (
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBPVP", re.DOTALL), "image/webp"),
)
_ZIP = re.compile(rb"PK(\x03\x04|\x05\x06)")
# an OpenDocument's first entry is its type, stored as it is
_OPEN_DOCUMENT = re.compile(
    rb"PK\x03\x04.{22}\x08\x00..mimetype(application/vnd\.oasis\.opendocument\.(?:text|spreadsheet|presentation|graphics))PK",
    re.DOTALL,
)
# entries of the central directory at the end of an archive
_OFFICE_OPEN = re.compile(rb"PK\x01\x02.{42}(word|xl|ppt)/", re.DOTALL)
_CONTENT_TYPES = re.compile(rb"PK\x01\x02.{42}\[Content_Types\]\.xml", re.DOTALL)
_OFFICE_OPEN_TYPES = {
    b"word": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    b"xl": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    b"ppt": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_PDF = b"%PDF-"

_SCRIPT = (b"<script", b"<?php")
# names of streams in compound files; all marks are in lower case, as what they are looked for in
_STREAMS = {
    "worddocument".encode("utf-16-le"): "application/msword",
    "workbook".encode("utf-16-le"): "application/vnd.ms-excel",
    "powerpoint document".encode("utf-16-le"): "application/vnd.ms-powerpoint",
}
_MARKS = (*_SCRIPT, *_STREAMS)

_BINARY = bytes([*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)])
_CONTROLS = re.compile("[\\x00-\\x08\\x0b\\x0e-\\x1a\\x1c-\\x1f]")
_TEXTS = {"csv": "text/csv", "md": "text/markdown", "markdown": "text/markdown"}

# what may stand before the first element
_PROLOG = re.compile(r"(?:\s+|<!--.*?-->|<\?xml.*?\?>)*", re.DOTALL)
_ELEMENT = re.compile(r"<(?:[a-z0-9_-]+:)?([a-z][a-z0-9]*)(?=[\s/>])")
_PAGE = frozenset(
    ("html", "head", "body", "script", "iframe", "style", "title", "svg", "base", "embed", "object", "form", "link")
)
# Markdown may begin with these
_BLOCK = frozenset(("h1", "div", "font", "table", "a", "b", "br", "p", "img"))


_OPEN_DOCUMENTS = ("text", "spreadsheet", "presentation", "graphics")
KNOWN: Final = frozenset(
    (
        *(image for _, image in _IMAGES),
        "application/pdf",
        "application/zip",
        *_OFFICE_OPEN_TYPES.values(),
        *(f"application/vnd.oasis.opendocument.{kind}" for kind in _OPEN_DOCUMENTS),
        *_STREAMS.values(),
        "text/plain",
        *_TEXTS.values(),
    )
)
"""All types that `Content` can tell."""


def taken(types: str) -> frozenset[str]:
    """The types of a list with commas; all that are known when it is empty.

    :raises SettingError: one that cannot be told.
    """
    chosen = frozenset(each.strip() for each in types.split(",") if each.strip())
    if unknown := sorted(chosen - KNOWN):
        raise SettingError(f"MEDIA_TYPES: {unknown[0]!r} cannot be told; there are {', '.join(sorted(KNOWN))}")
    return chosen or KNOWN


def plain(content_type: str) -> str:
    """A type as a client wrote it, without parameters, in lower case (RFC 9110 section 8.3.1)."""
    return content_type.partition(";")[0].strip().lower()


def is_image_type(kind: str) -> bool:
    """Whether what has this type is an image."""
    return kind.startswith("image/")


class Content:
    """A file that is looked at piece by piece."""

    def __init__(self) -> None:
        self._head = b""
        self._tail = b""
        self._marks: set[bytes] = set()
        self._wanted: tuple[bytes, ...] = _MARKS
        self._may_be_text = True
        self._binary = False
        self._decoder: codecs.IncrementalDecoder | None = None

    @property
    def may_be_image(self) -> bool:
        """Whether it begins like one."""
        return any(signature.match(self._head) for signature, _ in _IMAGES)

    def feed(self, piece: bytes) -> None:
        """The next bytes."""
        if self._wanted:
            seam = (self._tail[-_LONGEST_MARK:] + piece).lower()
            self._marks.update(mark for mark in self._wanted if mark not in self._marks and mark in seam)
        if self._may_be_text:
            self._feed_text(piece)
        if len(self._head) < HEAD:
            begun = len(self._head) >= SIGNATURE
            self._head += piece[: HEAD - len(self._head)]
            if not begun and len(self._head) >= SIGNATURE:
                self._look_less()
        self._tail = (self._tail + piece[-HEAD:])[-HEAD:]

    def _feed_text(self, piece: bytes) -> None:
        text = piece
        if len(self._tail) < 2:  # a byte order mark may come in two pieces
            text = self._tail + piece
            if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                self._decoder = codecs.getincrementaldecoder("utf-16")()
        self._binary = self._binary or self._has_binary(text)

    def _look_less(self) -> None:
        """The beginning says what the rest need not be looked at for."""
        if self.may_be_image:
            self._wanted, self._may_be_text = _SCRIPT, False
        elif self._head.startswith(_COMPOUND):
            self._wanted, self._may_be_text = tuple(_STREAMS), False
        else:
            self._wanted = ()
            self._may_be_text = not (self._head.startswith(_PDF) or _ZIP.match(self._head))

    def media_type(self, filename: str) -> str | None:
        """The type of the whole, None for what is not allowed; of texts the extension chooses which."""
        for signature, image in _IMAGES:
            if signature.match(self._head):
                return None if self._marks.intersection(_SCRIPT) else image
        if self._head.startswith(_PDF):
            return "application/pdf"
        if _ZIP.match(self._head):
            return self._archive()
        if self._head.startswith(_COMPOUND):
            return next((kind for mark, kind in _STREAMS.items() if mark in self._marks), None)
        if self._binary or self._has_binary(b"", final=True):
            return None
        kind = _TEXTS.get(filename.rpartition(".")[2].lower(), "text/plain")
        return None if self._is_markup(allowed=_BLOCK if kind == "text/markdown" else frozenset()) else kind

    def _archive(self) -> str:
        document = _OPEN_DOCUMENT.match(self._head)
        if document is not None:
            return document[1].decode()
        office = _OFFICE_OPEN.search(self._tail)
        if office is not None and _CONTENT_TYPES.search(self._tail):
            return _OFFICE_OPEN_TYPES[office[1]]
        return "application/zip"

    def _has_binary(self, piece: bytes, *, final: bool = False) -> bool:
        if self._decoder is None:
            return len(piece.translate(None, _BINARY)) != len(piece)
        try:
            return _CONTROLS.search(self._decoder.decode(piece, final)) is not None
        except UnicodeDecodeError:
            return True

    def _is_markup(self, *, allowed: frozenset[str]) -> bool:
        """Whether a browser or a server could take the text for a page, a picture or a program."""
        text = self._head.decode("utf-8" if self._decoder is None else "utf-16", "replace").lstrip("\ufeff").lower()
        prolog = _PROLOG.match(text)
        text = text[prolog.end() if prolog else 0 :]
        # a comment without an end in sight hides what follows it
        if text.startswith(("#!", "<?php", "<!doctype", "<!--", "<?xml", "<script")):
            return True
        element = _ELEMENT.match(text)
        return element is not None and element[1] in (_PAGE | _BLOCK) - allowed
