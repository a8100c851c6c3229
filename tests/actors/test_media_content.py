"""What files are, read from their content, and what they may be called."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from collections.abc import Iterable

import pytest

from actors.file_names import cleaned, disposition
from actors.media_types import HEAD, Content

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0" * 17
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(range(256))
GIF = b"GIF89a\1\0\1\0\0\0\0;"
WEBP = b"RIFF\x24\0\0\0WEBPVP8 " + b"\0" * 24
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
EXE = b"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff"
ELF = b"\x7fELF\2\1\1\0"


def archive(entries: Iterable[str], *, mimetype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        if mimetype is not None:
            file.writestr("mimetype", mimetype)
        for name in entries:
            file.writestr(name, "x" * 100)
    return buffer.getvalue()


def compound(stream: str) -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600 + stream.encode("utf-16-le") + b"\0" * 100


def kind(content: bytes, name: str = "x", *, piece: int = 1 << 18) -> str | None:
    looked = Content()
    for start in range(0, len(content), piece):
        looked.feed(content[start : start + piece])
    return looked.media_type(name)


OPEN = "application/vnd.openxmlformats-officedocument."
ALLOWED = [
    (PNG, "image/png"),
    (JPEG, "image/jpeg"),
    (GIF, "image/gif"),
    (WEBP, "image/webp"),
    (PDF, "application/pdf"),
    (archive(["a.txt"]), "application/zip"),
    (archive([]), "application/zip"),
    (archive(["[Content_Types].xml", "word/document.xml"]), f"{OPEN}wordprocessingml.document"),
    (archive(["_rels/.rels", "xl/workbook.xml", "[Content_Types].xml"]), f"{OPEN}spreadsheetml.sheet"),
    (archive(["[Content_Types].xml", "ppt/presentation.xml"]), f"{OPEN}presentationml.presentation"),
    (archive(["word/document.xml"]), "application/zip"),
    (
        archive(["content.xml"], mimetype="application/vnd.oasis.opendocument.text"),
        "application/vnd.oasis.opendocument.text",
    ),
    (archive(["x.html"], mimetype="text/html"), "application/zip"),
    (compound("WordDocument"), "application/msword"),
    (compound("Workbook"), "application/vnd.ms-excel"),
    (compound("PowerPoint Document"), "application/vnd.ms-powerpoint"),
    (b"", "text/plain"),
    (b"plain", "text/plain"),
    ("Größe, naïve, 漢字\r\n\tx".encode(), "text/plain"),
    ("Größe".encode("cp1252"), "text/plain"),
    ("Größe\n".encode("utf-16"), "text/plain"),
    (b"a < b > c & <3", "text/plain"),
    (b"the <script> tag", "text/plain"),
    (b"<?xml version='1.0'?><feed/>", "text/plain"),
]


@pytest.mark.parametrize(("content", "expected"), ALLOWED, ids=range(len(ALLOWED)))
@pytest.mark.parametrize("piece", [1, 7, 1 << 18])
def test_what_is_allowed_is_known_by_its_content(content: bytes, expected: str, piece: int) -> None:
    assert kind(content, "misleading.exe", piece=piece) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", "text/csv"),
        ("A.CSV", "text/csv"),
        ("a.md", "text/markdown"),
        ("a.markdown", "text/markdown"),
        ("a.txt", "text/plain"),
        ("a.png", "text/plain"),
        ("csv", "text/csv"),
        ("", "text/plain"),
    ],
)
def test_among_texts_the_extension_chooses(name: str, expected: str) -> None:
    assert kind(b"a;b\n1;2\n", name) == expected


REFUSED = [
    EXE,
    ELF,
    gzip.compress(b"x"),
    b"\0",
    compound("__properties_version1.0"),
    b"<html><body>x",
    b"  \r\n<HTML >",
    b"<!DOCTYPE html>",
    b"<!-- a comment --><!doctype HTML><p>",
    b"<!--" + b"-" * HEAD,
    b"\xef\xbb\xbf<html>",
    "\ufeff<html>".encode("utf-16-le"),
    "<svg xmlns='http://www.w3.org/2000/svg'/>".encode("utf-16"),
    b"<svg onload=alert(1)>",
    b"<?xml version='1.0' encoding='utf-8'?>\n<!-- x --><svg xmlns='http://www.w3.org/2000/svg'/>",
    b"<s:svg xmlns:s='http://www.w3.org/2000/svg'/>",
    b"<?xml version='1.0'?><!DOCTYPE svg><svg/>",
    b"<?xml " + b"a" * HEAD,
    b"<script>alert(1)</script>",
    b"<ScRiPt\nsrc=x>",
    b"<script",
    b"<?php echo 1;",
    b"<iframe src=x>",
    b"<body/onload=x>",
    b"#!/bin/sh\nrm -rf /",
    b"a text, and then\0 binary",
    "Größe\0".encode("utf-16"),
    b"\xff\xfe\0",
    GIF + b"<script>alert(1)</script>",
    PNG + b"tEXt<?PHP system($_GET[1]);",
]


@pytest.mark.parametrize("content", REFUSED, ids=range(len(REFUSED)))
@pytest.mark.parametrize("piece", [1, 1 << 18])
def test_b93_what_could_be_a_script_or_a_program_is_refused(content: bytes, piece: int) -> None:
    if piece == 1 and len(content) > 10_000:
        piece = 4096
    for name in ("x.png", "x.txt", "x.md", "x.csv"):
        assert kind(content, name, piece=piece) is None


def test_markdown_may_begin_with_a_block_of_html_and_plain_text_may_not() -> None:
    page = b"<!-- title -->\n<p align=center>Project</p>\n\n# Title"
    assert kind(page, "README.md") == "text/markdown"
    assert kind(page, "README.txt") is None


def test_binary_far_behind_a_text_is_found() -> None:
    assert kind(b"line\n" * 100_000 + b"\0", "x.txt") is None
    assert kind(b"line\n" * 100_000, "x.txt") == "text/plain"


def test_looking_at_a_file_is_linear() -> None:
    for content in (b"<!--" * 200_000, b" " * 800_000, b"<?xml" * 160_000, b"PK\1\2" * 200_000):
        kind(content)
    kind(struct.pack("<I", 0x04034B50) + b"mimetype" * 100_000)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ada\\x.txt", "x.txt"),
        ("/", "file"),
        ("", "file"),
        ("..", "file"),
        (".", "file"),
        ("a/..", "file"),
        ("a\0b.txt", "ab.txt"),
        ("a\r\nSet-Cookie: x.txt", "aSet-Cookie: x.txt"),
        ("\x1b[31mred", "[31mred"),
        (".htaccess", ".htaccess"),
        ("cod\u202etxt.exe", "codtxt.exe"),
        ("  spaced.txt \t", "spaced.txt"),
        ("Größe 漢字.md", "Größe 漢字.md"),
        ("👩‍💻.png", "👩‍💻.png"),
        ("x" * 5000, "x" * 255),
        ("x" * 300 + ".pdf", "x" * 251 + ".pdf"),
        ("x." + "y" * 300, "x." + "y" * 253),
    ],
)
def test_b92_names_keep_their_base_without_what_could_harm(given: str, kept: str) -> None:
    assert cleaned(given) == kept


def test_a_name_is_quoted_and_encoded_as_the_rfcs_say() -> None:
    assert disposition("a b.txt", inline=False) == 'attachment; filename="a b.txt"'
    assert disposition("x.png", inline=True) == 'inline; filename="x.png"'
    assert disposition('q"uo\\te%41.txt', inline=False) == (
        "attachment; filename=\"q_uo_te_41.txt\"; filename*=UTF-8''q%22uo%5Cte%2541.txt"
    )
    assert (
        disposition("Größe.md", inline=False)
        == "attachment; filename=\"Gr__e.md\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.md"
    )
